"""A step of the pipeline to be: operators that one chain of stages does together."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from ..ir.add import Add
from ..ir.argmax import ArgMax
from ..ir.concat import Concat
from ..ir.conv2d import Conv2d
from ..ir.dense import Dense
from ..ir.depth_to_space import DepthToSpace
from ..ir.graph import Node, TensorType
from ..ir.max_pool import MaxPool2d
from ..ir.pad import Pad
from ..ir.slice import Slice
from ..ir.sum_pool import SumPool2d
from ..ir.upsample import Upsample2d
from ..ir.work import stored_bits


@dataclass(frozen=True, eq=False)
class Unit:
    """A step of the pipeline to be: the operators it does, in order; it is named after the first and makes the last
    one's tensor. ``sources``: the types of the first one's inputs; ``lanes``: those in which they come, if known."""

    nodes: tuple[Node, ...]
    sources: tuple[TensorType, ...]
    result: TensorType
    lanes: tuple[int, ...] = ()

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
    def takes_any_lanes(self) -> bool:
        """Whether its stages are built for the lanes in which its inputs come."""
        return isinstance(self.nodes[0], Concat | Slice)

    @property
    def function(self) -> Node | None:
        """What the unit applies to the sums of its first operator."""
        return self.nodes[1] if len(self.nodes) > 1 else None

    @property
    def layers(self) -> list[tuple[Dense, Node | None]]:
        """Of one dense layer, or of several that are joined: each, and what it applies to its sums."""
        found: list[tuple[Dense, Node | None]] = []
        for node in self.nodes:
            if isinstance(node, Dense):
                found.append((node, None))
            else:
                found[-1] = found[-1][0], node
        return found

    @property
    def kind(self) -> str:
        node = self.nodes[0]
        if isinstance(node, Conv2d) and node.is_depthwise:
            return "depthwise"
        return KINDS.get(type(node), "lanewise")

    @cached_property
    def weight_bits(self) -> int:
        """Bits of one weight as stored; 0 where there are none."""
        node = self.nodes[0]
        return stored_bits(node.weights) if isinstance(node, Dense | Conv2d) else 0


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
