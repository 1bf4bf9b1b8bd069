"""The stages of truth, end to end: the trained model, the integer executor, the Verilog, and every cycle of it."""

import json
from pathlib import Path

import numpy as np
import pytest

from espalier.flow import cli

pytestmark = [pytest.mark.verilator, pytest.mark.filterwarnings("ignore::amaranth.hdl.UnusedElaboratable")]

FINN_FOLDING = "--folding", Path(__file__).resolve().parents[1] / "examples" / "tfc-finn.json"
MOST_CYCLES_TO_FIRST_RESULT = 250


def call(*arguments) -> None:
    assert cli.run([str(argument) for argument in arguments]) == 0


def build_and_simulate(model, folder, *importing, planning=()):
    """Everything up to the simulation of 100 frames, plain and stalled: the summary, and what import found."""
    call("import", model, "-o", folder, *importing)
    call("plan", folder, *planning)
    call("generate", folder)
    call("simulate", folder, "--frames", 100)
    summary = json.loads((folder / "summary.json").read_text())
    assert (summary["values_exact"], summary["cycles_exact"], summary["frames"]) == (True, True, 100)
    return summary, json.loads((folder / "import/import.json").read_text())


@pytest.mark.torch
def test_digits_from_training_to_every_cycle(tmp_path):
    call("train", "digits-mlp", "-o", tmp_path / "run")
    summary, found = build_and_simulate(tmp_path / "run", tmp_path / "build")
    trained = json.loads((tmp_path / "run/metrics.json").read_text())
    assert summary["accuracy"] > 0.95
    assert summary["accuracy"] == trained["result"]["accuracy"]
    assert found["agreement"]["unexplained"] == 0 and found["agreement"]["codes"] > 70_000


@pytest.mark.torch
@pytest.mark.parametrize(
    "recipe", ["tfc-w1a2", *(pytest.param(name, marks=pytest.mark.slow) for name in ("tfc-w1a1", "tfc-w2a2"))]
)
def test_tfc_from_training_to_every_cycle_at_the_folding_of_finn(recipe, data_folder, tmp_path):
    call("train", recipe, "-o", tmp_path / "run", "--data", data_folder / "mnist.npz", "--epochs", 1)
    summary, found = build_and_simulate(tmp_path / "run", tmp_path / "build", planning=FINN_FOLDING)
    assert summary["accuracy"] > 0.75  # one epoch; docs/benchmarks.md has the accuracy of the full schedule
    assert found["agreement"]["unexplained"] == 0
    assert found["agreement"]["codes"] == 10_000 * (784 + 3 * 64)
    assert summary["ii_cycles"] == 64
    assert summary["latency_cycles"] <= MOST_CYCLES_TO_FIRST_RESULT


@pytest.mark.parametrize(
    "model, importing",
    [
        ("TFC_1W1A", ()),
        pytest.param("TFC_2W2A", (), marks=pytest.mark.slow),
        ("qkeras_jettagging", ("--input-type", "int16:0.0009765625")),
        ("unsw_nb15-mlp-w2a2", ("--input-type", "bipolar")),
    ],
)
def test_third_party_models_are_exact_in_every_beat(model, importing, models_folder, tmp_path):
    planning = FINN_FOLDING if model.startswith("TFC") else ()
    summary, _ = build_and_simulate(models_folder / f"{model}.onnx", tmp_path / "build", *importing, planning=planning)
    assert not model.startswith("TFC") or summary["ii_cycles"] == 64


def test_raw_pixels_enter_through_the_models_own_quantizer(models_folder, data_folder, tmp_path):
    pixels = np.load(data_folder / "mnist.npz")["x_test"][:20].reshape(20, 1, 28, 28) / np.float32(255)
    np.save(tmp_path / "digits.npy", pixels.astype(np.float32))
    folder = tmp_path / "build"
    call("import", models_folder / "TFC_1W1A.onnx", "-o", folder, "--input-type", "uint8:1/255", "--argmax")
    call("plan", folder, "--interface", "axi-stream", *FINN_FOLDING)
    call("generate", folder)
    call("simulate", folder, "--inputs", tmp_path / "digits.npy", "--frames", 20)
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["values_exact"] and summary["cycles_exact"]
