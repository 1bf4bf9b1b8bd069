"""The weights of plain PyTorch layers, as a QuantNetwork has them: biases and normalizations are made equal."""

from typing import Any

import torch
from torch import Tensor, nn

EPSILON = nn.BatchNorm2d(1).eps  # of the normalizations in a QuantNetwork


def tensors_of(name: str, module: Any, norm: Any, *, is_last: bool) -> dict[str, Tensor]:
    """By its name in a QuantNetwork, each tensor of the layer ``name`` that does what ``module`` and ``norm`` do.

    The bias is taken off the running mean; a layer without normalization has a factor of 1 and its bias as term. The
    last one has its normalization in weights and bias. norm: a batch normalization or None.
    """
    weight = module.weight.detach().clone()
    bias = torch.zeros(_channels(module)) if module.bias is None else module.bias.detach().clone()
    if is_last:
        return _last(name, module, norm, weight, bias)
    ones, zeros = torch.ones_like(bias), torch.zeros_like(bias)
    if norm is None:
        values = ones * (1 + EPSILON) ** 0.5, bias, zeros, ones
    else:
        factor, term = _affine(norm)
        mean, variance = norm.running_mean, norm.running_var
        # Both have the same result where epsilon is the same, bit by bit.
        same = factor if norm.eps == EPSILON else factor * ((variance + EPSILON) / (variance + norm.eps)).sqrt()
        values = same, term, mean - bias, variance
    keys = ("weight", "bias", "running_mean", "running_var")
    found = {f"{name}_norm.{key}": value.detach().clone() for key, value in zip(keys, values)}
    return {f"{name}.weight": weight} | found


def _last(name: str, module: Any, norm: Any, weight: Tensor, bias: Tensor) -> dict[str, Tensor]:
    if norm is not None:
        factor, term = _affine(norm)
        gain = factor / (norm.running_var + norm.eps).sqrt()
        weight *= (
            gain.view(1, -1, 1, 1)
            if isinstance(module, nn.ConvTranspose2d)
            else gain.view(-1, *[1] * (weight.ndim - 1))
        )
        bias = term + (bias - norm.running_mean) * gain
    found = {f"{name}.weight": weight}
    return found if norm is None and module.bias is None else found | {f"{name}.bias": bias.detach()}


def _affine(norm: Any) -> tuple[Tensor, Tensor]:
    """Factor and term of a batch normalization, which may have none."""
    if norm.weight is None:
        return torch.ones_like(norm.running_mean), torch.zeros_like(norm.running_mean)
    return norm.weight.detach(), norm.bias.detach()


def _channels(module: Any) -> int:
    return module.out_features if isinstance(module, nn.Linear) else module.out_channels
