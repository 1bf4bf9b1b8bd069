"""Chooses the fold of every layer for a target: lanes go where the pipeline would wait, and no further."""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from fractions import Fraction
from functools import cache
from math import inf
from operator import add
from typing import Any

from ..errors import PlanError
from ..ir.graph import Graph
from .design import Design, filling
from .folding_file import Folding, Given
from .folds import Choice, Fold, choose_from
from .operators import Unit, made_as, units
from .plan import Interface, LayerPlan, Plan
from .queues import Analysis

DEFAULT_CLOCK_MHZ = 100.0

DEFAULT_MULTIPLIERS = 64
"""Products per cycle where neither target nor budget is given: at 4 bits about a quarter of an ECP5-25."""


def plan(
    graph: Graph,
    *,
    fps: float | None = None,
    clock_mhz: float | None = None,
    multipliers: int | None = None,
    folding: Folding | None = None,
    interface: Interface | None = None,
) -> Plan:
    """The plan of fewest multipliers that reaches ``fps``; without ``fps``, the fastest of at most ``multipliers``.

    multipliers: pe x simd, added up over the dense layers, whatever their width; without ``fps`` the default is 64 for
        the layers that ``folding`` leaves open.
    folding: what the user decides for himself; ``clock_mhz`` (default 100) and ``interface`` given here go before it.
    Raises PlanError where the target cannot be reached, saying what can, and where ``folding`` does not fit the graph.
    """
    folding = folding or Folding()
    clock_mhz = next(clock for clock in (clock_mhz, folding.clock_mhz, DEFAULT_CLOCK_MHZ) if clock is not None)
    if not 0 < clock_mhz < inf:
        raise PlanError(f"a clock of {clock_mhz:g} MHz; it must be above 0")
    found = units(graph)
    given = _given_layers(found, folding)
    choices = [choose_from(unit, given[unit.name].get("pe"), given[unit.name].get("simd")) for unit in found]
    if fps is None and multipliers is None:
        multipliers = DEFAULT_MULTIPLIERS + sum(c.folds[0].multipliers for c in choices if len(c.folds) == 1)
    cycles = _fastest(choices, multipliers) if fps is None else _cycles_for(choices, fps, clock_mhz, multipliers)
    folds = _choose(graph, choices, cycles)
    layers = {name: LayerPlan(**{**given[name], "pe": fold.pe, "simd": fold.simd}) for name, fold in folds.items()}
    return Plan(clock_mhz, layers, folding.depths, interface or folding.interface or "stream")


def plan_table(design: Design, analysis: Analysis) -> list[dict[str, Any]]:
    """One row per stage, in order: layer, kind, engine, pe, simd (None for helpers without a fold), cycles per frame,
    busy (share of all cycles), depths (by queue), weight_bits (0: no weights), waits (idle cycles, by stage)."""
    of_unit = {unit.name: unit for unit in design.units}
    rows = []
    for name in design.stages:
        unit, layer = of_unit.get(name), design.plan.layers.get(name)
        rows.append(
            {
                "layer": name,
                "kind": unit.kind if unit else "helper",
                "engine": layer.engine if layer and unit and unit.kind == "dense" else None,
                "pe": layer.pe if layer else None,
                "simd": layer.simd if layer else None,
                "cycles": analysis.slots[name],
                "busy": analysis.busy[name],
                "depths": {link.name: link.depth for link in design.links if link.producer in (name, filling(name))},
                "weight_bits": unit.weight_bits if unit else 0,
                "waits": dict(analysis.waits[name]),
            }
        )
    return rows


def _given_layers(found: Sequence[Unit], folding: Folding) -> dict[str, Any]:
    """What the user says about each unit, which may be nothing."""
    given: dict[str, Given] = {unit.name: {} for unit in found}
    dense = [unit.name for unit in found if unit.kind == "dense"]
    if folding.dense and len(folding.dense) != len(dense):
        raise PlanError(
            f"the folding file folds {len(folding.dense)} dense layers, but the model has {len(dense)}: "
            f"{', '.join(dense)}"
        )
    given |= dict(zip(dense, folding.dense, strict=False))
    for name, layer in folding.layers.items():
        if name not in given:
            raise PlanError(f"the folding file folds {name!r}, which is no layer; layers: {', '.join(given)}")
        if name not in dense and layer.get("simd", 1) != 1:
            raise PlanError(f"{name}: simd {layer['simd']}, but only dense layers have one; fold it by pe alone")
        given[name] = layer
    return given


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


def _choose(graph: Graph, choices: Sequence[Choice], cycles: int) -> dict[str, Fold]:
    """Of the folds of fewest multipliers that keep pace, those that together take the fewest converters between unequal
    lanes; then the least padding, the fewest cycles, the fewest outputs side by side."""
    readers: dict[str, list[Choice]] = {}
    for choice in choices:
        for tensor in choice.unit.inputs:
            readers.setdefault(made_as(graph, tensor), []).append(choice)

    @cache
    def best_from(tensor: str, lanes: int | None) -> tuple[tuple[int, ...], dict[str, Fold]]:
        """Effort and folds of all that follows ``tensor``, emitted with ``lanes``, or as many as are wanted."""
        effort, folds = (0, 0, 0, 0), {}
        for choice in readers.get(tensor, ()):
            added, after = min(
                (of_fold(choice, fold, lanes) for fold in choice.within(cycles)), key=lambda found: found[0]
            )
            effort, folds = _add(effort, added), folds | after
        return effort, folds

    def of_fold(choice: Choice, fold: Fold, lanes: int | None) -> tuple[tuple[int, ...], dict[str, Fold]]:
        unit = choice.unit
        later, folds = best_from(unit.output, min(fold.pe, unit.result.channels))
        converters = int(lanes not in (None, fold.lanes))
        own = (converters, fold.padding, fold.cycles, fold.pe) if fold.multipliers else (converters, 0, 0, fold.pe)
        return _add(own, later), {unit.name: fold, **folds}

    found = {name: fold for port in graph.inputs for name, fold in best_from(port.name, None)[1].items()}
    return {choice.unit.name: found[choice.unit.name] for choice in choices}


def _add(a: tuple[int, ...], b: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(map(add, a, b))
