"""Sums whose last bit of precision is still on its way: a number, and a carry of one that an adder will take in.

A carry costs half a carry cell in the adder that takes it, below the lowest bit: both operands have it there.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from amaranth.hdl import Cat, Const, Module, Signal

from ..ir.graph import IntType
from .arithmetic import Bits, Term, delay
from .stream import lane_shape


@dataclass(frozen=True)
class Carried:
    """``term + carry``, if there is one; the term has neither shift nor minus.

    The sum is between the term's ``low + 1`` and ``high`` where there is a carry.
    """

    term: Term
    carry: Bits | None = None

    @property
    def low(self) -> int:
        return self.term.low + int(self.carry is not None)

    def later(self, m: Module, cycles: int, name: str) -> "Carried":
        if not cycles:
            return self
        carry = None if self.carry is None else delay(m, self.carry, cycles, f"{name}_carry")
        return Carried(replace(self.term, value=delay(m, self.term.value, cycles, name)), carry)


def widen(value: Bits, bits: int) -> Bits:
    """The low ``bits`` bits of a number."""
    above = value[-1] if value.shape().signed else Const(0, 1)
    return Cat(value, above.replicate(max(0, bits - len(value))))[:bits]


def add_with_carry(a: Bits, b: Bits, carry: Bits | None) -> Bits:
    """``a + b + carry``."""
    if carry is None:
        return a + b
    return (_raise(a, carry) + _raise(b, carry)).shift_right(1)


def _raise(value: Bits, carry: Bits) -> Bits:
    both = Cat(carry, value)
    return both.as_signed() if value.shape().signed else both


def add_up_carried(m: Module, parts: Sequence[Carried], name: str) -> tuple[Carried, int]:
    """The sum of all parts, with at most one carry left, and its cycles: a balanced tree, registered at each level."""
    level, parts = 0, list(parts)
    while len(parts) > 1:
        level += 1
        names = [f"{name}_{level}_{index}" for index in range(-(-len(parts) // 2))]
        sums = [_add(m, a, b, name) for a, b, name in zip(parts[0::2], parts[1::2], names, strict=False)]
        parts = sums if len(parts) % 2 == 0 else [*sums, parts[-1].later(m, 1, names[-1])]
    return parts[0], level


def _add(m: Module, a: Carried, b: Carried, name: str) -> Carried:
    if a.carry is None:
        a, b = b, a
    low, high = a.low + b.term.low, a.term.high + b.term.high
    held = Signal(lane_shape(IntType.of_range(low, high)), name=name, reset_less=True)
    m.d.sync += held.eq(add_with_carry(a.term.value, b.term.value, a.carry))
    return Carried(Term(held, low, high), None if b.carry is None else delay(m, b.carry, 1, f"{name}_carry"))
