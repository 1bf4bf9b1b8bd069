# amaranth: UnusedElaboratable=no
"""A design as one Verilog file: the same bytes for the same design, no paths, readable hierarchy."""

from typing import Any

from amaranth.back import verilog
from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .design import LOAD_PORTS, Channel, Design
from .frame_gate import FrameGate
from .stream import BYTES, beats_of
from .weight_store import WeightStore

LOADS: dict[str, Any] = dict(zip(LOAD_PORTS[1:4], (Out(8), Out(8), Out(2)), strict=True))
"""What a design with memories to load tells: images that it took and refused; whether it has weights, and whether
these came in an image."""

FILLED = "loads_filled"
"""Whether SPRAM has contents from the start, as in a simulation; there are none in a device."""


def load_members(design: Design) -> dict[str, Any]:
    """The ports beside ``weights`` by which weights are loaded, if they are."""
    if not design.memories:
        return {}
    return LOADS | ({} if design.is_filled else {FILLED: In(1)})


class Core(wiring.Component):
    """All stages of a design, wired; ports are the streams of the graph's inputs and outputs, and, of a design with
    memories to load, ``weights``, the bytes of images, and what ``LOADS`` lists; of one with SPRAM ``FILLED``."""

    def __init__(self, design: Design):
        self._design = design
        ports: dict[str, Any] = {"weights": In(BYTES), **load_members(design)} if design.memories else {}
        for channel in borders(design):
            direction = In if channel.is_input else Out
            ports[channel.port] = direction(beats_of(channel.lanes, channel.type.dtype))
        super().__init__(ports)

    def elaborate(self, platform):
        m = Module()
        for name, stage in self._design.stages.items():
            m.submodules[name] = stage
        gated = self._load(m) if self._design.memories else {}
        for channel in self._design.channels:
            link = channel.link
            if channel.is_input:
                producer = gated.get(channel.port) or wiring.flipped(getattr(self, channel.port))
            else:
                producer = getattr(self._design.stages[link.producer], link.out_port)
            is_output = channel.port and not channel.is_input
            taker = wiring.flipped(self) if is_output else self._design.stages[channel.taker]
            consumer = getattr(taker, channel.port if is_output else link.in_port)
            wiring.connect(m, producer, consumer)
        return m

    def _load(self, m: Module) -> dict[str, Any]:
        """Lead images to the memories; the streams of the inputs behind the gate that this takes."""
        design = self._design
        m.submodules.weight_store = store = WeightStore(design.layout)
        inputs, outputs = ([channel.beats for channel in side] for side in split_borders(design))
        m.submodules.frame_gate = gate = FrameGate(inputs, outputs, design.most_inside)
        wiring.connect(m, wiring.flipped(self.weights), store.x)
        m.d.comb += [
            self.loads_accepted.eq(store.accepted),
            self.loads_refused.eq(store.refused),
            self.loads_state.eq(Cat(store.is_loaded, store.is_replaced)),
            gate.hold.eq(store.hold),
            gate.is_loaded.eq(store.is_loaded),
            store.is_drained.eq(gate.is_drained),
            store.is_filled.eq(1 if design.is_filled else getattr(self, FILLED)),
        ]
        place = 0
        for memory in design.memories.values():
            m.d.comb += [
                memory.bank.eq(store.bank),
                memory.write_address.eq(store.address),
                memory.data.eq(store.data),
                memory.write.eq(store.write[place : place + len(memory.columns)]),
            ]
            place += len(memory.columns)
        return self._gate(m, gate)

    def _gate(self, m: Module, gate: FrameGate) -> dict[str, Any]:
        inputs, outputs = split_borders(self._design)
        gated = {}
        for number, channel in enumerate(inputs):
            outer = getattr(self, channel.port)
            gated[channel.port] = inner = beats_of(channel.lanes, channel.type.dtype).create(
                path=(channel.port, "gated")
            )
            m.d.comb += [
                inner.payload.eq(outer.payload),
                inner.valid.eq(outer.valid & gate.open[number]),
                outer.ready.eq(inner.ready & gate.open[number]),
                gate.offered[number].eq(outer.valid),
                gate.taken[number].eq(inner.valid & inner.ready),
            ]
        for number, channel in enumerate(outputs):
            outer = getattr(self, channel.port)
            m.d.comb += gate.left[number].eq(outer.valid & outer.ready)
        return gated


class AxiStream(wiring.Component):
    """The core behind AXI4-Stream ports: whole beats, zero padded to bytes; tlast marks the last beat of a frame.

    core: a component with the streams of ``design``.
    """

    def __init__(self, design: Design, core: wiring.Component):
        self._design, self._core = design, core
        ports: dict[str, Any] = load_members(design)
        if design.memories:
            ports |= {"weights_tdata": In(8), "weights_tvalid": In(1), "weights_tready": Out(1), "weights_tlast": In(1)}
        for channel in borders(design):
            there, back = (In, Out) if channel.is_input else (Out, In)
            ports |= {
                f"{channel.port}_tdata": there(-(-channel.width // 8) * 8),
                f"{channel.port}_tvalid": there(1),
                f"{channel.port}_tready": back(1),
                f"{channel.port}_tlast": there(1),
            }
        super().__init__(ports)

    def elaborate(self, platform):
        m = Module()
        m.submodules.core = core = self._core
        if self._design.memories:
            m.d.comb += [
                core.weights.payload.eq(self.weights_tdata),
                core.weights.valid.eq(self.weights_tvalid),
                self.weights_tready.eq(core.weights.ready),
                *(getattr(self, name).eq(getattr(core, name)) for name in LOADS),
            ]
        if not self._design.is_filled:
            m.d.comb += getattr(core, FILLED).eq(getattr(self, FILLED))
        for channel in borders(self._design):
            inner = getattr(self._core, channel.port)
            outer = {name: getattr(self, f"{channel.port}_{name}") for name in ("tdata", "tvalid", "tready", "tlast")}
            payload = inner.payload
            if channel.is_input:  # frames are counted in beats: an input's tlast is not needed
                m.d.comb += [
                    payload.eq(outer["tdata"]),
                    inner.valid.eq(outer["tvalid"]),
                    outer["tready"].eq(inner.ready),
                ]
                continue
            m.d.comb += [outer["tdata"].eq(payload), outer["tvalid"].eq(inner.valid), inner.ready.eq(outer["tready"])]
            beat = Signal(range(max(2, channel.beats)), name=f"{channel.port}_beat")
            m.d.comb += outer["tlast"].eq(beat == channel.beats - 1)
            with m.If(inner.valid & inner.ready):
                m.d.sync += beat.eq(0 if channel.beats == 1 else Cat(beat + 1)[: len(beat)])
                with m.If(outer["tlast"]):
                    m.d.sync += beat.eq(0)
        return m


def borders(design: Design) -> list[Channel]:
    """The channels that cross the border of the design."""
    return [channel for channel in design.channels if channel.port]


def split_borders(design: Design) -> tuple[list[Channel], list[Channel]]:
    """The streams into and out of a design."""
    found = borders(design)
    return [channel for channel in found if channel.is_input], [channel for channel in found if not channel.is_input]


def emit(design: Design) -> str:
    """The Verilog of ``design``; its top module has the graph's name."""
    top = AxiStream(design, Core(design)) if design.plan.interface == "axi-stream" else Core(design)
    return verilog.convert(top, name=design.top, emit_src=False, strip_internal_attrs=True)
