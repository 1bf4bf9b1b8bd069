"""Layers with weights as matrices: what their outputs are products of, whether dense, convolution or transposed."""

from math import prod
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..masks import ChannelGroup


def unfold(layer: Any, values: Tensor) -> Tensor:
    """A layer's features, shape (samples, features, windows), from its inputs (samples, ...).

    The features of a convolution are channels times taps of its kernel, zeros of the padding included. A transposed
    convolution is one of stride 1, by the kernel turned around, on inputs between which zeros were put: its windows
    are the pixels that it gives.
    """
    if isinstance(layer, nn.Linear):
        return values[:, :, None]
    if not isinstance(layer, nn.ConvTranspose2d):
        return functional.unfold(values, layer.kernel_size, padding=layer.padding, stride=layer.stride)
    (rows, columns), (down, right) = values.shape[2:], layer.stride
    spread = values.new_zeros(*values.shape[:2], (rows - 1) * down + 1, (columns - 1) * right + 1)
    spread[:, :, ::down, ::right] = values
    vertical, horizontal = (int(kernel) - 1 - int(crop) for kernel, crop in zip(layer.kernel_size, layer.padding))
    spread = functional.pad(spread, (horizontal, horizontal, vertical, vertical))
    return functional.unfold(spread, layer.kernel_size)


def weights_of(layer: Any) -> Tensor:
    """A layer's weights as a matrix (outputs, features) of float64, a copy."""
    weights = layer.weight.detach().double()
    if isinstance(layer, nn.ConvTranspose2d):
        weights = weights.transpose(0, 1).flip(2, 3)
    return weights.flatten(1)


def set_weights(layer: Any, matrix: Tensor) -> None:
    """The reverse of ``weights_of``."""
    weights = layer.weight.detach()
    if isinstance(layer, nn.ConvTranspose2d):
        weights.copy_(matrix.reshape(weights.transpose(0, 1).shape).flip(2, 3).transpose(0, 1))
    else:
        weights.copy_(matrix.reshape(weights.shape))


def features_of(layer: Any, group: ChannelGroup) -> Tensor:
    """Which features of a layer each channel of ``group`` is, integers of shape (channels, features of one)."""
    taps = 1 if isinstance(layer, nn.Linear) else prod(layer.kernel_size)
    parts = []
    for part in group.readers:
        if part.layer is layer:
            wide = part.repeats * taps
            parts.append(part.start * taps + torch.arange(group.channels * wide).unflatten(0, (group.channels, wide)))
    return torch.cat(parts, 1).to(layer.weight.device)
