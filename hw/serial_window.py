"""A line buffer, filled as the pixels come, and read in nested loops."""

from functools import reduce
from operator import and_

import numpy as np
from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib.memory import Memory

from ..ir.graph import IntType
from .arithmetic import delay
from .buffer import DEEPEST_LUT_RAM
from .loops import LoopWalk, Nest, beginning, find_padding, shift, signed_bits
from .stage import Ram, Stage
from .stream import Beats, lane_shape, split
from .timing import NONE, Reads, Schedule

# The walk's slot, counted from the one that fires next.
AHEAD = 2


class WindowStage(Stage):
    """Keeps the beats of ``x`` for as long as the slots of ``nest`` need them; each slot emits one, or padding.

    The beats lie in a ring of ``places`` words: written in one cycle, read from 2 cycles later on, and replaced by
    another 2 or more cycles after the slot that frees the place. Beats are counted for ever, modulo a power of two.
    pad_value: in all lanes of a beat of padding, but for those from ``kept`` on in the last pass of loop number
    ``grouping``, which stand for no channel.
    """

    visible = 2

    def __init__(
        self,
        nest: Nest,
        lanes: int,
        x_type: IntType,
        *,
        pad_value: int = 0,
        grouping: int = 0,
        kept: int | None = None,
    ):
        self._nest, self._x_type, self._pad_value = nest, x_type, pad_value
        self._grouping, self._kept = grouping, lanes if kept is None else kept
        self._is_padded = bool(nest.padded.any())
        self._is_block = False
        self.hold(nest.least_places)
        self.schedule = Schedule(
            reads={"buffer": Reads(np.where(nest.waits, nest.address, NONE), nest.frees, delay=2)},
            starts={"y": np.ones(nest.slots, np.bool_)},
        )
        every = np.ones(nest.beats, np.bool_)
        self.fill = Schedule(takes={"x": every}, starts={"buffer": every})
        values = (x_type.low, x_type.high, *([pad_value] if self._is_padded else ()))
        super().__init__({"x": Beats(lanes, x_type)}, Beats(lanes, IntType.of_range(min(values), max(values))))

    def hold(self, places: int) -> None:
        self._is_block = self._is_block or places > DEEPEST_LUT_RAM
        self._found = 3 if self._is_block else 1
        # One cycle more: the queue's own.
        self.latency = self._found + 1
        super().hold(places)

    @property
    def ram(self) -> Ram:
        """A ring, whose addresses wrap around by themselves."""
        words = 1 << max(1, (self.places - 1).bit_length())
        return Ram(words, len(self.x.payload), "block" if self._is_block else "lut")

    def elaborate(self, platform):
        m = Module()
        nest = self._nest
        there, taken = Signal(), Signal()
        fire = self.issue(m, {}, starts=there) & there
        m.submodules.walk = walk = LoopWalk([loop.count for loop in nest.loops], AHEAD)
        room = self._find_room(m, walk, taken)
        m.d.comb += [walk.step.eq(fire), taken.eq(self.x.valid & room), self.x.ready.eq(room)]

        # As many bits as it takes to tell how far the beats of two slots lie before or behind the newest one.
        bits = signed_bits(-self.places, nest.ahead)
        written, wanted = Signal(bits), self._follow(m, walk, bits)
        m.d.sync += written.eq(written + taken)
        goes, padded = find_padding(m, nest, walk, AHEAD) if self._is_padded else ([Const(0, 1)] * 2, [])
        is_there = [go | (beat - written)[bits - 1] for go, beat in zip(goes, wanted, strict=True)]
        m.d.sync += there.eq(Mux(walk.step, is_there[1], is_there[0]))

        lanes = self._read(m, written, taken, wanted[0])
        if self._is_padded:
            lanes = self._pad(m, walk, lanes, padded[0])
        held = [delay(m, lane, 1, f"lane_{place}") for place, lane in enumerate(lanes)]
        self.emit(m, delay(m, walk.step, self._found, "valid", reset=True), held)
        return m

    def _follow(self, m: Module, walk: LoopWalk, bits: int) -> list[Signal]:
        """The beats that this slot and the next one wait for; the way to the one after it stands in a register too."""
        nest, following = self._nest, Signal(bits, name="wanted_next")
        first, second, third = beginning(nest.address, 3, nest.beats)
        jumps = nest.jumps(nest.steps, nest.beats + int(nest.address[0]) - nest.start)
        chosen = walk.pick(jumps, bits)
        if nest.padded[0]:
            chosen = Mux(walk.first, Const(int(nest.address[1]) % (1 << bits), bits), chosen)
        jump = shift(m, walk.step, chosen, [third - second], "jump")[0]
        ranks = shift(m, walk.step, following, [first, second], "wanted")
        m.d.comb += following.eq(ranks[1] + jump)
        return ranks

    def _find_room(self, m: Module, walk: LoopWalk, taken: Value) -> Value:
        """Whether a place is free. Those that a slot frees count two cycles after it."""
        nest = self._nest
        freed = np.diff(nest.marks, prepend=nest.start)
        amounts = sorted(set(freed[freed > 0].tolist()))
        # One less than are free, so that the sign tells; the same of what is freed.
        first = self.places + min(0, nest.start) - 1
        free = Signal(signed_bits(min(-1, first), self.places + nest.unread), init=first)
        gift = Signal.like(free, init=-1)
        may_free = reduce(and_, (walk.last[place] for place, loop in enumerate(nest.loops) if loop.again), Const(1, 1))
        chosen = Const(-1, len(free))
        for amount in amounts:
            frees = walk.pick([int(released == amount) for released in nest.released], 1) & may_free
            before = beginning(np.roll(freed, 1) == amount, AHEAD + 1)
            flags = shift(m, walk.step, frees, before[1:], f"frees_{amount}")
            chosen &= Mux(flags[0], Const(amount - 1, len(free)), Const(-1, len(free)))
        m.d.sync += [
            gift.eq(Mux(walk.step, chosen, -1)),
            # free + gift + 1 - taken in one carry chain.
            free.eq((Value.cast(Cat(1, free)) + Value.cast(Cat(~taken, gift)))[1:]),
        ]
        room = Signal()
        m.d.comb += room.eq(free[-1] == 0)
        return room

    def _read(self, m: Module, written: Value, taken: Value, wanted: Value) -> list[Value]:
        """The beat that the slot wants, all but one cycle before it leaves: a beat is not written while it is read."""
        style = {"ram_style": "block", "no_rw_check": 1} if self._is_block else {"ram_style": "distributed"}
        m.submodules.ring = ring = Memory(shape=self.ram.bits, depth=self.ram.words, init=[], attrs=style)
        write, read = ring.write_port(), ring.read_port(domain="comb")
        m.d.comb += [write.addr.eq(written), write.data.eq(self.x.payload), write.en.eq(taken), read.addr.eq(wanted)]
        return split(delay(m, read.data, self._found - 1, "found"), self.lanes_out, self._x_type)

    def _pad(self, m: Module, walk: LoopWalk, lanes: list[Value], padded: Value) -> list[Value]:
        """Padding in place of what was found."""
        is_pad = delay(m, padded, self._found - 1, "is_pad")
        value = Const(self._pad_value, lane_shape(self.y_type))
        values = [value] * self._kept
        if self._kept < len(lanes):
            counts = [loop.count for loop in self._nest.loops]
            group = np.unravel_index(np.arange(self._nest.slots), counts)[self._grouping]
            first = beginning(group == counts[self._grouping] - 1, AHEAD)
            is_last = shift(m, walk.step, walk.last[self._grouping], first, "last_group")[0]
            values += [Mux(delay(m, is_last, self._found - 1, "is_last"), 0, value)] * (len(lanes) - self._kept)
        return [Mux(is_pad, value, lane) for value, lane in zip(values, lanes, strict=True)]
