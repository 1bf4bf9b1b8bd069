"""espalier quantize: from a finished run to one in fewer bits."""

import json

import numpy as np
import pytest

from espalier.flow.cli import run
from espalier.ir import execute, quantize_inputs
from espalier.ir.onnx_import import import_onnx
from espalier.ir.verify import explain_differences

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch", reason="needs the train extra")
torch.set_num_threads(1)
pytest.importorskip("brevitas", reason="needs the train extra")
pytest.importorskip("sklearn", reason="needs the train extra")

from espalier.errors import GraphError  # noqa: E402
from espalier.quant.quantize import QuantizeOptions, quantize  # noqa: E402
from espalier.quant.runs import load_run  # noqa: E402

BITS = {"weight_bits": "4", "activation_bits": "4"}


@pytest.fixture(scope="module")
def float_run(tmp_path_factory):
    """Two epochs in real numbers, with 12 of 20 and 9 of 14 channels left."""
    folder = tmp_path_factory.mktemp("float") / "run"
    options = "--hidden 20,14 --prune 12,9 --weight-bits 32 --activation-bits 32 --epochs 8"
    assert run(["train", "digits-mlp", "-o", str(folder), *options.split()]) == 0
    return folder


def quantized(capsys, source, folder, options):
    capsys.readouterr()
    assert run(["quantize", str(source), "-o", str(folder), "--json", *options.split()]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("method", ["calibrate", "train"])
def test_a_float_run_becomes_an_exact_quantized_one(float_run, tmp_path, capsys, method):
    result = quantized(capsys, float_run, tmp_path / "out", f"--weights 4,3,4 --activations 4 --method {method}")
    assert result["accuracy"] > result["score_before"] - 0.1 and result["epochs"] == (2 if method == "train" else 0)
    assert result["weight_bits"] == {"fc1": 4, "fc2": 3, "fc3": 4}
    imported = import_onnx(tmp_path / "out" / "model.onnx")
    truth = dict(np.load(tmp_path / "out" / "truth.npz"))
    inputs = np.load(tmp_path / "out" / "test.npz")["inputs"][: len(truth["outputs"])]
    ours = execute(imported.graph, quantize_inputs(imported.graph, inputs.astype(np.float32)), every=True)
    assert explain_differences(imported, ours, truth).unexplained == 0
    assert [int(group.kept.sum()) for group in load_run(tmp_path / "out").model.groups()] == [12, 9]


def test_a_quantized_run_can_be_quantized_again(float_run, tmp_path, capsys):
    first = quantized(capsys, float_run, tmp_path / "a", "--weights 8 --activations 8 --method calibrate")
    again = quantized(capsys, tmp_path / "a", tmp_path / "b", "--activations 4 --method calibrate")
    assert again["score_before"] == first["accuracy"]
    assert again["weight_bits"] == first["weight_bits"] and set(again["activation_bits"].values()) == {4}


def test_a_budget_chooses_the_bits(float_run, tmp_path, capsys):
    result = quantized(capsys, float_run, tmp_path / "out", "--budget 0.005 --method calibrate --calib 100")
    widths = json.loads((tmp_path / "out" / "widths.json").read_text())
    assert result["weight_mbit"] + result["feature_mbit"] <= 0.005
    assert (
        widths["weight_bits"]
        == list(result["weight_bits"].values())
        == list(load_run(tmp_path / "out").recipe.weight_bits)
    )
    assert widths["trace"][-1]["mbit"] <= 0.005 < widths["trace"][-2]["mbit"]


@pytest.mark.parametrize("quantizer", ["statistics", "statistics-po2"])
def test_other_quantizers_can_be_chosen(float_run, tmp_path, capsys, quantizer):
    options = f"--weights 4 --activations 4 --quantizer {quantizer} --delays 5,2 --epochs 1"
    result = quantized(capsys, float_run, tmp_path / "out", options)
    assert result["quantizer"] == quantizer and result["accuracy"] > result["score_before"] - 0.15
    assert load_run(tmp_path / "out").recipe.delays == (5, 2)


def test_a_finished_folder_is_only_read(float_run, tmp_path, capsys):
    options = "--weights 4 --activations 4 --method calibrate"
    first = quantized(capsys, float_run, tmp_path / "out", options)
    written = (tmp_path / "out" / "model.onnx").stat().st_mtime_ns
    assert quantized(capsys, float_run, tmp_path / "out", options) == first
    assert (tmp_path / "out" / "model.onnx").stat().st_mtime_ns == written


def test_a_killed_run_ends_as_if_it_had_not_been(float_run, tmp_path):
    def die(state):
        if state.epoch == 2:
            raise KeyboardInterrupt

    changes = {**BITS, "epochs": 3}
    whole = quantize(float_run, tmp_path / "whole", changes, QuantizeOptions())
    with pytest.raises(KeyboardInterrupt):
        quantize(float_run, tmp_path / "killed", changes, QuantizeOptions(), progress=die)
    assert not (tmp_path / "killed" / "model.onnx").exists()
    assert quantize(float_run, tmp_path / "killed", changes, QuantizeOptions()) == whole
    for name in ("model.safetensors", "model.onnx", "metrics.json", "recipe.json"):
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_chosen_widths_are_kept_for_a_killed_run(float_run, tmp_path):
    def die(state):
        raise KeyboardInterrupt

    options, told = QuantizeOptions(budget_mbit=0.008, calibration=50), []
    with pytest.raises(KeyboardInterrupt):
        quantize(float_run, tmp_path / "out", {"epochs": 1}, options, progress=die, decided=told.append)
    steps = len(told)
    done = quantize(float_run, tmp_path / "out", {"epochs": 1}, options, decided=told.append)
    assert 0 < steps == len(told)
    assert done.metrics.weight_mbit + done.metrics.feature_mbit <= 0.008


@pytest.mark.parametrize(
    "options, message",
    [
        ("", "--weights: a layer would stay in real numbers; give 1 to 8 bits, or --budget"),
        ("--weights 4", "--activations: a layer would stay in real numbers; give 1 to 8 bits"),
        ("--weights 4,4 --activations 4", "--weight-bits: 2 numbers were given; give one for all, or 3, one per layer"),
        ("--weights 4 --activations 9", "--activation-bits: 9 was given; it must be a whole number from 1 to 8"),
        ("--weights 4 --budget 1", "--budget: chooses the bits itself; leave --weights and --activations out"),
        ("--budget -1", "--budget: -1 Mbit were given; it must be above 0"),
        ("--budget 0.0001", "--budget: 0.0001 Mbit cannot be met; 0.00"),
        ("--weights 4 --activations 4 --method guess", "--method: 'guess' is unknown; give one of calibrate, train"),
        ("--weights 4 --activations 4 --method calibrate --epochs 2", "--epochs: calibration trains nothing"),
        (
            "--weights 4 --activations 4 --calib 1",
            "--calib: 1 samples were given; it must be 2 to 1348 of 1348 training",
        ),
        (
            "--budget 0.01 --calib 1000",
            "--calib: 1000 samples were given; it must be 2 to 674 of 1348 training samples",
        ),
        ("--weights 4 --activations 4 --quantizer best", "--quantizer: 'best' is unknown"),
        (
            "--weights 4 --activations 4 --quantizer statistics --delays 20,42 --epochs 2",
            "--delays: 42 steps were given, but the training has only 42; give fewer, or more epochs",
        ),
        ("--weights 4 --activations 4 --threads 0", "--threads: 0 was given"),
        ("--weights 4 --activations 4 --data /nowhere", "/nowhere: no such file"),
    ],
)
def test_mistakes_are_one_line(float_run, tmp_path, capsys, options, message):
    assert run(["quantize", str(float_run), "-o", str(tmp_path / "out"), *options.split()]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert lines[-1].startswith(f"espalier: error: {message}") and not any("Traceback" in line for line in lines)


def test_the_source_must_be_finished_and_another_folder(float_run, tmp_path, capsys):
    assert run(["quantize", str(tmp_path), "-o", str(tmp_path / "out"), "--weights", "4"]) == 2
    assert "is no finished run; give a folder in which" in capsys.readouterr().err
    assert run(["quantize", str(float_run), "-o", str(float_run), "--weights", "4", "--activations", "4"]) == 2
    assert "is of another run: activation_bits was [32, 32] and is now [4, 4]" in capsys.readouterr().err


def test_damaged_widths_are_named(float_run, tmp_path):
    (tmp_path / "out" / "checkpoints").mkdir(parents=True)
    options = QuantizeOptions("calibrate", 50, 0.008)
    quantize(float_run, tmp_path / "out", {}, options)
    (tmp_path / "out" / "model.onnx").unlink()
    (tmp_path / "out" / "widths.json").write_text("{}")
    with pytest.raises(ValueError, match="widths.json: holds no widths; delete it to have them chosen again"):
        quantize(float_run, tmp_path / "out", {}, options)


def test_options_are_checked_against_the_samples():
    QuantizeOptions("train", 100, 1.0).check(200)
    with pytest.raises(GraphError, match="--calib: 100 samples were given; it must be 2 to 99 of 199"):
        QuantizeOptions("train", 100, 1.0).check(199)
