"""Area, and on request clock rate, of networks built wholly by the spatial engine: one pipeline, a vector a cycle.

    python benchmarks/spatial_engine.py --works A B C --matrices ../shared/data/peer_workloads.npz -o build/spatial
    python benchmarks/spatial_engine.py --works A --matrices ../shared/data/peer_workloads.npz --place -o build/spatial
    python benchmarks/spatial_engine.py --unsw ../shared/models/unsw_nb15-mlp-w2a2.onnx -o build/spatial

A is one layer, 64 x 32; B and C are networks whose layers clip, as the peers built them. LUT: on ECP5 LUT4 + 2 x CCU2C,
LUT RAM of the queue apart; COMB: TRELLIS_COMB that nextpnr places. The valid/ready interface and the queue are part of
all figures, the registers around the design of none.
"""

import argparse
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from peers_work import build_graph, read_works

from espalier.boards.synth import synthesize
from espalier.hw.design import Design, generate
from espalier.hw.operators import units
from espalier.hw.plan import LayerPlan, Plan
from espalier.hw.spatial import SpatialStage
from espalier.ir.dense import Dense
from espalier.ir.graph import Graph
from espalier.ir.onnx_import import import_onnx
from espalier.ir.simplify import simplify

HEADER = "work weights  sums  cells depth | seconds cycles |  LUT4 CCU2C   LUT LUTRAM    FF |  COMB best MHz  seeds"


def build(graph: Graph, clock_mhz: float) -> tuple[Design, float, str]:
    """The design, the seconds that it and its Verilog took, and that."""
    begin = time.perf_counter()
    layers = {unit.name: LayerPlan("spatial") for unit in units(graph)}
    design = generate(graph, Plan(clock_mhz=clock_mhz, layers=layers))
    return design, time.perf_counter() - begin, design.verilog()


def measure(graph: Graph, options: argparse.Namespace) -> None:
    design, seconds, verilog = build(graph, options.clock_mhz)
    weights = sum(int(np.count_nonzero(node.weights)) for node in graph.nodes if isinstance(node, Dense))
    graphs = [graph for stage in design.stages.values() if isinstance(stage, SpatialStage) for graph in stage.graphs]
    sums, cells = sum(len(found.first) for found in graphs), sum(int(found.cells.sum()) for found in graphs)
    depth = sum(int(found.depth.max()) for found in graphs)
    result = next(channel.name for channel in design.channels if channel.port and not channel.is_input)
    cycles = int(design.predict(1)[result][-1])
    report = synthesize(
        verilog, design.top, options.device, options.output / f"{graph.name}_{options.device}",
        clock_mhz=options.clock_mhz, seeds=options.seeds, place=options.place, jobs=1, timeout_s=options.timeout_s,
    )  # fmt: skip
    area, rates = report.area, " ".join(f"{fmax:.0f}" for fmax in (report.fmax_by_seed or {}).values())
    lut = area.lut + (2 * area.carry if options.device.startswith("ecp5") else 0)
    fields = (
        f"{graph.name[:4]:<4} {weights:>7} {sums:>5} {cells:>6} {depth:>5} | {seconds:>7.1f} {cycles:>6} |",
        f"{area.lut:>5} {area.carry:>5} {lut:>5} {area.lutram:>6} {area.ff:>5} |",
        f"{report.comb or 0:>5} {report.fmax_mhz or 0:>8.1f}  {rates}",
    )
    print(*fields, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--works", nargs="+", choices=("A", "B", "C"), default=[], help="of --matrices")
    parser.add_argument("--matrices", type=Path, metavar="NPZ", help="peer_workloads.npz")
    parser.add_argument("--unsw", type=Path, metavar="ONNX", help="unsw_nb15-mlp-w2a2.onnx")
    parser.add_argument("--device", default="ecp5-85k")
    parser.add_argument("--clock-mhz", type=float, default=150.0, help="what the placer aims at")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument("--place", action="store_true", help="place and route as well (ECP5)")
    parser.add_argument("--timeout-s", type=float, default=7200.0, help="for each run of a tool")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for logs and netlists")
    options = parser.parse_args()
    print(HEADER)
    for name in options.works:
        measure(replace(build_graph(read_works(options.matrices)[name]), name=name), options)
    if options.unsw:
        measure(simplify(import_onnx(options.unsw, input_type="bipolar").graph), options)


if __name__ == "__main__":
    main()
