"""The contract that every hardware unit keeps: a static schedule of slots, a pipeline that never stalls, a queue."""

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..ir.graph import IntType
from .queue import Credits, Queue
from .stream import beats_of
from .timing import Schedule


class Stage(wiring.Component):
    """One process with an input stream ``x`` and an output stream ``y``.

    schedule: one frame; latency: cycles from the issue of the slot that starts an output beat until the beat is visible
    at ``y``; depth: beats that the output queue holds, which may be set until the stage is elaborated.
    """

    schedule: Schedule
    latency: int
    depth: int = 1

    def __init__(self, lanes_in: int, x_type: IntType, lanes_out: int, y_type: IntType):
        self.lanes_in, self.x_type, self.lanes_out, self.y_type = lanes_in, x_type, lanes_out, y_type
        super().__init__({"x": In(beats_of(lanes_in, x_type)), "y": Out(beats_of(lanes_out, y_type))})

    def issue(self, m: Module, takes, starts) -> Signal:
        """The issue controller: the bit that the present slot fires; ``takes`` and ``starts`` come from registers."""
        m.submodules.credits = credits = Credits(self.depth)
        m.submodules.queue = Queue(self.depth, self.lanes_out, self.y_type)
        fire, free = Signal(), Signal()
        m.d.comb += [
            free.eq(credits.left | ~starts),
            self.x.ready.eq(takes & free),
            fire.eq(free & (self.x.valid | ~takes)),
            credits.take.eq(fire & starts),
            credits.give.eq(m.submodules.queue.popped),
        ]
        wiring.connect(m, m.submodules.queue.y, wiring.flipped(self.y))
        return fire

    def emit(self, m: Module, valid, values) -> None:
        """Push ``values``, one for each output lane, when ``valid``: both are registers of the pipeline."""
        queue = m.submodules.queue
        m.d.comb += queue.push.eq(valid)
        bits = self.y_type.bits
        m.d.comb += [queue.beat.word_select(lane, bits).eq(value) for lane, value in enumerate(values)]
