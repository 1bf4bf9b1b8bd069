"""TFC with FINN's folding in both loop orders: initiation interval, latency, simulation, area and clock rate.

    python benchmarks/loop_order.py ../shared/models/TFC_1W1A.onnx
    python benchmarks/loop_order.py ../shared/models/TFC_1W1A.onnx --orders output input output output \\
        --simulate 3 --synth ecp5-25k --place --clock-mhz 150

PE x SIMD are 16x49, 8x8, 8x8 and 10x8 of the mac engine, 49 pixels of the image a cycle. Without --orders: the timing
of every combination.
"""

import argparse
import itertools
from collections.abc import Sequence
from pathlib import Path

from network import add_options, measure, random_frames

from espalier.hw.design import Design, generate
from espalier.hw.operators import units
from espalier.hw.plan import LayerPlan, Order, Plan
from espalier.hw.queues import analyse
from espalier.ir.graph import Graph
from espalier.ir.onnx_import import import_onnx
from espalier.ir.simplify import simplify

FOLDS = ((16, 49), (8, 8), (8, 8), (10, 8))
ORDERS: tuple[Order, ...] = ("output", "input")


def build(graph: Graph, orders: Sequence[Order], clock_mhz: float) -> Design:
    layers, left = {}, list(zip(FOLDS, orders, strict=True))
    for unit in units(graph):
        if unit.kind == "dense":
            (pe, simd), order = left.pop(0)
            layers[unit.name] = LayerPlan("mac", pe, simd, order=order)
        else:
            layers[unit.name] = LayerPlan(pe=FOLDS[0][1])
    return generate(graph, Plan(clock_mhz=clock_mhz, layers=layers))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--orders", nargs=4, choices=ORDERS, help="of the four layers")
    add_options(parser)
    options = parser.parse_args()
    graph = simplify(import_onnx(options.model, input_type="uint8:1/255").graph)
    if options.orders:
        design = build(graph, options.orders, options.clock_mhz)
        measure(design, random_frames(graph, max(1, options.simulate)), options)
        return
    for orders in itertools.product(ORDERS, repeat=4):
        design = build(graph, orders, options.clock_mhz)
        timing = analyse(design.schedules, design.links)
        print(f"{' '.join(f'{order:<6}' for order in orders)}  II {timing.ii_cycles}, latency {timing.latency_cycles}")


if __name__ == "__main__":
    main()
