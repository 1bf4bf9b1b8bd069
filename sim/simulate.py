"""Runs a design's Verilog on frames and compares every beat of every stream with the reference: value and cycle."""

import json
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from ..errors import BuildError
from ..hw.design import Design
from ..hw.stream import unpack
from ..hw.verilog import FILLED, LOADS
from ..ir.execute import execute
from ..ir.graph import Ints
from . import runner
from .compare import compare_stream, earliest, read_records
from .folder import Bench, Vectors, stall_pattern, write_bench, write_vectors
from .report import Run, SimReport
from .streams import Stream
from .tools import Tools, find_tools
from .waves import Waves

USER_CACHE = Path("~/.cache/espalier/verilator")


def silent(text: str) -> None:
    """Progress that nobody wants to see."""


def simulate(
    design: Design,
    frames: Ints | Mapping[str, Ints],
    *,
    verilog: str | None = None,
    is_netlist: bool = False,
    folder: Path | None = None,
    stall: float = 0.0,
    seed: int = 0,
    waves: Waves | None = None,
    cache: Path | None = USER_CACHE,
    timeout_s: float = 3600,
    progress: Callable[[str], None] = silent,
) -> SimReport:
    """Stream ``frames``, shape (n, *input.shape), through ``design``; then, unless ``stall`` is 0, again with pauses.

    verilog: what ``design.verilog()`` gave, where it was called before; or, with is_netlist, what synthesis made of it,
    in which there are no streams but those at the ports. stall: probability, per cycle, that a source or
    a sink pauses. folder: gets the bench, which runs without Espalier; None uses a temporary one. cache: compiled
    simulations by content; None compiles always. timeout_s: for the compiler and for each run.
    Raises ToolError where a tool is missing, fails, or takes too long; wrong values and cycles are in the report.
    """
    if not 0 <= stall < 1:
        raise BuildError(f"stall: {stall} is no probability of a pause; choose 0 <= stall < 1")
    bench = bench_of(design, verilog or design.verilog(), is_netlist)
    tensors = execute(design.graph, frames, every=True)
    if not len(next(iter(tensors.values()))):
        raise BuildError("simulate: 0 frames prove nothing; give at least 1")
    stalls = {"plain": 0.0} | ({"stalled": stall} if stall else {})
    runs = [vectors_of(design, tensors, name, stall, seed) for name, stall in stalls.items()]
    return run_bench(bench, runs, folder=folder, waves=waves, cache=cache, timeout_s=timeout_s, progress=progress)


def bench_of(design: Design, verilog: str, is_netlist: bool = False) -> Bench:
    """The design, as text, and its streams."""
    axi = design.plan.interface == "axi-stream"
    streams = []
    for channel in design.channels:
        port = channel.port
        if is_netlist and not port:
            continue
        direction = "inside" if not port else "in" if channel.is_input else "out"
        layer = port if channel.is_input else channel.link.producer
        path = f"core.{channel.path}" if axi else channel.path
        is_axi = axi and bool(port)
        streams.append(Stream(channel.name, layer, channel.type, channel.lanes, path, port, direction, is_axi))
    others = _load_ports(design) if design.memories else ()
    return Bench(design.top, verilog, tuple(streams), is_netlist, others)


def _load_ports(design: Design) -> tuple[tuple[str, str], ...]:
    """The ports by which weights are loaded: none come, those of the design are there."""
    if design.plan.interface == "axi-stream":
        stream = {"_tdata": "'0", "_tvalid": "1'b0", "_tlast": "1'b0", "_tready": ""}
    else:
        stream = {"__payload": "'0", "__valid": "1'b0", "__ready": ""}
    ports = {f"weights{part}": tied for part, tied in stream.items()} | dict.fromkeys(LOADS, "")
    return tuple((ports | ({} if design.is_filled else {FILLED: "1'b1"})).items())


def vectors_of(design: Design, tensors: Mapping[str, Ints], name: str, stall: float, seed: int) -> Vectors:
    """What each stream must carry, by the reference ``tensors``, and in which cycles, by the timing model."""
    ports = [channel for channel in design.channels if channel.port]
    allowed = {channel.port: stall_pattern(stall, seed, number) for number, channel in enumerate(ports)}
    ends = {(port.link.producer if port.is_input else port.link.consumer): allowed[port.port] for port in ports}
    beats = {channel.name: design.pack(channel, tensors[channel.tensor]) for channel in design.channels}
    frames = len(next(iter(tensors.values())))
    return Vectors(name, stall, frames, beats, design.predict(frames, ends), allowed)


def run_bench(
    bench: Bench,
    runs: Sequence[Vectors],
    *,
    folder: Path | None = None,
    waves: Waves | None = None,
    cache: Path | None = USER_CACHE,
    timeout_s: float = 3600,
    progress: Callable[[str], None] = silent,
) -> SimReport:
    """Compile ``bench`` once and do all ``runs`` with it; see :func:`simulate`."""
    tools = find_tools()
    with ExitStack() as stack:
        if folder is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="espalier-")))
        write_all(folder, bench, runs)
        progress("compiling the simulation")
        start = time.perf_counter()
        sources = {name: (folder / name).read_text() for name in (f"{bench.top}.v", "tb.sv")}
        at = cache.expanduser() if cache else None
        traced = waves.format if waves else ""
        # A netlist is long, and few cycles of it are simulated: the compiler's time is what counts.
        level = 0 if bench.is_netlist else 2
        program, cached = runner.build(
            sources, tools, cache=at, folder=folder, waves=traced, level=level, timeout_s=timeout_s
        )
        seconds = time.perf_counter() - start
        results = []
        for run in runs:
            progress(f"simulating {run.frames} frames in {run.last_cycle + 1} cycles, {run.name}")
            results.append(do_run(program, tools, bench, run, folder, waves, timeout_s))
        return SimReport(runs[0].frames, tuple(results), seconds, cached)


def write_all(folder: Path, bench: Bench, runs: Sequence[Vectors]) -> None:
    try:
        write_bench(folder, bench, [run.name for run in runs])
        for run in runs:
            shutil.rmtree(folder / run.name, ignore_errors=True)
            write_vectors(folder / run.name, bench, run)
    except OSError as error:
        raise BuildError(f"{folder}: cannot write the bench there ({error})") from None


def do_run(
    program: Path,
    tools: Tools,
    bench: Bench,
    vectors: Vectors,
    folder: Path,
    waves: Waves | None,
    timeout_s: float,
) -> Run:
    """Simulate and compare."""
    plusargs = [f"+run={vectors.name}", *vectors.plusargs]
    if waves:
        plusargs += [f"+waves_from={waves.first}", f"+waves_to={waves.last}"]
    log = folder / vectors.name / "log.txt"
    passed = runner.run(program, tools, f"test_{bench.top}", folder, log, plusargs, timeout_s)
    result = read_run(bench, vectors, folder / vectors.name)
    # Two judges, one in the simulator and one here: they must agree.
    assert passed == (result.values_exact and result.cycles_exact), log
    return result


def read_run(bench: Bench, vectors: Vectors, folder: Path) -> Run:
    """Compare what the probes wrote into ``folder``."""
    result = json.loads((folder / "result.json").read_text())
    compared = {
        stream.name: compare_stream(stream, read_records(folder / f"{stream.name}.bin", stream), vectors)
        for stream in bench.streams
    }
    mismatches = earliest(compared)
    if result["timed_out"]:
        mismatches.append(stuck(vectors, (folder / "state.txt").read_text()))
    outputs = {
        one.stream.port: unpack(np.ascontiguousarray(one.beats), one.stream.tensor, one.stream.lanes)
        for one in compared.values()
        if one.stream.direction == "out" and len(one.beats) == one.expected_beats
    }
    return Run(
        vectors.name,
        vectors.stall,
        **result,
        counts={name: len(one.beats) for name, one in compared.items()},
        wrong={name: (one.wrong_values, one.wrong_cycles) for name, one in compared.items() if one.first},
        mismatches=tuple(mismatches),
        faults=tuple((folder / "faults.txt").read_text().splitlines()),
        outputs=outputs,
    )


def stuck(vectors: Vectors, state: str) -> str:
    """The state of every stream at the cycle limit."""
    needed = vectors.last_cycle + 1
    lines = [f"not finished in {vectors.limit} cycles, where {needed} were predicted; the streams then:"]
    for line in state.splitlines():
        name, valid, ready, beats = line.split()
        lines.append(f"  {name}: valid {valid}, ready {ready}, {beats} of {len(vectors.beats[name])} beats")
    return "\n".join(lines)
