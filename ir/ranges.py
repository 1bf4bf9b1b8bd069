"""Which integers each channel of each tensor can reach, from the actual weights."""

from collections.abc import Callable, Mapping

import numpy as np

from ..errors import GraphError
from .graph import Bounds, Graph, IntType, Node, TensorType


def find_bounds(graph: Graph) -> dict[str, Bounds]:
    """The reachable bounds of every tensor's channels, by tensor name.

    Never too narrow; exact where the inputs of an operator are independent and its padding is a value that they reach.
    Raises GraphError where the type of a result cannot hold its range.
    """
    bounds = reach_all(graph)
    for node in graph.nodes:
        _check_result(node, bounds[node.name])
    return bounds


def reach_all(graph: Graph, instead: Mapping[str, Callable[..., Bounds]] | None = None) -> dict[str, Bounds]:
    """The same, whatever the types of the results hold.

    instead: by node, what gives its bounds for those of its inputs where its own ``bounds`` shall not.
    """
    bounds = {port.name: port.reach or _all_codes(port.type) for port in graph.inputs}
    tensors, others = graph.tensors, instead or {}
    for node in graph.nodes:
        found = others.get(node.name, node.bounds)(*(bounds[name] for name in node.inputs))
        pixels = tensors[node.name].channels // found.low.size
        bounds[node.name] = Bounds(np.tile(found.low, pixels), np.tile(found.high, pixels))
    return bounds


def _all_codes(tensor: TensorType) -> Bounds:
    return Bounds(np.full(tensor.channels, tensor.dtype.low), np.full(tensor.channels, tensor.dtype.high))


def _check_result(node: Node, bounds: Bounds) -> None:
    low, high, result = int(bounds.low.min()), int(bounds.high.max()), node.result
    if low < result.low or high > result.high:
        raise GraphError(
            f"{node.name}: reaches {low}..{high}, but its type {result} holds {result.low}..{result.high}; "
            f"make it {IntType.of_range(low, high)}"
        )
