# amaranth: UnusedElaboratable=no
"""The ``spatial`` engine: whole layers as graphs of adders whose weights are constants; a vector a cycle."""

from collections.abc import Sequence

import numpy as np
from amaranth.hdl import Cat, Module, Value

from ..ir.graph import Bounds
from ..ir.requantize import Requantize
from .adder_graph import build_adder_graph
from .adder_pipeline import AdderPipeline
from .arithmetic import delay
from .finish import Finish, begin
from .product import Product
from .shift_clip import ShiftClip, shift_rows, split_multiplication
from .stage import Stage
from .stream import Beats, split
from .timing import Schedule

# Sums between two registers, and of how many of them a clip is worth.
LEVELS = 2
CLIP = 1


class SpatialLayer:
    """One product and the function of its sums, a vector a cycle: takes it ``cycles`` before it gives ``y_type``s, out
    of registers, or, if it ``is_last``, as sums that come right from their adders. is_held: what it takes comes out of
    registers."""

    def __init__(self, product: Product, *, is_held: bool, is_last: bool):
        outputs, positions, channels = product.weights.shape
        self._x_type, self.inputs, self.outputs = product.x_type, positions * channels, outputs
        weights, after = product.weights.reshape(outputs, -1), 0
        reach = Bounds(*(np.tile(ends, self.inputs // len(ends)) for ends in (product.reach.low, product.reach.high)))
        if isinstance(product.function, Requantize):
            rows = shift_rows(product.function, weights, product.sums)
            weights, starts, self._way_out = rows.rows, rows.starts, ShiftClip(product.function, rows)
            after = CLIP
        else:
            starts, function, sums = begin(product.function, np.zeros(outputs, np.int64), product.sums)
            self._way_out = Finish(function, outputs, sums, product.result)
        self.graph = build_adder_graph(weights, reach, LEVELS, after)
        # The queue behind the last one takes sums as they are.
        is_open = is_last and self._way_out.cycles == 0 and bool(self.graph.depth.any())
        self.sums = AdderPipeline(
            self.graph, product.x_type, starts, self._way_out.x_type, LEVELS, after,
            is_registered=not (after or is_open), is_held=is_held,
        )  # fmt: skip
        # A function may count its groups, of which there is one, before it has the sums.
        self._summed = max(self.sums.cycles, self._way_out.lead)
        self.cycles, self.y_type = self._summed + self._way_out.cycles, self._way_out.y_type

    def build(self, m: Module, x: Value, done: Sequence[Value]) -> Value:
        """done: whether a vector has come so far, from that of ``x`` on."""
        m.submodules.sums = sums = self.sums
        m.d.comb += sums.x.eq(delay(m, x, self._summed - sums.cycles, "waiting"))
        totals = split(sums.y, self.outputs, self._way_out.x_type)
        return Value.cast(Cat(*self._way_out.build(m, totals, done[self._summed - self._way_out.lead :])))


def pipeline_of(products: Sequence[Product]) -> list[SpatialLayer]:
    """One behind the other."""
    parts = [part for product in products for part in split_multiplication(product)]
    last = len(parts) - 1
    return [SpatialLayer(part, is_held=place > 0, is_last=place == last) for place, part in enumerate(parts)]


class SpatialStage(Stage):
    """Takes all inputs of the first product in one beat and emits all outputs of the last one in one beat; each slot is
    a vector. The products are one pipeline: no queue lies between them."""

    def __init__(self, products: Sequence[Product]):
        self._layers = pipeline_of(products)
        # One cycle more: the queue's own.
        self.latency = sum(layer.cycles for layer in self._layers) + 1
        every = np.ones(products[0].pixels, bool)
        self.schedule = Schedule(takes={"x": every}, starts={"y": every})
        self.graphs = [layer.graph for layer in self._layers]
        first, last = self._layers[0], self._layers[-1]
        super().__init__({"x": Beats(first.inputs, products[0].x_type)}, Beats(last.outputs, last.y_type))

    def elaborate(self, platform):
        m = Module()
        done = [self.issue(m, takes=1, starts=1)]
        for cycle in range(self.latency - 1):
            done.append(delay(m, done[-1], 1, f"done_{cycle}", reset=True))
        vector, start = self.x.payload, 0
        for number, layer in enumerate(self._layers):
            m.submodules[f"layer_{number}"] = inner = Module()
            vector = layer.build(inner, vector, done[start:])
            start += layer.cycles
        self.emit(m, done[-1], split(vector, self.lanes_out, self.y_type))
        return m
