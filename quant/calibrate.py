"""Post-training quantization: a trained network in few bits by calibration alone."""

import copy
from typing import Any

import torch
from torch import Tensor, nn

from .bits import FLOAT
from .model import QuantNetwork
from .quantizers import Affine
from .recipes import Recipe
from .swis.assign import assign_shifts
from .transfer import RANGES, new_quantizers, recalibrate_norms, transfer

TINY = 1e-12  # variance, of channels that are always 0


def calibrate(model: QuantNetwork, recipe: Recipe, inputs: Tensor) -> QuantNetwork:
    """``model`` in the bits of ``recipe``, not trained any further.

    By ``inputs``, (samples, ...) as the model takes them, activations get the range that errs least and normalizations
    are corrected; weights are clipped where that lets them err less. Where the recipe decomposes weights, channels are
    ordered by their shifts. Raises GraphError.
    """
    made = quantize_tensors(model, recipe, inputs)
    if recipe.swis is not None:
        model = copy.deepcopy(model)
        assign_shifts(made, recipe, model)
    NormCorrection(model, inputs).apply(made)
    return made


class NormCorrection:
    """Takes back what quantization does to the mean and variance of what normalizations see, by ``inputs``.

    What ``model`` has gathered in training is kept, which is of more samples, and only moved as far as the statistics
    of ``inputs`` move between ``model`` and the quantized one.
    """

    def __init__(self, model: QuantNetwork, inputs: Tensor) -> None:
        self._inputs, self._trained, measured = inputs, _statistics(model), copy.deepcopy(model)
        recalibrate_norms(measured, inputs)
        self._measured = _statistics(measured)

    def apply(self, made: QuantNetwork) -> None:
        recalibrate_norms(made, self._inputs)
        for name, (mean, variance) in _statistics(made).items():
            trained, measured = self._trained[name], self._measured[name]
            growth = (variance + TINY) / (measured[1] + TINY)
            mean += (trained[0] - measured[0]) * growth.sqrt()
            variance.copy_(trained[1] * growth)


def _statistics(model: QuantNetwork) -> dict[str, tuple[Tensor, Tensor]]:
    """The running mean and variance of each batch normalization, by its name, to be changed in place."""
    norms: list[tuple[str, Any]] = [
        (name, layer) for name, layer in model.named_modules() if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d)
    ]
    return {name: (layer.running_mean, layer.running_var) for name, layer in norms if not isinstance(layer, Affine)}


def quantize_tensors(model: QuantNetwork, recipe: Recipe, inputs: Tensor) -> QuantNetwork:
    """``calibrate`` without the correction: each tensor is quantized as if it were alone."""
    made = transfer(model, recipe, inputs)
    new = new_quantizers(model, made, recipe.network)
    for layer, bits in zip(recipe.network.weighted, recipe.weight_bits, strict=True):
        if layer.name in new and 1 < bits < FLOAT:
            clip_weights(made.get_submodule(layer.name))
    return made


@torch.no_grad()
def clip_weights(layer: Any) -> None:
    """Clip the weights of each scale at the limit with which they are quantized with the least squared error.

    The quantizer takes its scale from the largest weight.
    """
    given, scale = layer.weight.detach().clone(), layer.quant_weight().scale
    axes = [axis for axis in range(given.ndim) if scale.ndim == 0 or scale.shape[axis] == 1]
    largest = given.abs().amax(axes, keepdim=True)
    least, limits = torch.full_like(largest, torch.inf), largest
    for part in range(RANGES, 0, -1):
        limit = largest * part / RANGES
        layer.weight.copy_(given.clamp(-limit, limit))
        error = (layer.quant_weight().value - given).square().sum(axes, keepdim=True)
        least, limits = torch.minimum(error, least), torch.where(error < least, limit, limits)
    layer.weight.copy_(given.clamp(-limits, limits))
