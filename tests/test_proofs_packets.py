# amaranth: UnusedElaboratable=no
"""Proved for ever: what the framer sends comes out of the unframer, byte by byte and whole, after any noise."""

import pytest
from amaranth.hdl import Assert, Assume, Module, Mux, Signal

from crc_bench import RESIDUE, START, add_bits, add_byte, settle
from espalier.hw.link import framing
from espalier.hw.link.protocol import CRC, ESCAPE, FLAG, FLIP
from proofs import Bench, Inside, claim_stable, prove, refute, with_fault


class PacketsBench(Bench):
    """First any bytes, while ``noise`` is set; then packets of any length, a byte at a time, at any pace."""

    def __init__(self, source=framing):
        self._source = source
        super().__init__({"noise": 1, "line": 8, "strobe": 1, "valid": 1, "byte": 8, "last": 1, "ready": 1})

    def elaborate(self, platform):
        m = Module()
        framer, unframer = framing.Framer(), framing.Unframer()
        if self._source is not framing:
            framer = self._source.Framer()
        inside = Inside(framer)
        behind = Inside(unframer)
        m.submodules.framer, m.submodules.unframer = inside.fragment, behind.fragment
        is_noisy, was_noisy, strobe = Signal(), Signal(init=1), Signal()
        m.d.sync += was_noisy.eq(is_noisy)
        since = Signal(4, init=framing.CYCLES)
        m.d.sync += since.eq(Mux(strobe, 1, Mux(since == framing.CYCLES, since, since + 1)))
        m.d.comb += [
            is_noisy.eq(self.noise & was_noisy),
            framer.x.valid.eq(self.valid & ~is_noisy),
            framer.x.payload.byte.eq(self.byte),
            framer.x.payload.last.eq(self.last),
            framer.y.ready.eq(self.ready),
            strobe.eq(Mux(is_noisy, self.strobe, framer.y.valid & framer.y.ready)),
            unframer.strobe.eq(strobe),
            unframer.line.eq(Mux(is_noisy, self.line, framer.y.payload)),
            Assume(~(strobe | self.ready) | (since == framing.CYCLES)),
        ]
        claim_stable(m, framer.y)
        self._claim_packets(m, framer, unframer, strobe & ~is_noisy)
        if self.helps:
            self._relate(m, inside, behind, since, is_noisy)
        return m

    def _claim_packets(self, m, framer, unframer, sent):
        """Asserts that between the flags of a packet its bytes come out, one after the other, then four of the CRC."""
        taken, was_sent = framer.x.valid & framer.x.ready, Signal()
        is_due, due = Signal(), Signal(8)
        is_open, is_last, trailer = Signal(), Signal(), Signal(range(CRC + 2))
        m.d.sync += was_sent.eq(sent)
        push, end = was_sent & unframer.push, was_sent & unframer.end
        with m.If(push):
            m.d.sync += is_due.eq(0)
            with m.If(~is_due):
                m.d.sync += trailer.eq(trailer + 1)
        with m.If(taken):
            m.d.sync += [is_due.eq(1), due.eq(framer.x.payload.byte), is_last.eq(framer.x.payload.last)]
        with m.If(end):
            m.d.sync += [is_open.eq(~is_open), is_last.eq(0), trailer.eq(0)]
        m.d.comb += [
            Assert(~taken | ~is_due | push),
            Assert(~taken | ~is_last),
            Assert(~push | (is_open & Mux(is_due, unframer.byte == due, is_last & (trailer < CRC)))),
            Assert(~end | ~is_open | (unframer.is_whole & is_last & ~is_due & (trailer == CRC))),
            self.reached.eq(push & is_last & ~is_due),
        ]
        self._is_due, self._due, self._is_open, self._is_last, self._trailer = is_due, due, is_open, is_last, trailer
        self._was_sent = was_sent
