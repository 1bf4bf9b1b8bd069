"""Synthesizes a design out of context for a device: area, clock rate and slowest path, in total and for each layer."""

import json
import os
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from ..errors import BuildError, PlanError
from .devices import Device, find_device
from .netlist import absorb_output_registers, count_cells, ports_of, read_netlist
from .place import Placement, best, place
from .wrapper import INSTANCE, NAME, wrap
from .yosys import run_yosys

REPORT = "synth.json"


@dataclass(frozen=True)
class Area:
    """Cells of a netlist.

    lut: lookup tables (LUT4 on ECP5; on Xilinx LUT1 to LUT6 each as one). carry: CCU2C, or CARRY4/CARRY8. lutram: lookup tables that
    serve as memory, as DPR16X4 on ECP5, as LUTs on Xilinx. bram: blocks of 18 kbit.
    """

    lut: int = 0
    carry: int = 0
    lutram: int = 0
    ff: int = 0
    bram: int = 0
    dsp: int = 0


@dataclass(frozen=True)
class CriticalPath:
    """The slowest path from clock to clock: delay, the layers it starts and ends in, and its steps as text."""

    delay_ns: float
    start: str
    end: str
    steps: tuple[str, ...]


@dataclass(frozen=True)
class SynthReport:
    """What synthesis found.

    comb: TRELLIS_COMB of nextpnr, wrapper not counted; None where nothing was placed. It is what the device loses: LUT4, two for
    each CCU2C, carry chains' ways in and out, six for each DPR16X4, and the drivers of constant nets.
    fmax_mhz: of the best seed; fmax_by_seed: of each. absorbed: flip-flops that moved into block RAMs.
    """

    device: str
    area: Area
    layers: dict[str, Area]
    comb: int | None
    fmax_mhz: float | None
    fmax_by_seed: dict[int, float]
    clock_mhz: float
    critical_path: CriticalPath | None
    absorbed: int
    not_absorbed: dict[str, str]

    def to_json(self) -> str:
        """One JSON object, keys in a fixed order."""
        return json.dumps(asdict(self), indent=2) + "\n"


def read_synth_report(path: Path) -> SynthReport:
    """Read what `SynthReport.to_json` wrote."""
    values = json.loads(path.read_text())
    critical = values["critical_path"]
    return SynthReport(**values | {
        "area": Area(**values["area"]),
        "layers": {name: Area(**area) for name, area in values["layers"].items()},
        "fmax_by_seed": {int(seed): fmax for seed, fmax in values["fmax_by_seed"].items()},
        "critical_path": critical and CriticalPath(**critical | {"steps": tuple(critical["steps"])}),
    })


def synthesize(verilog: str, top: str, device: str, folder: Path, *, clock_mhz: float = 200.0, seeds: Sequence[int] = (1, 2, 3),
               layers: Sequence[str] = (), place: bool = True, dsp: bool = True, jobs: int | None = None) -> SynthReport:
    """Synthesize ``verilog`` (text) and, on ECP5, place and route it; the report is also ``folder/synth.json``, written last.

    layers: instance paths below ``top`` ("fc1", "core.fc1") whose areas are wanted. dsp: False keeps multiplications out of DSP
    blocks. jobs: tools at a time, default one for each core.
    """
    part = find_device(device)
    jobs = jobs or os.cpu_count() or 1
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / REPORT).unlink(missing_ok=True)
        for stale in folder.glob("work-*"):
            shutil.rmtree(stale, ignore_errors=True)
        work = Path(tempfile.mkdtemp(prefix="work-", dir=folder))
        (work / "design.v").write_text(verilog)
        report = _synthesize(work, top, part, clock_mhz, seeds if place and part.can_place else (), layers, dsp, jobs)
        (work / REPORT).write_text(report.to_json())
        for path in sorted(work.iterdir(), key=lambda path: path.name == REPORT):
            os.replace(path, folder / path.name)
        work.rmdir()
    except OSError as error:
        raise BuildError(f"synth: cannot write {error.filename or folder}: {error.strerror}; "
                         "check the free space and the permissions") from error
    return report


def _synthesize(work: Path, top: str, device: Device, clock_mhz: float, seeds: Sequence[int], layers: Sequence[str], dsp: bool,
                jobs: int) -> SynthReport:
    with ThreadPoolExecutor(max_workers=jobs) as pool:
        apart = pool.submit(_measure_layers, work, top, device, layers, dsp)
        flat = pool.submit(_map, work, top, device, (), dsp, "netlist").result()
        area_of_layers = apart.result()
    core, absorbed = absorb_output_registers(flat[top])
    area = measure(count_cells({top: core}, top), device)
    _check_fit(area, device)
    report = SynthReport(device.name, area, area_of_layers, None, None, {}, clock_mhz, None, absorbed.flip_flops, absorbed.left)
    if not seeds:
        return report
    wrapper_area = _write_wrapped(work, top, core, device)
    placements = place(f"{NAME}.json", NAME, device, work, clock_mhz=clock_mhz, seeds=seeds, jobs=jobs)
    return _with_placement(report, placements, wrapper_area, layers)


def _map(work: Path, top: str, device: Device, kept: Sequence[str], dsp: bool, stem: str) -> dict:
    """Map the design to the device's cells, flattened but for the modules ``kept``; returns the modules of the netlist."""
    passes = ["read_verilog -sv design.v", f"hierarchy -check -top {top}"]
    passes += [f"setattr -mod -set keep_hierarchy 1 {module}" for module in kept]
    passes += [_synth_pass(top, device, dsp), "check -assert", f"write_json {stem}.json"]
    run_yosys("; ".join(passes), work, f"{stem}.log")
    return read_netlist(work / f"{stem}.json", top)


def _synth_pass(top: str, device: Device, dsp: bool) -> str:
    no_dsp = "" if dsp else " -nodsp"
    if device.family == "ecp5":
        return f"synth_ecp5 -top {top}{no_dsp}"
    return f"synth_xilinx -family {device.family} -top {top} -flatten -noiopad -noclkbuf{no_dsp}"


def _measure_layers(work: Path, top: str, device: Device, layers: Sequence[str], dsp: bool) -> dict[str, Area]:
    """Area of each layer, mapped with its boundary kept; registers behind block RAMs are absorbed as in the whole."""
    if not layers:
        return {}
    names = {layer: f"{top}.{layer}" for layer in layers}
    modules = _map(work, top, device, list(names.values()), dsp, "layers")
    missing = [name for name in names.values() if name not in modules]
    if missing:
        raise PlanError(f"synth: the design has no module {missing[0]}; it has {', '.join(sorted(modules))}")
    edited = {name: absorb_output_registers(module)[0] for name, module in modules.items()}
    return {layer: measure(count_cells(edited, name), device) for layer, name in names.items()}


def measure(cells: Mapping[str, int], device: Device) -> Area:
    """Sum cells of a netlist, by type, into the resources of a device."""
    return _measure_ecp5(cells) if device.family == "ecp5" else _measure_xilinx(cells)


def _measure_ecp5(cells: Mapping[str, int]) -> Area:
    count = Counter(cells)
    return Area(lut=count["LUT4"], carry=count["CCU2C"], lutram=count["TRELLIS_DPR16X4"], ff=count["TRELLIS_FF"],
                bram=count["DP16KD"] + count["PDPW16KD"], dsp=count["MULT18X18D"])


# Lookup tables that a distributed RAM or shift register takes.
_XILINX_MEMORIES = {"RAM32X1S": 1, "RAM32X1D": 2, "RAM64X1S": 1, "RAM64X1D": 2, "RAM128X1S": 2, "RAM128X1D": 4, "RAM256X1S": 4,
                    "RAM256X1D": 8, "RAM512X1S": 8, "RAM32M": 4, "RAM64M": 4, "RAM32M16": 8, "RAM64M8": 8, "RAM32X16DR8": 8,
                    "RAM64X8SW": 8, "SRL16E": 1, "SRLC16E": 1, "SRLC32E": 1}


def _measure_xilinx(cells: Mapping[str, int]) -> Area:
    count = Counter(cells)
    return Area(lut=sum(count[f"LUT{inputs}"] for inputs in range(1, 7)), carry=count["CARRY4"] + count["CARRY8"],
                lutram=sum(luts * count[name] for name, luts in _XILINX_MEMORIES.items()),
                ff=sum(count[name] for name in ("FDRE", "FDSE", "FDCE", "FDPE")),
                bram=sum(count[f"RAMB18E{version}"] + 2 * count[f"RAMB36E{version}"] for version in (1, 2)),
                dsp=count["DSP48E1"] + count["DSP48E2"])


def _check_fit(area: Area, device: Device) -> None:
    luts = area.lut + 2 * area.carry + 6 * area.lutram if device.family == "ecp5" else area.lut + area.lutram
    needs = {"LUTs": (luts, device.lut), "flip-flops": (area.ff, device.ff), "block RAMs of 18 kbit": (area.bram, device.bram),
             "DSP blocks": (area.dsp, device.dsp)}
    for name, (needed, available) in needs.items():
        if needed > available:
            raise PlanError(f"{device.name}: needs {needed} {name}, has {available}; lower the target (--fps), change memory or "
                            "multiplier styles in the folding file, or pick a larger device")


def _write_wrapped(work: Path, top: str, core: dict, device: Device) -> Area:
    """Write the netlist of the wrapper with ``core`` in it; returns the area of the wrapper alone."""
    (work / f"{NAME}.v").write_text(wrap(top, ports_of(core)))
    run_yosys(f"read_verilog {NAME}.v; synth_ecp5 -top {NAME}; write_json {NAME}.json", work, f"{NAME}.log")
    wrapper = read_netlist(work / f"{NAME}.json", NAME)[NAME]
    core = core | {"attributes": {name: value for name, value in core["attributes"].items() if name != "top"}}
    (work / f"{NAME}.json").write_text(json.dumps({"modules": {NAME: wrapper, top: core}}))
    return measure(Counter(cell["type"] for cell in wrapper["cells"].values()), device)


def _with_placement(report: SynthReport, placements: Sequence[Placement], wrapper: Area, layers: Sequence[str]) -> SynthReport:
    fastest = best(placements)
    return replace(
        report,
        # The wrapper's lookup tables are one cell each and it has no carry chain, so what is left is the design's.
        comb=fastest.used["TRELLIS_COMB"] - wrapper.lut,
        fmax_mhz=fastest.fmax_mhz,
        fmax_by_seed={placement.seed: placement.fmax_mhz for placement in placements},
        critical_path=_describe(fastest, layers),
    )


def _describe(placement: Placement, layers: Sequence[str]) -> CriticalPath | None:
    if not placement.path:
        return None
    steps = tuple(f"{step.delay_ns:.2f} {step.kind} {step.cell.removeprefix(INSTANCE + '.')}.{step.port}" for step in placement.path)
    cells = [placement.path[0].cell, placement.path[-1].cell]
    start, end = (_layer_of(cell, layers) for cell in cells)
    return CriticalPath(sum(step.delay_ns for step in placement.path), start, end, steps)


def _layer_of(cell: str, layers: Sequence[str]) -> str:
    """The layer a placed cell belongs to; "wrapper" or "top" if to none."""
    if not cell.startswith(INSTANCE + "."):
        return "wrapper"
    path = cell.removeprefix(INSTANCE + ".")
    return next((layer for layer in layers if path.startswith(layer + ".")), "top")


if __name__ == "__main__":
    file, module, target = sys.argv[1:4]
    print(synthesize(Path(file).read_text(), module, target, Path(file).with_suffix(".synth"),
                     clock_mhz=float(sys.argv[4]) if len(sys.argv) > 4 else 200.0, layers=sys.argv[5:]).to_json())
