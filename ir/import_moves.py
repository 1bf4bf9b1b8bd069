"""Brings data into the order that an operator on images needs, by the operators that rearrange it."""

from dataclasses import replace
from functools import partial
from hashlib import sha256

import numpy as np

from ..errors import GraphError
from .conv2d import Conv2d
from .dense import Dense
from .depth_to_space import ORDERS, DepthToSpace
from .graph import Ints, Node
from .import_builder import ANY, Builder
from .import_layout import Arrangement, Layout, Places, inverse, positions
from .import_values import Value

NAMES = {DepthToSpace: "shuffle", Conv2d: "unshuffle", Dense: "permute"}


def as_image(builder: Builder, value: Value, arrange: Arrangement, owner: str) -> Value:
    """The value, without steps, in a tensor (height, width, channels) that lies as ``arrange`` sees its data."""
    return arranged(builder, value, arrange, owner, required=True)


def image_with_steps(builder: Builder, value: Value, arrange: Arrangement, owner: str) -> Value:
    """The value, maybe lazy and with steps to come, in a tensor that lies as ``arrange`` sees the model's data."""
    wanted = arrange(value.layout.places)
    if np.array_equal(wanted, positions(value.layout.shape)):
        return value
    return as_image(builder, builder.quantize_output(value, owner), arrange, owner)


def arranged(builder: Builder, value: Value, arrange: Arrangement, owner: str, *, required: bool = False) -> Value:
    """The value, without Lazy, in that order; as it is where there is no operator for it and it is not required."""
    wanted, layout = arrange(value.layout.places), value.layout
    if wanted.ndim != 3:
        if not required:
            return value
        raise GraphError(
            f"{owner}: takes an image, but data of shape {list(value.shape)} comes in; reshape it to (channels, "
            "height, width) before"
        )
    if np.array_equal(wanted, positions(layout.shape)):
        return value
    if value.uneven() is not None and not required:
        return value
    value = builder.make(value, owner)
    node = _find_node(builder, value, wanted) if len(layout.shape) == 3 else None
    if node is not None:
        return _moved_by(builder, value, node, wanted, owner)
    if not required:
        return value
    raise GraphError(
        f"{owner}: takes data of shape {list(value.shape)} in an order to which no operator brings the graph's "
        f"{builder.tensors[value.tensor]}; do without the reshape or transpose before it"
    )


def _find_node(builder: Builder, value: Value, wanted: Places) -> Node | None:
    """A node that turns the positions in the value's tensor into those ``wanted``."""
    height, width, channels = value.layout.shape
    rows, columns, outputs = wanted.shape
    name, inputs = f"{value.tensor}_moved", (value.tensor,)
    source = positions(value.layout.shape)[None].astype(np.int64)
    candidates = []
    if (rows, columns) == (height, width):
        order = wanted[0, 0]
        if order.max() < channels:
            permutation = np.zeros((outputs, channels), dtype=np.int64)
            permutation[np.arange(outputs), order] = 1
            candidates.append(partial(Dense, name, inputs, ANY, permutation))
    elif rows % height == 0 and rows // height == columns // width:
        block = rows // height
        candidates += [partial(DepthToSpace, name, inputs, ANY, block, order) for order in ORDERS]
    elif height % rows == 0 and height // rows == width // columns:
        block = height // rows
        weights = _space_to_depth(wanted[0, 0], value.layout.shape, block)
        if weights is not None:
            candidates.append(partial(Conv2d, name, inputs, ANY, weights, (block, block)))
    for make in candidates:
        node = make()
        if np.array_equal(node.evaluate(source)[0], wanted):
            return node
    return None


def _space_to_depth(first: Places, shape: tuple[int, ...], block: int) -> Ints | None:
    """Weights that copy the pixels of a block to the channels of one pixel, ``first`` being those of the first."""
    row, column, channel = np.unravel_index(first, shape)
    if row.max() >= block or column.max() >= block:
        return None
    weights = np.zeros((first.size, block, block, shape[2]), dtype=np.int64)
    weights[np.arange(first.size), row, column, channel] = 1
    return weights


def _moved_by(builder: Builder, value: Value, node: Node, wanted: Places, owner: str) -> Value:
    grid, signs = value.grid, builder.signs[value.tensor]
    assert grid is not None
    channels = (wanted % value.layout.channels).reshape(-1, wanted.shape[-1])  # of the source, by pixel
    first = channels[0]
    for each in (grid.base, grid.scale, grid.offset, signs):
        if (each[channels] != each[first]).any():
            raise GraphError(
                f"{owner}: mixes channels of {value.tensor} that have different scales; give the layer or quantizer "
                "before it one scale for all channels"
            )
    key = value.tensor, wanted.shape, sha256(wanted.tobytes()).hexdigest()
    if key not in builder.moved:
        builder.moved[key] = builder.numbered(NAMES[type(node)])
        builder.add_node(replace(node, name=builder.moved[key]), owner, signs[first])
    layout = Layout(wanted.shape, inverse(wanted)[value.layout.places])
    return value.carried_by(builder.moved[key], layout=layout, grid=grid.take(first))
