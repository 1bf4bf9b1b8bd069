"""Nested loops over the beats of a frame: what each slot reads, and when what it read is free again."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, reduce
from math import prod
from operator import or_

import numpy as np
from amaranth.hdl import Const, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..ir.graph import Ints, IntType
from .timing import Bools


@dataclass(frozen=True)
class Loop:
    """``count`` passes, each ``step`` beats, ``y`` rows and ``x`` columns further on.

    again: each pass needs the same pixels, so that only the last one frees them.
    """

    count: int
    step: int
    y: int = 0
    x: int = 0
    again: bool = False


@dataclass(frozen=True)
class Nest:
    """One slot for each pass of the innermost of ``loops`` (the outermost comes first) over a frame of ``beats`` beats.

    A slot reads beat ``start`` plus the steps so far, at row and column ``corner`` plus theirs; a slot outside ``size``
    (height, width) reads nothing, but if it is the first, waits for beat 0: no frame begins before its first beat.
    The first ``outer`` loops free beats: after each pass of the innermost of them, all those below the first one that
    the next pass may read.
    """

    beats: int
    loops: tuple[Loop, ...]
    outer: int
    start: int = 0
    corner: tuple[int, int] = (0, 0)
    size: tuple[int, int] | None = None

    @property
    def slots(self) -> int:
        return prod(loop.count for loop in self.loops)

    @property
    def steps(self) -> list[int]:
        """Beats from pass to pass of each loop."""
        return [loop.step for loop in self.loops]

    @cached_property
    def address(self) -> Ints:
        """(slots,), the beat that a slot waits for; where it waits for none, any number."""
        beats = self._sum(self.steps, self.start)
        if self.padded[0]:
            beats[0] = 0
        return beats

    @cached_property
    def waits(self) -> Bools:
        """(slots,), which slots wait for a beat."""
        waits = ~self.padded
        waits[0] = True
        return waits

    @property
    def rows(self) -> Ints:
        return self._sum([loop.y for loop in self.loops], self.corner[0])

    @property
    def columns(self) -> Ints:
        return self._sum([loop.x for loop in self.loops], self.corner[1])

    @cached_property
    def padded(self) -> Bools:
        """(slots,), which slots read nothing."""
        if self.size is None:
            return np.zeros(self.slots, np.bool_)
        sides = zip((self.rows, self.columns), self.size, strict=True)
        return reduce(or_, ((places < 0) | (places >= size) for places, size in sides))

    @property
    def released(self) -> list[int]:
        """The beats that become free where a loop goes on, for each loop, and at the end of the frame."""
        # Inner loops, and those that go over the same pixels again, come back to the same beats.
        moves = [0 if loop.again or place >= self.outer else loop.step for place, loop in enumerate(self.loops)]
        return self.jumps(moves, self.beats)

    @cached_property
    def marks(self) -> Ints:
        """(slots,), the lowest beat of the frame that is not free after each slot."""
        freed, released = np.array(self.released[-1:]), self.released
        for place in reversed(range(len(self.loops))):
            loop, inner = self.loops[place], len(freed)
            passes = np.tile(freed, loop.count)
            if loop.again:
                passes[:-inner] = 0
            else:
                passes[inner - 1 : -1 : inner] = released[place]
            freed = passes
        return self.start + np.cumsum(freed)

    @property
    def frees(self) -> Ints:
        """(beats,), the slot that frees each beat, past the end: of the next frame."""
        marks = np.concatenate([self.marks, self.marks + self.beats])
        return np.searchsorted(marks, np.arange(self.beats), side="right")

    @cached_property
    def least_places(self) -> int:
        """The smallest buffer that holds all that any slot may still need when it reads."""
        before = np.concatenate([[self.start], self.marks[:-1]])
        return int((self.address + 1 - before)[self.waits].max())

    @cached_property
    def ahead(self) -> int:
        """By how many beats, at most, a slot reads beyond those that are known to be there one slot earlier."""
        beats, known = self._known
        before = np.concatenate([[0, 0], known[:-2]])
        return max(0, int((beats - before)[beats >= 0].max(initial=0)))

    @cached_property
    def unread(self) -> int:
        """How many beats, at most, are free before they are known to be there."""
        marks = np.concatenate([self.marks, self.marks + self.beats])
        return max(0, int((marks - self._known[1]).max()))

    @property
    def _known(self) -> tuple[Ints, Ints]:
        """Over two frames: the beat that each slot waits for, or -1, and how many are there when it fires."""
        beats = np.concatenate([np.where(self.waits, self.address + frame * self.beats, -1) for frame in (0, 1)])
        return beats, np.maximum.accumulate(beats + 1)

    def jumps(self, steps: Sequence[int], frame: int = 0) -> list[int]:
        """By how much a sum of ``steps`` changes where a loop goes on and those inside it start again, for each loop;
        and at the end of the frame, when it is to start ``frame`` higher."""
        back = [(loop.count - 1) * step for loop, step in zip(self.loops, steps, strict=True)]
        return [*(step - sum(back[place + 1 :]) for place, step in enumerate(steps)), frame - sum(back)]

    def _sum(self, steps: Sequence[int], first: int) -> Ints:
        total = np.array([first])
        for loop, step in zip(self.loops, steps, strict=True):
            total = np.add.outer(total, np.arange(loop.count) * step).ravel()
        return total


class LoopWalk(wiring.Component):
    """Counts through nested loops of ``counts`` passes, a slot for each cycle with ``step``, for ever.

    last: for each loop, whether it is in its last pass; first: whether this is the first slot; registers. begin: the
    slot to begin with.
    """

    def __init__(self, counts: Sequence[int], begin: int = 0):
        self._counts, self._begin = tuple(counts), begin % prod(counts)
        ports = {"step": In(1), "last": Out(max(1, len(self._counts)))}
        super().__init__({**ports, "first": Out(1, init=int(self._begin == 0))})

    def elaborate(self, platform):
        m = Module()
        index = np.unravel_index(self._begin, self._counts) if self._counts else ()
        step = self.step
        for place in reversed(range(len(self._counts))):
            count, at = self._counts[place], int(index[place])
            if count == 1:
                m.d.comb += self.last[place].eq(1)
                continue
            last = Signal(name=f"last_{place}", init=int(at == count - 1))
            following = ~last
            if count > 2:
                value = Signal(range(count), name=f"loop_{place}", init=at)
                following = value == count - 2
                wraps = Mux(last, 0, value + 1) if count & count - 1 else value + 1
                with m.If(step):
                    m.d.sync += value.eq(wraps)
            with m.If(step):
                m.d.sync += last.eq(following)
            m.d.comb += self.last[place].eq(last)
            step = step & last
        with m.If(self.step):
            m.d.sync += self.first.eq(step)
        return m

    def pick(self, options: Sequence[int], bits: int) -> Value:
        """Of ``options``, one for each loop and one for the end of the frame, that of the loop that goes on next."""
        chosen = Const(options[-1] % (1 << bits), bits)
        for place in range(len(self._counts)):
            chosen = Mux(self.last[place], chosen, Const(options[place] % (1 << bits), bits))
        return chosen


def find_padding(m: Module, nest: Nest, walk: LoopWalk, ahead: int) -> tuple[list[Signal], list[Signal]]:
    """Which of ``ahead`` slots, from the one that fires next up to that before the walk's, wait for no beat; and which
    lie outside the image."""
    assert nest.size
    outside = Const(0, 1)
    for name, places, size in zip(("y", "x"), (nest.rows, nest.columns), nest.size, strict=True):
        if places.min() >= 0 and places.max() < size:
            continue
        # What lies before the image looks larger than the image is.
        bits = max(int(places.max()), size - int(places.min()) - 1).bit_length()
        place = Signal(bits, name=name, init=beginning(places, ahead + 1)[ahead] % (1 << bits))
        with m.If(walk.step):
            m.d.sync += place.eq(place + walk.pick(nest.jumps([getattr(loop, name) for loop in nest.loops]), bits))
        if size < 1 << bits:
            outside |= place >= size
    padded = shift(m, walk.step, outside, beginning(nest.padded, ahead), "padded")
    if not nest.padded[0]:
        return padded, padded
    return shift(m, walk.step, outside & ~walk.first, beginning(~nest.waits, ahead), "goes"), padded


def shift(m: Module, step: Value, newest: Value, first: Sequence[int], name: str) -> list[Signal]:
    """Registers that each ``step`` moves down by one; the last of them gets ``newest``. first: what they begin with."""
    bits = len(Value.cast(newest))
    ranks = [Signal(bits, name=f"{name}_{rank}", init=init % (1 << bits)) for rank, init in enumerate(first)]
    with m.If(step):
        for rank, above in zip(ranks, [*ranks[1:], newest], strict=True):
            m.d.sync += rank.eq(above)
    return ranks


def beginning(values: Ints | Bools, count: int, frame: int = 0) -> list[int]:
    """The ``values`` of the first ``count`` slots, each frame's ``frame`` larger than those of the frame before."""
    slots = np.arange(count)
    return (values.astype(np.int64)[slots % len(values)] + slots // len(values) * frame).tolist()


def signed_bits(low: int, high: int) -> int:
    """Bits of a signed number between ``low``, below 0, and ``high``."""
    return IntType.of_range(low, high).bits
