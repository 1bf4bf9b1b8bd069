# amaranth: UnusedElaboratable=no
"""Proved for ever, for every schedule: a stage fires exactly when it may, and its queue holds all that it started."""

import numpy as np
import pytest
from amaranth.hdl import Assert, Cat, Module, Signal

from espalier.hw import stage
from espalier.hw.arithmetic import delay
from espalier.hw.stream import Beats
from espalier.hw.timing import Schedule
from espalier.ir.graph import IntType
from proofs import Bench, Inside, claim_stable, follow, prove, refute, relate_credits, relate_queue, with_fault

pytestmark = pytest.mark.synth

UINT2 = IntType(2)


def any_stage(source, ports: int, latency: int, depth: int):
    """A stage whose schedule comes from outside, slot by slot, and whose beats are those of its first port."""

    class AnyStage(source.Stage):
        def __init__(self):
            names = ["x"] if ports == 1 else [f"x_{port}" for port in range(ports)]
            one = np.ones(1, bool)
            self.latency, self.depth = latency, depth
            self.schedule = Schedule(takes=dict.fromkeys(names, one), starts={"y": one})
            self.takes = {name: Signal(name=f"takes_{name}") for name in names}
            self.starts, self.fire = Signal(), Signal()
            super().__init__(dict.fromkeys(names, Beats(1, UINT2)), Beats(1, UINT2))

        def elaborate(self, platform):
            m = Module()
            m.d.comb += self.fire.eq(self.issue(m, self.takes, self.starts))
            first = getattr(self, next(iter(self.takes))).payload
            started = delay(m, self.fire & self.starts, latency - 1, "started", reset=True)
            self.emit(m, started, [delay(m, first, latency - 1, "value")])
            return m

    return AnyStage()


class StageBench(Bench):
    """Any order of slots, any stalls, any latency up to the given one."""

    def __init__(self, ports: int, latency: int, depth: int, source=stage):
        self._ports, self._latency, self._depth = ports, latency, depth
        self._stage = any_stage(source, ports, latency, depth)
        super().__init__({"takes": ports, "valid": ports, "starts": 1, "beat": 2, "ready": 1, "mark": 1})

    def elaborate(self, platform):
        m, depth, stage = Module(), self._depth, self._stage
        inside = Inside(stage)
        m.submodules.stage = inside.fragment
        wanted, there = [], []
        for number, (name, takes) in enumerate(stage.takes.items()):
            port, beat = getattr(stage, name), self.beat if number == 0 else 0
            m.d.comb += [takes.eq(self.takes[number]), port.valid.eq(self.valid[number]), port.payload.eq(beat)]
            m.d.comb += Assert((port.valid & port.ready) == (stage.fire & takes))
            wanted.append(takes)
            there.append(port.valid)
        m.d.comb += [stage.starts.eq(self.starts), stage.y.ready.eq(self.ready)]
        starts, leaves = stage.fire & stage.starts, stage.y.valid & stage.y.ready
        followed = follow(m, depth, self.mark, starts, self.beat, leaves)
        claim_stable(m, stage.y)
        m.d.comb += [
            Assert(stage.fire == ((~Cat(wanted) | Cat(there)).all() & (~stage.starts | (followed.held < depth)))),
            self.reached.eq(followed.is_done & (followed.held == depth) & ~Cat(wanted).all()),
        ]
        with m.If(stage.y.valid & followed.is_inside & (followed.ahead == 0)):
            m.d.comb += Assert(stage.y.payload == followed.value)
        # A beat is offered exactly ``latency`` cycles after its start, or else behind an earlier one.
        arrives = [starts]
        for cycle in range(1, self._latency):
            arrives.append(delay(m, arrives[-1], 1, f"arrives_{cycle}", reset=True))
        arrived = Signal(range(depth + 2))
        m.d.sync += arrived.eq(arrived + arrives[-1] - leaves)
        m.d.comb += Assert(stage.y.valid == (arrived != 0))
        if self.helps:
            self._relate(m, inside, followed, arrives[:0:-1], arrived)
        return m

    def _relate(self, m, inside, followed, arrives, arrived):
        """What makes the claims inductive: where the followed beat is, in the pipeline or the queue."""
        queue = relate_queue(m, inside)
        relate_credits(m, inside, self._depth - followed.held)
        waiting = queue.level
        m.d.comb += Assert(arrived == queue.level)
        with m.If(followed.is_inside & (followed.ahead < queue.level)):
            m.d.comb += Assert(queue.look(followed.ahead) == followed.value)
        for cycle, arriving in zip(range(self._latency - 1, 0, -1), arrives, strict=True):
            started, value = inside.named(f"started_{cycle}"), inside.named(f"value_{cycle}")
            m.d.comb += Assert(started == arriving)
            with m.If(followed.is_inside & started & (followed.ahead == waiting)):
                m.d.comb += Assert(value == followed.value)
            waiting += started
        m.d.comb += Assert(waiting == followed.held)


SIZES = [(1, 2, 1), (1, 2, 2), (1, 4, 3), (1, 3, 5), (2, 2, 1), (2, 3, 2), (3, 2, 3)]


@pytest.mark.parametrize("ports, latency, depth", SIZES)
def test_any_schedule_is_kept_proved_by_induction(ports, latency, depth, tmp_path):
    assert prove(StageBench(ports, latency, depth), tmp_path, 4) == "proved"


FAULTS = [
    ("credits.take.eq(fire & starts)", "credits.take.eq(fire)"),
    ("credits.give.eq(m.submodules.queue.popped)", "credits.give.eq(self.y.ready)"),
    ("free.eq(credits.left | ~Value.cast(starts)[0])", "free.eq(1)"),
    ("reduce(and_, others, take & free)", "take & free"),
    ("reduce(and_, others, take & free)", "reduce(and_, others, take)"),
    ("queue.push.eq(valid)", "queue.push.eq(valid & ~queue.popped)"),
]


@pytest.mark.parametrize("right, wrong", FAULTS)
def test_a_seeded_fault_is_found(right, wrong, tmp_path):
    assert "Time" in refute(StageBench(2, 3, 2, with_fault(stage, right, wrong)), tmp_path, 12)
