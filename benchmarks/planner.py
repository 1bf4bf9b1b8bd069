"""The planner on whole networks and devices: its prediction, its time, and the area of the greedy choice at that rate.

    python benchmarks/planner.py --models ../shared/models --ds-cnn runs/ds-cnn/model.onnx -o build/planner.jsonl
    python benchmarks/planner.py --network tfc-w2a2 --device ecp5-25k --synth -o build/planner.jsonl
    python benchmarks/planner.py --greedy-rate -o build/planner-greedy.jsonl
    python benchmarks/planner.py --table -o build/planner.jsonl

Each network gets the fastest plan for each device, 80 % of its lookup tables filled; the greedy planner
(`benchmarks/greedy.py`) the same cycles a frame. With --greedy-rate it is the other way round: the fastest plan of the
greedy planner that is predicted to fit, and the least area at that rate; where it fits at no rate, ours as before.
Area is the sum of shares of the device, as lookup tables. What is there already is not done again. --synth maps both
designs with yosys, which takes long.
"""

import argparse
import json
import tempfile
import time
import warnings
from bisect import bisect_left
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import cnv
import numpy as np
from amaranth.hdl import UnusedElaboratable
from greedy import plan_greedily

from espalier.boards.synth import synthesize
from espalier.errors import EspalierError
from espalier.flow.budgets import find_budget
from espalier.flow.options import PlanOptions
from espalier.hw.budget import KINDS, Budget, Spent, spent
from espalier.hw.design import Design, generate
from espalier.hw.estimate import estimate, total
from espalier.hw.fitting import fit
from espalier.hw.planning import Planning
from espalier.hw.queues import analyse
from espalier.hw.resources import Resources
from espalier.ir.graph import Graph
from espalier.ir.onnx_import import import_onnx
from espalier.ir.simplify import simplify

DEVICES = ("ecp5-25k", "ecp5-45k", "ecp5-85k")
SLOWEST = 16
"""Times the cycles of the best plan: slower plans are not looked for."""
HEADER = (
    "| network | device | cycles a frame | predicted: LUT, FF, BRAM, DSP | synthesized | error of LUT | "
    "greedy, synthesized or predicted | area against greedy | seconds to plan |\n|---|---|---|---|---|---|---|---|---|"
)


def networks(options: argparse.Namespace) -> Mapping[str, Callable[[], Graph]]:
    found: dict[str, Callable[[], Graph]] = {
        "tfc-w2a2": partial(_import, options.models / "TFC_2W2A.onnx"),
        "resnet8-a4w4": partial(_import, options.models / "resnet8_a4w4b32.onnx"),
        "cnv-w1a1": partial(_cnv, options.models / "cnv_w1a1_cifar10.npz"),
    }
    return found | ({"ds-cnn": partial(_import, options.ds_cnn)} if options.ds_cnn else {})


def _import(path: Path) -> Graph:
    return simplify(import_onnx(path).graph)


def _cnv(path: Path) -> Graph:
    with np.load(path, allow_pickle=False) as archive:
        return cnv.cnv_graph(dict(archive))


def plan_row(graph: Graph, device: str, fill: float, *, greedy_rate: bool) -> tuple[dict[str, Any], Design, Design]:
    """The row of a network and a device, and the designs of both planners.

    greedy_rate: the rate is the best that the greedy planner reaches, not ours.
    """
    budget = find_budget(PlanOptions(device=device, fill=fill))
    assert budget
    asked = fastest_greedy(graph, Planning(graph, budget=budget)) if greedy_rate else None
    begin = time.process_time()
    planning = Planning(graph, budget=budget)
    fps = None if asked is None else planning.fps(asked)
    chosen = planning.fastest() if fps is None else planning.at_rate(fps)
    planned = time.process_time() - begin
    fitted = fit(planning, fps)
    cycles = asked or fitted.chosen.cycles
    greedy = generate(graph, plan_greedily(graph, cycles))
    timing = [analyse(design.schedules, design.links).ii_cycles for design in (fitted.design, greedy)]
    row = {
        "cycles": cycles,
        "is_best": chosen.is_best,
        "plan_s": planned,
        "ii_cycles": timing,
        "predicted": [_amounts(_predict(design, budget, placed=False), budget) for design in (fitted.design, greedy)],
        "synthesized": [None, None],
    }
    return row, fitted.design, greedy


def fastest_greedy(graph: Graph, planning: Planning) -> int | None:
    """The fewest cycles a frame at which the design of the greedy plan is predicted to fit, found by bisection between
    our best plan and one `SLOWEST` times as slow; None where that does not fit either."""
    best = planning.fastest().cycles
    levels = [level for level in planning.chooser.levels if best <= level <= SLOWEST * best]
    fits = partial(_fits_greedily, graph, planning.budget)
    if not fits(levels[-1]):
        return None
    return levels[bisect_left(levels, True, hi=len(levels) - 1, key=fits)]


def _fits_greedily(graph: Graph, budget: Budget, cycles: int) -> bool:
    return not budget.exceeded(_predict(generate(graph, plan_greedily(graph, cycles)), budget))


def _predict(design: Design, budget: Budget, *, placed: bool = True) -> Spent:
    """placed: with what nextpnr adds to what yosys tells."""
    found = total(estimate(design, budget.family))
    return spent(found if placed else replace(found, chains=0.0), budget.family)


def _amounts(taken: Spent, budget: Budget) -> dict[str, int]:
    return {**asdict(taken), "area": budget.area(taken)}


def synthesize_both(designs: tuple[Design, Design], device: str) -> list[dict[str, int]]:
    budget = find_budget(PlanOptions(device=device))
    assert budget
    found = []
    for design in designs:
        with tempfile.TemporaryDirectory() as scratch:
            area = synthesize(
                design.verilog(), design.top, "ecp5-85k", Path(scratch), place=False, jobs=1, timeout_s=7200.0
            ).area
        found.append(_amounts(spent(Resources(**asdict(area)), budget.family), budget))
    return found


def show(key: str, row: dict[str, Any]) -> str:
    network, device, fill = key.split(":")
    predicted, greedy = row["predicted"]
    measured, greedy_measured = row["synthesized"]
    error = f"{predicted['lut'] / measured['lut'] - 1:+.1%}" if measured else "-"
    both = (measured, greedy_measured) if measured else (predicted, greedy)
    budget = find_budget(PlanOptions(device=device, fill=float(fill)))
    fits = budget and not budget.exceeded(Spent(*(both[1][kind] for kind in KINDS)))
    against = f"{both[0]['area'] / both[1]['area'] - 1:+.1%}" + ("" if fits else " (greedy does not fit)")
    exact = "" if row["ii_cycles"][0] <= row["cycles"] else f" (II {row['ii_cycles'][0]})"
    return (
        f"| {network} | {device}, {float(fill):.0%} | {row['cycles']:,}{exact} | {_list(predicted)} | "
        f"{_list(measured) if measured else '-'} | {error} | {_list(both[1])} | {against} | {row['plan_s']:.1f} |"
    )


def _list(amounts: Mapping[str, int]) -> str:
    return ", ".join(f"{amounts[kind]:,}" for kind in KINDS)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=Path, default=Path("../shared/models"))
    parser.add_argument("--ds-cnn", type=Path, metavar="ONNX", help="a network that `espalier train ds-cnn` left")
    parser.add_argument("--device", nargs="+", default=list(DEVICES))
    parser.add_argument("--network", nargs="+", help="only these; default: all")
    parser.add_argument("--fill", type=float, default=0.8)
    parser.add_argument("--greedy-rate", action="store_true", help="at the best rate of the greedy planner")
    parser.add_argument("--synth", action="store_true", help="map both designs with yosys")
    parser.add_argument("--table", action="store_true", help="only print what is there")
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args()
    warnings.filterwarnings("ignore", category=UnusedElaboratable)
    lines = options.output.read_text().splitlines() if options.output.is_file() else []
    known: dict[str, Any] = dict(json.loads(line) for line in lines)
    if not options.table:
        for name, load in networks(options).items():
            if name in (options.network or (name,)):
                run(name, load(), options, known)
    print(HEADER)
    for key, row in known.items():
        print(show(key, row) if "error" not in row else f"| {key} | {row['error']} |")


def run(name: str, graph: Graph, options: argparse.Namespace, known: dict[str, Any]) -> None:
    for device in options.device:
        key = f"{name}:{device}:{options.fill:g}"
        if key in known and (not options.synth or known[key].get("synthesized", [1])[0]):
            continue
        try:
            row, *designs = plan_row(graph, device, options.fill, greedy_rate=options.greedy_rate)
            if options.synth:
                row["synthesized"] = synthesize_both((designs[0], designs[1]), device)
        except EspalierError as error:
            row = {"error": str(error)}
        known[key] = row
        with options.output.open("a") as file:
            file.write(json.dumps([key, row]) + "\n")
        print(key, row, flush=True)


if __name__ == "__main__":
    main()
