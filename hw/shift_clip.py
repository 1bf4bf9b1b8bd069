"""A Requantize whose multipliers are powers of two, behind sums that anything can be added to: drop bits, then clip."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from amaranth.hdl import Cat, Module, Mux, Signal, Value

from ..ir.graph import Bounds, Ints, IntType
from ..ir.requantize import Requantize
from .arithmetic import Bits
from .stream import lane_shape


@dataclass(frozen=True, eq=False)
class ShiftedRows:
    """``rows`` x + ``starts``, which lies within ``sums``, shifted right by ``shifts``: what a Requantize makes of a
    product before its limits."""

    rows: Ints
    starts: Ints
    shifts: Ints
    sums: Bounds


def shift_rows(node: Requantize, weights: Ints, sums: Bounds) -> ShiftedRows | None:
    """None where a multiplier is no power of two, or minus one; sums: of the product.

    A product with 2**p is a shift by p less; and of what is added, the bits below that product's change nothing.
    """
    size = np.abs(node.multiplier)
    if (size & (size - 1)).any():
        return None
    place = np.array([max(0, int(value).bit_length() - 1) for value in size])
    down, sign = np.minimum(place, node.shift), np.sign(node.multiplier)
    factor, starts = sign << (place - down), node.addend >> down
    ends = sums.low * factor + starts, sums.high * factor + starts
    reached = Bounds(np.minimum(*ends), np.maximum(*ends))
    return ShiftedRows(weights * factor[:, None], starts, node.shift - down, reached)


class ShiftClip:
    """The way out of a stage as ``Finish`` is one: shifts each lane's sum, and clips it, in one cycle."""

    lead, cycles = 0, 1

    def __init__(self, node: Requantize, rows: ShiftedRows):
        self.lanes, self.y_type, self._node, self._shifts = len(rows.shifts), node.result, node, rows.shifts
        self.x_type = IntType.of_range(int(rows.sums.low.min()), int(rows.sums.high.max()))
        self._shifted = Bounds(rows.sums.low >> rows.shifts, rows.sums.high >> rows.shifts)

    def build(self, m: Module, totals: Sequence[Bits], done: Sequence[Value]) -> list[Value]:
        values: list[Value] = []
        for lane, total in enumerate(totals):
            code = Signal(lane_shape(self.y_type), name=f"code_{lane}", reset_less=True)
            low, high = int(self._shifted.low[lane]), int(self._shifted.high[lane])
            dtype = IntType.of_range(low, high)
            shifted: Bits = total[int(self._shifts[lane]) :][: dtype.bits]
            m.d.sync += code.eq(_clip(shifted, dtype, low, high, self._node))
            values.append(code)
        return values


def _clip(value: Bits, dtype: IntType, low: int, high: int, node: Requantize) -> Bits:
    """``value``, the bits of a number of ``dtype`` between low and high, within the limits of ``node``."""
    number = value.as_signed() if dtype.signed else value
    limits = IntType.of_range(node.low, node.high)
    if not dtype.signed or node.low != 0 or (node.high & (node.high + 1)):
        number = Mux(number > node.high, node.high, number) if high > node.high else number
        return Mux(number < node.low, node.low, number) if low < node.low else number
    # No comparison: what is above 2**bits - 1 has one of the upper bits, what is below 0 the highest.
    kept, upper, is_below = value[: limits.bits], value[limits.bits : -1], value[-1]
    return Cat((bit | upper.any()) & ~is_below for bit in kept)
