"""The way in: bytes of a packet wait until its CRC is known to be right, then become beats of a stream."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from ..stream import Beats, beats_of

RAM = {"ram_style": "block", "no_rw_check": 1}


class InputPort(wiring.Component):
    """``begin`` starts a packet, each ``push`` adds a byte, and ``commit`` makes the packet count; without it the bytes
    are forgotten. ``is_full``: the packet did not fit. A beat takes whole bytes, the first one lowest.

    size: bytes that wait, a power of two.
    """

    def __init__(self, size: int, beats: Beats):
        self._size, self._width = size, beats.lanes * beats.dtype.bits
        super().__init__(
            {
                "begin": In(1),
                "push": In(1),
                "byte": In(8),
                "commit": In(1),
                "is_full": Out(1),
                "y": Out(beats_of(*beats)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.bytes = memory = Memory(shape=8, depth=self._size, init=[], attrs=RAM)
        write, read = memory.write_port(), memory.read_port()
        head, tail, at = Signal(range(2 * self._size)), Signal(range(2 * self._size)), Signal(range(2 * self._size))
        room, is_read, free = Signal(), Signal(), Signal(range(self._size + 1), init=self._size)
        m.d.comb += [
            room.eq(free != 0),
            write.addr.eq(at[:-1]),
            write.data.eq(self.byte),
            write.en.eq(self.push & room),
            read.addr.eq(head[:-1]),
        ]
        m.d.sync += free.eq(free - (self.push & room) + is_read)
        with m.If(self.begin):
            m.d.sync += [at.eq(tail), self.is_full.eq(0), free.eq(self._size + is_read - (tail - head)[: len(at)])]
        with m.Elif(self.push):
            m.d.sync += [at.eq(at + room), self.is_full.eq(self.is_full | ~room)]
        with m.Elif(self.commit):
            m.d.sync += tail.eq(at)
        self._gather(m, head, tail, is_read, read.data)
        return m

    def _gather(self, m: Module, head: Signal, tail: Signal, is_read: Signal, byte) -> None:
        """Bytes to beats: one every third cycle, for the memory takes two, the second of them for its own register."""
        count = -(-self._width // 8)
        word, left = Signal(8 * count, reset_less=True), Signal(range(count + 1), init=count)
        m.d.comb += self.y.payload.eq(word)
        is_asked, found = Signal(), Signal(8, reset_less=True)
        m.d.sync += is_asked.eq((head != tail) & ~is_asked & ~is_read & (left != 0))
        m.d.sync += [is_read.eq(is_asked), found.eq(byte)]
        with m.If(is_read):
            m.d.sync += [word.eq(Cat(word[8:], found)), head.eq(head + 1), left.eq(left - 1)]
            m.d.sync += self.y.valid.eq(left == 1)
        with m.If(self.y.valid & self.y.ready):
            m.d.sync += [self.y.valid.eq(0), left.eq(count)]
