"""Area and clock rate of dense stages of the popcount engine, beside those of the mac engine at the same rate.

    python benchmarks/popcount_engine.py --binary -o build/popcount
    python benchmarks/popcount_engine.py --against -o build/popcount
    python benchmarks/popcount_engine.py --filled 6 -o build/popcount
    python benchmarks/popcount_engine.py --network ../shared/models/TFC_2W2A.onnx -o build/popcount

A binary operation is an AND or XNOR of two bits, or an addition of its result: two for each product of a bit of a
weight and a bit of an input. GOPS are those of every cycle at the clock rate that nextpnr found, without weighting;
GOPS/kLUT divides them by the TRELLIS_COMB of the whole stage: control, input buffer and queue included, and the
weights too where they are in LUTs. Random weights; the sums leave as they are, queues of 4. --filled: so many binary
layers of 128 x 128 in a row fill a device, 1,024 products a cycle each, thresholds included; GOPS/kLUT are also told of
all LUTs that the device has.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from calibration_stages import Growing
from engine_options import add_options
from mac_engine import build_stage, random_weights

from espalier.boards.devices import find_device
from espalier.boards.synth import SynthReport, synthesize
from espalier.hw.design import Design, generate
from espalier.hw.folding_file import read_folding
from espalier.hw.folds import MATRICES
from espalier.hw.operators import units
from espalier.hw.plan import LayerPlan, Plan
from espalier.hw.planner import plan
from espalier.hw.queues import analyse
from espalier.ir.dense import Dense
from espalier.ir.execute import execute
from espalier.ir.graph import Graph, Input, IntType, Output, TensorType
from espalier.ir.onnx_import import import_onnx
from espalier.ir.simplify import simplify
from espalier.sim.simulate import simulate

HEADER = (
    "engine   in x out  bits pe simd memory cycles |  LUT4 CCU2C DPR16X4 COMB   FF BRAM | MHz |  GOPS GOPS/kLUT |"
    " COMB x cycles / 1000"
)


@dataclass(frozen=True)
class Row:
    """One stage: bits of weights and of inputs, device."""

    engine: str
    inputs: int
    outputs: int
    bits: int
    pe: int
    simd: int
    memory: str
    device: str = "ecp5-25k"


# One layer each whose weights are read from block RAM, or from LUTs of 16 words; as wide as BISMO's 8 x 256.
BINARY = (
    Row("popcount", 256, 64, 1, 8, 64, "block"),
    Row("popcount", 256, 128, 1, 8, 256, "block", "ecp5-45k"),
    Row("popcount", 256, 128, 1, 8, 256, "lut"),
    Row("mac", 256, 64, 1, 8, 64, "block"),
)
# The same work in the same cycles: a product of n x n bits is n * n binary ones.
AGAINST = (
    Row("popcount", 256, 64, 1, 8, 64, "block"),
    Row("mac", 256, 64, 1, 8, 64, "block"),
    Row("popcount", 256, 64, 2, 8, 64, "block"),
    Row("mac", 256, 64, 2, 8, 16, "block"),
    Row("popcount", 252, 64, 3, 8, 63, "block"),
    Row("mac", 252, 64, 3, 8, 7, "block"),
)


def measure(row: Row, options: argparse.Namespace) -> None:
    """Print a line of the table."""
    fold = LayerPlan(row.engine, row.pe, row.simd, "lut", row.memory)
    design = build_stage(random_weights(row.outputs, row.inputs, row.bits), row.bits, fold, options.clock_mhz)
    name = f"{row.engine}_{row.inputs}x{row.outputs}_{row.bits}_{row.pe}x{row.simd}_{row.memory}"
    device = options.device or row.device
    report = synthesize(
        design.verilog(), design.top, device, options.output / f"{name}_{device}", clock_mhz=options.clock_mhz,
        seeds=options.seeds, place=not options.area_only,
    )  # fmt: skip
    cycles = design.stages["fc"].schedule.slots
    products = row.pe * row.simd * (1 if row.engine == "popcount" else row.bits**2)
    print(describe(row, cycles, products, report), flush=True)


def describe(row: Row, cycles: int, products: int, report: SynthReport) -> str:
    area, mhz = report.area, report.fmax_mhz or 0
    gops = 2e-3 * products * mhz
    density, work = 1000 * gops / report.lut, report.lut * cycles / 1000
    shape = f"{row.inputs}x{row.outputs}"
    return (
        f"{row.engine:<8} {shape:<9} {row.bits}x{row.bits} {row.pe:>2} {row.simd:>4} {row.memory:>6} {cycles:>6} | "
        f"{area.lut:>5} {area.carry:>5} {area.lutram:>7} {report.comb or 0:>4} {area.ff:>5} {area.bram:>4} | "
        f"{mhz:>3.0f} | {gops:>5.0f} {density:>9.0f} | {work:>8.0f}"
    )


def build_layers(count: int, clock_mhz: float) -> Design:
    """Binary layers of 128 x 128, one output bit a sum; the weights of the first are in block RAM, as many as an
    ECP5-25 can feed."""
    shape = (128,)
    start = Graph((Input("x", TensorType(shape, IntType(1)), shape),), (), (Output("y", "x", shape),), "layers")
    growing, layers = Growing(start, np.random.default_rng(0)), {}
    for number in range(count):
        growing.append(f"fc{number}", Dense, weights=random_weights(128, 128, 1))
        growing.apply(f"act{number}", "threshold", 1)
        layers[f"fc{number}"] = LayerPlan("popcount", 8, 128, "lut", "block" if number == 0 else "lut")
    return generate(growing.graph, Plan(clock_mhz=clock_mhz, layers=layers))


def measure_filled(options: argparse.Namespace) -> None:
    name = options.device or "ecp5-25k"
    design = build_layers(options.filled, options.clock_mhz)
    report = synthesize(
        design.verilog(), design.top, name, options.output / f"filled_{options.filled}_{name}",
        clock_mhz=options.clock_mhz, seeds=options.seeds, place=not options.area_only, timeout_s=7200.0,
    )  # fmt: skip
    gops, has = 2e-3 * 1024 * options.filled * (report.fmax_mhz or 0), find_device(name).lut
    print(
        f"{options.filled} layers of 128 x 128, 8 x 128: {report.area}, COMB {report.comb or 0} of {has}, "
        f"{report.fmax_mhz or 0:.0f} MHz, {gops:,.0f} GOPS, {1000 * gops / report.lut:.0f} for 1,000 LUTs used, "
        f"{1000 * gops / has:.0f} for 1,000 LUTs of the device"
    )


def with_engine(chosen: Plan, graph: Graph, engine: str) -> Plan:
    """The same folds with another engine."""
    matrices = {unit.name for unit in units(graph) if unit.kind in MATRICES}
    layers = {name: replace(fold, engine=engine) if name in matrices else fold for name, fold in chosen.layers.items()}
    return replace(chosen, layers=layers)


def at_same_rate(chosen: Plan, graph: Graph) -> Plan:
    """popcount with as many more lanes as it has pairs of planes, as far as the layer goes."""
    layers = dict(chosen.layers)
    for unit in units(graph):
        if unit.kind != "dense":
            continue
        fold = layers[unit.name]
        wanted = fold.pe * fold.simd * unit.weight_bits * unit.source.dtype.bits
        simd = min(unit.source.channels, wanted // fold.pe)
        layers[unit.name] = replace(
            fold, engine="popcount", pe=min(unit.result.channels, -(-wanted // simd)), simd=simd
        )
    return replace(chosen, layers=layers)


def variants(graph: Graph, chosen: Plan) -> Iterator[tuple[str, Design]]:
    yield "mac", generate(graph, chosen)
    yield "popcount, same folds", generate(graph, with_engine(chosen, graph, "popcount"))
    same = at_same_rate(chosen, graph)
    if same != with_engine(chosen, graph, "popcount"):
        yield "popcount, same rate", generate(graph, same)


def measure_network(options: argparse.Namespace) -> None:
    """Print area and cycles of a network in both engines, after their values are compared in Verilator."""
    graph = simplify(import_onnx(options.network, input_type="uint8:1/255").graph)
    folding = read_folding(options.folding)
    layers = {name: {**layer, "engine": "mac", "order": "output"} for name, layer in folding.layers.items()}
    chosen = plan(graph, folding=replace(folding, layers=layers))
    tensor = graph.inputs[0].type
    frames = np.random.default_rng(1).integers(0, 256, (options.frames, *tensor.shape))
    codes = execute(graph, frames)
    for name, design in variants(graph, chosen):
        verilog, timing = design.verilog(), analyse(design.schedules, design.links)
        line = f"{name:<22} II {timing.ii_cycles:>5} latency {timing.latency_cycles:>5}"
        if options.simulate:
            run = simulate(design, {graph.inputs[0].name: frames}, verilog=verilog).runs[0]
            line += (
                f" values {'exact' if run.values_exact else 'WRONG'} cycles {'exact' if run.cycles_exact else 'WRONG'}"
            )
        folder = options.output / f"{options.network.stem}_{name.replace(', ', '_').replace(' ', '_')}"
        report = synthesize(
            verilog, design.top, options.device or "ecp5-45k", folder, clock_mhz=options.clock_mhz,
            seeds=options.seeds, place=not options.area_only,
        )  # fmt: skip
        area = report.area
        print(
            f"{line} | {area.lut} LUT {area.carry} carry {area.lutram} LUT RAM {area.ff} FF {area.bram} BRAM | "
            f"COMB {report.comb or 0} {report.fmax_mhz or 0:.0f} MHz",
            flush=True,
        )
    print(f"{len(frames)} frames, {sum(values.size for values in codes.values())} codes")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", action="store_true", help="stages of one bit, GOPS per kLUT")
    parser.add_argument("--against", action="store_true", help="both engines at 1 x 1, 2 x 2 and 3 x 3 bits")
    parser.add_argument("--row", type=int, help="only this row of the table, from 0")
    parser.add_argument("--filled", type=int, metavar="LAYERS", help="a device filled with binary layers")
    parser.add_argument("--network", type=Path, metavar="ONNX", help="a network of dense layers in both engines")
    parser.add_argument("--folding", type=Path, default=Path("examples/tfc-finn.json"))
    parser.add_argument(
        "--simulate", action="store_true", help="in Verilator, with comparison of all values and cycles"
    )
    parser.add_argument("--frames", type=int, default=20)
    add_options(parser, None, 250.0, (1,))
    options = parser.parse_args()
    if options.network or options.filled:
        (measure_network if options.network else measure_filled)(options)
        return
    rows = (*(BINARY if options.binary else ()), *(AGAINST if options.against else ()))
    print(HEADER)
    for row in rows if options.row is None else rows[options.row : options.row + 1]:
        measure(row, options)


if __name__ == "__main__":
    main()
