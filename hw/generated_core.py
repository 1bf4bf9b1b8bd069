"""The Verilog that was generated, and simulated, as a component: an instance of its module behind plain streams."""

from typing import Any

from amaranth.hdl import ClockSignal, Const, Instance, Module, ResetSignal, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .design import Channel, Design
from .stream import beats_of
from .verilog import borders


class GeneratedCore(wiring.Component):
    """The streams of ``design`` by their names; ``restart`` resets it."""

    def __init__(self, design: Design):
        self._design = design
        ports: dict[str, Any] = {"restart": In(1)}
        for channel in borders(design):
            direction = In if channel.is_input else Out
            ports[channel.port] = direction(beats_of(channel.lanes, channel.type.dtype))
        super().__init__(ports)

    def elaborate(self, platform):
        m = Module()
        ports: dict[str, Any] = {"i_clk": ClockSignal(), "i_rst": ResetSignal() | self.restart}
        for channel in borders(self._design):
            ports |= self._connect(channel, getattr(self, channel.port))
        m.submodules.generated = Instance(self._design.top, **ports)
        return m

    def _connect(self, channel: Channel, stream: Any) -> dict[str, Any]:
        """The ports of the design's module for one stream."""
        is_axi = self._design.plan.interface == "axi-stream"
        payload, valid, ready = ("_tdata", "_tvalid", "_tready") if is_axi else ("__payload", "__valid", "__ready")
        there, back = ("i", "o") if channel.is_input else ("o", "i")
        name = channel.port
        found = {
            f"{there}_{name}{payload}": stream.payload,
            f"{there}_{name}{valid}": stream.valid,
            f"{back}_{name}{ready}": stream.ready,
        }
        if is_axi:  # frames are counted in beats
            found |= {f"i_{name}_tlast": Const(0, 1)} if channel.is_input else {f"o_{name}_tlast": Signal()}
        return found
