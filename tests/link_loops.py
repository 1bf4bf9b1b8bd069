"""Endpoints whose outputs are their inputs, in Verilator: bytes of a file go in, what they answer comes out."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from amaranth.back import verilog
from amaranth.hdl import Array, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from espalier.hw.link.endpoint import Border, Endpoint, LinkOptions
from espalier.hw.stream import Beats
from espalier.ir.graph import IntType
from espalier.sim.runner import build, run
from espalier.sim.simulate import USER_CACHE
from espalier.sim.tools import find_tools
from link_device import DIGEST, Device


@dataclass(frozen=True)
class Loop:
    """Endpoints as the tests need them: (lanes, bits, beats) of each stream that comes back as it went."""

    streams: tuple[tuple[int, int, int], ...]
    options: LinkOptions

    def endpoint(self) -> Endpoint:
        borders = [Border(Beats(lanes, IntType(bits)), beats) for lanes, bits, beats in self.streams]
        return Endpoint(borders, borders, DIGEST, self.options)

    @property
    def sizes(self) -> list[int]:
        """Bytes of a beat of each stream."""
        return [-(-lanes * bits // 8) for lanes, bits, _ in self.streams]

    def masked(self, port: int, beat: bytes) -> bytes:
        """Bits above those of the lanes come back as zero."""
        lanes, bits, _ = self.streams[port]
        return (int.from_bytes(beat, "little") & (1 << lanes * bits) - 1).to_bytes(len(beat), "little")

    def come_back(self, port: int, data: bytes) -> bytes:
        size = self.sizes[port]
        return b"".join(self.masked(port, data[at : at + size]) for at in range(0, len(data), size))


class LoopDevice(Device):
    """An endpoint of a loop in Python, to the byte: a beat waits in either port, and no stream waits for another."""

    def __init__(self, loop: Loop):
        self.loop = loop
        super().__init__([0] * len(loop.streams), lambda frames: frames, loop.options, outputs=len(loop.streams))

    def reset(self):
        super().reset()
        ports = range(len(self.loop.streams))
        self.gathered, self.leaving, self.slot = ([bytearray() for _ in ports] for _ in range(3))
        self.gone = [0 for _ in ports]

    def send(self):
        for port in range(self.outputs):
            while self.move(port):
                pass
        self.send_kept()

    def move(self, port: int) -> bool:
        """One byte, or one beat; False if nothing can move."""
        waiting, gathered, leaving = self.waiting[port], self.gathered[port], self.leaving[port]
        size, beats = self.loop.sizes[port], self.loop.streams[port][2]
        if leaving and len(self.kept[port]) < self.options.slots:
            self.slot[port].append(leaving.pop(0))
            self.gone[port] += 1
            if len(self.slot[port]) == self.options.slot - 1 or self.gone[port] % (size * beats) == 0:
                self.kept[port].append(bytes(self.slot[port]))
                self.slot[port].clear()
        elif not leaving and len(gathered) == size:
            leaving += self.loop.masked(port, bytes(gathered))
            gathered.clear()
        elif waiting and len(gathered) < size:
            gathered.append(waiting.pop(0))
        else:
            return False
        return True


NARROW = Loop(((3, 4, 3),), LinkOptions(buffer=64, slots=4, slot=16))
WIDE = Loop(((5, 8, 4),), LinkOptions(buffer=32, slots=4, slot=8))
LARGE = Loop(((1, 8, 300),), LinkOptions(buffer=256, slots=2, slot=256))
TWO = Loop(((1, 1, 5), (37, 3, 1)), LinkOptions(buffer=64, slots=2, slot=16))
LOOPS = (NARROW, WIDE, LARGE, TWO)


class Endpoints(wiring.Component):
    """All of LOOPS; ``select`` says which is on the line."""

    line: In(8)
    strobe: In(1)
    select: In(8)
    answer: Out(8)
    valid: Out(1)
    ready: In(1)

    def elaborate(self, platform):
        m = Module()
        ends = [loop.endpoint() for loop in LOOPS]
        for number, (end, loop) in enumerate(zip(ends, LOOPS)):
            m.submodules[f"end_{number}"] = end
            is_chosen = Signal(name=f"is_{number}")
            m.d.comb += [
                is_chosen.eq(self.select == number),
                end.line.eq(self.line),
                end.strobe.eq(self.strobe & is_chosen),
                end.y.ready.eq(self.ready & is_chosen),
            ]
            for port in range(len(loop.streams)):
                wiring.connect(m, getattr(end, f"input_{port}"), getattr(end, f"output_{port}"))
        m.d.comb += self.answer.eq(Array(end.y.payload for end in ends)[self.select])
        m.d.comb += self.valid.eq(Array(end.y.valid for end in ends)[self.select])
        return m


PAUSE = 256
"""A word of the feed above this is a pause of so many cycles."""

HARNESS = """\
`timescale 1ns/1ps
module tb;
  reg clk = 1'b0, rst = 1'b1, strobe = 1'b0, ready = 1'b0;
  reg done /*verilator public_flat_rd*/ = 1'b0;
  reg [7:0] line = 0, select;
  wire [7:0] answer;
  wire valid;
  endpoints dut(.clk(clk), .rst(rst), .line(line), .strobe(strobe), .select(select), .answer(answer), .valid(valid),
                .ready(ready));
  always #1 clk = ~clk;
  string feed, got;
  integer in, out, left = 0, busy = 0, gap;
  reg [31:0] word;
  initial begin
    if (!$value$plusargs("feed=%s", feed)) $fatal;
    if (!$value$plusargs("got=%s", got)) $fatal;
    if (!$value$plusargs("select=%d", select)) $fatal;
    if (!$value$plusargs("gap=%d", gap)) $fatal;
    in = $fopen(feed, "r");
    out = $fopen(got, "wb");
    repeat (4) @(negedge clk);
    rst = 1'b0;
  end
  always @(negedge clk) if (!rst && !done) begin
    if (ready && valid) $fwrite(out, "%u", {24'b0, answer});
    busy = (ready && valid) ? gap - 1 : (busy > 0 ? busy - 1 : 0);
    ready = busy == 0;
    strobe = 1'b0;
    if (left > 0) left = left - 1;
    else if ($fscanf(in, "%h", word) == 1) begin  // big endian
      if (word < 256) begin
        line = word[7:0];
        strobe = 1'b1;
        left = 9;
      end else left = word - 256;
    end else begin
      $fclose(out);
      done = 1'b1;
    end
  end
endmodule
"""

TEST = """\
import cocotb
from cocotb.triggers import RisingEdge


@cocotb.test()
async def endpoints(dut) -> None:
    await RisingEdge(dut.done)
"""


def compile_endpoints(folder: Path) -> Path:
    """The simulation program, from the user's cache where it is there."""
    top = verilog.convert(Endpoints(), name="endpoints", emit_src=False, strip_internal_attrs=True)
    cache = USER_CACHE.expanduser()
    return build({"endpoints.v": top, "tb.sv": HARNESS}, find_tools(), cache=cache, folder=folder)[0]


def words(parts: Iterable[bytes | int]) -> str:
    """A feed: bytes, ten cycles apart, and pauses in cycles."""
    found = []
    for part in parts:
        if isinstance(part, int):
            found.append(f"{PAUSE + part:x}")
        else:
            found += part.hex("\n").split()
    return "\n".join(found) + "\n"


def feed(program: Path, folder: Path, loop: Loop, parts: Iterable[bytes | int], gap: int = 10) -> bytes:
    """What an endpoint sends, a byte in ``gap`` cycles at most, while ``parts`` come."""
    folder.mkdir(exist_ok=True)
    (folder / "feed").write_text(words(parts))
    (folder / "endpoints.py").write_text(TEST)
    plusargs = {"feed": folder / "feed", "got": folder / "got", "select": LOOPS.index(loop), "gap": gap}
    options = [f"+{name}={value}" for name, value in plusargs.items()]
    assert run(program, find_tools(), "endpoints", folder, folder / "test.log", options, 300.0)
    return np.fromfile(folder / "got", "<u4").astype(np.uint8).tobytes()
