"""Which channels of each tensor must stay: what is read and can change, and what other channels keep beside it."""

import numpy as np
from numpy.typing import NDArray

from .add import Add
from .concat import Concat
from .conv2d import Conv2d
from .dense import Dense
from .depth_to_space import DepthToSpace
from .flatten import Flatten
from .graph import Bounds, Graph, Node
from .max_pool import MaxPool2d
from .pad import Pad
from .pool import Pool2d
from .requantize import Requantize
from .slice import Slice
from .sum_pool import SumPool2d
from .table import Table
from .threshold import Threshold
from .upsample import Upsample2d

Mask = NDArray[np.bool_]
Masks = dict[str, Mask]


def find_absorbing(graph: Graph, rigid: set[str]) -> dict[str, bool]:
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
            # Where padding stays as it is, the constant is missing in the middle of the image only.
            case Conv2d() | SumPool2d() | Pad():
                absorbs = absorbing[node.name] and not any(node.padding)
            case Dense() | Flatten() | Add() | Concat() | Slice() | MaxPool2d() | Upsample2d():
                absorbs = absorbing[node.name]
            case _:
                absorbs = False
        for tensor in node.inputs:
            absorbing[tensor] &= absorbs
    return absorbing


def find_needed(graph: Graph, bounds: dict[str, Bounds], absorbing: dict[str, bool]) -> Masks:
    """By tensor: which channels must stay."""
    needed = {name: np.zeros(tensor.channels, dtype=bool) for name, tensor in graph.tensors.items()}
    for tensor in (*(port.name for port in graph.inputs), *(port.tensor for port in graph.outputs)):
        needed[tensor][:] = True
    weighed = {node.name: _find_weighed(node, bounds, absorbing) for node in graph.nodes}
    total = -1
    # What an operator needs on one side may be needed by others on that side, so repeat until nothing is added.
    while total != (total := sum(int(mask.sum()) for mask in needed.values())):
        for node in reversed(graph.nodes):
            y = needed[node.name]
            if not y.any():
                y[0] = True
            _add_needed(node, [needed[name] for name in node.inputs], y, weighed[node.name])
    return needed


def _find_weighed(node: Node, bounds: dict[str, Bounds], absorbing: dict[str, bool]) -> Mask:
    """(outputs, inputs of a group) of a Dense or Conv2d: which input matters to which output."""
    if not isinstance(node, Dense | Conv2d):
        return np.zeros((0, 0), dtype=bool)
    reach = bounds[node.inputs[0]]
    removable = (reach.low == reach.high) & ((reach.low == 0) | absorbing[node.name])
    if isinstance(node, Dense):
        return (node.weights != 0) & ~removable
    if any(node.padding):
        removable &= reach.low == node.pad_value
    of_outputs = removable.reshape(node.groups, -1).repeat(node.outputs // node.groups, axis=0)
    return (node.weights != 0).any(axis=(1, 2)) & ~of_outputs


def _add_needed(node: Node, inputs: list[Mask], y: Mask, weighed: Mask) -> None:
    x = inputs[0]
    match node:
        case Dense():
            x |= weighed[y].any(axis=0)
        case Conv2d():
            _add_groups(x.reshape(node.groups, -1), y.reshape(node.groups, -1), weighed)
        case Threshold() | Requantize() | Table() | Add() | Pool2d() | Pad() | Upsample2d():
            _unite(y, *inputs)
        case Concat():
            parts = np.split(y, np.cumsum([mask.size for mask in inputs])[:-1])
            for mask, part in zip(inputs, parts, strict=True):
                _unite(mask, part)
        case Slice():
            # A Slice takes neighbours only, so what lies between two of its channels comes along.
            first, last = np.flatnonzero(y)[[0, -1]]
            _unite(x[node.start[-1] + first : node.start[-1] + last + 1], y[first : last + 1])
        case Flatten():
            _unite(x, *y.reshape(-1, x.size))
        case DepthToSpace():
            places = node.split(np.arange(x.size)).reshape(-1, y.size)
            y |= x[places].any(axis=0)
            x[places] = y
        case _:
            for mask in (y, *inputs):
                mask[:] = True


def _unite(*masks: Mask) -> None:
    """Let each of the masks, in place, be their union."""
    union = np.logical_or.reduce(masks)
    for mask in masks:
        mask |= union


def _add_groups(x: Mask, y: Mask, weighed: Mask) -> None:
    """The same for masks (groups, inputs of one) and (groups, outputs of one).

    A group goes as a whole, or keeps as many inputs and outputs as each other group.
    """
    x |= (weighed.reshape(*y.shape, -1) & y[:, :, None]).any(axis=1)
    alive = x.any(axis=1) | y.any(axis=1)
    for mask in (x, y):
        most = max(1, int(mask.sum(axis=1).max()))
        for group in np.flatnonzero(alive):
            mask[group, np.flatnonzero(~mask[group])[: most - int(mask[group].sum())]] = True
