"""Read-only memories of weights and thresholds, in the style that the family has."""

from collections.abc import Sequence

from amaranth.hdl import Const, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

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
    return 3 if style == "block" else 1


class Rom(wiring.Component):
    """``words[address]``, each ``width`` bits, ``latency`` cycles after the address; one word is a constant.

    style: "block" (block RAM), "lut" (a table of LUTs) or "logic" (one function for each bit, optimised freely).
    """

    def __init__(self, words: Sequence[int], width: int, style: str):
        self._words, self._style = list(words), style
        self.latency = read_cycles(len(words), style)
        super().__init__({"address": In(range(max(2, len(words)))), "word": Out(width)})

    def elaborate(self, platform):
        m = Module()
        width = len(self.word)
        if len(self._words) == 1:
            m.d.comb += self.word.eq(Const(self._words[0], width))
            return m
        found = Signal(width, reset_less=True)
        if self._style == "logic":
            with m.Switch(self.address):
                for address, word in enumerate(self._words[:-1]):
                    with m.Case(address):
                        m.d.sync += found.eq(Const(word, width))
                with m.Default():  # the last word, and addresses that never come
                    m.d.sync += found.eq(Const(self._words[-1], width))
            m.d.comb += self.word.eq(found)
            return m
        block = self._style == "block"
        attrs = {"ram_style": "block", "rom_style": "block"} if block else {"ram_style": "logic"}
        m.submodules.words = words = Memory(shape=width, depth=len(self._words), init=self._words, attrs=attrs)
        read = words.read_port(domain="sync" if block else "comb")
        m.d.comb += read.addr.eq(self.address)
        m.d.sync += found.eq(read.data)
        if not block:
            m.d.comb += self.word.eq(found)
            return m
        beside = Signal(width, reset_less=True)
        m.d.sync += beside.eq(found)
        m.d.comb += self.word.eq(beside)
        return m
