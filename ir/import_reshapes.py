"""Handlers of operators that only rearrange data: bookkeeping, until a layer needs another order."""

from dataclasses import replace

import numpy as np

from ..errors import GraphError
from .chain import Step
from .import_builder import Builder
from .import_call import Call
from .import_constants import fold, plain
from .import_layout import Layout, Places
from .import_values import Value
from .slice import Slice


def reshape(call: Call) -> Value:
    value = call.value
    full = np.empty((call.batch, *value.shape), dtype=np.int8)
    operands = [full, *(call.constant(i) for i in range(1, len(call.operands)))]
    shape = plain(fold(call.node, operands, call.opset)[0]).shape
    if not shape or shape[0] != call.batch:
        raise GraphError(f"{call.owner}: mixes frames: {list(full.shape)} becomes {list(shape)}")
    return _reshaped(call, value, tuple(shape[1:]))


def _reshaped(call: Call, value: Value, shape: tuple[int, ...]) -> Value:
    if shape == value.shape:
        return value
    if value.host_only:
        step = Step("Reshape", (np.array(shape, dtype=np.int64),))
        return replace(value.then(step, call.owner, call.output), host_shape=shape)
    return value.moved(lambda places: places.reshape(shape))


def transpose(call: Call) -> Value:
    value = call.value
    axes = list(range(len(value.shape) + 1))
    order = list(call.attributes.get("perm", axes[::-1]))
    if order[:1] != [0]:
        raise GraphError(f"{call.owner}: moves the batch axis; keep it first")
    if order == axes:
        return value
    if value.host_only:
        shape = tuple(value.shape[axis - 1] for axis in order[1:])
        step = Step("Transpose", (np.array(order),))
        return replace(value.then(step, call.owner, call.output), host_shape=shape)
    return value.moved(lambda places: places.transpose([axis - 1 for axis in order[1:]]))


def depth_to_space(call: Call) -> Value:
    block, mode = int(call.attributes["blocksize"]), call.attributes.get("mode", "DCR")
    channels, height, width = _image_shape(call)
    if channels % block**2:
        raise GraphError(f"{call.owner}: {channels} channels do not divide into blocks of {block}x{block} pixels")
    left = channels // block**2

    def move(places: Places) -> Places:
        if mode == "CRD":
            split = places.reshape(left, block, block, height, width).transpose(0, 3, 1, 4, 2)
        else:
            split = places.reshape(block, block, left, height, width).transpose(2, 3, 0, 4, 1)
        return split.reshape(left, height * block, width * block)

    return call.value.moved(move)


def space_to_depth(call: Call) -> Value:
    block = int(call.attributes["blocksize"])
    channels, height, width = _image_shape(call)
    if height % block or width % block:
        raise GraphError(f"{call.owner}: {height}x{width} pixels do not divide into blocks of {block}x{block}")

    def move(places: Places) -> Places:
        split = places.reshape(channels, height // block, block, width // block, block).transpose(2, 4, 0, 1, 3)
        return split.reshape(channels * block**2, height // block, width // block)

    return call.value.moved(move)


def _image_shape(call: Call) -> tuple[int, ...]:
    value = call.value
    if len(value.shape) != 3 or value.host_only:
        raise GraphError(
            f"{call.owner}: takes data of shape {list(value.shape)}; an image (channels, height, width) is needed"
        )
    return value.shape


def slice_(call: Call) -> Value:
    value = call.value
    rank = len(value.shape) + 1
    if len(call.operands) > 1:
        starts, stops, axes, steps = (call.integers(index) for index in range(1, 5))
    else:
        starts, stops, axes, steps = (call.attributes.get(name) for name in ("starts", "ends", "axes", "steps"))
    assert starts is not None and stops is not None
    axes = [axis % rank for axis in axes or range(len(starts))]
    box = [slice(None)] * rank
    for axis, start, stop, step in zip(axes, starts, stops, steps or [1] * len(starts), strict=True):
        box[axis] = slice(start, stop, step)
    return _cut(call, value, box)


def split(call: Call) -> list[Value]:
    value = call.value
    axis = int(call.attributes.get("axis", 0)) % (len(value.shape) + 1)
    sizes = call.integers(1) if len(call.operands) > 1 else call.attributes.get("split")
    size, parts = (call.batch, *value.shape)[axis], len(call.node.output)
    if sizes is None:
        each = -(-size // parts)
        sizes = [min(each, size - each * part) for part in range(parts)]
    ends = np.cumsum(sizes)
    boxes = [
        [slice(None)] * axis + [slice(int(end) - int(one), int(end))] for one, end in zip(sizes, ends, strict=True)
    ]
    return [_cut(call, value, box) for box in boxes]


def gather(call: Call) -> Value:
    """One index, or consecutive ones, along an axis."""
    value, found = call.value, call.constant(1)
    assert found is not None
    axis = int(call.attributes.get("axis", 0)) % (len(value.shape) + 1)
    size = (call.batch, *value.shape)[axis]
    index = found.reshape(-1).astype(np.int64) % size
    if found.ndim > 1 or (np.diff(index) != 1).any():
        raise GraphError(f"{call.owner}: picks elements that do not follow each other; slice the data instead")
    result = _cut(call, value, [slice(None)] * axis + [slice(int(index[0]), int(index[-1]) + 1)])
    return result if found.ndim else result.moved(lambda places: places.reshape(np.delete(places.shape, axis - 1)))


def _cut(call: Call, value: Value, box: list[slice]) -> Value:
    """A box of the model's data, batch axis first, as a box of the graph's tensor."""
    builder, owner = call.builder, call.owner
    kept, *box = box
    if kept.indices(call.batch) != (0, call.batch, 1):
        raise GraphError(f"{owner}: cuts the batch axis; keep all of it")
    if any(slice_.step not in (None, 1) for slice_ in box):
        raise GraphError(f"{owner}: takes every other element or reverses them; only steps of 1 are possible")
    if value.host_only:
        raise GraphError(f"{owner}: cuts data from {value.host_only}, which only the host can do; cut it before")
    if value.layout.places[tuple(box)].size == value.layout.places.size:
        return value
    value = builder.quantize_output(value, owner)
    places = value.layout.places[tuple(box)]
    if not places.size:
        raise GraphError(
            f"{owner}: cuts nothing out of data of shape {list(value.shape)}; every size must be at least 1"
        )
    corners = np.unravel_index(places, value.layout.shape)
    start, stop = tuple(int(c.min()) for c in corners), tuple(int(c.max()) + 1 for c in corners)
    shape = tuple(last - first for first, last in zip(start, stop, strict=True))
    if np.prod(shape) != places.size:
        raise GraphError(
            f"{owner}: cuts elements that do not lie together in {builder.tensors[value.tensor]}; cut channels, "
            "or pixels"
        )
    moved = np.ravel_multi_index(tuple(c - first for c, first in zip(corners, start, strict=True)), shape)
    steps = tuple(step.with_constants(lambda c: _cut_constant(c, value.shape, box)) for step in value.steps)
    name = _slice_node(builder, value, start, stop, owner)
    layout = Layout(shape, moved.astype(np.int32))
    assert value.grid is not None
    grid = value.grid.take(np.arange(start[-1], stop[-1]))
    return replace(value.carried_by(name, layout=layout, grid=grid), steps=steps)


def _slice_node(builder: Builder, value: Value, start: tuple[int, ...], stop: tuple[int, ...], owner: str) -> str:
    key = value.tensor, start, stop
    if key not in builder.moved:
        node = Slice(builder.numbered("slice"), (value.tensor,), builder.tensors[value.tensor].dtype, start, stop)
        builder.moved[key] = node.name
        builder.add_node(node, owner, builder.signs[value.tensor][start[-1] : stop[-1]])
    return builder.moved[key]


def _cut_constant(constant: np.ndarray, shape: tuple[int, ...], box: list[slice]) -> np.ndarray:
    if constant.ndim == 0:
        return constant
    return np.broadcast_to(constant, shape)[tuple(box)]
