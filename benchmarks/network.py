"""A whole network: time of import and planning, timing, simulation and area.

    python benchmarks/network.py model.onnx --input-type uint8:1/255 --fps 500 --simulate 2 --synth ecp5-85k
    python benchmarks/network.py model.onnx --folding folding.json --synth xc7z020
    python benchmarks/network.py model.onnx --folding folding.json --multiplier dsp --synth xczu3eg

Areas are those of yosys; clock rates, with --place, those of nextpnr-ecp5 with one seed.
"""

import argparse
import tempfile
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from espalier.boards.area import Area
from espalier.boards.synth import synthesize
from espalier.hw.design import Design, generate
from espalier.hw.folding_file import read_folding
from espalier.hw.planner import plan
from espalier.hw.queues import analyse
from espalier.ir.graph import Graph, Ints
from espalier.ir.onnx_import import import_onnx
from espalier.ir.simplify import simplify
from espalier.sim.simulate import simulate

SEED = 1


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--simulate", type=int, default=0, metavar="FRAMES", help="in Verilator, without stalls")
    parser.add_argument("--synth", metavar="DEVICE", help="area by yosys, whole and layer by layer")
    parser.add_argument("--place", action="store_true", help="place and route as well (ECP5)")
    parser.add_argument("--clock-mhz", type=float, default=100.0, help="what the placer aims at")


def measure(design: Design, frames: Mapping[str, Ints], options: argparse.Namespace) -> None:
    """Print timing, and what the options ask for."""
    print_timing(design)
    verilog = design.verilog()
    with tempfile.TemporaryDirectory() as scratch:
        if options.simulate:
            print_simulation(design, verilog, {name: codes[: options.simulate] for name, codes in frames.items()})
        if options.synth:
            report = synthesize(
                verilog,
                design.top,
                options.synth,
                Path(scratch) / "synth",
                clock_mhz=options.clock_mhz,
                seeds=(SEED,),
                layers=tuple(design.stages),
                place=options.place,
            )
            print(f"{options.synth}: {_describe(report.area)}")
            if report.fmax_mhz:
                print(f"{report.comb} TRELLIS_COMB, {report.fmax_mhz:.0f} MHz")
            for name, area in report.layers.items():
                print(f"  {name:<24} {_describe(area)}")


def print_timing(design: Design) -> None:
    begin = time.perf_counter()
    timing = analyse(design.schedules, design.links)
    print(f"II {timing.ii_cycles} cycles, limited by {', '.join(timing.limited_by)}")
    print(f"first result after {timing.first_result_cycles} cycles, last one after {timing.latency_cycles}")
    places = ", ".join(f"{link.name} {link.depth}" for link in design.links if (link.depth or 0) > 2)
    print(f"queues and buffers of more than 2 places: {places or 'none'}")
    print(f"analysis {time.perf_counter() - begin:.1f} s")


def print_simulation(design: Design, verilog: str, frames: Mapping[str, Ints]) -> None:
    begin = time.perf_counter()
    report = simulate(design, frames, verilog=verilog)
    for run in report.runs:
        exact = f"values {'exact' if run.values_exact else 'WRONG'}, cycles {'exact' if run.cycles_exact else 'WRONG'}"
        print(
            f"{report.frames} frames, {run.beats} beats of {len(run.counts)} streams in {run.cycles} cycles: {exact}; "
            f"{run.kcycles_per_s:.0f} kcycles/s, {time.perf_counter() - begin:.0f} s with compilation"
        )
        for text in run.mismatches[:5]:
            print(f"  {text}")


def _describe(area: Area) -> str:
    return (
        f"{area.lut} LUT, {area.carry} carry, {area.lutram} LUT RAM, {area.ff} FF, {area.bram} block RAM of 18 kbit, "
        f"{area.dsp} DSP"
    )


def random_frames(graph: Graph, count: int) -> dict[str, Ints]:
    rng = np.random.default_rng(0)
    types = {port.name: port.type for port in graph.inputs}
    return {
        name: rng.integers(kind.dtype.low, kind.dtype.high, (count, *kind.shape), endpoint=True)
        for name, kind in types.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--input-type", help="the integers that come in")
    parser.add_argument("--fps", type=float, help="target rate at --plan-clock-mhz")
    parser.add_argument("--plan-clock-mhz", type=float, default=100.0)
    parser.add_argument("--multipliers", type=int, help="budget of products per cycle")
    parser.add_argument("--folding", type=Path, help="folding file")
    parser.add_argument("--multiplier", choices=("lut", "dsp"), help="of all layers, whatever the file says")
    add_options(parser)
    options = parser.parse_args()
    begin = time.perf_counter()
    graph = simplify(import_onnx(options.model, input_type=options.input_type).graph)
    imported = time.perf_counter()
    print(f"imported and simplified in {imported - begin:.1f} s: {len(graph.nodes)} operators")
    folding = read_folding(options.folding) if options.folding else None
    chosen = plan(
        graph,
        fps=options.fps,
        clock_mhz=options.plan_clock_mhz,
        multipliers=options.multipliers,
        folding=folding,
    )
    if options.multiplier:
        layers = {name: replace(layer, multiplier=options.multiplier) for name, layer in chosen.layers.items()}
        chosen = replace(chosen, layers=layers)
    design = generate(graph, chosen)
    print(f"planned in {time.perf_counter() - imported:.1f} s: {len(design.stages)} stages")
    for name, layer in chosen.layers.items():
        print(f"  {name:<24} pe {layer.pe} simd {layer.simd}")
    measure(design, random_frames(graph, max(1, options.simulate)), options)


if __name__ == "__main__":
    main()
