"""Areas of random small stages by yosys, what the resource models are fitted to, and how well these predict others.

python benchmarks/calibrate.py measure --count 400 -o build/calibration
"""

import argparse
import json
import tempfile
import time
import warnings
from collections.abc import Sequence
from dataclasses import astuple, replace
from math import inf
from pathlib import Path
from typing import Any

from amaranth.hdl import UnusedElaboratable
from calibration_batch import measure_batch
from calibration_draw import DRAWERS, draw
from calibration_fit import print_check, read_lines, write_fit
from calibration_stages import build

from espalier.boards.synth import measure_layers
from espalier.errors import ToolError
from espalier.hw.design import Design, generate
from espalier.hw.estimate import estimate, total

DEVICES = {"ecp5": "ecp5-85k", "xc7": "xc7z045", "ice40": "ice40-up5k", "ice40-hx": "ice40-hx8k", "gowin": "gw2ar-18"}
TIMEOUT_S = 900.0
BATCH = 12
"""Designs in one run of yosys, which begins slowly; on ECP5 only one, for abc9 fails on some modules beside others."""


def measure(options: argparse.Namespace) -> None:
    """One line of JSON for each specification and family; what is there already is not measured again."""
    path = options.samples
    path.parent.mkdir(parents=True, exist_ok=True)
    done = {(one["family"], one["spec"]["seed"], one["spec"].get("engine", "mac")) for one in read_lines(path)}
    for family in options.family:
        seeds = [
            seed
            for seed in range(options.first, options.first + options.count)
            if (family, seed, options.engine) not in done
        ]
        size = BATCH if family in ("xc7", "gowin") else 1
        for first in range(0, len(seeds), size):
            specs = [draw(seed, options.engine, options.kind) for seed in seeds[first : first + size]]
            specs = [spec for spec in specs if predict_luts(spec) <= options.largest]
            if not specs:
                continue
            lines = measure_together(specs, family) if size > 1 else [measure_one(specs[0], family)]
            with path.open("a") as file:
                file.writelines(json.dumps(line) + "\n" for line in lines)


def predict_luts(spec: Any) -> float:
    """On ECP5, of all stages."""
    return total(estimate(generate(*build(spec)), "ecp5")).luts("ecp5")


def measure_together(specs: Sequence[Any], family: str) -> list[dict[str, Any]]:
    """The same as `measure_one`, in one run of yosys."""
    designs = {}
    for spec in specs:
        graph, plan = build(spec)
        designs[f"s{spec['seed']}"] = generate(replace(graph, name=f"s{spec['seed']}"), plan)
    with tempfile.TemporaryDirectory() as scratch:
        areas = measure_batch(designs, DEVICES[family], Path(scratch), TIMEOUT_S * len(specs))
    lines = [describe(family, spec, design) for spec, design in zip(specs, designs.values())]
    for line, found in zip(lines, areas.values(), strict=True):
        line["areas"] = {name: list(astuple(area)) for name, area in found.items()}
    print(f"{family} {[spec['seed'] for spec in specs]}", flush=True)
    return lines


def describe(family: str, spec: Any, design: Design) -> dict[str, Any]:
    """A line without areas. depths: of all queues and buffers."""
    depths = {link.name: link.depth for link in design.links if link.latency}
    return {"family": family, "spec": spec, "depths": depths, "areas": {}}


def measure_one(spec: Any, family: str) -> dict[str, Any]:
    """areas: by stage, in the order of `Area`; empty where yosys took too long. depths: of all queues and buffers."""
    begin = time.perf_counter()
    design = generate(*build(spec))
    found = describe(family, spec, design)
    with tempfile.TemporaryDirectory() as scratch:
        try:
            areas = measure_layers(
                design.verilog(), design.top, DEVICES[family], Path(scratch), list(design.stages), timeout_s=TIMEOUT_S
            )
        except ToolError as error:
            print(f"{spec}: {error}", flush=True)
            return found
    found["areas"] = {name: list(astuple(area)) for name, area in areas.items()}
    print(f"{family} {spec['seed']} {spec['kind']}: {found['areas']} {time.perf_counter() - begin:.1f} s", flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(required=True)
    measuring = verbs.add_parser("measure", help="run yosys; continues where it was stopped")
    measuring.add_argument("--first", type=int, default=0, help="number of the first specification")
    measuring.add_argument("--count", type=int, default=400)
    measuring.add_argument("--engine", default="mac")
    measuring.add_argument("--kind", choices=list(DRAWERS), help="default: all of them")
    measuring.add_argument("--family", nargs="+", choices=list(DEVICES), default=list(DEVICES))
    measuring.add_argument("--largest", type=float, default=inf, help="leave out what would take more LUT4 of ECP5")
    measuring.set_defaults(run=measure)
    fitting = verbs.add_parser("fit", help="write the coefficients")
    fitting.add_argument("-o", "--output", type=Path, default=Path("hw/resources.json"))
    fitting.set_defaults(run=lambda given: write_fit(given.samples, given.output))
    checking = verbs.add_parser("check", help="print how well samples are predicted that were not in the fit")
    checking.add_argument("--worst", type=int, default=0, help="print so many of the worst predictions too")
    checking.set_defaults(run=lambda given: print_check(given.samples, given.worst))
    for verb in (measuring, fitting, checking):
        verb.add_argument("--samples", type=Path, required=True, help="JSON, a line for each measurement")
    options = parser.parse_args()
    warnings.filterwarnings("ignore", category=UnusedElaboratable)
    options.run(options)


if __name__ == "__main__":
    main()
