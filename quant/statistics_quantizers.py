"""Quantizers to running statistics of what came, in which nothing is learned (Zhang, Colbert, Das 2022).

Gradients pass straight through where the value lies in the range that the statistics span, and nowhere else. What is
clipped is clipped in training too. Until a delay is over, training goes on with real numbers; evaluation never does.
"""

from dataclasses import dataclass
from typing import Any

import torch
from brevitas.inject.enum import FloatToIntImplType, QuantType, ScalingPerOutputType
from brevitas.quant.solver import ActQuantSolver, WeightQuantSolver
from sklearn.cluster import AgglomerativeClustering
from torch import Tensor, nn

SMALLEST = 1e-10  # scale, of what was always 0
GROUPED_AFTER = 512
"""Steps with quantized weights after which scales are grouped."""


@dataclass(frozen=True)
class Statistics:
    """Options of these quantizers.

    power_of_two: scales are rounded to one. Delays in steps. groups: so many scales are left to a layer's weights, each
    the mean of those that it replaces; None for one per channel.
    """

    power_of_two: bool = False
    weight_delay: int = 0
    activation_delay: int = 0
    groups: int | None = None


class RunningMax(nn.Module):
    """Weights to -2^(b-1)..2^(b-1)-1, with the running mean of their largest magnitude / 2^(b-1) as scale.

    scaling_shape: that of the scales, one per output channel, or ().
    """

    largest: Tensor
    steps: Tensor
    members: Tensor
    bits: Tensor
    zero: Tensor

    def __init__(
        self, bit_width: int, scaling_shape: tuple[int, ...], power_of_two: bool, delay: int, groups: int | None
    ) -> None:
        super().__init__()
        self.levels, self.power_of_two, self.delay, self.groups = 2**bit_width, power_of_two, delay, groups
        self.register_buffer("largest", torch.zeros(scaling_shape))
        self.register_buffer("steps", torch.tensor(0))
        self.register_buffer("members", torch.arange(self.largest.numel()))  # per scale one that it shares with
        self.register_buffer("bits", torch.tensor(float(bit_width)), persistent=False)
        self.register_buffer("zero", torch.tensor(0.0), persistent=False)

    def forward(self, weights: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Quantized weights, scale, zero point and bits."""
        active = _is_active(self)
        if self.training:
            self._observe(weights.detach())
        largest = torch.where(self.steps > 0, self.largest, self._largest(weights.detach()))
        scale = _step(self._shared(largest), self.levels / 2, self.power_of_two)
        quantized, inside = _quantize(weights, scale, self.zero, -self.levels // 2, self.levels // 2)
        values = PassInside.apply(weights, quantized, inside)
        return torch.where(active, values, weights), scale, self.zero, self.bits

    def _observe(self, weights: Tensor) -> None:
        self.largest += (self._largest(weights) - self.largest) / _since(self)
        self.steps += 1
        if self.groups is not None and int(self.steps) == self.delay + GROUPED_AFTER:
            self.members.copy_(group_scales(self.largest.flatten(), self.groups))

    def _largest(self, weights: Tensor) -> Tensor:
        if self.largest.ndim == 0:
            return weights.abs().max()
        reduced = [axis for axis, size in enumerate(self.largest.shape) if size == 1]
        return weights.abs().amax(reduced, keepdim=True)

    def _shared(self, largest: Tensor) -> Tensor:
        if self.groups is None:
            return largest
        sums, counts = torch.zeros_like(largest.flatten()), torch.zeros_like(largest.flatten())
        sums.index_add_(0, self.members, largest.flatten())
        counts.index_add_(0, self.members, torch.ones_like(counts))
        return (sums / counts.clamp(min=1))[self.members].reshape(largest.shape)


class RunningRange(nn.Module):
    """Activations to 0..2^b-1, from the running mean of the batch's least value to that of its largest one.

    The range always holds 0, so that zeros around a map have a code. Training has a real zero point; evaluation an
    integer one. limit: the largest magnitude until the first step, from 0 on unless ``both_signs``.
    """

    low: Tensor
    high: Tensor
    steps: Tensor
    bits: Tensor

    def __init__(self, bit_width: int, power_of_two: bool, delay: int, limit: float, both_signs: bool) -> None:
        super().__init__()
        self.levels, self.power_of_two, self.delay = 2**bit_width, power_of_two, delay
        self.register_buffer("low", torch.tensor(-limit if both_signs else 0.0))
        self.register_buffer("high", torch.tensor(limit))
        self.register_buffer("steps", torch.tensor(0))
        self.register_buffer("bits", torch.tensor(float(bit_width)), persistent=False)

    def forward(self, values: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Quantized values, scale, zero point and bits."""
        active = _is_active(self)
        if self.training:
            self._observe(values.detach())
        scale = _step(self.high - self.low, self.levels, self.power_of_two)
        zero = -self.low / scale
        if not self.training:
            zero = zero.round().clamp(0, self.levels - 1)
        quantized, inside = _quantize(values, scale, zero, 0, self.levels)
        return torch.where(active, PassInside.apply(values, quantized, inside), values), scale, zero, self.bits

    def set_range(self, low: float, high: float) -> None:
        """Evaluate with this range, which holds 0, until the next training step."""
        self.low.fill_(low)
        self.high.fill_(high)

    def _observe(self, values: Tensor) -> None:
        since = _since(self)
        self.low += (values.min().clamp(max=0) - self.low) / since
        self.high += (values.max().clamp(min=0) - self.high) / since
        self.steps += 1


class PassInside(torch.autograd.Function):
    """The quantized values, with the gradient passed on to the values where they lie inside the range."""

    @staticmethod
    def forward(context: Any, values: Tensor, quantized: Tensor, inside: Tensor) -> Tensor:
        context.save_for_backward(inside)
        return quantized

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (inside,) = context.saved_tensors
        return gradients[0] * inside, None, None


def running_max(bits: int, per_channel: bool, statistics: Statistics) -> Any:
    """Brevitas' description of a ``RunningMax``."""
    return _describe(
        WeightQuantSolver,
        tensor_quant=RunningMax,
        bit_width=bits,
        signed=True,
        scaling_per_output_type=ScalingPerOutputType.CHANNEL if per_channel else ScalingPerOutputType.TENSOR,
        power_of_two=statistics.power_of_two,
        delay=statistics.weight_delay,
        groups=statistics.groups if per_channel else None,
    )


def running_range(bits: int, *, power_of_two: bool, limit: float, both_signs: bool, statistics: Statistics) -> Any:
    """Brevitas' description of a ``RunningRange``."""
    return _describe(
        ActQuantSolver,
        tensor_quant=RunningRange,
        bit_width=bits,
        signed=False,
        scaling_per_output_type=ScalingPerOutputType.TENSOR,
        power_of_two=power_of_two or statistics.power_of_two,
        delay=statistics.activation_delay,
        limit=limit,
        both_signs=both_signs,
    )


def _describe(solver: Any, **options: Any) -> Any:
    kind = {"quant_type": QuantType.INT, "float_to_int_impl_type": FloatToIntImplType.ROUND, "narrow_range": False}
    return solver.let(**kind, **options)


def group_scales(scales: Tensor, groups: int) -> Tensor:
    """Per scale, (scales,), the first one of its group; scales of 0, of dropped channels, stay alone."""
    members = torch.arange(len(scales), device=scales.device)
    alive = torch.nonzero(scales).flatten()
    if len(alive) <= groups:
        return members
    labels = AgglomerativeClustering(groups).fit_predict(scales[alive].cpu().numpy()[:, None])
    labels = torch.from_numpy(labels).to(scales.device)
    for label in range(groups):
        group = alive[labels == label]
        members[group] = group[0]
    return members


def _is_active(quantizer: Any) -> Tensor:
    """Whether its delay is over, or does not count."""
    return quantizer.steps >= (quantizer.delay if quantizer.training else 0)


def _since(quantizer: Any) -> Tensor:
    """Number of this step, from 1; counted anew when the delay is over, so that what was before is forgotten."""
    steps, delay = quantizer.steps, quantizer.delay
    return torch.where(steps < delay, steps, steps - delay) + 1


def _step(span: Tensor, levels: float, power_of_two: bool) -> Tensor:
    scale = (span / levels).clamp(min=SMALLEST)
    return scale.log2().round().exp2() if power_of_two else scale


def _quantize(values: Tensor, scale: Tensor, zero: Tensor, low: int, end: int) -> tuple[Tensor, Tensor]:
    """Values to the codes from ``low`` to before ``end``, and which of them lie in the range from low to end."""
    places = values.detach() / scale + zero
    return (places.round().clamp(low, end - 1) - zero) * scale, (places >= low) & (places <= end)
