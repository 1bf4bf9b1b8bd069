# amaranth: UnusedElaboratable=no
"""The ``mac`` engine: a matrix-vector product, simd inputs times pe outputs in each slot."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from amaranth.hdl import Module, Mux, Signal, Value

from ..ir.dense import Dense
from ..ir.graph import Bounds, Ints, IntType, Node
from ..ir.table import Table
from ..ir.threshold import Threshold
from .arithmetic import Term, as_value, delay
from .buffer import InputBuffer
from .counters import Walk
from .finish import Finish, channels_of_lanes
from .function import table_rom
from .lower import make_up
from .mac import MacArray
from .memory import Rom, choose_style
from .part import Part
from .plan import LayerPlan
from .stage import Stage
from .stream import Beats, lane_shape, split
from .timing import Schedule
from .unit import Unit
from .weights import store


class DenseStage(Stage):
    """Every group of ``pe`` outputs scans the input, ``simd`` channels a slot; the last slot of a scan starts a beat.

    weights: (outputs, positions, channels): an input is so many pixels of so many channels. blocks: the outputs are so
    many equal blocks, each with an input of its own. The first group of outputs takes the input off the stream, and
    the others find it in a buffer; ``is_repeated``: the stream brings it again for each group, nothing is kept.
    is_lanewise: each output has inputs of its own, so that a beat holds ``simd`` for each of ``pe`` outputs.
    reach: of the inputs; sums: what each output can be; result: its type; pixels: matrix-vector products in a frame.
    function: what turns sums into codes on their way out.
    """

    def __init__(
        self,
        weights: Ints,
        fold: LayerPlan,
        x_type: IntType,
        reach: Bounds,
        sums: Bounds,
        result: IntType,
        *,
        pixels: int = 1,
        blocks: int = 1,
        is_repeated: bool = False,
        is_lanewise: bool = False,
        function: Node | None = None,
    ):
        outputs, positions, channels = weights.shape
        self._beats = positions * -(-channels // fold.simd)
        self._groups = blocks * -(-(outputs // blocks) // fold.pe)
        stored = store(weights, x_type, fold.pe, fold.simd, blocks)
        width = stored.dtype.bits * fold.pe * fold.simd
        style = choose_style(len(stored.words), width) if fold.memory == "auto" else fold.memory
        words = stored.words if len(set(stored.words)) > 1 else stored.words[:1]
        self._rom = Rom(words, width, style)
        lanes = fold.pe * fold.simd if is_lanewise else fold.simd
        is_kept = self._groups > 1 and not is_repeated and not is_lanewise
        self._buffer = InputBuffer(self._beats, lanes * x_type.bits, is_kept)
        dsp = fold.multiplier == "dsp"
        self._array = MacArray(x_type, reach, stored, fold.pe, fold.simd, dsp=dsp, is_lanewise=is_lanewise)

        start, function, sums = begin(function, stored.offsets, sums)
        self._finish = Finish(function, fold.pe, sums, result, blocks=blocks)
        starts = start[channels_of_lanes(outputs // blocks, fold.pe, blocks)].reshape(-1, fold.pe)
        self._start_type = IntType.of_range(int(start.min()), int(start.max()))
        self._starts = table_rom(starts, self._start_type, "lut") if start.any() else None

        self._fetched = max(self._rom.latency, self._buffer.latency)
        self._is_accumulated = self._beats > 1 or self._array.cycles == 0 or self._starts is not None
        summed = self._fetched + self._array.cycles + int(self._is_accumulated)
        self._fetched += max(0, self._finish.lead - summed)
        self._summed = max(summed, self._finish.lead)
        # One cycle more: the queue's own.
        self.latency = self._summed + self._finish.cycles + 1
        slots = np.arange(self._groups * self._beats)
        takes, ends = slots < self._beats, slots % self._beats == self._beats - 1
        self._takes_all = not is_kept
        takes = takes | self._takes_all
        self.schedule = Schedule(takes={"x": np.tile(takes, pixels)}, starts={"y": np.tile(ends, pixels)})
        super().__init__({"x": Beats(lanes, x_type)}, Beats(fold.pe, self._finish.y_type))

    def elaborate(self, platform):
        m = Module()
        m.submodules.walk = walk = Walk(self._beats, self._groups)
        m.submodules.weights, m.submodules.inputs = self._rom, self._buffer
        takes = 1 if self._takes_all else walk.first_group
        fire = self.issue(m, takes=takes, starts=walk.last_beat)
        m.d.comb += [
            walk.step.eq(fire),
            self._rom.address.eq(delay(m, walk.address, self._fetched - self._rom.latency, "address")),
            self._buffer.fresh.eq(self.x.payload),
            self._buffer.taken.eq(self.x.valid & self.x.ready),
            self._buffer.first.eq(takes),
            self._buffer.beat.eq(walk.beat),
        ]
        # done[c]: the last slot of a scan was issued c cycles ago.
        done = [Value.cast(fire & walk.last_beat)]
        for cycle in range(self.latency - 1):
            done.append(delay(m, done[-1], 1, f"done_{cycle}", reset=True))

        inputs = delay(m, self._buffer.input, self._fetched - self._buffer.latency, "waiting")
        sums = self._array.build(m, inputs, self._rom.word)
        totals = self._accumulate(m, sums, walk, fire, done)
        values = self._finish.build(m, totals, done[self._summed - self._finish.lead :])
        self.emit(m, done[-1], values)
        return m

    def _accumulate(self, m: Module, sums: list[Term], walk: Walk, fire: Value, done: list[Value]) -> list[Signal]:
        """Sums over the beats of a scan, modulo the width of the result, which holds every final sum."""
        ahead = self._summed - 1
        first = delay(m, walk.first_beat, ahead, "first_beat") if self._beats > 1 else None
        arrived = delay(m, fire, ahead, "arrived", reset=True) if self._beats > 1 else None
        starts = self._find_starts(m, done, ahead)
        totals = []
        for output, (term, start) in enumerate(zip(sums, starts, strict=True)):
            value, total = (
                as_value(term),
                Signal(lane_shape(self._finish.x_type), name=f"total_{output}", reset_less=True),
            )
            if not self._is_accumulated:
                m.d.comb += total.eq(value)
            elif first is None:
                m.d.sync += total.eq(value + start)
            else:
                # The plain operand comes first: a carry cell of 7-series reads it by itself.
                with m.If(arrived):
                    m.d.sync += total.eq(value + Mux(first, start, total))
            totals.append(total)
        return totals

    def _find_starts(self, m: Module, done: list[Value], ahead: int) -> list[Value]:
        """What the sum of each lane starts from, ``ahead`` cycles after its first slot."""
        if self._starts is None:
            return [Value.cast(0)] * self._finish.lanes
        m.submodules.starts = rom = self._starts
        m.submodules.starts_group = walk = Walk(1, self._groups)
        m.d.comb += [walk.step.eq(done[ahead - rom.latency]), rom.address.eq(walk.group)]
        return split(rom.word, self._finish.lanes, self._start_type)


def begin(function: Node | None, offsets: Ints, sums: Bounds) -> tuple[Ints, Node | None, Bounds]:
    """What the sums start from, the function that remains to be done, and what the sums then are.

    offsets: what the sums lack otherwise. A single threshold is subtracted at the start: then the sign decides.
    """
    if isinstance(function, Threshold) and function.thresholds.shape[1] == 1:
        # One more than the highest sum is never reached.
        thresholds = np.clip(function.thresholds[:, 0], sums.low, sums.high + 1)
        zero = replace(function, thresholds=np.zeros_like(function.thresholds))
        return offsets - thresholds, zero, Bounds(sums.low - thresholds, sums.high - thresholds)
    if function is None or isinstance(function, Table):
        return offsets, function, sums
    return np.zeros_like(offsets), make_up(function, offsets), Bounds(sums.low - offsets, sums.high - offsets)


def build_dense(unit: Unit, fold: LayerPlan, bounds: Mapping[str, Bounds]) -> Sequence[Part]:
    """One stage: a matrix-vector product for each pixel."""
    node = unit.nodes[0]
    assert isinstance(node, Dense)
    reach, sums = bounds[node.inputs[0]], bounds[node.name]
    stage = DenseStage(
        node.weights[:, None], fold, unit.source.dtype, reach, sums, node.result,
        pixels=unit.source.pixels, function=unit.function,
    )  # fmt: skip
    return [Part(unit.name, stage, (unit.source,), unit.result)]
