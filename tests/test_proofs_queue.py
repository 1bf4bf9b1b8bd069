# amaranth: UnusedElaboratable=no
"""Proved for ever: queues lose, duplicate and reorder nothing, and credits neither over- nor underflow."""

import pytest
from amaranth.hdl import Assert, Assume, Module, Signal

from espalier.hw import queue
from espalier.ir.graph import IntType
from proofs import Bench, Inside, claim_queue, prove, refute, relate_credits, relate_queue, with_fault

pytestmark = pytest.mark.synth

UINT2 = IntType(2)


class CreditsBench(Bench):
    """Credits that are taken only while some are left, and given back only by whoever took them."""

    def __init__(self, depth: int, source=queue):
        self._depth, self._source = depth, source
        super().__init__({"take": 1, "give": 1})

    def elaborate(self, platform):
        m, depth = Module(), self._depth
        credits = self._source.Credits(depth)
        inside = Inside(credits)
        m.submodules.credits = inside.fragment
        taken = Signal(range(depth + 2))
        m.d.comb += [credits.take.eq(self.take), credits.give.eq(self.give)]
        m.d.comb += [Assume(~self.take | credits.left), Assume(~self.give | (taken != 0))]
        m.d.sync += taken.eq(taken + self.take - self.give)
        m.d.comb += [
            Assert(taken <= depth),
            Assert(credits.left == (taken != depth)),
            self.reached.eq(taken == depth),
        ]
        if self.helps:
            relate_credits(m, inside, depth - taken)
        return m


class QueueBench(Bench):
    """A queue that is pushed only when it has room, as its credits see to."""

    def __init__(self, depth: int, source=queue):
        self._depth, self._source = depth, source
        super().__init__({"push": 1, "beat": 2, "ready": 1, "mark": 1})

    def elaborate(self, platform):
        m, depth = Module(), self._depth
        queue = self._source.Queue(depth, 1, UINT2)
        inside = Inside(queue)
        m.submodules.queue = inside.fragment
        followed = claim_queue(m, self, queue, depth)
        m.d.comb += [
            Assert(queue.popped == (queue.y.valid & self.ready)),
            self.reached.eq(followed.is_done & (followed.held == depth)),
        ]
        if self.helps:
            inner = relate_queue(m, inside)
            m.d.comb += Assert(inner.level == followed.held)
            with m.If(followed.is_inside):
                m.d.comb += Assert(inner.look(followed.ahead) == followed.value)
        return m


@pytest.mark.parametrize("depth", [1, 2, 3, 4, 5, 8])
@pytest.mark.parametrize("bench", [CreditsBench, QueueBench])
def test_proved_by_induction(bench, depth, tmp_path):
    assert prove(bench(depth), tmp_path, 4) == "proved"


FAULTS = [
    (CreditsBench, "self.left.eq(free != 1)", "self.left.eq(free != 0)"),
    (CreditsBench, "self.take & ~self.give", "self.take"),
    (CreditsBench, "init=self._depth", "init=self._depth - 1"),
    (QueueBench, "head.eq(head + self.popped)", "head.eq(head + self.y.ready)"),
    (QueueBench, "tail.eq(tail + self.push)", "tail.eq(tail + (self.push & ~self.popped))"),
    (QueueBench, "1 << (self._depth - 1).bit_length()", "max(2, 1 << self._depth.bit_length() - 1)"),
    (QueueBench, "level != 1", "level > 2"),
]


@pytest.mark.parametrize("bench, right, wrong", FAULTS)
def test_a_seeded_fault_is_found(bench, right, wrong, tmp_path):
    assert "Time" in refute(bench(3, with_fault(queue, right, wrong)), tmp_path, 12)
