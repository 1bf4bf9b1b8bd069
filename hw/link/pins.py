"""Ports of a component inside another one that are its ports, too."""

from collections.abc import Mapping
from typing import Any

from amaranth.hdl import Module
from amaranth.lib.wiring import In


def lead_out(m: Module, inner: Any, outer: Any, ports: Mapping[str, Any]) -> None:
    """Connect ``ports`` of ``inner``, plain vectors, with those of ``outer`` that have their names."""
    for name, port in ports.items():
        inside, outside = getattr(inner, name), getattr(outer, name)
        m.d.comb += inside.eq(outside) if port.flow == In else outside.eq(inside)
