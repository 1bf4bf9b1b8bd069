"""The folds of a layer in the serial engine: those of mac, but the cycles follow from the weights."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache

import numpy as np

from ..ir.conv2d import Conv2d
from ..ir.dense import Dense
from ..ir.graph import Ints
from .fold import Fold, Space
from .plan import LayerPlan
from .slots import count_slots, find_takers
from .unit import Unit
from .weight_planes import Signs, choose_form, forms_of


def serial_space(
    mac_space: Callable[[Unit], Space],
    unit: Unit,
    planes=LayerPlan.planes,
    shifts_per_slot: int = LayerPlan.shifts_per_slot,
) -> Space:
    """mac_space: of the same kind of unit, whose windows, if it has any, take as many cycles here."""
    node, space = unit.nodes[0], mac_space(unit)
    assert isinstance(node, Dense | Conv2d)
    weights = node.weights.reshape(len(node.weights), -1, node.weights.shape[-1])
    is_conv, is_lanewise = unit.kind == "conv", unit.kind == "depthwise"
    blocks = node.groups if isinstance(node, Conv2d) and is_conv else 1
    is_repeated = is_conv and planes == "group-major"
    layer = _Layer(weights, blocks, _input_bits(unit), is_repeated or is_lanewise)

    def fold(pe: int, simd: int) -> Fold:
        found = space.fold(pe, simd)
        # Windows that are kept come once, as if all outputs were computed side by side.
        reading = found if is_repeated or is_lanewise else space.fold(space.pes[-1], simd)
        products = unit.result.pixels if unit.kind != "dense" else unit.source.pixels
        cycles = products * layer.count(pe, simd, planes, shifts_per_slot)
        if unit.kind != "dense":
            cycles = max(cycles, reading.cycles)
        return replace(found, cycles=cycles, multipliers=found.multipliers * shifts_per_slot, engine="serial")

    return replace(space, fold=fold)


class _Layer:
    """Counts the slots of a product of ``weights``, (outputs, positions, channels), with any fold.

    takes_all: every group of outputs takes its input off a stream.
    """

    def __init__(self, weights: Ints, blocks: int, x_bits: int, takes_all: bool):
        self._weights, self._blocks, self._x_bits, self._takes_all = weights, blocks, x_bits, takes_all
        self._forms = forms_of(weights)
        self._used_by_outputs = cache(self._find_used_by_outputs)

    def count(self, pe: int, simd: int, planes, shifts: int) -> int:
        return self.choose(pe, simd, planes, shifts)[0]

    def choose(self, pe: int, simd: int, planes, shifts: int) -> tuple[int, Signs]:
        """The slots, and what decides there whether an input is subtracted."""
        channels = self._weights.shape[2]
        counts = []
        for number in range(len(self._forms)):
            used = self._used_by_outputs(number, pe)
            if simd > channels:  # of several positions at once
                used = used.reshape(len(used), 1, -1)
            tiles = np.bitwise_or.reduceat(used, np.arange(0, used.shape[2], simd), axis=2)
            takes = find_takers(len(tiles), self._blocks, self._takes_all)
            counts.append(count_slots(tiles.reshape(len(tiles), -1), takes, planes, shifts))
        chosen = choose_form(self._forms, counts, self._x_bits, simd)
        return counts[chosen], self._forms[chosen].signs

    def _find_used_by_outputs(self, number: int, pe: int) -> Ints:
        """(groups, positions, channels), the planes that any of the outputs of a group has."""
        bits = self._forms[number].bits
        outputs = len(bits) // self._blocks
        blocks = np.split(bits, self._blocks)
        found = [np.bitwise_or.reduceat(block, np.arange(0, outputs, pe), axis=0) for block in blocks]
        return np.concatenate(found)


def _input_bits(unit: Unit) -> int:
    """Of the inputs that the product sees, padding included."""
    node, dtype = unit.nodes[0], unit.source.dtype
    if not isinstance(node, Conv2d) or not any(node.padding):
        return dtype.bits
    return type(dtype).of_range(min(dtype.low, node.pad_value), max(dtype.high, node.pad_value)).bits
