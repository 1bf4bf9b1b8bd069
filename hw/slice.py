# amaranth: UnusedElaboratable=no
"""Slice: whole pixels outside the box are dropped first, then the lanes of channels outside it."""

from collections.abc import Mapping, Sequence

import numpy as np
from amaranth.hdl import Module, Signal, Value

from ..ir.graph import Bounds, Ints, IntType, TensorType
from ..ir.slice import Slice
from .arithmetic import delay
from .convert import ConvertStage
from .counters import Walk
from .moves import Beat, beats_of_pixel, lanes_in_use
from .part import Part
from .plan import LayerPlan
from .stage import Stage
from .stream import Beats
from .timing import Schedule
from .unit import Unit

Span = tuple[int, int]


class CropStage(Stage):
    """Takes every beat, and starts those of the pixels from ``rows[0]`` and ``columns[0]`` to before the others."""

    latency = 2

    def __init__(self, source: TensorType, lanes: int, rows: Span, columns: Span):
        self._beats, self._size = -(-source.channels // lanes), source.shape[:2]
        self._spans = rows, columns
        inside = [(first <= np.arange(size)) & (np.arange(size) < last) for size, (first, last) in self._sides()]
        starts = np.repeat(np.logical_and.outer(*inside).ravel(), self._beats)
        self.schedule = Schedule(takes={"x": np.ones(len(starts), bool)}, starts={"y": starts})
        super().__init__({"x": Beats(lanes, source.dtype)}, Beats(lanes, source.dtype))

    def _sides(self) -> list[tuple[int, Span]]:
        return list(zip(self._size, self._spans))

    def elaborate(self, platform):
        m = Module()
        height, width = self._size
        m.submodules.beats = beats = Walk(self._beats)
        m.submodules.pixels = pixels = Walk(width, height)
        turns = Signal()
        inside = [
            self._within(m, turns & step, place, size, span, name)
            for step, place, (size, span), name in (
                (pixels.last_beat, pixels.group, self._sides()[0], "row"),
                (1, pixels.beat, self._sides()[1], "column"),
            )
        ]
        starts = inside[0] & inside[1]
        fire = self.issue(m, takes=1, starts=starts)
        m.d.comb += [beats.step.eq(fire), turns.eq(fire & beats.last_beat), pixels.step.eq(turns)]
        beat = delay(m, self.x.payload, 1, "beat")
        bits = self.y_type.bits
        values = [beat.word_select(lane, bits) for lane in range(self.lanes_out)]
        self.emit(m, delay(m, fire & starts, 1, "started", reset=True), values)
        return m

    @staticmethod
    def _within(m: Module, step: Value, place: Value, size: int, span: Span, name: str) -> Signal:
        """Whether the row or column is in the box: a register that changes with the steps onto its edges."""
        first, last = span
        inside = Signal(name=f"{name}_is_inside", init=int(first == 0))
        enters, leaves = place == (first - 1) % size, place == (last - 1) % size
        with m.If(step & leaves):
            m.d.sync += inside.eq(0)
        with m.If(step & enters):
            m.d.sync += inside.eq(1)
        return inside


def build_slice(unit: Unit, fold: LayerPlan, bounds: Mapping[str, Bounds]) -> Sequence[Part]:
    """The input comes in the lanes in which it is made."""
    node, source = unit.nodes[0], unit.source
    assert isinstance(node, Slice)
    lanes, parts = unit.lanes[0] if unit.lanes else fold.pe, []
    spans = list(zip(node.start, node.stop))
    if source.shape[:-1] != unit.result.shape[:-1]:
        rows, columns = spans[:2]
        cropped = TensorType((rows[1] - rows[0], columns[1] - columns[0], source.channels), source.dtype)

        def crop(codes: Ints) -> Ints:
            return codes[:, slice(*rows), slice(*columns)]

        stage = CropStage(source, lanes, rows, columns)
        if unit.result.channels == source.channels and lanes == fold.pe and unit.result.dtype == source.dtype:
            return [Part(unit.name, stage, (source,), unit.result)]
        parts = [Part(f"{unit.name}_crop", stage, (source,), cropped, crop)]
        source = cropped
    stage = channel_slice(source, lanes, spans[-1], fold.pe, unit.result.dtype)
    return [*parts, Part(unit.name, stage, (source,), unit.result)]


def channel_slice(source: TensorType, lanes_in: int, kept: Span, lanes_out: int, result: IntType) -> ConvertStage:
    """The channels from ``kept[0]`` to before ``kept[1]`` of each pixel."""
    beats = []
    for place, beat in enumerate(beats_of_pixel("x", source.channels, lanes_in)):
        first = max(0, kept[0] - place * lanes_in)
        last = min(beat.count, kept[1] - place * lanes_in)
        beats.append(Beat("x", first, last - first) if last > first else Beat("x", 0, 0))
    spare = -source.channels % lanes_in if kept[1] == source.channels else 0
    needed, y = lanes_in_use(kept[1] - kept[0], lanes_out), Beats(lanes_out, result)
    x = {"x": Beats(lanes_in, source.dtype)}
    return ConvertStage(x, y, beats, needed, repeats=source.pixels, spare=spare)
