"""Pruning: which channels the masks drop, by magnitude, and when during training."""

from collections.abc import Sequence

import torch
from torch import Tensor

from .masks import ChannelGroup


def magnitude(group: ChannelGroup) -> Tensor:
    """How much a channel moves its readers, shape (channels,): its spread times the norm of the weights on it."""
    outgoing = sum(part.weights(group.channels).square().flatten(1).sum(1) for part in group.readers)
    ends = ((writer.start, writer.start + group.channels) for writer in group.writers)
    spread = sum(writer.norm.weight.detach()[slice(*end)].abs() for writer, end in zip(group.writers, ends))
    return torch.as_tensor(spread) * torch.sqrt(torch.as_tensor(outgoing))


def keep_largest(group: ChannelGroup, importance: Tensor, count: int) -> None:
    """Keep the ``count`` most important channels among those still there; the lower index wins a tie."""
    importance = torch.where(group.kept, importance, -torch.inf)
    kept = torch.zeros_like(group.kept)
    kept[torch.argsort(importance, descending=True, stable=True)[:count]] = True
    group.keep(kept)


def channels_in_epoch(channels: int, keep: int, epoch: int, epochs: int) -> int:
    """Channels left in an epoch, counted from 0: they fall evenly between one and three fifths of the training."""
    start, end = epochs // 5, max(epochs // 5, epochs * 3 // 5 - 1)
    share = 1.0 if epoch >= end else max(0, epoch - start + 1) / (end - start + 1)
    return channels - round(share * (channels - keep))


def prune_groups(groups: Sequence[ChannelGroup], keep: Sequence[int], epoch: int, epochs: int) -> None:
    """Drop the least of each group's channels, down to what the epoch asks for on the way to ``keep``."""
    for group, target in zip(groups, keep, strict=True):
        count = channels_in_epoch(group.channels, target, epoch, epochs)
        if count < int(group.kept.sum()):
            keep_largest(group, magnitude(group), count)
