"""Several additions in one carry chain: where one ends and the next begins, a bit keeps their carries apart.

At such a bit both operands are the same: its sum is the carry that arrives from below, the last one of the addition
before, and its carry that operand, whatever arrives: a third summand, of one bit, of the addition behind it. So a chain
pays once for getting in and out, and additions of three bits each take two bits of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from amaranth.hdl import Cat, Const, Module, Signal, Value

from .arithmetic import Bits

# Bits of a chain: longer ones take longer than the way to them, shorter ones spend more on getting in and out.
LONGEST_CHAIN = 40


@dataclass(frozen=True)
class Addition:
    """Low ``bits`` of ``a`` + ``b`` + ``carry``, at most one more than the longer of both has; missing bits are 0."""

    a: Bits
    b: Bits
    bits: int
    carry: Bits | None = None

    @property
    def own(self) -> int:
        """Bits that are added, without the last carry."""
        return min(self.bits, max(len(self.a), len(self.b)))


def add_packed(m: Module, additions: Sequence[Addition], name: str, longest: int = LONGEST_CHAIN) -> list[Bits]:
    """The sums, unsigned."""
    sums: list[Bits] = []
    chain: list[Addition] = []
    used = 0
    for addition in additions:
        if chain and used + 1 + addition.own > longest:
            sums += _chain(m, chain, f"{name}_{len(sums)}")
            chain, used = [], 0
        chain.append(addition)
        used += 1 + addition.own
    return [*sums, *_chain(m, chain, f"{name}_{len(sums)}")] if chain else sums


def _chain(m: Module, additions: Sequence[Addition], name: str) -> list[Bits]:
    a: list[Bits] = []
    b: list[Bits] = []
    starts = []
    for addition in additions:
        if a or addition.carry is not None:
            carry = Const(0, 1) if addition.carry is None else addition.carry
            a.append(carry)
            b.append(carry)
        starts.append(len(a))
        a += _bits(addition.a, addition.own)
        b += _bits(addition.b, addition.own)
    # One bit more: the last carry of the last addition.
    total = Signal(len(a) + 1, name=name)
    m.d.comb += total.eq(Value.cast(Cat(*a)) + Value.cast(Cat(*b)))
    return [total[start : start + addition.bits] for start, addition in zip(starts, additions, strict=True)]


def _bits(value: Bits, count: int) -> list[Bits]:
    return [value[place] if place < len(value) else Const(0, 1) for place in range(count)]
