# amaranth: UnusedElaboratable=no
"""MaxPool2d and SumPool2d: windows that do not overlap are reduced as their pixels come; others are sent one by one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, NamedTuple

import numpy as np
from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value

from ..ir.graph import Bounds, IntType, TensorType
from ..ir.max_pool import MaxPool2d
from ..ir.pool import Pool2d
from .accumulators import BLOCK_CYCLES, BLOCK_REUSE, Accumulators, Combine
from .arithmetic import delay
from .buffer import DEEPEST_LUT_RAM
from .counters import Walk
from .finish import Finish
from .part import Part
from .plan import LayerPlan
from .stage import Ram, Stage
from .stream import Beats, lane_shape, split
from .timing import Bools, Schedule
from .unit import Unit
from .window import sliding_window


@dataclass(frozen=True, eq=False)
class Axis:
    """Which places along an axis of an image lie in one of its ``windows``, and are its first or its last; (size,)."""

    inside: Bools
    first: Bools
    last: Bools
    windows: int

    @property
    def is_single(self) -> bool:
        """Whether each window holds only one place."""
        return bool((self.first == self.last).all())


def axis_of(size: int, kernel: int, stride: int, before: int, windows: int) -> Axis | None:
    """None where windows overlap, or one of them holds no place; ``before``: places of padding."""
    stride = max(stride, kernel) if windows == 1 else stride
    number, offset = np.divmod(np.arange(size) + before, stride)
    inside = (offset < kernel) & (number < windows)
    if stride < kernel or len(np.unique(number[inside])) < windows:
        return None
    neighbours = np.concatenate([[-1], np.where(inside, number, -1), [-1]])
    first, last = neighbours[1:-1] != neighbours[:-2], neighbours[1:-1] != neighbours[2:]
    return Axis(inside, inside & first, inside & last, windows)


def axes_of(node: Pool2d, source: TensorType) -> tuple[Axis, Axis] | None:
    """Rows and columns of the image ``source``; None where the windows have to be sent one by one."""
    sizes = zip(source.shape, node.kernel, node.stride, node.padding, node.shape(source), strict=False)
    rows, columns = (axis_of(*size) for size in sizes)
    return (rows, columns) if rows and columns else None


def axes_of_taps(taps: int) -> tuple[Axis, Axis]:
    """Of a window that comes tap by tap: one row, in which all places are one window."""
    row, tap = np.ones(1, np.bool_), np.arange(taps)
    return Axis(row, row, row, 1), Axis(tap >= 0, tap == 0, tap == taps - 1, 1)


class Place(NamedTuple):
    """Where the present slot lies on an axis; registers."""

    inside: Value
    first: Value
    last: Value

    @staticmethod
    def at(m: Module, walk: Walk, axis: Axis, name: str) -> "Place":
        flags = {what: getattr(axis, what) for what in Place._fields}
        return Place(**{what: _flag(m, walk, places, f"{name}_{what}") for what, places in flags.items()})


def _flag(m: Module, walk: Walk, places: Bools, name: str) -> Value:
    """Whether the present beat of ``walk`` is one of ``places``, looked up one beat ahead."""
    if places.all() or not places.any():
        return Const(int(places[0]), 1)
    flag, following = Signal(name=name, init=int(places[0])), Signal(name=f"{name}_next")
    with m.Switch(walk.beat):
        for beat in np.flatnonzero(np.roll(places, -1)):
            with m.Case(int(beat)):
                m.d.comb += following.eq(1)
        with m.Default():
            m.d.comb += following.eq(0)
    with m.If(walk.step):
        m.d.sync += flag.eq(following)
    return flag


class PoolStage(Stage):
    """Takes a beat in every slot, and starts one with the last of each window.

    A pixel comes in ``groups`` beats, pixels in raster order over ``rows`` and ``columns``, ``passes`` times a frame.
    """

    def __init__(
        self,
        x: Beats,
        rows: Axis,
        columns: Axis,
        groups: int,
        combine: Combine,
        finish: Finish,
        *,
        word_type: IntType,
        passes: int = 1,
    ):
        self._x, self._rows, self._columns, self._groups = x, rows, columns, groups
        self._combine, self._finish, self._word_type = combine, finish, word_type
        # In block RAM a word needs a while: what comes too soon for that is combined before.
        self._is_block = columns.windows * groups > DEEPEST_LUT_RAM
        self._is_split = self._is_block and groups < BLOCK_REUSE and not columns.is_single
        cycles = (BLOCK_CYCLES if self._is_block else 1) + int(self._is_split)
        self._taken = max(1, finish.lead - cycles)
        self._reduced = self._taken + cycles
        # The queue's own cycle.
        self.latency = self._reduced + finish.cycles + 1
        ends = np.outer(rows.last, columns.last).ravel()
        starts = np.tile(np.repeat(ends, groups), passes)
        self.schedule = Schedule(takes={"x": np.ones(len(starts), np.bool_)}, starts={"y": starts})
        super().__init__({"x": x}, Beats(x.lanes, finish.y_type))

    @property
    def ram(self) -> Ram:
        """A word for each window of a line that is open."""
        words = self._columns.windows * self._groups
        return Ram(words, self.lanes_out * self._word_type.bits, "block" if self._is_block else "lut")

    def elaborate(self, platform):
        m = Module()
        m.submodules.groups = groups = Walk(self._groups)
        m.submodules.columns = columns = Walk(len(self._columns.inside))
        m.submodules.rows = rows = Walk(len(self._rows.inside))
        m.submodules.windows = windows = Walk(self._columns.windows)
        column = Place.at(m, columns, self._columns, "column")
        row = Place.at(m, rows, self._rows, "row")
        starts = column.last & row.last
        fire = self.issue(m, takes=1, starts=starts)
        m.d.comb += [
            groups.step.eq(fire),
            columns.step.eq(fire & groups.last_beat),
            rows.step.eq(columns.step & columns.last_beat),
            windows.step.eq(columns.step & column.last),
        ]
        done = [Value.cast(fire & starts)]
        for cycle in range(self.latency - 1):
            done.append(delay(m, done[-1], 1, f"done_{cycle}", reset=True))
        group = groups.beat if self._groups > 1 else Const(0, 0)
        address = Value.cast(Cat(group, windows.beat)) if self._columns.windows > 1 else group
        word = self._reduce(m, fire & column.inside & row.inside, column, row, group, address)
        values = [value[: self._finish.x_type.bits] for value in split(word, self.lanes_out, self._word_type)]
        self.emit(m, done[-1], self._finish.build(m, values, done[self._reduced - self._finish.lead :]))
        return m

    def _reduce(self, m: Module, valid: Value, column: Place, row: Place, group: Value, address: Value) -> Value:
        """The word of a window, after the present beat of it."""
        waits = self._taken
        beat = delay(m, self._extended(m), waits, "beat")
        if not self._is_split:
            words = self._accumulators(address, self._is_block)
            self._connect(m, "words", words, waits, valid, column.first & row.first, address)
            m.d.comb += words.beat.eq(beat)
            return words.result
        lines, words = self._accumulators(group, False), self._accumulators(address, True)
        self._connect(m, "lines", lines, waits, valid, column.first, group)
        self._connect(m, "words", words, waits + lines.cycles, valid & column.last, row.first, address)
        m.d.comb += [lines.beat.eq(beat), words.beat.eq(lines.result)]
        return words.result

    def _accumulators(self, address: Value, is_block: bool) -> Accumulators:
        return Accumulators(1 << len(address), self.lanes_out, self._word_type, self._combine, is_block=is_block)

    @staticmethod
    def _connect(m: Module, name: str, words: Accumulators, waits: int, valid: Value, first: Value, address: Value):
        """The slot's controls, ``waits`` cycles after its issue."""
        m.submodules[name] = words
        m.d.comb += [
            words.valid.eq(delay(m, valid, waits, f"{name}_valid", reset=True)),
            words.first.eq(delay(m, first, waits, f"{name}_first")),
            words.address.eq(delay(m, address, waits, f"{name}_address")),
        ]

    def _extended(self, m: Module) -> Value:
        """The lanes of the input as words."""
        lanes = []
        for lane, value in enumerate(split(self.x.payload, self._x.lanes, self._x.dtype)):
            word = Signal(lane_shape(self._word_type), name=f"word_{lane}")
            m.d.comb += word.eq(value)
            lanes.append(word)
        return Value.cast(Cat(*lanes))


def build_pool(unit: Unit, fold: LayerPlan, bounds: Mapping[str, Bounds]) -> Sequence[Part]:
    """One stage where windows do not overlap; else the stages of the window before it."""
    node, x_type = unit.nodes[0], unit.source.dtype
    assert isinstance(node, Pool2d)
    groups = -(-unit.source.channels // fold.pe)
    is_max = isinstance(node, MaxPool2d)
    finish = Finish(unit.function, fold.pe, bounds[node.name], node.result)
    axes = axes_of(node, unit.source)
    combine, passes, parts = _largest if is_max else _sum, 1, []
    if axes is None:
        parts = sliding_window(
            unit.name, unit.source, fold.pe, node.kernel, node.stride, padding=node.padding,
            pad_value=x_type.low if is_max else 0, by_channel=True,
        )  # fmt: skip
        x_type = parts[-1].stage.y_type
        passes, groups = unit.result.pixels * groups, 1
        axes = axes_of_taps(prod(node.kernel))
    stage = PoolStage(
        Beats(fold.pe, x_type), *axes, groups, combine, finish,
        word_type=x_type if is_max else finish.x_type, passes=passes,
    )  # fmt: skip
    reads = parts[-1].makes if parts else unit.source
    return [*parts, Part(unit.name, stage, (reads,), unit.result)]


def _largest(new: Any, old: Any) -> Any:
    return Mux(new > old, new, old)


def _sum(new: Any, old: Any) -> Any:
    return new + old
