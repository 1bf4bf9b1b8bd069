"""ArgMax: the index of the largest channel, the first one on a tie."""

import numpy as np
from amaranth.hdl import Module, Mux, Signal

from ..ir.graph import IntType
from .arithmetic import delay
from .counters import Walk
from .stage import Stage
from .stream import Beats, lane_shape
from .timing import Schedule


class ArgMaxStage(Stage):
    """Takes the beats of one pixel, one a cycle, and emits the index of the largest channel, the first on a tie."""

    def __init__(self, channels: int, lanes: int, x_type: IntType, y_type: IntType, *, pixels: int = 1):
        self._channels, self._lanes, self._beats = channels, lanes, -(-channels // lanes)
        self._x_type = x_type
        self._levels = (lanes - 1).bit_length()
        # The input's register, the tree, the best so far, the queue.
        self.latency = 1 + self._levels + 1 + 1
        slots = np.arange(self._beats * pixels)
        starts = slots % self._beats == self._beats - 1
        self.schedule = Schedule(takes={"x": np.ones(len(slots), bool)}, starts={"y": starts})
        super().__init__({"x": Beats(lanes, x_type)}, Beats(1, y_type))

    def elaborate(self, platform):
        m = Module()
        m.submodules.walk = walk = Walk(self._beats)
        fire = self.issue(m, takes=1, starts=walk.last_beat)
        m.d.comb += walk.step.eq(fire)
        ahead = 1 + self._levels
        value, lane = self._best_of_beat(m, walk)
        base = Signal(range(max(2, self._beats * self._lanes)))
        arrived = delay(m, fire, ahead, "arrived", reset=True)
        first, last = delay(m, walk.first_beat, ahead, "first"), delay(m, walk.last_beat, ahead, "last")
        best = Signal(lane_shape(self._x_type), reset_less=True)
        index = Signal(self.y_type.bits, reset_less=True)
        with m.If(arrived):
            m.d.sync += base.eq(Mux(last, 0, base + self._lanes))
            with m.If(first | (value > best)):
                m.d.sync += [best.eq(value), index.eq(base + lane)]
        self.emit(m, delay(m, fire & walk.last_beat, self.latency - 1, "done", reset=True), [index])
        return m

    def _best_of_beat(self, m: Module, walk: Walk):
        """The largest lane's value and number; padding lanes hold the lowest value, and lose every tie."""
        kept = self._channels - (self._beats - 1) * self._lanes
        entries = []
        for lane in range(self._lanes):
            value = Signal(lane_shape(self._x_type), name=f"value_{lane}", reset_less=True)
            m.d.sync += value.eq(self.x.payload.word_select(lane, self._x_type.bits))
            if lane >= kept:
                with m.If(walk.last_beat):  # costs nothing: it is the reset of the register
                    m.d.sync += value.eq(self._x_type.low)
            entries.append((value, lane))
        for level in range(self._levels):
            entries = self._round(m, entries, level)
        return entries[0]

    def _round(self, m: Module, entries, level: int):
        """One round of the tournament, registered."""
        winners = []
        for match in range(0, len(entries), 2):
            value = Signal(lane_shape(self._x_type), name=f"value_{level}_{match}", reset_less=True)
            lane = Signal(range(max(2, self._lanes)), name=f"lane_{level}_{match}", reset_less=True)
            left, right = entries[match], entries[min(match + 1, len(entries) - 1)]
            wins = right[0] > left[0]
            m.d.sync += [value.eq(Mux(wins, right[0], left[0])), lane.eq(Mux(wins, right[1], left[1]))]
            winners.append((value, lane))
        return winners
