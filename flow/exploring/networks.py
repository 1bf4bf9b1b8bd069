"""The network of a point: trained once, whoever needs it first, and read as an exact integer graph."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from ...errors import GraphError
from ..folder import LOCK, BuildFolder, digest_of, open_build
from .settings import NETWORK_AXES, Point, Training

At = Callable[[str], None]


@dataclass(frozen=True)
class Network:
    """A run folder, the build folder that holds its graph, and what training and the integer reference say of it.

    scores: its score on the test set by the exact reference, memory, density.
    """

    name: str
    run: Path
    build: BuildFolder
    scores: dict[str, float]


def network_name(training: Training, point: Point) -> str:
    """Of all that the network depends on; its start is for people."""
    chosen = {axis: point[axis] for axis in NETWORK_AXES}
    digest = digest_of([asdict(training), chosen])
    return f"s{chosen['sparsity']:g}-w{chosen['weights']:g}-a{chosen['activations']:g}-{digest[:8]}"


def make_network(run: Path, data: Path | None, folder: Path, training: Training, point: Point, at: At) -> Network:
    """Train and import the network of ``point`` into ``folder``, or read what is there.

    The networks of an exploration share the folder: that of a name is made by one process while others wait, and one
    that was left half done is continued, to the same bytes.
    """
    name = network_name(training, point)
    network, build = folder / "networks" / name, folder / "builds" / name
    with _alone(folder / "locks" / f"{name}.lock", network / ".train.lock", build / LOCK):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # brevitas tells of optional packages that nothing here needs
            try:
                _train(run, data, network, training, point, at)
            except GraphError as error:
                raise GraphError(f"{name}: {error}") from error
        return Network(name, network, BuildFolder(build), _import(network, build, at))


def _train(run: Path, data: Path | None, folder: Path, training: Training, point: Point, at: At) -> None:
    from ...quant.pruning.options import PruneOptions
    from ...quant.pruning.prune import prune
    from ...quant.quantize import QuantizeOptions, quantize

    bits: dict[str, Any] = {"weight_bits": point["weights"], "activation_bits": point["activations"]}
    more: dict[str, Any] = {"data": data, "threads": training.threads}
    if point["sparsity"]:
        options = PruneOptions(
            method=training.method, sparsity=point["sparsity"], epochs=training.epochs,
            quantize_epochs=training.quantize_epochs, learning_rate=training.learning_rate,
            calib=training.calibration, seed=training.seed, **bits,
        )  # fmt: skip
        prune(run, folder, options, progress=lambda state: at(f"{state.phase}, {state.share:.0%}"), **more)
        return
    epochs = training.epochs + training.quantize_epochs
    how = {"epochs": epochs, "learning_rate": training.learning_rate} if epochs else {}
    options = QuantizeOptions("train" if epochs else "calibrate", training.calibration)
    quantize(
        run, folder, bits | how | {"seed": training.seed}, options,
        progress=lambda state: at(f"quantize, epoch {state.epoch} of {state.epochs}"), **more,
    )  # fmt: skip


def _import(network: Path, build: Path, at: At) -> dict[str, float]:
    from ..importing import import_model
    from ..model import find_model
    from ..options import ImportOptions
    from ..report import check
    from ..scores import MEMORY, METRICS

    model, options = find_model(network), ImportOptions()
    given = asdict(options) | model.identity()
    with open_build(build, create=True) as folder:
        if not folder.is_current("import", given):
            folder.run("import", given, lambda partial: import_model(model, options, partial, at))
        check(folder, "import")
        found = folder.summary()
    return {name: found[name] for name in ("accuracy", *METRICS, *MEMORY, "density") if name in found}


@contextmanager
def _alone(lock: Path, *inner: Path) -> Iterator[None]:
    """Hold ``lock``; whoever died with it has let go of the ``inner`` ones, too, which nobody may wait for later."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(lock):
        for path in inner:
            if path.exists():
                with FileLock(path):
                    pass
        yield
