"""Simulated cycles per second: the bench against a cocotb test that wakes Python in every cycle, on the same design.

    python benchmarks/simulation_speed.py [--frames 25000] [--json]

The design has the size of the one in the notes on tools: 4 chained dense layers of 32 8-bit multiplications a cycle,
streams of 8 and 4 lanes of 8 bits, a quarter of all cycles stalled at source and sink. Rates are by wall time and, as
``processor``, without the time that a busy machine makes a simulation wait.
"""

import argparse
import json
import tempfile
from pathlib import Path

import cocotb_tools.config
import numpy as np
from cocotb_tools.check_results import get_results

from espalier.hw.design import Design, generate
from espalier.hw.plan import LayerPlan, Plan
from espalier.ir.dense import Dense
from espalier.ir.execute import execute
from espalier.ir.graph import Graph, Input, IntType, Output, TensorType
from espalier.ir.requantize import Requantize
from espalier.sim.runner import BUILD_ARGUMENTS, VerilatorRunner
from espalier.sim.simulate import simulate, vectors_of
from espalier.sim.tools import find_tools

LAYERS, WIDTH, STALL = 4, 32, 0.25
FOLD = LayerPlan(pe=4, simd=8, multiplier="dsp")  # in Verilog a multiplication, not a tree of partial products

EVERY_CYCLE = """
import json
import time
from pathlib import Path

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import RisingEdge


def signals(dut, path):
    *instances, name = path.split(".")
    for instance in instances:
        dut = getattr(dut, instance)
    return [getattr(dut, f"{name}__{part}") for part in ("payload", "valid", "ready")]


@cocotb.test()
async def every_cycle(dut):
    setup = json.loads(Path("python.json").read_text())
    streams = [(signals(dut, path), []) for path in setup["paths"]]
    words, source_allowed, sink_allowed = setup["words"], setup["source"], setup["sink"]
    (data, valid, ready), out_ready = signals(dut, "x"), signals(dut, "y")[2]
    dut.rst.value, valid.value, out_ready.value = 1, 0, 0
    Clock(dut.clk, 10, unit="ns", impl="gpi").start()
    for _ in range(4):
        await RisingEdge(dut.clk)
    dut.rst.value = 0
    sent, offered, cycle, start, processor_start = 0, False, 0, time.perf_counter(), time.process_time()
    while len(streams[-1][1]) < setup["beats"]:
        if not offered and sent < len(words) and source_allowed[cycle % 4096]:
            offered, data.value = True, words[sent]
        valid.value, out_ready.value = int(offered), sink_allowed[cycle % 4096]
        await RisingEdge(dut.clk)
        for (payload, is_valid, is_ready), seen in streams:
            if is_valid.value and is_ready.value:
                seen.append((cycle, int(payload.value)))
        if offered and ready.value:
            sent, offered = sent + 1, False
        cycle += 1
    times = {"seconds": time.perf_counter() - start, "processor_seconds": time.process_time() - processor_start}
    for (_, seen), expected in zip(streams, setup["expected"]):
        assert [list(one) for one in seen] == expected
    Path("python_result.json").write_text(json.dumps({"cycles": cycle, **times}))
"""


def chain() -> Design:
    rng = np.random.default_rng(0)
    code, nodes, tensor = IntType(8, signed=True), [], "x"
    for layer in range(LAYERS):
        weights = rng.integers(-128, 128, (WIDTH, WIDTH))
        nodes.append(Dense(f"fc{layer}", (tensor,), IntType(21, signed=True), weights))
        factors, rounding = np.full(WIDTH, 3), np.full(WIDTH, 1 << 11)
        tensor = f"fc{layer}_act"
        nodes.append(Requantize(tensor, (f"fc{layer}",), code, factors, rounding, 12, -128, 127))
    shape = (WIDTH,)
    graph = Graph((Input("x", TensorType(shape, code), shape),), tuple(nodes), (Output("y", tensor, shape),), "chain")
    return generate(graph, Plan(layers={f"fc{layer}": FOLD for layer in range(LAYERS)}))


class PublicRunner(VerilatorRunner):
    """Python can only read every signal if Verilator keeps every signal."""

    def _build_command(self):
        verilate, make = super()._build_command()
        return [[*verilate, "--public-flat-rw"], make]

    def _test_command(self):
        return [[str(self.build_dir / "chain")]]


def python_every_cycle(design: Design, frames: int, folder: Path) -> dict:
    """Cycles and seconds of the same run, stalls included, with source, sink and probes in Python."""
    codes = random_codes(frames)
    tensors = execute(design.graph, codes, every=True)
    vectors = vectors_of(design, tensors, "stalled", STALL, 0)
    beats = {name: [int.from_bytes(row.tobytes(), "little") for row in rows] for name, rows in vectors.beats.items()}
    expected = [list(map(list, zip(vectors.cycles[name].tolist(), beats[name]))) for name in beats]
    setup = {
        "paths": [channel.path or channel.port for channel in design.channels],
        "words": beats["x"], "expected": expected, "beats": len(expected[-1]),
        "source": vectors.allowed["x"].astype(int).tolist(), "sink": vectors.allowed["y"].astype(int).tolist(),
    }  # fmt: skip
    (folder / "python.json").write_text(json.dumps(setup))
    (folder / "chain.v").write_text(design.verilog())
    (folder / "test_every_cycle.py").write_text(EVERY_CYCLE)
    tools = find_tools()
    links = {"verilator": tools.verilator, "cocotb_libs": cocotb_tools.config.libs_dir}
    for name, place in (links | {"cocotb_share": cocotb_tools.config.share_dir}).items():
        (folder / name).symlink_to(place)
    runner = PublicRunner(tools, 600)
    runner.python_path = folder
    runner.build(
        sources=[folder / "chain.v"], hdl_toplevel="chain", build_dir=folder, build_args=BUILD_ARGUMENTS,
        timescale=("1ns", "1ps"), log_file=folder / "build.log",
    )  # fmt: skip
    results = runner.test("test_every_cycle", "chain", build_dir=folder, log_file=folder / "run.log")
    if get_results(results) != (1, 0):
        raise RuntimeError((folder / "run.log").read_text())
    return json.loads((folder / "python_result.json").read_text())


def random_codes(frames: int):
    return np.random.default_rng(1).integers(-128, 128, (frames, WIDTH))


def measure(frames: int) -> dict[str, float]:
    design = chain()
    report = simulate(design, random_codes(frames), stall=STALL)
    assert report.is_exact, report.mismatches
    run = report.runs[1]
    with tempfile.TemporaryDirectory(prefix="espalier-") as name:
        slow = python_every_cycle(design, max(1, frames // 50), Path(name))
    fast = {"cycles": run.cycles, "seconds": run.seconds, "processor_seconds": run.processor_seconds}
    rates = {}
    for kind in ("seconds", "processor_seconds"):
        bench, python = (one["cycles"] / one[kind] / 1000 for one in (fast, slow))
        name = kind.removesuffix("seconds")
        rates |= {f"{name}bench_kcycles_per_s": round(bench), f"{name}python_kcycles_per_s": round(python, 1)}
        rates[f"{name}ratio"] = round(bench / python, 1)
    return {"streams": len(design.channels), "beats": run.beats, "cycles": run.cycles} | rates


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=25000, help="frames of 32 cycles; Python gets a 50th of them")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options = parser.parse_args()
    figures = measure(options.frames)
    if options.json:
        print(json.dumps(figures))
        return
    for name, figure in figures.items():
        print(f"{name:32} {figure:>12,}")


if __name__ == "__main__":
    main()
