"""The quantized perceptron of the recipes, built from Brevitas layers."""

from collections import OrderedDict
from typing import Any

import brevitas.nn as qnn
import torch
from brevitas.inject.enum import ScalingImplType
from brevitas.quant import (
    Int8ActPerTensorFloat,
    Int8WeightPerChannelFloat,
    Int8WeightPerTensorFloat,
    SignedBinaryActPerTensorConst,
    SignedBinaryWeightPerTensorConst,
    Uint8ActPerTensorFloat,
)
from torch import Tensor, nn

from .masks import ChannelGroup, ChannelMask
from .recipes import Recipe


class QuantMLP(nn.Sequential):
    """prepare, pixels, then (fcN, bnN, maskN, actN) per hidden layer, then the last fcN and one scale for all logits.

    Takes (images, inputs) from 0 to the recipe's peak, returns (images, classes).
    """

    def __init__(self, recipe: Recipe) -> None:
        is_signed = recipe.signed or recipe.input_bits == 1  # bipolar codes need inputs on both sides of zero
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        layers["prepare"] = Prepare(recipe.peak, is_signed)
        layers["pixels"] = make_activation(recipe.input_bits, is_signed, rectify=False, learned=False)
        widths = (recipe.inputs, *recipe.hidden)
        for index, bits in enumerate(recipe.activation_bits):
            number = index + 1
            layers[f"fc{number}"] = make_dense(
                widths[index], widths[number], recipe.weight_bits[index], recipe.per_channel
            )
            layers[f"bn{number}"] = nn.BatchNorm1d(widths[number])
            layers[f"mask{number}"] = ChannelMask(widths[number])
            layers[f"act{number}"] = make_activation(bits, recipe.signed, rectify=not recipe.signed, learned=True)
        layers[f"fc{len(widths)}"] = make_dense(widths[-1], recipe.classes, recipe.weight_bits[-1], recipe.per_channel)
        layers["scale"] = OutputScale(widths[-1])
        super().__init__(layers)
        self.bipolar_layers = tuple(f"fc{index + 1}" for index, bits in enumerate(recipe.weight_bits) if bits == 1)

    def groups(self) -> tuple[ChannelGroup, ...]:
        """The hidden channels that pruning may drop, layer by layer."""
        names = [name for name, _ in self.named_children() if name.startswith("mask")]
        return tuple(self._group(int(name.removeprefix("mask"))) for name in names)

    def clip_bipolar_weights(self) -> None:
        """Keep the latent weights of bipolar layers in -1..1, where their quantizer passes the gradient."""
        with torch.no_grad():
            for name in self.bipolar_layers:
                self.get_submodule(name).weight.clamp_(-1, 1)  # type: ignore[operator]

    def _group(self, number: int) -> ChannelGroup:
        layer = self.get_submodule
        return ChannelGroup(
            name=f"fc{number}",
            norm=layer(f"bn{number}"),
            writers=(layer(f"fc{number}"),),
            readers=(layer(f"fc{number + 1}"),),
            mask=layer(f"mask{number}"),
        )


class Prepare(nn.Module):
    """Brings inputs from 0..peak to 0..1, or to -1..1 where codes are signed."""

    def __init__(self, peak: float, is_signed: bool) -> None:
        super().__init__()
        self.peak, self.is_signed = peak, is_signed

    def forward(self, inputs: Tensor) -> Tensor:
        unit = inputs if self.peak == 1 else inputs / self.peak
        return 2.0 * unit - 1.0 if self.is_signed else unit


class OutputScale(nn.Module):
    """One learned factor for all logits: it leaves their order to the integers, so that ArgMax is exact."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(inputs**-0.5))

    def forward(self, logits: Tensor) -> Tensor:
        return logits * self.factor


def make_dense(inputs: int, outputs: int, bits: int, per_channel: bool) -> qnn.QuantLinear:
    """A layer without bias whose weights have ``bits`` bits, narrow range; 1 bit is bipolar with scale 1."""
    if bits == 1:
        quantizer = _let(SignedBinaryWeightPerTensorConst, scaling_const=1.0)
    else:
        quantizer = _let(Int8WeightPerChannelFloat if per_channel else Int8WeightPerTensorFloat, bit_width=bits)
    layer = qnn.QuantLinear(inputs, outputs, bias=False, weight_quant=quantizer)
    if bits == 1:
        nn.init.uniform_(layer.weight, -1, 1)
    return layer


def make_activation(bits: int, is_signed: bool, *, rectify: bool, learned: bool) -> nn.Module:
    """A quantizer to ``bits`` bits: bipolar at 1; else signed and narrow over -1..1, or unsigned from 0 to a scale."""
    if bits == 1:
        return qnn.QuantIdentity(act_quant=_let(SignedBinaryActPerTensorConst, scaling_init=1.0))
    kind = ScalingImplType.PARAMETER if learned and not is_signed else ScalingImplType.CONST
    options = {"bit_width": bits, "scaling_impl_type": kind, "scaling_init": 3.0 if rectify else 1.0}
    if is_signed:
        return qnn.QuantIdentity(act_quant=_let(Int8ActPerTensorFloat, narrow_range=True, **options))
    layer = qnn.QuantReLU if rectify else qnn.QuantIdentity
    return layer(act_quant=_let(Uint8ActPerTensorFloat, **options))


def _let(quantizer: Any, **options: Any) -> Any:
    """A Brevitas quantizer class with some options changed; its metaclass hides this from type checkers."""
    return quantizer.let(**options)
