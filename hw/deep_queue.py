# amaranth: UnusedElaboratable=no
"""A queue of many beats in block RAM, which to the outside is like any other, cycle by cycle."""

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from ..ir.graph import IntType
from .arithmetic import delay
from .memory import choose_style
from .queue import Queue
from .stream import beats_of

HEAD = 16
"""Places of the short queue in LUT RAM at the way out: one row of it."""

FETCHING = 2
"""Cycles from the address of the block RAM to the word beside the logic."""


def make_queue(depth: int, lanes: int, dtype: IntType) -> "Queue | DeepQueue":
    """The queue that takes fewer resources."""
    # Two rows of LUT RAM remain.
    is_deep = depth > 3 * HEAD and choose_style(depth - 2 * HEAD, lanes * dtype.bits) == "block"
    return DeepQueue(depth, lanes, dtype) if is_deep else Queue(depth, lanes, dtype)


class DeepQueue(wiring.Component):
    """Like ``Queue``. Beats go straight to the head while it has room and none waits in the body, in block RAM.

    A beat of the body is given a place in the head when one is free, and comes there ``FETCHING`` cycles later. It is
    never late: beats wait in the body only when the head is full but for one, so that many leave before it.
    """

    def __init__(self, depth: int, lanes: int, dtype: IntType):
        self._depth, self._width = depth, lanes * dtype.bits
        super().__init__(
            {"push": In(1), "beat": In(lanes * dtype.bits), "popped": Out(1), "y": Out(beats_of(lanes, dtype))}
        )

    def elaborate(self, platform):
        m = Module()
        claimed, has_room = Signal(range(HEAD + 1)), Signal(init=1)
        front, back = Signal(range(HEAD)), Signal(range(HEAD))
        is_waiting, fetch, straight, claim = Signal(), Signal(), Signal(), Signal()
        m.d.comb += [
            self.popped.eq(self.y.valid & self.y.ready),
            fetch.eq(is_waiting & has_room),
            straight.eq(self.push & ~is_waiting & has_room),
            claim.eq(fetch | straight),
        ]
        m.d.sync += [front.eq(front + self.popped), back.eq(back + claim)]
        with m.If(claim & ~self.popped):
            m.d.sync += [claimed.eq(claimed + 1), self.y.valid.eq(1), has_room.eq(claimed != HEAD - 1)]
        with m.Elif(self.popped & ~claim):
            m.d.sync += [claimed.eq(claimed - 1), self.y.valid.eq(claimed != 1), has_room.eq(1)]
        found = self._wait(m, self.push & ~straight, fetch, is_waiting)

        fetched = delay(m, fetch, FETCHING, "fetched", reset=True)
        place = delay(m, back, FETCHING, "place")
        was_fetched = self._place(m, "ways", back, fetch, claim, front)
        late = self._place(m, "fetched", place, found, fetched, front)
        early = self._place(m, "straight", back, self.beat, straight, front)
        m.d.comb += self.y.payload.eq(Mux(was_fetched, late, early))
        return m

    def _wait(self, m: Module, write, read, is_waiting):
        """The body: a ring in block RAM; the word read."""
        places = 1 << (self._depth - HEAD).bit_length()
        attrs = {"ram_style": "block", "no_rw_check": 1}
        m.submodules.body = body = Memory(shape=self._width, depth=places, init=[], attrs=attrs)
        into, out = body.write_port(), body.read_port(domain="comb")
        newest, oldest, waiting = Signal(range(places)), Signal(range(places)), Signal(range(places + 1))
        m.d.comb += [into.addr.eq(newest), into.data.eq(self.beat), into.en.eq(write), out.addr.eq(oldest)]
        m.d.sync += [newest.eq(newest + write), oldest.eq(oldest + read)]
        with m.If(write & ~read):
            m.d.sync += [waiting.eq(waiting + 1), is_waiting.eq(1)]
        with m.Elif(read & ~write):
            m.d.sync += [waiting.eq(waiting - 1), is_waiting.eq(waiting != 1)]
        return delay(m, out.data, FETCHING, "found")

    def _place(self, m: Module, name: str, place, beat, write, front):
        """What comes by one way, in LUT RAM with one port for writing; the one in front."""
        attrs = {"ram_style": "distributed"}
        m.submodules[name] = memory = Memory(shape=len(Value.cast(beat)), depth=HEAD, init=[], attrs=attrs)
        into, out = memory.write_port(), memory.read_port(domain="comb")
        m.d.comb += [into.addr.eq(place), into.data.eq(beat), into.en.eq(write), out.addr.eq(front)]
        return out.data
