# amaranth: UnusedElaboratable=no
"""The ``spatial`` engine: a whole layer as a graph of adders whose weights are constants; a vector a cycle."""

import numpy as np
from amaranth.hdl import Module

from ..ir.graph import Bounds
from .adder_graph import build_adder_graph
from .adder_pipeline import AdderPipeline
from .arithmetic import delay
from .finish import Finish, begin
from .plan import LayerPlan
from .product import Product
from .stage import Stage
from .stream import Beats, split
from .timing import Schedule

# Sums between two registers.
LEVELS = 2


class SpatialStage(Stage):
    """Takes all inputs of a product in one beat and emits all of its outputs in one beat: each slot is a vector."""

    def __init__(self, product: Product, fold: LayerPlan):
        outputs, positions, channels = product.weights.shape
        inputs = positions * channels
        reach = Bounds(*(np.tile(ends, inputs // len(ends)) for ends in (product.reach.low, product.reach.high)))
        graph = build_adder_graph(product.weights.reshape(outputs, inputs), reach)
        starts, function, sums = begin(product.function, np.zeros(outputs, np.int64), product.sums)
        self._finish = Finish(function, outputs, sums, product.result)
        self._sums = AdderPipeline(graph, product.x_type, starts, self._finish.x_type, LEVELS)
        self._summed = max(self._sums.cycles, self._finish.lead)
        # One cycle more: the queue's own.
        self.latency = self._summed + self._finish.cycles + 1
        every = np.ones(product.pixels, bool)
        self.schedule = Schedule(takes={"x": every}, starts={"y": every})
        super().__init__({"x": Beats(inputs, product.x_type)}, Beats(outputs, self._finish.y_type))

    def elaborate(self, platform):
        m = Module()
        m.submodules.sums = sums = self._sums
        done = [self.issue(m, takes=1, starts=1)]
        for cycle in range(self.latency - 1):
            done.append(delay(m, done[-1], 1, f"done_{cycle}", reset=True))
        m.d.comb += sums.x.eq(delay(m, self.x.payload, self._summed - sums.cycles, "waiting"))
        totals = split(sums.y, self._finish.lanes, self._finish.x_type)
        self.emit(m, done[-1], self._finish.build(m, totals, done[self._summed - self._finish.lead :]))
        return m
