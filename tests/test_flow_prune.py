"""`espalier prune` from a trained run to a report of accuracy, memory and hardware."""

import json
import re
import signal
import subprocess
import sys
import time

import pytest

from espalier.errors import GraphError
from espalier.flow import cli
from espalier.flow.progress import time_left
from espalier.flow.pruning import read_sparsity
from espalier.flow.report import scores

SHORT = ["--epochs", "2", "--quantize-epochs", "1", "--weights", "4", "--activations", "4"]
COMMAND = [sys.executable, "-W", "ignore", "-c", "from espalier.flow.cli import main; main()"]


@pytest.mark.parametrize(
    "text, wanted", [("0.5", 0.5), ("conv1=0.5", {"conv1": 0.5}), ("a=0.5, b=0.25", {"a": 0.5, "b": 0.25}), ("0", 0.0)]
)
def test_sparsity_is_one_share_or_one_by_layer(text, wanted):
    assert read_sparsity(text) == wanted


@pytest.mark.parametrize("text", ["half", "conv1=", "conv1=0.5,0.25", "0.5,0.25", "a=b=0.5", ""])
def test_what_is_no_sparsity_is_named(text):
    with pytest.raises(
        GraphError, match="--sparsity: .* is neither a share such as 0.5 nor one for each of some layers"
    ):
        read_sparsity(text)


def test_a_layer_that_is_named_twice_is_an_error():
    with pytest.raises(GraphError, match="--sparsity: 'a=0.5,a=0.25' names a layer twice; give each once"):
        read_sparsity("a=0.5,a=0.25")


def test_the_time_left_goes_on_as_before(monkeypatch):
    monkeypatch.setattr(time, "monotonic", lambda: 130.0)
    assert time_left(0.4, 100.0, 0.1) == ", 60 s left"
    assert time_left(0.2, 100.0, 0.1) == ", 0:04 h left"
    assert time_left(0.1, 100.0, 0.1) == time_left(1.0, 100.0, 0.1) == ""


@pytest.mark.parametrize("metric, unit", [("accuracy", "%"), ("psnr_db", "dB")])
def test_density_has_a_unit(metric, unit):
    assert scores({metric: 0.5, "density": 1234.56, "weight_mbit": 0.5})["density"] == f"1,234.6 {unit} per Mbit"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    pytest.importorskip("brevitas", reason="needs the train extra")
    pytest.importorskip("sklearn", reason="needs the train extra")
    folder = tmp_path_factory.mktemp("runs") / "mlp"
    bits = ["--weight-bits", "32", "--activation-bits", "32"]
    assert cli.run(["train", "digits-mlp", "-o", str(folder), "--hidden", "16,12", "--epochs", "4", *bits]) == 0
    return folder


def prune(run, folder, *more):
    return cli.run(["prune", str(run), "-o", str(folder), *more])


@pytest.fixture(scope="module")
def pruned(run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "pruned"
    assert prune(run, folder, "--sparsity", "fc1=0.5", "--round-to", "2", *SHORT) == 0
    return folder


@pytest.mark.torch
def test_a_table_shows_every_stage(pruned, run, capsys):
    assert prune(run, pruned, "--sparsity", "fc1=0.5", "--round-to", "2", *SHORT) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["stage", "accuracy", "weight", "mbit", "feature", "mbit", "density", "channels"]
    assert [re.split(" {2,}", line)[0] for line in lines[2:5]] == ["dense", "pruned", "quantized"]
    assert [line.split()[-1] for line in lines[2:5]] == ["16-12", "8-12", "8-12"]
    assert lines[-1].split() == ["plot", str(pruned / "density.svg")]


@pytest.mark.torch
def test_hardware_of_what_is_quantized_stands_below(pruned, run, tmp_path, capsys):
    assert prune(run, pruned, "--sparsity", "fc1=0.5", "--round-to", "2", *SHORT) == 0
    lines = capsys.readouterr().out.split("\n\n")[1].splitlines()
    assert lines[0].split() == ["network", "multiplications", "weight", "bits", "multipliers", "ii", "cycles"]
    weights = 64 * 8 + 8 * 12 + 12 * 10
    assert [line.split()[:3] for line in lines[2:]] == [["result", f"{weights}", f"{4 * weights:,}"]]
    options = ["--sparsity", "0.5", "--epochs", "1", "--json", "--device", "ecp5-25k"]
    assert prune(pruned, tmp_path, *options) == 0
    source, result = json.loads(capsys.readouterr().out)["hardware"]
    assert (source["network"], source["weight_bits"]) == ("source", 4 * weights)
    assert result["weight_bits"] < source["weight_bits"] and max(result["multipliers"], source["multipliers"]) <= 64
    assert result["lut"] > 0 and result["ii_cycles"] <= source["ii_cycles"]


@pytest.mark.torch
def test_json_holds_the_result_and_its_stages(pruned, run, capsys):
    assert prune(run, pruned, "--sparsity", "fc1=0.5", "--round-to", "2", *SHORT, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["source"] == str(run) and found["method"] == "joint"
    assert [row["stage"] for row in found["stages"]] == ["dense", "pruned", "quantized"]
    assert found["stages"][2]["density"] == found["density"] and found["stages"][2]["score"] == found["accuracy"]


@pytest.mark.torch
def test_lines_tell_the_epoch_the_scores_and_the_time_left(run, tmp_path, capsys):
    assert prune(run, tmp_path / "p", *SHORT) == 0
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith(("prune: ", "quantize: "))]
    assert [line.split(", ")[0] for line in lines] == ["prune: epoch 1/2", "prune: epoch 2/2", "quantize: epoch 1/1"]
    assert re.search(r"accuracy \d+\.\d\d%, on test samples \d+\.\d\d%, \d+ s left$", lines[0])


@pytest.mark.torch
def test_the_report_of_a_build_shows_memory_and_density(pruned, tmp_path, capsys):
    assert cli.run(["import", str(pruned), "-o", str(tmp_path / "b")]) == 0
    assert "% per Mbit" in capsys.readouterr().out
    assert cli.run(["plan", str(tmp_path / "b")]) == 0
    capsys.readouterr()
    assert cli.run(["report", str(tmp_path / "b"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["weight_mbit"] == (64 * 8 + 8 * 12 + 12 * 10) * 4 / 1e6
    assert found["feature_mbit"] == (64 + 8 + 12) * 4 / 1e6
    assert found["density"] == 100 * found["accuracy"] / (found["weight_mbit"] + found["feature_mbit"])
    assert cli.run(["report", str(tmp_path / "b")]) == 0
    shown = capsys.readouterr().out
    assert re.search(
        r"^ii cycles .*^accuracy .*^weight mbit .*^feature mbit .*^density ", shown, re.DOTALL | re.MULTILINE
    )


@pytest.mark.torch
def test_a_killed_command_run_again_gives_the_same_run(pruned, run, tmp_path):
    command = [
        *COMMAND,
        "prune",
        str(run),
        "-o",
        str(tmp_path / "p"),
        "--sparsity",
        "fc1=0.5",
        "--round-to",
        "2",
        *SHORT,
    ]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while process.poll() is None and not (tmp_path / "p" / "checkpoints" / "prune" / "epoch-001.json").exists():
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "p" / "model.onnx").exists()
    subprocess.run(command, check=True, capture_output=True)
    for name in ("model.onnx", "metrics.json", "truth.npz", "model.safetensors", "density.svg"):
        assert (tmp_path / "p" / name).read_bytes() == (pruned / name).read_bytes()


@pytest.mark.torch
@pytest.mark.parametrize(
    "options, message",
    [
        (["--sparsity", "1.5"], "sparsity of every layer: 1.5 was given"),
        (["--sparsity", "fc11=0.5"], "fc11: is no layer with weights; the nearest name is fc1"),
        (["--exclude", "fc9"], "fc9: is no layer with weights"),
        (["--method", "cut"], "unknown method 'cut'; known methods: joint"),
        (["--weights", "9"], "--weight-bits: 9 was given"),
        (["--device", "ecp5"], "device 'ecp5' is unknown; known: ecp5-12k"),
        (["--threads", "0"], "--threads: 0 was given"),
        (["--data", "nowhere"], "nowhere: no such file; --data is"),
    ],
)
def test_mistakes_are_one_line_with_status_2(options, message, run, tmp_path, capsys):
    assert prune(run, tmp_path / "p", *options) == 2
    assert capsys.readouterr().err.splitlines()[-1].startswith(f"espalier: error: {message}")
    assert not (tmp_path / "p").exists()


@pytest.mark.torch
def test_a_folder_that_is_no_run_is_named(tmp_path, capsys):
    pytest.importorskip("brevitas", reason="needs the train extra")
    assert prune(tmp_path, tmp_path / "p") == 2
    assert "is no finished run; give a folder in which `espalier train` has finished" in capsys.readouterr().err
