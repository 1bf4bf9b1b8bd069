# amaranth: UnusedElaboratable=no
"""The way out of every stage that sums: the function that its unit applies to the sums, and zeros in padding lanes."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from amaranth.hdl import Cat, Module, Value

from ..ir.graph import Bounds, Ints, IntType, Node
from ..ir.table import Table
from ..ir.threshold import Threshold
from .counters import Walk
from .double_ram import DoubleRam
from .lower import arrange, lower, make_up
from .padding import without_padding
from .product import Product
from .stream import split
from .weights import StoredWeights


class Finish:
    """Turns sums, ``lanes`` channels of a pixel at a time in order, into what leaves the stage ``cycles`` later.

    function: the operator that the unit applies to its sums, if any; result: the type of the sums if there is none.
    sums: what each channel's can be; blocks: the channels come in so many equal blocks, each of whole groups of lanes.
    x_type: holds every sum; lead: how long before the sums their group is counted. is_loaded: the thresholds can be
    replaced; they are in ``loaded``.
    """

    def __init__(
        self,
        function: Node | None,
        lanes: int,
        sums: Bounds,
        result: IntType,
        *,
        blocks: int = 1,
        is_loaded: bool = False,
    ):
        self.lanes, self._blocks, self._channels = lanes, blocks, len(sums.low) // blocks
        self._groups = -(-self._channels // lanes)
        highest = int(sums.high.max())
        self.x_type = IntType.of_range(int(sums.low.min()), highest)
        self.y_type, self.cycles, self.lead, self._function = result, 0, 0, None
        if function is None:
            return
        if blocks > 1:
            function = arrange(function, channels_of_lanes(self._channels, lanes, blocks))
        self._function = lower(function, lanes, self.x_type, highest, is_loaded=is_loaded)
        self.y_type, self.cycles, self.lead = self._function.y_type, self._function.cycles, self._function.lead

    @property
    def loaded(self) -> Mapping[str, DoubleRam]:
        return self._function.loaded if self._function else {}

    def build(self, m: Module, totals: Sequence[Value], done: Sequence[Value]) -> list[Value]:
        """The values to emit with ``done[lead + cycles]``.

        totals: one of ``x_type`` for each lane, with ``done[lead]``; done: whether a beat has come so far.
        """
        values: list[Value] = list(totals)
        if self._function:
            m.submodules.function = function = self._function
            m.d.comb += function.x.eq(Cat(*(total[: self.x_type.bits] for total in totals)))
            if function.groups > 1:
                m.d.comb += function.group.eq(self._group(m, done[0], "function", self._blocks))
            values = split(function.y, self.lanes, function.y_type)
        if self._channels % self.lanes == 0:
            return values
        last = self._group(m, done[self.lead + self.cycles], "padding", 1) == self._groups - 1
        return without_padding(values, self._channels, last)

    def _group(self, m: Module, done: Value, name: str, blocks: int) -> Value:
        """The number of the group that is ``done`` at this place of the pipeline."""
        m.submodules[f"{name}_group"] = walk = Walk(1, self._groups * blocks)
        m.d.comb += walk.step.eq(done)
        return walk.group


def channels_of_lanes(channels: int, lanes: int, blocks: int = 1) -> Ints:
    """The channel of each lane of each group, where every block of ``channels`` takes whole groups; lanes beyond a
    block's last channel repeat it."""
    groups = -(-channels // lanes)
    within = np.minimum(np.arange(groups * lanes), channels - 1)
    return (np.arange(blocks)[:, None] * channels + within).ravel()


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


def begin_loaded(product: Product, stored: StoredWeights) -> tuple[Ints, Node | None, Bounds, tuple[int, int]]:
    """Like `begin`, and the limits of what sums start from, whatever weights and thresholds take the place of these."""
    offsets, function = stored.offsets, product.function
    if not stored.are_signs:
        return offsets, function, product.sums, (0, 0)
    terms, mirror = product.weights[0].size, product.x_type.low + product.x_type.high
    if function is None:
        return offsets, None, product.sums, (min(0, -mirror * terms), max(0, -mirror * terms))
    low, high = min(0, int(product.reach.low.min())), max(0, int(product.reach.high.max()))
    outputs = np.ones(len(offsets), np.int64)
    sums = Bounds(terms * min(low, mirror - high) * outputs, terms * max(high, mirror - low) * outputs)
    return np.zeros_like(offsets), make_up(function, offsets), sums, (0, 0)
