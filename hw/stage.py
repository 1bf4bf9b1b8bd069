"""The contract that every hardware unit keeps: a static schedule of slots, a pipeline that never stalls, a queue."""

from collections.abc import Mapping
from functools import reduce
from operator import and_
from typing import NamedTuple

from amaranth.hdl import Module, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .deep_queue import make_queue
from .double_ram import DoubleRam
from .queue import Credits
from .stream import Beats, beats_of
from .timing import Schedule


class Ram(NamedTuple):
    """A memory: words of so many bits; style: block, or lut, which are registers where it is one word."""

    words: int
    bits: int
    style: str


class Stage(wiring.Component):
    """One process with the streams ``inputs`` and an output stream ``y``; a single input is called ``x``.

    schedule: one frame; latency: cycles from the issue of the slot that starts an output beat until the beat is visible
    at ``y``; depth: beats that the output queue holds, which may be set until the stage is elaborated.
    fill: of a stage with a buffer, the schedule of a second process, which takes ``x`` and starts the beats of
    "buffer"; ``schedule`` then reads its port "buffer". visible: cycles from such a write until the beat can be read;
    places: beats that the buffer holds, which ``hold`` sets. loaded: memories whose words can be replaced.
    """

    schedule: Schedule
    latency: int
    depth: int = 1
    fill: Schedule | None = None
    visible: int = 0
    places: int = 1
    loaded: Mapping[str, DoubleRam] = {}

    def __init__(self, inputs: Mapping[str, Beats], y: Beats):
        self.inputs, self.lanes_out, self.y_type = dict(inputs), y.lanes, y.dtype
        ports = {port: In(beats_of(*beats)) for port, beats in inputs.items()}
        super().__init__({**ports, "y": Out(beats_of(*y))})

    @property
    def ram(self) -> Ram | None:
        """What the stage keeps pixels in, if it does."""
        return None

    def hold(self, places: int) -> None:
        """Set the buffer's size, until the stage is elaborated; a larger one may have a higher latency."""
        self.places = places

    def issue(self, m: Module, takes: Mapping[str, Value] | Value | int, starts: Value | int) -> Signal:
        """The issue controller: the bit that the present slot fires.

        takes: per input port, or of ``x``, whether the slot takes a beat; starts: whether it starts one. Both come from
        registers. A stage of several inputs takes from all that the slot asks for at once, or from none.
        """
        m.submodules.credits = credits = Credits(self.depth)
        m.submodules.queue = make_queue(self.depth, self.lanes_out, self.y_type)
        wanted = takes if isinstance(takes, Mapping) else {"x": takes}
        fire, free = Signal(), Signal()
        there = {port: getattr(self, port).valid | ~Value.cast(take)[0] for port, take in wanted.items()}
        m.d.comb += [
            free.eq(credits.left | ~Value.cast(starts)[0]),
            fire.eq(reduce(and_, there.values(), free)),
            credits.take.eq(fire & starts),
            credits.give.eq(m.submodules.queue.popped),
        ]
        for port, take in wanted.items():
            others = [found for other, found in there.items() if other != port]
            m.d.comb += getattr(self, port).ready.eq(reduce(and_, others, take & free))
        wiring.connect(m, m.submodules.queue.y, wiring.flipped(self.y))
        return fire

    def emit(self, m: Module, valid, values) -> None:
        """Push ``values``, one for each output lane, when ``valid``: both are registers of the pipeline."""
        queue = m.submodules.queue
        m.d.comb += queue.push.eq(valid)
        bits = self.y_type.bits
        m.d.comb += [queue.beat.word_select(lane, bits).eq(value) for lane, value in enumerate(values)]
