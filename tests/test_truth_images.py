"""Networks of images from training, or from other people's files, to every value and every cycle of the Verilog."""

import json

import pytest

from espalier.flow import cli

pytestmark = [pytest.mark.verilator, pytest.mark.filterwarnings("ignore::amaranth.hdl.UnusedElaboratable")]

PIXELS = "--input-type", "uint8:1/255"


def call(*arguments) -> None:
    assert cli.run([str(argument) for argument in arguments]) == 0


def simulated(model, folder, *options, importing=(), multipliers=64, frames=2):
    """All values and cycles of ``frames`` frames are right, plain and stalled."""
    call("import", model, "-o", folder, *importing)
    call("plan", folder, "--multipliers", multipliers)
    call("generate", folder)
    call("simulate", folder, "--frames", frames, *options)
    summary = json.loads((folder / "summary.json").read_text())
    assert (summary["values_exact"], summary["cycles_exact"], summary["frames"]) == (True, True, frames)


def train_and_simulate(recipe, folder, *training):
    call("train", recipe, "-o", folder / "run", "--epochs", 1, *training)
    # CNV's 58 million products a frame would take a million cycles.
    multipliers = 1024 if recipe.startswith("cnv") else 64
    simulated(folder / "run", folder / "build", multipliers=multipliers)
    found = json.loads((folder / "build/import/import.json").read_text())
    assert found["agreement"]["unexplained"] == 0 and found["agreement"]["codes"] > 0


@pytest.mark.torch
def test_unet_from_training_to_every_cycle(tmp_path):
    train_and_simulate("unet", tmp_path, "--data", "digits", "--images", 256, "--prune", 0.4)


@pytest.mark.slow
@pytest.mark.torch
@pytest.mark.parametrize(
    "recipe",
    [
        "cnv-w1a1", "cnv-w1a2", "cnv-w2a2", "resnet8", "ds-cnn", "mobilenet", "autoencoder", "espcn", "unet",
    ],
)  # fmt: skip
def test_every_network_from_training_to_every_cycle(recipe, data_folder, tmp_path):
    train_and_simulate(recipe, tmp_path, "--data", data_folder, "--images", 512)


def test_two_layers_as_they_are(models_folder, tmp_path):
    simulated(models_folder / "two_layers.onnx", tmp_path / "build")


@pytest.mark.slow
def test_a_block_of_resnet8_as_it_is(models_folder, tmp_path):
    """From the second convolution to the first sum; the whole network is simulated with the slow tests."""
    simulated(models_folder / "resnet8_a4w4b32.onnx", tmp_path / "build", "--layers", "conv2:add1")


@pytest.mark.slow
def test_resnet8_as_it_is(models_folder, tmp_path):
    simulated(models_folder / "resnet8_a4w4b32.onnx", tmp_path / "build")


@pytest.mark.slow
def test_espcn_as_it_is(models_folder, tmp_path):
    model = models_folder / "espcn_subpixel_quant.onnx"
    simulated(model, tmp_path / "build", importing=PIXELS, multipliers=512, frames=1)


@pytest.mark.slow
def test_the_first_stages_of_branches_as_they_are(models_folder, tmp_path):
    """A whole frame of 256 x 256 pixels takes 130 million products in one of its layers alone."""
    model = models_folder / "branched_model_ch_last.onnx"
    simulated(model, tmp_path / "build", "--layers", "conv1:conv2", multipliers=512, frames=1)
