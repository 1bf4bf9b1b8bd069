"""All families, and what a design takes of a device of one."""

from ..errors import PlanError
from . import ecp5, gowin, ice40, xilinx
from .area import Area
from .devices import Device
from .family import Family
from .netlist import Module

FAMILIES: dict[str, Family] = {
    "ecp5": ecp5.FAMILY, "ice40": ice40.FAMILY, "gowin": gowin.FAMILY, **xilinx.FAMILIES,
}  # fmt: skip


def family_of(device: Device) -> Family:
    return FAMILIES[device.family]


def measure(module: Module, device: Device) -> Area:
    """The area of a flattened netlist on ``device``."""
    return family_of(device).measure(module)


def all_luts(area: Area, device: Device) -> int:
    """Lookup tables of ``device`` that logic, carry chains and memory in them take together, before placing."""
    cells = family_of(device).cells
    return area.lut + cells.carry * area.carry + cells.lutram * area.lutram


def check_fit(area: Area, device: Device) -> None:
    """Raise a PlanError if ``area`` is more than ``device`` has."""
    needs = (
        ("LUTs", all_luts(area, device), device.lut),
        ("flip-flops", area.ff, device.ff),
        (f"block RAMs of {family_of(device).block_kbit} kbit", area.bram, device.bram),
        ("DSP blocks", area.dsp, device.dsp),
    )
    for name, needed, available in needs:
        if needed > available:
            raise PlanError(
                f"{device.name}: needs {needed} {name}, has {available}; lower the target (--fps), change memory or "
                "multiplier of the largest layers in the folding file, or pick a larger device"
            )
