"""Several small products in one multiplier: weights of outputs side by side in one operand, times an input they share.

Weights w0, w1, ... of outputs 0, 1, ... make the operand w0 + w1 * 2**spacing + ..., whose product with x holds all of
theirs. Where a lower product is negative it borrows one from those above it: the bit below a field, the sign of what
lies there, gives it back. Sums of products are sums of the fields, so that they are taken apart as late as they fit.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from amaranth.hdl import Cat, Const

from ..ir.graph import Ints, IntType
from .arithmetic import DSP_INPUT, Bits, Term
from .carried import Carried, widen
from .function import words_of

Range = tuple[int, int]
"""The least and the greatest value."""


@dataclass(frozen=True)
class Packing:
    """``lanes`` outputs in an operand, ``spacing`` bits apart; sums of up to ``group`` products are taken apart.

    is_whole: not before all are summed up, over all slots: a field holds every final sum.
    """

    lanes: int
    spacing: int
    group: int
    is_whole: bool = False


def choose_packing(x: Range, weights: Range, pe: int, simd: int, total: IntType | None) -> Packing | None:
    """The packing of most outputs in an operand, of these the one taken apart latest; None if not even two fit.

    total: holds the final sums and what they start from, where they run over several slots.
    """
    corners = [a * b for a in x for b in weights]
    low, high = min(0, *corners), max(0, *corners)
    for packs in range(1, pe):
        lanes = -(-pe // packs)
        widest = max((bits for bits in range(1, DSP_INPUT) if _is_operand(weights, lanes, bits)), default=0)
        if total and total.bits <= widest:
            return Packing(lanes, total.bits, simd, is_whole=True)
        most = max((size for size in range(1, simd + 1) if _can_part(low, high, size, lanes, widest)), default=0)
        if most:
            group = -(-simd // -(-simd // most))
            spacing = next(bits for bits in range(1, widest + 1) if _can_part(low, high, group, lanes, bits))
            return Packing(lanes, spacing, group)
    return None


def _is_operand(weights: Range, lanes: int, spacing: int) -> bool:
    """Whether so many weights make an operand of a multiplier."""
    ones, limit = _ones(lanes, spacing), 1 << DSP_INPUT
    return -limit <= weights[0] * ones and weights[1] * ones < limit


def _can_part(low: int, high: int, size: int, lanes: int, spacing: int) -> bool:
    """Whether sums of ``size`` products leave each other alone: those below the last lane have a sign bit of theirs."""
    ones, below = size * _ones(lanes - 1, spacing), spacing * (lanes - 1)
    if spacing == 0:
        return False
    return -low * ones <= 1 << below - 1 and high * ones < 1 << below - int(low < 0)


def _ones(lanes: int, spacing: int) -> int:
    return sum(1 << spacing * lane for lane in range(lanes))


class PackedWeights:
    """Words of weights, for each slot an operand for each pack of outputs and input, as ``packing`` has it.

    A field of an operand in memory is as wide as its values, those of the whole layer: a lower one may have borrowed.
    """

    def __init__(self, tiles: Ints, packing: Packing, limits: Range | None = None):
        """tiles: (slots, pe, simd); limits: of the weights that may take their place."""
        self.packing = packing
        lanes, spacing = packing.lanes, packing.spacing
        slots, pe, simd = tiles.shape
        padded = np.zeros((slots, -(-pe // lanes) * lanes, simd), np.int64)
        padded[:, :pe] = tiles
        places = spacing * np.arange(lanes)
        operands = (padded.reshape(slots, -1, lanes, simd) << places[:, None]).sum(axis=2)
        self._reach = low, high = limits or (int(padded.min()), int(padded.max()))
        self.low, self.high = int(operands.min()), int(operands.max())
        fields = [operands >> place for place in places]
        for lane in range(lanes - 1):
            fields[lane] &= (1 << spacing) - 1
            if low < 0:
                fields[lane] -= fields[lane] >> spacing - 1 << spacing
        self._types = [IntType.of_range(int(field.min()), int(field.max())) for field in fields]
        if limits:
            self.low, self.high = (end * _ones(lanes, spacing) for end in limits)
            above = IntType.of_range(low - int(low < 0), high)  # a lower field may have borrowed
            self._types = [IntType.of_range(low, high), *[above] * (lanes - 1)]
        self._starts = np.cumsum([0, *(dtype.bits for dtype in self._types)]).tolist()
        stored = sum(
            (field & (1 << dtype.bits) - 1) << start
            for field, dtype, start in zip(fields, self._types, self._starts, strict=False)
        )
        self.words = words_of(np.asarray(stored).reshape(slots, -1), self.bits)
        self.packs = padded.shape[1] // lanes

    @property
    def bits(self) -> int:
        """Of an operand in memory."""
        return self._starts[-1]

    def find_reach(self, x: Range, size: int) -> Range:
        """Of sums of up to ``size`` products of one output."""
        corners = [a * b for a in x for b in self._reach]
        return size * min(0, *corners), size * max(0, *corners)

    def operand(self, stored: Bits) -> Term:
        """What the multiplier takes in: bits of ``stored``, some of them several times."""
        parts: list[Bits] = []
        for dtype, start in zip(self._types, self._starts, strict=False):
            field = stored[start : start + dtype.bits]
            above = field[-1] if dtype.signed else Const(0, 1)
            parts += [field, above.replicate(self.packing.spacing - dtype.bits)]
        value = Cat(*parts[:-1])
        return Term(value.as_signed() if self._types[-1].signed else value, self.low, self.high)


def take_apart(total: Term, packing: Packing, low: int, high: int) -> list[Carried]:
    """The sums of the lanes, each between ``low`` and ``high``, that make up ``total``."""
    parts = []
    for lane in range(packing.lanes):
        place = packing.spacing * lane
        least = low - int(lane > 0 and low < 0)
        dtype = IntType.of_range(least, high)
        value = widen(total.value, place + dtype.bits)
        field = value[place:].as_signed() if dtype.signed else value[place:]
        parts.append(Carried(Term(field, least, high), value[place - 1] if least < low else None))
    return parts


def join_starts(starts: Sequence[Bits], packing: Packing, total: IntType) -> Bits:
    """What the sums of a pack start from: ``starts`` side by side, the lower ones raised so that they never borrow.

    total: holds the starts and the final sums.
    """
    parts: list[Bits] = []
    for start in starts[: packing.lanes - 1]:
        wide = widen(start, packing.spacing)
        parts += [wide[:-1], ~wide[-1]] if total.signed else [wide]
    return Cat(*parts, widen(starts[packing.lanes - 1], total.bits))


def split_total(total: Bits, packing: Packing, dtype: IntType) -> list[Bits]:
    """The final sums of a pack that started from ``join_starts``."""
    values = []
    for lane in range(packing.lanes):
        bits = total[packing.spacing * lane :][: dtype.bits]
        is_raised = dtype.signed and lane < packing.lanes - 1
        bits = Cat(bits[:-1], ~bits[-1]) if is_raised else bits
        values.append(bits.as_signed() if dtype.signed else bits)
    return values
