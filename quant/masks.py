"""Masks: what every pruning method decides on; they live in the model, and physical narrowing comes after export."""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from ..errors import GraphError

Model = TypeVar("Model", bound=nn.Module)


class ChannelMask(nn.Module):
    """Multiplies the channels, axis 1, by 1 where kept and by 0 where dropped.

    rectified: only ReLUs follow. watchers: are shown all values before the mask, behind such a ReLU, while training.
    """

    kept: Tensor

    def __init__(self, channels: int, *, rectified: bool = False) -> None:
        super().__init__()
        self.register_buffer("kept", torch.ones(channels))
        self.rectified = rectified
        self.watchers: list[Callable[[Tensor], None]] = []

    def forward(self, values: Tensor) -> Tensor:
        if self.training:
            for watch in self.watchers:
                watch(values.relu() if self.rectified else values)
        return values * self.kept.view(1, -1, *[1] * (values.ndim - 2))


@dataclass(frozen=True, eq=False)
class Slice:
    """Where a group's channels are in a layer's weights: along ``axis`` from ``start`` on, ``repeats`` rows each."""

    layer: Any
    axis: int
    start: int
    repeats: int

    def weights(self, channels: int) -> Tensor:
        """A view of the weights of shape (channels, repeats, ...), in which they can be changed."""
        return self.of(self.layer.weight.detach(), channels)

    def of(self, tensor: Tensor, channels: int) -> Tensor:
        """The same view of a tensor shaped like the layer's weights, such as their gradient."""
        along = tensor.movedim(self.axis, 0)
        return along[self.start : self.start + channels * self.repeats].unflatten(0, (channels, self.repeats))


@dataclass(frozen=True, eq=False)
class Writer:
    """A layer that computes a group's channels, and the normalization and mask behind it, from ``start`` on."""

    weights: Slice
    norm: Any
    mask: Any
    start: int


@dataclass(frozen=True, eq=False)
class ChannelGroup:
    """Channels that live and die together: all layers that compute them and all that multiply them by weights.

    A depthwise layer belongs to the writers only: its weights of a channel go with the channel.
    """

    name: str
    channels: int
    writers: tuple[Writer, ...]
    readers: tuple[Slice, ...]

    @property
    def kept(self) -> Tensor:
        """Which channels are kept, bool of shape (channels,)."""
        return self.of(self.writers[0].mask.kept, self.writers[0]) > 0

    def mask(self, kept: Tensor) -> None:
        """Mask the channels that are not in ``kept``, bool of shape (channels,); another mask may bring them back."""
        for writer in self.writers:
            self.of(writer.mask.kept, writer).copy_(kept)

    def keep(self, kept: Tensor) -> None:
        """Drop the channels that are not in ``kept``, bool of shape (channels,); dropped ones do not come back.

        Raises GraphError if none would be left.
        """
        left = kept & self.kept
        if not left.any():
            raise GraphError(f"{self.name}: none of its {self.channels} channels would be left; keep at least one")
        self.mask(left)
        self.hold()

    def hold(self) -> None:
        """Zero the weights into and out of dropped channels, so that they sway no scale; call after each step."""
        dropped = ~self.kept
        if not dropped.any():
            return
        for part in (*(writer.weights for writer in self.writers), *self.readers):
            part.weights(self.channels)[dropped] = 0

    def silence(self) -> None:
        """Make the normalizations give exactly zero for dropped channels, as the masks do."""
        dropped = ~self.kept
        for writer in self.writers:
            norm = writer.norm
            for tensor, value in zip((norm.weight, norm.bias, norm.running_mean, norm.running_var), (0, 0, 0, 1)):
                self.of(tensor.detach(), writer)[dropped] = value

    def of(self, tensor: Tensor, writer: Writer) -> Tensor:
        """The part of a tensor along a writer's channels that is this group's."""
        return tensor[writer.start : writer.start + self.channels]


def fold_masks(model: Model) -> Model:
    """A copy without masks that computes the same: normalization makes each dropped channel exactly zero."""
    model = copy.deepcopy(model)
    for group in model.groups():  # type: ignore[operator]
        group.silence()
    for name in [name for name, layer in model.named_modules() if isinstance(layer, ChannelMask)]:
        model.set_submodule(name, nn.Identity())
    return model


def describe_masks(groups: tuple[ChannelGroup, ...]) -> list[dict[str, object]]:
    """Per group its name, channels, number kept, and the indices kept, as JSON values."""
    return [
        {
            "name": group.name,
            "channels": group.channels,
            "kept": int(group.kept.sum()),
            "indices": torch.nonzero(group.kept).flatten().tolist(),
        }
        for group in groups
    ]


def check_counts(groups: Sequence[ChannelGroup], counts: Sequence[int]) -> None:
    """Raise GraphError unless ``counts`` are channels to keep, one number per group."""
    if len(counts) != len(groups):
        names = ", ".join(group.name for group in groups)
        raise GraphError(f"keep: {len(counts)} numbers were given; give {len(groups)}, one per group ({names})")
    for group, count in zip(groups, counts):
        if not 1 <= count <= group.channels:
            raise GraphError(f"{group.name}: {count} channels were to be kept; give 1 to {group.channels}")
