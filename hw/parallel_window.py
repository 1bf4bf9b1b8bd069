"""Sliding windows in registers: line memories feed a window that moves by a pixel a slot, and leaves in few beats."""

from functools import cached_property, reduce
from operator import or_

import numpy as np
from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib.memory import Memory

from ..ir.graph import Ints
from .arithmetic import delay
from .buffer import DEEPEST_LUT_RAM
from .counters import Walk
from .sliding import Sliding
from .stage import Ram, Stage
from .stream import Beats, lane_shape, split
from .timing import Bools, Schedule


class ParallelWindowStage(Stage):
    """Takes whole pixels. The slot that brings a window's last pixel starts the first of its beats, ``repeats`` times
    all ``lanes`` channels of the flat window (kernel rows, kernel columns, channels); the others hold the window.

    Pixels are shifted in without regard to the ends of lines: what a window holds from another line is padding.
    Only below the image are there slots that shift but take nothing.
    """

    def __init__(self, sliding: Sliding, lanes: int, repeats: int):
        self._sliding, self._repeats = sliding, repeats
        _, self._width, self._channels = sliding.image.shape
        self._beats = -(-sliding.taps * self._channels // lanes)
        self._is_block = sliding.kernel[0] > 1 and self._width > DEEPEST_LUT_RAM
        self._waits = 2 if self._is_block else 0
        # The window's registers, those behind the choice of its beats, and the queue's.
        self.latency = self._waits + 2 + int(self._beats > 1)
        shifts, starts = self._plan()
        takes = shifts & (np.cumsum(shifts) <= sliding.image.pixels)
        self.schedule = Schedule(takes={"x": takes}, starts={"y": starts})
        super().__init__({"x": Beats(self._channels, sliding.image.dtype)}, Beats(lanes, sliding.dtype))

    @property
    def ram(self) -> Ram | None:
        """The lines above the newest one."""
        lines = self._sliding.kernel[0] - 1
        bits = lines * len(self.x.payload)
        return Ram(self._width, bits, "block" if self._is_block else "lut") if lines else None

    @cached_property
    def _gaps(self) -> Ints:
        """(windows + 1,), the pixels from the last one of a window to that of the next, and to the end of the frame."""
        ends = self._sliding.ends
        return np.diff([-1, *ends, max(self._sliding.image.pixels - 1, ends[-1])])

    @property
    def _is_past_image(self) -> bool:
        """Whether windows end below the image."""
        return int(self._sliding.ends[-1]) >= self._sliding.image.pixels

    def _plan(self) -> tuple[Bools, Bools]:
        """(slots,), which slots shift, and which start a beat."""
        passes = self._repeats * self._beats
        shifts, starts = [], []
        for gap in self._gaps[:-1].tolist():
            shifts.append(np.arange(gap - 1 + passes) < gap)
            starts.append(np.arange(gap - 1 + passes) >= gap - 1)
        rest = int(self._gaps[-1])
        return np.concatenate([*shifts, np.ones(rest, bool)]), np.concatenate([*starts, np.zeros(rest, bool)])

    def elaborate(self, platform):
        m = Module()
        sliding = self._sliding
        m.submodules.places = places = Walk(sliding.columns, sliding.rows)
        m.submodules.beats = beats = Walk(self._beats, self._repeats)
        shifts, starts, past = Signal(init=1), Signal(init=int(self._gaps[0] == 1)), Signal()
        fire = self.issue(m, shifts & ~past, starts)
        m.d.comb += [
            beats.step.eq(fire & starts),
            places.step.eq(beats.step & beats.last_beat & beats.last_group),
        ]
        self._count_gap(m, fire, places, shifts, starts)
        if self._is_past_image:
            self._count_pixels(m, fire & shifts, places, past)
        window = self._shift(m, fire & shifts)
        lanes = self._choose(m, self._pad(m, places, window), beats.beat)
        self.emit(m, delay(m, beats.step, self.latency - 1, "valid", reset=True), lanes)
        return m

    def _count_gap(self, m: Module, fire: Value, places: Walk, shifts: Signal, starts: Signal) -> None:
        """The flags of the next slot: ``gap`` pixels, this one's included, are left up to the end of the window."""
        gaps = self._gaps
        first, rest = int(gaps[0]), int(gaps[-1])
        to_column = self._sliding.stride[1]
        to_row = self._sliding.stride[0] * self._width - (self._sliding.columns - 1) * to_column
        options = to_column, to_row, rest + first
        gap = Signal(range(max(options) + 1), init=first)
        following = [Const(option, len(gap)) for option in options]
        ending = [Const(option == 1, 1) for option in options]
        with m.If(fire):
            with m.If(~starts):
                m.d.sync += [gap.eq(gap - 1), starts.eq(gap == 2)]
            with m.Elif(places.step):
                m.d.sync += [
                    gap.eq(Mux(places.last_beat, Mux(places.last_group, following[2], following[1]), following[0])),
                    starts.eq(Mux(places.last_beat, Mux(places.last_group, ending[2], ending[1]), ending[0])),
                    shifts.eq(1),
                ]
            with m.Else():
                m.d.sync += shifts.eq(0)

    def _count_pixels(self, m: Module, shift: Value, places: Walk, past: Signal) -> None:
        """``past``: all pixels of the frame are taken, but not all of its windows have left."""
        m.submodules.pixels = pixels = Walk(self._sliding.image.pixels)
        m.d.comb += pixels.step.eq(shift & ~past)
        with m.If(pixels.step & pixels.last_beat):
            m.d.sync += past.eq(1)
        with m.If(places.step & places.last_beat & places.last_group):
            m.d.sync += past.eq(0)

    def _shift(self, m: Module, shift: Value) -> list[list[Signal]]:
        """The pixels of the window, (kernel rows, kernel columns), some cycles after the slots that shift them."""
        rows, columns = self._sliding.kernel
        fresh = delay(m, self.x.payload, self._waits, "fresh")
        late = delay(m, shift, self._waits, "shift", reset=True)
        above = self._keep_lines(m, shift, late, fresh) if rows > 1 else []
        window = []
        for row, entering in enumerate([*above, fresh]):
            pixels = [Signal(len(fresh), name=f"pixel_{row}_{column}", reset_less=True) for column in range(columns)]
            with m.If(late):
                for pixel, right in zip(pixels, [*pixels[1:], entering], strict=True):
                    m.d.sync += pixel.eq(right)
            window.append(pixels)
        return window

    def _keep_lines(self, m: Module, shift: Value, late: Value, fresh: Value) -> list[Value]:
        """The pixels above ``fresh``, the highest first: in one word, replaced by that of the line below."""
        count, bits = self._sliding.kernel[0] - 1, len(fresh)
        if self._width == 1:
            word = Signal(count * bits, reset_less=True)
            with m.If(late):
                m.d.sync += word.eq(Cat(word[bits:], fresh))
            return [Value.cast(word.word_select(row, bits)) for row in range(count)]
        style = {"ram_style": "block", "no_rw_check": 1} if self._is_block else {"ram_style": "distributed"}
        m.submodules.lines = lines = Memory(shape=count * bits, depth=self._width, init=[], attrs=style)
        m.submodules.column = column = Walk(self._width)
        write, read = lines.write_port(), lines.read_port(domain="comb")
        word = delay(m, read.data, self._waits, "word")
        m.d.comb += [
            column.step.eq(shift),
            read.addr.eq(column.beat),
            write.addr.eq(delay(m, column.beat, self._waits, "column")),
            write.data.eq(Cat(word[bits:], fresh)),
            write.en.eq(late),
        ]
        return [Value.cast(word.word_select(row, bits)) for row in range(count)]

    def _pad(self, m: Module, places: Walk, window: list[list[Signal]]) -> list[Value]:
        """The channels of the window, with the padding in place of what lies outside the image."""
        sliding, pad = self._sliding, Const(self._sliding.pad_value, lane_shape(self.y_type))
        outside = []
        for axis, place in ((0, places.group), (1, places.beat)):
            first = np.arange((sliding.rows, sliding.columns)[axis]) * sliding.stride[axis] - sliding.padding[axis]
            found = []
            for tap in range(sliding.kernel[axis]):
                at = first + tap
                numbers = np.flatnonzero((at < 0) | (at >= sliding.image.shape[axis])).tolist()
                is_out = reduce(or_, (place == number for number in numbers), Const(0, 1))
                found.append(delay(m, is_out, self._waits + 1, f"outside_{axis}_{tap}") if numbers else None)
            outside.append(found)
        lanes = []
        for row, pixels in enumerate(window):
            for column, pixel in enumerate(pixels):
                flags = [flag for flag in (outside[0][row], outside[1][column]) if flag is not None]
                values = split(pixel, self._channels, sliding.image.dtype)
                lanes += [Mux(reduce(or_, flags), pad, value) if flags else value for value in values]
        return lanes

    def _choose(self, m: Module, lanes: list[Value], beat: Value) -> list[Value]:
        """The lanes of one beat of the flat window."""
        if self._beats == 1:
            return lanes
        number = delay(m, beat, self._waits + 1, "beat")
        chosen = []
        for lane in range(self.lanes_out):
            held = Signal(lane_shape(self.y_type), name=f"lane_{lane}", reset_less=True)
            with m.Switch(number):
                for place, option in enumerate(lanes[lane :: self.lanes_out]):
                    with m.Case(place):
                        m.d.sync += held.eq(option)
                with m.Default():  # lanes beyond the last channel, and numbers that never come
                    m.d.sync += held.eq(0)
            chosen.append(held)
        return chosen
