"""What the stages of each unit are made of, as a function of its fold; the same kinds as `hw/folds.py`."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from math import prod
from typing import Any

from ..ir.add import Add
from ..ir.concat import Concat
from ..ir.conv2d import Conv2d
from ..ir.depth_to_space import DepthToSpace
from ..ir.graph import Bounds
from ..ir.max_pool import MaxPool2d
from ..ir.pad import Pad
from ..ir.pool import Pool2d
from ..ir.slice import Slice
from ..ir.upsample import Upsample2d
from . import count_moves as moves
from .add import signed_digits
from .count_engines import ENGINE_COUNTS
from .count_functions import finishing, prepare
from .count_mac import Sums, find_sums
from .count_parts import Features, Term, add_up, features, many, queue, registers, walk
from .depthwise import reach_of_windows
from .engines import WHOLE, takes_windows_once
from .plan import LayerPlan
from .pool import axes_of, axes_of_taps
from .product import Product
from .sliding import Sliding
from .unit import Unit
from .whole_windows import fill_with_zeros

Depths = Mapping[str, int | None]
"""Of queues and buffers, by link; what is left out is guessed: as deep as the stage's own pace needs."""

Count = Callable[[LayerPlan, Depths], dict[str, Features]]
"""The features of a unit's stages, by name."""


def prepare_count(unit: Unit, bounds: Mapping[str, Bounds]) -> Count:
    return COUNTS.get(unit.kind, _lanewise)(unit, bounds)


def _dense(unit: Unit, bounds: Mapping[str, Bounds]) -> Count:
    node: Any = unit.nodes[0]
    sums = find_sums(
        Product(
            node.weights[:, None], unit.source.dtype, bounds[node.inputs[0]], bounds[node.name], node.result,
            pixels=unit.source.pixels, function=unit.function,
        )
    )  # fmt: skip
    return lambda fold, depths: {
        unit.name: ENGINE_COUNTS[fold.engine](sums, fold, depths.get(unit.name)),
    }


def slide(unit: Unit, node: Conv2d | Pool2d, pad_value: int) -> tuple[Sliding, bool]:
    """The windows of a unit, and whether their padding is a stage of its own."""
    rows, columns, _ = node.shape(unit.source)
    dilation = node.dilation if isinstance(node, Conv2d) else (1, 1)
    sliding = Sliding(unit.source, rows, columns, node.kernel, node.stride, dilation, node.padding, pad_value)
    return (sliding, False) if sliding.is_in_order else (sliding.pad(), True)


def _pad_before(unit: Unit, node: Any, sliding: Sliding, lanes: int, depths: Depths) -> dict[str, Features]:
    name = f"{unit.name}_pad"
    lanes = min(lanes, unit.source.channels)
    return {name: moves.pad(unit.source, lanes, sliding.image.dtype.bits, node.padding, depths.get(name))}


def _conv(unit: Unit, bounds: Mapping[str, Bounds]) -> Count:
    node = unit.nodes[0]
    assert isinstance(node, Conv2d)
    sliding, is_padded = slide(unit, node, node.pad_value)
    outputs, channels = node.outputs // node.groups, node.weights.shape[3]
    product = Product(
        node.weights.reshape(node.outputs, -1, channels), sliding.dtype, reach_of_windows(node, bounds),
        bounds[node.name], node.result, pixels=sliding.places, blocks=node.groups, is_repeated=True,
        function=unit.function,
    )  # fmt: skip
    by_pixel = find_sums(product)
    at_once = find_sums(replace(product, weights=node.weights.reshape(node.outputs, 1, -1)))
    name, whole = f"{unit.name}_window", _whole(unit, bounds)

    def count(fold: LayerPlan, depths: Depths) -> dict[str, Features]:
        if fold.engine in WHOLE:
            return whole(fold, depths)
        is_parallel = fold.simd > channels
        repeats = 1 if takes_windows_once(fold) else -(-outputs // fold.pe)
        found = _pad_before(unit, node, sliding, fold.simd, depths) if is_padded else {}
        if is_parallel:
            found[name] = moves.parallel_window(sliding, fold.simd, repeats, depths.get(name))
        else:
            places = depths.get(f"{name}_buffer")
            found[name] = moves.serial_window(
                sliding, fold.simd, channels, node.groups, repeats, places, depths.get(name)
            )
        sums = at_once if is_parallel else by_pixel
        return found | {unit.name: ENGINE_COUNTS[fold.engine](sums, fold, depths.get(unit.name))}

    return count


def _whole(unit: Unit, bounds: Mapping[str, Bounds]) -> Count:
    """Of engines that take a window at once, in one group and without dilation."""

    @cache
    def prepare() -> tuple[Sliding, bool, Any, Sums]:
        given = unit.nodes[0]
        assert isinstance(given, Conv2d)
        node = fill_with_zeros(given)
        sliding, is_padded = slide(unit, node, node.pad_value)
        product = Product(
            node.weights.reshape(node.outputs, 1, -1), sliding.dtype, reach_of_windows(node, bounds),
            bounds[node.name], node.result, pixels=sliding.places, function=unit.function,
        )  # fmt: skip
        return sliding, is_padded, node, find_sums(product)

    def count(fold: LayerPlan, depths: Depths) -> dict[str, Features]:
        sliding, is_padded, node, sums = prepare()
        inputs = node.weights[0].size
        found = _pad_before(unit, node, sliding, inputs, depths) if is_padded else {}
        name = f"{unit.name}_window"
        if inputs > node.channels:
            found[name] = moves.parallel_window(sliding, inputs, 1, depths.get(name))
        else:
            places = depths.get(f"{name}_buffer")
            found[name] = moves.serial_window(sliding, inputs, node.channels, 1, 1, places, depths.get(name))
        return found | {unit.name: ENGINE_COUNTS[fold.engine](sums, fold, depths.get(unit.name))}

    return count


def _depthwise(unit: Unit, bounds: Mapping[str, Bounds]) -> Count:
    node = unit.nodes[0]
    assert isinstance(node, Conv2d)
    sliding, is_padded = slide(unit, node, node.pad_value)
    sums = find_sums(
        Product(
            node.weights.reshape(node.outputs, -1, 1), sliding.dtype, reach_of_windows(node, bounds),
            bounds[node.name], node.result, pixels=sliding.places, is_lanewise=True, function=unit.function,
        )
    )  # fmt: skip

    whole = _whole(unit, bounds)

    def count(fold: LayerPlan, depths: Depths) -> dict[str, Features]:
        if fold.engine in WHOLE:
            return whole(fold, depths)
        found = _pad_before(unit, node, sliding, fold.pe, depths) if is_padded else {}
        found |= _windows_by_channel(unit, sliding, fold.pe, depths)
        return found | {unit.name: ENGINE_COUNTS[fold.engine](sums, replace(fold, simd=1), depths.get(unit.name))}

    return count


def _windows_by_channel(unit: Unit, sliding: Sliding, lanes: int, depths: Depths) -> dict[str, Features]:
    name = f"{unit.name}_window"
    places, depth = depths.get(f"{name}_buffer"), depths.get(name)
    return {
        name: moves.serial_window(sliding, lanes, unit.source.channels, 1, 1, places, depth, by_channel=True),
    }


def _pool(unit: Unit, bounds: Mapping[str, Bounds]) -> Count:
    node = unit.nodes[0]
    assert isinstance(node, Pool2d)
    is_max, axes = isinstance(node, MaxPool2d), axes_of(node, unit.source)
    sliding, is_padded = slide(unit, node, unit.source.dtype.low if is_max else 0)
    sums = bounds[node.name]
    finish = finishing(unit.function, int(sums.low.min()), int(sums.high.max()), node.result, unit.source.channels)
    x_bits = unit.source.dtype.bits if axes else sliding.dtype.bits

    def count(fold: LayerPlan, depths: Depths) -> dict[str, Features]:
        found = {} if axes or not is_padded else _pad_before(unit, node, sliding, fold.pe, depths)
        if not axes:
            found |= _windows_by_channel(unit, sliding, fold.pe, depths)
        groups = -(-unit.source.channels // fold.pe) if axes else 1
        return found | {
            unit.name: moves.pool(
                axes or axes_of_taps(prod(node.kernel)), groups, fold.pe, x_bits,
                x_bits if is_max else finish.x_type.bits, finish, is_max=is_max, depth=depths.get(unit.name),
            )
        }  # fmt: skip

    return count


def _add(unit: Unit, bounds: Mapping[str, Bounds]) -> Count:
    node = unit.nodes[0]
    assert isinstance(node, Add)
    sums, width = bounds[node.name], sum(source.dtype.bits for source in unit.sources)
    channels = unit.source.channels
    finish = finishing(unit.function, int(sums.low.min()), int(sums.high.max()), unit.result.dtype, channels)
    reach = [bounds[name] for name in node.inputs]
    terms = [
        Term(min(0, int(found.low.min())), max(0, int(found.high.max())), place, digit < 0)
        for found, factor in zip(reach, node.coefficients)
        for place, digit in signed_digits(factor)
    ]
    tree, _, adding = add_up(terms or [Term(0, 0)])

    def count(fold: LayerPlan, depths: Depths) -> dict[str, Features]:
        counted = finish.count(fold.pe)
        waiting = max(1, counted.lead - adding)
        latency = waiting + adding + counted.cycles + 1
        found = registers(fold.pe * width, waiting) + many(tree, fold.pe) + counted.features
        found = found + registers(latency - 1) + features(stages=1)
        depth = depths.get(unit.name) or latency + 1
        return {unit.name: found + queue(depth, fold.pe * finish.y_type.bits)}

    return count


def _lanewise(unit: Unit, bounds: Mapping[str, Bounds]) -> Count:
    node, source = unit.nodes[0], unit.source
    function = prepare(node, source.dtype, int(bounds[node.inputs[0]].high.max()))

    def count(fold: LayerPlan, depths: Depths) -> dict[str, Features]:
        groups = -(-source.channels // fold.pe)
        counted = function.count(fold.pe, groups)
        lead = max(1, counted.lead)
        idle = groups * fold.pe - source.channels
        found = walk(groups) + counted.features + registers(fold.pe * source.dtype.bits, lead)
        masked = idle * unit.result.dtype.bits
        found = found + features(register=lead + counted.cycles, masked=masked, stages=1)
        depth = depths.get(unit.name) or lead + counted.cycles + 2
        return {unit.name: found + queue(depth, fold.pe * unit.result.dtype.bits)}

    return count


def _concat(unit: Unit, bounds: Mapping[str, Bounds]) -> Count:
    assert isinstance(unit.nodes[0], Concat)
    result = unit.result

    def count(fold: LayerPlan, depths: Depths) -> dict[str, Features]:
        lanes = unit.lanes or (fold.pe,) * len(unit.sources)
        depth = depths.get(unit.name)
        return {
            unit.name: moves.join(unit.sources, lanes, result.dtype.bits, result.channels, fold.pe, depth),
        }

    return count


def _slice(unit: Unit, bounds: Mapping[str, Bounds]) -> Count:
    node, source, result = unit.nodes[0], unit.source, unit.result
    assert isinstance(node, Slice)
    crops, keeps = source.shape[:-1] != result.shape[:-1], source.channels == result.channels

    def count(fold: LayerPlan, depths: Depths) -> dict[str, Features]:
        lanes, bits, found = unit.lanes[0] if unit.lanes else fold.pe, result.dtype.bits, {}
        if crops:
            is_last = keeps and lanes == fold.pe and result.dtype == source.dtype
            name = unit.name if is_last else f"{unit.name}_crop"
            beats = -(-source.channels // lanes)
            found[name] = moves.crop(source.shape, beats, lanes * source.dtype.bits, depths.get(name))
            if is_last:
                return found
        stage = moves.join([source], (lanes,), bits, result.channels, fold.pe, depths.get(unit.name))
        return found | {unit.name: stage}

    return count


def _pad(unit: Unit, bounds: Mapping[str, Bounds]) -> Count:
    node = unit.nodes[0]
    assert isinstance(node, Pad)
    return lambda fold, depths: {
        unit.name: moves.pad(unit.source, fold.pe, unit.result.dtype.bits, node.padding, depths.get(unit.name)),
    }


def _upsample(unit: Unit, bounds: Mapping[str, Bounds]) -> Count:
    node = unit.nodes[0]
    assert isinstance(node, Upsample2d)
    height, width, channels = unit.source.shape

    def count(fold: LayerPlan, depths: Depths) -> dict[str, Features]:
        pixel = -(-channels // fold.pe)
        counts = (height, node.factor[0], width, node.factor[1], pixel)
        return _lines(unit, counts, width * pixel, fold, depths)

    return count


def _depth_to_space(unit: Unit, bounds: Mapping[str, Bounds]) -> Count:
    node = unit.nodes[0]
    assert isinstance(node, DepthToSpace)
    height, width, _ = unit.source.shape

    def count(fold: LayerPlan, depths: Depths) -> dict[str, Features]:
        beats = -(-unit.result.channels // fold.pe)
        counts = (height, node.block, width, node.block, beats)
        return _lines(unit, counts, width * node.block**2 * beats, fold, depths)

    return count


def _lines(unit: Unit, counts: tuple[int, ...], line: int, fold: LayerPlan, depths: Depths) -> dict[str, Features]:
    places, width = depths.get(f"{unit.name}_buffer") or line, fold.pe * unit.source.dtype.bits
    return {unit.name: moves.buffer_of_lines(counts, places, width, depths.get(unit.name))}


def _argmax(unit: Unit, bounds: Mapping[str, Bounds]) -> Count:
    source = unit.source
    return lambda fold, depths: {
        unit.name: moves.argmax(
            source.channels, fold.pe, source.dtype.bits, unit.result.dtype.bits, depths.get(unit.name)
        ),
    }


COUNTS: Mapping[str, Callable[[Unit, Mapping[str, Bounds]], Count]] = {
    "dense": _dense,
    "conv": _conv,
    "depthwise": _depthwise,
    "max_pool": _pool,
    "sum_pool": _pool,
    "add": _add,
    "concat": _concat,
    "slice": _slice,
    "pad": _pad,
    "upsample": _upsample,
    "depth_to_space": _depth_to_space,
    "argmax": _argmax,
}
