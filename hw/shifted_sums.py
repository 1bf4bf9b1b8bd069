"""Sums of counts that are shifted: an accumulator for each lane, to which each slot of a scan adds a count."""

from collections.abc import Sequence
from itertools import zip_longest
from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value

from ..ir.graph import IntType
from .arithmetic import Bits
from .packed import Addition, add_packed
from .stream import lane_shape


class ShiftedSums:
    """Adds ``count << shift`` in each slot; sums modulo the width of ``dtype``, ``cycles`` after the counts.

    shifts: those of the slots of a tile, in order. One is done in two steps: by ``near`` places before a register, if
    there are more than two of them, and by ``apart`` or none (``is_far``) in the carry cells of the accumulators.
    """

    def __init__(self, shifts: Sequence[int], dtype: IntType):
        self._dtype, self._base = dtype, min(shifts)
        over = [shift - self._base for shift in shifts]
        self._apart = max(over) // 2 + 1
        self.is_far = [shift >= self._apart for shift in over]
        self.near = [shift % self._apart for shift in over]
        self.ahead = int(max(self.near) > 0)
        self.cycles = self.ahead + 1

    def bring_near(self, m: Module, counts: Sequence[Bits], near: Bits) -> list[Bits]:
        """The first step, ``ahead`` cycles; ``near`` comes with the counts."""
        if not self.ahead:
            return list(counts)
        most, shifted = max(self.near), []
        for lane, count in enumerate(counts):
            shape = lane_shape(IntType(len(count) + most, count.shape().signed))
            held = Signal(shape, name=f"near_{lane}", reset_less=True)
            with m.Switch(near):
                for amount in range(most):
                    with m.Case(amount):
                        m.d.sync += held.eq(count.shift_left(amount))
                with m.Default():
                    m.d.sync += held.eq(count.shift_left(most))
            shifted.append(held)
        return shifted

    def add(
        self,
        m: Module,
        counts: Sequence[Bits],
        far: Bits,
        arrived: Bits,
        first: Bits,
        starts: Sequence[Bits],
        ones: Sequence[Bits] = (),
    ) -> list[Signal]:
        """The second step: sums that begin with ``starts`` in the ``first`` slot of a scan; all come with the counts.

        They are the accumulators themselves. ones: a bit for each lane that is added as well, not shifted.
        """
        sums = [self._signal(f"total_{lane}") for lane in range(len(counts))]
        kept = [Value.cast(Mux(first, start, held)) for held, start in zip(sums, starts, strict=True)]
        for held, new in zip(sums, self._join(m, counts, far, kept, ones), strict=True):
            with m.If(arrived):
                m.d.sync += held.eq(new)
        return sums

    def add_until(
        self, m: Module, counts: Sequence[Bits], far: Bits, arrived: Bits, last: Bits, starts: Sequence[int]
    ) -> list[Signal]:
        """As ``add``, with constant starts, which the ``last`` slot of a scan sets instead: a reset costs nothing,
        where a choice in front of the adder, whose cells already choose the shift, would be a LUT for each bit."""
        sums = [
            Signal(self._dtype.bits, name=f"sum_{lane}", init=start % (1 << self._dtype.bits))
            for lane, start in enumerate(starts)
        ]
        totals = [self._signal(f"total_{lane}") for lane in range(len(counts))]
        for held, new, total in zip(sums, self._join(m, counts, far, sums), totals, strict=True):
            m.d.sync += total.eq(new)
            with m.If(last):
                m.d.sync += held.eq(held.init)
            with m.Elif(arrived):
                m.d.sync += held.eq(new)
        return totals

    def _signal(self, name: str) -> Signal:
        return Signal(lane_shape(self._dtype), name=name, reset_less=True)

    def _join(self, m: Module, counts: Sequence[Bits], far: Bits, sums: Sequence[Any], ones: Sequence[Bits] = ()):
        bits = self._dtype.bits
        terms = [Cat(*(self._bit(count, place, far) for place in range(bits))) for count in counts]
        # The plain operand comes first: a carry cell of 7-series reads it by itself.
        operands = zip_longest(sums, terms, ones)
        return add_packed(m, [Addition(held[:bits], term, bits, one) for held, term, one in operands], "sums")

    def _bit(self, count: Any, place: int, far: Bits) -> Bits:
        near, beyond = _bit_of(count, place - self._base), _bit_of(count, place - self._base - self._apart)
        return near if not any(self.is_far) else Value.cast(Mux(far, beyond, near))


def _bit_of(value: Any, place: int) -> Bits:
    if place < 0:
        return Const(0, 1)
    if place < len(value):
        return value[place]
    return value[-1] if value.shape().signed else Const(0, 1)
