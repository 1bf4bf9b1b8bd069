import random
from itertools import pairwise

import pytest
from amaranth.sim import Simulator

from espalier.errors import PlanError
from espalier.hw.link.uart import Uart, UartReceiver, UartTransmitter, cycles_per_bit

DATA = bytes([0x00, 0xFF, 0x55, 0x7E, 0x01, 0x80])
EXACT = [1.0, 0.98, 1.02]


def level(data, bit, cycle):
    """Of a line that brings ``data`` back to back in bits of ``bit`` cycles, after one idle bit."""
    levels = [1] + [value for byte in data for value in (0, *(byte >> place & 1 for place in range(8)), 1)]
    place = int(cycle / bit)
    return levels[place] if place < len(levels) else 1


def received(line, cycles, count):
    """What a receiver makes of ``line``, a function of the cycle."""
    dut, got = UartReceiver(cycles), []

    async def bench(ctx):
        for cycle in range(count):
            ctx.set(dut.line, line(cycle))
            await ctx.tick()
            if ctx.get(dut.strobe):
                got.append(ctx.get(dut.byte))

    simulate(dut, bench)
    return bytes(got)


def simulate(dut, bench):
    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()


def transmitted(data, cycles):
    """The level of a transmitter's line in each cycle."""
    dut, levels = UartTransmitter(cycles), []

    async def bench(ctx):
        left = list(data)
        for _ in range((10 * len(data) + 3) * cycles):
            ctx.set(dut.x.valid, bool(left))
            if left:
                ctx.set(dut.x.payload, left[0])
                if ctx.get(dut.x.ready):
                    del left[0]
            levels.append(ctx.get(dut.line))
            await ctx.tick()

    simulate(dut, bench)
    return levels


def sampled(levels, bit):
    """The bytes that a terminal finds, which looks at the middle of each bit of ``bit`` cycles."""
    found, at = [], 0
    while 0 in levels[at:]:
        at = levels.index(0, at)
        bits = [levels[int(at + (place + 0.5) * bit)] for place in range(10)]
        assert (bits[0], bits[9]) == (0, 1)
        found.append(sum(value << place for place, value in enumerate(bits[1:9])))
        at = int(at + 9.5 * bit)
    return bytes(found)


@pytest.mark.parametrize("cycles", [8, 9, 104])
@pytest.mark.parametrize("exact", EXACT)
def test_receiver_takes_bytes_back_to_back_from_a_clock_that_is_off(cycles, exact):
    bit = cycles * exact
    assert received(lambda cycle: level(DATA, bit, cycle), cycles, int(bit * (10 * len(DATA) + 2)) + 8) == DATA


@pytest.mark.parametrize("cycles", [8, 9, 104])
@pytest.mark.parametrize("exact", EXACT)
def test_transmitter_is_heard_by_a_clock_that_is_off(cycles, exact):
    assert sampled(transmitted(DATA, cycles), cycles * exact) == DATA


def test_transmitter_loses_one_cycle_between_bytes():
    levels = transmitted(bytes([0xFF] * 3), 8)
    starts = [cycle for cycle in range(1, len(levels)) if levels[cycle - 1] and not levels[cycle]]
    assert [later - earlier for earlier, later in pairwise(starts)] == [81, 81]


def test_a_glitch_shorter_than_half_a_bit_is_no_byte():
    assert received(lambda cycle: int(not 10 <= cycle < 17), 16, 300) == b""


def test_a_byte_without_stop_bit_is_dropped_and_the_next_one_taken():
    broken = bytes([0xA5, 0x3C])

    def line(cycle):  # the stop bit of the first byte, and an idle line for ten bits after it
        place = cycle // 8
        return 0 if place == 10 else level(broken[1:], 8, cycle - 8 * 21) if place > 20 else level(broken[:1], 8, cycle)

    assert received(line, 8, 8 * 40) == broken[1:]


def test_a_line_held_low_brings_nothing():
    assert received(lambda cycle: 0, 8, 500) == b""


def test_both_ways_at_once():
    dut, got = Uart(8), []
    data = random.Random(0).randbytes(10)

    async def bench(ctx):
        left = list(data)
        for _ in range(900):
            ctx.set(dut.x.valid, bool(left))
            ctx.set(dut.rx, ctx.get(dut.tx))
            if left:
                ctx.set(dut.x.payload, left[0])
                if ctx.get(dut.x.ready):
                    del left[0]
            await ctx.tick()
            if ctx.get(dut.strobe):
                got.append(ctx.get(dut.byte))

    simulate(dut, bench)
    assert bytes(got) == data


@pytest.mark.parametrize(
    "clock_mhz, baud, cycles", [(12, 115_200, 104), (25, 1_000_000, 25), (8, 1_000_000, 8), (16.2, 2_000_000, 8)]
)
def test_cycles_of_a_bit(clock_mhz, baud, cycles):
    assert cycles_per_bit(clock_mhz, baud) == cycles


@pytest.mark.parametrize(
    "clock_mhz, baud, message",
    [
        (
            12,
            2_000_000,
            r"--baud 2000000: a bit takes 6.00 cycles of 12 MHz, needed are at least 8 .*choose 1000000 or",
        ),
        (12, 1_300_000, r"a bit takes 9.23 cycles of 12 MHz, .*a whole number to within 2%; choose 1000000 or another"),
        (0.05, 115_200, r"to within 2%; choose another clock"),
    ],
)
def test_a_rate_that_the_clock_cannot_make_is_an_error(clock_mhz, baud, message):
    with pytest.raises(PlanError, match=message):
        cycles_per_bit(clock_mhz, baud)
