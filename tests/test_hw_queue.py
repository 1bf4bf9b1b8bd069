# amaranth: UnusedElaboratable=no
"""Queues of every kind behave like the simplest one, cycle by cycle."""

import numpy as np
import pytest
from amaranth.sim import Simulator

from espalier.hw.deep_queue import DeepQueue, make_queue
from espalier.hw.queue import Queue
from espalier.ir.graph import IntType


def play(queue, depth: int, pushes, pops):
    """Valid and payload of each cycle; pushed are the numbers of the beats, as long as there is room."""
    seen = []

    async def bench(ctx):
        held = sent = 0
        for push, pop in zip(pushes, pops):
            does_push = bool(push) and held < depth
            ctx.set(queue.push, does_push)
            ctx.set(queue.beat, sent % 256 if does_push else 0)
            ctx.set(queue.y.ready, bool(pop))
            valid, popped = ctx.get(queue.y.valid), ctx.get(queue.popped)
            seen.append(ctx.get(queue.y.payload) if valid else None)
            held, sent = held + does_push - popped, sent + does_push
            await ctx.tick()

    simulator = Simulator(queue)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    return seen


def expected(depth: int, pushes, pops):
    seen, held, sent = [], [], 0
    for push, pop in zip(pushes, pops):
        does_push = bool(push) and len(held) < depth
        seen.append(held[0] if held else None)
        held = held[1:] if pop else held
        if does_push:
            held, sent = [*held, sent % 256], sent + 1
    return seen


@pytest.mark.parametrize("depth", [1, 2, 5, 17, 20, 33, 100])
@pytest.mark.parametrize("kind", [Queue, DeepQueue])
@pytest.mark.parametrize("seed", range(3))
def test_beats_come_in_order_and_on_time(kind, depth, seed):
    if kind is DeepQueue and depth <= 16:
        return
    rng = np.random.default_rng(seed)
    shares = rng.choice([0.0, 0.1, 0.5, 0.6, 0.9, 1.0], (2, 30))
    pushes, pops = rng.random((2, 1500)) < np.repeat(shares, 50, axis=1)
    assert play(kind(depth, 1, IntType(8)), depth, pushes, pops) == expected(depth, pushes, pops)


@pytest.mark.parametrize("period", [2, 3, 4])
def test_a_full_queue_that_is_emptied_faster_than_filled_never_runs_dry(period):
    cycles = np.arange(1200)
    pushes, pops = (cycles < 100) | (cycles % period == 0), (cycles > 110) & (cycles < 400) | (cycles % 7 > 2)
    assert play(DeepQueue(90, 1, IntType(8)), 90, pushes, pops) == expected(90, pushes, pops)


@pytest.mark.parametrize(
    "depth, lanes, kind", [(64, 4, Queue), (1000, 4, DeepQueue), (64, 64, Queue), (128, 64, DeepQueue)]
)
def test_the_cheaper_queue_is_made(depth, lanes, kind):
    assert type(make_queue(depth, lanes, IntType(4))) is kind
