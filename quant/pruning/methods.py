"""The methods of `espalier prune` by name: each turns a trained model into one with fewer channels."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ...errors import GraphError
from .allocation import keep_counts
from .criteria import find_criterion
from .options import PruneOptions
from .scheduled import ScheduledPruning
from .schedules import find_schedule
from .work import State, Work

WINDOW = (0.0, 0.4)
"""Shares of the training between which channels are dropped; the rest of it makes up for them."""


@dataclass(frozen=True)
class PruneMethod:
    """prune: takes a model and returns it pruned. check: raises GraphError for options that it cannot follow.

    defaults: of the options that not all methods take, and the share of the recipe's epochs that it trains. phases: the
    names of its phases, and how many epochs each is worth. real: it works on real numbers only.
    """

    prune: Callable[[Work, State], State]
    check: Callable[[PruneOptions, State], None]
    phases: Callable[[PruneOptions], dict[str, float]]
    defaults: Mapping[str, Any]
    real: bool = False


def find_method(name: str) -> PruneMethod:
    if name not in METHODS:
        raise GraphError(f"unknown method {name!r}; known methods: {', '.join(METHODS)}")
    return METHODS[name]


def widths(options: PruneOptions, state: State) -> tuple[int, ...]:
    """The channels that each group is to keep, never more than it has left."""
    sparsity = 0.0 if options.sparsity is None else options.sparsity
    excluded = options.excluded or ()
    counts = keep_counts(state.recipe.network, sparsity, round_to=options.round_to, excluded=excluded)
    return tuple(min(count, int(group.kept.sum())) for count, group in zip(counts, state.model.groups(), strict=True))


def _check_joint(options: PruneOptions, state: State) -> None:
    widths(options, state)
    find_schedule(options.schedule or "")
    find_criterion(options.criterion or "").check(state.model.groups())


def _joint(work: Work, state: State) -> State:
    """Channels go while the network trains, by any criterion on any schedule."""
    options = work.options
    method = ScheduledPruning(
        find_criterion(options.criterion or ""),
        find_schedule(options.schedule or ""),
        widths(options, state),
        WINDOW,
        options.seed,
    )
    return work.fit("prune", state, method, epochs=options.epochs)


METHODS = {
    "joint": PruneMethod(
        prune=_joint,
        check=_check_joint,
        phases=lambda options: {"prune": options.epochs or 0},
        defaults={
            "sparsity": 0.5, "excluded": (), "criterion": "activation-l1", "schedule": "layerwise", "epochs": 0.4,
        },
    ),
}  # fmt: skip
