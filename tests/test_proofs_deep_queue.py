# amaranth: UnusedElaboratable=no
"""Proved for ever: a queue in block RAM loses, duplicates and reorders nothing, and is as fast as a short one."""

import pytest
from amaranth.hdl import Assert, Module, Mux, Signal

from espalier.hw import deep_queue
from espalier.ir.graph import IntType
from proofs import Bench, Inside, claim_queue, prove, refute, with_fault

pytestmark = pytest.mark.synth


class DeepQueueBench(Bench):
    """A deep queue that is pushed only when it has room."""

    def __init__(self, depth: int, source):
        self._depth, self._source = depth, source
        super().__init__({"push": 1, "beat": 2, "ready": 1, "mark": 1})

    def elaborate(self, platform):
        m, depth = Module(), self._depth
        queue = self._source.DeepQueue(depth, 1, IntType(2))
        inside = Inside(queue)
        m.submodules.queue = inside.fragment
        followed = claim_queue(m, self, queue, depth)
        m.d.comb += self.reached.eq(followed.is_done & (followed.held > self._source.HEAD))
        if self.helps:
            self._relate(m, inside, followed)
        return m

    def _relate(self, m, inside, followed):
        """What makes the claims inductive: where the followed beat is, in the body, on its way or in the head."""
        found, head = inside.of("DeepQueue"), self._source.HEAD
        claimed, waiting, front, back = (found[name] for name in ("claimed", "waiting", "front", "back"))
        oldest, newest = found["oldest"], found["newest"]
        m.d.comb += [
            Assert((claimed + waiting == followed.held) & (claimed <= head)),
            Assert(found["has_room"] == (claimed != head)),
            Assert(found["is_waiting"] == (waiting != 0)),
            Assert(~found["is_waiting"] | (claimed >= head - 1)),
            Assert(((oldest + waiting)[: len(oldest)] == newest) & ((front + claimed)[: len(front)] == back)),
        ]
        place = (front + followed.ahead)[: len(front)]
        body = inside.look(m, found["body"], oldest + followed.ahead - claimed)
        memories = [inside.of("Memory", number)["self"] for number in (1, 2, 3)]
        ways, late, early = (inside.look(m, memory, place) for memory in memories)
        last = front + claimed
        with m.If(followed.is_inside & (followed.ahead >= claimed)):
            m.d.comb += Assert(body == followed.value)
        with m.Elif(followed.is_inside):
            arriving = late
            for cycle in (2, 1):
                is_here = inside.named(f"fetched_{cycle}") & (inside.named(f"place_{cycle}") == place)
                arriving = Mux(is_here, inside.named(f"found_{cycle}"), arriving)
            m.d.comb += Assert(Mux(ways, arriving, early) == followed.value)
        claim = found["claim"]
        for cycle in (1, 2):
            was_claimed = Signal(name=f"was_claimed_{cycle}")
            m.d.sync += was_claimed.eq(claim)
            claim, last = was_claimed, last - was_claimed
            is_coming = inside.named(f"fetched_{cycle}")
            m.d.comb += [
                Assert(inside.named(f"place_{cycle}") == last[: len(front)]),
                Assert(~is_coming | (was_claimed & (claimed >= head - cycle))),
            ]


@pytest.mark.parametrize("depth", [17, 33])
def test_proved_by_induction(depth, tmp_path):
    assert prove(DeepQueueBench(depth, deep_queue), tmp_path, 4) == "proved"


FAULTS = [
    ("self.push & ~is_waiting & has_room", "self.push & has_room"),  # overtakes what waits
    ("has_room.eq(claimed != HEAD - 1)", "has_room.eq(1)"),
    ("place = delay(m, back, FETCHING,", "place = delay(m, back + 1, FETCHING,"),
    ("Mux(was_fetched, late, early)", "Mux(was_fetched, early, late)"),
    ("(waiting - 1), is_waiting.eq(waiting != 1)", "(waiting - 1), is_waiting.eq(0)"),
]


@pytest.mark.parametrize("right, wrong", FAULTS)
def test_a_seeded_fault_is_found(right, wrong, tmp_path):
    faulty = with_fault(deep_queue, right, wrong)
    faulty.HEAD = 8
    assert "Time" in refute(DeepQueueBench(10, faulty), tmp_path, 20, helps=True)
