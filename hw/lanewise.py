"""A stage that applies one function to each channel: Threshold, Requantize or Table without a Dense before it."""

import numpy as np
from amaranth.hdl import Module

from .arithmetic import delay
from .counters import Walk
from .function import LaneFunction
from .padding import without_padding
from .stage import Stage
from .stream import Beats, split
from .timing import Schedule


class LanewiseStage(Stage):
    """Takes a beat and starts a beat in every slot; the ``channels`` of a pixel come in groups of lanes."""

    def __init__(self, function: LaneFunction, channels: int, pixels: int):
        self._function, self._channels = function, channels
        self._groups = -(-channels // function.lanes)
        self._lead = max(1, function.lead)
        # One cycle more than the function: the queue's own.
        self.latency = self._lead + function.cycles + 1
        every = np.ones(self._groups * pixels, bool)
        self.schedule = Schedule(takes={"x": every}, starts={"y": every})
        super().__init__({"x": Beats(function.lanes, function.x_type)}, Beats(function.lanes, function.y_type))

    def elaborate(self, platform):
        m = Module()
        m.submodules.walk = walk = Walk(self._groups)
        m.submodules.function = function = self._function
        fire = self.issue(m, takes=1, starts=1)
        m.d.comb += [
            walk.step.eq(fire),
            function.group.eq(delay(m, walk.beat, self._lead - function.lead, "group") if function.groups > 1 else 0),
            function.x.eq(delay(m, self.x.payload, self._lead, "values")),
        ]
        cycles = self._lead + function.cycles
        lanes = split(function.y, function.lanes, function.y_type)
        values = without_padding(lanes, self._channels, delay(m, walk.last_beat, cycles, "last"))
        self.emit(m, delay(m, fire, cycles, "valid", reset=True), values)
        return m
