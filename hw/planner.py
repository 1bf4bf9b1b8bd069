"""Chooses how each layer is built, for a target or a budget; and the table of a plan."""

from typing import Any

from ..ir.graph import Graph
from .budget import Budget
from .design import Design, filling
from .folding_file import Folding
from .folds import MATRICES
from .fork import ForkStage
from .plan import Interface, Plan
from .planning import Planning
from .queues import Analysis
from .stage import Stage


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
    budget: what a device holds, and so what its resources are worth, and what plans may take of it.
    folding: what the user decides for himself; ``clock_mhz`` (default 100) and ``interface`` given here go before it.
    Raises PlanError where the target cannot be reached, saying what can, and where ``folding`` does not fit the graph.
    """
    planning = Planning(
        graph, clock_mhz=clock_mhz, multipliers=multipliers, budget=budget, folding=folding, interface=interface,
        has_target=fps is not None,
    )  # fmt: skip
    return planning.plan_of(planning.fastest() if fps is None else planning.at_rate(fps))


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
