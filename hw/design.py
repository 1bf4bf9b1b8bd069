# amaranth: UnusedElaboratable=no
"""A graph and a plan become stages and the streams between them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ..errors import GraphError, PlanError
from ..ir.graph import Graph, Ints, TensorType
from . import stream
from .convert import convert_lanes
from .double_ram import DoubleRam
from .fork import ForkStage
from .image import Layout, layout_of
from .join_layers import join_layers
from .loadable import admit, loaded_nodes, settle, without_contents
from .operators import STAGES, Unit, made_as, units
from .part import Part, View
from .plan import LayerPlan, Plan
from .queues import smallest_depths
from .stage import Stage
from .timing import Link, Schedule, connect, handshakes, sink, solve, source

LOAD_PORTS = ("weights", "loads_accepted", "loads_refused", "loads_state", "loads_filled")
"""Of a design with memories to load: the bytes of images, and what became of them."""


@dataclass(frozen=True)
class Origin:
    """Where a tensor's stream comes from: the output port of a process; ``is_input``: the process is outside."""

    tensor: str
    type: TensorType
    lanes: int
    process: str
    port: str = "y"
    is_input: bool = False
    view: View | None = None

    @property
    def name(self) -> str:
        """The link's: the tensor of an input, else the stage, with the number of the branch behind a fork."""
        if self.is_input:
            return self.tensor
        return self.process if self.port == "y" else f"{self.process}_{self.port.removeprefix('y_')}"


@dataclass(frozen=True)
class Reader:
    """Who takes a tensor: a port of a process with so many lanes (a sink takes any), reading it in this shape.

    stage: where the process runs; output: the graph output that it stands for, if it is a sink.
    """

    process: str
    type: TensorType
    lanes: int | None = None
    port: str = "x"
    stage: str = ""
    output: str = ""

    @property
    def name(self) -> str:
        """What a converter in front of it is named after."""
        return self.output or self.stage + ("" if self.port == "x" else f"_{self.port}")


@dataclass(frozen=True, eq=False)
class Channel:
    """A stream of the design: the tensor it carries, its lanes, and the link of the timing model.

    port: the name of a graph input or output if the stream crosses the border, else "".
    path: instance and port in the top module, such as "fc1.y"; "" for a graph input.
    taker: the stage that takes it; "" for a graph output.
    view: from the tensor's codes to those of the stream, where these are others.
    """

    link: Link
    tensor: str
    type: TensorType
    lanes: int
    port: str = ""
    is_input: bool = False
    path: str = ""
    taker: str = ""
    view: View | None = None

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

    def __init__(self, graph: Graph, plan: Plan, whole: "Design | None" = None):
        self.plan, self._whole = settle(units(graph), plan), whole
        self.graph, self._bounds = admit(graph, units(graph), self.plan)
        self.units = units(self.graph)
        self.stages: dict[str, Stage | ForkStage] = {}
        self.channels: list[Channel] = []
        self.buffers: list[Link] = []
        self._place()
        self._check_names()
        self._set_depths()

    @property
    def top(self) -> str:
        return self.graph.name

    @property
    def paths(self) -> dict[str, str]:
        """Stage -> instance path below the top module."""
        inside = "core." if self.plan.interface == "axi-stream" else ""
        return {name: inside + name for name in self.stages}

    @property
    def links(self) -> list[Link]:
        """Of all streams, and of the buffers inside stages, whose places are their depth."""
        return [*(channel.link for channel in self.channels), *self.buffers]

    @property
    def memories(self) -> dict[str, DoubleRam]:
        """Those whose words can be replaced, in the order of an image."""
        stages = [(name, stage) for name, stage in self.stages.items() if isinstance(stage, Stage)]
        return {f"{name}.{key}": memory for name, stage in stages for key, memory in stage.loaded.items()}

    @property
    def is_filled(self) -> bool:
        """Whether there are weights without any image: SPRAM is empty at first."""
        return all(layer.memory != "spram" for layer in self.plan.layers.values())

    @cached_property
    def layout(self) -> Layout:
        """Of images for the memories."""
        loaded = loaded_nodes(self.units, self.plan)
        return layout_of(self.memories, without_contents(self.graph, loaded), self.plan)

    @property
    def most_inside(self) -> int:
        """Frames that can be inside at once: each has a beat in a queue or a buffer, or a stage is not done with it."""
        return sum(link.depth or 0 for link in self.links) + len(self.stages)

    @property
    def schedules(self) -> dict[str, Schedule]:
        """Of every process: of stages, and the sources and sinks outside."""
        found: dict[str, Schedule] = {}
        for name, stage in self.stages.items():
            found[name] = stage.schedule
            if isinstance(stage, Stage) and stage.fill:
                found[filling(name)] = stage.fill
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
        """Beats for ``codes`` of the channel's tensor, (frames, *shape), as 32-bit words, shape (beats, words)."""
        return stream.pack(channel.view(codes) if channel.view else codes, channel.type, channel.lanes)

    def layer(self, name: str) -> LayerPlan:
        if name not in self.plan.layers:
            raise PlanError(
                f"{name}: the plan has no fold for this layer; it names {', '.join(self.plan.layers) or 'none'}"
            )
        return self.plan.layers[name]

    def _place(self) -> None:
        """Build the stages, and lead each tensor to its readers."""
        built = self._build()
        readers = self._find_readers(built)
        for port in self.graph.inputs:
            if not readers[port.name]:
                raise GraphError(f"input {port.name}: nothing reads it; remove it from the model")
            lanes = next((min(reader.lanes, port.type.channels) for reader in readers[port.name] if reader.lanes), 1)
            self._offer(Origin(port.name, port.type, lanes, f"source_{port.name}", is_input=True), readers[port.name])
        for unit, parts in built:
            for part, following in pairwise(parts):
                self._add(part)
                origin = Origin(unit.inputs[0], part.makes, part.stage.lanes_out, part.name, view=part.view)
                self._lead(origin, *_readers_of(following))
            self._add(last := parts[-1])
            self._offer(Origin(unit.output, last.makes, last.stage.lanes_out, last.name), readers[unit.output])

    def _build(self) -> list[tuple[Unit, Sequence[Part]]]:
        """The stages of each unit; those that take any lanes come last, when it is known which there are."""
        parts: dict[str, Sequence[Part]] = {}
        lanes: dict[str, int] = {}
        inputs = {port.name for port in self.graph.inputs}
        joined = join_layers(self.graph, self.units, lambda name: self.layer(name).engine)
        for unit in sorted(joined, key=lambda unit: unit.takes_any_lanes):
            fold, tensors = self.layer(unit.name), [made_as(self.graph, name) for name in unit.inputs]
            if unit.takes_any_lanes:
                unit = replace(
                    unit,
                    lanes=tuple(
                        lanes.setdefault(tensor, min(fold.pe, self.graph.tensors[tensor].channels))
                        for tensor in tensors
                    ),
                )
            parts[unit.name] = found = STAGES[type(unit.nodes[0])](unit, fold, self._bounds)
            lanes[unit.output] = found[-1].stage.lanes_out
            for tensor, reader in zip(tensors, _readers_of(found[0])):
                if reader.lanes and tensor in inputs:
                    lanes.setdefault(tensor, min(reader.lanes, self.graph.tensors[tensor].channels))
        return [(unit, parts[unit.name]) for unit in joined]

    def _check_names(self) -> None:
        """Raise GraphError where a port or a process would take the place of another."""
        ports = [port.name for port in (*self.graph.inputs, *self.graph.outputs)]
        ports += LOAD_PORTS if self.memories else ()
        fills = [filling(name) for name, stage in self.stages.items() if isinstance(stage, Stage) and stage.fill]
        outside = [f"source_{port.name}" for port in self.graph.inputs]
        outside += [f"sink_{port.name}" for port in self.graph.outputs]
        for kind, names in (("ports", ports), ("processes", [*self.stages, *fills, *outside])):
            if twice := [name for name in names if names.count(name) > 1]:
                raise GraphError(f"{twice[0]}: two {kind} of the hardware have this name; rename one of them")

    def _put(self, name: str, stage: Stage | ForkStage) -> None:
        if name in self.stages:
            raise GraphError(f"{name}: two stages of the hardware have this name; rename one of the two nodes")
        self.stages[name] = stage

    def _add(self, part: Part) -> None:
        self._put(part.name, stage := part.stage)
        if stage.fill:
            link = Link(f"{part.name}_buffer", filling(part.name), "buffer", part.name, "buffer", stage.visible)
            self.buffers.append(link)

    def _find_readers(self, built: Sequence[tuple[Unit, Sequence[Part]]]) -> dict[str, list[Reader]]:
        readers: dict[str, list[Reader]] = {name: [] for name in self.graph.tensors}
        for unit, parts in built:
            for tensor, reader in zip(unit.inputs, _readers_of(parts[0]), strict=True):
                readers[made_as(self.graph, tensor)].append(reader)
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
        self._link(origin, Reader(name, origin.type, stage=name))
        self._put(name, ForkStage(beats, origin.lanes, origin.type.dtype, len(readers)))
        for branch, reader in enumerate(readers):
            self._lead(replace(origin, process=name, port=f"y_{branch}", is_input=False), reader)

    def _lead(self, origin: Origin, reader: Reader) -> None:
        """Lead a tensor to one reader, through a converter if the beats are not those that it takes."""
        lanes = reader.lanes or origin.lanes
        if not beats_are_same(origin.type, reader.type, lanes if lanes == origin.lanes else 0):
            name = f"{reader.name}_lanes"
            self._link(origin, Reader(name, reader.type, stage=name))
            self._put(name, convert_lanes(origin.type, origin.lanes, reader.type, lanes))
            origin = Origin(origin.tensor, reader.type, lanes, name, view=origin.view)
        self._link(origin, reader)

    def _link(self, origin: Origin, reader: Reader) -> None:
        latency = 0 if origin.is_input else self.stages[origin.process].latency
        link = Link(origin.name, origin.process, origin.port, reader.process, reader.port, latency)
        path = "" if origin.is_input else f"{origin.process}.{origin.port}"
        border = origin.tensor if origin.is_input else reader.output
        self.channels.append(
            Channel(
                link, origin.tensor, origin.type, origin.lanes, border, origin.is_input, path, reader.stage, origin.view
            )
        )

    def _set_depths(self) -> None:
        """Queue depths: the plan's, and the smallest that cost no throughput for the rest."""
        given = self._given_depths()
        searched = smallest_depths(self.schedules, self.links, fixed=given)
        while not self._hold(searched):
            searched = smallest_depths(self.schedules, self.links, fixed=given)
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
        self.buffers = [replace(link, depth=searched[link.name]) for link in self.buffers]

    def _hold(self, places: Mapping[str, int]) -> bool:
        """Give the buffers their sizes; False where that made a stage slower, so that other depths are needed."""
        for link in self.buffers:
            stage = self.stages[link.consumer]
            assert isinstance(stage, Stage)
            stage.hold(places[link.name])
        is_same = True
        for place, channel in enumerate(self.channels):
            latency = channel.link.latency if channel.is_input else self.stages[channel.link.producer].latency
            if latency != channel.link.latency:
                self.channels[place] = replace(channel, link=replace(channel.link, latency=latency))
                is_same = False
        return is_same

    def _given_depths(self) -> Mapping[str, int]:
        """The plan's, or of a part those of the whole's queues between the same stages."""
        if self._whole:
            ends = {(link.name, link.producer, link.consumer): link.depth for link in self._whole.links}
            found = {link.name: ends.get((link.name, link.producer, link.consumer)) for link in self.links}
            return {link.name: depth for link in self.links if link.latency and (depth := found[link.name])}
        unknown = sorted(set(self.plan.depths) - {link.name for link in self.links})
        if unknown:
            raise PlanError(
                f"depths: there is no queue {unknown[0]!r}; queues: {', '.join(link.name for link in self.links)}"
            )
        return self.plan.depths


def beats_are_same(made_as: TensorType, read_as: TensorType, lanes: int) -> bool:
    """Whether both readings of a tensor have the same beats of ``lanes`` lanes; 0: the lanes differ."""
    whole = lanes > 0 and made_as.channels % lanes == 0 == read_as.channels % lanes
    return whole or (lanes > 0 and made_as.channels == read_as.channels)


def filling(stage: str) -> str:
    """The name of the process that fills the buffer of a stage."""
    return f"{stage}_fill"


def _readers_of(part: Part) -> list[Reader]:
    """The input ports of a part, in order."""
    process = filling(part.name) if part.stage.fill else part.name
    return [
        Reader(process, kind, beats.lanes, port, part.name)
        for kind, (port, beats) in zip(part.reads, part.stage.inputs.items(), strict=True)
    ]


def generate(graph: Graph, plan: Plan, whole: Design | None = None) -> Design:
    """The hardware of ``graph`` as ``plan`` folds it; raises GraphError or PlanError.

    whole: what ``graph`` is a part of; queues between the same stages are as deep as there.
    """
    graph.check()
    return Design(graph, plan, whole)
