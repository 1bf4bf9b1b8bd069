"""The graph's outputs: what the host does with the last integers, and ArgMax in hardware where it is exact."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import prod

import numpy as np

from ..errors import GraphError
from .argmax import ArgMax
from .chain import Chain, Step
from .graph import Ints, IntType, Output
from .import_builder import Builder
from .import_functions import MAX_POINTS
from .import_values import HOST_ONLY, Value, apply_affine, flat_step, is_affine
from .requantize import Requantize

# The largest two logits stay apart in float32 softmax and log-softmax if they are as far apart as this.
SOFTMAX_STEP = 2.0**-18
ARG_MAX = Step("ArgMax", attributes={"axis": 1, "keepdims": 1})


def make_outputs(builder: Builder, values: Mapping[str, Value], argmax: bool) -> tuple[Output, ...]:
    """One output for each value, by ONNX name; nodes are added for what belongs in hardware."""
    settled = {name: builder.quantize_output(value, f"output {name}") for name, value in values.items()}
    return tuple(_make_output(builder, name, value, argmax) for name, value in settled.items())


def _make_output(builder: Builder, onnx_name: str, value: Value, argmax: bool) -> Output:
    name = builder.names.port(onnx_name, "y")
    place = next((i for i, step in enumerate(value.steps) if step.operator == "ArgMax"), None)
    if argmax and place is None:
        if len([size for size in value.shape if size > 1]) > 1:
            raise GraphError(f"output {onnx_name}: has shape {list(value.shape)}; ArgMax needs one axis of classes")
        flat = replace(value, shape=(1,)).then(ARG_MAX, "ArgMax")
        return _with_arg_max(builder, name, onnx_name, flat, len(value.steps), required=True)
    if place is not None:
        return _with_arg_max(builder, name, onnx_name, value, place, required=argmax)
    return Output(name, value.tensor, value.shape, _host_chain(builder, value, value.steps))


def _with_arg_max(builder: Builder, name: str, onnx_name: str, value: Value, place: int, *, required: bool) -> Output:
    before, after = value.steps[:place], value.steps[place + 1 :]
    ranks = _ranks(builder, replace(value, steps=before))
    if isinstance(ranks, str):
        if required:
            raise GraphError(
                f"output {onnx_name}: ArgMax in hardware would not be exact: {ranks}; leave it to the host"
            )
        return Output(name, value.tensor, value.shape, _host_chain(builder, value, value.steps))
    source = _add_ranks(builder, value.tensor, ranks)
    node = builder.names.unique("argmax")
    result = IntType.of_range(0, max(1, builder.bounds[source].low.size - 1))
    builder.nodes[node] = ArgMax(node, (source,), result)
    chain = Chain((Step("Reshape", (np.array(value.shape, dtype=np.int64),)), *after))
    return Output(name, node, value.shape, chain)


@dataclass(frozen=True, eq=False)
class _Ranks:
    """Integers factor * code + term, (channels,), that order channels as the model's reals do."""

    factor: Ints
    term: Ints


def _ranks(builder: Builder, value: Value) -> _Ranks | str:
    """Such integers, proved at every code that each channel can take; or why there are none."""
    grid, bounds = value.grid, builder.bounds[value.tensor]
    assert grid is not None
    count = int((bounds.high - bounds.low).max()) + 1
    if count * bounds.low.size > MAX_POINTS:
        return f"its {count} values per channel are too many to compare"
    factor = grid.step * builder.signs[value.tensor]
    term = grid.base + _whole_biases(value)
    codes = np.minimum(bounds.low + np.arange(count, dtype=np.int64)[:, None], bounds.high)
    ranks = codes * factor + term
    kept = [flat_step(step) for step in value.steps if step.operator not in {*HOST_ONLY, "Reshape"}]
    reals = Chain((grid.dequantize(builder.signs[value.tensor]), *kept))(codes)
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
    for step, node in zip(value.steps, value.names, strict=False):
        if not is_affine(step):
            break
        grid = apply_affine(grid, flat_step(step), node, zero, zero)
    shifts = [offset / scale for offset, scale in zip(grid.offset, grid.scale, strict=True)]
    return np.array([round(shift - shifts[0]) for shift in shifts], dtype=np.int64)


def _add_ranks(builder: Builder, source: str, ranks: _Ranks) -> str:
    """The tensor of the ranks: ``source`` itself where they are its codes, up to one constant or factor for all."""
    if (ranks.factor == ranks.factor[0]).all() and ranks.factor[0] > 0 and (ranks.term == ranks.term[0]).all():
        return source
    bounds = builder.bounds[source]
    ends = np.stack([bounds.low, bounds.high]) * ranks.factor + ranks.term
    low, high = int(ends.min()), int(ends.max())
    name = builder.names.unique(f"{source}_rank")
    result = IntType.of_range(low, high)
    node = Requantize(name, (source,), result, ranks.factor, ranks.term, 0, low, high)
    builder.nodes[name] = node
    builder.bounds[name] = node.bounds(bounds)
    return name


def _host_chain(builder: Builder, value: Value, steps: tuple[Step, ...]) -> Chain:
    """From the integers of the value's tensor to what the model returns."""
    assert value.grid is not None
    channels = prod(value.shape)
    dequantize = value.grid.dequantize(builder.signs[value.tensor])
    shaped = next((i for i, step in enumerate(steps) if step.operator in {*HOST_ONLY, "Reshape"}), None)
    if shaped is not None:
        return Chain((dequantize, *map(flat_step, steps[:shaped]), *steps[shaped:]))
    reshape = (Step("Reshape", (np.array(value.shape, dtype=np.int64),)),) if value.shape != (channels,) else ()
    return Chain((dequantize, *map(flat_step, steps), *reshape))
