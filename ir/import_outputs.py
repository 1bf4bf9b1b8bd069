"""The graph's outputs: what the host does with the last integers, and ArgMax in hardware where it is exact."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from ..errors import GraphError
from .argmax import ArgMax
from .chain import Chain, Step
from .graph import Ints, IntType, Output
from .import_builder import ANY, Builder
from .import_functions import MAX_POINTS
from .import_layout import channels_first
from .import_moves import arranged
from .import_values import HOST_ONLY, Value, apply_affine, is_affine
from .requantize import Requantize

# The largest two logits stay apart in float32 softmax and log-softmax if they are as far apart as this.
SOFTMAX_STEP = 2.0**-18


def make_outputs(builder: Builder, values: Mapping[str, Value], argmax: bool) -> tuple[Output, ...]:
    """One output for each value, by ONNX name; nodes are added for what belongs in hardware."""
    settled = {name: settle_output(builder, name, value) for name, value in values.items()}
    return tuple(make_output(builder, name, value, argmax) for name, value in settled.items())


def settle_output(builder: Builder, name: str, value: Value) -> Value:
    """The value as integers, images in an order that streams pixel by pixel where there is an operator for that."""
    owner = f"output {name}"
    value = builder.quantize_output(value, owner)
    if all(step.operator != "Gather" for step in value.layout.to_model()):
        return value
    return arranged(builder, value, channels_first, owner)


def make_output(builder: Builder, onnx_name: str, value: Value, argmax: bool) -> Output:
    name = builder.names.port(onnx_name, "y")
    place = next((i for i, step in enumerate(value.steps) if step.operator == "ArgMax"), None)
    if argmax and place is None:
        if len([size for size in value.shape if size > 1]) > 1:
            raise GraphError(f"output {onnx_name}: has shape {list(value.shape)}; ArgMax needs one axis of classes")
        axis = 1 + int(np.argmax(value.shape))
        step = Step("ArgMax", attributes={"axis": axis, "keepdims": 1})
        marked = replace(value.then(step, "ArgMax", onnx_name), host_shape=(1,))
        return _with_arg_max(builder, name, onnx_name, marked, len(value.steps), required=True)
    if place is not None:
        return _with_arg_max(builder, name, onnx_name, value, place, required=argmax)
    return Output(name, value.tensor, value.shape, _host_chain(builder, value))


def _with_arg_max(builder: Builder, name: str, onnx_name: str, value: Value, place: int, *, required: bool) -> Output:
    after = value.steps[place + 1 :]
    ranks = (
        _ranks(builder, value.until(place)) if _classes_are_channels(value, place) else "its classes are no channels"
    )
    if isinstance(ranks, str):
        if required:
            raise GraphError(
                f"output {onnx_name}: ArgMax in hardware would not be exact: {ranks}; leave it to the host"
            )
        return Output(name, value.tensor, value.shape, _host_chain(builder, value))
    source = _add_ranks(builder, value.tensor, ranks)
    node = builder.names.unique("argmax")
    result = IntType.of_range(0, max(1, builder.bounds[source].low.size - 1))
    builder.add_node(ArgMax(node, (source,), result), node)
    chain = Chain((Step("Reshape", (np.array(value.shape, dtype=np.int64),)), *after))
    return Output(name, node, value.shape, chain)


@dataclass(frozen=True, eq=False)
class _Ranks:
    """Integers factor * code + term, (channels,), that order channels as the model's reals do."""

    factor: Ints
    term: Ints


def _ranks(builder: Builder, value: Value) -> _Ranks | str:
    """Such integers, proved at every code that each channel can take; or why there are none."""
    if value.uneven() is not None:
        return "its biases differ among pixels"
    grid, bounds = value.grid, builder.bounds[value.tensor]
    assert grid is not None
    count = int((bounds.high - bounds.low).max()) + 1
    if count * bounds.low.size > MAX_POINTS:
        return f"its {count} values per channel are too many to compare"
    factor = grid.step * builder.signs[value.tensor]
    term = grid.base + _whole_biases(value)
    codes = np.minimum(bounds.low + np.arange(count, dtype=np.int64)[:, None], bounds.high)
    ranks = codes * factor + term
    steps = (grid.dequantize(builder.signs[value.tensor]), *value.channel_steps())
    reals = Chain(steps)(codes)
    if not np.isfinite(reals).all():
        return "some of its reals overflow float32"
    order = np.argsort(ranks, axis=None, kind="stable")
    rank_steps, real_steps = np.diff(ranks.ravel()[order]), np.diff(reals.ravel()[order])
    if ((rank_steps == 0) & (real_steps != 0)).any():
        return "its channels have different scales or biases that are no whole number of steps"
    if ((rank_steps > 0) & (real_steps <= 0)).any():
        return "different integers give equal or falling float32 results"
    if (
        any(step.operator in HOST_ONLY for step in value.steps)
        and real_steps[rank_steps > 0].min(initial=np.inf) < SOFTMAX_STEP
    ):
        return "its logits can be closer to each other than float32 softmax can tell"
    return _Ranks(factor, term - int(term.min()))


def _whole_biases(value: Value) -> Ints:
    """Biases that the model adds, in steps of the accumulator and relative to channel 0, rounded to whole numbers."""
    grid = value.grid
    assert grid is not None
    zero = np.zeros(grid.channels, dtype=np.int64)
    for step, node in zip(value.channel_steps(), value.names, strict=False):
        if not is_affine(step):
            break
        grid = apply_affine(grid, step, node, zero, zero)
    shifts = [offset / scale for offset, scale in zip(grid.offset, grid.scale, strict=True)]
    return np.array([round(shift - shifts[0]) for shift in shifts], dtype=np.int64)


def _classes_are_channels(value: Value, place: int) -> bool:
    """Whether the ArgMax at ``place`` chooses among the channels of each pixel, pixels in order."""
    layout, axis = value.layout, int(value.steps[place].attributes["axis"]) - 1
    if layout.pixels == 1:
        return is_in_order(layout.places)
    moved = any(step.operator in ("Transpose", "Reshape") for step in value.steps[value.shaped + 1 : place])
    return (
        not moved and layout.model_shape[axis] == layout.channels and is_in_order(np.moveaxis(layout.places, axis, -1))
    )


def is_in_order(places: np.ndarray) -> bool:
    return np.array_equal(places.ravel(), np.arange(places.size))


def _add_ranks(builder: Builder, source: str, ranks: _Ranks) -> str:
    """The tensor of the ranks: ``source`` itself where they are its codes, up to one constant or factor for all."""
    if (ranks.factor == ranks.factor[0]).all() and ranks.factor[0] > 0 and (ranks.term == ranks.term[0]).all():
        return source
    bounds = builder.bounds[source]
    ends = np.stack([bounds.low, bounds.high]) * ranks.factor + ranks.term
    low, high = int(ends.min()), int(ends.max())
    name = builder.names.unique(f"{source}_rank")
    builder.add_node(Requantize(name, (source,), ANY, ranks.factor, ranks.term, 0, low, high), name)
    return name


def _host_chain(builder: Builder, value: Value) -> Chain:
    """From the integers of the value's tensor to what the model returns."""
    assert value.grid is not None
    dequantize, uneven = value.grid.dequantize(builder.signs[value.tensor]), value.uneven()
    count = value.shaped if uneven is None else uneven
    return Chain((dequantize, *value.until(count).channel_steps(), *value.layout.to_model(), *value.steps[count:]))
