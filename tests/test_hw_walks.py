"""Walks of issue controllers: counters and tables of runs give each slot's flags, however irregularly it is stepped."""

import numpy as np
import pytest
from amaranth.sim import Simulator

from espalier.hw.counters import Walk
from espalier.hw.run_walk import RunWalk, find_runs


def step_through(walk, outputs, slots, passes=2):
    """(slots * passes, outputs), what the walk says in each slot, stepped at random."""
    rng, seen = np.random.default_rng(slots), []

    async def bench(ctx):
        while len(seen) < slots * passes:
            step = bool(rng.random() < 0.7)
            ctx.set(walk.step, step)
            if step:
                seen.append([ctx.get(output) for output in outputs])
            await ctx.tick()

    simulator = Simulator(walk)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    return np.array(seen)


@pytest.mark.parametrize("beats, groups", [(1, 3), (64, 1), (67, 1), (130, 2), (258, 1), (300, 1), (3, 67)])
def test_a_counter_knows_its_first_and_last_beats(beats, groups):
    walk = Walk(beats, groups)
    seen = step_through(walk, [walk.address, walk.beat, walk.group, walk.last_beat, walk.last_group], beats * groups)
    address = np.tile(np.arange(beats * groups), 2)
    group, beat = np.divmod(address, beats)
    expected = np.stack([address, beat, group, beat == beats - 1, group == groups - 1], axis=1)
    np.testing.assert_array_equal(seen, expected)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9])
@pytest.mark.parametrize("slots", [2, 3, 7, 40])
def test_runs_give_the_flags_of_every_slot(slots, share):
    rng = np.random.default_rng(slots)
    takes, starts = rng.random(slots) < share, rng.random(slots) < share / 2
    starts[-1] = True
    walk = RunWalk(takes, starts)
    seen = step_through(walk, [walk.takes, walk.starts], slots)
    np.testing.assert_array_equal(seen, np.tile(np.stack([takes, starts], axis=1), (2, 1)))


def test_runs_that_repeat_are_kept_once():
    takes = np.tile([True, False, False, True, False], 6)
    starts = np.tile([False, False, False, False, True], 6)
    runs, _ = find_runs(takes, starts)
    assert [run.length for run in runs] == [3, 2]
