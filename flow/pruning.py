"""Prunes a finished run into a new one; shows what each stage achieves for the memory that it takes."""

import json
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..boards.devices import find_device
from ..errors import GraphError
from .hardware import COLUMNS, at_equal_effort
from .model import is_real
from .progress import bar, progress, say
from .table import pairs, table
from .training import check_training, figure, line

STAGES = ("stage", "score", "weight_mbit", "feature_mbit", "density", "channels")


def prune_verb(
    run: Path, output: Path, changes: Mapping[str, Any], data: Path | None, threads: int, device: str | None,
    as_json: bool,
) -> None:  # fmt: skip
    """changes: the options of ``PruneOptions`` as the command line has them; None where one was left out."""
    if device:
        find_device(device)
    given = {name: value for name, value in changes.items() if value is not None}
    given |= {name: reader(given[name]) for name, reader in READERS.items() if name in given}
    check_training(data, threads)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # brevitas tells of optional packages that nothing here needs
        from ..quant.pruning.options import PruneOptions
        from ..quant.pruning.prune import prune  # torch takes seconds to load
    options = PruneOptions(**given)
    say(f"prune {run}: {options.method}")
    with shown() as show:
        result = prune(run, output, options, data=data, threads=threads, progress=show)
    record = {"run": str(output), "source": str(run), "method": options.method, **result.metrics.record()}
    rows, hardware = result.record(), _hardware({"source": run, "result": output}, device)
    if as_json:
        print(json.dumps(record | {"stages": rows, "hardware": hardware}, indent=2))
        return
    metric = result.metrics.metric
    shown_rows = [
        row | {metric: figure(metric, row["score"]), "channels": "-".join(map(str, row["channels"].values()))}
        for row in rows
    ]
    columns = [metric if column == "score" else column for column in STAGES]
    parts = [table(shown_rows, columns), *([table(hardware, COLUMNS)] if hardware else [])]
    print("\n\n".join([*parts, pairs({"run": output, "plot": output / "density.svg"})]))


def _hardware(runs: Mapping[str, Path], device: str | None) -> list[dict[str, Any]]:
    """A row for each run that hardware can be made of."""
    models = {name: run / "model.onnx" for name, run in runs.items() if not is_real(run)}
    with progress("hardware") as at:
        return [{"network": name} | at_equal_effort(path, device, at) for name, path in models.items()]


def read_sparsity(text: str) -> float | dict[str, float]:
    """One share, or shares by layer; raises GraphError."""
    parts = [part.split("=") for part in text.split(",")]
    try:
        if len(parts) == 1 and len(parts[0]) == 1:
            return float(text)
        shares = {name.strip(): float(share) for name, share in parts}
    except ValueError:
        raise GraphError(
            f"--sparsity: {text!r} is neither a share such as 0.5 nor one for each of some layers, as "
            "conv1=0.5,conv3=0.25"
        ) from None
    if len(shares) < len(parts):
        raise GraphError(f"--sparsity: {text!r} names a layer twice; give each once")
    return shares


def read_names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


READERS: dict[str, Callable[[str], Any]] = {"sparsity": read_sparsity, "excluded": read_names}


@contextmanager
def shown() -> Iterator[Any]:
    """A function that shows a ``PhaseProgress``."""
    with bar() as show:
        yield lambda at: show(at.share, f"{at.phase}: {(told := describe(at.state))[0]}", told[1])


def describe(state: Any) -> tuple[str, bool]:
    """Where a phase is, and whether that is worth a line of its own: training, a trial of CaP, or a choice of DCP."""
    match type(state).__name__:
        case "CapTrial":
            text = f"{state.group} with {state.keep} channels scores {state.score:.4f}, needs {state.threshold:.4f}"
            return text, True
        case "DcpProgress":
            what = f"channels of {state.name}" if state.name else "steps with auxiliary losses"
            return f"{state.done} of {state.total} {what}, loss {state.loss:.3g}", state.done == state.total
        case _:
            return line(state), state.test_score is not None
