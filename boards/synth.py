"""Synthesizes a design out of context: area, clock rate and slowest path, in total and for each layer."""

import json
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from ..errors import PlanError
from .area import Area
from .devices import find_device
from .families import family_of, measure
from .layers import find_layer_rates
from .mapping import Job, Mapped, map_design, map_layers, write_design
from .netlist import Module, ports_of, read_netlist
from .paths import CriticalPath, describe_path
from .place import Clocks, Placement, fastest, place
from .work_folder import work_folder
from .wrapper import INSTANCE, NAME, pins_of, wrap
from .yosys import run_yosys

REPORT = "synth.json"


@dataclass(frozen=True)
class SynthReport:
    """What synthesis found.

    area, layers: cells of the flattened design, and of each layer mapped by itself (layers share nothing across their
    boundaries, so their sum may be a little more than the whole).
    comb: lookup tables of the device that nextpnr placed, wrapper not counted. On ECP5 these are TRELLIS_COMB: LUT4,
    two for each CCU2C, the ways into and out of carry chains, six for each DPR16X4, the drivers of constant nets; on
    iCE40 logic cells; on Gowin LUT4, ALU and LUT RAM. None where nothing was placed, as fmax_mhz.
    fmax_mhz: of the best seed. fmax_by_layer: with that seed, by the paths that end in a layer.
    absorbed: flip-flops moved into block RAMs and multipliers, absorbed_luts: lookup tables moved into carry cells;
    not_absorbed: blocks left without registers of their own, which makes them slow, each with the reason.
    """

    device: str
    clock_mhz: float
    area: Area
    layers: dict[str, Area]
    absorbed: int
    absorbed_luts: int
    not_absorbed: dict[str, str]
    comb: int | None = None
    fmax_mhz: float | None = None
    fmax_by_seed: dict[int, float] | None = None
    fmax_by_layer: dict[str, float] | None = None
    critical_path: CriticalPath | None = None

    @property
    def lut(self) -> int:
        """Lookup tables that the device loses: comb if placed, else lookup tables for logic and memory."""
        return self.area.lut + self.area.lutram if self.comb is None else self.comb

    def to_json(self) -> str:
        """One JSON object, keys in a fixed order."""
        return json.dumps(asdict(self), indent=2) + "\n"


def read_synth_report(path: Path) -> SynthReport:
    """Read what `SynthReport.to_json` wrote."""
    values = json.loads(path.read_text())
    values["area"] = Area(**values["area"])
    values["layers"] = {name: Area(**area) for name, area in values["layers"].items()}
    if values["comb"] is not None:
        values["fmax_by_seed"] = {int(seed): fmax for seed, fmax in values["fmax_by_seed"].items()}
        critical = values["critical_path"]
        values["critical_path"] = CriticalPath(**critical | {"steps": tuple(critical["steps"])})
    return SynthReport(**values)


def synthesize(
    verilog: str,
    top: str,
    device: str,
    folder: Path,
    *,
    clock_mhz: float = 200.0,
    seeds: Sequence[int] = (1, 2, 3),
    layers: Sequence[str] = (),
    place: bool = True,
    dsp: bool = True,
    jobs: int | None = None,
    timeout_s: float = 3600.0,
) -> SynthReport:
    """Synthesize ``verilog`` (text) and, where the device can be placed, place and route it.

    The report is also ``folder/synth.json``, which is written last. layers: instance paths below ``top``, such as fc1
    or core.fc1, whose areas are wanted.
    dsp: False keeps all multiplications out of DSP blocks. clock_mhz: what the placer aims at. jobs: tools that run at
    a time, default one for each core. timeout_s: for each run of a tool.
    """
    part = find_device(device)
    placing = place and part.can_place
    if placing and (not seeds or clock_mhz <= 0):
        raise PlanError(f"synth: needs a seed and a clock above 0 MHz, has seeds {list(seeds)} and {clock_mhz} MHz")
    with work_folder(folder, "synth", REPORT) as work:
        job = Job(verilog, top, part, work, tuple(layers), dsp=dsp, timeout_s=timeout_s)
        report = _synthesize(job, clock_mhz, seeds if placing else (), jobs or os.cpu_count() or 1)
        (work / REPORT).write_text(report.to_json())
    return report


def measure_layers(
    verilog: str, top: str, device: str, folder: Path, layers: Sequence[str], *, timeout_s: float = 3600.0
) -> dict[str, Area]:
    """The area of ``layers`` alone, each mapped by itself, as `synthesize` has it; files go to ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    job = Job(verilog, top, find_device(device), folder, tuple(layers), timeout_s=timeout_s)
    write_design(job)
    return map_layers(job)


def _synthesize(job: Job, clock_mhz: float, seeds: Sequence[int], jobs: int) -> SynthReport:
    write_design(job)
    with ThreadPoolExecutor(max_workers=jobs) as pool:
        layers, whole = pool.submit(map_layers, job), pool.submit(map_design, job)
        mapped, areas = whole.result(), layers.result()
    absorbed = mapped.absorbed
    report = SynthReport(
        job.device.name, clock_mhz, mapped.area, areas, absorbed.flip_flops, absorbed.lookups, absorbed.left
    )
    if not seeds:
        return report
    wrapper = _write_wrapped(job, mapped.module)
    placements = place(
        f"{NAME}.json", NAME, job.device, job.work, clocks=Clocks(clock_mhz, clock_mhz), pins=pins_of(job.device),
        seeds=seeds, jobs=jobs, timeout_s=job.timeout_s,
    )  # fmt: skip
    return _with_placement(report, placements, wrapper, mapped)


def _write_wrapped(job: Job, core: Module) -> Area:
    """Write the netlist of the wrapper with ``core`` in it; returns the area of the wrapper alone."""
    (job.work / f"{NAME}.v").write_text(wrap(job.top, ports_of(core)))
    mapping = family_of(job.device).map(job.device, NAME, f"{NAME}.json", True, True)
    run_yosys(f"read_verilog {NAME}.v; {mapping}", job.work, f"{NAME}.log", job.timeout_s)
    wrapper = read_netlist(job.work / f"{NAME}.json", NAME)[NAME]
    (job.work / f"{NAME}.json").write_text(json.dumps({"modules": {NAME: wrapper, job.top: core}}))
    return measure(wrapper, job.device)


def _with_placement(report: SynthReport, placements: Sequence[Placement], wrapper: Area, mapped: Mapped) -> SynthReport:
    best = fastest(placements)
    belongs = {f"{INSTANCE}.{cell}": layer for cell, layer in mapped.belongs.items()}
    return replace(
        report,
        # The wrapper has no carry chain and each of its lookup tables is one cell, so what is left is the design's.
        comb=best.luts - wrapper.lut,
        fmax_mhz=best.fmax_mhz,
        fmax_by_seed={placement.seed: placement.fmax_mhz for placement in placements},
        fmax_by_layer=find_layer_rates(best.arrivals, belongs),
        critical_path=describe_path(best.path, belongs, INSTANCE),
    )
