"""Chooses the fold of every layer for a target: lanes go where the pipeline would wait, and no further."""

from bisect import bisect_left
from collections.abc import Collection, Iterable, Sequence
from fractions import Fraction
from math import inf
from typing import Any

from ..errors import PlanError
from ..ir.graph import Graph
from ..ir.ranges import find_bounds
from .budget import KINDS, NAMES, REFERENCE, Budget, describe
from .choose import Chooser, Chosen
from .design import Design, filling
from .folding_file import Folding, Given
from .folds import ENGINE_OPTIONS, MATRICES, Choice, choose_from
from .fork import ForkStage
from .matching import feed_joins
from .operators import units
from .options import Catalogue
from .plan import Interface, Plan
from .queues import Analysis
from .stage import Stage
from .unit import Unit

DEFAULT_CLOCK_MHZ = 100.0

DEFAULT_MULTIPLIERS = 64
"""Products per cycle where neither target nor budget is given: at 4 bits about a quarter of an ECP5-25."""


def plan(
    graph: Graph,
    *,
    fps: float | None = None,
    clock_mhz: float | None = None,
    multipliers: int | None = None,
    budget: Budget | None = None,
    folding: Folding | None = None,
    interface: Interface | None = None,
) -> Plan:
    """The plan of least area that reaches ``fps``; without ``fps``, the fastest that the budgets allow.

    multipliers: pe x simd, added up over the layers with weights, whatever their width; with neither ``fps`` nor a
        budget the default is 64 for the layers that ``folding`` leaves open.
    budget: what a device holds, and so what its resources are worth; plans fit in it where it is a limit.
    folding: what the user decides for himself; ``clock_mhz`` (default 100) and ``interface`` given here go before it.
    Raises PlanError where the target cannot be reached, saying what can, and where ``folding`` does not fit the graph.
    """
    planning = Planning(
        graph, clock_mhz=clock_mhz, multipliers=multipliers, budget=budget, folding=folding, interface=interface,
        has_target=fps is not None,
    )  # fmt: skip
    return planning.plan_of(planning.fastest() if fps is None else planning.at_rate(fps))


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
        self._folding = folding = folding or Folding()
        self.clock_mhz = next(clock for clock in (clock_mhz, folding.clock_mhz, DEFAULT_CLOCK_MHZ) if clock is not None)
        if not 0 < self.clock_mhz < inf:
            raise PlanError(f"a clock of {self.clock_mhz:g} MHz; it must be above 0")
        self._interface = interface or folding.interface or "stream"
        found = units(graph)
        given = _given_layers(found, folding)
        also = {layer[key] for layer in given.values() for key in ("pe", "simd") if key in layer}
        self._choices = feed_joins(graph, [_choose(unit, given[unit.name], also) for unit in found])
        if not has_target and multipliers is None and not (budget and budget.is_limit):
            multipliers = DEFAULT_MULTIPLIERS + sum(c.folds[0].multipliers for c in self._choices if len(c.folds) == 1)
        self.worth, self._multipliers, bounds = budget or REFERENCE, multipliers, find_bounds(graph)
        found = [Catalogue(choice, given[choice.unit.name], bounds, self.worth) for choice in self._choices]
        self.chooser = Chooser(graph, found, self.worth, multipliers)

    def at_rate(self, fps: float) -> Chosen:
        cycles = _cycles_for(self._choices, fps, self.clock_mhz, self._multipliers)
        chosen = self.chooser.choose(cycles)
        if chosen is None:
            wanted = f"{_rounded(fps)} fps, {cycles:,} cycles per frame at {self.clock_mhz:g} MHz"
            raise PlanError(f"the target of {wanted}, {self._missing(cycles)}; {self._best()}")
        return chosen

    def fastest(self) -> Chosen:
        """The fewest cycles per frame that the budgets allow, and the least area that has them."""
        levels = self.chooser.levels
        if self._multipliers is not None:
            first = _fastest(self._choices, self._multipliers)
            levels = [level for level in levels if level >= first]
        low, high = 0, len(levels) - 1
        if self.chooser.choose(levels[high]) is None:
            raise PlanError(f"the smallest plan, {levels[high]:,} cycles per frame, {self._missing(levels[high])}")
        while low < high:
            middle = (low + high) // 2
            low, high = (low, middle) if self.chooser.choose(levels[middle]) else (middle + 1, high)
        chosen = self.chooser.choose(levels[low])
        assert chosen
        return chosen

    def plan_of(self, chosen: Chosen) -> Plan:
        layers = {choice.unit.name: chosen.options[choice.unit.name].layer for choice in self._choices}
        return Plan(self.clock_mhz, layers, self._folding.depths, self._interface)

    def _missing(self, cycles: int) -> str:
        """What a rate lacks, of what."""
        least = self.chooser.least(cycles)
        lacking = [
            f"{getattr(least, kind):,} {NAMES[kind]}, of which there are {getattr(self.worth, kind):,}"
            for kind in KINDS
            if getattr(least, kind) > getattr(self.worth, kind)
        ]
        return f"takes at least {'; and '.join(lacking)}" if lacking else f"does not fit in {describe(self.worth)}"

    def _best(self) -> str:
        chosen = self.fastest()
        best = f"{_rounded(self.clock_mhz * 1e6 / chosen.cycles)} fps, {chosen.cycles:,} cycles per frame"
        return f"the best that fits is {best}; lower --fps, or give more of the device or a larger one"


def plan_table(design: Design, analysis: Analysis) -> list[dict[str, Any]]:
    """One row per stage, in order: layer, kind (of its unit, or window, pad, crop, fork, lanes), engine, pe, simd (None
    where it has no fold of its own), cycles per frame of its slowest process, busy (their share of all cycles), depths
    (by queue), buffer (None, or places, words, bits, style), weight_bits (0: none), waits (idle cycles, by stage)."""
    of_unit = {unit.name: unit for unit in design.units}
    rows = []
    for name, stage in design.stages.items():
        unit, layer = of_unit.get(name), design.plan.layers.get(name)
        processes = [process for process in (name, filling(name)) if process in analysis.slots]
        rows.append(
            {
                "layer": name,
                "kind": unit.kind if unit else name.rpartition("_")[2],
                "engine": layer.engine if layer and unit and unit.kind in MATRICES else None,
                "pe": layer.pe if layer and unit else None,
                "simd": layer.simd if layer and unit else None,
                "cycles": max(analysis.slots[process] for process in processes),
                "busy": max(analysis.busy[process] for process in processes),
                "depths": {link.name: link.depth for link in design.links if link.producer in processes[:1]},
                "buffer": _buffer(stage),
                "weight_bits": unit.weight_bits if unit else 0,
                "waits": dict(analysis.waits[name]),
            }
        )
    return rows


def _buffer(stage: Stage | ForkStage) -> dict[str, Any] | None:
    """places: how many of the words are in use."""
    if not isinstance(stage, Stage) or stage.ram is None:
        return None
    return {"places": stage.places if stage.fill else stage.ram.words, **stage.ram._asdict()}


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


def _choose(unit: Unit, given: Any, also: Collection[int]) -> Choice:
    engine, order = given.get("engine", "mac"), given.get("order", "output")
    options = {key: given[key] for key in ENGINE_OPTIONS.get(engine, ()) if key in given}
    return choose_from(unit, given.get("pe"), given.get("simd"), also, engine, order, **options)


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
