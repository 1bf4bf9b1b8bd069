"""The end of every stage: a queue of output beats, and the credits that keep it from overflowing."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from ..ir.graph import IntType
from .stream import beats_of


class Credits(wiring.Component):
    """Counts free places of a queue of ``depth`` beats; ``left`` is a register.

    ``take`` in a cycle without ``left`` is a fault of the stage. ``give`` counts from the following cycle on.
    """

    take: In(1)
    give: In(1)
    left: Out(1, init=1)

    def __init__(self, depth: int):
        self._depth = depth
        super().__init__()

    def elaborate(self, platform):
        m = Module()
        free = Signal(range(self._depth + 1), init=self._depth)
        with m.If(self.take & ~self.give):
            m.d.sync += [free.eq(free - 1), self.left.eq(free != 1)]
        with m.Elif(self.give & ~self.take):
            m.d.sync += [free.eq(free + 1), self.left.eq(1)]
        return m


class Queue(wiring.Component):
    """First in, first out, ``depth`` beats of ``lanes`` integers; a beat pushed in cycle t is visible in cycle t + 1.

    ``push`` never waits: the stage's credits see to that. ``popped`` tells the credits of a beat that has left.
    """

    def __init__(self, depth: int, lanes: int, dtype: IntType):
        self._depth, self._lanes = depth, lanes
        super().__init__(
            {"push": In(1), "beat": In(lanes * dtype.bits), "popped": Out(1), "y": Out(beats_of(lanes, dtype))}
        )

    def elaborate(self, platform):
        m = Module()
        m.d.comb += self.popped.eq(self.y.valid & self.y.ready)
        self._count(m)
        if self._depth == 1:
            held = Signal.like(self.beat, name="held", reset_less=True)
            with m.If(self.push):
                m.d.sync += held.eq(self.beat)
            m.d.comb += self.y.payload.eq(held)
            return m
        # The pointers wrap by themselves: a memory of a power of two costs nothing more.
        places = 1 << (self._depth - 1).bit_length()
        m.submodules.places = places_memory = Memory(
            shape=len(self.beat), depth=places, init=[], attrs={"ram_style": "distributed"}
        )
        head, tail = Signal(range(places)), Signal(range(places))
        write, read = places_memory.write_port(), places_memory.read_port(domain="comb")
        m.d.sync += [tail.eq(tail + self.push), head.eq(head + self.popped)]
        m.d.comb += [
            write.addr.eq(tail),
            write.data.eq(self.beat),
            write.en.eq(self.push),
            read.addr.eq(head),
            self.y.payload.eq(read.data),
        ]
        return m

    def _count(self, m):
        """``valid`` is a register: the queue holds a beat after this cycle."""
        if self._depth == 1:
            m.d.sync += self.y.valid.eq(Mux(self.push, 1, self.y.valid & ~self.popped))
            return
        level = Signal(range(self._depth + 1))
        with m.If(self.push & ~self.popped):
            m.d.sync += [level.eq(level + 1), self.y.valid.eq(1)]
        with m.Elif(self.popped & ~self.push):
            m.d.sync += [level.eq(level - 1), self.y.valid.eq(level != 1)]
