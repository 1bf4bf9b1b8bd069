"""Where units meet: the streams between them, the lanes at which both ends fit, and what joins leave their inputs."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import ceil

from ..ir.graph import Graph, TensorType
from .count_moves import conversion_slots
from .design import beats_are_same
from .folds import Choice, Fold, reads
from .operators import made_as
from .unit import Unit


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
        # Between beats that differ, as behind a Flatten, stands a converter.
        for (tensor, lanes), kind in zip(read, reads(unit)):
            if tensor in outside and not beats_are_same(made := graph.tensors[tensor], kind, lanes):
                found.append(conversion_slots(made, min(lanes, made.channels), kind, lanes))
        return replace(fold, cycles=max([fold.cycles, *found]))

    return [replace(c, folds=tuple(fed(c.unit, fold) for fold in c.folds)) for c in choices]


def _slots(tensor: TensorType, lanes: int, share: Fraction) -> int:
    """Of which ``share`` takes all beats of ``tensor``; one a pixel may come together with others."""
    beats = -(-tensor.channels // lanes)
    return ceil(tensor.pixels * beats / share) if beats > 1 else tensor.pixels


@dataclass(frozen=True)
class End:
    """One end of a stream: its type, and the input that takes it; None: it is the result of a unit."""

    type: TensorType
    input: int | None = None

    def lanes(self, fold: Fold) -> int:
        return fold.makes if self.input is None else fold.takes[self.input]

    def meets(self, made: int, other: "End", read: int) -> bool:
        """Whether a stream of ``made`` lanes here needs no converter to the ``read`` lanes at the ``other`` end."""
        return not read or (made == read and beats_are_same(self.type, other.type, made))


def find_meetings(graph: Graph, found: Sequence[Unit]) -> list[tuple[tuple[str, End], tuple[str, End]]]:
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
