"""Places and routes a netlist with nextpnr, once for each seed, and reads its report."""

import json
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from ..errors import PlanError
from .devices import Device
from .families import family_of
from .family import Files, Pin, Placer
from .yosys import run_tool


@dataclass(frozen=True)
class Clocks:
    """In MHz: what comes in at the port ``clk``, and the rate to aim at, of the clock that is made of it."""

    port_mhz: float
    aim_mhz: float


@dataclass(frozen=True)
class PathStep:
    """One step of a path: clk-to-q, routing, logic or setup; the cell and port it ends at."""

    kind: str
    delay_ns: float
    cell: str
    port: str


@dataclass(frozen=True)
class Placement:
    """What one seed gave.

    aim_mhz: what nextpnr aimed at for that clock. used: cells by type, wrapper included; luts: lookup tables of the
    device that they take. path: the slowest path from clock to clock. arrivals: cell -> ns from the
    clock to the latest of its inputs that a clock samples.
    """

    seed: int
    fmax_mhz: float
    aim_mhz: float
    used: dict[str, int]
    luts: int
    path: tuple[PathStep, ...]
    arrivals: dict[str, float]


def place(
    netlist: str,
    top: str,
    device: Device,
    folder: Path,
    *,
    clocks: Clocks,
    pins: Sequence[Pin],
    seeds: Sequence[int],
    jobs: int,
    timeout_s: float,
) -> list[Placement]:
    """Place ``folder/netlist`` with each seed, ``jobs`` at a time; the port ``clk`` is its clock.

    The files of seed N in ``folder`` are seedN.log, nextpnr's report, seedN.json, and the placed design.
    """
    placer = placer_of(device)
    (folder / f"pins.{placer.constraints}").write_text(placer.constrain(pins, clocks.port_mhz))
    with ThreadPoolExecutor(max_workers=jobs) as pool:
        return list(pool.map(lambda seed: _place_once(netlist, top, device, folder, clocks, seed, timeout_s), seeds))


def placer_of(device: Device) -> Placer:
    placer = family_of(device).placer
    assert placer is not None, device
    return placer


def placed_file(device: Device, seed: int) -> str:
    """The placed design of ``seed``, of which a bitstream is made."""
    return f"seed{seed}.{placer_of(device).placed}"


def fastest(placements: Sequence[Placement]) -> Placement:
    """The one of the highest clock rate; the first of equals."""
    return max(placements, key=lambda placement: placement.fmax_mhz)


def _place_once(
    netlist: str, top: str, device: Device, folder: Path, clocks: Clocks, seed: int, timeout_s: float
) -> Placement:
    # Only relative paths: the WebAssembly runtime gives the tool a /tmp of its own.
    placer = placer_of(device)
    options = [
        *placer.arguments(device, Files(netlist, f"pins.{placer.constraints}", placed_file(device, seed))),
        "--json", netlist, "--top", top, "--freq", str(clocks.aim_mhz), "--timing-allow-fail", "--seed", str(seed),
        "--report", f"seed{seed}.json", "--detailed-timing-report",
    ]  # fmt: skip
    run_tool(placer.tool.name, placer.tool.command(options), folder, f"seed{seed}.log", timeout_s)
    return read_report(folder / f"seed{seed}.json", seed, device)


def read_report(path: Path, seed: int, device: Device) -> Placement:
    """Read the report that nextpnr wrote for ``seed``."""
    report = json.loads(path.read_text())
    if not report["fmax"]:
        raise PlanError("place: nextpnr found no path from clock to clock; there is nothing to measure in this design")
    clock = min(report["fmax"].values(), key=lambda clock: clock["achieved"])
    used = {name: entry["used"] for name, entry in report["utilization"].items() if entry["used"]}
    renamed = placer_of(device).renamed
    paths = [entry["path"] for entry in report["critical_paths"] if "async" not in entry["from"] + entry["to"]]
    steps = [
        PathStep(step["type"], step["delay"], re.sub(renamed, "", step["to"]["cell"]), step["to"]["port"])
        for step in max(paths, key=lambda path: sum(step["delay"] for step in path))
    ]
    return Placement(
        seed, clock["achieved"], clock["constraint"], used, placer_of(device).luts(used), tuple(steps),
        _find_arrivals(report["detailed_net_timings"], renamed),
    )  # fmt: skip


def _find_arrivals(nets: list[dict], renamed: str) -> dict[str, float]:
    arrivals: dict[str, float] = {}
    for net in nets:
        for end in net["endpoints"]:
            if "async" not in net["event"] + end["event"]:
                cell = re.sub(renamed, "", end["cell"])
                arrivals[cell] = max(arrivals.get(cell, 0.0), max(end["delay"]))
    return arrivals
