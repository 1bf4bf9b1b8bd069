"""Masks: what every pruning method decides on; they live in the model, and physical narrowing comes after export."""

import copy
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

Model = TypeVar("Model", bound=nn.Module)


class ChannelMask(nn.Module):
    """Multiplies the channels, axis 1, by 1 where kept and by 0 where dropped."""

    kept: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("kept", torch.ones(channels))

    def forward(self, values: Tensor) -> Tensor:
        return values * self.kept.view(1, -1, *[1] * (values.ndim - 2))


@dataclass(frozen=True, eq=False)
class ChannelGroup:
    """Channels that live and die together: the mask behind their normalization, who writes and who reads them.

    Layers have weights of shape (outputs, inputs, ...). Later couplings (residual sums, concatenations) are groups with
    several writers or readers.
    """

    name: str
    mask: Any
    norm: Any
    writers: tuple[Any, ...]
    readers: tuple[Any, ...]

    @property
    def kept(self) -> Tensor:
        """Which channels are kept, bool of shape (channels,)."""
        return self.mask.kept > 0

    def keep(self, kept: Tensor) -> None:
        """Drop the channels that are not in ``kept``, bool of shape (channels,); dropped ones do not come back."""
        self.mask.kept.mul_(kept)
        self.hold()

    def hold(self) -> None:
        """Zero the weights into and out of dropped channels, so that they sway no scale; call after each step."""
        dropped = ~self.kept
        with torch.no_grad():
            for layer in self.writers:
                layer.weight[dropped] = 0
            for layer in self.readers:
                layer.weight[:, dropped] = 0


def fold_masks(model: Model) -> Model:
    """A copy without masks that computes the same: normalization makes each dropped channel exactly zero."""
    model = copy.deepcopy(model)
    for group in model.groups():  # type: ignore[operator]
        dropped = ~group.kept
        with torch.no_grad():
            for tensor, value in zip(
                (group.norm.weight, group.norm.bias, group.norm.running_mean, group.norm.running_var), (0, 0, 0, 1)
            ):
                tensor[dropped] = value
    for name in [name for name, layer in model.named_modules() if isinstance(layer, ChannelMask)]:
        model.set_submodule(name, nn.Identity())
    return model


def describe_masks(groups: tuple[ChannelGroup, ...]) -> list[dict[str, object]]:
    """Per group its name, channels, number kept, and the indices kept, as JSON values."""
    return [
        {
            "name": group.name,
            "channels": len(group.kept),
            "kept": int(group.kept.sum()),
            "indices": torch.nonzero(group.kept).flatten().tolist(),
        }
        for group in groups
    ]
