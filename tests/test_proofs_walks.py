# amaranth: UnusedElaboratable=no
"""Proved for ever: issue controllers walk through their slots in order, and their flags say where they are."""

import numpy as np
import pytest
from amaranth.hdl import Array, Assert, Module, Mux, Signal

from espalier.hw import counters, loops, steps
from espalier.hw.moves import Block
from proofs import Bench, Inside, prove, refute, with_fault

pytestmark = pytest.mark.synth


class WalkBench(Bench):
    """Beats within groups; flags are compared with those of a number that counts all slots."""

    def __init__(self, beats: int, groups: int, source=counters):
        self._beats, self._groups, self._walk = beats, groups, source.Walk(beats, groups)
        super().__init__({"step": 1})

    def elaborate(self, platform):
        m, walk, beats, groups = Module(), self._walk, self._beats, self._groups
        inside = Inside(walk)
        m.submodules.walk = inside.fragment
        beat, group, before = count(m, self.step, beats, groups)
        m.d.comb += [
            walk.step.eq(self.step),
            Assert((walk.beat == beat) & (walk.group == group) & (walk.address == group * beats + beat)),
            Assert((walk.first_beat == (beat == 0)) & (walk.last_beat == (beat == beats - 1))),
            Assert((walk.first_group == (group == 0)) & (walk.last_group == (group == groups - 1))),
            self.reached.eq(before | (beat == 30)),
        ]
        return m


def count(m, step, beats: int, groups: int):
    """Beat and group, and whether they have been the last ones."""
    beat, group, before = Signal(range(beats + 1)), Signal(range(groups + 1)), Signal()
    ends = step & (beat == beats - 1)
    with m.If(step):
        m.d.sync += beat.eq(Mux(ends, 0, beat + 1))
    with m.If(ends):
        m.d.sync += [group.eq(Mux(group == groups - 1, 0, group + 1)), before.eq(before | (group == groups - 1))]
    m.d.comb += Assert((beat < beats) & (group < groups))
    return beat, group, before


class StepsBench(Bench):
    """Blocks of a table, repeated; the flag of each of its slots is compared with the order written out."""

    def __init__(self, blocks: list[Block], source=steps):
        self._steps = source.Steps(blocks)
        self._order = [
            slot
            for block in blocks
            for _ in range(block.repeats)
            for slot in range(block.start, block.start + block.length)
        ]
        self._flags = [self._steps.flag([slot]) for slot in range(1 + max(self._order))]
        super().__init__({"step": 1})

    def elaborate(self, platform):
        m = Module()
        m.submodules.steps = Inside(self._steps).fragment
        place, _, before = count(m, self.step, len(self._order), 1)
        m.d.comb += [self._steps.step.eq(self.step), self.reached.eq(before & (place == 0))]
        for slot, flag in enumerate(self._flags):
            m.d.comb += Assert(flag == Array(int(slot == one) for one in self._order)[place])
        return m


class LoopsBench(Bench):
    """Nested loops; each loop's flag is compared with its pass in the order written out."""

    def __init__(self, counts: list[int], begin: int = 0, source=loops):
        self._counts, self._begin = counts, begin
        self._walk = source.LoopWalk(counts, begin)
        super().__init__({"step": 1})

    def elaborate(self, platform):
        m, walk = Module(), self._walk
        m.submodules.walk = Inside(walk).fragment
        slots = int(np.prod(self._counts))
        place, _, before = count(m, self.step, slots, 1)
        index = np.unravel_index((np.arange(slots) + self._begin) % slots, self._counts)
        m.d.comb += [walk.step.eq(self.step), self.reached.eq(before & (place == 0))]
        for number, (passes, at) in enumerate(zip(self._counts, index, strict=True)):
            m.d.comb += Assert(walk.last[number] == Array((at == passes - 1).astype(int).tolist())[place])
        first = (np.arange(slots) + self._begin) % slots == 0
        m.d.comb += Assert(walk.first == Array(first.astype(int).tolist())[place])
        return m


BENCHES = {
    "walk of 1": (WalkBench, 1, 1),
    "walk of 5": (WalkBench, 5, 1),
    "walk of 4 x 3": (WalkBench, 4, 3),
    "walk of 3 x 4": (WalkBench, 3, 4),
    "walk of 6 x 2": (WalkBench, 6, 2),
    "walk of 100": (WalkBench, 100, 1),  # upper bits are compared a cycle ahead
    "walk of 37 x 11": (WalkBench, 37, 11),
    "steps": (StepsBench, [Block(0, 2, 3), Block(2, 1, 1), Block(3, 3, 2)]),
    "steps of one block": (StepsBench, [Block(0, 5, 1)]),
    "loops of 3 x 2 x 3": (LoopsBench, [3, 2, 3]),
    "loops of 1 x 4 x 2": (LoopsBench, [1, 4, 2]),
    "loops from the fifth slot": (LoopsBench, [2, 4], 5),
}


@pytest.mark.parametrize("bench", BENCHES)
def test_slots_come_in_order_proved_by_induction(bench, tmp_path):
    kind, *arguments = BENCHES[bench]
    assert prove(kind(*arguments), tmp_path, 24) == "proved"


FAULTS = [
    (WalkBench, (4, 3), counters, "target = size - 2", "target = size - 3"),
    (WalkBench, (37, 11), counters, "value[lower:] == target >> lower", "value[lower:] == (target >> lower) - 1"),
    (
        StepsBench,
        ([Block(0, 2, 3), Block(2, 1, 1)],),
        steps,
        "passes == block.repeats - 2",
        "passes == block.repeats - 1",
    ),
    (LoopsBench, ([3, 2, 3],), loops, "following = value == count - 2", "following = value == count - 1"),
]


@pytest.mark.parametrize("bench, arguments, module, right, wrong", FAULTS)
def test_a_seeded_fault_is_found(bench, arguments, module, right, wrong, tmp_path):
    assert "Time" in refute(bench(*arguments, source=with_fault(module, right, wrong)), tmp_path, 40)
