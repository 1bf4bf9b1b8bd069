"""Whole networks on small devices: what the planner predicts, and what yosys, or nextpnr, needs.

    python benchmarks/small_devices.py
    python benchmarks/small_devices.py --device ice40-up5k --network digits --fps 100000 --place

Networks: the perceptron of examples/, and a small convolutional one with random weights. Rates are for 100 MHz.
"""

import argparse
import tempfile
import warnings
from dataclasses import asdict
from pathlib import Path

import numpy as np
from amaranth.hdl import UnusedElaboratable
from calibration_stages import Growing, random_weights

from espalier.boards.synth import synthesize
from espalier.flow.budgets import find_budget
from espalier.flow.options import PlanOptions
from espalier.hw.budget import spent
from espalier.hw.fitting import fit
from espalier.hw.planning import Planning
from espalier.hw.resources import Resources
from espalier.ir.conv2d import Conv2d
from espalier.ir.dense import Dense
from espalier.ir.flatten import Flatten
from espalier.ir.graph import Graph, Input, IntType, Output, TensorType
from espalier.ir.max_pool import MaxPool2d
from espalier.ir.onnx_import import import_onnx
from espalier.ir.simplify import simplify

DEVICES, RATES = ("ice40-up5k", "ice40-hx8k", "gw1nr-9"), (5_000, 50_000, 150_000)
DIGITS = Path(__file__).parents[1] / "examples" / "digits.onnx"
HEADER = "network  device         fps | lookup tables, flip-flops, block RAMs, DSP blocks: predicted, needed | error"


def small_cnn() -> Graph:
    """Two convolutions of 3 x 3 with pools, and a layer of ten outputs, of 3-bit weights."""
    shape = (14, 14, 1)
    start = Graph((Input("x", TensorType(shape, IntType(4)), shape),), (), (Output("y", "x", shape),), "small_cnn")
    growing, channels = Growing(start, np.random.default_rng(1)), 1
    for layer, outputs in enumerate((6, 12), start=1):
        weights = random_weights(growing.rng, (outputs, 3, 3, channels), 3, "normal")
        growing.append(f"conv{layer}", Conv2d, weights=weights)
        growing.apply(f"act{layer}", "threshold", 3)
        growing.append(f"pool{layer}", MaxPool2d, kernel=(2, 2), stride=(2, 2))
        channels = outputs
    growing.append("flat", Flatten)
    growing.append("fc", Dense, weights=random_weights(growing.rng, (10, 4 * channels), 3, "normal"))
    return growing.graph


def compare(network: str, graph: Graph, device: str, fps: float, *, place: bool) -> str:
    budget = find_budget(PlanOptions(device=device))
    assert budget
    fitted = fit(Planning(graph, budget=budget, has_target=True), fps)
    design = fitted.design
    with tempfile.TemporaryDirectory() as scratch:
        report = synthesize(design.verilog(), design.top, device, Path(scratch), place=place, seeds=(1,), clock_mhz=20)
    needed = spent(Resources(**asdict(report.area)), budget.family)
    both = ["{lut:,} {ff:,} {bram} {dsp}".format_map(asdict(one)) for one in (fitted.spent, needed)]
    placed = f"; placed {report.comb:,} at {report.fmax_mhz:.0f} MHz" if report.comb else ""
    error = fitted.spent.lut / needed.lut - 1
    return f"{network:<8} {device:<11} {fps:>7,.0f} | {both[0]:>18}, {both[1]:>18} | {error:+.1%}{placed}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    networks = {"digits": lambda: simplify(import_onnx(DIGITS).graph), "cnn": small_cnn}
    parser.add_argument("--network", nargs="+", choices=list(networks), default=list(networks))
    parser.add_argument("--device", nargs="+", default=list(DEVICES))
    parser.add_argument("--fps", nargs="+", type=float, default=list(RATES))
    parser.add_argument("--place", action="store_true", help="with nextpnr, aiming at 20 MHz")
    options = parser.parse_args()
    warnings.filterwarnings("ignore", category=UnusedElaboratable)
    print(HEADER, flush=True)
    for network in options.network:
        graph = networks[network]()
        for device in options.device:
            for fps in options.fps:
                print(compare(network, graph, device, fps, place=options.place), flush=True)


if __name__ == "__main__":
    main()
