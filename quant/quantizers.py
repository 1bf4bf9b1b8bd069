"""The layers and quantizers of Brevitas that networks are built from."""

from typing import Any

import brevitas.nn as qnn
from brevitas.inject.enum import RestrictValueType, ScalingImplType
from brevitas.quant import (
    Int8ActPerTensorFloat,
    Int8WeightPerChannelFloat,
    Int8WeightPerTensorFloat,
    SignedBinaryActPerTensorConst,
    SignedBinaryWeightPerTensorConst,
    Uint8ActPerTensorFloat,
)
from torch import nn

from .bits import FLOAT
from .networks.layers import Conv, ConvTranspose, Dense, DepthwiseConv, Shape, Weighted


def make_weighted(layer: Weighted, inputs: Shape, bits: int, per_channel: bool) -> Any:
    """A layer without bias with weights of ``bits`` bits, narrow range; 1 bit is bipolar with scale 1, FLOAT real."""
    options: dict[str, Any] = {"bias": False, "weight_quant": _weight_quantizer(bits, per_channel)}
    if not isinstance(layer, Dense):
        options |= {"kernel_size": layer.kernel, "stride": layer.stride, "padding": layer.padding}
    if isinstance(layer, DepthwiseConv):
        made = qnn.QuantConv2d(inputs[0], inputs[0], groups=inputs[0], **options)
    else:
        kinds = {Dense: qnn.QuantLinear, Conv: qnn.QuantConv2d, ConvTranspose: qnn.QuantConvTranspose2d}
        made = kinds[type(layer)](inputs[0], layer.channels, **options)
    if bits == 1:
        nn.init.uniform_(made.weight, -1, 1)
    return made


class Affine(nn.BatchNorm2d):
    """A factor and a term for each channel: normalization by a mean of 0 and a variance of 1, whatever the batch."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.train()

    def train(self, mode: bool = True) -> "Affine":
        return super().train(False)


def make_norm(layer: Weighted, channels: int, normalized: bool) -> nn.Module:
    if isinstance(layer, Dense):
        return nn.BatchNorm1d(channels)
    return nn.BatchNorm2d(channels) if normalized else Affine(channels)


def make_activation(
    bits: int, *, signed: bool, rectify: bool, learned: bool, limit: float, narrow: bool = True,
    power_of_two: bool = False,
) -> nn.Module:  # fmt: skip
    """A quantizer to ``bits`` bits of what lies between -limit, or 0 if unsigned, and limit; bipolar at 1 bit.

    FLOAT bits: only what the quantizer does to real numbers, which is to clip at fixed limits and to rectify.
    """
    if bits == FLOAT:
        if signed and not learned:
            return nn.Hardtanh(-limit, limit)
        return nn.ReLU() if rectify and not signed else nn.Identity()
    if bits == 1:
        return qnn.QuantIdentity(act_quant=_let(SignedBinaryActPerTensorConst, scaling_init=1.0))
    kind = ScalingImplType.PARAMETER if learned else ScalingImplType.CONST
    options: dict[str, Any] = {"bit_width": bits, "scaling_impl_type": kind, "scaling_init": limit}
    if power_of_two:
        options["restrict_scaling_type"] = RestrictValueType.POWER_OF_TWO
    if signed:
        return qnn.QuantIdentity(act_quant=_let(Int8ActPerTensorFloat, narrow_range=narrow, **options))
    layer = qnn.QuantReLU if rectify else qnn.QuantIdentity
    return layer(act_quant=_let(Uint8ActPerTensorFloat, **options))


def _weight_quantizer(bits: int, per_channel: bool) -> Any:
    if bits == FLOAT:
        return None
    if bits == 1:
        return _let(SignedBinaryWeightPerTensorConst, scaling_const=1.0)
    return _let(Int8WeightPerChannelFloat if per_channel else Int8WeightPerTensorFloat, bit_width=bits)


def _let(quantizer: Any, **options: Any) -> Any:
    """A Brevitas quantizer class with some options changed; its metaclass hides this from type checkers."""
    return quantizer.let(**options)
