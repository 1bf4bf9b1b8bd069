"""Pass: a part of a graph by itself; the tensors that cross into it are its inputs, those that leave it its outputs."""

from collections.abc import Collection
from dataclasses import replace

from ..errors import GraphError
from .flatten import Flatten
from .graph import Graph, Input, Node, Output
from .ranges import find_bounds


def part_of(graph: Graph, names: Collection[str]) -> Graph:
    """The nodes called ``names``, and each Flatten behind one of them, with the types and reachable codes of the whole.

    Inputs have the names of their tensors, and the integers of those go in. Outputs of ``graph`` keep their names.
    Raises GraphError where one name is unknown.
    """
    known = [node.name for node in graph.nodes]
    if unknown := [name for name in names if name not in known]:
        raise GraphError(f"{graph.name}: no node {unknown[0]!r}; nodes: {', '.join(known)}")
    inside = _nodes(graph, names)
    made = {node.name for node in inside}
    read = dict.fromkeys(name for node in inside for name in node.inputs if name not in made)
    return replace(
        graph,
        inputs=tuple(_input(graph, name) for name in read),
        nodes=inside,
        outputs=tuple(_outputs(graph, inside)),
    )


def _nodes(graph: Graph, names: Collection[str]) -> tuple[Node, ...]:
    inside: dict[str, Node] = {}
    for node in graph.nodes:
        if node.name in names or (isinstance(node, Flatten) and node.inputs[0] in inside):
            inside[node.name] = node
    return tuple(inside.values())


def _input(graph: Graph, name: str) -> Input:
    """The graph's own input, or one that takes integers as another node made them."""
    for port in graph.inputs:
        if port.name == name:
            return port
    tensor = graph.tensors[name]
    return Input(name, tensor, tensor.shape, reach=find_bounds(graph)[name])


def _outputs(graph: Graph, inside: Collection[Node]) -> list[Output]:
    made, tensors = {node.name for node in inside}, graph.tensors
    outputs = [port for port in graph.outputs if port.tensor in made]
    taken = {*tensors, *(port.name for port in graph.outputs)}
    for name in dict.fromkeys(name for node in graph.nodes if node.name not in made for name in node.inputs):
        if name not in made or any(port.tensor == name for port in outputs):
            continue
        port = f"{name}_out"
        while port in taken:
            port += "_"
        outputs.append(Output(port, name, tensors[name].shape))
    return outputs
