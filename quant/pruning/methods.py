"""The methods of `espalier prune` by name: each turns a trained model into one of fewer channels, or of low rank."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ...errors import GraphError
from .choosing import auxiliary_epochs, check_cap, run_cap, run_dcp
from .options import PruneOptions
from .training_away import check_joint, check_str, check_trp, run_joint, run_str, run_trp
from .work import State, Work, widths

SCHEDULED = {"criterion": "activation-l1", "schedule": "layerwise"}
EPOCHS = 0.4
"""Of the recipe's, for methods that train."""


@dataclass(frozen=True)
class PruneMethod:
    """run: takes a model and returns it pruned. check: raises GraphError for options that it cannot follow.

    defaults: of the options that not all methods take, and the share of the recipe's epochs that it trains. phases: the
    names of its phases, and how many epochs each is worth. real: it works on real numbers only. recalibrates: the
    statistics of normalizations are taken anew behind it; not where weights were fitted to those there are.
    """

    run: Callable[[Work, State], State]
    check: Callable[[PruneOptions, State], object]
    phases: Callable[[PruneOptions], dict[str, float]]
    defaults: Mapping[str, Any]
    real: bool = False
    recalibrates: bool = True


def find_method(name: str) -> PruneMethod:
    if name not in METHODS:
        raise GraphError(f"unknown method {name!r}; known methods: {', '.join(METHODS)}")
    return METHODS[name]


def _training(options: PruneOptions) -> dict[str, float]:
    return {"prune": options.epochs or 0}


def _retraining(options: PruneOptions) -> dict[str, float]:
    return {"retrain": options.epochs} if options.epochs else {}


METHODS = {
    "joint": PruneMethod(
        run_joint, check_joint, _training, {"sparsity": 0.5, "excluded": (), "epochs": EPOCHS} | SCHEDULED
    ),
    "cap": PruneMethod(
        run_cap,
        check_cap,
        lambda options: {"choose": 1.0} | _retraining(options),
        {"sparsity": None, "excluded": (), "max_drop": None, "epochs": 0},
    ),
    "dcp": PruneMethod(
        run_dcp,
        widths,
        lambda options: {"choose": 2.0 * auxiliary_epochs(options)} | _retraining(options),
        {"sparsity": 0.5, "excluded": (), "epochs": EPOCHS},
        real=True,
        recalibrates=False,
    ),
    "str": PruneMethod(
        run_str,
        check_str,
        lambda options: {"budget": options.epochs or 0} | _training(options),
        {"sparsity": 0.5, "epochs": EPOCHS} | SCHEDULED,
    ),
    "trp": PruneMethod(run_trp, check_trp, _training, {"energy": 0.95, "epochs": EPOCHS}, real=True),
}
