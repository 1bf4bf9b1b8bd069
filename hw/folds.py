"""The folds that a unit can have: lanes side by side against cycles per frame."""

from dataclasses import dataclass
from functools import cached_property

from ..errors import PlanError
from .operators import Unit


@dataclass(frozen=True)
class Fold:
    """cycles: slots per frame. multipliers: products per cycle. padding: lanes that a whole scan leaves idle.

    lanes: channels taken per cycle.
    """

    pe: int
    simd: int
    lanes: int
    cycles: int
    multipliers: int
    padding: int


@dataclass(frozen=True)
class Choice:
    """The folds of one unit that are worth building, given what the user fixed of them."""

    unit: Unit
    folds: tuple[Fold, ...]

    @cached_property
    def fastest(self) -> int:
        return min(fold.cycles for fold in self.folds)

    def within(self, cycles: int) -> list[Fold]:
        """The folds of fewest multipliers that take at most ``cycles``; empty where all are slower."""
        met = [fold for fold in self.folds if fold.cycles <= cycles]
        fewest = min((fold.multipliers for fold in met), default=0)
        return [fold for fold in met if fold.multipliers == fewest]


def choose_from(unit: Unit, pe: int | None = None, simd: int | None = None) -> Choice:
    """Every fold of a dense ``unit`` with a smallest pe and simd for its cycles, every number of lanes for another;
    ``pe`` and ``simd`` fix one or both.

    Raises PlanError where a fixed fold is larger than the layer.
    """
    inputs, outputs = unit.source.channels, unit.result.channels
    if unit.kind != "dense":
        lanes = range(1, inputs + 1) if pe is None else [_checked(unit, "pe", pe, inputs, "channels")]
        return Choice(unit, tuple(_lanewise(unit, count) for count in lanes))
    pes = _sizes(outputs) if pe is None else [_checked(unit, "pe", pe, outputs, "outputs")]
    simds = _sizes(inputs) if simd is None else [_checked(unit, "simd", simd, inputs, "inputs")]
    return Choice(unit, tuple(_dense(unit, a, b) for a in pes for b in simds))


def _sizes(count: int) -> list[int]:
    """The sizes worth having: a larger one with as many parts would do no more, in the same time."""
    return sorted({-(-count // parts) for parts in range(1, count + 1)})


def _checked(unit: Unit, key: str, given: int, largest: int, what: str) -> int:
    if given > largest:
        raise PlanError(
            f"{unit.name}: fold larger than the layer: {key} {given}, but it has {largest} {what}; "
            f"lower {key} to {largest} or less"
        )
    return given


def _dense(unit: Unit, pe: int, simd: int) -> Fold:
    outputs, inputs = unit.result.channels, unit.source.channels
    groups, beats = -(-outputs // pe), -(-inputs // simd)
    padding = groups * pe - outputs + beats * simd - inputs
    return Fold(pe, simd, simd, unit.source.pixels * groups * beats, pe * simd, padding)


def _lanewise(unit: Unit, lanes: int) -> Fold:
    beats = -(-unit.source.channels // lanes)
    return Fold(lanes, 1, lanes, unit.source.pixels * beats, 0, beats * lanes - unit.source.channels)
