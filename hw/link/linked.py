"""A design with its link: nothing but a line to the host goes out.

The design is the very Verilog that was simulated, as an instance of its module.
"""

from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Protocol

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In

from ...errors import PlanError
from ..design import Channel, Design
from ..generated_core import GeneratedCore
from ..stream import Beats
from ..verilog import borders
from .endpoint import Border, Endpoint, LinkOptions
from .protocol import DIGEST, MOST_STREAMS


class Transport(Protocol):
    """Brings bytes with ``strobe``, ten cycles apart or more, and takes those of ``x``; ``pins``: its other ports."""

    pins: Mapping[str, Any]
    byte: Any
    strobe: Any
    x: Any


def digest_of(verilog: str) -> bytes:
    """What host and bitstream know each other by: the digest of the design's Verilog."""
    return sha256(verilog.encode()).digest()[:DIGEST]


def endpoint_of(design: Design, digest: bytes, options: LinkOptions) -> Endpoint:
    """The link's end for the streams of ``design``, in the order of its borders."""
    inputs, outputs = ([_border(channel) for channel in side] for side in split_borders(design))
    return Endpoint(inputs, outputs, digest, options)


def split_borders(design: Design) -> tuple[list[Channel], list[Channel]]:
    """The streams into and out of a design, in the order of the link's ports; raises PlanError if they are too many."""
    found = borders(design)
    sides = [channel for channel in found if channel.is_input], [channel for channel in found if not channel.is_input]
    most = max(map(len, sides))
    if most > MOST_STREAMS:
        raise PlanError(
            f"{design.top}: has {most} inputs or outputs, the link numbers {MOST_STREAMS} of each; join some of them "
            "in the model"
        )
    return sides


def _border(channel: Channel) -> Border:
    return Border(Beats(channel.lanes, channel.type.dtype), channel.beats)


class LinkedCore(wiring.Component):
    """The design behind ``transport``, whose pins are its ports."""

    def __init__(self, design: Design, digest: bytes, transport: Any, options: LinkOptions | None = None):
        self._design, self._transport = design, transport
        self._endpoint = endpoint_of(design, digest, options or LinkOptions())
        super().__init__(dict(transport.pins))

    def elaborate(self, platform):
        m = Module()
        m.submodules.link, m.submodules.transport = link, transport = self._endpoint, self._transport
        for name, port in transport.pins.items():
            inner, outer = getattr(transport, name), getattr(self, name)
            m.d.comb += inner.eq(outer) if port.flow == In else outer.eq(inner)
        m.d.comb += [link.line.eq(transport.byte), link.strobe.eq(transport.strobe)]
        wiring.connect(m, link.y, transport.x)
        m.submodules.core = core = GeneratedCore(self._design)
        m.d.comb += core.restart.eq(link.restart)
        inputs, outputs = split_borders(self._design)
        for number, channel in enumerate(inputs):
            wiring.connect(m, getattr(link, f"input_{number}"), getattr(core, channel.port))
        for number, channel in enumerate(outputs):
            wiring.connect(m, getattr(core, channel.port), getattr(link, f"output_{number}"))
        return m
