"""The folds of a layer in the popcount engine: those of mac, but a slot for each pair of planes."""

from collections.abc import Callable
from dataclasses import replace
from math import prod

from ..ir.conv2d import Conv2d
from ..ir.dense import Dense
from .fold import Fold, Space
from .popcount_planes import find_planes
from .unit import Unit


def popcount_space(mac_space: Callable[[Unit], Space], unit: Unit) -> Space:
    """mac_space: of the same kind of unit, whose windows, if it has any, take as many cycles here."""
    node, space = unit.nodes[0], mac_space(unit)
    assert isinstance(node, Dense | Conv2d)
    pairs = len(find_planes(node.weights)[0]) * _count_input_bits(unit)
    taps, channels = prod(node.weights.shape[1:-1]), node.weights.shape[-1]
    blocks = node.groups if unit.kind == "conv" and isinstance(node, Conv2d) else 1
    outputs = len(node.weights) // blocks
    pixels = unit.source.pixels if unit.kind == "dense" else unit.result.pixels

    def fold(pe: int, simd: int) -> Fold:
        found = space.fold(pe, simd)
        beats = taps * -(-channels // simd) if simd <= channels else -(-taps * channels // simd)
        products = pixels * blocks * -(-outputs // pe) * beats
        return replace(found, cycles=max(found.cycles, products * pairs), engine="popcount")

    return replace(space, fold=fold)


def _count_input_bits(unit: Unit) -> int:
    """Of the inputs that the product sees, padding included."""
    node, dtype = unit.nodes[0], unit.source.dtype
    if not isinstance(node, Conv2d) or not any(node.padding):
        return dtype.bits
    return type(dtype).of_range(min(dtype.low, node.pad_value), max(dtype.high, node.pad_value)).bits
