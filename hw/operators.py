# amaranth: UnusedElaboratable=no
"""Which stage serves which operator, and how operators fuse into stages."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from ..errors import GraphError
from ..ir.add import Add
from ..ir.argmax import ArgMax
from ..ir.concat import Concat
from ..ir.conv2d import Conv2d
from ..ir.dense import Dense
from ..ir.depth_to_space import DepthToSpace
from ..ir.flatten import Flatten
from ..ir.graph import Bounds, Graph, Ints, IntType, Node, TensorType
from ..ir.max_pool import MaxPool2d
from ..ir.pad import Pad
from ..ir.requantize import Requantize
from ..ir.slice import Slice
from ..ir.sum_pool import SumPool2d
from ..ir.table import Table
from ..ir.threshold import Threshold
from ..ir.upsample import Upsample2d
from .argmax import ArgMaxStage
from .dense import DenseStage, MakeFunction
from .function import LaneFunction
from .lanewise import LanewiseStage
from .part import Part
from .plan import LayerPlan
from .requantize import Requantizer
from .table import TableLookup
from .threshold import threshold_function


@dataclass(frozen=True, eq=False)
class Unit:
    """A step of the pipeline to be: the operators it does, in order; it is named after the first and makes the last
    one's tensor. ``sources``: the types of the first one's inputs."""

    nodes: tuple[Node, ...]
    sources: tuple[TensorType, ...]
    result: TensorType

    @property
    def name(self) -> str:
        return self.nodes[0].name

    @property
    def output(self) -> str:
        return self.nodes[-1].name

    @property
    def inputs(self) -> tuple[str, ...]:
        return self.nodes[0].inputs

    @property
    def source(self) -> TensorType:
        """The type of the first input."""
        return self.sources[0]

    @property
    def kind(self) -> str:
        node = self.nodes[0]
        if isinstance(node, Conv2d) and node.is_depthwise:
            return "depthwise"
        return KINDS.get(type(node), "lanewise")

    @property
    def weight_bits(self) -> int:
        """Bits of one weight as stored; 0 where there are none. Weights of +1 and -1 alone take one bit."""
        if not isinstance(node := self.nodes[0], Dense | Conv2d):
            return 0
        if (abs(node.weights) == 1).all():
            return 1
        return IntType.of_range(int(node.weights.min()), int(node.weights.max())).bits


# What a unit is folded as, by its first operator; a depthwise Conv2d is "depthwise", the others "lanewise".
KINDS: Mapping[type[Node], str] = {
    Dense: "dense",
    Conv2d: "conv",
    MaxPool2d: "max_pool",
    SumPool2d: "sum_pool",
    Add: "add",
    Concat: "concat",
    Slice: "slice",
    Pad: "pad",
    Upsample2d: "upsample",
    DepthToSpace: "depth_to_space",
    ArgMax: "argmax",
}

# The stages of a unit, one behind the other.
Build = Callable[[Unit, LayerPlan, Mapping[str, Bounds]], Sequence[Part]]
# node, lanes, type of the inputs, the highest of them, what each channel's inputs lack
Lower = Callable[[Any, int, IntType, int, Ints | None], LaneFunction]


def _threshold(node: Threshold, lanes: int, x_type: IntType, highest: int, lacking: Ints | None) -> LaneFunction:
    if lacking is not None:
        node = replace(node, thresholds=node.thresholds - lacking[:, None])
    return threshold_function(node, lanes, x_type, highest)


def _requantize(node: Requantize, lanes: int, x_type: IntType, highest: int, lacking: Ints | None) -> LaneFunction:
    if lacking is not None:
        node = replace(node, addend=node.addend + node.multiplier * lacking)
    return Requantizer(node, lanes, x_type)


def _table(node: Table, lanes: int, x_type: IntType, highest: int, lacking: Ints | None) -> LaneFunction:
    return TableLookup(node, lanes, x_type)


FUNCTIONS: Mapping[type[Node], Lower] = {Threshold: _threshold, Requantize: _requantize, Table: _table}

# A table's address is the very sum, so that it cannot make up for what the sum lacks.
FUSED = (Threshold, Requantize)


def make_function(unit: Unit) -> MakeFunction | None:
    """What turns the sums of the unit's first operator into codes on their way out, if it does so."""
    if len(unit.nodes) == 1:
        return None
    return partial(FUNCTIONS[type(unit.nodes[1])], unit.nodes[1])


def _dense(unit: Unit, fold: LayerPlan, bounds: Mapping[str, Bounds]) -> Sequence[Part]:
    node = unit.nodes[0]
    assert isinstance(node, Dense)
    reach, sums, pixels = bounds[node.inputs[0]], bounds[node.name], unit.source.pixels
    stage = DenseStage(node, fold, unit.source.dtype, reach, sums, pixels=pixels, make_function=make_function(unit))
    return [Part(unit.name, stage, (unit.source,), unit.result)]


def _lanewise(unit: Unit, fold: LayerPlan, bounds: Mapping[str, Bounds]) -> Sequence[Part]:
    node = unit.nodes[0]
    highest = int(bounds[node.inputs[0]].high.max())
    function = FUNCTIONS[type(node)](node, fold.pe, unit.source.dtype, highest, None)
    stage = LanewiseStage(function, unit.source.channels, unit.source.pixels)
    return [Part(unit.name, stage, (unit.source,), unit.result)]


def _argmax(unit: Unit, fold: LayerPlan, bounds: Mapping[str, Bounds]) -> Sequence[Part]:
    source, pixels = unit.source, unit.source.pixels
    stage = ArgMaxStage(source.channels, fold.pe, source.dtype, unit.result.dtype, pixels=pixels)
    return [Part(unit.name, stage, (source,), unit.result)]


STAGES: Mapping[type[Node], Build] = {
    Dense: _dense,
    Threshold: _lanewise,
    Requantize: _lanewise,
    Table: _lanewise,
    ArgMax: _argmax,
}


def units(graph: Graph) -> tuple[Unit, ...]:
    """The stages that ``graph`` needs, in topological order; Flatten needs none: it is a way to read a stream."""
    found: list[Unit] = []
    for node in graph.nodes:
        if isinstance(node, Flatten):
            continue
        if type(node) not in STAGES:
            known = ", ".join(sorted(kind.__name__ for kind in STAGES))
            raise GraphError(f"{node.name}: no hardware for {type(node).__name__}; known operators: {known}")
        place = next((i for i, unit in enumerate(found) if _fuses(graph, unit, node)), None)
        if place is not None:
            before = found.pop(place)
            found.append(Unit((*before.nodes, node), before.sources, graph.tensors[node.name]))
            continue
        sources = tuple(graph.tensors[name] for name in node.inputs)
        found.append(Unit((node,), sources, graph.tensors[node.name]))
    return tuple(found)


def made_as(graph: Graph, tensor: str) -> str:
    """The tensor that the stream of ``tensor`` was made as: Flatten is only a way to read it."""
    flat = {node.name: node.inputs[0] for node in graph.nodes if isinstance(node, Flatten)}
    while tensor in flat:
        tensor = flat[tensor]
    return tensor


def _fuses(graph: Graph, before: Unit, node: Node) -> bool:
    """A Dense takes the function of its sums along if nobody else reads them."""
    is_next = before.output == node.inputs[0] and graph.readers(before.output) == (node.name,)
    return is_next and isinstance(node, FUSED) and len(before.nodes) == 1 and isinstance(before.nodes[0], Dense)
