"""All plans of a graph: which folds, engines and memories there are, and which of them together reach a rate."""

from bisect import bisect_left
from collections.abc import Collection, Iterable, Sequence
from copy import copy
from dataclasses import replace
from fractions import Fraction
from math import inf
from typing import Any, cast

import numpy as np

from ..errors import PlanError
from ..ir.graph import Graph
from ..ir.ranges import find_bounds
from .budget import NAMES, REFERENCE, Budget, Spent
from .choose import Chooser, Chosen
from .folding_file import Folding, Given
from .folds import ENGINE_OPTIONS, ENGINE_SPACES, INPUT_MAJOR_SPACES, MATRICES, Choice, choose_from
from .matching import feed_joins
from .operators import units
from .options import Catalogue
from .plan import Engine, Interface, Order, Plan
from .resources import find_model
from .unit import Unit

DEFAULT_CLOCK_MHZ = 100.0

LARGEST_SERIAL, LARGEST_SPATIAL = 1 << 17, 1 << 12
"""Weights of a layer for which these engines are thought of unasked; of spatial, those that are not zero."""

DEFAULT_MULTIPLIERS = 64
"""Products per cycle where neither target nor budget is given: at 4 bits about a quarter of an ECP5-25."""


class Planning:
    """All that can be chosen for a graph, and the plans that come of it, for one rate after the other."""

    def __init__(
        self,
        graph: Graph,
        *,
        clock_mhz: float | None = None,
        multipliers: int | None = None,
        budget: Budget | None = None,
        folding: Folding | None = None,
        interface: Interface | None = None,
        has_target: bool = False,
    ):
        self.graph, self._folding = graph, (folding := folding or Folding())
        self.clock_mhz = next(clock for clock in (clock_mhz, folding.clock_mhz, DEFAULT_CLOCK_MHZ) if clock is not None)
        if not 0 < self.clock_mhz < inf:
            raise PlanError(f"a clock of {self.clock_mhz:g} MHz; it must be above 0")
        self._interface: Interface = interface or folding.interface or "stream"
        found = units(graph)
        given = _given_layers(found, folding)
        also = {layer[key] for layer in given.values() for key in ("pe", "simd") if key in layer}
        is_counted = multipliers is not None or not (has_target or (budget and budget.limits))
        # Products a cycle are told of one engine only; the others do part of a product in a slot.
        engines = ("mac",) if is_counted else find_model((budget or REFERENCE).family).engines
        self._choices = feed_joins(graph, [_choose(unit, given[unit.name], also, engines) for unit in found])
        if is_counted and multipliers is None:
            multipliers = DEFAULT_MULTIPLIERS + sum(map(_fixed_multipliers, self._choices))
        self.budget, self._multipliers, bounds = budget or REFERENCE, multipliers, find_bounds(graph)
        found = [Catalogue(choice, given[choice.unit.name], bounds, self.budget) for choice in self._choices]
        self.chooser = Chooser(graph, found, self.budget, multipliers)

    def at_rate(self, fps: float) -> Chosen:
        cycles = self.cycles_for(fps)
        if (chosen := self.chooser.choose(cycles)) is None:
            missing = self.missing(cycles)
            raise PlanError(
                f"the target of {_rounded(fps)} fps {missing}; the best that fits is {self.describe(self.fastest())}: "
                "lower --fps, give more of the device (--fill, --budget-...) or take a larger one"
            )
        return chosen

    def fastest(self, least: int = 0) -> Chosen:
        """The fewest cycles per frame that the budgets allow, of which it is known that they are no fewer than
        ``least``; and the least area that has them."""
        levels = [level for level in self.chooser.levels if level >= least]
        if self._multipliers is not None:
            first = _fastest(self._choices, self._multipliers)
            levels = [level for level in levels if level >= first]
        # What is known is most often nearly right.
        low, high = 0, 0 if least else len(levels) - 1
        while self.chooser.choose(levels[high]) is None:
            if high == len(levels) - 1:
                raise PlanError(
                    f"even the slowest plan, {levels[high]:,} cycles per frame, {self.missing(levels[high])}; give "
                    "more of the device (--fill, --budget-...) or take a larger one"
                )
            low, high = high + 1, min(2 * high + 1, len(levels) - 1)
        while low < high:
            middle = (low + high) // 2
            low, high = (low, middle) if self.chooser.choose(levels[middle]) else (middle + 1, high)
        chosen = self.chooser.choose(levels[low])
        assert chosen
        return chosen

    def cycles_for(self, fps: float) -> int:
        """The most cycles per frame that reach ``fps``; raises PlanError where no plan has so few."""
        return _cycles_for(self._choices, fps, self.clock_mhz, self._multipliers)

    def fps(self, cycles: int) -> float:
        return self.clock_mhz * 1e6 / cycles

    def describe(self, chosen: Chosen) -> str:
        """Its rate."""
        cycles = chosen.cycles
        return f"{_rounded(self.fps(cycles))} fps, {cycles:,} cycle{'s' * (cycles > 1)} per frame"

    def missing(self, cycles: int) -> str:
        """What a rate would take that the budget has not."""
        least, limits = self.chooser.least(cycles), self.budget.limits
        lacking = [
            f"{getattr(least, kind):,} {NAMES[kind]}, {more:,} more than the {limits[kind]:,} allowed"
            for kind, more in self.budget.exceeded(least).items()
        ]
        if self._multipliers is not None and (needed := _needed(self._choices, cycles)) > self._multipliers:
            lacking.append(f"{needed:,} multipliers, more than the {self._multipliers:,} allowed")
        if lacking:
            return f"takes at least {' and '.join(lacking)}"
        free = self.without_limits().chooser.choose(cycles)
        assert free
        over = [
            f"{getattr(free.spent, kind):,} {NAMES[kind]}, {more:,} more than the {limits[kind]:,} allowed"
            for kind, more in self.budget.exceeded(free.spent).items()
        ]
        return f"does not fit: at its smallest it takes {' and '.join(over)}"

    def without_limits(self) -> "Planning":
        return self._again(replace(self.budget, limits={}))

    def lowered(self, by: Spent) -> "Planning":
        """With limits lower by what something else takes."""
        return self._again(self.budget.lowered(by))

    def _again(self, budget: Budget) -> "Planning":
        other = copy(self)
        other.budget, other.chooser = budget, self.chooser.within(budget)
        return other

    def plan_of(self, chosen: Chosen) -> Plan:
        layers = {choice.unit.name: chosen.options[choice.unit.name].layer for choice in self._choices}
        return Plan(self.clock_mhz, layers, self._folding.depths, self._interface)


def _given_layers(found: Sequence[Unit], folding: Folding) -> dict[str, Any]:
    """What the user says about each unit, which may be nothing."""
    given: dict[str, Given] = {unit.name: {} for unit in found}
    ordered = [unit.name for unit in found if unit.kind in MATRICES]
    if folding.in_order and len(folding.in_order) != len(ordered):
        raise PlanError(
            f"the folding file folds {len(folding.in_order)} layers with weights, but the model has {len(ordered)}: "
            f"{', '.join(ordered)}"
        )
    given |= dict(zip(ordered, folding.in_order, strict=False))
    without = [unit.name for unit in found if unit.kind not in ("dense", "conv")]
    for name, layer in folding.layers.items():
        if name not in given:
            raise PlanError(f"the folding file folds {name!r}, which is no layer; layers: {', '.join(given)}")
        given[name] = layer
    for name in without:
        if given[name].get("simd", 1) != 1:
            raise PlanError(
                f"{name}: simd {given[name]['simd']}, but only dense and convolution layers have one; "
                "fold it by pe alone"
            )
        if given[name].get("order", "output") != "output":
            raise PlanError(f"{name}: order {given[name]['order']}, but only dense and convolution layers have one")
    return given


def _choose(unit: Unit, given: Any, also: Collection[int], engines: Collection[str]) -> Choice:
    """Of every one of ``engines`` and order that the layer can have, or of those given; a fold that is given is one of
    mac, output by output, unless it says otherwise."""
    pe, simd = given.get("pe"), given.get("simd")
    if pe or simd:
        given = {"engine": "mac", "order": "output"} | given
    if unit.kind not in MATRICES:
        return choose_from(unit, pe, simd, also)
    orders: dict[Order, Any] = {"output": ENGINE_SPACES, "input": INPUT_MAJOR_SPACES}
    ways: list[tuple[Engine, Order]] = [
        (cast(Engine, engine), order)
        for order, spaces in orders.items()
        for engine, kinds in spaces.items()
        if engine == given.get("engine", engine) and order == given.get("order", order)
        if unit.kind in kinds and ("engine" in given or (engine in engines and _is_worth_it(engine, unit)))
    ]
    if not ways:  # what is wrong with what was given
        return choose_from(unit, pe, simd, also, given["engine"], given.get("order", "output"))
    found, errors = [], []
    for engine, order in ways:
        options = {key: given[key] for key in ENGINE_OPTIONS.get(engine, ()) if key in given}
        try:
            found.append(choose_from(unit, pe, simd, also, engine, order, **options).folds)
        except PlanError as error:  # an engine that cannot have this pe and simd
            errors.append(error)
    if not found:
        raise errors[0]
    return Choice(unit, tuple(fold for folds in found for fold in folds))


def _is_worth_it(engine: str, unit: Unit) -> bool:
    """Signs have no planes to leave out; to count the planes of every fold of a very large layer takes seconds, and so
    does the adder graph of one."""
    node: Any = unit.nodes[0]
    if engine == "spatial":
        return bool(np.count_nonzero(node.weights) <= LARGEST_SPATIAL)
    return engine != "serial" or (unit.weight_bits > 1 and node.weights.size <= LARGEST_SERIAL)


def _fixed_multipliers(choice: Choice) -> int:
    """Of a layer whose fold the user chose; 0 where there is a choice."""
    is_fixed = len({(fold.pe, fold.simd) for fold in choice.folds}) == 1
    return min(fold.multipliers for fold in choice.folds) if is_fixed else 0


def _fastest(choices: Sequence[Choice], multipliers: int | None = None) -> int:
    """The fewest cycles per frame that the budget of multipliers allows, if there is one."""
    fastest = max((choice.fastest for choice in choices), default=1)
    if multipliers is None:
        return fastest
    levels = sorted({fastest} | {fold.cycles for choice in choices for fold in choice.folds if fold.cycles > fastest})
    place = bisect_left(levels, -multipliers, key=lambda cycles: -_needed(choices, cycles))
    if place == len(levels):
        least = _needed(choices, levels[-1])
        raise PlanError(f"a budget of {multipliers} multipliers is too small; these layers take at least {least}")
    return levels[place]


def _cycles_for(choices: Sequence[Choice], fps: float, clock_mhz: float, multipliers: int | None) -> int:
    """The cycles per frame that ``fps`` leaves; raises PlanError if that cannot be reached."""
    if not 0 < fps < inf:
        raise PlanError(f"a target of {fps:g} fps; it must be above 0")
    cycles = int(Fraction(clock_mhz) * 10**6 / Fraction(fps))
    if clock_mhz * 1e6 / (cycles + 1) >= fps:  # a rate that was worked out from whole cycles, and rounded
        cycles += 1
    if cycles < (best := _fastest(choices)):
        slowest = max(choices, key=lambda choice: choice.fastest).unit.name
        raise PlanError(f"{_missed(fps, clock_mhz, best)}, set by {slowest}; lower --fps or raise --clock-mhz")
    if multipliers is not None and (needed := _needed(choices, cycles)) > multipliers:
        missed = _missed(fps, clock_mhz, _fastest(choices, multipliers))
        raise PlanError(
            f"{missed}, with {multipliers} multipliers; it takes {needed}: raise --multipliers, lower --fps, "
            f"or raise --clock-mhz"
        )
    return cycles


def _missed(fps: float, clock_mhz: float, cycles: int) -> str:
    best = clock_mhz * 1e6 / cycles
    return (
        f"the target of {_rounded(fps)} fps cannot be reached: the best at {clock_mhz:g} MHz is {_rounded(best)} fps, "
        f"{fps / best:.3g} times less, or {cycles:,} cycle{'s' * (cycles > 1)} per frame"
    )


def _rounded(fps: float) -> str:
    return f"{fps:,.0f}" if fps >= 1000 else f"{fps:.4g}"


def _needed(choices: Iterable[Choice], cycles: int) -> int:
    return sum(choice.within(cycles)[0].multipliers for choice in choices)
