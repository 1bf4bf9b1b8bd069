"""Pass: no ConvTranspose2d; a Conv2d computes the pixels of a block as channels, and DepthToSpace lays them out.

With stride s, output pixel u * s + r takes only the taps r, r + s, r + 2s ..., on the pixels u, u - 1, u - 2 ... of the
input: for each of the s * s values of r one small convolution at the input's own size, and no inserted zeros.
"""

from dataclasses import replace

import numpy as np

from ..errors import GraphError
from .conv2d import Conv2d
from .conv_transpose import ConvTranspose2d
from .depth_to_space import DepthToSpace
from .graph import Graph, Ints, Node, TensorType
from .requantize import Requantize
from .slice import Slice
from .table import Table
from .threshold import Threshold


def decompose_transposed(graph: Graph) -> Graph:
    """Replace each ConvTranspose2d; a function that alone reads its sums moves to the channels of the Conv2d.

    The Conv2d and the function keep their names. Raises GraphError where the two strides differ.
    """
    first = next((node for node in graph.nodes if isinstance(node, ConvTranspose2d)), None)
    return graph if first is None else decompose_transposed(_decompose(graph, first))


def _decompose(graph: Graph, node: ConvTranspose2d) -> Graph:
    if node.stride[0] != node.stride[1]:
        raise GraphError(f"{node.name}: has stride {node.stride}, need the same vertically and horizontally")
    block = node.stride[0]
    chain: list[Node] = [_make_conv(node)]
    function = _lone_function(graph, node)
    if function is not None:
        chain.append(_tile(function, block**2))
    replaced, result = chain[-1].name, chain[-1].result
    taken = {*graph.tensors, *(port.name for port in graph.outputs)}
    if block > 1:
        chain.append(DepthToSpace(_free(f"{node.name}_pixels", taken), (replaced,), result, block))
    box = _box(node, graph.tensors[node.inputs[0]], chain)
    if box is not None:
        chain.append(Slice(_free(f"{node.name}_crop", taken), (chain[-1].name,), result, *box))
    return _exchange(graph, chain, replaced)


def _make_conv(node: ConvTranspose2d) -> Conv2d:
    (top, bottom), (left, right) = (_padding(node, axis) for axis in (0, 1))
    padding = (top, left, bottom, right)
    return Conv2d(node.name, node.inputs, node.result, _phases(node), padding=padding)


def _phases(node: ConvTranspose2d) -> Ints:
    """(block**2 * outputs, rows, columns, inputs): output channel (row * block + column) * outputs + output."""
    block, (outputs, rows, columns, inputs) = node.stride[0], node.weights.shape
    padded = np.pad(node.weights, ((0, 0), (0, -rows % block), (0, -columns % block), (0, 0)))
    split = padded.reshape(outputs, padded.shape[1] // block, block, padded.shape[2] // block, block, inputs)
    # A Conv2d takes its taps in the other direction.
    phases = split[:, ::-1, :, ::-1].transpose(2, 4, 0, 1, 3, 5)
    return phases.reshape(-1, *phases.shape[3:])


def _padding(node: ConvTranspose2d, axis: int) -> tuple[int, int]:
    """Before and after the input: what the blocks with pixels that are not cropped take, and no more."""
    block, size = node.stride[0], node.kernel[axis]
    before = -(-size // block) - 1 - node.padding[axis] // block
    after = (size - 1 - node.padding[axis + 2] + node.output_padding[axis]) // block
    return max(0, before), max(0, after)


def _box(node: ConvTranspose2d, x: TensorType, chain: list[Node]) -> tuple[tuple[int, ...], tuple[int, ...]] | None:
    """Start and stop of the result in what ``chain`` gives for ``x``, or None where they are all of it."""
    shape = x
    for link in chain:
        shape = TensorType(link.shape(shape), link.result)
    before = [_padding(node, axis)[0] for axis in (0, 1)]
    # The first block of the chain has the taps' pixels from -before; the uncropped result starts at 1 - taps.
    skipped = [-(-node.kernel[axis] // node.stride[0]) - 1 - before[axis] for axis in (0, 1)]
    start = (*(node.padding[axis] - skipped[axis] * node.stride[0] for axis in (0, 1)), 0)
    stop = tuple(first + size for first, size in zip(start, (*node.shape(x)[:2], shape.channels)))
    return None if stop == shape.shape and not any(start) else (start, stop)


def _lone_function(graph: Graph, node: Node) -> Node | None:
    readers = graph.readers(node.name)
    functions = [other for other in graph.nodes if isinstance(other, Threshold | Requantize | Table)]
    return next((other for other in functions if readers == (other.name,)), None)


def _tile(function: Node, times: int) -> Node:
    match function:
        case Threshold():
            return replace(function, thresholds=np.tile(function.thresholds, (times, 1)))
        case Requantize():
            multiplier, addend = np.tile(function.multiplier, times), np.tile(function.addend, times)
            return replace(function, multiplier=multiplier, addend=addend)
        case Table():
            return replace(function, values=np.tile(function.values, (times, 1)))
    raise AssertionError(function)


def _free(name: str, taken: set[str]) -> str:
    while name in taken:
        name += "_"
    return name


def _exchange(graph: Graph, chain: list[Node], replaced: str) -> Graph:
    """The graph with ``chain`` instead of its nodes of those names; what read ``replaced`` reads the chain's end."""
    end, names = chain[-1].name, {link.name for link in chain}
    nodes: list[Node] = []
    for node in graph.nodes:
        if node.name == chain[0].name:
            nodes += chain
        elif node.name not in names:
            inputs = tuple(end if name == replaced else name for name in node.inputs)
            nodes.append(replace(node, inputs=inputs))
    outputs = tuple(replace(port, tensor=end) if port.tensor == replaced else port for port in graph.outputs)
    return replace(graph, nodes=tuple(nodes), outputs=outputs)
