"""The Verilog that was generated, and simulated, as a component: an instance of its module behind plain streams."""

from typing import Any

from amaranth.hdl import ClockSignal, Const, Instance, Module, ResetSignal, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .design import Design
from .stream import BYTES, beats_of
from .verilog import borders, load_members


class GeneratedCore(wiring.Component):
    """The streams of ``design`` by their names, and what else `Core` has; ``restart`` resets it."""

    def __init__(self, design: Design):
        self._design = design
        ports: dict[str, Any] = {"restart": In(1)}
        if design.memories:
            ports |= {"weights": In(BYTES), **load_members(design)}
        for channel in borders(design):
            direction = In if channel.is_input else Out
            ports[channel.port] = direction(beats_of(channel.lanes, channel.type.dtype))
        super().__init__(ports)

    def elaborate(self, platform):
        m = Module()
        ports: dict[str, Any] = {"i_clk": ClockSignal(), "i_rst": ResetSignal() | self.restart}
        for channel in borders(self._design):
            ports |= self._connect(channel.port, getattr(self, channel.port), is_input=channel.is_input)
        if self._design.memories:
            ports |= self._connect("weights", self.weights, is_input=True)
            for name, port in load_members(self._design).items():
                ports[f"{'i' if port.flow == In else 'o'}_{name}"] = getattr(self, name)
        m.submodules.generated = Instance(self._design.top, **ports)
        return m

    def _connect(self, name: str, stream: Any, *, is_input: bool) -> dict[str, Any]:
        """The ports of the design's module for one stream."""
        is_axi = self._design.plan.interface == "axi-stream"
        payload, valid, ready = ("_tdata", "_tvalid", "_tready") if is_axi else ("__payload", "__valid", "__ready")
        there, back = ("i", "o") if is_input else ("o", "i")
        found = {
            f"{there}_{name}{payload}": stream.payload,
            f"{there}_{name}{valid}": stream.valid,
            f"{back}_{name}{ready}": stream.ready,
        }
        if is_axi:  # frames are counted in beats
            found |= {f"i_{name}_tlast": Const(0, 1)} if is_input else {f"o_{name}_tlast": Signal()}
        return found
