# amaranth: UnusedElaboratable=no
"""Accumulators in a memory: values are combined into as many words as there are windows open at a time."""

from collections.abc import Callable
from typing import Any

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from ..ir.graph import IntType
from .arithmetic import delay
from .stream import split

# Cycles from the address of a word of block RAM to its successor, and until that one can be read.
BLOCK_CYCLES = 3
BLOCK_REUSE = 4

# Of the value that comes and the one that is kept; lanes as numbers.
Combine = Callable[[Any, Any], Any]


class Accumulators(wiring.Component):
    """Combines each beat with the word at ``address``, or begins that word anew with it (``first``).

    result: the word afterwards, ``cycles`` later. is_block: in block RAM, where an address may come again only after
    ``BLOCK_REUSE`` cycles; otherwise it may come in the very next one.
    """

    def __init__(self, depth: int, lanes: int, dtype: IntType, combine: Combine, *, is_block: bool):
        self._depth, self._lanes, self._dtype, self._combine = depth, lanes, dtype, combine
        self._is_block = is_block
        self.cycles = BLOCK_CYCLES if is_block else 1
        width = lanes * dtype.bits
        super().__init__(
            {
                "valid": In(1),
                "first": In(1),
                "address": In(range(max(2, depth))),
                "beat": In(width),
                "result": Out(width),
            }
        )

    def elaborate(self, platform):
        m = Module()
        ahead = self.cycles - 1
        valid, first = delay(m, self.valid, ahead, "valid", reset=True), delay(m, self.first, ahead, "first")
        beat, word = delay(m, self.beat, ahead, "beat"), Signal.like(self.beat, name="word")
        held = Signal.like(self.beat, name="held", reset_less=True)
        kept = held if self._depth == 1 else self._memory(m, valid, word)
        pairs = zip(*(split(lanes, self._lanes, self._dtype) for lanes in (beat, kept)), strict=True)
        bits = self._dtype.bits
        m.d.comb += [
            word.word_select(lane, bits).eq(Mux(first, new, self._combine(new, old)))
            for lane, (new, old) in enumerate(pairs)
        ]
        with m.If(valid):
            m.d.sync += held.eq(word)
        m.d.comb += self.result.eq(held)
        return m

    def _memory(self, m: Module, valid: Value, word: Value) -> Value:
        """The word to combine with, as many cycles after its address as ``valid`` comes."""
        style = {"ram_style": "block", "no_rw_check": 1} if self._is_block else {"ram_style": "distributed"}
        m.submodules.words = memory = Memory(shape=len(word), depth=self._depth, init=[], attrs=style)
        write, read = memory.write_port(), memory.read_port(domain="comb")
        address = delay(m, self.address, self.cycles - 1, "address")
        if self._is_block:  # a register on the way back, since blocks lie far apart
            address, word = delay(m, address, 1, "written_address"), delay(m, word, 1, "written_word")
            valid = delay(m, valid, 1, "written", reset=True)
        m.d.comb += [write.addr.eq(address), write.data.eq(word), write.en.eq(valid), read.addr.eq(self.address)]
        return delay(m, read.data, self.cycles - 1, "kept")
