"""Random small stages of every kind, each told by a line of JSON from which it is built again, to measure areas on."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from espalier.hw.plan import LayerPlan, Plan
from espalier.ir.add import Add
from espalier.ir.argmax import ArgMax
from espalier.ir.concat import Concat
from espalier.ir.conv2d import Conv2d
from espalier.ir.dense import Dense
from espalier.ir.depth_to_space import DepthToSpace
from espalier.ir.graph import Graph, Input, IntType, Node, Output, TensorType
from espalier.ir.max_pool import MaxPool2d
from espalier.ir.pad import Pad
from espalier.ir.ranges import find_bounds
from espalier.ir.requantize import Requantize
from espalier.ir.slice import Slice
from espalier.ir.sum_pool import SumPool2d
from espalier.ir.table import Table
from espalier.ir.threshold import Threshold
from espalier.ir.upsample import Upsample2d

Spec = Mapping[str, Any]
"""What a stage is: only numbers, words and lists; ``seed`` for its weights and tables."""

WIDE = IntType(62, signed=True)
MOST_PRODUCT_BITS = 1200
"""Of one slot, so that synthesis takes seconds."""


@dataclass
class Growing:
    """A graph that grows by one node after the other, each in its narrowest type."""

    graph: Graph
    rng: np.random.Generator

    def append(self, name: str, operator: type[Node], source: str | tuple[str, ...] | None = None, **fields) -> str:
        source = source or self.graph.outputs[0].tensor
        node = operator(name, (source,) if isinstance(source, str) else source, WIDE, **fields)
        wide = replace(self.graph, nodes=(*self.graph.nodes, node))
        reach = find_bounds(wide)[name]
        node = replace(node, result=IntType.of_range(int(reach.low.min()), int(reach.high.max())))
        output = Output("y", name, wide.tensors[name].shape)
        self.graph = replace(self.graph, nodes=(*self.graph.nodes, node), outputs=(output,))
        return name

    def apply(self, name: str, what: str, bits: int) -> None:
        """The function ``what`` of the newest tensor, with random numbers."""
        reach, rng = find_bounds(self.graph)[self.graph.outputs[0].tensor], self.rng
        channels = reach.low.size
        if what == "threshold":
            steps = rng.integers(reach.low, reach.high + 1, ((1 << bits) - 1, channels), endpoint=True).T
            self.append(name, Threshold, thresholds=np.sort(steps, axis=1))
        elif what == "requantize":
            span, shift = np.maximum(1, reach.high - reach.low), 12
            multiplier = np.maximum(1, (rng.uniform(0.6, 1.4, channels) * (1 << shift + bits) / span).astype(np.int64))
            addend = rng.integers(-(1 << shift), 1 << shift, channels)
            low = 0 if int(reach.low.min()) == 0 or rng.random() < 0.7 else -(1 << bits - 1)
            self.append(name, Requantize, multiplier=multiplier, addend=addend, shift=shift, low=low,
                        high=low + (1 << bits) - 1)  # fmt: skip
        elif what == "table":
            dtype = self.graph.tensors[self.graph.outputs[0].tensor].dtype
            values = rng.integers(0, 1 << bits, (channels, 1 << dtype.bits))
            self.append(name, Table, values=values, first=dtype.low)


def build(spec: Spec) -> tuple[Graph, Plan]:
    """The graph of a stage, which may need helpers around it, and its plan."""
    rng = np.random.default_rng(spec["seed"])
    dtype = IntType(spec["x_bits"], spec.get("x_signed", False))
    shape = tuple(spec["shape"])
    ports = [
        Input(name, TensorType(shape, dtype), shape) for name in ("x", "z")[: 1 + (spec["kind"] in ("add", "concat"))]
    ]
    start = Graph(tuple(ports), (), (Output("y", "x", shape),), "stage")
    growing = Growing(start, rng)
    layers = BUILDERS[spec["kind"]](growing, spec)
    return growing.graph, Plan(layers=layers, depths=spec.get("depths", {}))


def random_weights(rng: np.random.Generator, shape: tuple[int, ...], bits: int, style: str) -> np.ndarray:
    """style: uniform over all codes (signs of 1 bit), or normal: small ones more often, as trained ones are."""
    if bits == 1:
        return 2 * rng.integers(0, 2, shape) - 1
    highest = (1 << bits - 1) - 1
    if style == "uniform":
        return rng.integers(-highest - 1, highest, shape, endpoint=True)
    return np.clip(np.round(rng.normal(0, max(0.7, highest / 2.5), shape)), -highest, highest).astype(np.int64)


def fold_of(spec: Spec, **more) -> LayerPlan:
    keys = ("engine", "pe", "simd", "multiplier", "memory", "order", "planes", "shifts_per_slot")
    return LayerPlan(**({key: spec[key] for key in keys if key in spec} | more))


def _dense(growing: Growing, spec: Spec) -> dict[str, LayerPlan]:
    weights = random_weights(growing.rng, (spec["outputs"], spec["shape"][-1]), spec["weight_bits"], spec["weights"])
    growing.append("unit", Dense, weights=weights)
    growing.apply("act", spec["function"], spec["y_bits"])
    return {"unit": fold_of(spec)}


def _conv(growing: Growing, spec: Spec) -> dict[str, LayerPlan]:
    groups, kernel = spec["groups"], spec["kernel"]
    shape = (spec["outputs"], kernel, kernel, spec["shape"][-1] // groups)
    weights = random_weights(growing.rng, shape, spec["weight_bits"], spec["weights"])
    growing.append(
        "unit", Conv2d, weights=weights, groups=groups, stride=(spec["stride"],) * 2, padding=(spec["padding"],) * 4
    )
    growing.apply("act", spec["function"], spec["y_bits"])
    return {"unit": fold_of(spec)}


def _pool(growing: Growing, spec: Spec) -> dict[str, LayerPlan]:
    operator = MaxPool2d if spec["operator"] == "max" else SumPool2d
    growing.append(
        "unit", operator, kernel=(spec["kernel"],) * 2, stride=(spec["stride"],) * 2, padding=(spec["padding"],) * 4
    )
    if spec["operator"] == "sum":
        growing.apply("act", spec["function"], spec["y_bits"])
    return {"unit": fold_of(spec)}


def _add(growing: Growing, spec: Spec) -> dict[str, LayerPlan]:
    growing.append("unit", Add, ("x", "z"), coefficients=tuple(spec["coefficients"]))
    growing.apply("act", spec["function"], spec["y_bits"])
    return {"unit": fold_of(spec)}


def _lanewise(growing: Growing, spec: Spec) -> dict[str, LayerPlan]:
    """Two functions in a row, a converter between them where their lanes differ."""
    growing.apply("unit", spec["function"], spec["y_bits"])
    growing.apply("next", "threshold", 1)
    return {"unit": fold_of(spec), "next": fold_of(spec, pe=spec["next_pe"])}


def _fork(growing: Growing, spec: Spec) -> dict[str, LayerPlan]:
    growing.append("unit", Add, ("x", "x"), coefficients=(1, 1))
    return {"unit": fold_of(spec)}


def _move(growing: Growing, spec: Spec) -> dict[str, LayerPlan]:
    """What only moves pixels and channels, and ArgMax."""
    height, width, channels = spec["shape"]
    what = spec["operator"]
    if what == "concat":
        growing.append("unit", Concat, ("x", "z"))
    elif what == "slice":
        growing.append("unit", Slice, start=(1, 0, channels // 3), stop=(height, width - 1, channels))
    elif what == "pad":
        growing.append("unit", Pad, padding=(1, 1, 1, 1), value=0)
    elif what == "upsample":
        growing.append("unit", Upsample2d, factor=(2, 2))
    elif what == "depth_to_space":
        growing.append("unit", DepthToSpace, block=2, order="DCR")
    else:
        growing.append("unit", ArgMax)
    return {"unit": fold_of(spec)}


BUILDERS: Mapping[str, Callable[[Growing, Spec], dict[str, LayerPlan]]] = {
    "dense": _dense,
    "conv": _conv,
    "pool": _pool,
    "add": _add,
    "concat": _move,
    "lanewise": _lanewise,
    "fork": _fork,
    "move": _move,
}


def draw(seed: int, engine: str = "mac", kind: str | None = None) -> Spec:
    """The specification number ``seed``, of any kind or the one given; of an engine other than mac, with weights."""
    rng = np.random.default_rng([seed, 20_26])
    drawn = str(rng.choice(list(SHARES), p=np.array(list(SHARES.values())) / sum(SHARES.values())))
    if engine != "mac":
        drawn = _pick(rng, "dense", "conv")
    spec = {"seed": seed, **DRAWERS[kind or drawn](rng)}
    return spec if engine == "mac" else _with_engine(rng, spec | {"engine": engine, "multiplier": "lut"})


def _with_engine(rng: np.random.Generator, spec: Spec) -> Spec:
    if spec["engine"] == "serial":
        # Weights of two bits, mostly -1, 0 and 1, have signs beside their planes.
        bits = {"weight_bits": 2, "weights": "normal"} if rng.random() < 0.4 else {}
        return spec | bits | {"planes": _pick(rng, "plane-major", "plane-major", "group-major"), "memory": "auto"}
    if spec["engine"] == "popcount":
        return spec | {"memory": "auto", "weight_bits": min(3, spec["weight_bits"]), "x_bits": min(3, spec["x_bits"])}
    kernel = spec.get("kernel", 1)
    most = max(2, int(400 / kernel**2 / spec["shape"][-1]))
    whole = spec | {"outputs": min(spec["outputs"], most), "memory": "auto", "groups": 1}
    return whole | {"pe": whole["outputs"], "simd": kernel**2 * spec["shape"][-1]}


def _log(rng: np.random.Generator, low: int, high: int) -> int:
    """From ``low`` to ``high``, each size of number as often."""
    return int(np.clip(np.round(np.exp(rng.uniform(np.log(low - 0.4), np.log(high + 0.4)))), low, high))


def _pick(rng: np.random.Generator, *values):
    return values[int(rng.integers(len(values)))]


def _function(rng: np.random.Generator, *others: str) -> dict[str, Any]:
    what = _pick(rng, "none", "threshold", "threshold", "threshold", "requantize", *others)
    bits = _pick(rng, 1, 2, 3, 4, 5) if what == "threshold" else _pick(rng, 2, 4, 8)
    return {"function": what, "y_bits": bits}


def _product(rng: np.random.Generator, outputs: int, inputs: int) -> dict[str, Any]:
    """Bits, style of weights and a fold of a matrix-vector product."""
    weight_bits, x_bits = _pick(rng, 1, 1, 2, 3, 4, 4, 5, 6, 8), _pick(rng, 1, 2, 2, 3, 4, 4, 6, 8)
    pe, simd = _size(rng, outputs), _size(rng, inputs)
    while pe * simd * weight_bits * x_bits > MOST_PRODUCT_BITS:
        if pe > simd:
            pe = _size(rng, pe - 1)
        else:
            simd = _size(rng, simd - 1)
    return {
        "weight_bits": weight_bits, "x_bits": x_bits, "x_signed": bool(rng.random() < 0.25),
        "weights": _pick(rng, "uniform", "normal"), "pe": pe, "simd": simd,
        "multiplier": "dsp" if rng.random() < 0.15 and pe * simd <= 24 else "lut",
        "memory": _pick(rng, "auto", "auto", "auto", "lut", "block", "logic"),
    }  # fmt: skip


def _size(rng: np.random.Generator, most: int) -> int:
    """A fold of ``most``: any number, but such that as many parts could not be smaller."""
    parts = -(-most // _log(rng, 1, most))
    return -(-most // parts)


def _draw_dense(rng: np.random.Generator) -> Spec:
    inputs, outputs = _log(rng, 2, 300), _log(rng, 1, 128)
    found = {"kind": "dense", "shape": [inputs], "outputs": outputs, **_product(rng, outputs, inputs), **_function(rng)}
    if found["memory"] == "logic" and inputs * outputs > 1500:
        found["memory"] = "auto"
    return found


def _draw_conv(rng: np.random.Generator) -> Spec:
    kernel, size = _pick(rng, 1, 3, 3, 3, 5), _log(rng, 5, 24)
    groups = _pick(rng, 1, 1, 1, 1, 2)
    channels, outputs = groups * _log(rng, 1, 32), groups * _log(rng, 1, 32)
    inputs = channels // groups
    whole = groups == 1 and kernel > 1 and channels <= 12 and rng.random() < 0.35
    product = _product(rng, outputs // groups, inputs * kernel**2 if whole else inputs)
    found = {
        "kind": "conv", "shape": [size, size, channels], "outputs": outputs, "kernel": kernel, "groups": groups,
        "stride": min(kernel, _pick(rng, 1, 1, 2)), "padding": kernel // 2 * _pick(rng, 0, 1), **product,
        **_function(rng),
    }  # fmt: skip
    if found["memory"] == "logic" and inputs * outputs * kernel**2 > 1500:
        found["memory"] = "auto"
    return found


def _draw_depthwise(rng: np.random.Generator) -> Spec:
    found, channels = dict(_draw_conv(rng)), _log(rng, 2, 64)
    kernel = _pick(rng, 2, 3, 3, 5)
    pe = min(16, _size(rng, channels))
    return found | {
        "shape": [*found["shape"][:2], channels], "outputs": channels, "groups": channels, "kernel": kernel,
        "padding": kernel // 2 * _pick(rng, 0, 1), "stride": _pick(rng, 1, 1, 2), "pe": pe, "simd": 1,
    }  # fmt: skip


def _draw_pool(rng: np.random.Generator) -> Spec:
    size, channels, kernel = _log(rng, 5, 40), _log(rng, 1, 64), _pick(rng, 2, 2, 3)
    what, stride = _pick(rng, "max", "max", "sum"), _pick(rng, kernel, kernel, 2)
    if what == "sum" and rng.random() < 0.5:
        kernel = stride = size
    return {
        "kind": "pool", "operator": what, "shape": [size, size, channels], "kernel": kernel, "stride": stride,
        "padding": int(kernel == 3 and rng.random() < 0.4), "pe": min(24, _size(rng, channels)),
        "x_bits": _pick(rng, 1, 2, 3, 4, 8), **_function(rng, "table"),
    }  # fmt: skip


def _draw_add(rng: np.random.Generator) -> Spec:
    channels = _log(rng, 1, 64)
    factors = _pick(rng, [1, 1], [1, 1], [3, 5], [1, -2], [7, 4])
    return {
        "kind": "add", "shape": [4, 4, channels], "coefficients": factors, "pe": min(16, _size(rng, channels)),
        "x_bits": _pick(rng, 2, 4, 6, 8), "x_signed": bool(rng.random() < 0.4), **_function(rng, "table"),
    }  # fmt: skip


def _draw_lanewise(rng: np.random.Generator) -> Spec:
    channels, what = _log(rng, 1, 96), _pick(rng, "threshold", "threshold", "requantize", "table")
    x_bits = _pick(rng, 3, 4, 6) if what == "table" else _pick(rng, 4, 6, 8, 12, 16)
    y_bits = _pick(rng, 1, 2, 3, 4, 5) if what == "threshold" else _pick(rng, 2, 4, 8)
    pe = min(24, _size(rng, channels))
    return {
        "kind": "lanewise", "shape": [4, 4, channels], "function": what, "y_bits": y_bits, "x_bits": x_bits,
        "x_signed": bool(rng.random() < 0.5), "pe": pe, "next_pe": _pick(rng, pe, min(24, _size(rng, channels))),
        "depths": {"unit": _depth(rng), "next": _depth(rng)},
    }  # fmt: skip


def _draw_move(rng: np.random.Generator) -> Spec:
    what = _pick(rng, "concat", "concat", "slice", "pad", "upsample", "depth_to_space", "argmax", "argmax")
    channels = 4 * _log(rng, 1, 12) if what == "depth_to_space" else _log(rng, 2, 48)
    size = 1 if what == "argmax" else _log(rng, 4, 20)
    most = channels // 4 if what == "depth_to_space" else channels
    return {
        "kind": "concat" if what == "concat" else "move", "operator": what, "shape": [size, size, channels],
        "x_bits": _pick(rng, 1, 2, 4, 8), "pe": min(24, _size(rng, most)),
    }  # fmt: skip


def _draw_fork(rng: np.random.Generator) -> Spec:
    channels = _log(rng, 1, 64)
    return {
        "kind": "fork", "shape": [4, 4, channels], "x_bits": _pick(rng, 1, 2, 4, 8),
        "pe": min(16, _size(rng, channels)),
        "depths": {"x_fork_0": _depth(rng, deep=True), "x_fork_1": _depth(rng)},
    }  # fmt: skip


def _depth(rng: np.random.Generator, *, deep: bool = False) -> int:
    return _log(rng, 1, 1500 if deep and rng.random() < 0.5 else 40)


def _draw_binary(rng: np.random.Generator) -> Spec:
    """Many signs times many bits in a slot."""
    inputs, outputs = _log(rng, 24, 600), _log(rng, 4, 96)
    pe, simd = _size(rng, min(32, outputs)), _size(rng, inputs)
    while pe * simd > MOST_PRODUCT_BITS:
        simd = _size(rng, simd - 1)
    return {
        "kind": "dense", "shape": [inputs], "outputs": outputs, "weight_bits": 1, "x_bits": _pick(rng, 1, 1, 1, 2),
        "weights": "uniform", "pe": pe, "simd": simd, "multiplier": "lut", "memory": _pick(rng, "auto", "lut"),
        **_function(rng),
    }  # fmt: skip


def _draw_ordered(rng: np.random.Generator) -> Spec:
    """Every beat to all outputs, or several products in a DSP block, or both."""
    found = dict(_draw_dense(rng) if rng.random() < 0.6 else _draw_conv(rng))
    order, multiplier = _pick(rng, ("input", "lut"), ("input", "lut"), ("output", "dsp"), ("input", "dsp"))
    pe = max(1, min(found["pe"], 24 // found["simd"])) if multiplier == "dsp" else found["pe"]
    return found | {"order": order, "multiplier": multiplier, "pe": pe}


SHARES = {"dense": 8, "conv": 7, "depthwise": 3, "pool": 3, "add": 3, "lanewise": 5, "move": 4, "fork": 2}

DRAWERS: Mapping[str, Callable[[np.random.Generator], Spec]] = {
    "dense": _draw_dense,
    "binary": _draw_binary,
    "ordered": _draw_ordered,
    "conv": _draw_conv,
    "depthwise": _draw_depthwise,
    "pool": _draw_pool,
    "add": _draw_add,
    "lanewise": _draw_lanewise,
    "move": _draw_move,
    "fork": _draw_fork,
}
