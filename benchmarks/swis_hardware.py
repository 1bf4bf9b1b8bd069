"""The runs of the SWIS benchmark as hardware: accuracy, frames a second and area of serial engines beside mac.

    python benchmarks/swis.py digits-cnn --work runs/swis --runs
    python benchmarks/swis_hardware.py runs/swis/digits-cnn/runs -o build/swis

Every layer has pe 4 and simd 4, as SWIS groups weights, whatever the engine; so a frame's cycles are what planes take.
A row is one placed network, its initiation interval that of the timing model at the depths that give the full rate.
"""

import argparse
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from amaranth.hdl import UnusedElaboratable
from engine_options import add_options
from markdown_tables import table

from espalier.boards.synth import synthesize
from espalier.hw.design import generate
from espalier.hw.folding_file import Folding
from espalier.hw.folds import MATRICES
from espalier.hw.operators import units
from espalier.hw.planner import plan
from espalier.hw.queues import analyse
from espalier.ir.graph import Graph
from espalier.ir.onnx_import import import_onnx
from espalier.ir.simplify import simplify
from espalier.quant.files import read_json

SIZE = 4


@dataclass(frozen=True)
class Row:
    """A run, and how its layers are built; engine: as a folding file says it."""

    run: str
    name: str
    engine: dict[str, str | int]


MAC = {"engine": "mac", "multiplier": "lut", "order": "output"}
DSP = MAC | {"multiplier": "dsp"}
ROWS = (
    *(Row(run, "mac", MAC) for run in ("plain-w3", "plain-w4", "plain-w8")),
    Row("plain-w8", "mac, DSP", DSP),
    *(
        Row(run, "serial", {"engine": "serial", "planes": "group-major"})
        for run in ("plain-w3", "plain-w4", "plain-w8")
    ),
    *(
        Row(run, f"serial, {planes}", {"engine": "serial", "planes": planes})
        for run in ("swis-joint-n2", "swis-joint-n2.5", "swis-joint-n3")
        for planes in ("group-major", "plane-major")
    ),
    *(
        Row(run, "serial, two shifts", {"engine": "serial", "planes": "group-major", "shifts_per_slot": 2})
        for run in ("plain-w4", "plain-w8", "swis-joint-double-n2", "swis-joint-double-n2.5", "swis-joint-double-n4")
    ),
)


def fold(graph: Graph, engine: dict[str, str | int]) -> Folding:
    layers = {}
    for unit in units(graph):
        if unit.kind in MATRICES:
            node: Any = unit.nodes[0]
            inputs = node.weights[0].size if unit.kind == "conv" else unit.source.channels
            layers[unit.name] = {**engine, "pe": min(SIZE, unit.result.channels), "simd": min(SIZE, inputs)}
    return Folding(layers=layers)


def measure(row: Row, runs: Path, options: argparse.Namespace) -> list[str]:
    graph = simplify(import_onnx(runs / row.run / "model.onnx").graph)
    design = generate(graph, plan(graph, folding=fold(graph, row.engine)))
    timing = analyse(design.schedules, design.links)
    report = synthesize(
        design.verilog(), design.top, options.device, options.output / f"{row.run}_{row.name.replace(', ', '_')}",
        clock_mhz=options.clock_mhz, seeds=options.seeds, place=not options.area_only,
    )  # fmt: skip
    area, score = report.area, read_json(runs / row.run / "metrics.json")["result"]["accuracy"]
    rate = 1e6 * (report.fmax_mhz or 0) / timing.ii_cycles
    comb = report.comb or 0
    return [
        row.run, row.name, f"{100 * score:.1f}", f"{timing.ii_cycles:,}", f"{area.lut:,} + {area.carry:,}", f"{comb:,}",
        f"{area.ff:,}", str(area.bram), str(area.dsp), f"{report.fmax_mhz or 0:.0f}", f"{rate:,.0f}",
        f"{1000 * rate / comb:,.0f}" if comb else "–",
    ]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, help="folder of runs")
    parser.add_argument("--row", type=int, nargs="+", help="only these rows, from 0")
    add_options(parser, "ecp5-25k", 150.0, (1,))
    options = parser.parse_args()
    warnings.filterwarnings("ignore", category=UnusedElaboratable)
    lines = []
    for number, row in enumerate(ROWS):
        if options.row is None or number in options.row:
            lines.append(measure(row, options.runs, options))
            print(" | ".join(lines[-1]), flush=True)
    area = ["LUT4 + CCU2C", "COMB", "FF", "block RAM", "DSP"]
    head = ["run", "engine", "accuracy %", "cycles", *area, "MHz", "frames/s", "frames/s per 1,000 COMB"]
    print(table(head, lines))


if __name__ == "__main__":
    main()
