"""Handlers of operators that join tensors: Concat, functions of one tensor, and the choice between them and sums."""

from dataclasses import dataclass, replace

import numpy as np

from ..errors import GraphError
from .chain import Step
from .concat import Concat
from .dense import Dense
from .graph import Ints
from .import_additions import LazyAdd
from .import_builder import ANY, Builder, Lazy
from .import_call import Call
from .import_layout import (
    Arrangement,
    Layout,
    channels_first,
    channels_last,
    flat,
    image_layout,
    inverse,
    plain_layout,
    positions,
)
from .import_moves import as_image, image_with_steps
from .import_values import Grid, Value


def join(call: Call) -> Value:
    """Two streams of data: functions of one tensor are one function; others can be added."""
    first, second = call.streams
    if first.host_only or second.host_only:
        raise GraphError(
            f"{call.owner}: takes data from {first.host_only or second.host_only}, which only the host can do; do it "
            "after an output"
        )
    if first.tensor == second.tensor and np.array_equal(first.layout.places, second.layout.places):
        return _function_of_one(call, first, second)
    if call.operator not in ("Add", "Sub"):
        raise GraphError(
            f"{call.owner}: joins 2 streams of data by {call.operator}; only Add, Sub and Concat can, and others if "
            "both are functions of one tensor"
        )
    if first.shape != second.shape:
        raise GraphError(
            f"{call.owner}: adds data of shapes {list(first.shape)} and {list(second.shape)}; only data of one shape "
            "can be added"
        )
    return _add(call, first, second)


def _function_of_one(call: Call, first: Value, second: Value) -> Value:
    """As steps after those that both have in common."""
    shared = 0
    for one, two in zip(first.origins, second.origins, strict=False):
        if one.output != two.output:
            break
        shared += 1
    base, quantizers = first.until(shared), first.until(shared).quantizers
    ends = first.after(shared).steps, second.after(shared).steps
    if quantizers and not call.builder.is_undecided(base):  # few codes rather than many
        base = call.builder.quantize_output(base, call.owner)
    if not any(ends) and call.operator == "Add":
        return base.then(Step("Mul", (np.array(2, dtype=np.float32),)), call.owner, call.output)
    step = Step("Both", attributes={"operator": call.operator}, branches=ends)
    return base.then(step, call.owner, call.output)


def _add(call: Call, first: Value, second: Value) -> Value:
    builder, owner = call.builder, call.owner
    arrange = _arrangement_of(builder, first, second)
    first, second = (builder.quantize(value, owner, arrange) for value in (first, second))
    if len(first.shape) in (2, 3) and not _lie_alike(first, second):
        first, second = (as_image(builder, value, arrange, owner) for value in (first, second))
    if not _lie_alike(first, second):
        first, second = (_in_order(builder, value, owner) for value in (first, second))
    lazy = LazyAdd(first, second, -1 if call.operator == "Sub" else 1, owner)
    return Value(builder.add_lazy("add", lazy), first.layout, None)


def _lie_alike(first: Value, second: Value) -> bool:
    alike = first.layout.shape == second.layout.shape
    return alike and np.array_equal(first.layout.places, second.layout.places)


def _arrangement_of(builder: Builder, *values: Value) -> Arrangement:
    """How the data lies that is decided already, else channels first."""
    known = [value.layout for value in values if not builder.is_undecided(value)]
    alike = any(np.array_equal(channels_last(layout.places), positions(layout.shape)) for layout in known)
    return channels_last if alike and len(values[0].shape) in (2, 3) else channels_first


def _in_order(builder: Builder, value: Value, owner: str) -> Value:
    """A vector in the model's order; value: without steps."""
    value = builder.flatten(value)
    places, grid = value.layout.places.reshape(-1), value.grid
    assert grid is not None
    if np.array_equal(places, positions(places.shape)):
        return value
    key = value.tensor, "in order", places.tobytes()
    if key not in builder.moved:
        permutation = np.zeros((places.size, places.size), dtype=np.int64)
        permutation[np.arange(places.size), places] = 1
        node = Dense(builder.numbered("permute"), (value.tensor,), ANY, permutation)
        builder.moved[key] = builder.add_node(node, owner, builder.signs[value.tensor][places]).name
    layout = Layout(value.layout.shape, inverse(places)[value.layout.places])
    return value.carried_by(builder.moved[key], layout=layout, grid=grid.take(places.astype(np.int64)))


def concat(call: Call) -> Value:
    if len(call.streams) != len(call.operands):
        raise GraphError(f"{call.owner}: joins data and constants; only data can be joined")
    rank = len(call.streams[0].shape)
    axis = int(call.attributes["axis"]) % (rank + 1)
    if any(value.host_only for value in call.streams) or axis not in (1, rank) or rank > 3:
        raise GraphError(
            f"{call.owner}: joins along axis {axis} of {rank + 1}; only channels can be joined, once quantized"
        )
    arrange = flat if rank == 1 else channels_last if axis == rank else channels_first
    parts = tuple(_part(call, value, arrange) for value in call.streams)
    if len(parts) == 1:
        return parts[0]
    channels = sum(part.layout.channels for part in parts)
    name = call.builder.add_lazy("concat", LazyConcat(tuple(p.in_order() for p in parts), call.owner))
    if rank == 1:
        ends = np.cumsum([0, *(part.layout.channels for part in parts)])
        places = [part.layout.places + end for part, end in zip(parts, ends[:-1], strict=True)]
        return Value(name, Layout((channels,), np.concatenate(places).astype(np.int32)), None)
    if len({part.layout.shape[:-1] for part in parts}) > 1:
        raise GraphError(
            f"{call.owner}: joins images of different sizes, {[list(p.shape) for p in parts]}; resize them"
        )
    shape = (*parts[0].layout.shape[:2], channels)
    return Value(name, image_layout(shape, call.streams[0].layout.places, arrange), None)


def _part(call: Call, value: Value, arrange: Arrangement) -> Value:
    builder = call.builder
    value = builder.even(builder.settle(value, call.owner, arrange), call.owner)
    if arrange is not flat:
        return image_with_steps(builder, value, arrange, call.owner)
    if len(value.layout.shape) == 1:
        return value
    return builder.flatten(builder.quantize_output(value, call.owner))


@dataclass(frozen=True, eq=False)
class LazyConcat(Lazy):
    """The channels of ``parts``, which lie in the graph's order and may have steps to come."""

    parts: tuple[Value, ...]
    owner: str

    def apply(self, builder: Builder, value: Value, end: int, consumer: str) -> Value:
        whole, begin, done = value.in_order(), 0, []
        for part in self.parts:
            channels = slice(begin, begin + part.layout.channels)
            steps = tuple(
                step.with_constants(lambda c, s=channels: c if c.ndim == 0 else c[..., s]) for step in whole.steps
            )
            longer = part.with_steps_of(replace(whole, steps=steps))
            done.append(builder.apply(longer, len(longer.steps), consumer))
            begin = channels.stop
        return self._concat(builder, done)

    def make(self, builder: Builder, value: Value, consumer: str) -> Value:
        return self._concat(builder, [builder.quantize(part, self.owner) for part in self.parts])

    def _concat(self, builder: Builder, parts: list[Value]) -> Value:
        tensors = tuple(part.tensor for part in parts)
        node = Concat(builder.numbered("concat"), tensors, ANY)
        signs: Ints = np.concatenate([builder.signs[name] for name in tensors])
        builder.add_node(node, self.owner, signs)
        grids = [part.grid for part in parts if part.grid is not None]
        if len({grid.step for grid in grids}) > 1:
            grids = [grid.of_codes() for grid in grids]
        fields = ("base", "scale", "offset", "noise")
        joined = Grid(grids[0].step, *(np.concatenate([getattr(grid, name) for grid in grids]) for name in fields))
        return Value(node.name, plain_layout(builder.tensors[node.name].shape), joined)
