"""A graph and a plan become stages and the streams between them."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..errors import GraphError, PlanError
from ..ir.flatten import Flatten
from ..ir.graph import Graph, Ints, TensorType
from ..ir.ranges import find_bounds
from . import stream
from .convert import ConvertStage
from .fork import ForkStage
from .operators import STAGES, units
from .plan import LayerPlan, Plan
from .queues import smallest_depths
from .stage import Stage
from .timing import Link, Schedule, connect, handshakes, sink, solve, source


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

    def unpack(self, channel: Channel, words: NDArray[np.uint32]) -> Ints:
        return stream.unpack(words, channel.type, channel.lanes)

    def layer(self, name: str) -> LayerPlan:
        if name not in self.plan.layers:
            raise PlanError(f"{name}: the plan has no fold for this layer; it names {', '.join(self.plan.layers) or 'none'}")
        return self.plan.layers[name]

    def _place(self) -> None:
        ports = [(port.name, port.type) for port in self.graph.inputs]
        built = [(unit, STAGES[type(unit.nodes[0])](unit, self.layer(unit.name), self._bounds)) for unit in self.units]
        takers = self._takers(built)
        for name, tensor in ports:
            lanes = next((lanes for _, lanes, _, _ in takers[name] if lanes), 1)
            self._offer(name, f"source_{name}", "y", lanes, takers, is_input=True)
        for unit, stage in built:
            self.stages[unit.name] = stage
            self._offer(unit.output, unit.name, "y", stage.lanes_out, takers)

    def _takers(self, built) -> dict[str, list]:
        """For each tensor, who takes it: (process, lanes or None, shape to take it in, output port name)."""
        takers: dict[str, list] = {name: [] for name in self.graph.tensors}
        for unit, stage in built:
            takers[self._unflattened(unit.input)].append((unit.name, stage.lanes_in, unit.source, ""))
        for port in self.graph.outputs:
            tensor = self._unflattened(port.tensor)
            takers[tensor].append((f"sink_{port.name}", None, self.graph.tensors[port.tensor], port.name))
        unread = [port.name for port in self.graph.inputs if not takers[port.name]]
        if unread:
            raise GraphError(f"input {unread[0]}: nothing reads it; remove it from the model")
        return takers

    def _unflattened(self, tensor: str) -> str:
        """Flatten is a way to read a stream: the tensor that the stream was made as."""
        for node in reversed(self.graph.nodes):
            if node.name == tensor and isinstance(node, Flatten):
                tensor = node.inputs[0]
        return tensor

    def _offer(self, tensor: str, process: str, port: str, lanes: int, takers, *, is_input: bool = False) -> None:
        """Lead ``tensor`` from a process to all who take it, through a fork and converters where needed."""
        kind, readers = self.graph.tensors[tensor], takers[tensor]
        if not readers:
            return
        # An input that is an output too needs a queue of its own, as a fork of one branch.
        forks = len(readers) > 1 or (is_input and bool(readers[0][3]))
        if forks:
            name = f"{tensor}_fork"
            fork = ForkStage(stream.beats_per_frame(kind, lanes), lanes, kind.dtype, len(readers))
            self._link(tensor, kind, lanes, process, port, name, is_input=is_input)
            self.stages[name] = fork
            process, is_input = name, False
        for branch, (reader, wanted, read_as, output) in enumerate(readers):
            at = f"y_{branch}" if forks else port
            self._lead(tensor, kind, lanes, process, at, reader, wanted, read_as, output, is_input)

    def _lead(self, tensor, kind, lanes, process, port, reader, wanted, read_as, output, is_input) -> None:
        wanted = wanted or lanes
        if stream_is_same(kind, lanes, read_as, wanted):
            self._link(tensor, kind, lanes, process, port, reader, output=output, is_input=is_input)
            return
        name = f"{output or reader}_lanes"
        self._link(tensor, kind, lanes, process, port, name, is_input=is_input)
        self.stages[name] = ConvertStage(kind, lanes, read_as, wanted)
        self._link(tensor, read_as, wanted, name, "y", reader, output=output)

    def _link(self, tensor, kind, lanes, process, port, reader, *, output="", is_input=False) -> None:
        name = tensor if is_input else process if port == "y" else f"{process}_{port.removeprefix('y_')}"
        latency, depth = (0, 1) if is_input else (self.stages[process].latency, 1)
        link = Link(name, process, port, reader, "x", latency, depth)
        path = "" if is_input else f"{process}.{port}"
        border = tensor if is_input else output
        self.channels.append(Channel(link, tensor, kind, lanes, border, is_input, path))

    def _set_depths(self) -> None:
        """Queue depths: the plan's, and the smallest that cost no throughput for the rest."""
        unknown = sorted(set(self.plan.depths) - {link.name for link in self.links})
        if unknown:
            raise PlanError(f"depths: there is no queue {unknown[0]!r}; queues: {', '.join(link.name for link in self.links)}")
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


def stream_is_same(kind: TensorType, lanes: int, read_as: TensorType, wanted: int) -> bool:
    """Whether the beats of one reading are those of the other."""
    if lanes != wanted:
        return False
    return kind.channels == read_as.channels or kind.channels % lanes == 0


def generate(graph: Graph, plan: Plan) -> Design:
    """The hardware of ``graph`` as ``plan`` folds it; raises GraphError or PlanError."""
    graph.check()
    return Design(graph, plan)
