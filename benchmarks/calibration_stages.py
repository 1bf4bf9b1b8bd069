"""Small stages of every kind to measure areas on, each built from a line of JSON that tells it."""

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
