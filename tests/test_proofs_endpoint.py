# amaranth: UnusedElaboratable=no
"""Proved for ever: the endpoint gives its ports and its framer only what their own proofs assume."""

import pytest
from amaranth.hdl import Assert, Module

from espalier.hw.link import endpoint
from espalier.hw.stream import Beats
from espalier.ir.graph import IntType
from link_bench import listen
from proofs import Bench, Inside, prove, refute, watch, with_fault

pytestmark = pytest.mark.synth


class EndpointBench(Bench):
    """One input and one output, any line, any pace of the streams."""

    def __init__(self, source=endpoint):
        one = source.Border(Beats(1, IntType(8)), 2)
        self._endpoint = source.Endpoint([one], [one], bytes(16), source.LinkOptions(buffer=4, slots=2, slot=4))
        super().__init__({"line": 8, "strobe": 1, "ready": 1, "valid": 1, "beat": 8, "willing": 1})

    def elaborate(self, platform):
        m, end = Module(), self._endpoint
        inside = Inside(end)
        m.submodules.endpoint = inside.fragment
        m.d.comb += [
            end.line.eq(self.line),
            end.strobe.eq(self.strobe),
            end.y.ready.eq(self.ready),
            end.input_0.ready.eq(self.willing),
            end.output_0.valid.eq(self.valid),
            end.output_0.payload.eq(self.beat),
        ]
        way_in, way_out = inside.of("InputPort")["self"], inside.of("OutputPort")["self"]
        framer, line = inside.of("Framer")["self"], listen(m, self.line, self.strobe)
        waits, _ = watch(m, framer.x, "_x")
        m.d.comb += [
            Assert(way_in.begin + way_in.push + way_in.commit <= 1),
            Assert(~way_in.commit | ~way_in.is_full),
            Assert(~way_out.take | way_out.pending),
            Assert(~waits | framer.x.valid),
            self.reached.eq(waits & way_in.begin),
        ]
        if self.helps:
            found, ended = inside.of("Unframer"), inside.of("Endpoint")["ended"]
            unframer = found["self"]
            m.d.comb += [
                Assert((unframer.push == line.push) & (unframer.end == line.end)),
                Assert(found["is_escaped"] == line.is_escaped),
                Assert(~(line.push & line.end)),
                Assert(~(line.push | line.end) | (line.since == 1)),
                Assert(~ended | (line.since == 2)),
            ]
        return m


def test_what_the_ports_assume_is_kept_proved_by_induction(tmp_path):
    assert prove(EndpointBench(), tmp_path, 3) == "proved"


FAULTS = [
    ("with m.Elif(way.pending)", "with m.Elif(1)"),
    ("framer.x.valid.eq(is_sending & (wait == 0))", "framer.x.valid.eq(is_sending & (wait == 0) & ~self.strobe)"),
]


@pytest.mark.parametrize("right, wrong", FAULTS)
def test_a_seeded_fault_is_found(right, wrong, tmp_path):
    assert "Time" in refute(EndpointBench(with_fault(endpoint, right, wrong)), tmp_path, 24)
