"""The decomposition as a quantizer of Brevitas, so that a model evaluates, exports and trains decomposed weights."""

from typing import Any

import numpy as np
import torch
from brevitas.inject.enum import FloatToIntImplType, QuantType, ScalingPerOutputType
from brevitas.quant.solver import WeightQuantSolver
from torch import Tensor, nn

from ..statistics_quantizers import SMALLEST, PassInside
from .decompose import Decomposed, Ints, decompose
from .options import Swis


class SharedShifts(nn.Module):
    """Weights to -(2^(b-1)-1)..2^(b-1)-1 with the largest magnitude as scale, decomposed with ``shifts`` a filter.

    places: as ``group_places`` has them. Until shifts are set, there are as many as bits of magnitude, which changes
    nothing. Positions are chosen anew in each forward pass; gradients go straight through.
    """

    shifts: Tensor
    bits: Tensor
    zero: Tensor

    def __init__(self, bit_width: int, scaling_shape: tuple[int, ...], places: Ints, swis: Swis) -> None:
        super().__init__()
        self.positions, self.scaling_shape, self.places, self.swis = bit_width - 1, scaling_shape, places, swis
        self.register_buffer("shifts", torch.full((len(places),), self.positions))
        self.register_buffer("bits", torch.tensor(float(bit_width)), persistent=False)
        self.register_buffer("zero", torch.tensor(0.0), persistent=False)

    def forward(self, weights: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Decomposed weights, scale, zero point and bits."""
        scale = self._scale(weights.detach())
        codes = self.ungrouped(self.decomposed(weights).codes, weights)
        inside = torch.ones_like(weights, dtype=torch.bool)
        return PassInside.apply(weights, codes * scale, inside), scale, self.zero, self.bits

    def decomposed(self, weights: Tensor) -> Decomposed:
        """What becomes of ``weights``, shaped as the layer's."""
        options = {"alpha": self.swis.alpha, "consecutive": self.swis.consecutive, "sharing": self.swis.sharing}
        return decompose(self.grouped(weights), self.shifts.cpu().numpy(), self.positions, **options)

    def grouped(self, weights: Tensor) -> Ints:
        """``weights``, shaped as the layer's, as integers before they are decomposed: (filters, groups, weights)."""
        most = 2**self.positions - 1
        integers = (weights.detach() / self._scale(weights.detach())).round().clamp(-most, most)
        flat = integers.flatten().cpu().numpy().astype(np.int64)
        return np.where(self.places < 0, 0, flat[self.places])

    def ungrouped(self, codes: Ints, like: Tensor) -> Tensor:
        """The reverse of ``grouped``, as real numbers, for weights of the shape of ``like``."""
        flat, there = np.zeros(like.numel(), np.float32), self.places >= 0
        flat[self.places[there]] = codes[there]
        return torch.from_numpy(flat).to(like).reshape(like.shape)

    def _scale(self, weights: Tensor) -> Tensor:
        reduced = [axis for axis in range(weights.ndim) if not self.scaling_shape or self.scaling_shape[axis] == 1]
        largest = weights.abs().amax(reduced, keepdim=bool(self.scaling_shape))
        return (largest / (2**self.positions - 1)).clamp(min=SMALLEST)


def shared_shifts(bits: int, per_channel: bool, places: Ints, swis: Swis) -> Any:
    """Brevitas' description of a ``SharedShifts``."""
    solver: Any = WeightQuantSolver
    return solver.let(
        quant_type=QuantType.INT,
        float_to_int_impl_type=FloatToIntImplType.ROUND,
        narrow_range=True,
        tensor_quant=SharedShifts,
        bit_width=bits,
        signed=True,
        scaling_per_output_type=ScalingPerOutputType.CHANNEL if per_channel else ScalingPerOutputType.TENSOR,
        places=places,
        swis=swis,
    )
