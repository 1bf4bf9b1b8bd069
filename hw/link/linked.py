"""A design with its link: nothing but a line to the host goes out.

The design is the very Verilog that was simulated, as an instance of its module.
"""

from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Protocol

from amaranth.hdl import Cat, Const, Module, Mux, ResetInserter
from amaranth.lib import wiring

from ...errors import PlanError
from ...ir.graph import IntType
from ..design import Channel, Design
from ..generated_core import GeneratedCore
from ..stream import Beats
from ..verilog import LOADS, split_borders
from .endpoint import Border, Endpoint, LinkOptions
from .pins import lead_out
from .protocol import DIGEST, MOST_STREAMS, TOLD


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
    """The link's end for the streams of ``design``, in the order of its borders; images of weights come last."""
    inputs, outputs = ([_border(channel) for channel in side] for side in numbered_borders(design))
    if not design.memories:
        return Endpoint(inputs, outputs, digest, options)
    return Endpoint([*inputs, Border(Beats(1, IntType(8)), 1)], outputs, digest, options, TOLD)


def numbered_borders(design: Design) -> tuple[list[Channel], list[Channel]]:
    """The streams into and out of a design, in the order of the link's ports; raises PlanError if they are too many."""
    inputs, outputs = split_borders(design)
    most = max(len(inputs) + bool(design.memories), len(outputs))
    if most > MOST_STREAMS:
        raise PlanError(
            f"{design.top}: has {most} inputs or outputs, the link numbers {MOST_STREAMS} of each; join some of them "
            "in the model"
        )
    return inputs, outputs


def _border(channel: Channel) -> Border:
    return Border(Beats(channel.lanes, channel.type.dtype), channel.beats)


class Starter(Protocol):
    """Brings bytes of an image in ``y`` until it is ``done``; ``pins``: its other ports."""

    pins: Mapping[str, Any]
    y: Any
    done: Any


class LinkedCore(wiring.Component):
    """The design behind ``transport``, whose pins are its ports, like those of ``starter``, which loads weights at the
    start, before any from the link."""

    def __init__(
        self, design: Design, digest: bytes, transport: Any, options: LinkOptions | None = None, starter: Any = None
    ):
        self._design, self._parts = design, {"transport": transport} | ({"starter": starter} if starter else {})
        self._endpoint = endpoint_of(design, digest, options or LinkOptions())
        super().__init__({name: port for part in self._parts.values() for name, port in part.pins.items()})

    def elaborate(self, platform):
        m = Module()
        m.submodules.link = link = self._endpoint
        m.submodules.transport = transport = self._parts["transport"]
        for part in self._parts.values():
            lead_out(m, part, self, part.pins)
        m.d.comb += [link.line.eq(transport.byte), link.strobe.eq(transport.strobe)]
        wiring.connect(m, link.y, transport.x)
        m.submodules.core = core = GeneratedCore(self._design)
        m.d.comb += core.restart.eq(link.restart)
        inputs, outputs = split_borders(self._design)
        for number, channel in enumerate(inputs):
            wiring.connect(m, getattr(link, f"input_{number}"), getattr(core, channel.port))
        for number, channel in enumerate(outputs):
            wiring.connect(m, getattr(core, channel.port), getattr(link, f"output_{number}"))
        if self._design.memories:
            self._load(m, core, getattr(link, f"input_{len(inputs)}"))
        return m

    def _load(self, m: Module, core: GeneratedCore, images: Any) -> None:
        """Lead images to the design, and what it tells of them to the link."""
        link, starter, is_busy = self._endpoint, self._parts.get("starter"), Const(0, 1)
        weights = core.weights
        if starter is None:
            wiring.connect(m, images, weights)
        else:
            m.submodules.starter = ResetInserter(link.restart)(starter)
            is_busy = ~starter.done
            m.d.comb += [
                weights.payload.eq(Mux(is_busy, starter.y.payload, images.payload)),
                weights.valid.eq(Mux(is_busy, starter.y.valid, images.valid)),
                starter.y.ready.eq(weights.ready & is_busy),
                images.ready.eq(weights.ready & ~is_busy),
            ]
        m.d.comb += link.told.eq(Cat(*(getattr(core, name) for name in LOADS), is_busy))
