# amaranth: UnusedElaboratable=no
"""The ``mac`` engine: a matrix-vector product, simd inputs times pe outputs in each slot."""

import numpy as np
from amaranth.hdl import Module, Mux, Signal, Value

from ..ir.graph import IntType
from .arithmetic import Term, as_value, delay
from .buffer import InputBuffer
from .counters import Walk
from .finish import Finish, begin, channels_of_lanes
from .function import table_rom
from .mac_array import MacArray
from .memory import Rom, choose_style
from .plan import LayerPlan
from .product import Product
from .stage import Stage
from .stream import Beats, lane_shape, split
from .timing import Schedule
from .weights import store


class MacStage(Stage):
    """Every group of ``pe`` outputs scans the input, ``simd`` channels a slot; the last slot of a scan starts a beat.

    The first group of outputs takes the input off the stream, and the others find it in a buffer, unless the stream
    brings it again.
    """

    def __init__(self, product: Product, fold: LayerPlan):
        x_type = product.x_type
        outputs, positions, channels = product.weights.shape
        self._beats = positions * -(-channels // fold.simd)
        self._groups = product.blocks * -(-(outputs // product.blocks) // fold.pe)
        stored = store(product.weights, x_type, fold.pe, fold.simd, product.blocks)
        width = stored.dtype.bits * fold.pe * fold.simd
        style = choose_style(len(stored.words), width) if fold.memory == "auto" else fold.memory
        words = stored.words if len(set(stored.words)) > 1 else stored.words[:1]
        self._rom = Rom(words, width, style)
        lanes = fold.pe * fold.simd if product.is_lanewise else fold.simd
        is_kept = self._groups > 1 and not product.is_repeated and not product.is_lanewise
        self._buffer = InputBuffer(self._beats, lanes * x_type.bits, is_kept)
        dsp = fold.multiplier == "dsp"
        self._array = MacArray(
            x_type, product.reach, stored, fold.pe, fold.simd, dsp=dsp, is_lanewise=product.is_lanewise
        )

        start, function, sums = begin(product.function, stored.offsets, product.sums)
        self._finish = Finish(function, fold.pe, sums, product.result, blocks=product.blocks)
        starts = start[channels_of_lanes(outputs // product.blocks, fold.pe, product.blocks)].reshape(-1, fold.pe)
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
        self.schedule = Schedule(
            takes={"x": np.tile(takes, product.pixels)}, starts={"y": np.tile(ends, product.pixels)}
        )
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
