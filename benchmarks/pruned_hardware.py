"""A dense and a pruned network side by side in hardware, at the same initiation interval.

    python benchmarks/pruned_hardware.py runs/dense runs/pruned --ii 10000 --simulate 2 --synth ecp5-45k

Both run folders hold quantized networks, as `espalier train` and `espalier prune` leave them. Each network gets the
fewest multipliers that bring its initiation interval to at most --ii cycles; the Verilog is compared with the executor
in every beat and cycle; areas are those of yosys, LUTs with those of carry chains and LUT RAM. Multiplications and
bits of weights, of the whole and of each layer, are counted after everything that cannot matter was removed. Status 1
if one beat differs.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from espalier.flow.hardware import figures_of
from espalier.hw.design import generate
from espalier.hw.planner import plan
from espalier.hw.queues import analyse
from espalier.ir.execute import quantize_inputs
from espalier.ir.onnx_import import import_onnx
from espalier.ir.simplify import simplify
from espalier.ir.work import work_by_layer
from espalier.sim.simulate import simulate

CLOCK_MHZ = 100.0


def measure(run: Path, options: argparse.Namespace) -> dict[str, Any]:
    """One column of the table."""
    result = json.loads((run / "metrics.json").read_text())["result"]
    graph = simplify(import_onnx(run / "model.onnx").graph)
    design = generate(graph, plan(graph, fps=CLOCK_MHZ * 1e6 / options.ii, clock_mhz=CLOCK_MHZ))
    row = {result["metric"]: float(result[result["metric"]])} | figures_of(graph, design, options.synth)
    row["first_result_cycles"] = analyse(design.schedules, design.links).first_result_cycles
    if options.simulate:
        frames = quantize_inputs(graph, np.load(run / "test.npz")["inputs"][: options.simulate])
        report = simulate(design, frames, stall=0.3)
        if not report.is_exact:
            sys.exit(f"{run}: the Verilog differs from the executor")
        row["exact_beats"] = sum(one.beats for one in report.runs)
    for name, work in work_by_layer(graph).items():
        fold = design.layer(name)
        row |= {f"{name}: weight bits": work.weight_bits, f"{name}: multipliers": fold.pe * fold.simd}
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+", help="run folders, the dense one first")
    parser.add_argument("--ii", type=int, required=True, help="cycles per frame at most")
    parser.add_argument("--simulate", type=int, default=2, metavar="FRAMES", help="with and without stalls")
    parser.add_argument("--synth", metavar="DEVICE", help="area by yosys")
    options = parser.parse_args()
    rows = [measure(run, options) for run in options.runs]
    width = max(len(key) for key in rows[0])
    for key in rows[0]:
        cells = [_show(row.get(key)) for row in rows]
        shares = [_share(row.get(key), rows[0][key]) for row in rows[1:]]
        print(f"{key.replace('_', ' '):<{width}}" + "".join(f"{cell:>14}" for cell in [*cells, *shares]))


def _share(value: Any, whole: Any) -> str:
    return f"{value / whole:.1%}" if isinstance(value, int) and whole else ""


def _show(value: Any) -> str:
    return f"{value:.4f}" if isinstance(value, float) else "-" if value is None else f"{value:,}"


if __name__ == "__main__":
    main()
