"""Random integer graphs for tests: every result type exact, dead and constant channels included."""

from dataclasses import replace

import numpy as np
from hypothesis import strategies as st

from espalier.ir.argmax import ArgMax
from espalier.ir.dense import Dense
from espalier.ir.flatten import Flatten
from espalier.ir.graph import Bounds, Graph, Input, Ints, IntType, Node, Output, TensorType
from espalier.ir.ranges import find_bounds
from espalier.ir.requantize import Requantize
from espalier.ir.table import Table
from espalier.ir.threshold import Threshold

WIDE = IntType(62, signed=True)
UINT4 = IntType(4)


def empty_graph(shape, dtype: IntType = UINT4, name: str = "network") -> Graph:
    """Only an input x that goes straight out; build on it with append."""
    return Graph((Input("x", TensorType(shape, dtype), shape),), (), (Output("y", "x", shape),), name)


def append(
    graph: Graph, operator: type[Node], name: str, source: str | tuple[str, ...] | None = None, **fields
) -> Graph:
    """The graph with a node, in the narrowest type, after ``source`` (else after the first output's tensor).

    The first output, y, is then the new node's.
    """
    source = source or graph.outputs[0].tensor
    node = operator(name, (source,) if isinstance(source, str) else source, WIDE, **fields)
    wide = replace(graph, nodes=(*graph.nodes, node))
    reach = find_bounds(wide)[name]
    node = replace(node, result=IntType.of_range(int(reach.low.min()), int(reach.high.max())))
    output = Output("y", name, wide.tensors[name].shape)
    return replace(graph, nodes=(*graph.nodes, node), outputs=(output, *graph.outputs[1:]))


def random_frames(graph: Graph, frames: int = 8, seed: int = 0) -> Ints:
    """Codes for the first input; the first two frames hold its extremes."""
    tensor = graph.inputs[0].type
    rng = np.random.default_rng(seed)
    codes = rng.integers(tensor.dtype.low, tensor.dtype.high, (frames, *tensor.shape), endpoint=True)
    codes[:1], codes[1:2] = tensor.dtype.low, tensor.dtype.high
    return codes


def random_inputs(graph: Graph, frames: int = 8, seed: int = 0) -> dict[str, Ints]:
    """Codes for every input, as random_frames makes them."""
    ports = enumerate(graph.inputs)
    return {port.name: random_frames(replace(graph, inputs=(port,)), frames, seed + at) for at, port in ports}


def random_weights(rng: np.random.Generator, outputs: int, inputs: int, bits: int, dead: float = 0.0) -> Ints:
    """bits 1: bipolar or binary; 2: ternary or all four; dead: the share of rows and of columns that are zero."""
    values = np.arange(-(1 << bits - 1), 1 << bits - 1)
    if bits == 1:
        values = np.array([[-1, 1], [0, 1]])[rng.integers(2)]
    if bits == 2 and rng.integers(2):
        values = np.array([-1, 0, 1])
    weights = rng.choice(values, (outputs, inputs))
    weights[rng.random(outputs) < dead] = 0
    weights[:, rng.random(inputs) < dead] = 0
    return weights


def random_thresholds(rng: np.random.Generator, reach: Bounds, steps: int, constant: float = 0.0) -> Ints:
    """Thresholds mostly inside the reach of each channel; constant: the share of channels of only one value."""
    margin = 1 + (reach.high - reach.low) // 4
    rows = rng.integers(reach.low - margin, reach.high + margin, (steps, reach.low.size), endpoint=True).T
    for channel in np.flatnonzero(rng.random(reach.low.size) < constant):
        always = rng.integers(0, steps, endpoint=True)
        rows[channel, :always] = reach.low[channel] - rng.integers(0, 9)
        rows[channel, always:] = reach.high[channel] + rng.integers(1, 9)
    return np.sort(rows, axis=1)


def add_dense(graph: Graph, rng: np.random.Generator, outputs: int, bits: int, dead: float = 0.0) -> Graph:
    inputs = graph.tensors[graph.outputs[0].tensor].channels
    return append(graph, Dense, f"fc{len(graph.nodes)}", weights=random_weights(rng, outputs, inputs, bits, dead))


def add_threshold(graph: Graph, rng: np.random.Generator, bits: int, dead: float = 0.0) -> Graph:
    reach = find_bounds(graph)[graph.outputs[0].tensor]
    base = int(rng.choice([0, -(1 << bits - 1)]))
    thresholds = random_thresholds(rng, reach, (1 << bits) - 1, dead)
    return append(graph, Threshold, f"act{len(graph.nodes)}", thresholds=thresholds, base=base)


def add_requantize(graph: Graph, rng: np.random.Generator, bits: int, dead: float = 0.0) -> Graph:
    reach = find_bounds(graph)[graph.outputs[0].tensor]
    multiplier = rng.integers(-31, 32, reach.low.size) * (rng.random(reach.low.size) >= dead)
    return append(
        graph,
        Requantize,
        f"scale{len(graph.nodes)}",
        multiplier=multiplier,
        addend=rng.integers(-999, 999, reach.low.size),
        shift=int(rng.integers(0, 9)),
        low=-(1 << bits - 1),
        high=(1 << bits - 1) - (bits > 1),
    )


def add_table(graph: Graph, rng: np.random.Generator, bits: int, dead: float = 0.0) -> Graph:
    """A Table, or a Threshold where the input has too many codes for one."""
    tensor = graph.tensors[graph.outputs[0].tensor]
    if tensor.dtype.bits > 10:  # a table of that many codes would be slow
        return add_threshold(graph, rng, bits, dead)
    values = rng.integers(-(1 << bits - 1), 1 << bits - 1, (tensor.channels, 1 << tensor.dtype.bits))
    constant = rng.random(tensor.channels) < dead
    values[constant] = values[constant, :1]
    return append(graph, Table, f"table{len(graph.nodes)}", values=values, first=tensor.dtype.low)


ACTIVATIONS = (add_threshold, add_threshold, add_requantize, add_table)


def mlp(widths, *, weight_bits=4, activation_bits=4, input_type=UINT4, dead=0.0, seed=0) -> Graph:
    """Dense and Threshold in turn, widths[0] inputs, ends with a Dense of widths[-1] outputs."""
    rng = np.random.default_rng(seed)
    graph = empty_graph((widths[0],), input_type)
    for width in widths[1:-1]:
        graph = add_threshold(add_dense(graph, rng, width, weight_bits, dead), rng, activation_bits, dead)
    return add_dense(graph, rng, widths[-1], weight_bits)


def input_types():
    return st.builds(IntType, st.integers(1, 8), st.booleans())


@st.composite
def mlps(draw, max_width: int = 70, max_layers: int = 4, argmax: bool = True) -> Graph:
    """Dense and Threshold in turn; ends with a Dense, a Threshold or an ArgMax."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    dead = draw(st.sampled_from([0.0, 0.3]))
    graph = empty_graph((draw(st.integers(1, max_width)),), draw(input_types()))
    for _ in range(draw(st.integers(0, max_layers - 1))):
        graph = add_dense(graph, rng, draw(st.integers(1, max_width)), draw(st.integers(1, 8)), dead)
        graph = add_threshold(graph, rng, draw(st.integers(1, 8)), dead)
    graph = add_dense(graph, rng, draw(st.integers(1, max_width)), draw(st.integers(1, 8)))
    end = draw(st.sampled_from(["dense", "threshold", "argmax"] if argmax else ["dense", "threshold"]))
    if end == "threshold":
        return add_threshold(graph, rng, draw(st.integers(1, 8)))
    return append(graph, ArgMax, "argmax") if end == "argmax" else graph


@st.composite
def graphs(draw, max_width: int = 20, max_layers: int = 4) -> Graph:
    """All operators in any order that fits, on one or more pixels, with up to three outputs anywhere on the way."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    dead = draw(st.sampled_from([0.0, 0.3, 0.7]))
    bits = st.integers(1, 6)
    size = draw(st.sampled_from([(), (1, 1), (2, 2)]))
    graph = empty_graph((*size, draw(st.integers(1, max_width))), draw(input_types()))
    for _ in range(draw(st.integers(1, max_layers))):
        if draw(st.booleans()):
            graph = append(graph, Flatten, f"flat{len(graph.nodes)}")
        if draw(st.integers(0, 3)):
            graph = add_dense(graph, rng, draw(st.integers(1, max_width)), draw(bits), dead)
        if draw(st.integers(0, 3)):
            graph = draw(st.sampled_from(ACTIVATIONS))(graph, rng, draw(bits), dead)
    if draw(st.booleans()):
        graph = append(graph, ArgMax, "argmax")
    return fork(draw, graph, rng, dead)


def fork(draw, graph: Graph, rng: np.random.Generator, dead: float) -> Graph:
    """Up to two more outputs of ``graph``, each a further activation or Dense on some tensor, or that tensor itself."""
    outputs = [graph.outputs[0]]
    for index in range(draw(st.integers(0, 2))):
        tensor = draw(st.sampled_from(sorted(graph.tensors)))
        graph = replace(graph, outputs=(Output("y", tensor, graph.tensors[tensor].shape),))
        grow = draw(st.sampled_from([None, add_threshold, add_table, add_dense]))
        if grow is add_dense:
            graph = add_dense(graph, rng, 3, 3, dead)
        elif grow:
            graph = grow(graph, rng, 3, dead)
        outputs.append(replace(graph.outputs[0], name=f"y{index}"))
    return replace(graph, outputs=tuple(outputs))
