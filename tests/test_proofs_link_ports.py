# amaranth: UnusedElaboratable=no
"""Proved for ever: only bytes of packets that count become beats, each once and in order."""

import pytest
from amaranth.hdl import Assert, Assume, Module, Mux, Signal

from espalier.hw.link import inputs
from espalier.hw.stream import Beats
from espalier.ir.graph import IntType
from proofs import Bench, Inside, claim_stable, prove, refute, with_fault

pytestmark = pytest.mark.synth


class InputBench(Bench):
    """Packets of any bytes, of which some count and some are forgotten; those that did not fit never count."""

    def __init__(self, size: int, bits: int, source=inputs):
        self._size, self._count = size, -(-bits // 8)
        self._port = source.InputPort(size, Beats(1, IntType(bits)))
        super().__init__({"begin": 1, "push": 1, "byte": 8, "commit": 1, "ready": 1, "mark": 1})

    def elaborate(self, platform):
        m, port, count = Module(), self._port, self._count
        inside = Inside(port)
        m.submodules.port = inside.fragment
        m.d.comb += [getattr(port, name).eq(getattr(self, name)) for name in ("begin", "push", "byte", "commit")]
        m.d.comb += [port.y.ready.eq(self.ready), Assume(self.begin + self.push + self.commit <= 1)]
        m.d.comb += Assume(~self.commit | ~port.is_full)
        claim_stable(m, port.y)
        bits = range(4 * self._size + 4)
        held, fresh = Signal(bits, name="held"), Signal(bits, name="fresh")  # bytes that count, and those that may
        leaves = port.y.valid & port.y.ready
        m.d.sync += held.eq(held + Mux(self.commit, fresh, 0) - Mux(leaves, count, 0))
        with m.If(self.begin | self.commit):
            m.d.sync += fresh.eq(0)
        with m.If(self.push & (fresh <= self._size)):  # larger packets do not fit
            m.d.sync += fresh.eq(fresh + 1)
        was_full, can_be_full = Signal(), Signal()
        m.d.sync += [was_full.eq(port.is_full), can_be_full.eq(self.push & (held + fresh >= self._size))]
        m.d.comb += [
            Assert(~port.y.valid | (held >= count)),
            Assert(~port.is_full | was_full | can_be_full),
        ]
        self._follow(m, held, fresh, leaves)
        m.d.comb += self.reached.eq(self._is_done & (held >= self._size))
        if self.helps:
            self._relate(m, inside, held, fresh)
        return m

    def _follow(self, m, held, fresh, leaves):
        """One byte, whichever; if its packet is forgotten, a later one may be it."""
        port, count = self._port, self._count
        self._is_fresh, self._is_inside = Signal(name="is_fresh"), Signal(name="is_inside")
        self._is_done, self._value = Signal(name="is_done"), Signal(8, name="value")
        self._ahead = ahead = Signal(len(held), name="ahead")  # of those that count, or of those of its packet
        payload = Signal(8 * count)
        m.d.comb += payload.eq(port.y.payload)
        with m.If(self._is_inside & (ahead < count)):
            right = self._value & (((1 << len(port.y.payload)) - 1) >> (8 * ahead))
            m.d.comb += Assert(~port.y.valid | (payload.word_select(ahead, 8) == right))
        with m.If(self._is_inside & leaves):
            m.d.sync += [ahead.eq(ahead - count), self._is_inside.eq(ahead >= count), self._is_done.eq(ahead < count)]
        is_free = (fresh <= self._size) & ~self._is_fresh & ~self._is_inside & ~self._is_done
        with m.If(self.begin):
            m.d.sync += self._is_fresh.eq(0)
        with m.If(self.push & self.mark & is_free):
            m.d.sync += [self._is_fresh.eq(1), self._value.eq(self.byte), ahead.eq(fresh)]
        with m.If(self.commit & self._is_fresh):
            m.d.sync += [self._is_fresh.eq(0), self._is_inside.eq(1), ahead.eq(held + ahead - Mux(leaves, count, 0))]

    def _relate(self, m, inside, held, fresh):
        """What makes the claims inductive: how the pointers go with the bytes, and where the followed one is."""
        port, count, found = self._port, self._count, inside.of("InputPort")
        head, tail, at, left, word = (found[name] for name in ("head", "tail", "at", "left", "word"))
        stored, written = (tail - head)[: len(head)], (at - tail)[: len(head)]
        gathered = count - left
        m.d.comb += [
            Assert((left <= count) & (fresh <= self._size + 1)),
            Assert(port.y.valid == (left == 0)),
            Assert(held == stored + gathered),
            Assert(stored + written <= self._size),
            Assert(found["free"] == self._size - stored - written),
            Assert(port.is_full | (written == fresh)),
            Assert(~(found["is_asked"] | found["is_read"]) | ((stored != 0) & (left != 0))),
            Assert(~(found["is_asked"] & found["is_read"])),
            Assert(~(self._is_fresh & self._is_inside) & ~(self._is_done & (self._is_fresh | self._is_inside))),
            Assert(~self._is_inside | (self._ahead < held)),
            Assert(~self._is_fresh | (self._ahead < fresh)),
        ]
        place = Mux(self._is_fresh, stored + self._ahead, self._ahead - gathered)[: len(head)]
        kept = inside.look(m, found["memory"], head + place)
        with m.If((self._is_fresh & ~port.is_full) | (self._is_inside & (self._ahead >= gathered))):
            m.d.comb += Assert(kept == self._value)
            with m.If(found["is_asked"] & (place == 0)):
                m.d.comb += Assert(found["byte"] == self._value)
            with m.If(found["is_read"] & (place == 0)):
                m.d.comb += Assert(found["found"] == self._value)
        with m.Elif(self._is_inside):
            m.d.comb += Assert(word.word_select((left + self._ahead)[: len(left)], 8) == self._value)


@pytest.mark.parametrize("size, bits", [(2, 5), (4, 8), (4, 12), (8, 24)])
def test_bytes_that_count_become_beats_proved_by_induction(size, bits, tmp_path):
    assert prove(InputBench(size, bits), tmp_path, 3) == "proved"


FAULTS = [
    ("(self.push & room) + is_read", "(self.push & room) + self.y.valid"),
    ("self._size + is_read - (tail - head)[: len(at)]", "self._size"),
    ("[at.eq(tail), self.is_full.eq(0), ", "[self.is_full.eq(0), "),  # what was forgotten counts
    ("tail.eq(at)", "tail.eq(at + 1)"),
    ("& ~is_asked & ~is_read & (left != 0)", "& (left != 0)"),
    ("self.is_full.eq(self.is_full | ~room)", "self.is_full.eq(0)"),
]


@pytest.mark.parametrize("right, wrong", FAULTS)
def test_a_seeded_fault_is_found(right, wrong, tmp_path):
    assert "Time" in refute(InputBench(2, 8, with_fault(inputs, right, wrong)), tmp_path, 16)
