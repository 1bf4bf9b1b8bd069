"""Pruning a finished run into a new one, in stages that continue wherever they were killed."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from espalier.errors import BuildError, GraphError
from espalier.quant.networks.cnn import cnn
from espalier.quant.override import override
from espalier.quant.recipes import find_recipe

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch", reason="needs the train extra")
torch.set_num_threads(1)
pytest.importorskip("brevitas", reason="needs the train extra")
pytest.importorskip("sklearn", reason="needs the train extra")

from espalier.quant.density import density_of  # noqa: E402
from espalier.quant.pruning import prune as prune_module  # noqa: E402
from espalier.quant.pruning.options import PruneOptions  # noqa: E402
from espalier.quant.pruning.prune import prune  # noqa: E402
from espalier.quant.runs import load_run  # noqa: E402
from espalier.quant.train import train  # noqa: E402

MLP = override(find_recipe("digits-mlp"), hidden="16,12", epochs=5, weight_bits=32, activation_bits=32)
CNN = find_recipe("digits-cnn")
CNN = replace(CNN, network=cnn(CNN.network.input, (6, 8, 8)), keep=(6, 8, 8), epochs=3)
OPTIONS = PruneOptions(sparsity=0.5, weight_bits=4, activation_bits=4, epochs=3, quantize_epochs=2)
RESULTS = (
    *("config.json", "recipe.json", "metrics.json", "prune.json", "test.npz", "truth.npz"),
    *("model.safetensors", "model.onnx", "density.svg"),
)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A perceptron of real numbers."""
    folder = tmp_path_factory.mktemp("runs") / "mlp"
    train(MLP, folder)
    return folder


@pytest.fixture(scope="module")
def quantized(tmp_path_factory):
    """A convolutional network of 4 bits."""
    folder = tmp_path_factory.mktemp("runs") / "cnn"
    train(CNN, folder)
    return folder


@pytest.fixture(scope="module")
def whole(run, tmp_path_factory):
    """A pruning that nothing stopped: its folder, its result, and all that it told."""
    folder, told = tmp_path_factory.mktemp("pruned") / "whole", []
    return folder, prune(run, folder, OPTIONS, progress=told.append), told


def contents(folder):
    return {name: (folder / name).read_bytes() for name in RESULTS}


def test_a_finished_folder_is_a_run(whole):
    folder, result, _ = whole
    assert {path.name for path in folder.iterdir() if not path.name.startswith(".")} == {*RESULTS, "checkpoints"}
    run = load_run(folder)
    assert run.recipe.keep == (8, 6) == tuple(int(group.kept.sum()) for group in run.model.groups())
    assert set(run.recipe.weight_bits) == set(run.recipe.activation_bits) == {4}
    assert (run.recipe.epochs, run.recipe.learning_rate) == (MLP.epochs, MLP.learning_rate)
    with np.load(folder / "truth.npz") as truth, np.load(folder / "test.npz") as test:
        assert np.mean(truth["outputs"].argmax(1) == test["labels"]) == result.metrics.score


def test_every_stage_has_a_row(whole, run):
    folder, result, _ = whole
    rows = {row.stage: row for row in result.rows}
    assert list(rows) == ["dense", "pruned", "quantized"]
    assert json.loads((folder / "metrics.json").read_text())["stages"] == result.record()
    assert rows["dense"].score == json.loads((run / "metrics.json").read_text())["result"]["accuracy"]
    assert rows["quantized"].score == result.metrics.score > 0.7
    assert rows["dense"].channels == {"fc1": 16, "fc2": 12}
    assert rows["pruned"].channels == rows["quantized"].channels == {"fc1": 8, "fc2": 6}
    weights = 64 * 8 + 8 * 6 + 6 * 10
    assert rows["pruned"].weight_mbit == weights * 32 / 1e6 and rows["quantized"].weight_mbit == weights * 4 / 1e6
    features = 64 * 4 + (8 + 6) * 4  # the input has a quantizer even in real numbers
    assert rows["quantized"].feature_mbit == features / 1e6
    density = 100 * rows["quantized"].score / (weights * 4 + features) * 1e6
    assert rows["quantized"].density == pytest.approx(density)


def test_the_history_tells_phases_and_channels(whole):
    history = json.loads((whole[0] / "metrics.json").read_text())["history"]
    assert [(entry["phase"], entry["epoch"]) for entry in history] == [
        ("prune", 1), ("prune", 2), ("prune", 3), ("quantize", 1), ("quantize", 2),
    ]  # fmt: skip
    assert [entry["channels"] for entry in history[1:]] == [[8, 6]] * 4


def test_progress_runs_from_the_first_phase_to_the_end_of_the_last(whole):
    shares = [told.share for told in whole[2]]
    assert shares == sorted(shares) and shares[-1] == 1.0
    assert max(told.share for told in whole[2] if told.phase == "prune") == pytest.approx(3 / 5)


def test_the_plot_shows_every_stage(whole):
    text = (whole[0] / "density.svg").read_text()
    assert all(f"{row.stage}, {100 * row.score:.4g}" in text for row in whole[1].rows) and text.count("<circle") == 3


def test_the_same_options_give_the_same_bytes(whole, run, tmp_path):
    prune(run, tmp_path / "again", OPTIONS)
    assert contents(tmp_path / "again") == contents(whole[0])


@pytest.mark.parametrize("phase, epoch", [("prune", 1), ("prune", 2), ("quantize", 1), ("quantize", 2)])
def test_a_stopped_pruning_goes_on_to_the_same_bytes(phase, epoch, whole, run, tmp_path):
    def stop(at):
        if (at.phase, at.state.epoch, at.state.batch) == (phase, epoch, 3):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prune(run, tmp_path / "p", OPTIONS, progress=stop)
    told = []
    assert prune(run, tmp_path / "p", OPTIONS, progress=told.append) == whole[1]
    assert (told[0].phase, told[0].state.epoch) == (phase, epoch)
    assert contents(tmp_path / "p") == contents(whole[0])


@pytest.mark.parametrize("place", ["recalibrate_norms", "calibrate", "finish"])
def test_a_pruning_stopped_between_phases_repeats_none(place, whole, run, tmp_path, monkeypatch):
    def stop(*given):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(prune_module, place, stop)
        prune(run, tmp_path / "p", OPTIONS)
    told = []
    prune(run, tmp_path / "p", OPTIONS, progress=told.append)
    assert [at.phase for at in told if at.phase == "prune"] == []
    assert contents(tmp_path / "p") == contents(whole[0])


def test_a_finished_pruning_is_not_repeated(whole, run):
    before, told = contents(whole[0]), []
    assert prune(run, whole[0], OPTIONS, progress=told.append) == whole[1]
    assert told == [] and contents(whole[0]) == before


def test_bits_that_stay_leave_the_last_stage_out(quantized, tmp_path):
    told = []
    result = prune(quantized, tmp_path, PruneOptions(round_to=4, epochs=1), progress=told.append)
    assert [row.stage for row in result.rows] == ["dense", "pruned"] and {at.phase for at in told} == {"prune"}
    assert result.rows[1].score == result.metrics.score and told[-1].share == 1.0
    run = load_run(tmp_path)
    assert run.recipe.weight_bits == CNN.weight_bits and run.recipe.keep == (4, 4, 4)


def test_quantizers_are_only_set_by_data_where_no_epochs_are_given(run, tmp_path):
    options = replace(OPTIONS, sparsity=0, weight_bits=8, activation_bits=8, epochs=1, quantize_epochs=0)
    dense, pruned, quantized = prune(run, tmp_path, options).rows
    assert dense.channels == pruned.channels and abs(quantized.score - pruned.score) < 0.03  # one epoch changes little


def test_layers_have_their_own_shares_and_exceptions(quantized, tmp_path):
    options = PruneOptions(sparsity={"conv1": 0.5, "conv2": 0.25}, epochs=1)
    assert prune(quantized, tmp_path / "a", options).rows[1].channels == {"conv1": 3, "conv2": 6, "conv3": 8}
    options = PruneOptions(sparsity=0.5, excluded=("conv2",), epochs=1, criterion="random", schedule="one-shot")
    assert prune(quantized, tmp_path / "b", options).rows[1].channels == {"conv1": 3, "conv2": 8, "conv3": 4}


def test_a_pruned_run_can_be_pruned_further_but_not_back(whole, tmp_path):
    options = PruneOptions(sparsity={"fc2": 0.75, "fc1": 0.25}, epochs=1)
    dense, pruned = prune(whole[0], tmp_path, options).rows
    assert dense.channels == {"fc1": 8, "fc2": 6} and pruned.channels == {"fc1": 8, "fc2": 3}
    before, after = (load_run(folder).model.groups() for folder in (whole[0], tmp_path))
    assert all(not (late.kept & ~early.kept).any() for early, late in zip(before, after))


def test_density_is_that_of_the_new_recipe(whole):
    recipe, row = load_run(whole[0]).recipe, whole[1].rows[-1]
    density = density_of(recipe, row.channels)
    assert (density.weight_mbit, density.feature_mbit) == (row.weight_mbit, row.feature_mbit)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"method": "magic"}, "unknown method 'magic'; known methods: joint, cap, dcp, str, trp"),
        ({"sparsity": 1.5}, "sparsity of every layer: 1.5 was given; it must be a share of its channels, 0 to below 1"),
        ({"sparsity": {"fc3": 0.5}}, "fc3: its channels are the network's outputs"),
        ({"sparsity": {"fc22": 0.5}}, "fc22: is no layer with weights; the nearest name is fc2, of fc1, fc2, fc3"),
        ({"sparsity": 1.0}, "fc1: sparsity 1 leaves none of its 16 channels"),
        ({"excluded": ["conv1"]}, "conv1: is no layer with weights; the nearest name is fc1"),
        ({"criterion": "l3"}, "unknown criterion 'l3'; known criteria: activation-l1"),
        ({"schedule": "slow"}, "unknown schedule 'slow'; known schedules: layerwise"),
        ({"weight_bits": 9}, "--weight-bits: 9 was given; it must be a whole number from 1 to 8"),
        ({"activation_bits": "4,4,4"}, "--activation-bits: 3 numbers were given; give one for all, or 2"),
        ({"epochs": -1}, "--epochs: -1 was given; it must be at least 0"),
        ({"quantize_epochs": -1}, "--quantize-epochs: -1 was given; it must be at least 0"),
        ({"round_to": 0}, "--round-to: 0 was given; it must be at least 1"),
        ({"calib": 1}, "--calib: 1 was given; it must be at least 2"),
        ({"learning_rate": 0.0}, "--learning-rate: 0.0 was given; it must be above 0"),
        ({"seed": -1}, "--seed: -1 was given"),
    ],
)
def test_wrong_options_are_named_before_a_folder_is_made(options, message, run, tmp_path):
    with pytest.raises(GraphError, match=message):
        prune(run, tmp_path / "p", replace(OPTIONS, **options))
    assert not (tmp_path / "p").exists()


def test_a_training_without_steps_cannot_prune(run, tmp_path):
    with pytest.raises(GraphError, match="fc1: would be pruned in step 2 of 0; train for more epochs"):
        prune(run, tmp_path, replace(OPTIONS, epochs=0))


@pytest.mark.parametrize(
    "options, message",
    [
        ({"sparsity": 0.25}, "is of another run: prune.sparsity was 0.5 and is now 0.25; give the same options"),
        ({"epochs": 4}, "is of another run: prune.epochs was 3 and is now 4"),
        ({"weight_bits": "4,4,8"}, "is of another run: prune.weight_bits was 4 and is now 4,4,8"),
    ],
)
def test_a_folder_goes_on_with_the_same_options_only(options, message, whole, run):
    with pytest.raises(BuildError, match=message):
        prune(run, whole[0], replace(OPTIONS, **options))


def test_a_folder_goes_on_with_the_same_run_only(whole, run, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(run, other)
    tensors = bytearray((other / "model.safetensors").read_bytes())
    tensors[-3] ^= 1
    (other / "model.safetensors").write_bytes(tensors)
    with pytest.raises(BuildError, match="is of another run: source was .* and is now"):
        prune(other, whole[0], OPTIONS)


def test_a_folder_that_was_trained_into_is_refused(run):
    with pytest.raises(BuildError, match=r"mlp: is of another run: prune.activation_bits was None and is now 4"):
        prune(run, run, OPTIONS)


def test_a_loss_that_is_no_number_keeps_the_last_checkpoint(run, tmp_path, monkeypatch):
    def spoil(at):
        if at.phase == "quantize" and at.state.epoch == 2:
            monkeypatch.setattr(
                torch.nn.functional, "cross_entropy", lambda logits, labels: logits.sum() * float("nan")
            )

    with pytest.raises(
        GraphError, match="epoch 2, batch 2: loss is nan; lower --learning-rate, now 0.01; the checkpoi"
    ):
        prune(run, tmp_path, OPTIONS, progress=spoil)
    assert (tmp_path / "checkpoints" / "quantize" / "epoch-001.json").exists()
    assert not (tmp_path / "model.onnx").exists()
