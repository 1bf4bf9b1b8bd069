"""Trains a recipe into a run folder, with a bar and early figures on stderr."""

import json
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ..errors import BuildError, ToolError
from ..quant.override import override
from ..quant.recipes import find_recipe
from .progress import say
from .table import pairs

MAX_THREADS = 1024


def train_verb(
    recipe: str, output: Path, data: Path | None, changes: dict[str, Any], threads: int, as_json: bool
) -> None:
    chosen = override(find_recipe(recipe), **changes)
    if not 1 <= threads <= MAX_THREADS:
        raise BuildError(f"--threads: {threads} was given; it must be a whole number from 1 to {MAX_THREADS}")
    if data is not None and str(data) != "digits" and not data.exists():
        raise BuildError(
            f"{data}: no such file; --data is an .npz such as mnist.npz, the folder that holds it, or the word digits"
        )
    missing = [package for package in ("torch", "brevitas") if find_spec(package) is None]
    if missing:
        raise ToolError(f"{missing[0]} not found; training needs the extra: run `pip install 'espalier[train]'`")
    say(f"train {chosen.name}: {chosen.help}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # brevitas tells of optional packages that nothing here needs
        from ..quant.train import train  # torch takes seconds to load
    with shown() as progress:
        metrics = train(chosen, output, data=data, threads=threads, progress=progress)
    result = {"run": str(output), "recipe": chosen.name, **metrics.record()}
    shown_score = {metrics.metric: figure(metrics.metric, metrics.score)}
    print(json.dumps(result, indent=2) if as_json else pairs(result | shown_score))


@contextmanager
def shown() -> Iterator[Any]:
    """A function that shows a ``Progress``: a bar on a terminal, elsewhere one line per epoch."""
    if not sys.stderr.isatty():
        yield lambda state: say(line(state)) if state.test_score is not None else None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (BarColumn(), TextColumn("{task.description}"), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("", total=None)

        def show(state: Any) -> None:
            done = (state.epoch - 1) * state.batches + state.batch
            bar.update(task, total=state.epochs * state.batches, completed=done, description=line(state))

        yield show


def line(state: Any) -> str:
    score = f"{state.metric} {figure(state.metric, state.score)}"
    text = f"epoch {state.epoch}/{state.epochs}, loss {state.loss:.3f}, {score}"
    return text + ("" if state.test_score is None else f", on test samples {figure(state.metric, state.test_score)}")


def figure(metric: str, score: float) -> str:
    return f"{score:.2f} dB" if metric == "psnr_db" else f"{score:.2%}"
