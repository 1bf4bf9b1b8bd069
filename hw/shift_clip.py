"""A Requantize whose multipliers are powers of two, behind sums that anything can be added to: drop bits, then clip."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from amaranth.hdl import Cat, Module, Mux, Signal, Value

from ..ir.graph import Bounds, Ints, IntType
from ..ir.requantize import Requantize
from .arithmetic import Bits
from .product import Product
from .stream import lane_shape


@dataclass(frozen=True, eq=False)
class ShiftedRows:
    """``rows`` x + ``starts``, which lies within ``sums``, shifted right by ``shifts``: what a Requantize makes of a
    product before its limits."""

    rows: Ints
    starts: Ints
    shifts: Ints
    sums: Bounds


def shift_rows(node: Requantize, weights: Ints, sums: Bounds) -> ShiftedRows:
    """``node`` behind ``weights``; its multipliers are powers of two, their negatives or zero. sums: of the product.

    A product with 2**p is a shift by p less; and of what is added, the bits below that product's change nothing.
    """
    place = np.array([max(0, int(abs(value)).bit_length() - 1) for value in node.multiplier])
    down, sign = np.minimum(place, node.shift), np.sign(node.multiplier)
    factor, starts = sign << (place - down), node.addend >> down
    ends = sums.low * factor + starts, sums.high * factor + starts
    reached = Bounds(np.minimum(*ends), np.maximum(*ends))
    return ShiftedRows(weights * factor[:, None], starts, node.shift - down, reached)


def split_multiplication(product: Product) -> list[Product]:
    """A product whose Requantize multiplies by anything, as two: multipliers are weights too, of one input each."""
    function = product.function
    if not isinstance(function, Requantize) or _are_powers(function.multiplier):
        return [product]
    sums = IntType.of_range(int(product.sums.low.min()), int(product.sums.high.max()))
    ends = product.sums.low * function.multiplier, product.sums.high * function.multiplier
    after = replace(
        product,
        weights=np.diag(function.multiplier)[:, None], x_type=sums, reach=product.sums,
        sums=Bounds(np.minimum(*ends), np.maximum(*ends)),
        function=replace(function, multiplier=np.ones_like(function.multiplier)),
    )  # fmt: skip
    return [replace(product, function=None, result=sums), after]


def _are_powers(multiplier: Ints) -> bool:
    """Whether all are powers of two, their negatives, or zero."""
    size = np.abs(multiplier)
    return not (size & (size - 1)).any()


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
    kept, is_below = value[: limits.bits], value[-1]
    is_above = value[limits.bits : -1].any() if len(value) > limits.bits + 1 else 0
    return Cat((bit | is_above) & ~is_below for bit in kept)
