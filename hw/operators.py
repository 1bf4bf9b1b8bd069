# amaranth: UnusedElaboratable=no
"""Which stage serves which operator, and how operators fuse into stages."""

from collections.abc import Callable, Mapping, Sequence

from ..errors import GraphError
from ..ir.add import Add
from ..ir.argmax import ArgMax
from ..ir.concat import Concat
from ..ir.conv2d import Conv2d
from ..ir.dense import Dense
from ..ir.depth_to_space import DepthToSpace
from ..ir.flatten import Flatten
from ..ir.graph import Bounds, Graph, Node
from ..ir.max_pool import MaxPool2d
from ..ir.pad import Pad
from ..ir.requantize import Requantize
from ..ir.slice import Slice
from ..ir.sum_pool import SumPool2d
from ..ir.table import Table
from ..ir.threshold import Threshold
from ..ir.upsample import Upsample2d
from .add import build_add
from .argmax import ArgMaxStage
from .concat import build_concat
from .conv2d import build_conv2d
from .dense import build_dense
from .depth_to_space import build_depth_to_space
from .lanewise import LanewiseStage
from .lower import lower
from .pad import build_pad
from .part import Part
from .plan import LayerPlan
from .pool import build_pool
from .slice import build_slice
from .unit import Unit
from .upsample import build_upsample

# The stages of a unit, one behind the other.
Build = Callable[[Unit, LayerPlan, Mapping[str, Bounds]], Sequence[Part]]

# Which functions a stage applies to its own sums. A Table is left to a stage of fewer lanes where sums take many slots.
FUSED: Mapping[type[Node], tuple[type[Node], ...]] = {
    Dense: (Threshold, Requantize),
    Conv2d: (Threshold, Requantize),
    SumPool2d: (Threshold, Requantize, Table),
    Add: (Threshold, Requantize, Table),
}


def _lanewise(unit: Unit, fold: LayerPlan, bounds: Mapping[str, Bounds]) -> Sequence[Part]:
    node = unit.nodes[0]
    highest = int(bounds[node.inputs[0]].high.max())
    stage = LanewiseStage(lower(node, fold.pe, unit.source.dtype, highest), unit.source.channels, unit.source.pixels)
    return [Part(unit.name, stage, (unit.source,), unit.result)]


def _argmax(unit: Unit, fold: LayerPlan, bounds: Mapping[str, Bounds]) -> Sequence[Part]:
    source, pixels = unit.source, unit.source.pixels
    stage = ArgMaxStage(source.channels, fold.pe, source.dtype, unit.result.dtype, pixels=pixels)
    return [Part(unit.name, stage, (source,), unit.result)]


STAGES: Mapping[type[Node], Build] = {
    Dense: build_dense,
    Conv2d: build_conv2d,
    Add: build_add,
    Concat: build_concat,
    Slice: build_slice,
    Threshold: _lanewise,
    Requantize: _lanewise,
    Table: _lanewise,
    ArgMax: _argmax,
    MaxPool2d: build_pool,
    SumPool2d: build_pool,
    Pad: build_pad,
    Upsample2d: build_upsample,
    DepthToSpace: build_depth_to_space,
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
    """What sums takes the function of its sums along if nobody else reads them."""
    is_next = before.output == node.inputs[0] and graph.readers(before.output) == (node.name,)
    return is_next and len(before.nodes) == 1 and type(node) in FUSED.get(type(before.nodes[0]), ())
