# amaranth: UnusedElaboratable=no
"""The ``mac`` engine: a matrix-vector product, simd inputs times pe outputs in each slot."""

from collections.abc import Callable

import numpy as np
from amaranth.hdl import Cat, Module, Mux, Signal, Value

from ..ir.dense import Dense
from ..ir.graph import Bounds, Ints, IntType
from .arithmetic import Term, as_value, delay
from .buffer import InputBuffer
from .counters import Walk
from .function import LaneFunction, by_group, table_rom
from .mac import MacArray
from .memory import Rom, choose_style
from .padding import without_padding
from .plan import LayerPlan
from .stage import Stage
from .stream import Beats, lane_shape, split
from .timing import Schedule
from .weights import store

# Given lanes, the type of the sums, the highest, and what each channel lacks: the function that makes up for it.
MakeFunction = Callable[[int, IntType, int, Ints], LaneFunction]


class DenseStage(Stage):
    """Every group of ``pe`` outputs scans the input, ``simd`` channels a slot; the first group takes it off the stream.

    The last slot of a scan starts an output beat. ``make_function`` turns sums into codes on their way out.
    reach: of each input; bounds: the reachable sums of each output; pixels: matrix-vector products in a frame.
    """

    def __init__(
        self,
        node: Dense,
        fold: LayerPlan,
        x_type: IntType,
        reach: Bounds,
        bounds: Bounds,
        *,
        pixels: int = 1,
        make_function: MakeFunction | None = None,
    ):
        self._outputs, inputs = node.weights.shape
        self._pe = fold.pe
        self._beats, self._groups = -(-inputs // fold.simd), -(-self._outputs // fold.pe)
        weights = store(node.weights, x_type, fold.pe, fold.simd)
        width = weights.dtype.bits * fold.pe * fold.simd
        style = choose_style(len(weights.words), width) if fold.memory == "auto" else fold.memory
        self._rom = Rom(weights.words, width, style)
        self._buffer = InputBuffer(self._beats, fold.simd * x_type.bits, self._groups > 1)
        self._array = MacArray(x_type, reach, weights, fold.pe, fold.simd, dsp=fold.multiplier == "dsp")

        offsets = weights.offsets
        lowest, highest = int((bounds.low - offsets).min()), int((bounds.high - offsets).max())
        self._raw = IntType.of_range(lowest, highest)
        self._function = make_function(fold.pe, self._raw, highest, offsets) if make_function else None
        self._offsets = offsets if offsets.any() and not self._function else None

        self._fetched = max(self._rom.latency, self._buffer.latency)
        self._is_accumulated = self._beats > 1 or self._array.cycles == 0
        self._summed = self._fetched + self._array.cycles + int(self._is_accumulated)
        finish = self._function.cycles if self._function else int(self._offsets is not None)
        # One cycle more: the queue's own.
        self.latency = self._summed + finish + 1
        y_type = self._function.y_type if self._function else node.result
        slots = np.arange(self._groups * self._beats)
        takes, starts = slots < self._beats, slots % self._beats == self._beats - 1
        self.schedule = Schedule(takes={"x": np.tile(takes, pixels)}, starts={"y": np.tile(starts, pixels)})
        super().__init__({"x": Beats(fold.simd, x_type)}, Beats(fold.pe, y_type))

    def elaborate(self, platform):
        m = Module()
        m.submodules.walk = walk = Walk(self._beats, self._groups)
        m.submodules.weights, m.submodules.inputs = self._rom, self._buffer
        fire = self.issue(m, takes=walk.first_group, starts=walk.last_beat)
        m.d.comb += [
            walk.step.eq(fire),
            self._rom.address.eq(delay(m, walk.address, self._fetched - self._rom.latency, "address")),
            self._buffer.fresh.eq(self.x.payload),
            self._buffer.taken.eq(self.x.valid & self.x.ready),
            self._buffer.first.eq(walk.first_group),
            self._buffer.beat.eq(walk.beat),
        ]
        # done[c]: the last slot of a scan was issued c cycles ago.
        done = [Value.cast(fire & walk.last_beat)]
        for cycle in range(self.latency - 1):
            done.append(delay(m, done[-1], 1, f"done_{cycle}", reset=True))

        inputs = delay(m, self._buffer.input, self._fetched - self._buffer.latency, "waiting")
        sums = self._array.build(m, inputs, self._rom.word)
        totals = self._accumulate(m, sums, walk, fire)
        values = self._finish(m, totals, done)
        self.emit(m, done[-1], values)
        return m

    def _accumulate(self, m: Module, sums: list[Term], walk: Walk, fire: Value) -> list[Signal]:
        """Sums over the beats of a scan, modulo the width of the result, which holds every final sum."""
        ahead = self._summed - 1
        first = delay(m, walk.first_beat, ahead, "first_beat") if self._beats > 1 else None
        arrived = delay(m, fire, ahead, "arrived", reset=True) if self._beats > 1 else None
        totals = []
        for output, term in enumerate(sums):
            value, total = as_value(term), Signal(lane_shape(self._raw), name=f"total_{output}", reset_less=True)
            if not self._is_accumulated:
                m.d.comb += total.eq(value)
            elif first is None:
                m.d.sync += total.eq(value)
            else:
                with m.If(arrived):
                    m.d.sync += total.eq(Mux(first, 0, total) + value)
            totals.append(total)
        return totals

    def _finish(self, m: Module, totals: list[Signal], done: list[Value]) -> list[Value]:
        """Codes, or corrected sums, with zeros in the padding lanes."""
        values: list[Value] = list(totals)
        if self._function:
            m.submodules.function = function = self._function
            m.d.comb += function.x.eq(Cat(*totals))
            if function.groups > 1:
                m.d.comb += function.group.eq(self._group(m, done[self._summed - function.lead], "function"))
            values = split(function.y, self._pe, function.y_type)
        elif self._offsets is not None:
            values = self._correct(m, totals, done)
        if self._outputs % self._pe == 0:
            return values
        return without_padding(values, self._outputs, self._group(m, done[-1], "padding") == self._groups - 1)

    def _correct(self, m: Module, totals: list[Signal], done: list[Value]) -> list[Value]:
        """Add what inverted inputs lack, one constant for each output."""
        assert self._offsets is not None
        offsets = by_group(self._offsets.reshape(-1, 1), self._pe, [0])[:, :, 0]
        dtype = IntType.of_range(int(offsets.min()), int(offsets.max()))
        m.submodules.offsets = rom = table_rom(offsets, dtype, "lut")
        m.d.comb += rom.address.eq(self._group(m, done[self._summed - rom.latency], "offset"))
        corrected = []
        for output, (total, offset) in enumerate(zip(totals, split(rom.word, len(totals), dtype), strict=True)):
            held = Signal(lane_shape(self.y_type), name=f"corrected_{output}", reset_less=True)
            m.d.sync += held.eq(total + offset)
            corrected.append(held)
        return corrected

    def _group(self, m: Module, done: Value, name: str) -> Value:
        """The number of the output group that is ``done`` at this place of the pipeline."""
        m.submodules[f"{name}_group"] = walk = Walk(1, self._groups)
        m.d.comb += walk.step.eq(done)
        return walk.group
