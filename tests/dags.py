"""Random graphs of all operators: forks, joins, skips, several inputs and outputs; every result type exact."""

from dataclasses import replace
from math import prod

import numpy as np
from hypothesis import strategies as st

from espalier.ir import (
    Add,
    ArgMax,
    Concat,
    Conv2d,
    ConvTranspose2d,
    Dense,
    DepthToSpace,
    Flatten,
    Graph,
    Input,
    IntType,
    MaxPool2d,
    Output,
    Pad,
    Slice,
    SumPool2d,
    TensorType,
    Upsample2d,
)
from graphs import ACTIVATIONS, add_threshold, append, random_weights

CHANNELS = np.array([1, 1, 2, 2, 3, 3, 4, 5, 5, 8, 13, 37])
LARGEST_TENSOR = 300  # values of a frame
MOST_PRODUCTS = 1500  # of one layer in a frame
WIDEST_SUM = 12  # bits, before it is brought down to few


class Dag:
    """A graph that grows at its first output: the cursor, which may be put on any tensor."""

    def __init__(self, graph: Graph, rng: np.random.Generator, dead: float) -> None:
        self.graph, self.rng, self.dead = graph, rng, dead

    @property
    def cursor(self) -> str:
        return self.graph.outputs[0].tensor

    @cursor.setter
    def cursor(self, tensor: str) -> None:
        self.graph = replace(self.graph, outputs=(Output("y", tensor, self.graph.tensors[tensor].shape),))

    @property
    def type(self) -> TensorType:
        return self.graph.tensors[self.cursor]

    def append(self, operator, source=None, **fields) -> None:
        name = f"{operator.__name__.lower()}{len(self.graph.nodes)}"
        self.graph = append(self.graph, operator, name, source, **fields)

    def integer(self, low: int, high: int) -> int:
        """Both included."""
        return int(self.rng.integers(low, high, endpoint=True))

    def pair(self, low: int, high: int) -> tuple[int, int]:
        return self.integer(low, high), self.integer(low, high)

    def chance(self, probability: float) -> bool:
        return bool(self.rng.random() < probability)

    def width(self, products: int) -> int:
        """A number of outputs, each of which takes so many products."""
        fitting = CHANNELS[CHANNELS * products <= MOST_PRODUCTS]
        return int(self.rng.choice(fitting)) if fitting.size else 1

    def weights(self, outputs: int, inner: tuple[int, ...], inputs: int) -> np.ndarray:
        rows = [random_weights(self.rng, outputs, inputs, self.integer(1, 4), self.dead) for _ in range(prod(inner))]
        # One dead row in all taps, or dead channels would be rare.
        alive = self.rng.random((outputs, 1, 1)) >= self.dead
        return (np.stack(rows, axis=1) * alive).reshape(outputs, *inner, inputs)

    def activate(self) -> None:
        grow = ACTIVATIONS[self.integer(0, len(ACTIVATIONS) - 1)]
        self.graph = grow(self.graph, self.rng, self.integer(1, 4), self.dead)


def grow_conv2d(dag: Dag) -> None:
    height, width, channels = dag.type.shape
    kernel, dilation, stride = dag.pair(1, 3), dag.pair(1, 1 + dag.chance(0.3)), dag.pair(1, 1 + dag.chance(0.4))
    spans = [(size - 1) * step + 1 for size, step in zip(kernel, dilation)]
    most = [span - 1 for span in spans]
    padding = [dag.integer(0, most[side % 2]) for side in range(4)]
    padding[2] = max(padding[2], spans[0] - height - padding[0])
    padding[3] = max(padding[3], spans[1] - width - padding[1])
    dividing = [number for number in range(1, channels + 1) if channels % number == 0]
    groups = [1, 1, channels, int(dag.rng.choice(dividing))][dag.integer(0, 3)]
    rows, columns = (
        (size + padding[axis] + padding[axis + 2] - spans[axis]) // stride[axis] + 1
        for axis, size in enumerate((height, width))
    )
    outputs = dag.width(rows * columns * prod(kernel) * channels)  # of each group
    if groups > 1:
        outputs = 1 + dag.chance(0.2)
    dtype = dag.type.dtype
    dag.append(
        Conv2d,
        weights=dag.weights(groups * outputs, kernel, channels // groups),
        stride=stride,
        dilation=dilation,
        padding=padding,
        pad_value=0 if dag.chance(0.6) else dag.integer(dtype.low, dtype.high),
        groups=groups,
    )


def grow_conv_transpose(dag: Dag) -> None:
    stride, kernel = dag.integer(1, 3), dag.pair(1, 4)
    padding = [dag.integer(0, kernel[side % 2] // 3) for side in range(4)]
    outputs = dag.width(prod(dag.type.shape) * prod(kernel))
    weights = dag.weights(outputs, kernel, dag.type.channels)
    extra = dag.pair(0, stride - 1)
    node = ConvTranspose2d("up", ("x",), dag.type.dtype, weights, (stride, stride), padding, extra)
    size = node.output_size(dag.type.shape[:2])
    if min(size) > 0 and prod(size) * outputs <= LARGEST_TENSOR:
        dag.append(ConvTranspose2d, weights=weights, stride=(stride, stride), padding=padding, output_padding=extra)


def grow_pool(dag: Dag) -> None:
    size = dag.type.shape[:2]
    operator = MaxPool2d if dag.chance(0.5) else SumPool2d
    kernel = size if dag.chance(0.2) else tuple(min(dag.integer(1, 3), most) for most in size)
    padding = [dag.integer(0, min(1, kernel[side % 2] - 1)) for side in range(4)]
    if dag.chance(0.5):
        padding = (0, 0, 0, 0)
    dag.append(operator, kernel=kernel, stride=dag.pair(1, 3), padding=padding)


def grow_pad(dag: Dag) -> None:
    dtype = dag.type.dtype
    padding = tuple(dag.integer(0, 2) for _ in range(4))
    height, width, channels = dag.type.shape
    if (height + padding[0] + padding[2]) * (width + padding[1] + padding[3]) * channels <= LARGEST_TENSOR:
        dag.append(Pad, padding=padding, value=dag.integer(dtype.low, dtype.high))


def grow_upsample(dag: Dag) -> None:
    factor = dag.pair(1, 3)
    if prod(factor) * prod(dag.type.shape) <= LARGEST_TENSOR:
        dag.append(Upsample2d, factor=factor)


def grow_depth_to_space(dag: Dag) -> None:
    block = dag.integer(2, 3)
    if dag.type.channels % block**2:
        source = dag.type
        outputs = block**2 * (1 + dag.chance(0.3))
        if source.pixels * source.channels * outputs > 2 * MOST_PRODUCTS or source.pixels * outputs > LARGEST_TENSOR:
            return
        dag.append(Dense, weights=dag.weights(outputs, (), source.channels))
    dag.append(DepthToSpace, block=block, order="DCR" if dag.chance(0.5) else "CRD")


def grow_slice(dag: Dag) -> None:
    start = tuple(dag.integer(0, size // 3) for size in dag.type.shape)
    stop = tuple(dag.integer(max(first + 1, size - 2), size) for first, size in zip(start, dag.type.shape))
    dag.append(Slice, start=start, stop=stop)


def grow_dense(dag: Dag) -> None:
    dag.append(Dense, weights=dag.weights(dag.width(prod(dag.type.shape)), (), dag.type.channels))


def grow_flatten(dag: Dag) -> None:
    dag.append(Flatten)
    if dag.chance(0.8):
        grow_dense(dag)


def grow_add(dag: Dag) -> None:
    """With any tensor of the same shape, or else with a branch of its own: a residual block."""
    first = dag.cursor
    others = [name for name, tensor in dag.graph.tensors.items() if tensor.shape == dag.type.shape and name != first]
    if others and dag.chance(0.7):
        second = others[dag.integer(0, len(others) - 1)]
    elif dag.chance(0.05):
        second = first
    else:
        grow_branch(dag)
        second = dag.cursor
    factors = (1, 1) if dag.chance(0.5) else tuple(dag.integer(1, 5) * (-1) ** dag.integer(0, 1) for _ in range(2))
    dag.append(Add, (first, second) if dag.chance(0.5) else (second, first), coefficients=factors)


def grow_branch(dag: Dag) -> None:
    """To the same shape: a convolution of one or nine pixels, then a function."""
    channels, kernel = dag.type.channels, (1, 1)
    if len(dag.type.shape) == 3 and dag.type.pixels * 9 * channels**2 <= MOST_PRODUCTS:
        kernel = (3, 3)
    if len(dag.type.shape) == 3 and dag.type.pixels * prod(kernel) * channels**2 <= 2 * MOST_PRODUCTS:
        around = (kernel[0] // 2,) * 4
        dag.append(Conv2d, weights=dag.weights(channels, kernel, channels), padding=around)
    dag.activate()


def grow_concat(dag: Dag) -> None:
    pixels = dag.type.shape[:-1]
    others = [name for name, tensor in dag.graph.tensors.items() if tensor.shape[:-1] == pixels]
    names = [dag.cursor, *(others[dag.integer(0, len(others) - 1)] for _ in range(dag.integer(1, 2)))]
    if sum(prod(dag.graph.tensors[name].shape) for name in names) <= LARGEST_TENSOR:
        dag.append(Concat, tuple(dag.rng.permutation(names).tolist()))


ON_IMAGES = {
    grow_conv2d: 6,
    grow_pool: 3,
    grow_pad: 1,
    grow_upsample: 1,
    grow_depth_to_space: 1,
    grow_flatten: 0.5,
}
ANYWHERE = {grow_add: 3, grow_concat: 2, grow_slice: 1, grow_dense: 2, Dag.activate: 2}


def random_dag(seed: int | np.random.Generator, layers: int = 7, transposed: bool = False) -> Graph:
    """A graph of about ``layers`` operators, most of them on small images.

    transposed: with ConvTranspose2d too, which simplify() replaces.
    """
    rng = np.random.default_rng(seed)
    dag = Dag(Graph(random_ports(rng), (), ()), rng, dead=float(rng.choice([0.0, 0.3, 0.6])))
    for port in dag.graph.inputs:
        dag.cursor = port.name
        grow_layer(dag, transposed)
    for _ in range(dag.integer(0, layers - 1)):
        if dag.chance(0.3):
            dag.cursor = list(dag.graph.tensors)[dag.integer(0, len(dag.graph.tensors) - 1)]
        grow_layer(dag, transposed)
    return end(dag)


def random_ports(rng: np.random.Generator) -> tuple[Input, ...]:
    ports = []
    for name in ("x", "z")[: 1 + int(rng.random() < 0.25)]:
        size = tuple(rng.integers(1, 9, 2, endpoint=True).tolist())
        channels = int(rng.choice(CHANNELS[CHANNELS * prod(size) <= LARGEST_TENSOR]))
        shape = ports[0].type.shape if ports and rng.random() < 0.5 else (*size, channels)
        dtype = IntType(int(rng.integers(1, 6)), bool(rng.integers(2)))
        ports.append(Input(name, TensorType(shape, dtype), shape))
    return tuple(ports)


def grow_layer(dag: Dag, transposed: bool) -> None:
    if dag.type.dtype.bits > WIDEST_SUM:
        dag.graph = add_threshold(dag.graph, dag.rng, dag.integer(1, 4), dag.dead)
        return
    choices = ANYWHERE | (ON_IMAGES if len(dag.type.shape) == 3 else {})
    if transposed and len(dag.type.shape) == 3:
        choices = choices | {grow_conv_transpose: 2}
    weights = np.array(list(choices.values()))
    grow = dag.rng.choice(np.array(list(choices)), p=weights / weights.sum())
    grow(dag)
    if grow in (grow_conv2d, grow_conv_transpose, grow_dense, grow_add) and dag.chance(0.6):
        dag.activate()


def end(dag: Dag) -> Graph:
    """Up to three outputs, the first at the cursor; what leads to none of them is left out."""
    if dag.cursor in {port.name for port in dag.graph.inputs}:
        dag.activate()
    if dag.chance(0.15):
        dag.append(ArgMax)
    graph = dag.graph
    loose = [node.name for node in graph.nodes if not graph.readers(node.name)]
    more = loose[-2:] + [node.name for node in graph.nodes if dag.chance(0.05)]
    names = list(dict.fromkeys([dag.cursor, *more]))[:3]
    outputs = tuple(Output(f"y{at}" if at else "y", name, graph.tensors[name].shape) for at, name in enumerate(names))
    read = set(names)
    for node in reversed(graph.nodes):
        if node.name in read:
            read.update(node.inputs)
    return Graph(
        tuple(port for port in graph.inputs if port.name in read),
        tuple(node for node in graph.nodes if node.name in read),
        outputs,
    )


def dags(**options) -> st.SearchStrategy[Graph]:
    return st.builds(lambda seed: random_dag(seed, **options), st.integers(0, 2**32))
