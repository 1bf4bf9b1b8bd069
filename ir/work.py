"""How much a graph computes and stores."""

from dataclasses import astuple, dataclass
from math import prod

from .conv2d import Conv2d
from .conv_transpose import ConvTranspose2d
from .dense import Dense
from .graph import Graph, Ints, IntType


@dataclass(frozen=True)
class Work:
    """multiplications: products of an input and a weight in a frame. weights: numbers, of ``weight_bits`` in all."""

    multiplications: int
    weights: int
    weight_bits: int


def count_work(graph: Graph) -> Work:
    """Of all layers with weights."""
    works = work_by_layer(graph).values()
    return Work(*(sum(column) for column in zip((0, 0, 0), *(astuple(work) for work in works), strict=True)))


def work_by_layer(graph: Graph) -> dict[str, Work]:
    """Of each layer with weights, by its name."""
    found = {}
    for node in graph.nodes:
        if not isinstance(node, Dense | Conv2d | ConvTranspose2d):
            continue
        # A transposed convolution multiplies at the pixels that come in.
        shape = graph.tensors[node.inputs[0] if isinstance(node, ConvTranspose2d) else node.name].shape
        weights = node.weights.size
        found[node.name] = Work(prod(shape[:-1]) * weights, weights, weights * stored_bits(node.weights))
    return found


def stored_bits(weights: Ints) -> int:
    """Bits of one of a layer's weights; +1 and -1 alone take one."""
    return 1 if (abs(weights) == 1).all() else IntType.of_range(int(weights.min()), int(weights.max())).bits
