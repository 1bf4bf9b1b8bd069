# amaranth: UnusedElaboratable=no
"""A design as one Verilog file: the same bytes for the same design, no paths, readable hierarchy."""

from amaranth.back import verilog
from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .design import Channel, Design
from .stream import beats_of


class Core(wiring.Component):
    """All stages of a design, wired; ports are the streams of the graph's inputs and outputs."""

    def __init__(self, design: Design):
        self._design = design
        ports = {}
        for channel in borders(design):
            direction = In if channel.is_input else Out
            ports[channel.port] = direction(beats_of(channel.lanes, channel.type.dtype))
        super().__init__(ports)

    def elaborate(self, platform):
        m = Module()
        for name, stage in self._design.stages.items():
            m.submodules[name] = stage
        for channel in self._design.channels:
            link = channel.link
            if channel.is_input:
                producer = wiring.flipped(getattr(self, channel.port))
            else:
                producer = getattr(self._design.stages[link.producer], link.out_port)
            is_output = channel.port and not channel.is_input
            taker = wiring.flipped(self) if is_output else self._design.stages[channel.taker]
            consumer = getattr(taker, channel.port if is_output else link.in_port)
            wiring.connect(m, producer, consumer)
        return m


class AxiStream(wiring.Component):
    """The core behind AXI4-Stream ports: whole beats, zero padded to bytes; tlast marks the last beat of a frame.

    core: a component with the streams of ``design``.
    """

    def __init__(self, design: Design, core: wiring.Component):
        self._design, self._core = design, core
        ports = {}
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
        m.submodules.core = self._core
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


def emit(design: Design) -> str:
    """The Verilog of ``design``; its top module has the graph's name."""
    top = AxiStream(design, Core(design)) if design.plan.interface == "axi-stream" else Core(design)
    return verilog.convert(top, name=design.top, emit_src=False, strip_internal_attrs=True)
