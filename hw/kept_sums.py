# amaranth: UnusedElaboratable=no
"""The sums of a matrix-vector product while slots add to them: of one group of outputs, or of all of them in turn."""

from collections.abc import Sequence

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib.memory import Memory

from ..ir.graph import IntType
from .arithmetic import Bits, delay
from .buffer import DEEPEST_LUT_RAM
from .carried import Carried, add_with_carry, widen
from .packing import Packing, join_starts, split_total

# A sum comes back from a memory this many slots later at the soonest.
FEWEST_IN_MEMORY = 3


class Totals:
    """Totals of ``pe`` outputs, or of packs of them, which hold every final sum; others are right modulo their width.

    dtype: of the final sums and what they start from. packing: where packs of outputs are summed up whole.
    """

    def __init__(self, dtype: IntType, pe: int, packing: Packing | None):
        self._dtype, self._pe, self._packing = dtype, pe, packing
        if packing:
            self._width = packing.spacing * (packing.lanes - 1) + dtype.bits
            self._count = -(-pe // packing.lanes)
        else:
            self._width, self._count = dtype.bits, pe

    @property
    def bits(self) -> int:
        return self._count * self._width

    def join(self, starts: Sequence[Bits]) -> list[Bits]:
        """What the totals start from, given what each output starts from."""
        if not self._packing:
            return list(starts)
        lanes = self._packing.lanes
        padded = [*starts, *[starts[-1]] * (-len(starts) % lanes)]
        return [join_starts(padded[at : at + lanes], self._packing, self._dtype) for at in range(0, len(padded), lanes)]

    def split(self, totals: Value) -> list[Bits]:
        """The sum of each output."""
        words = [self._total(totals, place) for place in range(self._count)]
        if not self._packing:
            return words
        return [sum_ for word in words for sum_ in split_total(word, self._packing, self._dtype)][: self._pe]

    def add(
        self, sums: Sequence[Carried], starts: Sequence[Bits], kept: Value | None = None, first: Bits | None = None
    ) -> Bits:
        """The next totals: those ``kept`` and the sums of a slot, or of the ``first`` one, which begins."""
        added = []
        for place, (part, start) in enumerate(zip(sums, starts, strict=True)):
            before = start if kept is None else Mux(first, start, self._total(kept, place))
            # The plain operand comes first: a carry cell of 7-series reads it by itself.
            added.append(widen(add_with_carry(part.term.value, before, part.carry), self._width))
        return Cat(*added)

    def _total(self, totals: Value, place: int) -> Bits:
        word = totals.word_select(place, self._width)
        return word.as_signed() if self._dtype.signed else word


class KeptSums:
    """Totals of ``groups`` in turn: in registers, or in a memory from ``FEWEST_IN_MEMORY`` groups on.

    cycles: from the number of a group to its totals.
    """

    def __init__(self, groups: int, bits: int):
        self._groups, self._bits = groups, bits
        self._is_block = groups > DEEPEST_LUT_RAM
        self._is_memory = groups >= FEWEST_IN_MEMORY
        self.cycles = 0 if not self._is_memory else 2 if self._is_block else 1

    def keep(self, m: Module, totals: Signal, added: Bits, valid: Value) -> None:
        """Take what is ``added`` into ``totals``."""
        if self._is_memory:
            m.d.sync += totals.eq(added)
            return
        with m.If(valid):
            m.d.sync += totals.eq(added)

    def find(self, m: Module, totals: Signal, group: Value, valid: Value) -> Value:
        """The totals of a group so far, with ``valid``; ``group`` is its number, ``cycles`` earlier."""
        if not self._is_memory:
            return self._step_back(m, totals, valid)
        style = {"ram_style": "block", "no_rw_check": 1} if self._is_block else {"ram_style": "distributed"}
        m.submodules.kept = memory = Memory(shape=self._bits, depth=self._groups, init=[], attrs=style)
        write, read = memory.write_port(), memory.read_port(domain="comb")
        m.d.comb += [
            read.addr.eq(group),
            write.addr.eq(delay(m, group, self.cycles + 1, "written_group")),
            write.data.eq(totals),
            write.en.eq(delay(m, valid, 1, "written", reset=True)),
        ]
        return Value.cast(delay(m, read.data, self.cycles, "kept_totals"))

    def _step_back(self, m: Module, totals: Signal, valid: Value) -> Value:
        """The totals as many slots ago as there are groups."""
        kept = totals
        for age in range(1, self._groups):
            older = Signal.like(kept, name=f"kept_{age}", reset_less=True)
            with m.If(valid):
                m.d.sync += older.eq(kept)
            kept = older
        return kept
