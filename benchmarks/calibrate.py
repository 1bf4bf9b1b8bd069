"""Areas of random small stages by yosys, what the resource models are fitted to, and how well these predict others.

python benchmarks/calibrate.py measure --count 400 -o build/calibration
"""

import argparse
import json
import tempfile
import time
import warnings
from collections.abc import Iterator
from dataclasses import astuple
from pathlib import Path
from typing import Any

from amaranth.hdl import UnusedElaboratable
from calibration_stages import DRAWERS, build, draw

from espalier.boards.synth import measure_layers
from espalier.errors import ToolError
from espalier.hw.design import generate

DEVICES = {"ecp5": "ecp5-85k", "xc7": "xc7z045"}
TIMEOUT_S = 120.0


def measure(options: argparse.Namespace) -> None:
    """One line of JSON for each specification and family; what is there already is not measured again."""
    options.output.mkdir(parents=True, exist_ok=True)
    path = options.output / "samples.jsonl"
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
    found = {"family": family, "spec": spec, "depths": {link.name: link.depth for link in design.links}, "areas": {}}
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


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """The measurements so far; a line that a killed run left half is dropped from the file."""
    if not path.is_file():
        return
    lines = path.read_text().splitlines(keepends=True)
    if lines and not lines[-1].endswith("\n"):
        path.write_text("".join(lines[:-1]))
        lines.pop()
    yield from map(json.loads, lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(required=True)
    measuring = verbs.add_parser("measure", help="run yosys; continues where it was stopped")
    measuring.add_argument("--first", type=int, default=0, help="number of the first specification")
    measuring.add_argument("--count", type=int, default=400)
    measuring.add_argument("--engine", default="mac")
    measuring.add_argument("--kind", choices=list(DRAWERS), help="default: all of them")
    measuring.add_argument("--family", nargs="+", choices=list(DEVICES), default=list(DEVICES))
    measuring.add_argument("-o", "--output", type=Path, required=True)
    measuring.set_defaults(run=measure)
    options = parser.parse_args()
    warnings.filterwarnings("ignore", category=UnusedElaboratable)
    options.run(options)


if __name__ == "__main__":
    main()
