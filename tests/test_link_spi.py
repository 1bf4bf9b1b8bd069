"""The SPI slave with a master in Python, and the host's session over it."""

import random

import pytest
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.sim import Simulator

from espalier.boards.host.session import Session
from espalier.boards.host.spi_line import SpiLine
from espalier.hw.link.endpoint import Border, Endpoint, LinkOptions
from espalier.hw.link.protocol import FLAG
from espalier.hw.link.spi import CYCLES_PER_BIT, Spi
from espalier.hw.stream import Beats
from espalier.ir.graph import IntType
from link_device import DIGEST


class Master:
    """Clocks bytes through ``spi``, which is in ``top``; ``sent`` has what it strobed."""

    def __init__(self, top, spi, cycles=CYCLES_PER_BIT, to_send=None):
        self.spi, self.cycles, self.jobs, self.results = spi, cycles, [], []
        self.strobed, self.to_send = bytearray(), to_send
        self.simulator = Simulator(top)
        self.simulator.add_clock(1e-6)
        self.simulator.add_testbench(self.drive)
        self.simulator.add_testbench(self.watch, background=True)
        if to_send is not None:
            self.simulator.add_testbench(self.offer, background=True)

    def transfer(self, data, bits=None):
        """What comes back; bits: after so many, the master lets go."""
        self.jobs.append((data, 8 * len(data) if bits is None else bits))
        while self.jobs:
            self.simulator.advance()
        return self.results.pop()

    async def drive(self, ctx):
        while True:
            while not self.jobs:
                await ctx.tick()
            data, count = self.jobs[0]
            ctx.set(self.spi.cs, 0)
            await ctx.tick()
            got = []
            for place in range(count):
                ctx.set(self.spi.copi, data[place // 8] >> (7 - place % 8) & 1)
                await ctx.tick().repeat(self.cycles // 2)
                ctx.set(self.spi.sck, 1)
                got.append(ctx.get(self.spi.cipo))
                await ctx.tick().repeat(self.cycles - self.cycles // 2)
                ctx.set(self.spi.sck, 0)
            await ctx.tick().repeat(self.cycles // 2)
            ctx.set(self.spi.cs, 1)
            await ctx.tick().repeat(4)
            self.results.append(bytes(int("".join(map(str, got[at : at + 8])), 2) for at in range(0, len(got), 8)))
            self.jobs.clear()

    async def watch(self, ctx):
        async for _, _, strobe, byte in ctx.tick().sample(self.spi.strobe, self.spi.byte):
            if strobe:
                self.strobed.append(byte)

    async def offer(self, ctx):
        """Bytes for the host, as soon as they are taken."""
        for byte in self.to_send:
            ctx.set(self.spi.x.payload, byte)
            ctx.set(self.spi.x.valid, 1)
            await ctx.tick().until(self.spi.x.ready)
        ctx.set(self.spi.x.valid, 0)


def master(to_send=b"", cycles=CYCLES_PER_BIT):
    spi = Spi()
    return Master(spi, spi, cycles, to_send)


@pytest.mark.parametrize("cycles", [8, 9, 31])
def test_bytes_go_both_ways_at_once(cycles):
    there, back = random.Random(0).randbytes(6), random.Random(1).randbytes(5)
    bus = master(back, cycles)
    bus.transfer(b"")
    assert bus.transfer(there) == back + bytes([FLAG])
    assert bus.strobed == there


def test_flags_come_where_there_is_nothing_to_say():
    assert master().transfer(b"abc") == bytes([FLAG] * 3)


def test_no_byte_is_lost_between_transfers():
    bus = master(b"0123456")
    bus.transfer(b"")
    assert bus.transfer(b"a") + bus.transfer(b"bc") + bus.transfer(b"defg") == b"0123456"
    assert bus.strobed == b"abcdefg"


def test_a_byte_that_is_cut_off_is_lost_and_the_next_one_right():
    bus = master(b"0123")
    bus.transfer(b"")
    bus.transfer(b"a", bits=5)
    assert bus.transfer(b"bcd") == b"123"
    assert bus.strobed == b"bcd"


def linked(options):
    """An endpoint behind a slave, whose output is its input."""
    m, spi, border = Module(), Spi(), Border(Beats(3, IntType(4)), 3)
    m.submodules.spi, m.submodules.end = spi, end = spi, Endpoint([border], [border], DIGEST, options)
    m.d.comb += [end.line.eq(spi.byte), end.strobe.eq(spi.strobe)]
    wiring.connect(m, end.y, spi.x)
    wiring.connect(m, end.input_0, end.output_0)
    return m, spi


def test_a_session_over_the_slave_gives_every_frame():
    bus = Master(*linked(LinkOptions(buffer=64, slots=4, slot=16)))
    session = Session(SpiLine(bus.transfer), patience_s=60)
    assert session.connect().digest == DIGEST
    frames = [bytes([chance, 3, FLAG, 4, 5, 6]) for chance in range(6)]
    assert session.exchange([b"".join(frames)], [6]) == [frames]
    assert (session.counts.dropped, session.counts.repeated) == (0, 0)


def test_a_line_that_brings_flags_only_brings_nothing():
    assert SpiLine(lambda data: data).read(0.001) == b""
