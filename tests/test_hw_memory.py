"""Read-only memories: every word, at its cycle, however many blocks it is split into."""

import numpy as np
import pytest
from amaranth.sim import Simulator
from hypothesis import given
from hypothesis import strategies as st

from espalier.hw.memory import BLOCK_SHAPES, Rom, choose_style, split_into_banks


def blocks(depth: int, width: int) -> int:
    return min(-(-width // wide) * -(-depth // deep) for wide, deep in BLOCK_SHAPES)


@pytest.mark.parametrize("style", ["block", "lut", "logic"])
@pytest.mark.parametrize("depth, width", [(2, 3), (512, 36), (513, 36), (700, 2), (1040, 18), (2304, 9)])
def test_a_word_comes_after_the_latency(depth, width, style):
    rng = np.random.default_rng(depth)
    words = rng.integers(0, 1 << width, depth).tolist()
    addresses = rng.permutation(depth).tolist()
    rom, read = Rom(words, width, style), []

    async def bench(ctx):
        for address in [*addresses, *[0] * rom.latency]:
            ctx.set(rom.address, address)
            await ctx.delay(1e-8)
            read.append(ctx.get(rom.word))
            await ctx.tick()

    simulator = Simulator(rom)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    assert read[rom.latency :] == [words[address] for address in addresses]


@given(st.integers(1, 60_000), st.integers(1, 99))
def test_banks_take_no_more_blocks_than_one_memory(depth, width):
    banks = split_into_banks(depth, width)
    in_blocks = [banks[0], *(bank for bank in banks[1:] if choose_style(bank.depth, width) == "block")]
    assert sum(blocks(bank.depth, width) for bank in in_blocks) <= blocks(depth, width)
    assert sum(bank.depth for bank in banks) >= depth > sum(bank.depth for bank in banks[:-1])


@given(st.integers(1, 60_000), st.integers(1, 99))
def test_banks_are_found_by_the_high_bits_of_the_address(depth, width):
    start = 0
    for bank in split_into_banks(depth, width):
        assert start % (1 << (bank.depth - 1).bit_length()) == 0
        start += bank.depth


@pytest.mark.parametrize(
    "depth, width, banks",
    [
        (300, 400, [(512, 400)]),
        (2304, 72, [(2048, 9), (512, 72)]),
        (18432, 32, [(16384, 1), (2048, 9)]),
        (1040, 18, [(1024, 18), (16, 18)]),
        (540, 16, [(1024, 18)]),
    ],
)
def test_few_blocks_then_few_banks(depth, width, banks):
    assert split_into_banks(depth, width) == banks
