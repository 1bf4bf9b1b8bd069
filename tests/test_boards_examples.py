"""The bitstreams of docs/boards.md, from model to file; they take minutes, so only on request."""

import json

import pytest

from espalier.flow import cli

pytestmark = [pytest.mark.synth, pytest.mark.slow]


def make(model, build, plan, board):
    """The record of the bitstream."""
    assert cli.run(["import", str(model), "-o", str(build)]) == 0
    assert cli.run(["plan", str(build), *plan]) == 0
    assert cli.run(["generate", str(build)]) == 0
    assert cli.run(["bitstream", str(build), *board]) == 0
    return json.loads((build / "bitstream" / "bitstream.json").read_text())


@pytest.mark.torch
@pytest.mark.parametrize(
    "multipliers, board, clock_mhz", [("4", "icebreaker", "24"), ("32", "tang-nano-9k", "54")], ids=str
)
def test_pruned_digits_network(multipliers, board, clock_mhz, tmp_path):
    assert cli.run(["train", "digits-mlp", "-o", str(tmp_path / "run")]) == 0
    plan, options = ["--multipliers", multipliers], ["--board", board, "--clock-mhz", clock_mhz]
    found = make(tmp_path / "run", tmp_path / "build", plan, options)
    assert found["fmax_mhz"] > found["clock_mhz"] == float(clock_mhz)


def test_resnet_8_on_a_ulx3s(models_folder, tmp_path):
    plan = ["--multipliers", "64", "--clock-mhz", "75"]
    model = models_folder / "resnet8_a4w4b32.onnx"
    found = make(model, tmp_path / "build", plan, ["--board", "ulx3s-85f", "--clock-mhz", "75"])
    assert found["fmax_mhz"] > found["clock_mhz"] == 75
    assert {"conv1", "conv9", "link"} <= set(found["fmax_by_layer"])
