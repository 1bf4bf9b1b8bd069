"""Designs under cocotb and Verilator: exact ones pass, and what is wrong is found and named."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock

from espalier.errors import BuildError, ToolError
from espalier.ir.execute import execute
from espalier.sim.simulate import bench_of, run_bench, simulate, vectors_of
from espalier.sim.waves import Waves
from simulations import frames_for, two_layers

pytestmark = pytest.mark.verilator


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """Shared by the processes of one test run; the space in its name must not matter."""
    return tmp_path_factory.getbasetemp().parent / "simulations of tests"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("a bench")


@pytest.fixture(scope="module")
def report(cache, folder):
    design = two_layers()
    with FileLock(f"{cache}.lock"):  # a second process would compile the same
        return simulate(design, frames_for(design), stall=0.4, folder=folder, cache=cache)


def one_run(bench, vectors, cache, **options):
    return run_bench(bench, [vectors], cache=cache, **options)


def bench_and_vectors(design, frames=30):
    tensors = execute(design.graph, frames_for(design, frames), every=True)
    return bench_of(design, design.verilog()), vectors_of(design, tensors, "plain", 0.0, 0)


def test_every_value_and_cycle_is_as_predicted(report):
    assert report.is_exact, report.mismatches
    assert [run.name for run in report.runs] == ["plain", "stalled"]
    assert report.runs[1].cycles > report.runs[0].cycles


def test_outputs_are_those_of_the_executor(report):
    design = two_layers()
    expected = execute(design.graph, frames_for(design))
    for run in report.runs:
        np.testing.assert_array_equal(run.outputs["y"], expected["y"])


def test_report_is_plain_json(report):
    values = json.loads(json.dumps(report.to_dict()))
    assert values["values_exact"] and values["cycles_exact"]
    assert values["runs"][0]["counts"] == {"x": 90, "fc1": 90, "fc2": 90}
    assert values["runs"][0]["kcycles_per_s"] > 0


def test_second_simulation_is_not_compiled_again(report, cache):
    again = simulate(two_layers(), frames_for(two_layers(), 50, seed=3), stall=0.2, seed=5, cache=cache)
    assert again.cached and again.is_exact


def test_one_frame_is_enough(report, cache):
    assert simulate(two_layers(), frames_for(two_layers(), 1), cache=cache).is_exact


def test_axi_stream_is_exact_and_layers_may_be_called_like_keywords(cache):
    design = two_layers("axi-stream", ("output", "reg"))
    report = simulate(design, frames_for(design), stall=0.4, cache=cache)
    assert report.is_exact, report.mismatches


def test_wrong_weight_and_wrong_queue_are_found(cache):
    bench, vectors = bench_and_vectors(two_layers())
    wrong = replace(bench, verilog=two_layers(spoiled=1, depths=(("fc1", 1),)).verilog())
    report = one_run(wrong, vectors, cache)
    assert not report.values_exact and not report.cycles_exact
    text = "\n".join(report.mismatches)
    assert "stream fc2, layer fc2, frame 0, pixel 0, channel 1: expected -15, got -13, in cycle" in text
    assert "expected in cycle" in text
    assert report.runs[0].wrong["fc1"][0] == 0  # the first layer's values are right, only late


def test_deadlock_ends_at_the_predicted_limit_with_the_state_of_every_stream(report, cache):
    bench, vectors = bench_and_vectors(two_layers(), 10)
    never = np.zeros_like(vectors.allowed["y"])
    report = one_run(bench, replace(vectors, allowed={**vectors.allowed, "y": never}), cache)
    run = report.runs[0]
    assert run.timed_out and run.cycles <= vectors.limit + 2
    text = "\n".join(report.mismatches)
    assert f"not finished in {vectors.limit} cycles, where {vectors.last_cycle + 1} were predicted" in text
    assert "fc2: valid 1, ready 0, 0 of 30 beats" in text


def test_changed_payload_without_handshake_is_a_fault(report, cache):
    bench, vectors = bench_and_vectors(two_layers())
    shaky = bench.verilog.replace("module two_layers(", "module steady(")
    width = bench.streams[-1].bits
    ports = [f"{name}__{part}" for name in "xy" for part in ("payload", "valid", "ready")]
    shaky += f"""
module two_layers(input clk, input rst, input [11:0] x__payload, input x__valid, output x__ready,
                  output [{width - 1}:0] y__payload, output y__valid, input y__ready);
  wire [{width - 1}:0] inner;
  assign y__payload = y__ready ? inner : ~inner;
  steady core(.clk(clk), .rst(rst), {", ".join(f".{p}({'inner' if p == 'y__payload' else p})" for p in ports)});
endmodule
"""
    x, inside, y = bench.streams
    streams = (x, replace(inside, path="core.fc1.y"), y)
    vectors = replace(vectors, allowed={**vectors.allowed, "y": np.arange(4096) % 2 == 0})
    report = one_run(replace(bench, verilog=shaky, streams=streams), vectors, cache)
    assert not report.values_exact
    assert "y: valid fell or the payload changed without a handshake, cycle" in "\n".join(report.runs[0].faults)


def test_time_limit_names_the_program(report, cache):
    with pytest.raises(ToolError, match=r"took more than 0.01 s"):
        simulate(two_layers(), frames_for(two_layers()), cache=cache, timeout_s=0.01)


def test_broken_verilog_shows_what_verilator_says(cache):
    bench, vectors = bench_and_vectors(two_layers())
    with pytest.raises(ToolError, match=r"(?s)could not compile.*%Error.*syntax error"):
        one_run(replace(bench, verilog="module two_layers( nonsense"), vectors, cache)


def test_folder_that_is_a_file_is_an_error(tmp_path):
    (tmp_path / "taken").write_text("")
    with pytest.raises(BuildError, match="taken: cannot write the bench there"):
        simulate(two_layers(), frames_for(two_layers()), folder=tmp_path / "taken")


@pytest.mark.parametrize("stall", [-0.1, 1.0])
def test_impossible_stall_is_an_error(stall):
    with pytest.raises(BuildError, match="no probability of a pause; choose 0 <= stall < 1"):
        simulate(two_layers(), frames_for(two_layers()), stall=stall)


def test_no_frames_is_an_error():
    with pytest.raises(BuildError, match="0 frames prove nothing"):
        simulate(two_layers(), frames_for(two_layers(), 2)[:0])


@pytest.mark.slow
def test_waves_cover_the_window_only(cache, tmp_path):
    report = simulate(
        two_layers(), frames_for(two_layers()), folder=tmp_path, cache=cache, waves=Waves("vcd", first=100, last=110)
    )
    text = (tmp_path / "plain" / "waves.vcd").read_text()
    times = [int(line[1:]) for line in text.splitlines() if line.startswith("#")]
    assert report.is_exact and "fc1" in text
    assert 9 * 10_000 <= times[-1] - times[0] <= 11 * 10_000  # picoseconds; a cycle takes 10 ns


def test_bench_runs_without_espalier(report, folder, tmp_path):
    bench = tmp_path / "bench"  # make cannot work in a path with spaces
    shutil.copytree(folder, bench, ignore=shutil.ignore_patterns("*.xml", "result.json", "log.txt"))
    (bench / "espalier.py").write_text("raise ImportError('the bench must not need espalier')\n")
    for run in ("plain", "stalled"):
        assert "PASS=1" in make(bench, run)
    expected = bench / "plain" / "fc1.expected.bin"
    words = np.fromfile(expected, "<u4")
    words[-1] ^= 1
    words.tofile(expected)
    assert "stream fc1, layer fc1, frame 29, beat 2: expected" in make(bench, "plain")


def make(bench, run):
    environment = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "HOME": str(bench)}
    command = ["make", "-C", str(bench), f"RUN={run}"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300).stdout
