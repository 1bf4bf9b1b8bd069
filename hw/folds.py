"""The folds that a unit can have: lanes side by side against cycles per frame."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from math import prod
from typing import Any

from ..errors import PlanError
from ..ir.conv2d import Conv2d
from ..ir.depth_to_space import DepthToSpace
from ..ir.graph import TensorType
from ..ir.pool import Pool2d
from .fold import Fold, Space
from .plan import Engine, Order
from .pool import axes_of
from .popcount_folds import popcount_space
from .serial_folds import serial_space
from .sliding import sliding_of
from .spatial_folds import SPATIAL_SPACES
from .unit import Unit

MATRICES = ("dense", "conv", "depthwise")
"""The kinds with weights, which FINN's files fold by PE and SIMD."""


@dataclass(frozen=True)
class Choice:
    """The folds of one unit that are worth building, given what the user fixed of them."""

    unit: Unit
    folds: tuple[Fold, ...]

    @cached_property
    def fastest(self) -> int:
        return min(fold.cycles for fold in self.folds)

    def within(self, cycles: int) -> list[Fold]:
        """The smallest folds that take at most ``cycles``; empty where all are slower."""
        met = [fold for fold in self.folds if fold.cycles <= cycles]
        smallest = min((fold.size for fold in met), default=0)
        return [fold for fold in met if fold.size == smallest]


def choose_from(
    unit: Unit,
    pe: int | None = None,
    simd: int | None = None,
    also: Collection[int] = (),
    engine: Engine = "mac",
    order: Order = "output",
    **options: Any,
) -> Choice:
    """Every fold of ``unit`` with a smallest pe and simd for its cycles; ``pe`` and ``simd`` fix one or both.

    engine, order: of a unit with weights; options: fields of its LayerPlan that change its cycles, see ENGINE_OPTIONS.
    also: lanes that neighbours may have; a unit without weights can have any of them, to go without a converter.
    Raises PlanError where a fixed fold is larger than the layer, and where the engine does not build such a layer.
    """
    space = _space(unit, engine, order, options)
    more = [] if unit.kind in MATRICES else [lanes for lanes in also if lanes <= space.pes[-1]]
    pes = sorted({*space.pes, *more}) if pe is None else [_checked(unit, "pe", pe, space.pes[-1], space.of_pe)]
    simds = space.simds if simd is None else [_checked(unit, "simd", simd, space.simds[-1], space.of_simd)]
    return Choice(unit, tuple(space.fold(a, b) for a in pes for b in simds))


def _space(unit: Unit, engine: Engine, order: Order, options: Mapping[str, Any]) -> Space:
    if unit.kind not in MATRICES:
        return SPACES.get(unit.kind, _lanewise)(unit)
    spaces = ENGINE_SPACES if order == "output" else INPUT_MAJOR_SPACES
    kinds = spaces.get(engine, {})
    if unit.kind not in kinds:
        able = [name for name, kinds in spaces.items() if unit.kind in kinds]
        how = "" if order == "output" else " in order input"
        advice = f"choose {', '.join(able)}" if able else "choose order output"
        raise PlanError(f"{unit.name}: the {engine} engine builds no {unit.kind} layer{how}; {advice}")
    return kinds[unit.kind](unit, **options)


def reads(unit: Unit) -> tuple[TensorType, ...]:
    """The types as which a unit reads its inputs: channels in filter groups, or of the pixels to be, are pixels."""
    node, source = unit.nodes[0], unit.source
    parts = node.groups if unit.kind == "conv" and isinstance(node, Conv2d) else 1
    if isinstance(node, DepthToSpace) and node.order == "DCR":
        parts = node.block**2
    return (TensorType((source.pixels * parts, source.channels // parts), source.dtype), *unit.sources[1:])


def _sizes(count: int) -> list[int]:
    """The sizes worth having, ascending: a larger one with as many parts would do no more, in the same time."""
    return sorted({-(-count // parts) for parts in range(1, count + 1)})


def _parts(count: int, size: int) -> int:
    return -(-count // size)


def _checked(unit: Unit, key: str, given: int, largest: int, what: str) -> int:
    if given > largest:
        raise PlanError(
            f"{unit.name}: fold larger than the layer: {key} {given}, but it has {largest} {what}; "
            f"lower {key} to {largest} or less"
        )
    return given


def _dense(unit: Unit, order: Order = "output") -> Space:
    outputs, inputs, pixels = unit.result.channels, unit.source.channels, unit.source.pixels

    def fold(pe: int, simd: int) -> Fold:
        groups, beats = _parts(outputs, pe), _parts(inputs, simd)
        padding = groups * pe - outputs + beats * simd - inputs
        return Fold(pe, simd, (simd,), pe, pixels * groups * beats, pe * simd, padding, order=order)

    return Space(_sizes(outputs), _sizes(inputs), fold, "outputs", "inputs")


def _conv(unit: Unit, order: Order = "output") -> Space:
    """A window beat after the other; where simd is more than a pixel has, several pixels of the window at once."""
    node, source, windows = unit.nodes[0], unit.source, unit.result.pixels
    assert isinstance(node, Conv2d)
    sliding = sliding_of(unit.nodes[0], unit.source)
    taps, inputs, outputs = prod(node.kernel), source.channels // node.groups, node.outputs // node.groups

    def fold(pe: int, simd: int) -> Fold:
        groups, multipliers = _parts(outputs, pe), pe * simd
        makes, padding = pe, groups * pe - outputs
        if simd <= inputs:
            beats = _parts(inputs, simd)
            reading = windows * node.groups * groups * taps * beats
            filling = sliding.image.pixels * node.groups * beats
            idle = taps * (beats * simd - inputs)
            return Fold(pe, simd, (simd,), makes, max(reading, filling), multipliers, padding + idle, order=order)
        beats = _parts(taps * inputs, simd)
        # A window that is sent once can be replaced while its beats are still in use.
        sent = beats * (groups if order == "output" else 1)
        cycles = max(sliding.image.pixels, int(sliding.ends[-1]) + 1) + windows * (sent - 1)
        cycles = max(cycles, windows * groups * beats)
        padding += beats * simd - taps * inputs
        return Fold(pe, simd, (inputs,), makes, cycles, multipliers, padding, held=taps * inputs, order=order)

    whole = node.groups == 1 and node.dilation == (1, 1)
    more = [size for size in _sizes(taps * inputs) if size > inputs] if whole else []
    which = "outputs" if node.groups == 1 else "outputs in a group"
    of_simd = "inputs in a window" if more else "inputs" if node.groups == 1 else "inputs in a group"
    return Space(_sizes(outputs), [*_sizes(inputs), *more], fold, which, of_simd)


def _depthwise(unit: Unit) -> Space:
    return _channels(unit, _windowed(unit), multiplies=True)


def _pool(unit: Unit) -> Space:
    """Windows that do not overlap are reduced as their pixels come; others are read one tap after the other."""
    node = unit.nodes[0]
    assert isinstance(node, Pool2d)
    return _channels(unit, unit.source.pixels if axes_of(node, unit.source) else _windowed(unit))


def _windowed(unit: Unit) -> int:
    """Slots per group of channels of a reader of windows, or of what fills its buffer."""
    sliding = sliding_of(unit.nodes[0], unit.source)
    return max(unit.result.pixels * sliding.taps, sliding.image.pixels)


def _lanewise(unit: Unit) -> Space:
    return _channels(unit, max(unit.source.pixels, unit.result.pixels))


def _argmax(unit: Unit) -> Space:
    return _channels(unit, unit.source.pixels, counted=unit.source)


def _channels(unit: Unit, slots: int, *, counted: TensorType | None = None, multiplies: bool = False) -> Space:
    """pe channels side by side all the way: ``slots`` slots for each group of those of ``counted``, else the result."""
    channels = (counted or unit.result).channels

    def fold(pe: int, simd: int) -> Fold:
        groups = _parts(channels, pe)
        takes = tuple(min(pe, source.channels) for source in reads(unit))
        multipliers, idle = (pe, groups * pe - channels) if multiplies else (0, 0)
        return Fold(pe, simd, takes, min(pe, unit.result.channels), slots * groups, multipliers, idle)

    return Space(_sizes(channels), [1], fold)


def _any_lanes(unit: Unit) -> Space:
    """What is built for the lanes in which its inputs come: only a crop needs no second stage if they are its own."""
    crops = unit.kind == "slice" and unit.source.channels == unit.result.channels

    def fold(pe: int, simd: int) -> Fold:
        takes = (pe if crops else 0,) * len(unit.sources)
        return Fold(pe, simd, takes, pe, unit.result.pixels * _parts(unit.result.channels, pe))

    return Space(_sizes(unit.result.channels), [1], fold)


def _depth_to_space(unit: Unit) -> Space:
    node = unit.nodes[0]
    assert isinstance(node, DepthToSpace)
    space = _channels(unit, unit.result.pixels)
    # The channels of one pixel to be lie apart: they are read one by one.
    return space if node.order == "DCR" else Space([1], [1], space.fold)


# Of the kinds without weights.
SPACES: Mapping[str, Callable[[Unit], Space]] = {
    "max_pool": _pool,
    "sum_pool": _pool,
    "concat": _any_lanes,
    "slice": _any_lanes,
    "depth_to_space": _depth_to_space,
    "argmax": _argmax,
}

# Of those with weights, by engine.
ENGINE_SPACES: Mapping[str, Mapping[str, Callable[..., Space]]] = {
    "mac": {"dense": _dense, "conv": _conv, "depthwise": _depthwise},
    "serial": {
        "dense": partial(serial_space, _dense),
        "conv": partial(serial_space, _conv),
        "depthwise": partial(serial_space, _depthwise),
    },
    "spatial": SPATIAL_SPACES,
    "popcount": {
        "dense": partial(popcount_space, _dense),
        "conv": partial(popcount_space, _conv),
        "depthwise": partial(popcount_space, _depthwise),
    },
}

# The same, for layers whose order is "input".
INPUT_MAJOR_SPACES: Mapping[str, Mapping[str, Callable[..., Space]]] = {
    "mac": {"dense": partial(_dense, order="input"), "conv": partial(_conv, order="input")},
}

# What the spaces of an engine take besides the unit: fields of a LayerPlan.
ENGINE_OPTIONS: Mapping[str, tuple[str, ...]] = {"serial": ("planes", "shifts_per_slot")}
