"""How far the model's float32 reals of a tensor can be from the exact ones, for the codes that came in."""

from collections.abc import Mapping
from fractions import Fraction
from itertools import product as pairs

import numpy as np
from numpy.typing import NDArray

from .concat import Concat
from .conv2d import Conv2d
from .conv_transpose import ConvTranspose2d
from .dense import Dense
from .depth_to_space import DepthToSpace
from .flatten import Flatten
from .graph import Ints, Node
from .import_values import Grid, odd_part
from .imported import Imported, Join, Product, summation_error
from .max_pool import MaxPool2d
from .requantize import Requantize
from .slice import Slice
from .sum_pool import SumPool2d
from .upsample import Upsample2d
from .windows import pad_image, reduce_windows

UNIT = 2.0**-24  # largest relative error of one float32 rounding
MOVERS = (MaxPool2d, Upsample2d, Concat, Slice, DepthToSpace, Flatten)  # each result is one of the inputs


class Noise:
    """Bounds for some frames, given the codes (frames, *shape) of every tensor."""

    def __init__(self, imported: Imported, tensors: Mapping[str, Ints]) -> None:
        self._imported, self._tensors = imported, tensors
        self._nodes: dict[str, Node] = {node.name: node for node in imported.graph.nodes}

    def of(self, tensor: str, grid: Grid) -> NDArray:
        """Of ``tensor``'s shape; ``grid`` has the noise that holds for any codes."""
        found = self._of(tensor)
        return np.broadcast_to(grid.noise, self._tensors[tensor].shape) if found is None else found

    def _of(self, tensor: str) -> NDArray | None:
        node = self._nodes.get(tensor)
        if node is None or tensor in self._imported.functions:
            return None
        if tensor in self._imported.joins:
            return self._of_join(node, self._imported.joins[tensor])
        if tensor in self._imported.products:
            return self._of_sums(node, self._imported.products[tensor])
        if isinstance(node, MOVERS):
            parts = [self._of(name) for name in node.inputs]
            return None if any(part is None for part in parts) else node.evaluate(*(p for p in parts if p is not None))
        return self._of(node.inputs[0]) if isinstance(node, Requantize) else None

    def _of_join(self, node: Node, join: Join) -> NDArray:
        parts = [self.of(name, grid) for name, grid in zip(node.inputs, join.grids, strict=True)]
        noise = parts[0] + parts[1]
        reals = join.reals(*(self._tensors[name] for name in node.inputs))
        return noise + 2 * UNIT * (np.abs(reals) + noise)

    def _of_sums(self, node: Node, product: Product) -> NDArray:
        codes, grid = self._tensors[node.inputs[0]], product.inputs
        weights = weights_of(node)
        levels = np.abs(codes * product.signs * product.stride + product.base)
        if product.unit is not None and _are_exact(product.unit, absolute_sums(node, np.abs(weights), levels)):
            return np.zeros(self._tensors[node.name].shape)
        spread = product.weight_scale.reshape(len(product.weight_scale), *(1,) * (weights.ndim - 2), -1)
        magnitudes = np.abs(weights) * spread
        noise = self.of(node.inputs[0], grid)
        reals = np.abs(real_numbers(grid, product.signs, codes))
        terms = weights[0].size if not isinstance(node, SumPool2d) else node.kernel[0] * node.kernel[1]
        if noise.any():
            passed_on = absolute_sums(node, magnitudes, noise)
            return summation_error(terms) * absolute_sums(node, magnitudes, reals + noise) + passed_on
        return summation_error(terms) * absolute_sums(node, magnitudes, reals)


def real_numbers(grid: Grid, signs: Ints, codes: Ints) -> NDArray:
    """float64 reals of codes (..., channels)."""
    levels = codes * (grid.step * signs) + grid.base
    return levels * grid.scale.astype(np.float64) + grid.offset.astype(np.float64)


def terms_of(node: Node | None) -> int:
    """How many roundings a sum of the node's products and a bias takes at most."""
    return weights_of(node)[0].size + 3 if isinstance(node, Dense | Conv2d | ConvTranspose2d) else 1


def weights_of(node: Node) -> NDArray:
    """(outputs, ..., inputs of a group); those of a sum are 1."""
    if isinstance(node, Dense | Conv2d | ConvTranspose2d):
        return node.weights
    return np.ones((1, 1))


def absolute_sums(node: Node, weights: NDArray, x: NDArray) -> NDArray:
    """The node's sums in float64, with other ``weights`` and with zeros where it pads."""
    x = x.astype(np.float64)
    weights = weights.astype(np.float64)
    if isinstance(node, Dense):
        return x @ weights.T
    if isinstance(node, Conv2d):
        return _convolved(node, weights, pad_image(x, node.padding, 0))
    if isinstance(node, ConvTranspose2d):
        return _spread(node, weights, x)
    assert isinstance(node, SumPool2d)
    return reduce_windows(np.add, pad_image(x, node.padding, 0), node.kernel, node.stride) * weights[:, 0]


def _convolved(node: Conv2d, weights: NDArray, x: NDArray) -> NDArray:
    groups, inputs = node.groups, weights.shape[3]
    sizes = [
        (x.shape[axis + 1] - (node.kernel[axis] - 1) * node.dilation[axis] - 1) // node.stride[axis] + 1
        for axis in (0, 1)
    ]
    x = x.reshape(*x.shape[:3], groups, inputs)
    grouped = weights.reshape(groups, node.outputs // groups, *node.kernel, inputs)
    y = np.zeros((len(x), *sizes, groups, grouped.shape[1]))
    for i, j in pairs(*map(range, node.kernel)):
        top, left = i * node.dilation[0], j * node.dilation[1]
        rows = slice(top, top + (sizes[0] - 1) * node.stride[0] + 1, node.stride[0])
        columns = slice(left, left + (sizes[1] - 1) * node.stride[1] + 1, node.stride[1])
        y += np.einsum("nhwgi,goi->nhwgo", x[:, rows, columns], grouped[:, :, i, j], optimize=True)
    return y.reshape(*y.shape[:3], -1)


def _spread(node: ConvTranspose2d, weights: NDArray, x: NDArray) -> NDArray:
    rows, columns = node.output_size((x.shape[1], x.shape[2]))
    top, left = node.padding[:2]
    full = [(x.shape[axis + 1] - 1) * node.stride[axis] + node.kernel[axis] for axis in (0, 1)]
    y = np.zeros((len(x), max(full[0], top + rows), max(full[1], left + columns), len(weights)))
    for i, j in pairs(*map(range, node.kernel)):
        pixels = y[:, i : i + full[0] - node.kernel[0] + 1 : node.stride[0]]
        pixels = pixels[:, :, j : j + full[1] - node.kernel[1] + 1 : node.stride[1]]
        pixels += x @ weights[:, i, j].T
    return y[:, top : top + rows, left : left + columns]


def _are_exact(unit: NDArray, sums: NDArray) -> bool:
    """Whether float32 holds every partial sum: integers below 2**24 times one dyadic number for each output."""
    if any(Fraction(float(value)) != value for value in set(unit.tolist())):
        return False
    odd = np.array([odd_part(abs(value)) for value in unit.tolist()], dtype=np.float64)
    return bool((sums * odd).max(initial=0) < 2**24)
