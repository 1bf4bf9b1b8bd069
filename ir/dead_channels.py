"""Pass: no channels that nothing reads or whose value cannot change; their constants move into later functions.

A constant c that a Dense or Conv2d no longer gets lowers its sums by weights * c. That is exact where every reader of
the sums takes it up: a Threshold, Requantize or Table shifted by as much, at once or behind operators that pass it on,
such as Dense, Add or a pool. Where a Conv2d pads, only a constant equal to its pad_value leaves all sums alike.
"""

from dataclasses import replace

from .graph import Graph, Node
from .needed_channels import find_absorbing, find_needed
from .ranges import find_bounds
from .shrink_channels import shrink_channels
from .table import Table


def drop_dead_channels(graph: Graph) -> Graph:
    """Remove dead channels and nodes that lead nowhere.

    Inputs and outputs keep their channels; every tensor keeps at least one. A constant that cannot move stays.
    """
    graph = _drop_unread_nodes(graph)
    bounds = find_bounds(graph)
    rigid: set[str] = set()
    while True:
        needed = find_needed(graph, bounds, find_absorbing(graph, rigid))
        smaller = shrink_channels(graph, bounds, needed)
        grown = {node.name for node in smaller.nodes if _address_bits(node) > _address_bits(graph.node(node.name))}
        if not grown:
            return smaller
        rigid |= grown


def _drop_unread_nodes(graph: Graph) -> Graph:
    read = {port.tensor for port in graph.outputs}
    for node in reversed(graph.nodes):
        if node.name in read:
            read.update(node.inputs)
    return replace(graph, nodes=tuple(node for node in graph.nodes if node.name in read))


def _address_bits(node: Node) -> int:
    return (node.values.shape[1] - 1).bit_length() if isinstance(node, Table) else 0
