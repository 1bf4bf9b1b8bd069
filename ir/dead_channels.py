"""Pass: no channels that nothing reads or whose value cannot change; their constants move into later functions.

A constant c that a Dense no longer gets lowers its sums by weights * c. That is exact where every reader of the sums
takes it up: a Threshold, Requantize or Table shifted by as much, at once or behind further Dense and Flatten.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from .dense import Dense
from .flatten import Flatten
from .graph import Bounds, Graph, Ints, IntType, Node
from .ranges import find_bounds
from .requantize import Requantize
from .table import Table
from .threshold import Threshold

Masks = dict[str, NDArray[np.bool_]]


def drop_dead_channels(graph: Graph) -> Graph:
    """Remove dead channels and nodes that lead nowhere.

    Inputs and outputs keep their channels; every tensor keeps at least one. A constant that cannot move stays.
    """
    graph = _drop_unread_nodes(graph)
    bounds = find_bounds(graph)
    rigid: set[str] = set()
    while True:
        smaller = _shrink(graph, bounds, _find_needed(graph, bounds, _find_absorbing(graph, rigid)))
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


def _find_absorbing(graph: Graph, rigid: set[str]) -> dict[str, bool]:
    """By tensor: whether a constant taken off its channels can be made up for by all that reads it.

    rigid: names of tables that must not be shifted, because they would grow.
    """
    absorbing = {tensor: True for tensor in graph.tensors}
    absorbing.update({port.tensor: False for port in graph.outputs})
    for node in reversed(graph.nodes):
        match node:
            case Threshold() | Requantize():
                absorbs = True
            case Table():
                absorbs = node.name not in rigid
            case Dense() | Flatten():
                absorbs = absorbing[node.name]
            case _:
                absorbs = False
        for tensor in node.inputs:
            absorbing[tensor] &= absorbs
    return absorbing


def _find_needed(graph: Graph, bounds: dict[str, Bounds], absorbing: dict[str, bool]) -> Masks:
    """By tensor: which channels must stay."""
    needed = {name: np.zeros(tensor.channels, dtype=bool) for name, tensor in graph.tensors.items()}
    for tensor in (*(port.name for port in graph.inputs), *(port.tensor for port in graph.outputs)):
        needed[tensor][:] = True
    total = -1
    # What an operator needs on one side may be needed by others on that side, so repeat until nothing is added.
    while total != (total := sum(int(mask.sum()) for mask in needed.values())):
        for node in reversed(graph.nodes):
            _add_needed(node, needed, bounds, absorbing)
    return needed


def _add_needed(node: Node, needed: Masks, bounds: dict[str, Bounds], absorbing: dict[str, bool]) -> None:
    y = needed[node.name]
    if not y.any():
        y[0] = True
    x = needed[node.inputs[0]]
    match node:
        case Dense():
            reach = bounds[node.inputs[0]]
            removable = (reach.low == reach.high) & ((reach.low == 0) | absorbing[node.name])
            x |= (node.weights[y] != 0).any(axis=0) & ~removable
        case Threshold() | Requantize() | Table():
            x |= y
            y |= x
        case Flatten():
            pixels = y.reshape(-1, x.size)
            x |= pixels.any(axis=0)
            pixels |= x
        case _:
            y[:] = True
            for tensor in node.inputs:
                needed[tensor][:] = True


def _shrink(graph: Graph, bounds: dict[str, Bounds], needed: Masks) -> Graph:
    # What was taken off each channel of each tensor: before = after + moved.
    moved = {port.name: np.zeros(port.type.channels, dtype=np.int64) for port in graph.inputs}
    nodes = []
    for node in graph.nodes:
        source, keep = node.inputs[0], needed[node.name]
        smaller, shift = _shrink_node(node, bounds[source], needed[source], moved[source], keep)
        if shift.any():
            low, high = bounds[node.name].low - shift, bounds[node.name].high - shift
            smaller = replace(smaller, result=IntType.of_range(int(low[keep].min()), int(high[keep].max())))
        moved[node.name] = shift
        nodes.append(smaller)
    return replace(graph, nodes=tuple(nodes))


def _shrink_node(
    node: Node, reach: Bounds, inputs: NDArray[np.bool_], moved: Ints, keep: NDArray[np.bool_]
) -> tuple[Node, Ints]:
    """The node with the channels ``keep`` of ``inputs`` from which ``moved`` was taken off; and what this takes off.

    reach: the bounds of all the input's channels, before anything was taken off.
    """
    match node:
        case Dense():
            # An input that goes is constant, or no kept output weighs it: its lower bound is as good as any value.
            shift = node.weights @ np.where(inputs, moved, reach.low)
            return replace(node, weights=node.weights[keep][:, inputs]), np.where(keep, shift, 0)
        case Flatten():
            return node, np.tile(moved, keep.size // moved.size)
        case Threshold():
            # Clipped first, for thresholds may stand at the ends of int64.
            clipped = np.clip(node.thresholds, reach.low[:, None], reach.high[:, None] + 1)
            thresholds = clipped - moved[:, None] if moved.any() else node.thresholds
            node = replace(node, thresholds=thresholds[keep])
        case Requantize():
            addend = node.addend + node.multiplier * moved
            node = replace(node, multiplier=node.multiplier[keep], addend=addend[keep])
        case Table():
            node = _shift_table(node, reach, moved, keep)
    return node, np.zeros(keep.size, dtype=np.int64)


def _shift_table(node: Table, reach: Bounds, moved: Ints, keep: NDArray[np.bool_]) -> Table:
    if not moved[keep].any():
        return replace(node, values=node.values[keep])
    low, high, moved = reach.low[keep], reach.high[keep], moved[keep]
    first, last = int((low - moved).min()), int((high - moved).max())
    # Codes that a channel cannot reach repeat its nearest entry.
    codes = np.clip(np.arange(first, last + 1) + moved[:, None], low[:, None], high[:, None])
    return replace(node, values=np.take_along_axis(node.values[keep], codes - node.first, axis=1), first=first)
