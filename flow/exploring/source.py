"""The run that networks are made from, and every number of their training settled before the first one trains."""

import hashlib
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from ..folder import digest_of
from .settings import Training


@dataclass(frozen=True)
class Wishes:
    """What the user says of training; None leaves it to the method or the run."""

    method: str
    epochs: int | None
    quantize_epochs: int | None
    learning_rate: float | None
    calibration: int
    seed: int
    threads: int


@dataclass(frozen=True)
class Source:
    """metric: of the run, such as accuracy."""

    metric: str
    training: Training


def read_source(
    run: Path,
    data: Path | None,
    wishes: Wishes,
    sparsities: Iterable[float],
    widths: Iterable[tuple[float, float]],
) -> Source:
    """The finished run and how networks are made of it; raises for all that no network could be made with.

    widths: bits of weights and of activations, in pairs.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # brevitas tells of optional packages that nothing here needs
        from ...quant.data import load_dataset
        from ...quant.override import override
        from ...quant.pruning.methods import find_method
        from ...quant.pruning.options import PruneOptions, settle
        from ...quant.pruning.work import State
        from ...quant.quantize import QuantizeOptions
        from ...quant.runs import load_run
        from ...quant.tasks import find_task
    loaded, method = load_run(run), find_method(wishes.method)
    state, recipe = State(loaded.model, loaded.recipe, []), loaded.recipe
    for weights, activations in widths:
        override(recipe, weight_bits=weights, activation_bits=activations)
    options = PruneOptions(
        wishes.method, epochs=wishes.epochs, quantize_epochs=wishes.quantize_epochs,
        learning_rate=wishes.learning_rate, calib=wishes.calibration, seed=wishes.seed,
    )  # fmt: skip
    settled = settle(options, method.defaults, recipe)
    for sparsity in sparsities:
        if sparsity:
            given = PruneOptions(**{**settled.record(), "sparsity": sparsity})
            method.check(settle(given, method.defaults, recipe), state)
    dataset = load_dataset(recipe, data)
    QuantizeOptions(calibration=wishes.calibration).check(len(dataset.train_inputs))
    source = hashlib.sha256(b"".join((run / name).read_bytes() for name in ("recipe.json", "model.safetensors")))
    training = Training(
        source=digest_of([source.hexdigest(), dataset.digest()]),
        method=wishes.method,
        epochs=settled.epochs or 0,
        quantize_epochs=settled.quantize_epochs or 0,
        learning_rate=settled.learning_rate or recipe.learning_rate,
        calibration=wishes.calibration,
        seed=wishes.seed,
        threads=wishes.threads,
    )
    return Source(find_task(recipe.task).metric, training)


def pairs_of(weights: Iterable[float], activations: Iterable[float]) -> list[tuple[float, float]]:
    return list(product(weights, activations))
