"""Pipelined sums of products, every width computed from exact ranges."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import reduce
from operator import xor
from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value

from ..ir.graph import IntType
from .stream import lane_shape

# An Amaranth value; its operators return unions that no value annotation fits.
Bits = Any

# Sums of more bits are carry chains whatever we say. Shorter ones are, where they are marked: with masks in front of
# them, which carry cells take in, they are three times larger in lookup tables (boards/adders.py).
SHORTEST_CHAIN = 4
WIDEST_LOGIC = 2
CHAIN = "espalier_chain"

# What a LUT of the smallest families takes in.
LUT_INPUTS = 4

# Bits of an unsigned factor that a DSP block takes; signed ones may have one more.
DSP_INPUT = 17

# Registers after a product: both can move into a DSP block.
DSP_CYCLES = 2

# Sums of so many bits are one LUT behind their operands: two such levels fit between registers.
WIDEST_UNREGISTERED = 2


@dataclass(frozen=True)
class Term:
    """A summand: ``value << shift``, where value lies between ``low`` and ``high``; subtracted if ``minus``."""

    value: Bits
    low: int
    high: int
    shift: int = 0
    minus: bool = False

    @property
    def dtype(self) -> IntType:
        return IntType.of_range(self.low, self.high)


def delay(m: Module, value: Bits, cycles: int, name: str, *, reset: bool = False) -> Bits:
    """``value`` some cycles later; valid bits are the only registers that need ``reset``."""
    for cycle in range(cycles):
        later = Signal.like(Value.cast(value), name=f"{name}_{cycle + 1}", reset_less=not reset, init=0)
        m.d.sync += later.eq(value)
        value = later
    return value


def multiply(x: Term, weight: Term) -> list[Term]:
    """The summands of ``x * weight``, neither of them shifted.

    One term, looked up with a LUT for each bit, where that is possible; else partial products, in which the operand of
    fewer bits selects shifted copies of the other.
    """
    x_bits, weight_bits = len(x.value), len(weight.value)
    if min(x_bits, weight_bits) > 1 and x_bits + weight_bits <= LUT_INPUTS:
        return [_look_up_product(x, weight)]
    if (weight_bits, weight.low < 0) <= (x_bits, x.low < 0):
        x, weight = weight, x
    low, high = min(0, weight.low), max(0, weight.high)
    is_signed = x.value.shape().signed
    return [
        Term(Mux(bit, weight.value, 0), low, high, place, minus=is_signed and place == len(x.value) - 1)
        for place, bit in enumerate(x.value)
    ]


def multiply_wide(m: Module, x: Term, factor: Term, name: str) -> tuple[list[Term], int]:
    """The summands of ``x * factor``, neither of them shifted, each a product for one DSP block; and their cycles."""
    terms = [
        _product(m, a, b, f"{name}_{i}_{j}") for i, a in enumerate(_pieces(x)) for j, b in enumerate(_pieces(factor))
    ]
    return terms, DSP_CYCLES


def _product(m: Module, a: Term, b: Term, name: str) -> Term:
    corners = [x * y for x in (a.low, a.high) for y in (b.low, b.high)]
    product = delay(m, a.value * b.value, DSP_CYCLES, name)
    return Term(product, min(corners), max(corners), a.shift + b.shift)


def _pieces(term: Term) -> list[Term]:
    """The term as a sum of numbers that a DSP block multiplies."""
    if len(term.value) <= DSP_INPUT + int(term.low < 0):
        return [term]
    mask = (1 << DSP_INPUT) - 1
    above = Term(term.value.shift_right(DSP_INPUT), term.low >> DSP_INPUT, term.high >> DSP_INPUT)
    upper = [replace(piece, shift=piece.shift + DSP_INPUT) for piece in _pieces(above)]
    return [Term(term.value[:DSP_INPUT], 0, mask), *upper]


def _look_up_product(x: Term, weight: Term) -> Term:
    corners = [a * b for a in (x.low, x.high) for b in (weight.low, weight.high)]
    low, high = min(corners), max(corners)
    x_shape, weight_shape = x.value.shape(), weight.value.shape()
    products = [
        Const(a, x_shape).value * Const(b, weight_shape).value
        for b in range(1 << len(weight.value))
        for a in range(1 << len(x.value))
    ]
    dtype = IntType.of_range(low, high)
    pattern = Cat(x.value, weight.value)
    tables = [sum((product >> bit & 1) << place for place, product in enumerate(products)) for bit in range(dtype.bits)]
    value = Cat(*(Const(table, len(products)).bit_select(pattern, 1) for table in tables))
    return Term(_as(value, dtype), low, high)


def add_up(m: Module, terms: Sequence[Term], name: str) -> tuple[Term, int]:
    """The sum of all terms as a balanced tree, and its cycles: a register after each level but the narrowest ones."""
    level, cycles = 0, 0
    terms = [_name(m, term, f"{name}_0_{index}") for index, term in enumerate(terms)]
    while len(terms) > 1:
        level += 1
        pairs = zip(terms[0::2], terms[1::2], strict=False)
        sums = [_add(m, a, b, f"{name}_add_{level}_{index}") for index, (a, b) in enumerate(pairs)]
        terms = [*sums, *terms[2 * len(sums) :]]
        is_held = len(terms) == 1 or max(term.dtype.bits for term in terms) > WIDEST_UNREGISTERED
        keep, cycles = (_register, cycles + 1) if is_held else (_name, cycles)
        terms = [keep(m, term, f"{name}_{level}_{index}") for index, term in enumerate(terms)]
    return terms[0], cycles


def count_up(m: Module, bits: Sequence[Bits], name: str) -> tuple[Term, int]:
    """How many of ``bits`` are set, and the cycles that takes.

    Three bits make a count of two, which a LUT of six inputs gives together with the gate before each of them; six of
    the bits of one weight make a count of three, in a LUT for each; then the counts of both weights are added up.
    """
    triples = _count_parts(m, bits, 3, f"{name}_triple")
    if len(triples) == 1:
        return triples[0], 1
    ones = [triple.value[0] for triple in triples]
    twos = [triple.value[1] for triple in triples if triple.high > 1]
    parts = [*_count_parts(m, ones, 6, f"{name}_ones"), *_count_parts(m, twos, 6, f"{name}_twos", shift=1)]
    total, cycles = add_up(m, parts, name)
    return total, cycles + 2


def _count_parts(m: Module, bits: Sequence[Bits], size: int, name: str, shift: int = 0) -> list[Term]:
    """Counts of ``size`` bits each, registered."""
    parts = [bits[first : first + size] for first in range(0, len(bits), size)]
    count = _count_three if size == 3 else _count_six
    terms = [Term(Cat(*count(part)), 0, len(part), shift) for part in parts]
    return [_register(m, term, f"{name}_{index}") for index, term in enumerate(terms)]


def _count_three(bits: Sequence[Bits]) -> list[Bits]:
    carry = _carry(list(bits))
    return [reduce(xor, bits)] if carry is None else [reduce(xor, bits), carry]


def _count_six(bits: Sequence[Bits]) -> list[Bits]:
    if len(bits) <= 3:
        return _count_three(bits)
    low, high = _count_three(bits[:3]), _count_three(bits[3:])
    ones = _count_three([low[0], high[0]])
    return [ones[0], *_count_three([*low[1:], *high[1:], *ones[1:]])]


def as_value(term: Term) -> Bits:
    """A term's number."""
    shifted = term.value.shift_left(term.shift)
    return -shifted if term.minus else shifted


def _name(m: Module, term: Term, name: str) -> Term:
    """The term as a signal: Verilog would write out an expression again for each use of one of its bits."""
    if isinstance(term.value, Signal):
        return term
    wire = Signal(lane_shape(term.dtype), name=name)
    m.d.comb += wire.eq(term.value)
    return replace(term, value=wire)


def _register(m: Module, term: Term, name: str) -> Term:
    held = Signal(lane_shape(term.dtype), name=name, reset_less=True)
    m.d.sync += held.eq(term.value)
    return replace(term, value=held)


def _add(m: Module, a: Term, b: Term, name: str) -> Term:
    if a.shift > b.shift:
        a, b = b, a
    apart = b.shift - a.shift
    if a.minus and not b.minus:  # b - a: only the whole words can be subtracted
        return _subtract(b, a)
    if b.minus and not a.minus:
        return _subtract(a, b)
    # The bits of ``a`` below ``b`` pass by the adder.
    low, high = a.low + (b.low << apart), a.high + (b.high << apart)
    top = _sum(m, a.value.shift_right(apart), b.value, IntType.of_range(low >> apart, high >> apart), name)
    value = Cat(*_extend(a.value, apart), top) if apart else top
    return Term(_as(value, IntType.of_range(low, high)), low, high, a.shift, a.minus)


def _subtract(a: Term, b: Term) -> Term:
    shift = min(a.shift, b.shift)
    up_a, up_b = a.shift - shift, b.shift - shift
    low, high = (a.low << up_a) - (b.high << up_b), (a.high << up_a) - (b.low << up_b)
    value = a.value.shift_left(up_a) - b.value.shift_left(up_b)
    return Term(_as(value, IntType.of_range(low, high)), low, high, shift)


def _sum(m: Module, a: Bits, b: Bits, dtype: IntType, name: str) -> Bits:
    if dtype.bits <= WIDEST_LOGIC:
        return _as(_ripple(a, b, dtype.bits), dtype)
    if dtype.bits > SHORTEST_CHAIN:
        return _as(a + b, dtype)
    total = Signal(lane_shape(dtype), name=name, attrs={CHAIN: 1})
    m.d.comb += total.eq(a + b)
    return total


def _ripple(a: Bits, b: Bits, bits: int) -> Bits:
    """The sum as logic, which yosys keeps out of carry chains; a bit that is not there is None."""
    carry, total = None, []
    for operands in zip(_bits(a, bits), _bits(b, bits), strict=True):
        present = [bit for bit in (*operands, carry) if bit is not None]
        total.append(reduce(xor, present) if present else Const(0, 1))
        carry = _carry(present)
    return Cat(*total)


def _carry(bits: list[Bits]) -> Bits | None:
    """Whether two of up to three bits are set."""
    if len(bits) < 2:
        return None
    both = bits[0] & bits[1]
    return both if len(bits) == 2 else both | (bits[2] & (bits[0] ^ bits[1]))


def _bits(value: Bits, bits: int) -> list[Bits | None]:
    beyond = value[-1] if value.shape().signed else None
    return [value[i] if i < len(value) else beyond for i in range(bits)]


def _extend(value: Bits, bits: int) -> list[Bits]:
    return [Const(0, 1) if bit is None else bit for bit in _bits(value, bits)]


def _as(value: Bits, dtype: IntType) -> Bits:
    """The low bits of ``value``, read as ``dtype``, which holds the number."""
    if len(value) < dtype.bits:
        return value
    cut = value[: dtype.bits]
    return cut.as_signed() if dtype.signed else cut
