"""The verbs for boards: list, bitstream, program, and run through a simulation of the whole board."""

import json
import os
import re
import sys

import numpy as np
import pytest

from espalier.boards.board import ENTRIES
from espalier.flow import cli
from espalier.flow.board import program
from espalier.ir.execute import execute, quantize_inputs
from espalier.ir.store import load
from small_models import write_mlp

pytestmark = [
    pytest.mark.synth,
    pytest.mark.verilator,
    pytest.mark.filterwarnings("ignore::amaranth.hdl.UnusedElaboratable"),
]
FRAMES = np.random.default_rng(0).uniform(0, 4, (12, 6)).astype(np.float32)


@pytest.fixture(scope="module")
def build(tmp_path_factory):
    path = tmp_path_factory.mktemp("board")
    folder = str(path / "build")
    assert cli.run(["import", str(write_mlp(path / "net.onnx")), "-o", folder]) == 0
    for verb in (["plan", folder, "--multipliers", "2"], ["generate", folder]):
        assert cli.run(verb) == 0
    return path / "build"


@pytest.fixture(scope="module")
def made(build):
    assert cli.run(["bitstream", str(build), "--board", "tang-nano-9k", "--baud", "3000000"]) == 0
    return build


@pytest.fixture
def frames(tmp_path):
    np.save(tmp_path / "x.npy", FRAMES)
    return tmp_path / "x.npy"


def printed(capsys, *arguments):
    capsys.readouterr()
    assert cli.run([str(argument) for argument in arguments]) == 0
    return json.loads(capsys.readouterr().out)


def refused(capsys, *arguments):
    capsys.readouterr()
    assert cli.run([str(argument) for argument in arguments]) == 2
    return capsys.readouterr().err.splitlines()[-1].removeprefix("espalier: error: ")


def test_boards_are_listed_with_what_they_hold(capsys):
    rows = printed(capsys, "boards", "--json")
    assert [row["board"] for row in rows] == list(ENTRIES)
    (found,) = (row for row in rows if row["board"] == "icebreaker")
    assert found | {"note": ""} == {
        "board": "icebreaker", "device": "ice40-up5k", "lut": 5280, "ff": 5280, "bram_kbit": 120, "dsp": 8,
        "clock_mhz": 12.0, "note": "",
    }  # fmt: skip


def test_bitstream_is_in_the_report_and_made_once(made, capsys):
    report = printed(capsys, "report", made, "--json")
    assert report["board"] == report["bitstream"]["board"] == "tang-nano-9k"
    assert (made / "bitstream" / report["bitstream"]["file"]).is_file()
    assert cli.run(["bitstream", str(made), "--board", "tang-nano-9k", "--baud", "3000000"]) == 0
    assert "bitstream: nothing changed" in capsys.readouterr().err


def test_every_frame_comes_back_right_from_a_simulated_board_with_a_bad_line(made, frames, tmp_path, capsys):
    result = printed(
        capsys, "run", made, frames, "--simulated", "--damage", "0.02", "--check", "-o", tmp_path / "out.npz", "--json"
    )  # fmt: skip
    graph = load(made / "import")
    expected = execute(graph, quantize_inputs(graph, {graph.inputs[0].name: FRAMES}))
    with np.load(tmp_path / "out.npz") as found:
        for name, codes in expected.items():
            np.testing.assert_array_equal(found[name], codes)
    assert result["frames"] == len(FRAMES) and result["values_exact"] is True
    assert result["polls"] + result["dropped"] > 0


def test_a_wrong_output_of_the_board_is_a_mismatch(made, frames, tmp_path, capsys):
    top = made / "bitstream" / "espalier_board.v"
    right = top.read_text()
    wrong = flip(right, load(made / "import").outputs[0].name)
    top.write_text(wrong)
    try:
        assert cli.run(["run", str(made), str(frames), "--simulated", "--check"]) == 1
    finally:
        top.write_text(right)
    assert "frames differ from the reference; frame 0" in capsys.readouterr().err


def flip(verilog, output):
    """The lowest bit of what the core gives the other way round."""
    declared = re.search(r"wire (\[\d+:0\] )output_0__payload;", verilog)
    assert declared and f".{output}__payload(output_0__payload)" in verilog
    other = f"wire {declared[1]}output_0__payload, other; assign output_0__payload = other ^ 1'b1;"
    wrong = verilog.replace(f".{output}__payload(output_0__payload)", f".{output}__payload(other)")
    return wrong.replace(declared[0], other)


def test_board_with_another_design_is_refused(made, frames, capsys):
    about = made / "bitstream" / "bitstream.json"
    text = about.read_text()
    digest = json.loads(text)["digest"]
    about.write_text(text.replace(digest, "0" * len(digest)))
    try:
        message = refused(capsys, "run", made, frames, "--simulated")
    finally:
        about.write_text(text)
    assert message.startswith(f"the board runs design {digest}, the build folder holds 0000")


@pytest.mark.parametrize(
    "arguments, message",
    [
        ([], "needs the port of a board, --port /dev/ttyUSB0, or else --simulated"),
        (["--port", "/dev/none", "--simulated"], "needs the port of a board"),
        (["--port", "/dev/none"], "/dev/none: cannot open it at 3000000 baud"),
        (["--port", "/dev/none", "--damage", "0.01"], "only a simulated line can be damaged"),
        (["--simulated", "--damage", "0.5"], "must be a probability from 0 to 0.05"),
    ],
)
def test_run_refuses(arguments, message, made, frames, capsys):
    assert message in refused(capsys, "run", made, frames, *arguments)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--board", "ulx3s"], "board 'ulx3s' is unknown; known: ulx3s-12f"),
        (["--board", "icebreaker", "--seeds", "0"], "--seeds 0: must be a number above 0"),
        (["--board", "icebreaker", "--clock-mhz", "-1"], "--clock-mhz -1: must be a number above 0"),
        (["--board", "icebreaker", "--clock-mhz", "3"], "clock 3 MHz: the PLL cannot make it"),
        (["--board", "icebreaker", "--baud", "10000000"], "--baud 10000000: a bit takes 1.20 cycles of 12 MHz"),
    ],
)
def test_bitstream_refuses(arguments, message, build, capsys):
    before = sorted(build.iterdir())
    assert message in refused(capsys, "bitstream", build, *arguments)
    assert sorted(build.iterdir()) == before


@pytest.fixture
def loader(tmp_path, monkeypatch):
    """An openFPGALoader that writes down what it is asked, and ends with the status in the file ``status``."""
    script = tmp_path / "openFPGALoader"
    script.write_text(
        f"#!{sys.executable}\nimport sys, pathlib\nhere = pathlib.Path(__file__).parent\n"
        "(here / 'asked').write_text(' '.join(sys.argv[1:]))\nsys.exit(int((here / 'status').read_text()))\n"
    )
    script.chmod(0o755)
    (tmp_path / "status").write_text("0")
    monkeypatch.setattr(program.shutil, "which", lambda name: str(script))
    return tmp_path


@pytest.mark.parametrize("flags, words", [([], ""), (["--flash"], " -f")])
def test_program_loads_the_file_into_the_board(flags, words, made, loader):
    assert cli.run(["program", str(made), *flags]) == 0
    assert (loader / "asked").read_text() == f"-b tangnano9k{words} {made}{os.sep}bitstream{os.sep}tang-nano-9k.fs"


def test_program_says_when_the_loader_fails_or_is_missing(made, loader, monkeypatch, capsys):
    (loader / "status").write_text("3")
    assert "openFPGALoader ended with status 3; check cable" in refused(capsys, "program", made)
    monkeypatch.setattr(program.shutil, "which", lambda name: None)
    assert "openFPGALoader not found; on Debian or Ubuntu: apt install" in refused(capsys, "program", made)


def test_verbs_before_the_bitstream_say_what_is_missing(build, frames, tmp_path, capsys):
    other = tmp_path / "other"
    assert cli.run(["import", str(write_mlp(tmp_path / "net.onnx")), "-o", str(other)]) == 0
    for arguments in (["program", other], ["run", other, frames, "--simulated"]):
        assert "bitstream has not finished here; run `espalier bitstream" in refused(capsys, *arguments)


@pytest.mark.slow
def test_build_ends_with_a_bitstream_where_a_board_is_named(tmp_path, capsys):
    model = write_mlp(tmp_path / "net.onnx", (5, 3))
    report = printed(
        capsys, "build", model, "-o", tmp_path / "build", "--multipliers", "1", "--frames", "2", "--stall", "0",
        "--board", "tang-nano-9k", "--clock-mhz", "54", "--json",
    )  # fmt: skip
    assert report["bitstream"]["clock_mhz"] == report["plan"]["clock_mhz"] == 54
    assert report["values_exact"] and "synth" not in report


def test_build_says_what_is_wrong_with_the_board_before_it_begins(tmp_path, capsys):
    model = write_mlp(tmp_path / "net.onnx", (5, 3))
    arguments = ["build", model, "-o", tmp_path / "build", "--board", "icebreaker", "--clock-mhz", "3"]
    assert "clock 3 MHz: the PLL cannot make it" in refused(capsys, *arguments)
    assert not (tmp_path / "build").exists()


def test_weights_that_the_bitstream_holds_cannot_be_replaced(made, frames, capsys):
    message = "no layer has its weights in memory ram or spram"
    assert message in refused(capsys, "run", made, frames, "--simulated", "--weights", made)
    assert message in refused(capsys, "bitstream", made, "--board", "tang-nano-9k", "--weights-at", "0")
