"""Area and clock rate of one convolution, line buffer included, placed and routed on an ECP5, queues of 4.

    python benchmarks/conv_engine.py --size 32 --channels 16 --outputs 16 --pe 4 --simd 4 -o build/conv
    python benchmarks/conv_engine.py --table -o build/conv

Random weights; the sums leave as they are. COMB is what nextpnr calls TRELLIS_COMB, for the whole; the areas of the
window stage (line buffer and reader) and of the product are those of yosys.
"""

import argparse
from pathlib import Path

from mac_engine import random_weights

from espalier.boards.area import Area
from espalier.boards.synth import SynthReport, synthesize
from espalier.hw.design import Design, generate
from espalier.hw.plan import LayerPlan, Plan
from espalier.ir.conv2d import Conv2d
from espalier.ir.graph import Graph, Input, IntType, Output, TensorType
from espalier.ir.narrow_types import narrow_types

# size, channels, outputs, kernel, stride, bits of weights and inputs, pe, simd, depthwise
TABLE = (
    (32, 3, 16, 3, 1, 8, 8, 4, 3, False),
    (32, 16, 16, 3, 1, 4, 4, 1, 1, False),
    (32, 16, 16, 3, 1, 4, 4, 4, 4, False),
    (32, 16, 16, 3, 1, 4, 4, 8, 16, False),
    (32, 16, 32, 3, 2, 4, 4, 4, 4, False),
    (16, 64, 64, 3, 1, 1, 1, 16, 32, False),
    (16, 64, 64, 3, 1, 4, 4, 4, 1, True),
    (28, 1, 16, 5, 1, 4, 8, 4, 25, False),
)
HEADER = (
    "image       outputs kernel stride bits pe simd | II cycles places | window: LUT4 CCU2C DPR16X4 BRAM |"
    " product: LUT4 CCU2C DPR16X4 BRAM |  COMB  FF  best MHz"
)


def build_convolution(
    size: int, channels: int, outputs: int, kernel: int, stride: int, weight_bits: int, input_bits: int,
    fold: LayerPlan, *, depthwise: bool, clock_mhz: float,
) -> Design:  # fmt: skip
    """A design of one convolution of a square image, padded to keep its size; 1-bit inputs are not padded."""
    of_group = 1 if depthwise else channels
    weights = random_weights(outputs, kernel * kernel * of_group, weight_bits)
    margin = 0 if input_bits == 1 else kernel // 2
    image = TensorType((size, size, channels), IntType(input_bits))
    node = Conv2d(
        "conv",
        ("x",),
        IntType(62, signed=True),
        weights.reshape(outputs, kernel, kernel, of_group),
        stride=(stride, stride),
        padding=(margin,) * 4,
        groups=channels if depthwise else 1,
    )
    graph = Graph(
        (Input("x", image, image.shape),), (node,), (Output("y", "conv", node.shape(image)),), name="conv_engine"
    )
    return generate(narrow_types(graph), Plan(clock_mhz, {"conv": fold}, {"conv": 4, "conv_window": 4}))


def describe(row: tuple, design: Design, report: SynthReport) -> str:
    size, channels, outputs, kernel, stride, weight_bits, input_bits, pe, simd, depthwise = row
    slots = max(schedule.slots for schedule in design.schedules.values())
    places = next((link.depth for link in design.buffers), "-")
    name = f"{size}x{size}x{channels}"
    fields = (
        f"{name:<11} {'per ch.' if depthwise else outputs:>7} {kernel:>6} {stride:>6} {weight_bits:>2}x{input_bits}",
        f"{pe:>2} {simd:>4} | {slots:>9} {places:>6} |{_cells(report.layers['conv_window']):>36}",
        f"|{_cells(report.layers['conv']):>37} |",
        f"{report.comb or 0:>5} {report.area.ff:>5} {report.fmax_mhz or 0:>6.0f}",
    )
    return " ".join(fields)


def _cells(area: Area) -> str:
    return f"{area.lut:>6} {area.carry:>5} {area.lutram:>7} {area.bram:>4}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--channels", type=int, default=16)
    parser.add_argument("--outputs", type=int, default=16)
    parser.add_argument("--kernel", type=int, default=3)
    parser.add_argument("--stride", type=int, default=1)
    parser.add_argument("--weight-bits", type=int, default=4)
    parser.add_argument("--input-bits", type=int, default=4)
    parser.add_argument("--pe", type=int, default=4)
    parser.add_argument("--simd", type=int, default=4)
    parser.add_argument("--depthwise", action="store_true")
    parser.add_argument("--table", action="store_true", help="all rows of docs/benchmarks.md instead")
    parser.add_argument("--device", default="ecp5-25k")
    parser.add_argument("--clock-mhz", type=float, default=200.0, help="what the placer aims at")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("-o", "--output", type=Path, required=True)
    given = parser.parse_args()
    one = (given.size, given.channels, given.outputs, given.kernel, given.stride, given.weight_bits, given.input_bits)
    print(HEADER)
    for row in TABLE if given.table else ((*one, given.pe, given.simd, given.depthwise),):
        *shape, pe, simd, depthwise = row
        fold = LayerPlan(pe=pe, simd=simd)
        design = build_convolution(*shape, fold, depthwise=depthwise, clock_mhz=given.clock_mhz)
        report = synthesize(
            design.verilog(), design.top, given.device, given.output / "-".join(map(str, row)),
            clock_mhz=given.clock_mhz, seeds=range(1, given.seeds + 1), layers=("conv_window", "conv"),
        )  # fmt: skip
        print(describe(row, design, report), flush=True)


if __name__ == "__main__":
    main()
