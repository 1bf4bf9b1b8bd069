"""Synthesizes a design out of context: area, clock rate and slowest path, in total and for each layer."""

import json
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from ..errors import BuildError, PlanError, ToolError
from . import adders
from .area import Area, check_fit, measure
from .block_ram import absorb_output_registers
from .carry import absorb_lookups, spread_inputs
from .chains import pack_chains
from .devices import Device, find_device
from .layers import find_layer_rates, find_layers
from .memory_files import move_contents
from .multiplier import absorb_multiplier_registers
from .netlist import Absorbed, Module, count_cells, ports_of, read_netlist
from .place import PathStep, Placement, fastest, place
from .wrapper import INSTANCE, NAME, wrap
from .yosys import run_yosys

SHORTEST_PATH_PS = 1500
"""As yosys counts: two or three lookup tables. It makes no path shorter than this at the cost of area, which it does
otherwise where the longest path of a small design is shorter."""

DESIGN, NETLIST, REPORT = "design.v", "netlist.json", "synth.json"


@dataclass(frozen=True)
class CriticalPath:
    """The slowest path from clock to clock: its delay, the layers it starts and ends in, and its steps as text."""

    delay_ns: float
    start: str
    end: str
    steps: tuple[str, ...]


@dataclass(frozen=True)
class SynthReport:
    """What synthesis found.

    area, layers: cells of the flattened design, and of each layer mapped by itself (layers share nothing across their
    boundaries, so their sum may be a little more than the whole).
    comb: TRELLIS_COMB that nextpnr placed, wrapper not counted: LUT4, two for each CCU2C, the ways into and out of
    carry chains, six for each DPR16X4, the drivers of constant nets. None where nothing was placed, as fmax_mhz.
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


@dataclass(frozen=True)
class _Job:
    """One call of `synthesize`; its tools run in ``work``."""

    verilog: str
    top: str
    device: Device
    work: Path
    layers: tuple[str, ...]
    dsp: bool
    jobs: int
    timeout_s: float


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
    """Synthesize ``verilog`` (text) and, on ECP5, place and route it; the report is also ``folder/synth.json``.

    That file is written last. layers: instance paths below ``top``, such as fc1 or core.fc1, whose areas are wanted.
    dsp: False keeps all multiplications out of DSP blocks. clock_mhz: what the placer aims at. jobs: tools that run at
    a time, default one for each core. timeout_s: for each run of a tool.
    """
    part = find_device(device)
    if place and part.can_place and (not seeds or clock_mhz <= 0):
        raise PlanError(f"synth: needs a seed and a clock above 0 MHz, has seeds {list(seeds)} and {clock_mhz} MHz")
    try:
        work = _open_work(folder)
        text = move_contents(verilog, work)
        job = _Job(text, top, part, work, tuple(layers), dsp, jobs or os.cpu_count() or 1, timeout_s)
        try:
            report = _synthesize(job, clock_mhz, seeds if place and part.can_place else ())
        except ToolError as error:
            _hand_over(work, folder)
            raise ToolError(f"{error} (logs: {folder})") from error
        (work / REPORT).write_text(report.to_json())
        _hand_over(work, folder)
    except OSError as error:
        raise BuildError(
            f"synth: cannot write {error.filename or folder}: {error.strerror}; check free space and permissions"
        ) from error
    return report


def measure_layers(
    verilog: str, top: str, device: str, folder: Path, layers: Sequence[str], *, timeout_s: float = 3600.0
) -> dict[str, Area]:
    """The area of ``layers`` alone, each mapped by itself, as `synthesize` has it; files go to ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    part = find_device(device)
    (folder / DESIGN).write_text(text := move_contents(verilog, folder))
    (folder / adders.FILE).write_text(adders.techmap_of(part.family))
    return _measure_layers(_Job(text, top, part, folder, tuple(layers), True, 1, timeout_s))


def _open_work(folder: Path) -> Path:
    """A new folder in ``folder``, in which old results, and what a killed run left, are removed."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / REPORT).unlink(missing_ok=True)
    for stale in folder.glob("work-*"):
        shutil.rmtree(stale, ignore_errors=True)  # a tool of the killed run may still be writing there
    return Path(tempfile.mkdtemp(prefix="work-", dir=folder))


def _hand_over(work: Path, folder: Path) -> None:
    """Move the files up to ``folder``, the report last."""
    for path in sorted(work.iterdir(), key=lambda path: path.name == REPORT):
        path.replace(folder / path.name)
    work.rmdir()


def _synthesize(job: _Job, clock_mhz: float, seeds: Sequence[int]) -> SynthReport:
    (job.work / DESIGN).write_text(job.verilog)
    (job.work / adders.FILE).write_text(adders.techmap_of(job.device.family))
    with ThreadPoolExecutor(max_workers=job.jobs) as pool:
        layers = pool.submit(_measure_layers, job)
        whole = pool.submit(lambda: _map(job, NETLIST)[job.top])
        core, areas = whole.result(), layers.result()
    core, absorbed = absorb(core, job.device)
    belongs = find_layers(core["cells"], job.verilog, DESIGN, job.top, job.layers)
    core = _without_sources(core)
    (job.work / NETLIST).write_text(json.dumps({"modules": {job.top: core}}))
    area = measure(count_cells({job.top: core}, job.top), job.device)
    check_fit(area, job.device)
    report = SynthReport(
        job.device.name, clock_mhz, area, areas, absorbed.flip_flops, absorbed.lookups, absorbed.left
    )  # fmt: skip
    if not seeds:
        return report
    wrapper = _write_wrapped(job, core)
    placements = place(
        f"{NAME}.json", NAME, job.device, job.work, clock_mhz=clock_mhz, seeds=seeds, jobs=job.jobs,
        timeout_s=job.timeout_s,
    )  # fmt: skip
    return _with_placement(report, placements, wrapper, {f"{INSTANCE}.{cell}": belongs[cell] for cell in belongs})


def _passes(job: _Job, top: str, file: str) -> list[str]:
    """Map ``top``, flattened, to the device's cells, and write it to ``file``."""
    no_dsp = "" if job.dsp else " -nodsp"
    if job.device.family == "ecp5":
        mapping = f"scratchpad -set abc9.D {SHORTEST_PATH_PS}; synth_ecp5 -top {top}{no_dsp}"
    else:
        mapping = f"synth_xilinx -family {job.device.family} -top {top} -flatten -noiopad -noclkbuf{no_dsp}"
    return [*adders.prepare(job.verilog, top), mapping, "check -assert", f"write_json {file}"]


def _map(job: _Job, file: str) -> dict[str, Module]:
    """The modules of the mapped design's netlist."""
    script = "; ".join([f"read_verilog -sv {DESIGN}", *_passes(job, job.top, file)])
    run_yosys(script, job.work, f"{Path(file).stem}.log", job.timeout_s)
    return read_netlist(job.work / file, job.top)


def _measure_layers(job: _Job) -> dict[str, Area]:
    """Area of each layer; registers are absorbed as in the whole."""
    if not job.layers:
        return {}
    names = {layer: f"{job.top}.{layer}" for layer in job.layers}
    missing = [name for name in names.values() if f"module \\{name} " not in job.verilog.replace("(", " (")]
    if missing:
        raise PlanError(f"synth: the design has no module {missing[0]}; give instance paths below {job.top} as layers")
    # Each by itself: with boundaries kept inside one design, abc9 of yosys 0.70 fails on some modules.
    script, areas = [f"read_verilog -sv {DESIGN}", "design -save read"], {}
    for number, name in enumerate(names.values()):
        script += ["design -load read", *_passes(job, name, f"layer{number}.json")]
    run_yosys("; ".join(script), job.work, "layers.log", job.timeout_s)
    for number, (layer, name) in enumerate(names.items()):
        file = job.work / f"layer{number}.json"
        edited, _ = absorb(read_netlist(file, name)[name], job.device)
        areas[layer] = measure(count_cells({name: edited}, name), job.device)
        file.unlink()
    return areas


def absorb(module: Module, device: Device) -> tuple[Module, Absorbed]:
    """The module with what ECP5's hard blocks can take in moved there; netlists of other families stay as they are."""
    if device.family != "ecp5":
        return module, Absorbed(0, 0, {})
    module, memories = absorb_output_registers(module)
    module, multipliers = absorb_multiplier_registers(module)
    module, lookups = absorb_lookups(module)
    module, sums = pack_chains(module)
    module, _ = spread_inputs(module)
    moved, places = memories.flip_flops + multipliers.flip_flops, memories.places + multipliers.places
    return module, Absorbed(moved, places, memories.left | multipliers.left, lookups, sums)


def _without_sources(module: Module) -> Module:
    """The module without the source positions, which hold paths of this machine."""
    bare = {
        name: cell | {"attributes": {key: value for key, value in cell["attributes"].items() if key != "src"}}
        for name, cell in module["cells"].items()
    }
    nets = {name: net | {"attributes": {}} for name, net in module["netnames"].items()}
    return module | {"cells": bare, "netnames": nets, "attributes": {}}


def _write_wrapped(job: _Job, core: Module) -> Area:
    """Write the netlist of the wrapper with ``core`` in it; returns the area of the wrapper alone."""
    (job.work / f"{NAME}.v").write_text(wrap(job.top, ports_of(core)))
    script = f"read_verilog {NAME}.v; synth_ecp5 -top {NAME}; write_json {NAME}.json"
    run_yosys(script, job.work, f"{NAME}.log", job.timeout_s)
    wrapper = read_netlist(job.work / f"{NAME}.json", NAME)[NAME]
    (job.work / f"{NAME}.json").write_text(json.dumps({"modules": {NAME: wrapper, job.top: core}}))
    return measure(Counter(cell["type"] for cell in wrapper["cells"].values()), job.device)


def _with_placement(
    report: SynthReport, placements: Sequence[Placement], wrapper: Area, belongs: dict[str, str]
) -> SynthReport:
    best = fastest(placements)
    return replace(
        report,
        # The wrapper has no carry chain and each of its lookup tables is one cell, so what is left is the design's.
        comb=best.used.get("TRELLIS_COMB", 0) - wrapper.lut,
        fmax_mhz=best.fmax_mhz,
        fmax_by_seed={placement.seed: placement.fmax_mhz for placement in placements},
        fmax_by_layer=find_layer_rates(best.arrivals, belongs),
        critical_path=_describe(best, belongs),
    )


def _describe(placement: Placement, belongs: dict[str, str]) -> CriticalPath:
    """The slowest path, layers by name; the many steps through a carry chain become one."""
    start, end = (_owner(step.cell, belongs) for step in (placement.path[0], placement.path[-1]))
    merged: list[PathStep] = []
    for step in placement.path:
        if merged and merged[-1].port == "FCO" and step.port in ("FCO", "FCI"):
            merged[-1] = replace(step, kind="carry", delay_ns=merged[-1].delay_ns + step.delay_ns, port="FCO")
        elif step.delay_ns:
            merged.append(step)
    steps = [f"{step.delay_ns:.2f} {step.kind} {step.cell.removeprefix(INSTANCE + '.')}.{step.port}" for step in merged]
    return CriticalPath(sum(step.delay_ns for step in placement.path), start, end, tuple(steps))


def _owner(cell: str, belongs: dict[str, str]) -> str:
    return belongs.get(cell, "top" if cell.startswith(INSTANCE + ".") else "wrapper")
