"""The way out: beats become bytes in packets, which stay until the host has acknowledged them."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from ..stream import Beats, beats_of
from .inputs import RAM


class OutputPort(wiring.Component):
    """Keeps packets in ``slots`` of ``size`` bytes each, both powers of two: the length, then so many bytes.

    A packet ends with a frame of ``beats`` beats, or where its slot is full. ``written`` counts packets, modulo 256.
    ``acknowledge``: the host has those before ``count``; nothing happens if these were never written. ``rewind`` has
    the others sent again. ``pending``: packet ``sequence`` waits to be sent, until ``take``. ``byte`` is, two
    cycles later, what stands at ``place`` of the slot of packet ``slot``.
    """

    def __init__(self, slots: int, size: int, beat: Beats, beats: int):
        self._slots, self._size, self._beats = slots, size, beats
        self._width = beat.lanes * beat.dtype.bits
        super().__init__(
            {
                "acknowledge": In(1),
                "rewind": In(1),
                "count": In(8),
                "pending": Out(1),
                "sequence": Out(8),
                "take": In(1),
                "slot": In(8),
                "place": In(8),
                "byte": Out(8),
                "written": Out(8),
                "x": In(beats_of(*beat)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.bytes = memory = Memory(shape=8, depth=self._slots * self._size, init=[], attrs=RAM)
        self._write, read = memory.write_port(), memory.read_port()
        # Packets that the host has not acknowledged, those of them that were sent, and those acknowledged now.
        acknowledged, kept, sent, new = Signal(8), Signal(8), Signal(8), Signal(8)
        is_closing, found = Signal(), Signal(8, reset_less=True)
        m.d.sync += [kept.eq(kept + is_closing), found.eq(read.data)]
        m.d.comb += [
            sent.eq(self.sequence - acknowledged),
            new.eq(self.count - acknowledged),
            self.pending.eq(self.sequence != self.written),
            read.addr.eq((self.slot << self._bits) | self.place),
            self.byte.eq(found),
        ]
        with m.If(self.take):
            m.d.sync += self.sequence.eq(self.sequence + 1)
        with m.If(self.acknowledge & (new <= kept)):
            m.d.sync += [acknowledged.eq(self.count), kept.eq(kept + is_closing - new)]
            with m.If(self.rewind | (sent < new)):
                m.d.sync += self.sequence.eq(self.count)
        self._fill(m, is_closing, kept != self._slots)
        return m

    @property
    def _bits(self) -> int:
        return self._size.bit_length() - 1

    def _fill(self, m: Module, is_closing: Signal, has_room) -> None:
        """Beats to bytes, and these to slots; the length goes in last."""
        count = -(-self._width // 8)
        word, left = Signal(8 * count, reset_less=True), Signal(range(count + 1))
        beat, is_last = Signal(range(max(2, self._beats))), Signal()
        place, is_full = Signal(range(self._size), init=1), Signal()
        write, is_written = self._write, Signal()
        m.d.comb += [
            self.x.ready.eq((left == 0) & ~is_closing),
            is_written.eq((left != 0) & has_room & ~is_closing),
            is_full.eq(place == self._size - 1),
            write.addr.eq((self.written << self._bits) | Mux(is_closing, 0, place)),
            write.data.eq(Mux(is_closing, (place - 1)[: self._bits], word[:8])),
            write.en.eq(is_written | is_closing),
        ]
        with m.If(self.x.valid & self.x.ready):
            ends = beat == self._beats - 1
            m.d.sync += [word.eq(self.x.payload), left.eq(count), is_last.eq(ends), beat.eq(Mux(ends, 0, beat + 1))]
        with m.If(is_written):
            m.d.sync += [word.eq(word >> 8), left.eq(left - 1), place.eq(place + 1)]
            m.d.sync += is_closing.eq(is_full | (is_last & (left == 1)))
        with m.If(is_closing):
            m.d.sync += [is_closing.eq(0), place.eq(1), self.written.eq(self.written + 1)]
