"""What several products in a DSP block save, and what it costs to take their sums apart sooner or later.

    python benchmarks/packing.py -o build/packing
    python benchmarks/packing.py ../shared/models/resnet8_a4w4b32.onnx --folding examples/resnet8-dsp.json \\
        --device xczu3eg --forms none chosen -o build/packing

Forms: none (a DSP block for each product, as before there was packing), product (every product is taken apart), slot
(the sum of a slot's products), chosen (what the engine chooses: where they fit, final sums side by side in one
accumulator). Without a model: a dense layer of 64 inputs and 32 outputs. Areas are those of yosys; COMB is
what nextpnr places of TRELLIS_COMB, with --place.
"""

import argparse
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

from mac_engine import build_stage, random_weights

from espalier.boards.synth import synthesize
from espalier.hw.design import Design, generate
from espalier.hw.folding_file import read_folding
from espalier.hw.packing import Packing, choose_packing
from espalier.hw.plan import LayerPlan
from espalier.hw.planner import plan
from espalier.hw.queues import analyse
from espalier.ir.onnx_import import import_onnx
from espalier.ir.simplify import simplify

CHOOSER = "espalier.hw.mac_array.choose_packing"
FORMS = ("none", "product", "slot", "chosen")


def chooser(form: str) -> Callable[..., Packing | None]:
    """Chooses the packing of ``form`` wherever it is possible."""

    def choose(x, weights, pe, simd, total):
        if form == "none":
            return None
        if form == "chosen":
            return choose_packing(x, weights, pe, simd, total)
        found = choose_packing(x, weights, pe, 1 if form == "product" else simd, None)
        return found and replace(found, group=1 if form == "product" else found.group)

    return choose


def measure(form: str, build: Callable[[], Design], options: argparse.Namespace) -> None:
    with patch(CHOOSER, chooser(form)):
        design = build()
        verilog = design.verilog()
    cycles = analyse(design.schedules, design.links).ii_cycles
    folder = options.output / form
    report = synthesize(verilog, design.top, options.device, folder, clock_mhz=250, seeds=(1,), place=options.place)
    area = report.area
    print(
        f"{form:<8} II {cycles:>6} | {area.dsp:>4} DSP {area.lut:>5} LUT {area.carry:>5} carry {area.lutram:>3} RAM "
        f"{area.ff:>6} FF {area.bram:>3} BRAM | {report.comb or 0:>5} COMB {report.fmax_mhz or 0:>4.0f} MHz "
        f"| slow DSP blocks: {len(report.not_absorbed)}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, nargs="?")
    parser.add_argument("--folding", type=Path, help="folding file, which says multiplier dsp")
    parser.add_argument("--pe", type=int, default=4)
    parser.add_argument("--simd", type=int, default=4)
    parser.add_argument("--weight-bits", type=int, default=4)
    parser.add_argument("--input-bits", type=int, default=4)
    parser.add_argument("--device", default="ecp5-25k")
    parser.add_argument("--forms", nargs="+", choices=FORMS, default=FORMS)
    parser.add_argument("--place", action="store_true", help="place and route with one seed (ECP5)")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for logs and netlists")
    options = parser.parse_args()
    if options.model:
        graph = simplify(import_onnx(options.model).graph)
        chosen = plan(graph, folding=read_folding(options.folding) if options.folding else None)

        def build() -> Design:
            return generate(graph, chosen)
    else:
        weights = random_weights(32, 64, options.weight_bits)

        def build() -> Design:
            fold = LayerPlan("mac", options.pe, options.simd, "dsp")
            return build_stage(weights, options.input_bits, fold, clock_mhz=250.0)

    for form in options.forms:
        measure(form, build, options)


if __name__ == "__main__":
    main()
