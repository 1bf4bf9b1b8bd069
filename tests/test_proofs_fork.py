# amaranth: UnusedElaboratable=no
"""Proved for ever: a fork gives each beat once to every branch, in order, and takes one when each has room."""

import pytest
from amaranth.hdl import Assert, Cat, Module

from espalier.hw import fork
from espalier.ir.graph import IntType
from proofs import Bench, Inside, claim_stable, follow, prove, refute, relate_credits, relate_queue, with_fault

pytestmark = pytest.mark.synth


class ForkBench(Bench):
    """A fork whose branches have queues of different depths, and any stalls."""

    def __init__(self, depths: list[int], source=fork):
        self._fork = source.ForkStage(1, 1, IntType(2), len(depths))
        self._fork.depths = depths
        super().__init__({"valid": 1, "beat": 2, "ready": len(depths), "mark": 1})

    def elaborate(self, platform):
        m, fork = Module(), self._fork
        inside = Inside(fork)
        m.submodules.fork = inside.fragment
        m.d.comb += [fork.x.valid.eq(self.valid), fork.x.payload.eq(self.beat)]
        taken, room, is_full, is_done = fork.x.valid & fork.x.ready, [], [], []
        for branch, depth in enumerate(fork.depths):
            y = getattr(fork, f"y_{branch}")
            m.d.comb += y.ready.eq(self.ready[branch])
            followed = follow(m, depth, self.mark, taken, self.beat, y.valid & y.ready, f"_{branch}")
            claim_stable(m, y, f"_{branch}")
            m.d.comb += Assert(y.valid == (followed.held != 0))
            with m.If(followed.is_inside & (followed.ahead == 0)):
                m.d.comb += Assert(y.payload == followed.value)
            room.append(followed.held < depth)
            is_full.append(followed.held == depth)
            is_done.append(followed.is_done)
            if self.helps:
                self._relate(m, inside, followed, branch)
        m.d.comb += [
            Assert(fork.x.ready == Cat(room).all()),
            self.reached.eq(Cat(is_done).all() & is_full[0] & ~is_full[-1]),
        ]
        return m

    def _relate(self, m, inside, followed, branch):
        queue = relate_queue(m, inside, branch)
        relate_credits(m, inside, self._fork.depths[branch] - followed.held, branch)
        m.d.comb += Assert(queue.level == followed.held)
        with m.If(followed.is_inside):
            m.d.comb += Assert(queue.look(followed.ahead) == followed.value)


@pytest.mark.parametrize("depths", [[1, 1], [1, 2], [3, 2], [2, 1, 3], [1, 4, 5]], ids=str)
def test_every_branch_gets_every_beat_proved_by_induction(depths, tmp_path):
    assert prove(ForkBench(depths), tmp_path, 4) == "proved"


FAULTS = [
    ("self.x.ready.eq(reduce(and_, left))", "self.x.ready.eq(left[0])"),  # does not wait for the other branch
    ("fire.eq(self.x.valid & self.x.ready)", "fire.eq(self.x.valid)"),
    ("queue.push.eq(fire)", "queue.push.eq(fire & (left[0] if branch else 1) & queue.y.ready)"),
    ("credits.give.eq(queue.popped)", "credits.give.eq(queue.popped | queue.push)"),
    ("queue.beat.eq(self.x.payload)", "queue.beat.eq(self.x.payload ^ branch)"),
]


@pytest.mark.parametrize("right, wrong", FAULTS)
def test_a_seeded_fault_is_found(right, wrong, tmp_path):
    assert "Time" in refute(ForkBench([3, 2], with_fault(fork, right, wrong)), tmp_path, 12)
