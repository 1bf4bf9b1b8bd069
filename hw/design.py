# amaranth: UnusedElaboratable=no
"""A graph and a plan become stages and the streams between them."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..errors import GraphError, PlanError
from ..ir.graph import Graph, Ints, TensorType
from ..ir.ranges import find_bounds
from . import stream
from .convert import ConvertStage
from .fork import ForkStage
from .operators import STAGES, made_as, units
from .plan import LayerPlan, Plan
from .queues import smallest_depths
from .stage import Stage
from .timing import Link, Schedule, connect, handshakes, sink, solve, source


@dataclass(frozen=True)
class Origin:
    """Where a tensor's stream comes from: the output port of a process; ``is_input``: the process is outside."""

    tensor: str
    type: TensorType
    lanes: int
    process: str
    port: str = "y"
    is_input: bool = False

    @property
    def name(self) -> str:
        """The link's: the tensor of an input, else the stage, with the number of the branch behind a fork."""
        if self.is_input:
            return self.tensor
        return self.process if self.port == "y" else f"{self.process}_{self.port.removeprefix('y_')}"


@dataclass(frozen=True)
class Reader:
    """Who takes a tensor: a process with so many lanes (a sink takes any), reading it in this shape.

    output: the graph output that the process stands for, if it is a sink.
    """

    process: str
    type: TensorType
    lanes: int | None = None
    output: str = ""


@dataclass(frozen=True, eq=False)
class Channel:
    """A stream of the design: the tensor it carries, its lanes, and the link of the timing model.

    port: the name of a graph input or output if the stream crosses the border, else "".
    path: instance and port in the top module, such as "fc1.y"; "" for a graph input.
    """

    link: Link
    tensor: str
    type: TensorType
    lanes: int
    port: str = ""
    is_input: bool = False
    path: str = ""

    @property
    def name(self) -> str:
        return self.link.name

    @property
    def beats(self) -> int:
        """Beats in a frame."""
        return stream.beats_per_frame(self.type, self.lanes)

    @property
    def width(self) -> int:
        """Bits of the payload."""
        return self.lanes * self.type.dtype.bits


class Design:
    """Stages by name, in topological order, and channels; built by :func:`generate`."""

    def __init__(self, graph: Graph, plan: Plan):
        self.graph, self.plan = graph, plan
        self.units = units(graph)
        self.stages: dict[str, Stage | ForkStage] = {}
        self.channels: list[Channel] = []
        self._bounds = find_bounds(graph)
        self._place()
        self._set_depths()

    @property
    def top(self) -> str:
        return self.graph.name

    @property
    def links(self) -> list[Link]:
        return [channel.link for channel in self.channels]

    @property
    def schedules(self) -> dict[str, Schedule]:
        """Of every process: stages, and the sources and sinks outside."""
        found: dict[str, Schedule] = {name: stage.schedule for name, stage in self.stages.items()}
        for channel in self.channels:
            if channel.is_input:
                found[channel.link.producer] = source(channel.beats)
            elif channel.port:
                found[channel.link.consumer] = sink(channel.beats)
        return found

    def predict(self, frames: int, allowed: Mapping[str, NDArray[np.bool_]] | None = None) -> dict[str, Ints]:
        """The cycle of every handshake of every channel; ``allowed``: stall patterns by process (source or sink)."""
        schedules = self.schedules
        return handshakes(solve(connect(schedules, self.links, allowed), frames), schedules, self.links)

    def verilog(self) -> str:
        """One Verilog file; its top module has the graph's name."""
        from .verilog import emit  # it builds on this module

        return emit(self)

    def pack(self, channel: Channel, codes: Ints) -> NDArray[np.uint32]:
        """Beats of ``codes``, shape (frames, *tensor), as 32-bit words, shape (beats, words)."""
        return stream.pack(codes, channel.type, channel.lanes)

    def layer(self, name: str) -> LayerPlan:
        if name not in self.plan.layers:
            raise PlanError(
                f"{name}: the plan has no fold for this layer; it names {', '.join(self.plan.layers) or 'none'}"
            )
        return self.plan.layers[name]

    def _place(self) -> None:
        """Build the stages, and lead each tensor to its readers."""
        built = [(unit, STAGES[type(unit.nodes[0])](unit, self.layer(unit.name), self._bounds)) for unit in self.units]
        readers = self._find_readers(built)
        for port in self.graph.inputs:
            if not readers[port.name]:
                raise GraphError(f"input {port.name}: nothing reads it; remove it from the model")
            lanes = next((reader.lanes for reader in readers[port.name] if reader.lanes), 1)
            self._offer(Origin(port.name, port.type, lanes, f"source_{port.name}", is_input=True), readers[port.name])
        for unit, stage in built:
            self.stages[unit.name] = stage
            self._offer(Origin(unit.output, unit.result, stage.lanes_out, unit.name), readers[unit.output])

    def _find_readers(self, built) -> dict[str, list[Reader]]:
        readers: dict[str, list[Reader]] = {name: [] for name in self.graph.tensors}
        for unit, stage in built:
            readers[made_as(self.graph, unit.input)].append(Reader(unit.name, unit.source, stage.lanes_in))
        for port in self.graph.outputs:
            kind = self.graph.tensors[port.tensor]
            readers[made_as(self.graph, port.tensor)].append(Reader(f"sink_{port.name}", kind, output=port.name))
        return readers

    def _offer(self, origin: Origin, readers: list[Reader]) -> None:
        """Lead a tensor to all who take it, through a fork if they are several."""
        # An input that is an output too needs a queue of its own, as a fork of one branch.
        if len(readers) == 1 and not (origin.is_input and readers[0].output):
            self._lead(origin, readers[0])
            return
        name = f"{origin.tensor}_fork"
        beats = stream.beats_per_frame(origin.type, origin.lanes)
        self._link(origin, name)
        self.stages[name] = ForkStage(beats, origin.lanes, origin.type.dtype, len(readers))
        for branch, reader in enumerate(readers):
            self._lead(replace(origin, process=name, port=f"y_{branch}", is_input=False), reader)

    def _lead(self, origin: Origin, reader: Reader) -> None:
        """Lead a tensor to one reader, through a converter if the beats are not those that it takes."""
        lanes = reader.lanes or origin.lanes
        if not beats_are_same(origin.type, reader.type, lanes if lanes == origin.lanes else 0):
            name = f"{reader.output or reader.process}_lanes"
            self._link(origin, name)
            self.stages[name] = ConvertStage(origin.type, origin.lanes, reader.type, lanes)
            origin = Origin(origin.tensor, reader.type, lanes, name)
        self._link(origin, reader.process, reader.output)

    def _link(self, origin: Origin, consumer: str, output: str = "") -> None:
        latency = 0 if origin.is_input else self.stages[origin.process].latency
        link = Link(origin.name, origin.process, origin.port, consumer, "x", latency)
        path = "" if origin.is_input else f"{origin.process}.{origin.port}"
        border = origin.tensor if origin.is_input else output
        self.channels.append(Channel(link, origin.tensor, origin.type, origin.lanes, border, origin.is_input, path))

    def _set_depths(self) -> None:
        """Queue depths: the plan's, and the smallest that cost no throughput for the rest."""
        unknown = sorted(set(self.plan.depths) - {link.name for link in self.links})
        if unknown:
            raise PlanError(
                f"depths: there is no queue {unknown[0]!r}; queues: {', '.join(link.name for link in self.links)}"
            )
        searched = smallest_depths(self.schedules, self.links, fixed=self.plan.depths)
        for place, channel in enumerate(self.channels):
            if channel.is_input:
                continue
            depth = searched[channel.name]
            self.channels[place] = replace(channel, link=replace(channel.link, depth=depth))
            stage = self.stages[channel.link.producer]
            if isinstance(stage, ForkStage):
                stage.depths[int(channel.link.out_port.removeprefix("y_"))] = depth
            else:
                stage.depth = depth


def beats_are_same(made_as: TensorType, read_as: TensorType, lanes: int) -> bool:
    """Whether both readings of a tensor have the same beats of ``lanes`` lanes; 0: the lanes differ."""
    return lanes > 0 and (made_as.channels == read_as.channels or made_as.channels % lanes == 0)


def generate(graph: Graph, plan: Plan) -> Design:
    """The hardware of ``graph`` as ``plan`` folds it; raises GraphError or PlanError."""
    graph.check()
    return Design(graph, plan)
