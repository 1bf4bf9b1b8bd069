"""``--layers A:B``: which part of a network is meant, and its hardware with the folds and queues of the whole."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..errors import BuildError
from ..hw.design import Design, generate
from ..hw.unit import Unit
from ..ir.execute import execute
from ..ir.graph import Ints
from ..ir.part_of import part_of


@dataclass(frozen=True)
class Part:
    """The layers from ``first`` to ``last``, both included, and the operators that they do."""

    first: str
    last: str
    nodes: tuple[str, ...]


def choose_part(units: Sequence[Unit], text: str) -> Part:
    """What ``text`` says: FIRST:LAST, with an end left open, or one layer; by name, or by number from 0 on."""
    begin, colon, end = text.partition(":")
    first = _place(units, begin) if begin else 0
    last = first if not colon else _place(units, end) if end else len(units) - 1
    if not text or first > last:
        raise BuildError(f"--layers {text!r}: no layer lies between; layers in order: {_names(units)}")
    chosen = units[first : last + 1]
    return Part(chosen[0].name, chosen[-1].name, tuple(node.name for unit in chosen for node in unit.nodes))


def design_part(whole: Design, part: Part, frames: Mapping[str, Ints]) -> tuple[Design, dict[str, Ints]]:
    """The part as a design, and for ``frames`` of the whole the integers that cross into it, by input name."""
    graph = part_of(whole.graph, part.nodes)
    tensors = execute(whole.graph, frames, every=True)
    return generate(graph, whole.plan, whole), {port.name: tensors[port.name] for port in graph.inputs}


def _place(units: Sequence[Unit], text: str) -> int:
    for place, unit in enumerate(units):
        if text in (str(place), *(node.name for node in unit.nodes)):
            return place
    raise BuildError(f"--layers: no layer {text!r}; layers in order: {_names(units)}")


def _names(units: Sequence[Unit]) -> str:
    return ", ".join(unit.name for unit in units)
