"""The rows of the comparison with da4ml and Alkaid, and the steps of each; every finished step is a file."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from peers_environment import PINS
from peers_mapping import FLOWS, MAPPINGS, Effort, Source, map_cells, pack_cells, place_cells, synthesize_own
from peers_rtl import Mismatch, check_equal, find_latency, run
from peers_work import Work

from espalier.boards.yosys import run_tool
from espalier.errors import BuildError, ToolError
from espalier.flow.folder import tool_digest
from espalier.quant.files import read_json, write_json

HERE = Path(__file__).parent
STEPS = ("check", "ecp5", "xc7", "own", "pack", "place")


@dataclass(frozen=True)
class Row:
    """A generator and how it is called; ``is_clocked``: its Verilog has registers, and so a clock."""

    name: str
    generator: str
    options: tuple[str, ...] = ()
    is_clocked: bool = True

    @property
    def is_ours(self) -> bool:
        return self.generator == "espalier"


ROWS = (
    Row("da4ml comb", "da4ml", (), is_clocked=False),
    Row("da4ml pipelined", "da4ml", ("--cutoff", "2")),
    Row("alkaid comb", "alkaid", (), is_clocked=False),
    Row("alkaid pipelined", "alkaid", ("--cutoff", "2")),
    Row("alkaid two-input comb", "alkaid", ("--binary",), is_clocked=False),
    Row("alkaid two-input pipelined", "alkaid", ("--binary", "--cutoff", "2")),
    Row("espalier spatial", "espalier", ("--engine", "spatial")),
    Row("espalier mac", "espalier", ("--engine", "mac")),
)


@dataclass(frozen=True)
class Bench:
    """What all rows share. ``python``: of the peers' environment; ``limit_s``: for one generation; ``frames`` for an
    interpreter, ``rtl_frames`` for a simulation of Verilog; ``only_reads``: what is not there is not measured."""

    works: Path
    output: Path
    python: Path
    effort: Effort
    limit_s: float
    only_reads: bool = False
    frames: int = 1000
    rtl_frames: int = 200


class Store:
    """The steps of one row: NAME.json each, written when done, with the digest of what the result depends on."""

    def __init__(self, folder: Path, only_reads: bool = False):
        self.folder, self._only_reads = folder, only_reads
        folder.mkdir(parents=True, exist_ok=True)

    def read(self, name: str, key: str) -> dict[str, Any] | None:
        path = self.folder / f"{name}.json"
        found = read_json(path) if path.exists() else None
        return found if found and found["key"] == key else None

    def step(self, name: str, key: str, work: Callable[[Path], dict[str, Any]]) -> dict[str, Any] | None:
        """What the file says, or else what ``work`` returns, given an empty folder; None where that is not wanted."""
        found = self.read(name, key)
        if found is None and not self._only_reads:
            shutil.rmtree(self.folder / name, ignore_errors=True)
            (self.folder / name).mkdir()
            found = {"key": key} | work(self.folder / name)
            write_json(self.folder / f"{name}.json", found)
        return found


def store_of(bench: Bench, work: Work, row: Row) -> Store:
    return Store(bench.output / work.name / re.sub(r"\W+", "-", row.name), bench.only_reads)


def digest(*parts: object) -> str:
    return sha256(json.dumps(parts, default=str).encode()).hexdigest()[:16]


def generation_key(work: Work, row: Row) -> str:
    matrices = [sha256(np.ascontiguousarray(matrix).tobytes()).hexdigest() for matrix in work.matrices]
    code = tool_digest() if row.is_ours else PINS
    return digest(row.generator, row.options, code, matrices, work.shifts, work.x_type, work.activation_bits)


def generate_row(bench: Bench, work: Work, row: Row, folder: Path) -> dict[str, Any]:
    """One generation: seconds, or ``stopped_after_s`` where the limit came first."""
    tail = [str(bench.works.absolute()), work.name, "-o", ".", *row.options]
    if row.is_ours:
        command = [sys.executable, str(HERE / "peers_own.py"), *tail]
    else:
        quick = ["--quick"] if max(matrix.shape[0] for matrix in work.matrices) > 256 else []
        frames = ["--frames", str(bench.frames)]
        program = str(HERE / "peers_generate.py")
        command = [str(bench.python), "-P", program, row.generator, *tail, *quick, *frames]
    try:
        run_tool(row.generator, command, folder, "generate.log", bench.limit_s)
    except ToolError as error:
        if isinstance(error.__context__, subprocess.TimeoutExpired):
            return {"stopped_after_s": bench.limit_s}
        raise
    found = read_json(folder / "result.json")
    if not row.is_ours:
        with np.load(folder / "outputs.npz") as arrays:
            check_equal(f"{row.name} on {work.name}, interpreted", arrays["outputs"], work.evaluate(arrays["inputs"]))
    elif not found["executor_is_exact"]:
        raise Mismatch(f"{row.name} on {work.name}: the graph's executor differs from numpy")
    return found


def source_of(row: Row, folder: Path, found: dict[str, Any]) -> Source:
    """The Verilog in the folder of a generation; of a peer's library only what it uses."""
    if row.is_ours:
        return Source((folder / "design.v",), found["top"])
    own = sorted(path for path in (folder / "src").glob("*.v") if not path.stem.endswith("_wrapper"))
    if not own:
        raise BuildError(f"{folder}: {row.generator} left no Verilog there")
    text = "".join(path.read_text() for path in own)
    library = [path for path in sorted((folder / "src" / "static").glob("*.v")) if re.search(rf"\b{path.stem}\b", text)]
    return Source((*own, *library), "peer", row.is_clocked)


def measure_row(bench: Bench, work: Work, row: Row, steps: Sequence[str]) -> dict[str, Any]:
    """All steps of a row that has been generated, by name; pack and place take the smallest of its netlists."""
    store, effort = store_of(bench, work, row), bench.effort
    found = store.read("generate", generation_key(work, row))
    if found is None or "stopped_after_s" in found:
        return {"generate": found} if found else {}
    source = source_of(row, store.folder / "generate", found)
    code = digest(source.text, source.top)
    results: dict[str, Any] = {"generate": found}
    if "check" in steps:
        check = partial(_check, bench, work, row, source, found)
        results["check"] = store.step("check", digest(code, bench.rtl_frames), check)
    for family, flow in product(MAPPINGS, FLOWS):
        if family in steps:
            key, mapping = digest(code, FLOWS[flow], MAPPINGS[family]), partial(map_cells, source, family, flow, effort)
            results[f"{family}-{flow}"] = store.step(f"{family}-{flow}", key, mapping)
    if "own" in steps and row.is_clocked:
        results["own"] = store.step("own", digest(code, tool_digest()), partial(synthesize_own, source, effort))
    if row.is_clocked and {"pack", "place"} & set(steps) and (best := best_netlist(results)):
        netlist, key = store.folder / best / "netlist.json", digest(best, results[best]["key"])
        for name, work_on, aim in (("pack", pack_cells, ()), ("place", place_cells, (effort.seeds, effort.clock_mhz))):
            if name in steps:
                step = partial(work_on, source.top, netlist, effort)
                results[name] = store.step(name, digest(key, aim), step)
    return {name: result for name, result in results.items() if result is not None}


def best_netlist(results: dict[str, Any]) -> str | None:
    """The step that gave the smallest netlist for ECP5 before placing; None where there is none to place."""
    found = [name for name in ("own", *(f"ecp5-{flow}" for flow in FLOWS)) if results.get(name)]
    return min(found, key=lambda name: results[name]["comb"], default=None)


def _check(bench: Bench, work: Work, row: Row, source: Source, found: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The Verilog, simulated: ours with and without stalls in every cycle, a peer's with a frame a cycle."""
    who = f"{row.name} on {work.name}"
    if not row.is_ours:
        x, ports = work.draw(bench.rtl_frames, seed=2), (found["inputs"], found["outputs"])
        seen = run(source, x, ports, folder, bench.effort.timeout_s)
        return {"frames": bench.rtl_frames, "latency_cycles": find_latency(who, seen, work.evaluate(x))}
    tail = [str(bench.works.absolute()), work.name, "-o", ".", *row.options]
    command = [sys.executable, str(HERE / "peers_own.py"), *tail, "--simulate", str(bench.rtl_frames)]
    run_tool("espalier", command, folder, "check.log", bench.effort.timeout_s)
    record = read_json(folder / "result.json")
    if not record["verilog_is_exact"] or (folder / "design.v").read_text() != source.text:
        raise Mismatch(f"{who}: its Verilog differs from the executor, or from run to run")
    return {"frames": bench.rtl_frames, "latency_cycles": record["latency_cycles"]}
