"""Colorlight i5 and i9 on their extension board: ECP5 modules; the pins are those of LiteX-Boards."""

from amaranth.build import Attrs, Clock, Pins, Resource
from amaranth.vendor import LatticeECP5Platform
from amaranth_boards.resources import LEDResources, UARTResource

ATTRIBUTES = Attrs(IO_TYPE="LVCMOS33")


class ColorlightI5Platform(LatticeECP5Platform):
    """LFE5U-25F; the serial port is that of the extension board's USB debugger."""

    device = "LFE5U-25F"
    package = "BG381"
    speed = "6"
    default_clk = "clk25"
    resources = [
        Resource("clk25", 0, Pins("P3", dir="i"), Clock(25e6), ATTRIBUTES),
        *LEDResources(pins="U16", invert=True, attrs=ATTRIBUTES),
        UARTResource(0, rx="H18", tx="J17", attrs=ATTRIBUTES),
    ]
    connectors = []


class ColorlightI9Platform(ColorlightI5Platform):
    """The same board with an LFE5U-45F."""

    device = "LFE5U-45F"
    resources = [
        Resource("clk25", 0, Pins("P3", dir="i"), Clock(25e6), ATTRIBUTES),
        *LEDResources(pins="L2", invert=True, attrs=ATTRIBUTES),
        UARTResource(0, rx="H18", tx="J17", attrs=ATTRIBUTES),
    ]
