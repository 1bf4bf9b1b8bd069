"""Rankings: how the order of a group's channels changes when those that it reads are pruned (Zhang et al. 2022)."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

import torch
from torch import Tensor, nn

from ...errors import GraphError
from ..evaluate import BATCH, device_of
from ..masks import ChannelMask
from ..model import QuantNetwork
from .criteria import Criterion
from .scheduled import RunningMean, keep_largest, mean_over_writers


@dataclass(frozen=True)
class Drift:
    """Of a group's ranking, with what it reads dense and pruned: Kendall's tau and the Levenshtein distance.

    read: the names of the groups that were pruned.
    """

    name: str
    channels: int
    read: tuple[str, ...]
    tau: float
    distance: int


def measure_drift(
    model: QuantNetwork,
    criterion: Criterion,
    inputs: Tensor,
    keep: Sequence[int],
    *,
    batch_statistics: bool,
    batch_size: int = BATCH,
) -> tuple[Drift, ...]:
    """The drift of each group that reads others, as those are pruned to ``keep`` channels by the same criterion.

    The importances are means over batches of ``inputs``, (samples, ...) as the model takes them. batch_statistics:
    whether batch normalizations take the mean and variance of the batch, as in training, or the running ones of the
    dense network, which no longer fit behind pruned channels. keep: one count per group. ``model`` stays as it is.
    Raises GraphError as ``measure_importance`` does.
    """
    model = copy.deepcopy(model)
    groups, reads = model.groups(), _find_read(model)

    def measure() -> tuple[Tensor, ...]:
        return measure_importance(model, criterion, inputs, batch_statistics=batch_statistics, batch_size=batch_size)

    dense, found = measure(), []
    for number, read in enumerate(reads):
        if not read:
            continue
        before = [groups[other].kept for other in read]
        for other in read:
            groups[other].mask(keep_largest(dense[other], keep[other]) & groups[other].kept)
        pruned = measure()[number]
        for other, kept in zip(read, before):
            groups[other].mask(kept)
        names = tuple(groups[other].name for other in read)
        tau = kendall_tau(dense[number], pruned)
        distance = levenshtein(order_of(dense[number]), order_of(pruned))
        found.append(Drift(groups[number].name, groups[number].channels, names, tau, distance))
    return tuple(found)


@torch.no_grad()
def measure_importance(
    model: QuantNetwork, criterion: Criterion, inputs: Tensor, *, batch_statistics: bool, batch_size: int = BATCH
) -> tuple[Tensor, ...]:
    """The importance of each group's channels, shape (channels,), by values: the mean over batches of ``inputs``.

    See ``measure_drift``. Raises GraphError for criteria that values do not sway, or that cannot tell a group's apart.
    """
    if criterion.statistic is None:
        raise GraphError(f"{criterion.name}: does not depend on what comes in; give activation-l1 or activation-l0")
    criterion.check(model.groups())
    model = _prepare(model, batch_statistics)
    groups = model.groups()
    means = [[RunningMean(criterion.statistic) for _ in group.writers] for group in groups]
    for group, row in zip(groups, means):
        for writer, mean in zip(group.writers, row):
            writer.mask.watchers.append(mean)
    for batch in inputs.tensor_split(ceil(len(inputs) / batch_size)):  # all of about one size
        model(batch.to(device_of(model)).float())
    return tuple(mean_over_writers(criterion, group, row) for group, row in zip(groups, means))


def kendall_tau(first: Tensor, second: Tensor) -> float:
    """2 / (n (n - 1)) times the sum over pairs of the products of their signs in both, shape (n,); a tie has sign 0."""
    if first.shape != second.shape or first.ndim != 1 or len(first) < 2:
        raise GraphError(f"importances of shapes {list(first.shape)} and {list(second.shape)} have no common order")
    signs = [torch.sign(values[:, None] - values).triu(1) for values in (first.double(), second.double())]
    count = len(first)
    return float((signs[0] * signs[1]).sum()) * 2 / (count * (count - 1))


def order_of(importance: Tensor) -> tuple[int, ...]:
    """The channels from the most important on; the lower index comes first in a tie."""
    return tuple(torch.argsort(importance, descending=True, stable=True).tolist())


def levenshtein(first: Sequence[int], second: Sequence[int]) -> int:
    """The fewest insertions, deletions and substitutions that make one sequence the other."""
    row = list(range(len(second) + 1))
    for place, item in enumerate(first, 1):
        diagonal, row[0] = row[0], place
        for other, wanted in enumerate(second, 1):
            diagonal, row[other] = row[other], min(row[other] + 1, row[other - 1] + 1, diagonal + (item != wanted))
    return row[-1]


def _prepare(model: QuantNetwork, batch_statistics: bool) -> QuantNetwork:
    """A copy in evaluation mode but for the masks, which show what they take in, and perhaps the normalizations."""
    model = copy.deepcopy(model).eval()
    for layer in model.modules():
        if isinstance(layer, ChannelMask):
            layer.watchers.clear()
            layer.train()
        elif batch_statistics and isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            layer.train()
    return model


def _find_read(model: QuantNetwork) -> list[list[int]]:
    """By group, the numbers of the groups that its layers multiply by weights."""
    writers = [{place.layer for place in coupling.writers} for coupling in model.couplings]
    readers = [{place.layer for place in coupling.readers} for coupling in model.couplings]
    return [
        [number for number, layers in enumerate(readers) if layers & own and number != group]
        for group, own in enumerate(writers)
    ]
