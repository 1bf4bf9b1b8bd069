"""Which of the folds that keep pace: those that fit together, stream by stream, without converters."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import ceil

import numpy as np

from ..ir.graph import Graph, TensorType
from .design import beats_are_same
from .elimination import Costs, choose_cheapest
from .folds import Choice, Fold, reads
from .operators import made_as
from .unit import Unit

DIGIT = 1 << 48
"""Of costs that count one after the other, like the digits of a number; more than each can be."""


def choose_matching(graph: Graph, choices: Sequence[Choice], cycles: int) -> dict[str, Fold]:
    """Of the folds of fewest multipliers that keep pace, those that together take the fewest converters between unequal
    lanes; then the least padding, the fewest cycles, the fewest outputs side by side."""
    folds = {choice.unit.name: choice.within(cycles) for choice in choices}
    alone = {name: [_effort(fold) for fold in options] for name, options in folds.items()}
    pairs: dict[tuple[str, str], Costs] = {}
    for (one, made), (other, read) in _meetings(graph, [choice.unit for choice in choices]):
        converters = [[int(not made.fits(a, read, b)) for b in folds[other]] for a in folds[one]]
        costs = np.array(converters, object) * DIGIT**3
        if one == other:  # a sum of a tensor with itself
            continue
        key = (one, other) if (other, one) not in pairs else (other, one)
        pairs[key] = pairs.get(key, 0) + (costs if key == (one, other) else costs.T)
    best = choose_cheapest(alone, pairs)
    return {name: options[best[name]] for name, options in folds.items()}


def feed_joins(graph: Graph, choices: Sequence[Choice]) -> list[Choice]:
    """The choices, where folds that keep a Concat or Slice from being faster are as slow as that.

    Both take their inputs in the beats in which they are made, one by one: a Concat has a share of its slots for each
    input, by channels. What comes from outside comes in the lanes of those who read it.
    """
    outside = {port.name for port in graph.inputs}
    shares = {name: [Fraction(1)] for name in outside}
    units = [choice.unit for choice in choices]
    for unit in (unit for unit in units if unit.takes_any_lanes):
        together = sum(source.channels for source in unit.sources)
        for tensor, source in zip(unit.inputs, unit.sources):
            shares.setdefault(made_as(graph, tensor), []).append(Fraction(source.channels, together))

    def fed(unit: Unit, fold: Fold) -> Fold:
        read = [(made_as(graph, tensor), lanes or fold.makes) for tensor, lanes in zip(unit.inputs, fold.takes)]
        streams = [(unit.output, fold.makes), *(one for one in read if one[0] in outside)]
        found = [_slots(graph.tensors[t], lanes, share) for t, lanes in streams for share in shares.get(t, ())]
        return replace(fold, cycles=max([fold.cycles, *found]))

    return [replace(c, folds=tuple(fed(c.unit, fold) for fold in c.folds)) for c in choices]


def _slots(tensor: TensorType, lanes: int, share: Fraction) -> int:
    """Of which ``share`` takes all beats of ``tensor``; one a pixel may come together with others."""
    beats = -(-tensor.channels // lanes)
    return ceil(tensor.pixels * beats / share) if beats > 1 else tensor.pixels


def _effort(fold: Fold) -> int:
    """Padding, cycles and outputs side by side as one number, the first counting most."""
    return (fold.padding * DIGIT + fold.cycles) * DIGIT + fold.pe if fold.multipliers else fold.pe


@dataclass(frozen=True)
class End:
    """One end of a stream: its type, and the input that takes it; None: it is the result of a unit."""

    type: TensorType
    input: int | None = None

    def lanes(self, fold: Fold) -> int:
        return fold.makes if self.input is None else fold.takes[self.input]

    def fits(self, fold: Fold, other: "End", others: Fold) -> bool:
        """Whether a stream needs no converter from here to the ``other`` end."""
        made, read = self.lanes(fold), other.lanes(others)
        return not read or (made == read and beats_are_same(self.type, other.type, made))


def _meetings(graph: Graph, found: Sequence[Unit]) -> list[tuple[tuple[str, End], tuple[str, End]]]:
    """The streams from unit to unit, by both ends; an input of the graph has the beats that its first reader takes."""
    makers = {unit.output: (unit.name, End(unit.result)) for unit in found}
    meetings = []
    for unit in found:
        for number, (tensor, kind) in enumerate(zip(unit.inputs, reads(unit), strict=True)):
            made, end = made_as(graph, tensor), (unit.name, End(kind, number))
            if made in makers:
                meetings.append((makers[made], end))
            elif not unit.takes_any_lanes:
                makers[made] = end
    return meetings
