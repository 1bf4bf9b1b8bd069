"""Read-only memories of weights and thresholds, in the style that the family has."""

from collections.abc import Sequence
from functools import reduce
from itertools import accumulate
from operator import and_, or_
from typing import NamedTuple

from amaranth.hdl import Array, Cat, Const, Module, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from .arithmetic import Bits, delay

# Widths and depths of a block of 18 kbit, as ECP5 and 7-series have it.
BLOCK_SHAPES = ((36, 512), (18, 1024), (9, 2048), (4, 4096), (2, 8192), (1, 16384))


def choose_style(depth: int, width: int) -> str:
    """Block RAM where a table in LUT4s would cost more than about a hundred of them for each block used."""
    if depth == 1:
        return "constant"
    lut4 = width * -(-depth // 16)
    blocks = min(-(-width // wide) * -(-depth // deep) for wide, deep in BLOCK_SHAPES)
    return "block" if depth > 16 and lut4 > 96 * blocks else "lut"


def read_cycles(depth: int, style: str) -> int:
    """Cycles from address to registered word: block RAM has its own output register and one beside the logic."""
    if depth == 1:
        return 0
    return 3 if style in ("block", "spram") else 1


class Bank(NamedTuple):
    """``depth`` words, in memories of ``width`` bits side by side."""

    depth: int
    width: int


def split_into_banks(depth: int, width: int) -> list[Bank]:
    """Memories of one block's depth each: the fewest blocks, then the fewest banks; the last may be shallower.

    Each bank starts at a multiple of its depth rounded up to a power of two. yosys would make deep memories of many
    wide, shallow blocks, and choose between them.
    """
    shallow = BLOCK_SHAPES[0][1]
    units, rest = -(-depth // shallow), depth % shallow
    best: list[tuple[int, int, list[Bank]]] = [(0, 0, [])]  # blocks, how many banks, banks
    for deep in range(1, units + 1):
        choices = []
        for wide, most in BLOCK_SHAPES:
            blocks, count, banks = best[max(0, deep - most // shallow)]
            bank = Bank(most, wide if most > shallow else width)
            choices.append((blocks + -(-width // wide), count + 1, [*banks, bank]))
        best.append(min(choices))
    chosen = sorted(best[-1][2], reverse=True)
    if units > 1 and rest and choose_style(rest, width) != "block" and best[-2][0] < best[-1][0]:
        chosen = [*sorted(best[-2][2], reverse=True), Bank(rest, width)]
    return chosen


class Rom(wiring.Component):
    """``words[address]``, each ``width`` bits, ``latency`` cycles after the address; one word is a constant.

    style: "block" (block RAM), "lut" (a table of LUTs) or "logic" (one function for each bit, optimised freely).
    """

    def __init__(self, words: Sequence[int], width: int, style: str):
        self._words, self._style = list(words), style
        self.latency = read_cycles(len(words), style)
        super().__init__({"address": In(range(max(2, len(words)))), "word": Out(width)})

    @property
    def is_plain(self) -> bool:
        """Whether no logic stands before the register with the word: yosys may give one that has some a reset."""
        if len(self._words) == 1:
            return True
        return self._style == "block" and len(split_into_banks(len(self._words), len(self.word))) == 1

    def elaborate(self, platform):
        m = Module()
        width = len(self.word)
        if len(self._words) == 1:
            m.d.comb += self.word.eq(self._read(m, "words", self._words, width, is_block=False))
            return m
        found = Signal(width, reset_less=True)
        m.d.comb += self.word.eq(self._without_constants(found))
        if self._style == "block":
            m.d.sync += found.eq(self._choose_bank(m))
        elif self._style == "lut":
            m.d.sync += found.eq(self._read(m, "words", self._words, width, is_block=False))
        else:
            with m.Switch(self.address):
                for address, word in enumerate(self._words[:-1]):
                    with m.Case(address):
                        m.d.sync += found.eq(Const(word, width))
                with m.Default():  # the last word, and addresses that never come
                    m.d.sync += found.eq(Const(self._words[-1], width))
        return m

    def _without_constants(self, found: Signal) -> Bits:
        """Bits that all words share are no registers, so that what follows can be made for them."""
        ones, some = reduce(and_, self._words), reduce(or_, self._words)
        if self._style == "block" or ones ^ some == (1 << len(found)) - 1:
            return found
        return Cat(found[bit] if (ones ^ some) >> bit & 1 else Const(ones >> bit & 1, 1) for bit in range(len(found)))

    def _choose_bank(self, m: Module) -> Value:
        """The word, two cycles after the address: in a block's own output register, which takes in nothing but that."""
        banks = split_into_banks(len(self._words), len(self.word))
        starts = [0, *accumulate(bank.depth for bank in banks)]
        found = [self._read_bank(m, place, start, bank) for place, (start, bank) in enumerate(zip(starts, banks))]
        if len(found) == 1:
            return found[0]
        chosen = Signal(range(len(banks)))
        with m.Switch(self.address):
            for place, (start, bank) in enumerate(zip(starts, banks[:-1])):
                within = exact_log2(bank.depth)
                with m.Case(format(start >> within, f"0{len(self.address) - within}b") + "-" * within):
                    m.d.comb += chosen.eq(place)
            with m.Default():
                m.d.comb += chosen.eq(len(banks) - 1)
        return Value.cast(Array(found)[delay(m, chosen, 2, "bank")])

    def _read_bank(self, m: Module, place: int, start: int, bank: Bank) -> Value:
        words = self._words[start : start + bank.depth]
        is_block = start == 0 or choose_style(len(words), len(self.word)) == "block"
        parts = []
        for low in range(0, len(self.word), bank.width):
            width = min(bank.width, len(self.word) - low)
            fields = [word >> low & ((1 << width) - 1) for word in words]
            parts.append(self._read(m, f"words_{place}_{low}", fields, width, is_block=is_block))
        return delay(m, Cat(*parts), 1 if is_block else 2, f"found_{place}")

    def _read(self, m: Module, name: str, words: Sequence[int], width: int, *, is_block: bool) -> Value:
        if len(words) == 1:
            return Const(words[0], width)
        attrs = {"ram_style": "block", "rom_style": "block"} if is_block else {"ram_style": "logic"}
        m.submodules[name] = memory = Memory(shape=width, depth=len(words), init=words, attrs=attrs)
        read = memory.read_port(domain="sync" if is_block else "comb")
        m.d.comb += read.addr.eq(self.address)
        return read.data
