"""The Wishbone slave in front of a design, driven by a master that waits at random, against the executor."""

import random

import numpy as np
import pytest
from amaranth.hdl import Module, ResetInserter
from amaranth.lib import wiring
from amaranth.sim import Simulator

from espalier.hw.link import registers as r
from espalier.hw.link.protocol import MOST_STREAMS
from espalier.hw.link.wishbone import QUEUE, WishboneSlave
from espalier.hw.stream import Beats, unpack
from espalier.hw.verilog import Core, borders
from espalier.ir.execute import execute
from espalier.ir.graph import IntType
from link_device import DIGEST
from simulations import frames_for, two_layers

SIDES = (True, False)


class Master:
    """Accesses of the bus, each as the standard has it: until there is an answer."""

    def __init__(self, ctx, slave, seed=0):
        self.ctx, self.slave, self.chance = ctx, slave, random.Random(seed)

    async def access(self, address, value=None, sel=15):
        slave, ctx = self.slave, self.ctx
        await ctx.tick().repeat(1 + self.chance.choice((0, 0, 1, 4)))
        for port, level in (("cyc", 1), ("stb", 1), ("we", value is not None), ("adr", address), ("sel", sel)):
            ctx.set(getattr(slave, f"wb_{port}"), level)
        ctx.set(slave.wb_dat_i, value or 0)
        waited = 0
        while not ctx.get(slave.wb_ack):
            await ctx.tick()
            waited += 1
        assert waited == 1
        found = ctx.get(slave.wb_dat_o)
        ctx.set(slave.wb_stb, 0)
        return found

    async def read(self, register, number=0):
        return await self.access(register.address + number)

    async def write(self, register, value, number=0, sel=15):
        await self.access(register.address + number, int(value), sel)


def run(work, slave, module=None):
    """What ``work``, a function of the master, returns."""
    found = []

    async def bench(ctx):
        found.append(await work(Master(ctx, slave)))

    simulator = Simulator(module or slave)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    return found[0]


def looped(*beats):
    """A slave whose outputs are its inputs."""
    m, slave = Module(), WishboneSlave(beats, beats, DIGEST)
    m.submodules.slave = slave
    for number in range(len(beats)):
        wiring.connect(m, getattr(slave, f"input_{number}"), getattr(slave, f"output_{number}"))
    return m, slave


def with_core(design):
    m, core = Module(), Core(design)
    channels = [next(channel for channel in borders(design) if channel.is_input == side) for side in SIDES]
    entry, leaving = ([Beats(channel.lanes, channel.type.dtype)] for channel in channels)
    m.submodules.slave = slave = WishboneSlave(entry, leaving, DIGEST)
    m.submodules.core = ResetInserter(slave.restart)(core)
    wiring.connect(m, slave.input_0, getattr(core, channels[0].port))
    wiring.connect(m, getattr(core, channels[1].port), slave.output_0)
    return m, slave, channels


async def stream(master, words, count):
    """Write ``words`` and read ``count``, each where there is room or something to read."""
    words, got = list(words), []
    while len(got) < count:
        if words and master.chance.random() < 0.7:
            for _ in range(min(len(words), await master.read(r.IN_FREE), 5)):
                await master.write(r.IN_DATA, words.pop(0))
        for _ in range(await master.read(r.OUT_COUNT)):
            got.append(await master.read(r.OUT_DATA))
    return got, await master.read(r.STATUS)


def check_frames(design, frames, got):
    channel = next(channel for channel in borders(design) if not channel.is_input)
    words = np.array(got, "<u4").reshape(-1, -(-channel.width // 32))
    expected = execute(design.graph, frames)[channel.port]
    np.testing.assert_array_equal(unpack(words, channel.type, channel.lanes), expected)


def test_frames_come_out_as_the_executor_has_them():
    design = two_layers()
    m, slave, (entry, leaving) = with_core(design)
    frames = frames_for(design, 12)
    words = design.pack(entry, frames).reshape(-1)
    got, status = run(lambda master: stream(master, words, 12 * leaving.beats), slave, m)
    check_frames(design, frames, got)
    assert status == 0


def test_reset_forgets_what_is_under_way():
    design = two_layers()
    m, slave, (entry, leaving) = with_core(design)
    frames = frames_for(design, 2)
    words = design.pack(entry, frames).reshape(-1)

    async def work(master):
        for word in words[: entry.beats + 1]:
            await master.write(r.IN_DATA, word)
        while await master.read(r.OUT_COUNT) < leaving.beats:
            pass
        await master.write(r.CONTROL, 1)
        return await stream(master, words, 2 * leaving.beats)

    check_frames(design, frames, run(work, slave, m)[0])


def test_reset_forgets_half_a_beat_and_what_was_said():
    m, slave = looped(Beats(8, IntType(8)))

    async def work(master):
        await master.write(r.IN_DATA, 1)
        await master.read(r.OUT_DATA)
        before = await master.read(r.STATUS)
        await master.write(r.CONTROL, 1)
        return before, await stream(master, [2, 3], 2)

    assert run(work, slave, m) == (2, ([2, 3], 0))


@pytest.mark.parametrize(
    "beat", [Beats(1, IntType(1)), Beats(4, IntType(8)), Beats(11, IntType(3)), Beats(30, IntType(5))]
)
def test_beats_are_whole_words_the_lowest_first(beat):
    m, slave = looped(beat)
    width, size = beat.lanes * beat.dtype.bits, -(-beat.lanes * beat.dtype.bits // 32)
    words = [random.Random(seed).getrandbits(32) for seed in range(4 * size)]
    got, _ = run(lambda master: stream(master, words, 4 * size), slave, m)
    top = width - 32 * (size - 1)
    assert got == [word & (1 << top) - 1 if at % size == size - 1 else word for at, word in enumerate(words)]


def test_the_identity_names_version_streams_and_digest():
    m, slave = looped(Beats(1, IntType(8)), Beats(2, IntType(2)))

    async def work(master):
        return [await master.read(register) for register in r.IDENTITY]

    magic, version, *digest = run(work, slave, m)
    assert magic.to_bytes(4, "little") == b"ESPL" and version == 0x020201
    assert b"".join(word.to_bytes(4, "little") for word in digest) == DIGEST


def test_streams_are_apart():
    m, slave = looped(Beats(1, IntType(8)), Beats(1, IntType(16)))

    async def work(master):
        await master.write(r.IN_DATA, 0x1234, number=1)
        await master.write(r.IN_DATA, 0x56, number=0)
        while not await master.read(r.OUT_COUNT):
            pass
        return [await master.read(r.OUT_DATA, number) for number in (0, 1)]

    assert run(work, slave, m) == [0x56, 0x1234]


def test_what_finds_no_room_is_lost_and_said():
    slave = WishboneSlave([Beats(4, IntType(8))], [], DIGEST)

    async def work(master):
        room = await master.read(r.IN_FREE)
        word = 0
        while not await master.read(r.STATUS):
            await master.write(r.IN_DATA, word)
            word += 1
        return room, word, await master.read(r.IN_FREE)

    # One word lies in the beat that the design does not take.
    assert run(work, slave) == (QUEUE, QUEUE + 2, 0)


def test_a_part_of_a_word_is_lost_and_said():
    m, slave = looped(Beats(4, IntType(8)))

    async def work(master):
        await master.write(r.IN_DATA, 1, sel=7)
        return await master.read(r.STATUS), await master.read(r.OUT_COUNT)

    assert run(work, slave, m) == (1, 0)


def test_an_empty_output_gives_zero_and_says_so():
    m, slave = looped(Beats(4, IntType(8)))

    async def work(master):
        return await master.read(r.OUT_DATA), await master.read(r.STATUS)

    assert run(work, slave, m) == (0, 2)


def test_registers_do_not_overlap():
    places = [
        one.address + number for one in r.REGISTERS for number in range(MOST_STREAMS if one in r.OF_STREAMS else 1)
    ]
    assert len(places) == len(set(places)) and max(places) < r.WORDS
