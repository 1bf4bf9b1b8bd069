"""Dense layers in a row that become one pipeline with one queue, because their engine takes and gives whole vectors."""

from collections.abc import Callable, Sequence

from ..ir.dense import Dense
from ..ir.flatten import Flatten
from ..ir.graph import Graph
from .engines import WHOLE
from .operators import made_as
from .plan import Engine
from .unit import Unit


def join_layers(graph: Graph, units: Sequence[Unit], engine: Callable[[str], Engine]) -> list[Unit]:
    """The units, those in a row whose ``engine`` allows it as one, which is named after the first of them."""
    joined: dict[str, Unit] = {}  # by what they make
    for unit in units:
        before = joined.get(made_as(graph, unit.inputs[0]))
        is_whole = isinstance(unit.nodes[0], Dense) and engine(unit.name) in WHOLE
        if before and is_whole and engine(before.name) in WHOLE and _follows(graph, before, unit):
            del joined[before.output]
            unit = Unit((*before.nodes, *unit.nodes), before.sources, unit.result)
        joined[unit.output] = unit
    return list(joined.values())


def _follows(graph: Graph, before: Unit, unit: Unit) -> bool:
    """Whether nothing else reads what ``before`` makes, and ``unit`` reads it vector by vector as it is made."""
    is_same = before.result.pixels == unit.source.pixels and before.result.channels == unit.source.channels
    return isinstance(before.nodes[0], Dense) and is_same and _readers(graph, before.output) == [unit.nodes[0].name]


def _readers(graph: Graph, tensor: str) -> list[str]:
    """Who reads a tensor, be it through a Flatten."""
    nodes = {node.name: node for node in graph.nodes}
    found = []
    for name in graph.readers(tensor):
        is_flat = isinstance(nodes.get(name), Flatten)
        found += _readers(graph, name) if is_flat else [name]
    return found
