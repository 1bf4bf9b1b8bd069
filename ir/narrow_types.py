"""Pass: the fewest bits for every result, and tables no longer than the codes that reach them."""

from dataclasses import replace

from .graph import Graph, IntType, Node
from .ranges import find_bounds
from .table import Table


def narrow_types(graph: Graph) -> Graph:
    """Give every result the narrowest type that holds its range, and cut tables to the type of their input."""
    bounds = find_bounds(graph)
    types = {port.name: port.type.dtype for port in graph.inputs}
    nodes = []
    for node in graph.nodes:
        found = bounds[node.name]
        types[node.name] = IntType.of_range(int(found.low.min()), int(found.high.max()))
        nodes.append(replace(_cut(node, types[node.inputs[0]]), result=types[node.name]))
    return replace(graph, nodes=tuple(nodes))


def _cut(node: Node, dtype: IntType) -> Node:
    if not isinstance(node, Table):
        return node
    first, last = max(node.first, dtype.low), min(node.last, dtype.high)
    return replace(node, values=node.values[:, first - node.first : last - node.first + 1], first=first)
