"""Options of discrimination-aware channel pruning."""

import math
from dataclasses import dataclass

from ...errors import GraphError

LAYERS_PER_LOSS = 7  # the authors advise one auxiliary loss per 5 to 10 layers


@dataclass(frozen=True)
class DcpOptions:
    """How channels are chosen; raises GraphError naming an option out of its range.

    lam: weight of the discrimination beside the reconstruction: 0 only reconstructs, ``math.inf`` only discriminates.
    eps: a group is done where the objective is below what it was without channels, and a round lowers it by no more
    than this share of that; None: only where ``keep`` is reached.
    round_to: numbers of channels are rounded up to multiples of it, or to all there are.

    auxiliary: losses inside of the network, at most; None: one for each LAYERS_PER_LOSS layers with weights, so that
    small networks are judged by their output alone. One at the very layer that reads the channels misleads.
    auxiliary_epochs, auxiliary_lr: of the training with them before any channel is dropped, by Adam.

    selection_images: of the training set, drawn anew for each group, by which its channels are chosen.
    selection_steps, selection_lr, batch_size: of the re-optimisation after each round, by SGD; its learning rate falls
    to zero in each. channels_per_round: how many are chosen by one gradient; more is faster.
    """

    lam: float = 1.0
    eps: float | None = None
    round_to: int = 1
    auxiliary: int | None = None
    auxiliary_epochs: int = 5
    auxiliary_lr: float = 0.002
    selection_images: int = 1000
    selection_steps: int = 50
    selection_lr: float = 0.03
    batch_size: int = 128
    channels_per_round: int = 1

    def __post_init__(self) -> None:
        for name in ("round_to", "selection_images", "batch_size", "channels_per_round"):
            _check(name, getattr(self, name), 1)
        for name in ("lam", "auxiliary_epochs", "selection_steps"):
            _check(name, getattr(self, name), 0)
        if self.auxiliary is not None:
            _check("auxiliary", self.auxiliary, 0)
        for name in ("auxiliary_lr", "selection_lr"):
            if not 0 < getattr(self, name) < 10:
                raise GraphError(f"dcp: {name} is {getattr(self, name)}; it must be above 0 and below 10")
        if self.eps is not None and not 0 <= self.eps < 1:
            raise GraphError(f"dcp: eps is {self.eps}; it must be from 0 to below 1, or None to keep a given number")


def _check(name: str, value: float, least: int) -> None:
    if math.isnan(value) or value < least:
        raise GraphError(f"dcp: {name} is {value}; it must be at least {least}")
