"""Options of pruning: what is asked for, and every number of it settled before the work begins."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from ...errors import GraphError
from ..override import Numbers, override
from ..recipes import Recipe

QUANTIZE_EPOCHS = 0.4
"""As a share of the recipe's."""


@dataclass(frozen=True)
class PruneOptions:
    """How a finished run is pruned and quantized; None leaves it to the method or the run.

    sparsity: the share of the channels that goes, of every group, or by name of a layer. round_to: pruned widths are
    multiples of it. excluded: names of layers that keep all channels. weight_bits, activation_bits: as in ``override``.
    criterion, schedule: by name. max_drop: of the score, in points of percent or in dB. energy: the share of each
    layer's squared singular values that stays. epochs: of training while and after channels go. quantize_epochs: of
    training once quantized; with 0, quantizers are only set by data. learning_rate: of both. calib: how many training
    samples, from the first, quantizers are set by, and channels chosen by where that takes no training.
    """

    method: str = "joint"
    sparsity: float | Mapping[str, float] | None = None
    round_to: int = 1
    excluded: Sequence[str] | None = None
    weight_bits: Numbers | None = None
    activation_bits: Numbers | None = None
    criterion: str | None = None
    schedule: str | None = None
    max_drop: float | None = None
    energy: float | None = None
    epochs: int | None = None
    quantize_epochs: int | None = None
    learning_rate: float | None = None
    calib: int = 256
    seed: int = 0

    def record(self) -> dict[str, Any]:
        """Every option as a JSON value."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


def settle(options: PruneOptions, defaults: Mapping[str, Any], recipe: Recipe) -> PruneOptions:
    """``options`` with all that was left open filled in, from the method's ``defaults`` and the run's ``recipe``.

    defaults: of the options that not all methods take, and ``epochs`` as a share of the recipe's. Raises GraphError
    naming the option that is wrong.
    """
    for name in ("sparsity", "excluded", "criterion", "schedule", "max_drop", "energy"):
        if getattr(options, name) is not None and name not in defaults:
            raise GraphError(f"{_flag(name)}: {options.method} takes none; leave it out, or choose another --method")
    values = {"learning_rate": recipe.learning_rate, "quantize_epochs": QUANTIZE_EPOCHS, **defaults}
    values |= {name: _epochs(values[name], recipe) for name in ("epochs", "quantize_epochs")}
    settled = replace(options, **{name: value for name, value in values.items() if getattr(options, name) is None})
    for name, least in (("epochs", 0), ("quantize_epochs", 0), ("round_to", 1), ("calib", 2)):
        value = getattr(settled, name)
        if value < least:
            raise GraphError(f"{_flag(name)}: {value} was given; it must be at least {least}")
    override(recipe, learning_rate=settled.learning_rate, seed=settled.seed)
    return settled


def _flag(name: str) -> str:
    return "--exclude" if name == "excluded" else f"--{name.replace('_', '-')}"


def _epochs(share: float, recipe: Recipe) -> int:
    return max(1, round(share * recipe.epochs)) if share else 0
