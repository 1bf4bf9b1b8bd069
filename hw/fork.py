"""A fork: each beat goes to several streams, each with its own queue."""

from functools import reduce
from operator import and_

import numpy as np
from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..ir.graph import IntType
from .deep_queue import make_queue
from .queue import Credits
from .stream import beats_of
from .timing import Schedule


class ForkStage(wiring.Component):
    """Copies ``x`` to ``y_0``, ``y_1``, ...: a slot takes a beat when every queue has room.

    depths: beats that each queue holds, which may be set until the stage is elaborated.
    """

    latency = 1

    def __init__(self, beats: int, lanes: int, dtype: IntType, branches: int):
        self.lanes_in = self.lanes_out = lanes
        self.x_type = self.y_type = dtype
        self.depths = [1] * branches
        every = np.ones(beats, bool)
        self.schedule = Schedule(takes={"x": every}, starts={f"y_{branch}": every for branch in range(branches)})
        ports = {f"y_{branch}": Out(beats_of(lanes, dtype)) for branch in range(branches)}
        super().__init__({"x": In(beats_of(lanes, dtype)), **ports})

    def elaborate(self, platform):
        m = Module()
        fire, left = Signal(), []
        for branch, depth in enumerate(self.depths):
            m.submodules[f"credits_{branch}"] = credits = Credits(depth)
            m.submodules[f"queue_{branch}"] = queue = make_queue(depth, self.lanes_in, self.x_type)
            left.append(credits.left)
            m.d.comb += [
                credits.take.eq(fire),
                credits.give.eq(queue.popped),
                queue.push.eq(fire),
                queue.beat.eq(self.x.payload),
            ]
            wiring.connect(m, queue.y, wiring.flipped(getattr(self, f"y_{branch}")))
        m.d.comb += [self.x.ready.eq(reduce(and_, left)), fire.eq(self.x.valid & self.x.ready)]
        return m
