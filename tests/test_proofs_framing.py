# amaranth: UnusedElaboratable=no
"""Proved for ever: whatever a line brings, the unframer finds its bytes and packets, and trusts only whole ones."""

import zlib

import pytest
from amaranth.hdl import Assert, Module, Mux

from espalier.hw.link import framing
from link_bench import RESIDUE, START, add_byte, listen, settle
from proofs import Bench, Inside, prove, refute, with_fault

pytestmark = pytest.mark.synth


class UnframerBench(Bench):
    """Any bytes, as far apart as a line brings them."""

    def __init__(self, source=framing):
        self._source = source
        super().__init__({"line": 8, "strobe": 1})

    def elaborate(self, platform):
        m = Module()
        unframer = self._source.Unframer()
        inside = Inside(unframer)
        m.submodules.unframer = inside.fragment
        m.d.comb += [unframer.line.eq(self.line), unframer.strobe.eq(self.strobe)]
        line = listen(m, self.line, self.strobe)
        m.d.comb += [
            Assert((unframer.push == line.push) & (unframer.end == line.end)),
            Assert(~line.push | (unframer.byte == line.byte)),
            Assert(~line.end | (unframer.is_whole == line.is_whole)),
            self.reached.eq(line.push & ~line.is_escaped),
        ]
        if self.helps:
            found, left = inside.of("Unframer"), inside.of("SerialCrc")["left"]
            known = settle(m, inside, 0)
            known = Mux(line.end, START, Mux(line.push, add_byte(m, known, unframer.byte), known))
            m.d.comb += [
                Assert((found["is_escaped"] == line.is_escaped) & (known == line.crc)),
                Assert(~(line.push | line.end) | ((line.since == 1) & (left == 0))),
                Assert((left == 0) | (left == framing.CYCLES - line.since)),
            ]
        return m


def test_whatever_arrives_is_understood_proved_by_induction(tmp_path):
    assert prove(UnframerBench(), tmp_path, 3) == "proved"


@pytest.mark.parametrize("body", [b"", b"\\0", b"espalier"])
def test_bytes_and_their_crc_leave_the_residue(body):
    assert zlib.crc32(body + zlib.crc32(body).to_bytes(4, "little")) ^ START == RESIDUE


FAULTS = [
    ("crc.is_whole & ~is_escaped", "~is_escaped"),
    ("is_escaped.eq(is_escape)", "is_escaped.eq(self.line == ESCAPE)"),
    ("Mux(is_escaped, self.line ^ FLIP, self.line)", "self.line"),
]


@pytest.mark.parametrize("right, wrong", FAULTS)
def test_a_seeded_fault_is_found(right, wrong, tmp_path):
    assert "Time" in refute(UnframerBench(with_fault(framing, right, wrong)), tmp_path, 24)


def test_a_crc_of_seven_bits_a_byte_is_found(tmp_path):
    """By the CRC inside: a whole packet would take the solver too long."""
    bench = UnframerBench(with_fault(framing, "left.eq(8)", "left.eq(7)"))
    assert "Time" in refute(bench, tmp_path, 6, helps=True)
