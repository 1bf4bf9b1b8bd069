"""CaP: channels chosen by the output variance that they explain, and what is lost put onto those that stay.

After Xie et al., arXiv 2108.13728: no training, only calibration samples. Where they leave open what a layer should
give once others before it are pruned, it is here what it gave in the network as it was.
"""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..masks import ChannelGroup, check_counts
from ..model import QuantNetwork
from ..recipes import Recipe
from .moments import Moments
from .readers import POSITIONS, Reader, measure_readers
from .regression import Explanation, explained, refit
from .scheduled import keep_largest
from .terms import factors, is_batch_norm, is_norm, set_term
from .unfold import set_weights, weights_of

TRUST = 0.03  # the ridge of a fit with as many features as rows; it falls as rows are more


@dataclass(frozen=True)
class CapGroup:
    """What became of a group. constant: how many of its channels never changed in any reader.

    explained: the share of the variance of its readers' outputs that the kept channels explain, its mean over readers.
    """

    name: str
    channels: int
    kept: int
    constant: int
    explained: float


@dataclass(frozen=True)
class CapResult:
    """scores: on the held-out samples, before the first and after each group; none where nothing was measured."""

    groups: tuple[CapGroup, ...]
    scores: tuple[float, ...] = ()


def cap(
    model: QuantNetwork,
    recipe: Recipe,
    inputs: Tensor,
    *,
    keep: Sequence[int] | None = None,
    importance: Callable[[ChannelGroup], Tensor] | None = None,
    positions: int = POSITIONS,
) -> CapResult:
    """Leave ``keep`` channels of each group, or those of ``recipe.keep``, and compensate their readers, in place.

    Groups are visited from input to output, each measured behind those already pruned; readers of a group that keeps
    all are fitted too. inputs: calibration samples, (samples, ...) as the model takes them; no labels are needed.
    importance: chooses channels in place of the explained variance, so that only compensation is CaP's. positions: see
    ``measure_readers``.

    The model is left in evaluation mode. Compensated weights have a wider range: what holds scales of them must be
    calibrated afterwards. Few samples are no error: the fewer, the less weights move. Raises GraphError.
    """
    counts = recipe.keep if keep is None else tuple(keep)
    check_counts(model.groups(), counts)
    reference, found = copy.deepcopy(model), []
    for group, count in zip(model.groups(), counts):
        readers = measure_readers(model, reference, group, inputs, positions=positions)
        if importance is None:
            kept = keep_first(group, rank(group, readers), count)
        else:
            kept = keep_largest(torch.where(group.kept, importance(group), -torch.inf), count)
        compensate(group, kept, readers)
        found.append(describe(group, readers))
    return CapResult(tuple(found))


@torch.no_grad()
def rank(group: ChannelGroup, readers: Sequence[Reader]) -> list[int]:
    """The channels not dropped before, the one that explains most first; constant ones come last.

    Each next channel is the one that adds most explained output variance to those before it and to what else the
    readers take in. Outputs count as they are behind the reader's normalization; the variance is taken as a share of
    the whole of a reader, and summed over readers.
    """
    explanations = [_explain_others(reader) for reader in readers]
    constant = constant_channels(group, readers)
    left = torch.nonzero(group.kept & ~constant).flatten()
    order: list[int] = []
    while len(left):
        gains = sum(part.gains(reader.blocks[left]) for part, reader in zip(explanations, readers))
        best = int(left[torch.as_tensor(gains).argmax()])
        for part, reader in zip(explanations, readers):
            part.add(reader.blocks[best])
        order.append(best)
        left = left[left != best]
    return order + torch.nonzero(group.kept & constant).flatten().tolist()


def constant_channels(group: ChannelGroup, readers: Sequence[Reader]) -> Tensor:
    """Which channels do not change in any reader, bool of shape (channels,): a bias does for them exactly."""
    constant = torch.ones_like(group.kept)
    for reader in readers:
        constant &= ((reader.moments.covariance.diagonal() == 0) & reader.alive)[reader.blocks].all(1)
    return constant


def keep_first(group: ChannelGroup, order: Sequence[int], count: int) -> Tensor:
    """The first ``count`` channels of ``order`` as bool of shape (channels,)."""
    kept = torch.zeros_like(group.kept)
    kept[list(order[:count])] = True
    return kept


@torch.no_grad()
def compensate(group: ChannelGroup, kept: Tensor, readers: Sequence[Reader]) -> None:
    """Drop the channels that are not in ``kept``, bool of shape (channels,), and let the others stand in for them.

    readers: of ``measure_readers``, with the group as it is. Their weights become the least squares fit of the outputs
    in the reference by all that they still take in, and the means go into biases. Outputs before a batch normalization
    are scaled to the variance that they had, which it expects.
    """
    for reader in readers:
        _compensate(reader, kept & group.kept)
    group.keep(kept)


def describe(group: ChannelGroup, readers: Sequence[Reader]) -> CapGroup:
    """The group as it is now; ``readers``: as they were measured."""
    shares = [_share_explained(reader) for reader in readers]
    constant = int(constant_channels(group, readers).sum())
    return CapGroup(group.name, group.channels, int(group.kept.sum()), constant, sum(shares) / len(shares))


def _compensate(reader: Reader, kept: Tensor) -> None:
    moments, alive = reader.moments, reader.alive.clone()
    alive[reader.blocks[~kept].flatten()] = False
    fitted = refit(weights_of(reader.layer), moments.covariance, moments.cross, alive, _ridge(moments))
    if is_batch_norm(reader.shift):
        made = (fitted @ moments.covariance * fitted).sum(1)
        fitted *= torch.where(made > 0, moments.output_variance / made, 1.0).sqrt()[:, None]
    set_weights(reader.layer, fitted)
    if reader.shift is not None:
        set_term(reader.shift, reader.shift_before, moments.output_mean - fitted @ moments.mean)


def _share_explained(reader: Reader) -> float:
    moments = reader.moments
    importance = _importance(reader)
    found = explained(weights_of(reader.layer) * reader.alive, moments.covariance, moments.cross)
    return float(importance @ found) if importance @ moments.output_variance else 1.0


def _importance(reader: Reader) -> Tensor:
    """Of each output's variance, so that the whole is 1, shape (outputs,)."""
    variance = reader.moments.output_variance
    importance = factors(reader.shift).double().square() if is_norm(reader.shift) else torch.ones_like(variance)
    whole = float(importance @ variance)
    return importance / whole if whole else importance


def _ridge(moments: Moments) -> float:
    return TRUST * len(moments.mean) / moments.rows


def _explain_others(reader: Reader) -> Explanation:
    """An explanation to which all but the group's channels are added."""
    alive, moments = reader.alive, reader.moments
    cross = moments.cross * alive * _importance(reader).sqrt()[:, None]
    explanation = Explanation(moments.covariance * torch.outer(alive, alive), cross, _ridge(moments))
    others = alive.clone()
    others[reader.blocks.flatten()] = False
    explanation.add(torch.nonzero(others).flatten())
    return explanation
