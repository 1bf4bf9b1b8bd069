"""Boards by name: device, clock and the pins of the link, as amaranth-boards has them."""

from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from typing import Any

from ..errors import PlanError
from .devices import Device, find_device
from .family import Pin

BAUD = 1_000_000
"""Of the serial line, in bits per second, where nothing else is said."""


@dataclass(frozen=True)
class Entry:
    """Where a board's description is, and what it does not say.

    module, platform: of amaranth-boards, or of this package's folder ``lacking``. loader: the board's name for
    openFPGALoader. clock: the resource with the clock, if it is not the default. serial: pins of a connector, receiver
    first, where no serial port is on the board. note: what the user has to know.
    """

    module: str
    platform: str
    device: str
    loader: str
    clock: str = ""
    serial: tuple[str, str] | None = None
    note: str = ""


ENTRIES = {
    "ulx3s-12f": Entry("amaranth_boards.ulx3s", "ULX3S_12F_Platform", "ecp5-12k", "ulx3s"),
    "ulx3s-25f": Entry("amaranth_boards.ulx3s", "ULX3S_25F_Platform", "ecp5-25k", "ulx3s"),
    "ulx3s-45f": Entry("amaranth_boards.ulx3s", "ULX3S_45F_Platform", "ecp5-45k", "ulx3s"),
    "ulx3s-85f": Entry("amaranth_boards.ulx3s", "ULX3S_85F_Platform", "ecp5-85k", "ulx3s"),
    "ecpix5-45": Entry("amaranth_boards.ecpix5", "ECPIX545Platform", "ecp5-5g-45k", "ecpix5"),
    "ecpix5-85": Entry("amaranth_boards.ecpix5", "ECPIX585Platform", "ecp5-5g-85k", "ecpix5"),
    "orangecrab-25f": Entry(
        "amaranth_boards.orangecrab_r0_2", "OrangeCrabR0_2_25FPlatform", "ecp5-25k-8-CSFBGA285", "orangeCrab",
        serial=("N17", "M18"), note="serial adapter on IO0 (the board receives) and IO1",
    ),
    "orangecrab-85f": Entry(
        "amaranth_boards.orangecrab_r0_2", "OrangeCrabR0_2_85FPlatform", "ecp5-85k-8-CSFBGA285", "orangeCrab",
        serial=("N17", "M18"), note="serial adapter on IO0 (the board receives) and IO1",
    ),
    "colorlight-i5": Entry("..lacking.colorlight_i5", "ColorlightI5Platform", "ecp5-25k", "colorlight-i5"),
    "colorlight-i9": Entry("..lacking.colorlight_i5", "ColorlightI9Platform", "ecp5-45k", "colorlight-i9"),
    "icebreaker": Entry("amaranth_boards.icebreaker", "ICEBreakerPlatform", "ice40-up5k", "ice40_generic"),
    "upduino-v3": Entry(
        "amaranth_boards.upduino_v3", "UpduinoV3Platform", "ice40-up5k", "ice40_generic", clock="clk12",
        serial=("23", "25"), note="solder jumper OSC; serial adapter on pins 23 (the board receives) and 25",
    ),
    "ice40-hx8k-b-evn": Entry(
        "amaranth_boards.ice40_hx8k_b_evn", "ICE40HX8KBEVNPlatform", "ice40-hx8k", "ice40_generic"
    ),
    "tang-nano-9k": Entry("amaranth_boards.tang_nano_9k", "TangNano9kPlatform", "gw1nr-9", "tangnano9k"),
    "tang-nano-20k": Entry("..lacking.tang_nano_20k", "TangNano20kPlatform", "gw2ar-18", "tangnano20k"),
}  # fmt: skip


@dataclass(frozen=True)
class Board:
    """clock_mhz: of the oscillator on pin ``clk``. pins: of the ports clk, rx (the board receives) and tx. flash: those
    of the flash with the bitstream, where a design can use them like any others."""

    name: str
    device: Device
    clock_mhz: float
    pins: tuple[Pin, ...]
    loader: str
    note: str
    flash: tuple[Pin, ...] = ()


@lru_cache
def find_board(name: str) -> Board:
    """The board called ``name``; raises PlanError that lists the known ones."""
    entry = ENTRIES.get(name.strip().lower())
    if entry is None:
        raise PlanError(f"board {name!r} is unknown; known: {', '.join(ENTRIES)}")
    platform = getattr(import_module(entry.module, __name__), entry.platform)()
    clock = entry.clock or platform.default_clk
    pins = [_pin("clk", platform.request(clock, 0, dir="-"))]
    if entry.serial:
        pins += [Pin(port, pin, pins[0].attributes) for port, pin in zip(("rx", "tx"), entry.serial)]
    else:
        serial = platform.request("uart", 0, dir="-")
        pins += [_pin("rx", serial.rx), _pin("tx", serial.tx)]
    rate = platform.lookup(clock).clock.frequency / 1e6
    device = find_device(entry.device)
    # A platform hands each pin out once, and a pin of the flash that we do not use may be that of the clock.
    flash = _flash_pins(type(platform)()) if device.family == "ice40" else ()
    return Board(name.strip().lower(), device, rate, tuple(pins), entry.loader, entry.note, flash)


def _flash_pins(platform: Any) -> tuple[Pin, ...]:
    """Of the ports of `boards/gateware/flash.py`."""
    flash = platform.request("spi_flash_1x", 0, dir="-")
    ports = {"flash_cs_n": flash.cs, "flash_clk": flash.clk, "flash_copi": flash.copi, "flash_cipo": flash.cipo}
    return tuple(_pin(port, resource) for port, resource in ports.items())


def _pin(port: str, resource: Any) -> Pin:
    (known,) = resource.io.metadata
    return Pin(port, known.name, {name: str(value) for name, value in known.attrs.items()})
