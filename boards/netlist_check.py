"""Simulates the netlist that nextpnr gets, with models of the device's cells, in the bench that the Verilog ran in."""

import json
import re
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import PlanError
from ..hw.design import Design
from ..ir.graph import Ints
from ..sim.report import SimReport
from ..sim.simulate import USER_CACHE, silent, simulate
from .yosys import run_yosys, share_folder

FOLDER = Path(__file__).with_name("models")

# Warnings of Verilator that behaviour written by yosys deserves, and that change nothing.
QUIET = [f"/* verilator lint_off {name} */" for name in ("CASEOVERLAP", "UNOPTFLAT")]


@dataclass(frozen=True)
class Models:
    """Of a family's cells: yosys' own file, in its share folder, and our files for cells that are but ports there,
    with the names of these. memories: cells of yosys' file that only Verilator may read, for yosys makes too much of
    the behaviour of a memory."""

    cells: str
    ours: Mapping[str, tuple[str, ...]]
    memories: tuple[str, ...] = ()


MODELS = {
    "ecp5": Models("ecp5/cells_sim.v", {"dp16kd.v": ("DP16KD",), "mult18x18d.v": ("MULT18X18D",)}),
    "gowin": Models(
        "gowin/cells_sim.v",
        {
            "gowin_memory.v": ("SP", "SPX9", "SDPB", "SDPX9B", "DPB", "DPX9B"),
            "gowin_multiplier.v": ("MULT9X9", "MULT18X18"),
        },
    ),
    "ice40": Models("ice40/cells_sim.v", {}, ("SB_RAM40_4K", "SB_SPRAM256KA")),
    "xc7": Models("xilinx/cells_sim.v", {"xilinx_memory.v": ("RAMB18E1", "RAMB36E1")}),
}


def simulate_netlist(
    design: Design,
    frames: Ints | Mapping[str, Ints],
    netlist: Path,
    family: str,
    *,
    folder: Path | None = None,
    stall: float = 0.0,
    seed: int = 0,
    cache: Path | None = USER_CACHE,
    timeout_s: float = 3600,
    progress: Callable[[str], None] = silent,
) -> SimReport:
    """Compare every value and cycle at the ports of ``netlist`` with the executor and the timing model.

    netlist: yosys' JSON of ``design`` mapped to ``family``, with whatever edits. The rest is as in
    :func:`espalier.sim.simulate.simulate`. Raises PlanError where the family, or a cell in use, has no model.
    """
    if not design.is_filled:
        raise PlanError(
            "layers in memory spram have no weights in a netlist before they are loaded; leave --check out, and see "
            "`espalier run --simulated`"
        )
    progress("writing the netlist as Verilog")
    text = write_verilog(netlist, design.top, family, timeout_s)
    return simulate(
        design, frames, verilog=text, is_netlist=True, folder=folder, stall=stall, seed=seed, cache=cache,
        timeout_s=timeout_s, progress=progress,
    )  # fmt: skip


def write_verilog(netlist: Path, top: str, family: str, timeout_s: float = 3600) -> str:
    """The netlist with its cells resolved into their behaviour, and the modules of those for which we have models."""
    models = find_models(family)
    whole = [*models.memories, *(cell for cells in models.ours.values() for cell in cells)]
    text, left = _flatten(netlist, top, models.cells, whole, timeout_s)
    missing = sorted(cell for cell in left if not cell.startswith("$") and cell not in whole)
    if missing:
        raise PlanError(f"{family}: no model of the cells {', '.join(missing)}; synthesize without --check")
    used = [file for file, cells in models.ours.items() if any(cell in left for cell in cells)]
    cells = [find_module(models.cells, cell) for cell in models.memories if cell in left]
    return "\n".join([*QUIET, text, *cells, *((FOLDER / file).read_text() for file in used)])


def _flatten(netlist: Path, top: str, cells: str, whole: Sequence[str], timeout_s: float) -> tuple[str, set[str]]:
    """Verilog without cells but those of types ``whole``, or without a model, and the types of cells in it."""
    script = [
        # Deferred, for it takes yosys long to work through models of memories that nothing uses.
        f"read_verilog -overwrite -defer +/{cells}",
        *(f"delete =$abstract\\{cell} ={cell}" for cell in whole),
        "read_json netlist.json", f"hierarchy -top {top}", "proc -noopt",
        # Verilator takes half as long again for so many small modules.
        "flatten", "opt_expr", "opt_merge", "opt_clean -purge",
        "tee -q -o cells.json stat -json", "write_verilog -noattr netlist.v",
    ]  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="espalier-") as name:
        work = Path(name)
        shutil.copyfile(netlist, work / "netlist.json")
        run_yosys("; ".join(script), work, "yosys.log", timeout_s)
        left = json.loads((work / "cells.json").read_text())["design"]["num_cells_by_type"]
        return (work / "netlist.v").read_text(), set(left)


def find_module(file: str, name: str) -> str:
    """A module of one of yosys' files of cells, without default values of ports, which Verilator does not know."""
    text = (share_folder() / file).read_text()
    (module,) = re.findall(rf"^module {name}\b.*?^endmodule$", text, re.MULTILINE | re.DOTALL)
    return re.sub(r"`ICE40_DEFAULT_ASSIGNMENT_\w+(\(.*?\))?", "", module)


def find_models(family: str) -> Models:
    """The models of a family's cells; PlanError where there are none."""
    if family not in MODELS:
        raise PlanError(f"--check: no models of the cells of {family}; there are models for {', '.join(MODELS)}")
    return MODELS[family]
