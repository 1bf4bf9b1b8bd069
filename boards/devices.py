"""FPGA devices by name: what they hold, and which options yosys and nextpnr need for them."""

import re
from dataclasses import dataclass, replace

from ..errors import PlanError

ECP5_PACKAGES = ("CABGA256", "CABGA381", "CABGA554", "CABGA756", "CSFBGA285")


@dataclass(frozen=True)
class Device:
    """A device: family as yosys calls it, resources, and what nextpnr has to know: part, speed grade, package, die.

    lut: lookup tables (4 inputs, 6 on Xilinx). bram: block RAMs of 18 kbit (two for each RAMB36), on iCE40 of 4 kbit.
    dsp: multiplier blocks of 18 x 18 bits, on iCE40 of 16 x 16. pins: of the ports of the wrapper (boards/wrapper.py),
    where the placer wants them named.
    """

    name: str
    family: str
    lut: int
    ff: int
    bram: int
    dsp: int
    part: str = ""
    speed: str = ""
    package: str = ""
    die: str = ""
    pins: tuple[str, ...] = ()

    @property
    def can_place(self) -> bool:
        """Whether place and route exists here; for the others yosys tells the area."""
        return bool(self.part)


def _ecp5(part: str, lut: int, bram: int, dsp: int) -> Device:
    return Device(f"ecp5-{part}", "ecp5", lut, lut, bram, dsp, part, "6", "CABGA381")


def _ecp5_5g(part: str, lut: int, bram: int, dsp: int) -> Device:
    return Device(f"ecp5-5g-{part}", "ecp5", lut, lut, bram, dsp, f"um5g-{part}", "8", "CABGA554")


def _xilinx(name: str, family: str, lut: int, bram36: int, dsp: int) -> Device:
    return Device(name, family, lut, 2 * lut, 2 * bram36, dsp)


DEVICES = {
    device.name: device
    for device in (
        _ecp5("12k", 24288, 56, 28),  # the 25k die under another name; only vendor software holds back half of it
        _ecp5("25k", 24288, 56, 28),
        _ecp5("45k", 43848, 108, 72),
        _ecp5("85k", 83640, 208, 156),
        _ecp5_5g("45k", 43848, 108, 72),
        _ecp5_5g("85k", 83640, 208, 156),
        Device("ice40-up5k", "ice40", 5280, 5280, 30, 8, "up5k", package="sg48"),
        Device("ice40-hx8k", "ice40", 7680, 7680, 32, 0, "hx8k", package="ct256"),
        Device("gw1nr-9", "gowin", 8640, 6480, 26, 20, "GW1NR-LV9QN88PC6/I5", die="GW1N-9C", pins=("52", "18", "17")),
        Device(
            "gw2ar-18", "gowin", 20736, 15552, 46, 48, "GW2AR-LV18QN88C8/I7", die="GW2A-18C", pins=("4", "70", "69")
        ),
        _xilinx("xc7z010", "xc7", 17600, 60, 80),
        _xilinx("xc7z020", "xc7", 53200, 140, 220),
        _xilinx("xc7z045", "xc7", 218600, 545, 900),
        _xilinx("xc7a35t", "xc7", 20800, 50, 90),
        _xilinx("xc7a50t", "xc7", 32600, 75, 120),
        _xilinx("xc7a100t", "xc7", 63400, 135, 240),
        _xilinx("xc7a200t", "xc7", 134600, 365, 740),
        _xilinx("xc7k160t", "xc7", 101400, 325, 600),
        _xilinx("xc7k325t", "xc7", 203800, 445, 840),
        _xilinx("xczu3eg", "xcup", 70560, 216, 360),
        _xilinx("xczu5ev", "xcup", 117120, 144, 1248),
        _xilinx("xck26", "xcup", 117120, 144, 1248),
        _xilinx("xczu7ev", "xcup", 230400, 312, 1728),
        _xilinx("xczu9eg", "xcup", 274080, 912, 2520),
        _xilinx("xcku5p", "xcup", 216960, 480, 1824),
        _xilinx("xcvu9p", "xcup", 1182240, 2160, 6840),
    )
}


def find_device(name: str) -> Device:
    """The device called ``name``: ecp5-25k (speed 6, CABGA381), ecp5-25k-8, ecp5-25k-8-CABGA256, xc7a35t, and so on."""
    lowered = name.strip().lower()
    if lowered in DEVICES:
        return DEVICES[lowered]
    ecp5 = re.fullmatch(r"(ecp5-\w+k)-([678])(?:-(\w+))?", lowered)
    if not ecp5 or ecp5[1] not in DEVICES:
        raise PlanError(
            f"device {name!r} is unknown; known: {', '.join(DEVICES)} "
            "(ECP5 also with speed grade and package: ecp5-25k-8-CABGA256)"
        )
    package = (ecp5[3] or "CABGA381").upper()
    if package not in ECP5_PACKAGES:
        raise PlanError(f"device {name!r}: package {package} is unknown; known: {', '.join(ECP5_PACKAGES)}")
    return replace(DEVICES[ecp5[1]], name=name.strip(), speed=ecp5[2], package=package)
