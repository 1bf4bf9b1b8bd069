"""The graph without the channels that are not needed, and with their constants in the functions that take them up."""

from dataclasses import replace

import numpy as np

from .add import Add
from .concat import Concat
from .conv2d import Conv2d
from .dense import Dense
from .flatten import Flatten
from .graph import Bounds, Graph, Ints, IntType, Node
from .max_pool import MaxPool2d
from .needed_channels import Mask, Masks
from .pad import Pad
from .requantize import Requantize
from .slice import Slice
from .sum_pool import SumPool2d
from .table import Table
from .threshold import Threshold
from .upsample import Upsample2d


def shrink_channels(graph: Graph, bounds: dict[str, Bounds], needed: Masks) -> Graph:
    """Keep the channels ``needed``, as find_needed gives them for the graph's ``bounds``."""
    # What was taken off each channel of each tensor: before = after + moved.
    moved = {port.name: np.zeros(port.type.channels, dtype=np.int64) for port in graph.inputs}
    nodes = []
    for node in graph.nodes:
        keep = needed[node.name]
        shift = np.where(keep, _find_shift(node, bounds, needed, [moved[name] for name in node.inputs], keep.size), 0)
        smaller = _shrink(node, bounds[node.inputs[0]], needed[node.inputs[0]], moved[node.inputs[0]], keep)
        if shift.any():
            low, high = bounds[node.name].low - shift, bounds[node.name].high - shift
            smaller = replace(smaller, result=IntType.of_range(int(low[keep].min()), int(high[keep].max())))
        moved[node.name] = shift
        nodes.append(smaller)
    return replace(graph, nodes=tuple(nodes))


def _find_shift(node: Node, bounds: dict[str, Bounds], needed: Masks, moved: list[Ints], channels: int) -> Ints:
    """What is taken off the node's kept channels, where ``moved`` was taken off those of its inputs."""
    source, x = node.inputs[0], moved[0]
    # An input that goes is constant, or no kept output weighs it: its lower bound is as good as any value.
    gone = np.where(needed[source], x, bounds[source].low)
    match node:
        case Dense():
            return node.weights @ gone
        case Conv2d():
            of_outputs = gone.reshape(node.groups, -1).repeat(node.outputs // node.groups, axis=0)
            return (node.weights.sum(axis=(1, 2)) * of_outputs).sum(axis=1)
        case Add():
            return node.coefficients[0] * x + node.coefficients[1] * moved[1]
        case Concat():
            return np.concatenate(moved)
        case Slice():
            return x[node.start[-1] : node.stop[-1]]
        case Flatten():
            return np.tile(x, channels // x.size)
        case SumPool2d():
            return x * (node.kernel[0] * node.kernel[1])
        case MaxPool2d() | Upsample2d() | Pad():
            return x
    return np.zeros(channels, dtype=np.int64)


def _shrink(node: Node, reach: Bounds, inputs: Mask, moved: Ints, keep: Mask) -> Node:
    """The node with the channels ``keep`` of ``inputs`` from which ``moved`` was taken off.

    reach: the bounds of all the first input's channels, before anything was taken off.
    """
    match node:
        case Dense():
            return replace(node, weights=node.weights[keep][:, inputs])
        case Conv2d():
            return _shrink_conv(node, inputs.reshape(node.groups, -1), keep.reshape(node.groups, -1))
        case Slice():
            first, last = np.flatnonzero(keep)[[0, -1]] + node.start[-1]
            start = int(inputs[:first].sum())
            stop = start + int(inputs[first : last + 1].sum())
            return replace(node, start=(*node.start[:-1], start), stop=(*node.stop[:-1], stop))
        case Threshold():
            # Clipped first, for thresholds may stand at the ends of int64.
            clipped = np.clip(node.thresholds, reach.low[:, None], reach.high[:, None] + 1)
            thresholds = clipped - moved[:, None] if moved.any() else node.thresholds
            return replace(node, thresholds=thresholds[keep])
        case Requantize():
            addend = node.addend + node.multiplier * moved
            return replace(node, multiplier=node.multiplier[keep], addend=addend[keep])
        case Table():
            return _shift_table(node, reach, moved, keep)
    return node


def _shrink_conv(node: Conv2d, inputs: Mask, keep: Mask) -> Conv2d:
    """``inputs`` (groups, inputs of one) and ``keep`` (groups, outputs of one); the groups that stay are as large."""
    groups = np.flatnonzero(keep.any(axis=1))
    weights = node.weights.reshape(*keep.shape, *node.weights.shape[1:])
    kept = [weights[group][keep[group]][..., inputs[group]] for group in groups]
    return replace(node, weights=np.concatenate(kept), groups=len(groups))


def _shift_table(node: Table, reach: Bounds, moved: Ints, keep: Mask) -> Table:
    if not moved[keep].any():
        return replace(node, values=node.values[keep])
    low, high, moved = reach.low[keep], reach.high[keep], moved[keep]
    first, last = int((low - moved).min()), int((high - moved).max())
    # Codes that a channel cannot reach repeat its nearest entry.
    codes = np.clip(np.arange(first, last + 1) + moved[:, None], low[:, None], high[:, None])
    return replace(node, values=np.take_along_axis(node.values[keep], codes - node.first, axis=1), first=first)
