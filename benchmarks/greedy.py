"""The planner as it was before areas were predicted: the fewest multipliers, then the fewest converters.

It is here to measure by how much predicted areas do better; `benchmarks/planner.py` compares the two.
"""

from collections.abc import Sequence

import numpy as np
from elimination import Costs, choose_cheapest

from espalier.hw.folds import Choice, Fold, choose_from
from espalier.hw.matching import feed_joins, find_meetings
from espalier.hw.operators import units
from espalier.hw.plan import LayerPlan, Plan
from espalier.ir.graph import Graph

DIGIT = 1 << 48
"""Of costs that count one after the other, like the digits of a number; more than each can be."""


def plan_greedily(graph: Graph, cycles: int, clock_mhz: float = 100.0) -> Plan:
    """A plan of at most ``cycles`` a frame."""
    choices = feed_joins(graph, [choose_from(unit) for unit in units(graph)])
    folds = choose_matching(graph, choices, cycles)
    return Plan(clock_mhz, {name: LayerPlan(pe=fold.pe, simd=fold.simd) for name, fold in folds.items()})


def choose_matching(graph: Graph, choices: Sequence[Choice], cycles: int) -> dict[str, Fold]:
    """Of the folds of fewest multipliers that keep pace, those that together take the fewest converters between unequal
    lanes; then the least padding, the fewest cycles, the fewest outputs side by side."""
    folds = {choice.unit.name: within(choice, cycles) for choice in choices}
    alone = {name: [_effort(fold) for fold in options] for name, options in folds.items()}
    pairs: dict[tuple[str, str], Costs] = {}
    for (one, made), (other, read) in find_meetings(graph, [choice.unit for choice in choices]):
        converters = [
            [int(not made.meets(made.lanes(a), read, read.lanes(b))) for b in folds[other]] for a in folds[one]
        ]
        costs = np.array(converters, object) * DIGIT**3
        if one == other:  # a sum of a tensor with itself
            continue
        key = (one, other) if (other, one) not in pairs else (other, one)
        pairs[key] = pairs.get(key, 0) + (costs if key == (one, other) else costs.T)
    best = choose_cheapest(alone, pairs)
    return {name: options[best[name]] for name, options in folds.items()}


def _effort(fold: Fold) -> int:
    """Padding, cycles and outputs side by side as one number, the first counting most."""
    return (fold.padding * DIGIT + fold.cycles) * DIGIT + fold.pe if fold.multipliers else fold.pe


def within(choice: Choice, cycles: int) -> list[Fold]:
    """The smallest folds that take at most ``cycles``; empty where all are slower."""
    met = [fold for fold in choice.folds if fold.cycles <= cycles]
    smallest = min((fold.size for fold in met), default=0)
    return [fold for fold in met if fold.size == smallest]
