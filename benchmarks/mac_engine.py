"""Area and clock rate of one dense stage of the mac engine, placed and routed on an ECP5, queue of 4 included.

    python benchmarks/mac_engine.py --inputs 64 --outputs 32 --pe 4 --simd 4 -o build/mac
    python benchmarks/mac_engine.py --layer-a ../shared/data/peer_workloads.npz --pe 1 --simd 1 -o build/mac
    python benchmarks/mac_engine.py --grid -o build/mac
    python benchmarks/mac_engine.py --inputs 256 --outputs 64 --pe 4 --simd 4 --multiplier dsp -o build/mac
    python benchmarks/mac_engine.py --orders --area-only -o build/mac

--orders measures a few shapes in both loop orders: what the input costs that groups of outputs scan again, and what
their sums cost if every beat of the input goes to all of them.

The sums leave as they are, in the fewest bits that hold them. COMB is what nextpnr calls TRELLIS_COMB; the registers
around the stage are not counted (see boards/wrapper.py).
"""

import argparse
import itertools
import json
from pathlib import Path

import numpy as np
from engine_options import add_options

from espalier.boards.synth import SynthReport, synthesize
from espalier.hw.design import Design, generate
from espalier.hw.plan import LayerPlan, Plan
from espalier.ir.dense import Dense
from espalier.ir.graph import Bounds, Graph, Input, IntType, Output, TensorType

HEADER = (
    "in x out    weight input  pe simd mult memory  order  cycles |"
    "  LUT4 CCU2C DPR16X4  COMB    FF BRAM DSP | best MHz  seeds"
)
GRID = tuple(itertools.product(((64, 32), (256, 64)), ((1, 1), (2, 2), (4, 4), (8, 8)), ((1, 1), (4, 4), (8, 8))))
# inputs, outputs, bits of weights and inputs, pe, simd
SHAPES = (
    (64, 64, 1, 1, 8, 8), (784, 64, 1, 1, 16, 49), (64, 64, 4, 4, 4, 4), (64, 256, 4, 4, 4, 4), (256, 64, 4, 4, 4, 4),
    (256, 256, 8, 8, 2, 2), (1024, 16, 4, 4, 2, 4),
)  # fmt: skip


def build_stage(weights: np.ndarray, input_bits: int, fold: LayerPlan, clock_mhz: float) -> Design:
    """A design of one Dense of ``weights``, shape (outputs, inputs), on unsigned inputs, with a queue of 4."""
    outputs, inputs = weights.shape
    x = Input("x", TensorType((inputs,), IntType(input_bits)), (inputs,))
    bounds = Bounds(np.zeros(inputs, np.int64), np.full(inputs, x.type.dtype.high))
    reached = Dense("fc", ("x",), IntType(62, signed=True), weights).bounds(bounds)
    result = IntType.of_range(int(reached.low.min()), int(reached.high.max()))
    graph = Graph((x,), (Dense("fc", ("x",), result, weights),), (Output("y", "fc", (outputs,)),), name="mac")
    return generate(graph, Plan(clock_mhz=clock_mhz, layers={"fc": fold}, depths={"fc": 4}))


def random_weights(outputs: int, inputs: int, bits: int) -> np.ndarray:
    """Uniform over all codes of ``bits`` bits; signs for 1 bit."""
    generator = np.random.default_rng(0)
    if bits == 1:
        return 2 * generator.integers(0, 2, (outputs, inputs)) - 1
    return generator.integers(-(2 ** (bits - 1)), 2 ** (bits - 1), (outputs, inputs))


def describe(weights: np.ndarray, weight_bits: int, input_bits: int, fold: LayerPlan, report: SynthReport) -> str:
    """One line of the table."""
    outputs, inputs = weights.shape
    cycles = -(-outputs // fold.pe) * -(-inputs // fold.simd)
    area, seeds = report.area, " ".join(f"{fmax:.0f}" for fmax in (report.fmax_by_seed or {}).values())
    return (
        f"{f'{inputs} x {outputs}':<11} {weight_bits:>6} {input_bits:>5} {fold.pe:>3} {fold.simd:>4} "
        f"{fold.multiplier:>4} {fold.memory:>6} {fold.order:>6} {cycles:>7} "
        f"| {area.lut:>5} {area.carry:>5} {area.lutram:>7} {report.comb or 0:>5} "
        f"{area.ff:>5} {area.bram:>4} {area.dsp:>3} | {report.fmax_mhz or 0:>8.1f}  {seeds}"
    )


def measure(weights: np.ndarray, weight_bits: int, input_bits: int, fold: LayerPlan, options) -> None:
    design = build_stage(weights, input_bits, fold, options.clock_mhz)
    size = f"{weights.shape[1]}x{weights.shape[0]}_w{weight_bits}a{input_bits}_{fold.pe}x{fold.simd}"
    folder = options.output / f"{size}_{fold.multiplier}_{fold.order}"
    report = synthesize(
        design.verilog(), design.top, options.device, folder, clock_mhz=options.clock_mhz, seeds=options.seeds,
        place=not options.area_only,
    )  # fmt: skip
    print(describe(weights, weight_bits, input_bits, fold, report), flush=True)
    if options.path and report.critical_path:
        print(json.dumps(report.critical_path.steps, indent=2), report.not_absorbed)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=64)
    parser.add_argument("--outputs", type=int, default=32)
    parser.add_argument("--weight-bits", type=int, default=4)
    parser.add_argument("--input-bits", type=int, default=4)
    parser.add_argument("--pe", type=int, default=1)
    parser.add_argument("--simd", type=int, default=1)
    parser.add_argument("--multiplier", choices=("lut", "dsp"), default="lut")
    parser.add_argument("--memory", choices=("auto", "block", "lut", "logic"), default="auto")
    parser.add_argument("--order", choices=("output", "input"), default="output")
    add_options(parser, "ecp5-25k", 250.0, (1, 2, 3))
    parser.add_argument("--layer-a", type=Path, metavar="NPZ", help="the weights A_w0 of peer_workloads.npz")
    parser.add_argument("--grid", action="store_true", help="sizes x folds x widths")
    parser.add_argument("--orders", action="store_true", help="a few shapes, in both loop orders")
    parser.add_argument("--path", action="store_true", help="print the critical path and what was not absorbed")
    options = parser.parse_args()
    print(HEADER)
    if options.grid:
        for (inputs, outputs), (pe, simd), (weight_bits, input_bits) in GRID:
            fold = LayerPlan("mac", pe, simd, options.multiplier, options.memory, options.order)
            measure(random_weights(outputs, inputs, weight_bits), weight_bits, input_bits, fold, options)
        return
    if options.orders:
        for (inputs, outputs, weight_bits, input_bits, pe, simd), order in itertools.product(
            SHAPES, ("output", "input")
        ):
            fold = LayerPlan("mac", pe, simd, options.multiplier, options.memory, order)
            measure(random_weights(outputs, inputs, weight_bits), weight_bits, input_bits, fold, options)
        return
    fold = LayerPlan("mac", options.pe, options.simd, options.multiplier, options.memory, options.order)
    weights = random_weights(options.outputs, options.inputs, options.weight_bits)
    if options.layer_a:
        weights = np.load(options.layer_a)["A_w0"].T
    measure(weights, options.weight_bits, options.input_bits, fold, options)


if __name__ == "__main__":
    main()
