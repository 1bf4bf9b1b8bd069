"""The bitstreams of docs/boards.md, from model to file; they take minutes, so only on request."""

import json

import pytest

from espalier.flow import cli

pytestmark = [pytest.mark.synth, pytest.mark.verilator, pytest.mark.slow]


def make(model, build, *options):
    """The record of the bitstream."""
    assert cli.run(["build", str(model), "-o", str(build), *options]) == 0
    return json.loads((build / "bitstream" / "bitstream.json").read_text())


@pytest.mark.torch
@pytest.mark.parametrize(
    "multipliers, board, clock_mhz", [("4", "icebreaker", "24"), ("32", "tang-nano-9k", "54")], ids=str
)
def test_pruned_digits_network(multipliers, board, clock_mhz, tmp_path):
    assert cli.run(["train", "digits-mlp", "-o", str(tmp_path / "run")]) == 0
    options = ["--board", board, "--multipliers", multipliers, "--clock-mhz", clock_mhz]
    found = make(tmp_path / "run", tmp_path / "build", *options)
    assert found["fmax_mhz"] > found["clock_mhz"] == float(clock_mhz)


def test_resnet_8_on_a_ulx3s(models_folder, tmp_path):
    options = ["--board", "ulx3s-85f", "--multipliers", "64", "--clock-mhz", "75", "--frames", "2"]
    found = make(models_folder / "resnet8_a4w4b32.onnx", tmp_path / "build", *options)
    assert found["fmax_mhz"] > found["clock_mhz"] == 75
    assert {"conv1", "conv9", "link"} <= set(found["fmax_by_layer"])
