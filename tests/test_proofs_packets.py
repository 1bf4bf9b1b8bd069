# amaranth: UnusedElaboratable=no
"""Proved for ever: what the framer sends comes out of the unframer, byte by byte and whole, after any noise."""

import pytest
from amaranth.hdl import Array, Assert, Assume, Const, Module, Mux, Signal

from espalier.hw.link import framing
from espalier.hw.link.protocol import CRC, ESCAPE, FLAG, FLIP
from link_bench import RESIDUE, START, fold_ones, listen, settle
from proofs import Bench, Inside, claim_stable, prove, refute, watch, with_fault

pytestmark = pytest.mark.synth


class PacketsBench(Bench):
    """First any bytes, while ``noise`` is set; then packets of any length, a byte at a time, at any pace.

    A byte that waits to be taken may change meanwhile, as those of a status do, which count up; but not from one that
    is escaped to the one that would make a flag behind an escape.
    """

    def __init__(self, source=framing):
        self._source = source
        super().__init__({"noise": 1, "line": 8, "strobe": 1, "valid": 1, "byte": 8, "last": 1, "ready": 1})

    def elaborate(self, platform):
        m = Module()
        framer = self._source.Framer()
        inside = Inside(framer)
        m.submodules.framer = inside.fragment
        is_noisy, was_noisy, strobe = Signal(), Signal(init=1), Signal()
        m.d.sync += was_noisy.eq(is_noisy)
        m.d.comb += [
            is_noisy.eq(self.noise & was_noisy),
            framer.x.valid.eq(self.valid & ~is_noisy),
            framer.x.payload.byte.eq(self.byte),
            framer.x.payload.last.eq(self.last),
            framer.y.ready.eq(self.ready),
            strobe.eq(Mux(is_noisy, self.strobe, framer.y.valid & framer.y.ready)),
        ]
        line = listen(m, Mux(is_noisy, self.line, framer.y.payload), strobe)
        # Nothing is taken that the line is not there for.
        m.d.comb += Assume(~self.ready | (line.since == framing.CYCLES))
        claim_stable(m, framer.y)
        self._waits, self._offered = watch(m, framer.x, "_x")
        self._was_special, was_special = Signal(name="was_special"), Signal()
        m.d.comb += was_special.eq(self._waits & (self._was_special | is_special(self._offered[:8])))
        m.d.sync += self._was_special.eq(was_special)
        m.d.comb += Assume(~self._waits | (framer.x.valid & ~(was_special & (self.byte == FLAG ^ FLIP))))
        self._claim_packets(m, framer, line, strobe & ~is_noisy)
        if self.helps:
            self._relate(m, inside, line, is_noisy)
        return m

    def _claim_packets(self, m, framer, line, sent):
        """Asserts that between the flags of a packet its bytes come out, one after the other, then four of the CRC."""
        taken, was_sent = framer.x.valid & framer.x.ready, Signal()
        self._is_due = is_due = Signal(name="is_due")
        self._due = due = Signal(8, name="due")
        self._is_open = is_open = Signal(name="is_open")
        self._is_last = is_last = Signal(name="is_last")
        self._trailer = trailer = Signal(range(CRC + 2), name="trailer")
        self._was_sent = was_sent
        m.d.sync += was_sent.eq(sent)
        push, end = was_sent & line.push, was_sent & line.end
        self._is_late = is_late = Signal(name="is_late")
        late = Signal(8, name="late")
        m.d.sync += [is_late.eq(sent & is_due), late.eq(due)]
        with m.If(sent):
            m.d.sync += is_due.eq(0)
        with m.If(push & ~is_late):
            m.d.sync += trailer.eq(trailer + 1)
        with m.If(taken):
            m.d.sync += [is_due.eq(1), due.eq(framer.x.payload.byte), is_last.eq(framer.x.payload.last)]
        with m.If(end):
            m.d.sync += [is_open.eq(~is_open), trailer.eq(0)]
            with m.If(is_open):
                m.d.sync += is_last.eq(0)
        m.d.comb += [
            Assert(~taken | ~is_due | sent),
            Assert(~taken | ~is_last),
            Assert(~is_late | (push & (line.byte == late))),
            Assert(~push | (is_open & (is_late | (is_last & ~is_due & (trailer < CRC))))),
            Assert(~end | ~is_open | (line.is_whole & is_last & ~is_due & (trailer == CRC))),
            self.reached.eq(push & is_last),
        ]

    def _relate(self, m, inside, line, is_noisy):
        """What makes the claims inductive: what the unframer will know once the byte on its way has come."""
        found = inside.of("Framer")
        y, left, is_escaping, state = found["self"].y, found["left"], found["is_escaping"], inside.named("fsm_state")
        opened, sends, sums, closes = (state == number for number in range(4))
        busy, own = inside.of("SerialCrc")["left"], settle(m, inside, 0)
        push, end = self._was_sent & line.push, self._was_sent & line.end
        is_due, is_open, is_last = self._is_due, self._is_open ^ end, self._is_last & ~(end & self._is_open)
        trailer = Mux(end, 0, self._trailer + (push & ~self._is_late))
        is_flag = y.valid & (y.payload == FLAG)
        is_data = y.valid & ~is_flag & ~is_escaping
        then, then_escaped = Mux(y.valid, line.then_crc, line.crc), Mux(y.valid, line.then_escaped, line.is_escaped)
        # Each bit of the CRC that is sent meets the same bit of that which was computed, and cancels it.
        rest = [
            Const((1 << 8 * count) - 1, 32) & ~found["trailer"] ^ fold_ones(CRC - count) for count in range(CRC + 1)
        ]
        m.d.comb += [
            Assert((busy <= 8) & (left <= CRC)),
            Assert(~self._was_sent | (line.since == 1)),
            Assert(~(line.push & line.end) & ~(line.end & line.is_escaped)),
            Assert(~(line.push | line.end) | self._was_sent | ~self._is_open),
            Assert(~(opened | closes | (left != 0)) | (busy == 0)),
            Assert((left == 0) | sends),
        ]
        with m.If(opened):
            ended = (trailer == 0) & ~is_open & ~is_last
            waits = is_flag & is_open & is_last & (trailer == CRC) & ~line.is_escaped & (line.crc == RESIDUE)
            m.d.comb += [Assert(Mux(y.valid, waits, ended)), Assert(~is_due & ~is_escaping)]
        with m.Else():
            begun = sends & (left == 0)
            m.d.comb += [
                Assert(then_escaped == is_escaping),
                Assert(~(sums | closes) | ~is_escaping),
                Assert(~(begun & is_escaping) | (self._waits & (self._was_special | is_special(self._offered[:8])))),
                Assert(~((left != 0) & is_escaping) | is_special(found["trailer"][:8])),
                Assert(is_last == ~begun),
                Assert(is_open == ~is_flag),
                Assert(~is_flag | (begun & (own == START))),
                Assert(is_due == (is_data & (begun | sums | (left == CRC)))),
                Assert(~is_due | (line.decoded == self._due)),
            ]
            with m.If(begun | sums):
                m.d.comb += [Assert(trailer == 0), Assert(then == own)]
            with m.Else():
                m.d.comb += [
                    Assert(trailer == CRC - left - (is_data & (left != CRC))),
                    Assert(then == Array(rest)[left]),
                ]
        with m.If(is_noisy):
            m.d.comb += Assert(opened & ~y.valid & ~self._was_sent & ~is_open)


def is_special(byte):
    return (byte == FLAG) | (byte == ESCAPE)


def test_packets_come_through_proved_by_induction(tmp_path):
    assert prove(PacketsBench(), tmp_path, 3) == "proved"


@pytest.mark.parametrize(
    "right, wrong",
    [
        ("(byte == FLAG) | (byte == ESCAPE)", "byte == FLAG"),
        ("is_free.eq(~self.y.valid | self.y.ready)", "is_free.eq(1)"),
    ],
)
def test_a_seeded_fault_is_found(right, wrong, tmp_path):
    assert "Time" in refute(PacketsBench(with_fault(framing, right, wrong)), tmp_path, 24)


def test_a_byte_left_out_of_the_crc_is_found(tmp_path):
    """By what is inside: whole packets would take the solver too long."""
    faulty = with_fault(framing, "self.x.ready.eq(1), crc.push.eq(1)", "self.x.ready.eq(1)")
    assert "Time" in refute(PacketsBench(faulty), tmp_path, 24, helps=True)
