"""Runs a design's Verilog on frames and compares every beat of every stream with the reference: value and cycle."""

import json
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import BuildError
from ..hw.design import Design
from ..hw.stream import unpack
from ..ir.execute import execute
from ..ir.graph import Ints
from . import runner
from .compare import compare_stream, earliest, read_records
from .folder import Bench, Vectors, stall_pattern, write_bench, write_vectors
from .streams import Stream
from .tools import find_tools

USER_CACHE = Path("~/.cache/espalier/verilator")


@dataclass(frozen=True)
class Waves:
    """Record all signals from cycle ``first`` to cycle ``last`` as ``vcd`` or ``fst``; whole runs are huge and slow."""

    format: str = "vcd"
    first: int = 0
    last: int = 2**31 - 1

    def __post_init__(self) -> None:
        if self.format not in ("vcd", "fst"):
            raise BuildError(f"waves: format {self.format!r} is unknown; known are vcd and fst")
        if not 0 <= self.first <= self.last:
            raise BuildError(f"waves: cycles {self.first} to {self.last} are no window; choose 0 <= first <= last")

    @classmethod
    def parse(cls, text: str) -> "Waves":
        """``vcd``, ``fst``, or with a window of cycles ``fst:2000:2500``; ``2000:2500`` is VCD."""
        parts = text.split(":")
        name = "vcd" if parts[0].isdigit() else parts.pop(0)
        if len(parts) > 2 or not all(part.isdigit() for part in parts):
            raise BuildError(f"waves: {text!r} is not understood; write for example vcd, fst, or fst:2000:2500")
        return cls(name, *map(int, parts))


@dataclass(frozen=True, eq=False)
class Run:
    """One simulation: ``plain`` or ``stalled``.

    cycles: until every stream had all its beats. seconds: inside the simulator. counts: beats seen, by stream.
    wrong: by stream with differences, the number of beats with a wrong value and with a wrong cycle.
    mismatches: the first of them in words, earliest first. faults: breaches of the stream protocol at the ports.
    outputs: per output NAME, (frames, *shape), unless beats were lost.
    """

    name: str
    stall: float
    cycles: int
    seconds: float
    timed_out: bool
    counts: dict[str, int]
    wrong: dict[str, tuple[int, int]]
    mismatches: tuple[str, ...]
    faults: tuple[str, ...] = ()
    outputs: dict[str, Ints] = field(default_factory=dict)

    @property
    def values_exact(self) -> bool:
        return not self.faults and not any(values for values, _ in self.wrong.values())

    @property
    def cycles_exact(self) -> bool:
        return not any(cycles for _, cycles in self.wrong.values())

    @property
    def beats(self) -> int:
        return sum(self.counts.values())

    @property
    def kcycles_per_s(self) -> float:
        return self.cycles / self.seconds / 1000


@dataclass(frozen=True, eq=False)
class SimReport:
    """All runs of one program. cached: it was compiled earlier."""

    frames: int
    runs: tuple[Run, ...]
    build_seconds: float
    cached: bool

    @property
    def values_exact(self) -> bool:
        return all(run.values_exact for run in self.runs)

    @property
    def cycles_exact(self) -> bool:
        return all(run.cycles_exact for run in self.runs)

    @property
    def is_exact(self) -> bool:
        return self.values_exact and self.cycles_exact

    @property
    def outputs(self) -> dict[str, Ints]:
        """Per output NAME the integers of the first run, shape (frames, *shape); empty where beats were lost."""
        return self.runs[0].outputs

    @property
    def mismatches(self) -> tuple[str, ...]:
        return tuple(f"{run.name}: {text}" for run in self.runs for text in run.mismatches + run.faults)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; the outputs are left out."""
        runs = []
        for run in self.runs:
            values = asdict(run)
            del values["outputs"]
            exact = {"values_exact": run.values_exact, "cycles_exact": run.cycles_exact, "beats": run.beats}
            runs.append(values | exact | {"kcycles_per_s": round(run.kcycles_per_s, 1)})
        return {
            "frames": self.frames, "values_exact": self.values_exact, "cycles_exact": self.cycles_exact,
            "build_seconds": round(self.build_seconds, 3), "cached": self.cached, "runs": runs,
        }  # fmt: skip

    def to_json(self) -> str:
        return json.dumps(self.to_dict(), indent=1) + "\n"


def simulate(
    design: Design,
    frames: Ints | Mapping[str, Ints],
    *,
    folder: Path | None = None,
    stall: float = 0.0,
    seed: int = 0,
    waves: Waves | None = None,
    cache: Path | None = USER_CACHE,
    timeout_s: float = 3600,
    most: int = 10,
    progress: Callable[[str], None] = lambda text: None,
) -> SimReport:
    """Stream ``frames``, shape (n, *input.shape), through ``design``; then, if ``stall`` is not 0, once more with pauses.

    stall: probability, per cycle, that a source or a sink pauses. folder: gets the bench, which runs without
    Espalier; None uses a temporary one. cache: compiled simulations by content; None compiles always.
    timeout_s: for the compiler and for each run. most: mismatches described per run.
    Raises ToolError where a tool is missing, fails, or takes too long; wrong values and cycles are in the report.
    """
    if not 0 <= stall < 1:
        raise BuildError(f"stall: {stall} is no probability of a pause; choose 0 <= stall < 1")
    bench = bench_of(design)
    stalls = {"plain": 0.0} | ({"stalled": stall} if stall else {})
    tensors = execute(design.graph, frames, every=True)
    if not len(next(iter(tensors.values()))):
        raise BuildError("simulate: 0 frames prove nothing; give at least 1")
    runs = [vectors_of(design, bench, tensors, name, stall, seed) for name, stall in stalls.items()]
    return run_bench(
        bench, runs, stalls=stalls, folder=folder, waves=waves, cache=cache, timeout_s=timeout_s, most=most, progress=progress
    )


def bench_of(design: Design) -> Bench:
    """The design's Verilog and streams."""
    axi = design.plan.interface == "axi-stream"
    streams = []
    for channel in design.channels:
        direction = "inside" if not channel.port else "in" if channel.is_input else "out"
        layer = channel.port if channel.is_input else channel.link.producer
        path = f"core.{channel.path}" if axi else channel.path
        streams.append(
            Stream(
                channel.name, layer, channel.type, channel.lanes, path, channel.port, direction, axi and bool(channel.port)
            )
        )
    return Bench(design.top, design.verilog(), tuple(streams))


def vectors_of(design: Design, bench: Bench, tensors: Mapping[str, Ints], name: str, stall: float, seed: int) -> Vectors:
    """What each stream must carry, by the reference ``tensors``, and in which cycles, by the timing model."""
    ports = [channel for channel in design.channels if channel.port]
    allowed = {channel.port: stall_pattern(stall, seed, number) for number, channel in enumerate(ports)}
    ends = {(port.link.producer if port.is_input else port.link.consumer): allowed[port.port] for port in ports}
    beats = {channel.name: design.pack(channel, tensors[channel.tensor]) for channel in design.channels}
    frames = len(next(iter(tensors.values())))
    return Vectors(name, frames, beats, design.predict(frames, ends), allowed)


def run_bench(
    bench: Bench,
    runs: Sequence[Vectors],
    *,
    stalls: Mapping[str, float],
    folder: Path | None = None,
    waves: Waves | None = None,
    cache: Path | None = USER_CACHE,
    timeout_s: float = 3600,
    most: int = 10,
    progress: Callable[[str], None] = lambda text: None,
) -> SimReport:
    """Compile ``bench`` once and do all ``runs`` with it; see :func:`simulate`."""
    if folder is None:
        with tempfile.TemporaryDirectory(prefix="espalier-") as name:
            return run_bench(
                bench, runs, stalls=stalls, folder=Path(name), waves=waves, cache=cache, timeout_s=timeout_s, most=most,
                progress=progress,
            )  # fmt: skip
    tools = find_tools()
    try:
        write_bench(folder, bench, [run.name for run in runs])
        for run in runs:
            shutil.rmtree(folder / run.name, ignore_errors=True)
            write_vectors(folder / run.name, bench, run)
    except OSError as error:
        raise BuildError(f"{folder}: cannot write the bench there ({error})") from None
    sources = {name: (folder / name).read_text() for name in (f"{bench.top}.v", "tb.sv")}
    progress("compile the simulation")
    start = time.perf_counter()
    program, cached = runner.build(
        sources, tools, cache=cache.expanduser() if cache else None, folder=folder,
        waves=waves.format if waves else "", timeout_s=timeout_s,
    )  # fmt: skip
    seconds = time.perf_counter() - start
    window = [f"+waves_from={waves.first}", f"+waves_to={waves.last}"] if waves else []
    results = []
    for run in runs:
        progress(f"simulate {run.frames} frames, {run.last_cycle} cycles, {run.name}")
        passed, log = runner.run(
            program, tools, bench=folder, module=f"test_{bench.top}", run_name=run.name,
            plusargs=[*run.plusargs, *window], timeout_s=timeout_s,
        )  # fmt: skip
        result = read_run(bench, run, folder / run.name, stalls[run.name], most)
        # Two judges, one in the simulator and one here: they must agree.
        assert passed == (result.values_exact and result.cycles_exact), log
        results.append(result)
    return SimReport(runs[0].frames, tuple(results), seconds, cached)


def read_run(bench: Bench, vectors: Vectors, folder: Path, stall: float, most: int) -> Run:
    """Compare what the probes wrote into ``folder``."""
    result = json.loads((folder / "result.json").read_text())
    compared = {
        stream.name: compare_stream(stream, read_records(folder / f"{stream.name}.bin", stream), vectors, most)
        for stream in bench.streams
    }
    mismatches = earliest(compared, most)
    faults = (folder / "faults.txt").read_text().splitlines()
    if result["timed_out"]:
        mismatches.append(stuck(bench, vectors, (folder / "state.txt").read_text()))
    outputs = {
        stream.port: unpack(np.ascontiguousarray(compared[stream.name].beats), stream.tensor, stream.lanes)
        for stream in bench.streams
        if stream.direction == "out" and len(compared[stream.name].beats) == len(vectors.beats[stream.name])
    }
    wrong = {name: (one.wrong_values, one.wrong_cycles) for name, one in compared.items() if one.first}
    counts = {name: len(one.beats) for name, one in compared.items()}
    return Run(
        vectors.name, stall, result["cycles"], result["seconds"], result["timed_out"], counts, wrong, tuple(mismatches),
        tuple(faults), outputs,
    )  # fmt: skip


def stuck(bench: Bench, vectors: Vectors, state: str) -> str:
    """The state of every stream at the cycle limit."""
    lines = [f"not finished in {vectors.limit} cycles, where {vectors.last_cycle + 1} were predicted; the streams then:"]
    for line in state.splitlines():
        name, valid, ready, beats = line.split()
        lines.append(f"  {name}: valid {valid}, ready {ready}, {beats} of {len(vectors.beats[name])} beats")
    return "\n".join(lines)
