"""What a netlist takes of a device: its cells by type, summed into resources."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from ..errors import PlanError
from .devices import Device

# Lookup tables that a distributed RAM or a shift register takes on Xilinx devices.
_XILINX_MEMORIES = {
    "RAM32X1S": 1, "RAM32X1D": 2, "RAM64X1S": 1, "RAM64X1D": 2, "RAM128X1S": 2, "RAM128X1D": 4, "RAM256X1S": 4,
    "RAM256X1D": 8, "RAM512X1S": 8, "RAM32M": 4, "RAM64M": 4, "RAM32M16": 8, "RAM64M8": 8, "RAM32X16DR8": 8,
    "RAM64X8SW": 8, "SRL16E": 1, "SRLC16E": 1, "SRLC32E": 1,
}  # fmt: skip


@dataclass(frozen=True)
class Area:
    """Cells of a netlist.

    lut: lookup tables (LUT4 on ECP5; on Xilinx LUT1 to LUT6 and inverters, each as one). carry: CCU2C, or CARRY4 and
    CARRY8.
    lutram: DPR16X4 on ECP5; on Xilinx the lookup tables that serve as memory. bram: block RAMs of 18 kbit.
    """

    lut: int = 0
    carry: int = 0
    lutram: int = 0
    ff: int = 0
    bram: int = 0
    dsp: int = 0


def measure(cells: Mapping[str, int], device: Device) -> Area:
    """The area of ``cells``, a number for each cell type, on ``device``."""
    count = Counter(cells)
    if device.family == "ecp5":
        return Area(
            lut=count["LUT4"], carry=count["CCU2C"], lutram=count["TRELLIS_DPR16X4"], ff=count["TRELLIS_FF"],
            bram=count["DP16KD"], dsp=count["MULT18X18D"],
        )  # fmt: skip
    return Area(
        lut=sum(count[f"LUT{inputs}"] for inputs in range(1, 7)) + count["INV"],
        carry=count["CARRY4"] + count["CARRY8"],
        lutram=sum(luts * count[name] for name, luts in _XILINX_MEMORIES.items()),
        ff=sum(count[name] for name in ("FDRE", "FDSE", "FDCE", "FDPE")),
        bram=sum(count[f"RAMB18E{version}"] + 2 * count[f"RAMB36E{version}"] for version in (1, 2)),
        dsp=count["DSP48E1"] + count["DSP48E2"],
    )


def all_luts(area: Area, device: Device) -> int:
    """Lookup tables of ``device`` that logic, carry chains and memory in them take together, before placing."""
    # nextpnr spends two cells on each CCU2C, and four plus the write logic, worth two, on each DPR16X4.
    return area.lut + 2 * area.carry + 6 * area.lutram if device.family == "ecp5" else area.lut + area.lutram


def check_fit(area: Area, device: Device) -> None:
    """Raise a PlanError if ``area`` is more than ``device`` has."""
    needs = (
        ("LUTs", all_luts(area, device), device.lut),
        ("flip-flops", area.ff, device.ff),
        ("block RAMs of 18 kbit", area.bram, device.bram),
        ("DSP blocks", area.dsp, device.dsp),
    )
    for name, needed, available in needs:
        if needed > available:
            raise PlanError(
                f"{device.name}: needs {needed} {name}, has {available}; lower the target (--fps), change memory or "
                "multiplier of the largest layers in the folding file, or pick a larger device"
            )
