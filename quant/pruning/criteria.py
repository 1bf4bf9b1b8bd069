"""Criteria: how much a channel matters, by its values, its weights, its normalization, or by chance."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ...errors import GraphError
from ..masks import ChannelGroup

Statistic = Callable[[Tensor], Tensor]
"""From the values (images, channels, ...) of a batch to one number for each channel."""


@dataclass(frozen=True)
class Criterion:
    """Importance of a group's channels, shape (channels,), from weights or from the running mean of a statistic.

    statistic: of what the masks take in, behind a ReLU where one follows; None where weights or chance decide.
    needs_zeros: it tells nothing of values that are never 0.
    """

    name: str
    statistic: Statistic | None = None
    of_weights: Callable[[ChannelGroup], Tensor] | None = None
    needs_zeros: bool = False

    def check(self, groups: tuple[ChannelGroup, ...]) -> None:
        """Raise GraphError for a group whose channels this criterion cannot tell apart."""
        for group in groups:
            if self.needs_zeros and not any(writer.mask.rectified for writer in group.writers):
                raise GraphError(
                    f"{group.name}: {self.name} counts zeros, but no ReLU follows these channels; "
                    "exclude the group, or use activation-l1"
                )


def mean_magnitude(values: Tensor) -> Tensor:
    return values.abs().transpose(0, 1).flatten(1).mean(1)


def share_of_nonzeros(values: Tensor) -> Tensor:
    return (values != 0).float().transpose(0, 1).flatten(1).mean(1)


def weight_magnitude(group: ChannelGroup) -> Tensor:
    """The mean magnitude of the weights that compute a channel, over all layers that do."""
    parts = [part.weights.weights(group.channels).abs().flatten(1) for part in group.writers]
    return torch.cat(parts, 1).mean(1)


def norm_factor(group: ChannelGroup) -> Tensor:
    """The magnitude of the normalizations' factors (network slimming's measure)."""
    factors = [group.of(writer.norm.weight.detach(), writer).abs() for writer in group.writers]
    return torch.stack(factors).sum(0)


def spread(group: ChannelGroup) -> Tensor:
    """How much a channel moves its readers: the normalizations' factors times the norm of the weights on it."""
    outgoing = sum(part.weights(group.channels).square().flatten(1).sum(1) for part in group.readers)
    return norm_factor(group) * torch.sqrt(torch.as_tensor(outgoing))


CRITERIA = {
    criterion.name: criterion
    for criterion in (
        Criterion("activation-l1", statistic=mean_magnitude),
        Criterion("activation-l0", statistic=share_of_nonzeros, needs_zeros=True),
        Criterion("weight-l1", of_weights=weight_magnitude),
        Criterion("bn-gamma", of_weights=norm_factor),
        Criterion("spread", of_weights=spread),
        Criterion("random"),
    )
}


def find_criterion(name: str) -> Criterion:
    if name not in CRITERIA:
        raise GraphError(f"unknown criterion {name!r}; known criteria: {', '.join(CRITERIA)}")
    return CRITERIA[name]
