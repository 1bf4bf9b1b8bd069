# amaranth: UnusedElaboratable=no
"""Proved for ever: packets on the way out stay as they are until they are acknowledged, and none is sent too early."""

import pytest
from amaranth.hdl import Assert, Assume, Cat, Const, Module, Mux, Signal

from espalier.hw.link import outputs
from espalier.hw.stream import Beats
from espalier.ir.graph import IntType
from proofs import Bench, Inside, prove, refute, with_fault

pytestmark = pytest.mark.synth


class OutputBench(Bench):
    """Any beats, acknowledgements of any number, repeats at any time; packets are taken only when one is pending."""

    def __init__(self, slots: int, size: int, bits: int, beats: int, source=outputs):
        self._slots, self._size, self._beats, self._count = slots, size, beats, -(-bits // 8)
        self._port = source.OutputPort(slots, size, Beats(1, IntType(bits)), beats)
        free = {"acknowledge": 1, "rewind": 1, "count": 8, "take": 1, "slot": 8, "place": 8, "mark": 1, "which": 2}
        super().__init__({**free, "valid": 1, "beat": bits})

    def elaborate(self, platform):
        m, port = Module(), self._port
        inside = Inside(port)
        m.submodules.port = inside.fragment
        for name in ("acknowledge", "rewind", "count", "take", "slot", "place"):
            m.d.comb += getattr(port, name).eq(getattr(self, name))
        m.d.comb += [port.x.valid.eq(self.valid), port.x.payload.eq(self.beat)]
        m.d.comb += [Assume(~self.take | port.pending), Assume(self.place < self._size)]
        acknowledged, kept, freed = self._claim_counts(m)
        self._claim_bytes(m, acknowledged, kept, freed)
        if self.helps:
            self._relate(m, inside, acknowledged, kept)
        return m

    def _claim_counts(self, m):
        """Asserts that packets acknowledged, sent and written stay in this order, at most ``slots`` of them, and that
        only a rewind goes back, to the first that is not acknowledged."""
        port, acknowledged = self._port, Signal(8, name="acknowledged")
        sent, kept, new = ((number - acknowledged)[:8] for number in (port.sequence, port.written, self.count))
        counts, ahead, expected = self.acknowledge & (new <= kept), Signal(8), Signal(8)
        written = Signal(8, name="was_written")
        m.d.comb += ahead.eq(sent + self.take)
        with m.If(counts):
            m.d.sync += acknowledged.eq(self.count)
        m.d.sync += written.eq(port.written)
        back = counts & (self.rewind | (new > ahead))
        m.d.sync += expected.eq(acknowledged + Mux(back, new, ahead))
        m.d.comb += [
            Assert((sent <= kept) & (kept <= self._slots)),
            Assert(port.pending == (sent != kept)),
            Assert((port.written - written)[:8] <= 1),
            Assert(port.sequence == expected),
        ]
        return acknowledged, kept, Mux(counts, new, 0)

    def _advance(self, packet, place, ends):
        """The place of the byte after that at a place, and whether that one was the last of its packet."""
        closes = (place == self._size - 1) | ends
        return (packet + closes)[:8], Mux(closes, 1, place + 1), closes

    def _claim_bytes(self, m, acknowledged, kept, freed):
        """Follows one byte, whichever, to its place in a packet, where it and the packet's length are to be read."""
        port, count = self._port, self._count
        self._packet, self._place = Signal(8, name="ghost_packet"), Signal(8, name="ghost_place", init=1)
        self._beat = beat = Signal(range(max(2, self._beats)), name="ghost_beat")
        self._is_inside, self._at, self._where = Signal(name="is_inside"), Signal(8, name="at"), Signal(8, name="where")
        self._value, self._length, is_done = Signal(8, name="value"), Signal(8, name="length"), Signal(name="is_done")
        ends, takes, word = beat == self._beats - 1, port.x.valid & port.x.ready, Signal(8 * count)
        packet, place, is_marked = self._packet, self._place, Const(0, 1)
        m.d.comb += word.eq(self.beat)
        with m.If(self._is_inside & (((self._at - acknowledged)[:8]) < freed)):
            m.d.sync += [self._is_inside.eq(0), is_done.eq(1)]
        for number in range(count):
            with m.If(takes & self.mark & (self.which == number) & ~self._is_inside):
                m.d.sync += [self._is_inside.eq(1), self._at.eq(packet), self._where.eq(place)]
                m.d.sync += self._value.eq(word.word_select(number, 8))
            following = self._advance(packet, place, ends & (number == count - 1))
            known = Signal(8, name=f"known_{number}")
            m.d.comb += known.eq(place)
            is_own = Mux(self._is_inside, self._at == packet, is_marked | (self.mark & (self.which == number)))
            with m.If(takes & following[2] & is_own):
                m.d.sync += self._length.eq(known)
            packet, place, is_marked = *following[:2], is_own & ~following[2]
        with m.If(takes):
            m.d.sync += [self._packet.eq(packet), self._place.eq(place), beat.eq(Mux(ends, 0, beat + 1))]
        looks = self._is_inside & (self.slot == self._at) & ((self._at - acknowledged)[:8] < kept)
        looked, right, read = Signal(2), Signal(8), Signal(8)
        m.d.sync += looked.eq(Cat(looks & ((self.place == 0) | (self.place == self._where)), looked[0]))
        m.d.sync += [right.eq(Mux(self.place == 0, self._length, self._value)), read.eq(right)]
        m.d.comb += [Assert(~looked[1] | (port.byte == read)), self.reached.eq(is_done & (self._place != 1))]

    def _relate(self, m, inside, acknowledged, kept):
        """What makes the claims inductive: the places of the bytes that are yet to be stored."""
        found, port = inside.of("OutputPort"), self._port
        left, word, memory = found["left"], found["word"], found["memory"]
        closing, place, is_last = found["is_closing"], found["place"], found["is_last"]
        at = (self._at - acknowledged)[:8]
        stored, length = (
            inside.look(m, memory, (self._at[: self._slots.bit_length() - 1] << self._size.bit_length() - 1) + where)
            for where in (self._where, 0)
        )
        m.d.comb += [
            Assert((found["acknowledged"] == acknowledged) & (found["kept"] == kept)),
            Assert((left <= self._count) & (found["beat"] == self._beat) & (self._beat < self._beats)),
            Assert(~((place != 1) | closing) | (kept < self._slots)),
            Assert(~closing | (place != 1)),
            Assert(closing | (place != 0)),
            Assert(~self._is_inside | (at <= (self._packet - acknowledged)[:8])),
            Assert(~self._is_inside | (self._at != self._packet) | (self._where < self._place)),
            Assert((self._where != 0) & (self._where < self._size) | ~self._is_inside),
        ]
        packet, there = (port.written + closing)[:8], Mux(closing, 1, place)
        is_stored = self._is_inside
        with m.If(self._is_inside & closing & (self._at == port.written)):
            m.d.comb += Assert(self._length == (place - 1)[: len(place)])
        for number in range(self._count):
            is_left, is_here = left > number, (self._at == packet) & (self._where == there)
            following = self._advance(packet, there, is_last & (left == number + 1))
            with m.If(self._is_inside & is_left & is_here):
                m.d.comb += Assert(word.word_select(number, 8) == self._value)
            with m.If(self._is_inside & is_left & following[2] & (self._at == packet)):
                m.d.comb += Assert(self._length == there)
            is_stored &= ~(is_left & is_here)
            packet, there = Mux(is_left, following[0], packet), Mux(is_left, following[1], there)
        m.d.comb += Assert((packet == self._packet) & (there == self._place))
        with m.If(is_stored):
            m.d.comb += Assert(stored == self._value)
        with m.If(self._is_inside & (at < kept)):
            m.d.comb += Assert(length == self._length)


@pytest.mark.parametrize("slots, size, bits, beats", [(2, 4, 8, 2), (2, 4, 5, 7), (4, 4, 12, 3), (2, 8, 16, 5)])
def test_packets_stay_until_acknowledged_proved_by_induction(slots, size, bits, beats, tmp_path):
    assert prove(OutputBench(slots, size, bits, beats), tmp_path, 3) == "proved"


FAULTS = [
    ("kept != self._slots", "kept <= self._slots"),
    ("new <= kept", "new <= kept + 1"),
    ("self.rewind | (sent < new)", "self.rewind"),
    ("self.sequence.eq(self.count)", "self.sequence.eq(acknowledged)"),
    ("is_full | (is_last & (left == 1))", "is_last & (left == 1)"),
    ("(place - 1)[: self._bits]", "place"),
]


@pytest.mark.parametrize("right, wrong", FAULTS)
def test_a_seeded_fault_is_found(right, wrong, tmp_path):
    assert "Time" in refute(OutputBench(2, 4, 8, 5, with_fault(outputs, right, wrong)), tmp_path, 20)
