"""Areas of random small stages by yosys, what the resource models are fitted to, and how well these predict others.

python benchmarks/calibrate.py measure --count 400 -o build/calibration
"""

import argparse
import json
import tempfile
import time
import warnings
from dataclasses import astuple
from pathlib import Path
from typing import Any

from amaranth.hdl import UnusedElaboratable
from calibration_fit import print_check, read_lines, write_fit
from calibration_stages import DRAWERS, build, draw

from espalier.boards.synth import measure_layers
from espalier.errors import ToolError
from espalier.hw.design import generate

DEVICES = {"ecp5": "ecp5-85k", "xc7": "xc7z045"}
TIMEOUT_S = 900.0


def measure(options: argparse.Namespace) -> None:
    """One line of JSON for each specification and family; what is there already is not measured again."""
    path = options.samples
    path.parent.mkdir(parents=True, exist_ok=True)
    done = {(one["family"], one["spec"]["seed"], one["spec"].get("engine", "mac")) for one in read_lines(path)}
    for family in options.family:
        for seed in range(options.first, options.first + options.count):
            if (family, seed, options.engine) not in done:
                with path.open("a") as file:
                    file.write(json.dumps(measure_one(draw(seed, options.engine, options.kind), family)) + "\n")


def measure_one(spec: Any, family: str) -> dict[str, Any]:
    """areas: by stage, in the order of `Area`; empty where yosys took too long. depths: of all queues and buffers."""
    begin = time.perf_counter()
    design = generate(*build(spec))
    depths = {link.name: link.depth for link in design.links if link.latency}
    found = {"family": family, "spec": spec, "depths": depths, "areas": {}}
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
