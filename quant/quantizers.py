"""The layers and quantizers of Brevitas that networks are built from."""

from typing import Any

import brevitas.nn as qnn
import torch
from brevitas.inject.enum import RestrictValueType, ScalingImplType
from brevitas.quant import (
    Int8ActPerTensorFloat,
    Int8WeightPerChannelFloat,
    Int8WeightPerTensorFloat,
    SignedBinaryActPerTensorConst,
    SignedBinaryWeightPerTensorConst,
    Uint8ActPerTensorFloat,
)
from torch import Tensor, nn

from .bits import FLOAT
from .networks.layers import Conv, ConvTranspose, Dense, DepthwiseConv, Shape, Weighted
from .statistics_quantizers import RunningRange, Statistics, running_max, running_range
from .swis.decompose import Ints
from .swis.options import Swis
from .swis.quantizer import shared_shifts

Shared = tuple[Ints, Swis]
"""Which weights of a layer are a group, as ``group_places`` has them, and how groups are decomposed."""


def make_weighted(
    layer: Weighted, inputs: Shape, bits: int, per_channel: bool, *, biased: bool, statistics: Statistics | None = None,
    shared: Shared | None = None,
) -> Any:  # fmt: skip
    """A layer with weights of ``bits`` bits; 1 bit is bipolar with scale 1, FLOAT real.

    biased: a real term per channel, which starts at 0. The weights' range is narrow, unless ``statistics`` make their
    scale, which is one for all channels of a dense layer then. shared: they are decomposed into shifts that groups of
    them share.
    """
    if shared is not None:
        quantizer = shared_shifts(bits, per_channel, *shared)
    elif statistics is not None and 1 < bits < FLOAT:
        quantizer = running_max(bits, per_channel and not isinstance(layer, Dense), statistics)
    else:
        quantizer = _weight_quantizer(bits, per_channel)
    options: dict[str, Any] = {"bias": biased, "weight_quant": quantizer}
    if not isinstance(layer, Dense):
        options |= {"kernel_size": layer.kernel, "stride": layer.stride, "padding": layer.padding}
    made: Any
    if isinstance(layer, DepthwiseConv):
        made = qnn.QuantConv2d(inputs[0], inputs[0], groups=inputs[0], **options)
    else:
        kinds = {Dense: qnn.QuantLinear, Conv: qnn.QuantConv2d, ConvTranspose: qnn.QuantConvTranspose2d}
        made = kinds[type(layer)](inputs[0], layer.channels, **options)
    if bits == 1:
        nn.init.uniform_(made.weight, -1, 1)
    if biased:
        nn.init.zeros_(made.bias)
    return made


class Affine(nn.BatchNorm2d):
    """A factor and a term for each channel: normalization by a mean of 0 and a variance of 1, whatever the batch."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.train()

    def train(self, mode: bool = True) -> "Affine":
        return super().train(False)

    def _check_input_dim(self, input: Tensor) -> None:
        """Vectors are taken as maps are."""


def make_norm(layer: Weighted, channels: int, normalized: bool) -> nn.Module:
    """What follows ``layer`` in a network that is ``normalized`` or not."""
    if not layer.normalized:
        return Affine(channels)
    if isinstance(layer, Dense):
        return nn.BatchNorm1d(channels)
    return nn.BatchNorm2d(channels) if normalized else Affine(channels)


def make_activation(
    bits: int, *, signed: bool, rectify: bool, learned: bool, limit: float, narrow: bool = True,
    power_of_two: bool = False, statistics: Statistics | None = None,
) -> nn.Module:  # fmt: skip
    """A quantizer to ``bits`` bits of what lies between -limit, or 0 if unsigned, and limit; bipolar at 1 bit.

    With ``statistics`` the range of a learned one is that of what comes, and limit only what it starts from.
    FLOAT bits: only what the quantizer does to real numbers, which is to clip at fixed limits and to rectify.
    """
    if bits == FLOAT:
        if not learned:
            return nn.Hardtanh(-limit if signed else 0.0, limit)
        return nn.ReLU() if rectify and not signed else nn.Identity()
    if bits == 1:
        return qnn.QuantIdentity(act_quant=_let(SignedBinaryActPerTensorConst, scaling_init=1.0))
    layer = qnn.QuantReLU if rectify and not signed else qnn.QuantIdentity
    if statistics is not None and learned:
        options = {"power_of_two": power_of_two, "limit": limit, "both_signs": signed, "statistics": statistics}
        return layer(act_quant=running_range(bits, **options))
    kind = ScalingImplType.PARAMETER if learned else ScalingImplType.CONST
    options: dict[str, Any] = {"bit_width": bits, "scaling_impl_type": kind, "scaling_init": limit}
    if power_of_two:
        options["restrict_scaling_type"] = RestrictValueType.POWER_OF_TWO
    if signed:
        return layer(act_quant=_let(Int8ActPerTensorFloat, narrow_range=narrow, **options))
    return layer(act_quant=_let(Uint8ActPerTensorFloat, **options))


def kind_of(layer: Any) -> tuple[object, ...]:
    """How a layer quantizes its weights, or what comes, and to how many bits; equal for layers that do so alike.

    The layer is in evaluation mode: in training some quantizers count how often they are looked at.
    """
    proxy = getattr(layer, "act_quant", getattr(layer, "weight_quant", None))
    if proxy is None or not proxy.is_quant_enabled:
        return (FLOAT,)
    quantizer = _quantizer_of(layer) if hasattr(layer, "act_quant") else proxy.tensor_quant
    return int(proxy.bit_width()), type(quantizer).__name__, getattr(quantizer, "power_of_two", None)


def set_range(activation: Any, low: float, high: float) -> bool:
    """Let a quantizer whose range is not fixed begin with one that holds 0; False if it is fixed.

    Symmetric quantizers take the larger magnitude.
    """
    quantizer = _quantizer_of(activation)
    if isinstance(quantizer, RunningRange):
        quantizer.set_range(low, high)
        return True
    scaling = quantizer.scaling_impl
    if not isinstance(getattr(scaling, "value", None), nn.Parameter):
        return False
    # The parameter is the limit, or its logarithm where scales are powers of two.
    restrict = scaling.restrict_clamp_scaling.restrict_value_impl
    scaling.value.detach().copy_(restrict.restrict_init_tensor(torch.tensor(max(-low, high))))
    return True


def _quantizer_of(activation: Any) -> Any:
    return activation.act_quant.fused_activation_quant_proxy.tensor_quant


def _weight_quantizer(bits: int, per_channel: bool) -> Any:
    if bits == FLOAT:
        return None
    if bits == 1:
        return _let(SignedBinaryWeightPerTensorConst, scaling_const=1.0)
    return _let(Int8WeightPerChannelFloat if per_channel else Int8WeightPerTensorFloat, bit_width=bits)


def _let(quantizer: Any, **options: Any) -> Any:
    """A Brevitas quantizer class with some options changed; its metaclass hides this from type checkers."""
    return quantizer.let(**options)
