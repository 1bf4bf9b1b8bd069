"""espalier quantize --method swis: from a finished run to one whose weights share few shifts."""

import json

import numpy as np
import pytest

from espalier.flow.cli import run
from espalier.ir import Conv2d, Dense, execute, quantize_inputs
from espalier.ir.onnx_import import import_onnx
from espalier.ir.verify import explain_differences

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch", reason="needs the train extra")
torch.set_num_threads(1)
pytest.importorskip("brevitas", reason="needs the train extra")
pytest.importorskip("sklearn", reason="needs the train extra")

from espalier.quant.quantize import QuantizeOptions, quantize  # noqa: E402
from espalier.quant.runs import load_run  # noqa: E402
from espalier.quant.swis.options import Swis  # noqa: E402


@pytest.fixture(scope="module")
def float_run(tmp_path_factory):
    """Eight epochs in real numbers, with 12 of 20 and 9 of 14 channels left."""
    folder = tmp_path_factory.mktemp("float") / "run"
    options = "--hidden 20,14 --prune 12,9 --weight-bits 32 --activation-bits 32 --epochs 8"
    assert run(["train", "digits-mlp", "-o", str(folder), *options.split()]) == 0
    return folder


def quantized(capsys, source, folder, options):
    capsys.readouterr()
    given = ["quantize", str(source), "-o", str(folder), "--method", "swis", "--json", *options.split()]
    assert run(given) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("epochs", [0, 2])
def test_a_run_becomes_one_of_few_shifts_and_stays_exact(float_run, tmp_path, capsys, epochs):
    options = "--shifts 2.5 --group 4 --activations 4" + f" --epochs {epochs}" * bool(epochs)
    result = quantized(capsys, float_run, tmp_path / "out", options)
    assert result["accuracy"] > result["score_before"] - 0.1 and result["epochs"] == epochs
    assert set(result["weight_bits"].values()) == {8} and set(result["activation_bits"].values()) == {4}
    assert [len(layer["shifts"]) for layer in result["swis"]["layers"]] == [12, 9, 10]
    assert [sum(layer["shifts"]) for layer in result["swis"]["layers"]] == [30, 22, 25]
    imported = import_onnx(tmp_path / "out" / "model.onnx")
    truth = dict(np.load(tmp_path / "out" / "truth.npz"))
    inputs = np.load(tmp_path / "out" / "test.npz")["inputs"][: len(truth["outputs"])]
    ours = execute(imported.graph, quantize_inputs(imported.graph, inputs.astype(np.float32)), every=True)
    assert explain_differences(imported, ours, truth).unexplained == 0


def test_a_run_loaded_again_has_the_integers_of_its_file(float_run, tmp_path, capsys):
    quantized(capsys, float_run, tmp_path / "out", "--shifts 2 --filters-at-once 4 --joint --even --epochs 1")
    loaded = load_run(tmp_path / "out")
    nodes = [n for n in import_onnx(tmp_path / "out" / "model.onnx").graph.nodes if isinstance(n, Dense | Conv2d)]
    for node, name in zip(nodes, loaded.model.weighted_layers, strict=True):
        weight = loaded.model.get_submodule(name).quant_weight()
        assert np.array_equal(node.weights, (weight.value / weight.scale).round().detach().numpy())
        for tile in np.split(np.abs(node.weights), range(4, len(node.weights), 4)):
            for first in range(0, tile.shape[1], 4):
                assert np.bitwise_count(np.bitwise_or.reduce(tile[:, first : first + 4], axis=None)) <= 2
    again = quantized(capsys, tmp_path / "out", tmp_path / "again", "--shifts 3")
    assert again["swis"]["average_shifts"] == pytest.approx(3)


def test_plain_methods_take_the_decomposition_away(float_run, tmp_path, capsys):
    quantized(capsys, float_run, tmp_path / "out", "--shifts 2")
    plain = ["quantize", str(tmp_path / "out"), "-o", str(tmp_path / "plain"), "--method", "calibrate"]
    assert run(plain) == 0 and load_run(tmp_path / "plain").recipe.swis is None
    assert run(["prune", str(tmp_path / "out"), "-o", str(tmp_path / "pruned")]) == 2
    assert "its weights are decomposed, which pruning would undo" in capsys.readouterr().err


def test_people_and_reports_see_the_shifts(float_run, tmp_path, capsys):
    options = ["-o", str(tmp_path / "out"), "--method", "swis", "--shifts", "2.5", "--consecutive"]
    assert run(["quantize", str(float_run), *options]) == 0
    shown = capsys.readouterr().out
    assert "average shifts" in shown and "storage bits" in shown and "compression" in shown
    assert run(["import", str(tmp_path / "out"), "-o", str(tmp_path / "build")]) == 0
    capsys.readouterr()
    assert run(["report", str(tmp_path / "build"), "--json"]) == 0
    report, metrics = json.loads(capsys.readouterr().out), json.loads((tmp_path / "out" / "metrics.json").read_text())
    for name in ("average_shifts", "storage_mbit", "compression"):
        assert report[name] == metrics["swis"][name]


def test_a_finished_folder_is_only_read(float_run, tmp_path, capsys):
    first = quantized(capsys, float_run, tmp_path / "out", "--shifts 2")
    written = (tmp_path / "out" / "model.onnx").stat().st_mtime_ns
    assert quantized(capsys, float_run, tmp_path / "out", "--shifts 2") == first
    assert (tmp_path / "out" / "model.onnx").stat().st_mtime_ns == written
    assert run(["quantize", str(float_run), "-o", str(tmp_path / "out"), "--method", "swis", "--shifts", "3"]) == 2
    assert "is of another run: swis was" in capsys.readouterr().err


def test_a_killed_run_ends_as_if_it_had_not_been(float_run, tmp_path):
    def die(state):
        if state.epoch == 2:
            raise KeyboardInterrupt

    changes, options = {"epochs": 3, "weight_bits": "8"}, QuantizeOptions("swis", swis=Swis(1.5, filters_at_once=2))
    whole = quantize(float_run, tmp_path / "whole", changes, options)
    with pytest.raises(KeyboardInterrupt):
        quantize(float_run, tmp_path / "killed", changes, options, progress=die)
    assert quantize(float_run, tmp_path / "killed", changes, options) == whole
    for name in ("model.safetensors", "model.onnx", "metrics.json", "recipe.json"):
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


@pytest.mark.parametrize(
    "options, message",
    [
        ("--method swis", "--shifts: none were given; --method swis needs how many a group has on average, as 2.5"),
        ("--shifts 2", "--shifts: is of --method swis; leave it out, or choose this method"),
        ("--filters-at-once 2", "--filters-at-once: is of --method swis"),
        ("--method swis --shifts 7.5", "--shifts: 7.5 was given; it must be from 1 to 7 for weights with 7 bits"),
        ("--method swis --shifts 0.5", "--shifts: 0.5 was given; it must be from 1 to 7"),
        (
            "--method swis --shifts 7 --double-shift",
            "--shifts: 7 was given; it must be from 2 to 6 for weights with 7 bits of magnitude, whose shifts are even",
        ),
        ("--method swis --shifts 2.5 --even", "--shifts: 2.5 was given, but with --even all filters have the same"),
        ("--method swis --shifts nan", "--shifts: nan was given; it must be from 1 to 7"),
        ("--method swis --shifts 2 --group 0", "--group: 0 was given; it must be a whole number from 1 to 4096"),
        ("--method swis --shifts 2 --filters-at-once 0", "--filters-at-once: 0 was given; it must be a whole number"),
        ("--method swis --shifts 2 --joint", "--joint: a filter alone shares with none; give --filters-at-once"),
        ("--method swis --shifts 2 --alpha -1", "--alpha: -1 was given; it must be from 0 to 1e6"),
        ("--method swis --shifts 2 --weights 2", "--weights: 2 bits were given; --method swis decomposes weights of 3"),
        ("--method swis --shifts 2 --weights 32", "--weights: 32 bits were given; --method swis decomposes weights of"),
        ("--method swis --shifts 2 --budget 1", "--budget: chooses bits of plain weights"),
        ("--method swis --shifts 2 --learning-rate 0.1", "--learning-rate: swis trains nothing by itself"),
        ("--method swis --shifts 2 --quantizer statistics", "--quantizer: statistics have no symmetric range"),
    ],
)
def test_mistakes_are_one_line(float_run, tmp_path, capsys, options, message):
    assert run(["quantize", str(float_run), "-o", str(tmp_path / "out"), *options.split()]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert lines[-1].startswith(f"espalier: error: {message}") and not any("Traceback" in line for line in lines)
