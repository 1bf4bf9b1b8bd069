"""Plan, generate, simulate and synth: each fills its part of a build folder from the part before it."""

import warnings
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, cast

import numpy as np

from ..errors import BuildError, PlanError
from ..ir.graph import Graph, Ints
from ..ir.store import load
from .budgets import find_budget
from .data import load_frames
from .folder import BuildFolder, file_digest, read_entry, write_json
from .options import PlanOptions, SimulateOptions, SynthOptions
from .progress import progress, say
from .report import netlist_exactness

DEFAULT_FRAMES = 100
DEFAULT_CYCLES = 500_000
SAMPLES = "samples.npz"  # test frames as codes, in the folder of import
FOLDING = "folding.json"

Work = Callable[[Path, Callable[[str], None]], dict[str, Any]]


def step(folder: BuildFolder, verb: str, options: Mapping[str, Any], work: Work, force: bool) -> None:
    """Run one verb unless its results are there; ``work`` also gets a function that says what it is at."""
    if not force and folder.is_current(verb, options):
        say(f"{verb}: nothing changed")
        return
    with progress(verb) as at:
        folder.run(verb, options, lambda partial: work(partial, at))


def plan_step(folder: BuildFolder, options: PlanOptions, force: bool) -> None:
    given = asdict(options) | {"folding": file_digest(options.folding) if options.folding else None}
    step(folder, "plan", given, lambda partial, at: plan_network(folder, options, partial, at), force)


def plan_network(folder: BuildFolder, options: PlanOptions, partial: Path, at: Callable[[str], None]) -> dict[str, Any]:
    from amaranth.hdl import UnusedElaboratable

    from ..hw.fitting import fit
    from ..hw.folding_file import write_plan
    from ..hw.front import explain
    from ..hw.planner import plan_table
    from ..hw.queues import analyse

    # Planning describes hardware for its timing alone; Amaranth would warn that it is never written out.
    warnings.filterwarnings("ignore", category=UnusedElaboratable)
    at("choose folds and queue depths")
    planning = planning_of(folder, options, has_target=options.fps is not None)
    fitted = fit(planning, options.fps)
    design = fitted.design
    timing = analyse(design.schedules, design.links)
    reached = timing.fps(design.plan.clock_mhz)
    if options.fps and reached * (1 + 2**-40) < options.fps:  # the quotient of a division and its inverse
        raise PlanError(
            f"the target of {options.fps:,.4g} fps cannot be reached: these folds give {reached:,.4g} fps, "
            f"{timing.ii_cycles:,} cycles per frame, set by {', '.join(timing.limited_by)}; lower --fps, give those "
            "before and behind more lanes in a folding file, or raise --clock-mhz"
        )
    # With the depths that were found, the verbs to come need not search again.
    depths = {link.name: link.depth for link in design.links if link.latency}
    write_plan(replace(design.plan, depths=depths), partial / FOLDING)
    known = {
        "clock_mhz": design.plan.clock_mhz,
        "interface": design.plan.interface,
        "fps": reached,
        "ii_cycles": timing.ii_cycles,
        "latency_cycles": timing.latency_cycles,
        "first_result_cycles": timing.first_result_cycles,
        "limited_by": list(timing.limited_by),
        "inputs": streams(design, is_input=True),
        "outputs": streams(design, is_input=False),
        "area": area_of(fitted.spent, planning.budget, options.device),
        "choice": explain(fitted.planning, fitted.chosen),
        "layers": [row | {"predicted": asdict(fitted.stages[row["layer"]])} for row in plan_table(design, timing)],
    }
    write_json(partial / "plan.json", known)
    return {key: known[key] for key in ("ii_cycles", "latency_cycles")}


def planning_of(folder: BuildFolder, options: PlanOptions, *, has_target: bool) -> Any:
    """All that can be chosen for the network of a build folder."""
    from ..hw.folding_file import read_folding
    from ..hw.planning import Planning

    folding = read_folding(options.folding) if options.folding else None
    return Planning(
        graph_of(folder), clock_mhz=options.clock_mhz, multipliers=options.multipliers, budget=find_budget(options),
        folding=folding, interface=cast(Any, options.interface), has_target=has_target,
    )  # fmt: skip


def area_of(spent: Any, budget: Any, device: str | None) -> dict[str, Any]:
    """What a design is predicted to take, of which device, and within which limits."""
    shares = {"share": budget.area(spent) / budget.device.lut, "limits": dict(budget.limits)}
    return {"device": device, "family": budget.family, **asdict(spent), **shares}


def streams(design: Any, *, is_input: bool) -> list[dict[str, Any]]:
    """What crosses the border of a design on one side, and in which beats."""
    ports = [channel for channel in design.channels if channel.port and channel.is_input == is_input]
    return [{"name": c.port, "type": str(c.type), "lanes": c.lanes, "beats": c.beats} for c in ports]


def generate_step(folder: BuildFolder, force: bool) -> None:
    step(folder, "generate", {}, lambda partial, at: generate_verilog(folder, partial), force)


def generate_verilog(folder: BuildFolder, partial: Path) -> dict[str, Any]:
    design = design_of(folder)
    text, top = design.verilog(), design.graph.name
    (partial / f"{top}.v").write_text(text)
    clock_mhz, lines = design.plan.clock_mhz, text.count("\n")
    known = {"top": top, "file": f"{top}.v", "lines": lines, "clock_mhz": clock_mhz, "stages": design.paths}
    write_json(partial / "generate.json", known)
    return {}


def simulate_step(folder: BuildFolder, options: SimulateOptions, force: bool) -> None:
    given = asdict(options) | {"inputs": file_digest(options.inputs) if options.inputs else None}
    step(folder, "simulate", given, lambda partial, at: simulate_design(folder, options, partial, at), force)


def simulate_design(
    folder: BuildFolder, options: SimulateOptions, partial: Path, at: Callable[[str], None]
) -> dict[str, Any]:
    from ..sim.simulate import simulate
    from ..sim.waves import Waves
    from .layers import choose_part, design_part

    design, verilog = design_of(folder), generated_verilog(folder)
    frames, simulated = choose_frames(folder, design.graph, options), None
    if options.layers is not None:
        part = choose_part(design.units, options.layers)
        design, frames = design_part(design, part, frames)
        verilog, simulated = design.verilog(), f"{part.first}:{part.last}"
    waves = Waves.parse(options.waves) if options.waves else None
    report = simulate(
        design, frames, verilog=verilog, folder=partial / "bench", stall=options.stall,
        seed=options.seed, waves=waves, progress=at,
    )  # fmt: skip
    speed = max(run.kcycles_per_s for run in report.runs)
    at(f"{speed:,.0f} thousand cycles per second")
    known = lasting(report.to_dict()) | {"layers": simulated, "mismatches": list(report.mismatches)}
    write_json(partial / "simulate.json", known)
    found = {"frames": report.frames} | ({"layers": simulated} if simulated else {})
    return found | {"values_exact": report.values_exact, "cycles_exact": report.cycles_exact}


def lasting(report: dict[str, Any]) -> dict[str, Any]:
    """A simulation's report without how long things took: the same arguments give the same bytes."""
    kept = (
        "name", "stall", "cycles", "timed_out", "counts", "beats", "values_exact", "cycles_exact", "wrong", "faults",
    )  # fmt: skip
    runs = [{key: run[key] for key in kept} for run in report["runs"]]
    return {key: report[key] for key in ("frames", "values_exact", "cycles_exact")} | {"runs": runs}


def choose_frames(
    folder: BuildFolder, graph: Graph, options: SimulateOptions, flag: str = "--frames"
) -> dict[str, Ints]:
    """The codes to simulate: the user's, else those of the test set, else random ones; ``flag`` says how many."""
    samples = folder.step("import") / SAMPLES
    if options.inputs:
        known, source = load_frames(graph, options.inputs), str(options.inputs)
    elif samples.is_file():
        known, source = load_frames(graph, samples, codes=True), "the test set"
    else:
        return random_frames(graph, options.frames or default_frames(folder), options.seed)
    available = len(next(iter(known.values())))
    count = options.frames or min(default_frames(folder), available)
    if count > available:
        raise BuildError(f"{flag} {count}: {source} has {available}; choose at most that")
    return {name: codes[:count] for name, codes in known.items()}


def default_frames(folder: BuildFolder) -> int:
    """As many as take some DEFAULT_CYCLES cycles: 100 at most, and 2 at least, so that one follows another."""
    cycles = read_entry(folder.step("plan") / "plan.json", "ii_cycles")
    return max(2, min(DEFAULT_FRAMES, int(DEFAULT_CYCLES / cycles)))


def random_frames(graph: Graph, frames: int, seed: int) -> dict[str, Ints]:
    random = np.random.default_rng(seed)
    types = {port.name: port.type for port in graph.inputs}
    return {n: random.integers(t.dtype.low, t.dtype.high, (frames, *t.shape), endpoint=True) for n, t in types.items()}


def synth_step(folder: BuildFolder, options: SynthOptions, force: bool) -> None:
    step(folder, "synth", asdict(options), lambda partial, at: synthesize_design(folder, options, partial, at), force)


def synthesize_design(
    folder: BuildFolder, options: SynthOptions, partial: Path, at: Callable[[str], None]
) -> dict[str, Any]:
    from ..boards.devices import find_device
    from ..boards.synth import synthesize

    folder.need("generate")
    about = folder.step("generate") / "generate.json"
    top, clock_mhz, stages = (read_entry(about, key) for key in ("top", "clock_mhz", "stages"))
    places = options.place and find_device(options.device).can_place
    at(f"{'map and place' if places else 'map'} for {options.device}")
    report = synthesize(
        generated_verilog(folder), top, options.device, partial,
        clock_mhz=clock_mhz, seeds=range(1, options.seeds + 1), layers=list(stages.values()),
        place=options.place,
    )  # fmt: skip
    checked = check_netlist(folder, options, partial, at) if options.check else None
    rates = report.fmax_by_layer or {}
    layers = {
        name: asdict(report.layers[path]) | {"fmax_mhz": round(rates[path], 1) if path in rates else None}
        for name, path in stages.items()
    }
    write_json(partial / "report.json", asdict(report) | {"lut": report.lut, "layers": layers, "check": checked})
    area = report.area
    known = {"lut": report.lut, "ff": area.ff, "bram": area.bram, "dsp": area.dsp}
    known |= {"fmax_mhz": report.fmax_mhz} if report.fmax_mhz else {}
    return {"device": report.device} | known | netlist_exactness(checked)


def check_netlist(
    folder: BuildFolder, options: SynthOptions, partial: Path, at: Callable[[str], None]
) -> dict[str, Any]:
    """What a simulation of the netlist showed."""
    from ..boards.devices import find_device
    from ..boards.mapping import NETLIST
    from ..boards.netlist_check import simulate_netlist

    design, simulating = design_of(folder), SimulateOptions(frames=options.check)
    frames = choose_frames(folder, design.graph, simulating, "--check")
    report = simulate_netlist(
        design, frames, partial / NETLIST, find_device(options.device).family, folder=partial / "bench",
        stall=simulating.stall, seed=simulating.seed, progress=at,
    )  # fmt: skip
    return lasting(report.to_dict()) | {"mismatches": list(report.mismatches)}


def graph_of(folder: BuildFolder) -> Graph:
    """The imported graph of a build folder."""
    folder.need("import")
    return load(folder.step("import"))


def generated_verilog(folder: BuildFolder) -> str:
    """The very file that ``generate`` left: this is what is simulated and synthesized."""
    folder.need("generate")
    generated = folder.step("generate")
    file = generated / read_entry(generated / "generate.json", "file")
    if not file.is_file():
        raise BuildError(f"{file}: is gone; run `espalier generate {folder.path} --force` again")
    return file.read_text()


def design_of(folder: BuildFolder) -> Any:
    """The planned design of a build folder."""
    from ..hw.design import generate
    from ..hw.folding_file import read_plan

    folder.need("plan")
    return generate(graph_of(folder), read_plan(folder.step("plan") / FOLDING))
