"""The serial engine beside mac: area, clock rate and frames a second of one dense stage, placed on an ECP5.

    python benchmarks/serial_engine.py --layer-a ../shared/data/peer_workloads.npz -o build/serial
    python benchmarks/serial_engine.py --only swis2 --pe 8 --simd 8 -o build/serial

Each row is a layer of thresholds of 2 bits (``--raw``: its sums leave as they are) with a queue of 4, at the same pe x
simd for all engines. Weights: ``random4``, 64 x 32, and ``random8``, 64 x 64, uniform over all codes; ``swis1`` to
``swis3``, 64 x 64: 8-bit weights of which four inputs in a row share that many planes, the same for ``pe`` outputs, as
SWIS with supports chosen for a tile makes them. Inputs are unsigned, of as many bits as random weights, of 8 for SWIS.
COMB is what nextpnr calls TRELLIS_COMB; frames a second: the best rate of all seeds divided by the cycles of a frame.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from engine_options import add_options
from mac_engine import random_weights

from espalier.boards.synth import SynthReport, synthesize
from espalier.hw.design import Design, generate
from espalier.hw.plan import LayerPlan, Plan
from espalier.ir.dense import Dense
from espalier.ir.graph import Bounds, Graph, Input, Ints, IntType, Output, TensorType
from espalier.ir.threshold import Threshold

HEADER = (
    "weights  engine order       shifts pe simd  cycles |  LUT4 CCU2C DPR16X4  COMB    FF BRAM DSP |   MHz  kframes/s"
    "  kframes/s per 1000 COMB"
)
SWIS_POSITIONS = 7
GROUP = 4


def swis_weights(outputs: int, inputs: int, shifts: int, joint: int) -> Ints:
    """(outputs, inputs), each four inputs of ``joint`` outputs with the same ``shifts`` planes, drawn at random."""
    generator = np.random.default_rng(0)
    shape = -(-outputs // joint), inputs // GROUP
    supports = np.argsort(generator.random((*shape, SWIS_POSITIONS)))[..., :shifts]
    supports = supports.repeat(joint, axis=0)[:outputs].repeat(GROUP, axis=1)
    masks = generator.integers(0, 2, supports.shape)
    return (masks << supports).sum(axis=2) * generator.choice([-1, 1], (outputs, inputs))


def layers(options) -> Iterator[tuple[str, Ints, int]]:
    """Name, weights and bits of the inputs."""
    if options.layer_a:
        yield "layer A", np.load(options.layer_a)["A_w0"].T, 4
    yield "random4", random_weights(32, 64, 4), 4
    yield "random8", random_weights(64, 64, 8), 8
    for shifts in (1, 2, 3):
        yield f"swis{shifts}", swis_weights(64, 64, shifts, options.pe), 8


def folds(pe: int, simd: int) -> Iterator[LayerPlan]:
    yield LayerPlan("mac", pe, simd)
    yield LayerPlan("mac", pe, simd, "dsp")
    for planes in ("group-major", "plane-major"):
        for shifts in (1, 2):
            yield LayerPlan("serial", pe, simd, planes=planes, shifts_per_slot=shifts)


def build_stage(weights: Ints, input_bits: int, fold: LayerPlan, *, is_raw: bool, clock_mhz: float) -> Design:
    """A design of one Dense on unsigned inputs, and thresholds that part the range of its sums evenly."""
    outputs, inputs = weights.shape
    x = Input("x", TensorType((inputs,), IntType(input_bits)), (inputs,))
    bounds = Bounds(np.zeros(inputs, np.int64), np.full(inputs, x.type.dtype.high))
    reached = Dense("fc", ("x",), IntType(62, signed=True), weights).bounds(bounds)
    result = IntType.of_range(int(reached.low.min()), int(reached.high.max()))
    nodes = [Dense("fc", ("x",), result, weights)]
    if not is_raw:
        steps = np.linspace(reached.low, reached.high, 5)[1:-1].T.astype(np.int64)
        nodes.append(Threshold("act", ("fc",), IntType(2), steps))
    graph = Graph((x,), tuple(nodes), (Output("y", nodes[-1].name, (outputs,)),), name="serial")
    return generate(graph, Plan(clock_mhz=clock_mhz, layers={"fc": fold}, depths={"fc": 4}))


def describe(name: str, fold: LayerPlan, cycles: int, report: SynthReport) -> str:
    area, rate, comb = report.area, (report.fmax_mhz or 0) * 1e3 / cycles, report.comb or 0
    is_serial = fold.engine == "serial"
    order, shifts = (fold.planes, fold.shifts_per_slot) if is_serial else (fold.multiplier, "")
    return (
        f"{name:<8} {fold.engine:<6} {order:<11} {shifts:>6} {fold.pe:>2} {fold.simd:>4} {cycles:>7} | "
        f"{area.lut:>5} {area.carry:>5} {area.lutram:>7} {comb:>5} {area.ff:>5} {area.bram:>4} {area.dsp:>3} | "
        f"{report.fmax_mhz or 0:>5.0f} {rate:>10.1f} {1e3 * rate / comb if comb else 0:>8.1f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layer-a", type=Path, metavar="NPZ", help="also the weights A_w0 of peer_workloads.npz")
    parser.add_argument("--only", nargs="+", metavar="WEIGHTS", help="of the rows, those with these weights")
    parser.add_argument("--engines", nargs="+", choices=("mac", "serial"), default=("mac", "serial"))
    parser.add_argument("--pe", type=int, default=4)
    parser.add_argument("--simd", type=int, default=4)
    parser.add_argument("--raw", action="store_true", help="no thresholds: the sums leave as they are")
    add_options(parser, "ecp5-25k", 250.0, (1, 2))
    options = parser.parse_args()
    print(HEADER)
    for name, weights, input_bits in layers(options):
        if options.only and name not in options.only:
            continue
        for number, fold in enumerate(folds(options.pe, options.simd)):
            if fold.engine not in options.engines:
                continue
            design = build_stage(weights, input_bits, fold, is_raw=options.raw, clock_mhz=options.clock_mhz)
            report = synthesize(
                design.verilog(), design.top, options.device, options.output / f"{name.replace(' ', '_')}_{number}",
                clock_mhz=options.clock_mhz, seeds=options.seeds, place=not options.area_only,
            )  # fmt: skip
            print(describe(name, fold, design.stages["fc"].schedule.slots, report), flush=True)


if __name__ == "__main__":
    main()
