"""Pass: no Flatten where the host can send the channels of all pixels as one row."""

from dataclasses import replace

import numpy as np

from .flatten import Flatten
from .graph import Bounds, Graph, Input, Node, TensorType


def flatten_inputs(graph: Graph) -> Graph:
    """Absorb a Flatten into the type of an input that nothing else reads; ``model_shape`` and chain stay."""
    for port in graph.inputs:
        readers = [node for node in graph.nodes if port.name in node.inputs]
        if len(graph.readers(port.name)) == 1 and readers and isinstance(readers[0], Flatten):
            return flatten_inputs(_absorb(graph, readers[0]))
    return graph


def _absorb(graph: Graph, flatten: Node) -> Graph:
    (source,) = flatten.inputs
    ports = [_flatten(port) if port.name == source else port for port in graph.inputs]
    nodes = [
        replace(node, inputs=tuple(source if name == flatten.name else name for name in node.inputs))
        for node in graph.nodes
        if node is not flatten
    ]
    outputs = [replace(port, tensor=source) if port.tensor == flatten.name else port for port in graph.outputs]
    return replace(graph, inputs=tuple(ports), nodes=tuple(nodes), outputs=tuple(outputs))


def _flatten(port: Input) -> Input:
    flat = TensorType((port.type.pixels * port.type.channels,), port.type.dtype)
    reach = port.reach and Bounds(*(np.tile(values, port.type.pixels) for values in (port.reach.low, port.reach.high)))
    return replace(port, type=flat, reach=reach)
