"""Xilinx 7-series and UltraScale+: yosys' synth_xilinx counts area; there is no open place and route from pip."""

from functools import partial

from ..hw.resources import CELLS
from .area import Area
from .devices import Device
from .family import Family
from .netlist import Module, count_cells

# Lookup tables that a distributed RAM or a shift register takes.
_MEMORIES = {
    "RAM32X1S": 1, "RAM32X1D": 2, "RAM64X1S": 1, "RAM64X1D": 2, "RAM128X1S": 2, "RAM128X1D": 4, "RAM256X1S": 4,
    "RAM256X1D": 8, "RAM512X1S": 8, "RAM32M": 4, "RAM64M": 4, "RAM32M16": 8, "RAM64M8": 8, "RAM32X16DR8": 8,
    "RAM64X8SW": 8, "SRL16E": 1, "SRLC16E": 1, "SRLC32E": 1,
}  # fmt: skip


def _map(name: str, device: Device, top: str, file: str, dsp: bool, is_whole: bool) -> str:
    options = "-flatten -noiopad -noclkbuf" + ("" if dsp else " -nodsp")
    return f"synth_xilinx -family {name} -top {top} {options}; check -assert; write_json {file}"


def _measure(module: Module) -> Area:
    count = count_cells(module)
    return Area(
        lut=sum(count[f"LUT{inputs}"] for inputs in range(1, 7)) + count["INV"],
        carry=count["CARRY4"] + count["CARRY8"],
        lutram=sum(luts * count[name] for name, luts in _MEMORIES.items()),
        ff=sum(count[name] for name in ("FDRE", "FDSE", "FDCE", "FDPE")),
        bram=sum(count[f"RAMB18E{version}"] + 2 * count[f"RAMB36E{version}"] for version in (1, 2)),
        dsp=count["DSP48E1"] + count["DSP48E2"],
    )


_FAMILY = partial(Family, measure=_measure, cells=CELLS["xc7"], register="FD")
FAMILIES = {name: _FAMILY(map=partial(_map, name)) for name in ("xc7", "xcup")}
