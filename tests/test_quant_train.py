import json
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest

from espalier.errors import BuildError, GraphError
from espalier.quant.networks.autoencoder import autoencoder
from espalier.quant.networks.espcn import espcn
from espalier.quant.networks.resnet import resnet8
from espalier.quant.networks.unet import unet
from espalier.quant.override import override
from espalier.quant.recipes import find_recipe

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch", reason="needs the train extra")
torch.set_num_threads(1)  # threads that wait for each other on busy cores take longer than one
pytest.importorskip("brevitas", reason="needs the train extra")
pytest.importorskip("sklearn", reason="needs the train extra")

from filelock import FileLock  # noqa: E402

from espalier.quant.data import DIGITS  # noqa: E402
from espalier.quant.model import QuantNetwork  # noqa: E402
from espalier.quant.non_finite import find_non_finite  # noqa: E402
from espalier.quant.train import train  # noqa: E402

RECIPE = override(find_recipe("digits-mlp"), hidden="12,9", prune="7,5", epochs=4, batch_size=128)
RESULTS = (
    *("config.json", "recipe.json", "metrics.json", "prune.json", "test.npz", "truth.npz"),
    *("model.safetensors", "model.onnx"),
)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "whole"
    train(RECIPE, folder)
    return folder


def results(folder):
    return {name: (folder / name).read_bytes() for name in RESULTS}


def stop_in_epoch(epoch):
    def progress(state):
        if state.epoch == epoch and state.batch == 3:
            raise KeyboardInterrupt

    return progress


def test_run_folder_holds_the_results(finished):
    names = {path.name for path in finished.iterdir() if not path.name.startswith(".")}
    assert names == {*RESULTS, "checkpoints"}
    checkpoints = sorted(path.name for path in (finished / "checkpoints").iterdir())
    assert checkpoints == [f"epoch-00{n}.{end}" for n in (3, 4) for end in ("json", "safetensors")]


def test_truth_agrees_with_metrics(finished):
    truth, test = np.load(finished / "truth.npz"), np.load(finished / "test.npz")
    assert list(truth) == ["00_pixels", "01_act1", "02_act2", "outputs"]
    assert truth["01_act1"].shape == (449, 12) and truth["01_act1"].dtype == np.int16
    result = json.loads((finished / "metrics.json").read_text())["result"]
    assert result["accuracy"] == np.mean(truth["outputs"].argmax(1) == test["labels"])


def test_metrics_tell_the_memory_that_pruning_left(finished):
    result = json.loads((finished / "metrics.json").read_text())["result"]
    assert result["weight_mbit"] == (64 * 7 + 7 * 5 + 5 * 10) * 4 / 1e6  # 4 bits each
    assert result["feature_mbit"] == (64 + 7 + 5) * 4 / 1e6
    density = 100 * result["accuracy"] / (result["weight_mbit"] + result["feature_mbit"])
    assert result["density"] == pytest.approx(density)


def test_metrics_of_another_version_are_refused(finished, tmp_path):
    shutil.copytree(finished, tmp_path / "old")
    metrics = json.loads((finished / "metrics.json").read_text())
    del metrics["result"]["density"]
    (tmp_path / "old" / "metrics.json").write_text(json.dumps(metrics))
    with pytest.raises(BuildError, match="metrics.json: is not as this version of Espalier writes it; train anew"):
        train(RECIPE, tmp_path / "old")


def test_same_seed_gives_the_same_bytes(finished, tmp_path):
    train(RECIPE, tmp_path / "again")
    assert results(tmp_path / "again") == results(finished)


def test_another_seed_gives_another_model(finished, tmp_path):
    train(override(RECIPE, seed=1), tmp_path)
    assert (tmp_path / "model.onnx").read_bytes() != (finished / "model.onnx").read_bytes()


@pytest.mark.parametrize("epoch", [1, 2, 4])
def test_a_resumed_run_equals_an_uninterrupted_one(epoch, finished, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        train(RECIPE, tmp_path, progress=stop_in_epoch(epoch))
    epochs_seen = []
    train(RECIPE, tmp_path, progress=lambda state: epochs_seen.append(state.epoch))
    assert epochs_seen[0] == epoch
    assert results(tmp_path) == results(finished)


def test_a_killed_run_continues(finished, tmp_path):
    code = (
        "from pathlib import Path; from espalier.quant.override import override; import time;"
        "from espalier.quant.recipes import find_recipe; from espalier.quant.train import train;"
        "recipe = override(find_recipe('digits-mlp'), hidden='12,9', prune='7,5', epochs=4, batch_size=128);"
        f"train(recipe, Path({str(tmp_path)!r}), progress=lambda state: time.sleep(300 * (state.epoch == 3)))"
    )
    process = subprocess.Popen([sys.executable, "-W", "ignore", "-c", code])
    deadline = time.monotonic() + 120
    while not (tmp_path / "checkpoints" / "epoch-002.json").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "model.onnx").exists()
    train(RECIPE, tmp_path)
    assert results(tmp_path) == results(finished)


def test_a_finished_run_is_not_trained_again(finished):
    before = results(finished)
    states = []
    metrics = train(RECIPE, finished, progress=states.append)
    assert not states and metrics.images == 449 and results(finished) == before


def test_progress_tells_the_score_early(tmp_path):
    states = []
    train(override(RECIPE, epochs=1), tmp_path, progress=states.append)
    assert [state.batch for state in states[:-1]] == list(range(1, 11))
    assert states[0].test_score is None and 0 <= states[-1].test_score <= 1


def test_a_loss_that_is_no_number_is_reported(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.nn.functional, "cross_entropy", lambda logits, labels: logits.sum() * float("nan"))
    with pytest.raises(GraphError, match="epoch 1, batch 1: loss is nan; lower --learning-rate, now 0.01"):
        train(RECIPE, tmp_path)


def test_a_loss_that_is_no_number_says_where_it_began(tmp_path):
    recipe = replace(override(RECIPE, weight_bits=32, activation_bits=32), learning_rate=1e30)
    with pytest.raises(GraphError, match="epoch 1, batch 2: loss is nan, from the values of fc2 on; lower --learning"):
        train(recipe, tmp_path)


def test_what_is_first_not_finite_is_found():
    model, inputs = QuantNetwork(RECIPE), torch.rand(8, 64)
    assert find_non_finite(model, inputs) is None
    model.scale.factor.detach().fill_(torch.inf)
    assert find_non_finite(model, inputs) == "the weights of scale"
    model.fc2_norm.running_mean[3] = torch.nan
    assert find_non_finite(model.eval(), inputs) == "the values of fc2_norm"
    model.fc2.weight.detach()[0, 0] = torch.nan
    assert find_non_finite(model, inputs) == "the weights of fc2"
    assert find_non_finite(model, inputs / 0) == "the inputs"


def test_training_leaves_torch_as_it_was(tmp_path):
    torch.manual_seed(5)
    before = torch.get_rng_state(), torch.get_num_threads()
    train(override(RECIPE, epochs=1), tmp_path, threads=2)
    assert torch.equal(before[0], torch.get_rng_state()) and before[1] == torch.get_num_threads()


def test_digits_train_well_with_half_of_the_channels(tmp_path):
    assert train(override(find_recipe("digits-mlp"), prune=0.5, epochs=15), tmp_path).score > 0.93


SMALL = {  # recipes of every task, with small networks
    "classify": replace(find_recipe("resnet8"), network=resnet8(4), keep=(4, 3, 8, 5, 16, 16)),
    "copy": replace(find_recipe("autoencoder"), network=autoencoder(4, 2), keep=(4, 8, 2, 8, 4)),
    "enlarge": replace(find_recipe("espcn"), network=espcn(2, 8, 8), keep=(5, 4), margin=2),
    "segment": replace(find_recipe("unet"), network=unet(4), keep=(3, 8, 16, 8, 8, 4, 4)),
}
METRICS = {"classify": "accuracy", "copy": "psnr_db", "enlarge": "psnr_db", "segment": "iou"}


@pytest.mark.parametrize("task", SMALL)
def test_every_task_trains_the_same_twice(task, tmp_path):
    recipe = override(SMALL[task], images=96, epochs=1, batch_size=16)
    for name in ("a", "b"):
        metrics = train(recipe, tmp_path / name, data=DIGITS)
        assert (metrics.metric, metrics.train_images) == (METRICS[task], 96)
    assert results(tmp_path / "a") == results(tmp_path / "b")


@pytest.mark.parametrize("task", SMALL)
def test_runs_of_every_task_tell_their_score_again(task, tmp_path):
    recipe = override(SMALL[task], images=128, epochs=1)
    assert train(recipe, tmp_path, data=DIGITS) == train(recipe, tmp_path, data=DIGITS)
    test, truth = np.load(tmp_path / "test.npz"), np.load(tmp_path / "truth.npz")
    wanted = test["labels" if task == "classify" else "targets"]
    assert len(wanted) == len(test["inputs"]) == 449 and truth["outputs"].shape[1:] in (wanted.shape[1:], (10,))


def test_truth_is_cut_to_its_size(tmp_path, monkeypatch):
    monkeypatch.setattr("espalier.quant.finish.TRUTH_BYTES", 50_000)
    metrics = train(override(SMALL["segment"], images=128, epochs=1), tmp_path, data=DIGITS)
    assert 0 < metrics.truth_images < metrics.images == 449
    truth = np.load(tmp_path / "truth.npz")
    assert {len(truth[name]) for name in truth} == {metrics.truth_images}
    assert 25_000 < sum(truth[name].nbytes for name in truth) <= 50_000


def test_a_network_learns_to_find_digits_in_noise(tmp_path):
    metrics = train(override(SMALL["segment"], images=640, epochs=2, batch_size=16), tmp_path, data=DIGITS)
    assert metrics.baseline is not None and metrics.score > 0.5 > metrics.baseline


@pytest.mark.parametrize("bits", [1, 2, 8])
def test_every_width_trains(bits, tmp_path):
    recipe = override(find_recipe("digits-mlp"), hidden="32,32", epochs=4, batch_size=32, per_channel=True)
    recipe = override(recipe, weight_bits=bits, activation_bits=bits, input_bits=bits)
    assert train(recipe, tmp_path).score > 0.5


def test_a_folder_of_another_run_is_refused(finished):
    with pytest.raises(BuildError, match="is of another run: seed was 0 and is now 7; give the same options"):
        train(override(RECIPE, seed=7), finished)


def test_a_folder_of_something_else_is_refused(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(
        BuildError, match=r"holds other files \(thesis.txt\) and no config.json; choose an empty folder"
    ):
        train(RECIPE, tmp_path)


def test_a_damaged_config_is_named(tmp_path):
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(BuildError, match="config.json: is not JSON"):
        train(RECIPE, tmp_path)


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(BuildError, match=r"file/run: cannot be made or written \(Not a directory\)"):
        train(RECIPE, tmp_path / "file" / "run")


def test_a_busy_folder_is_refused(tmp_path):
    with FileLock(tmp_path / ".train.lock"), pytest.raises(BuildError, match="another process is training into it"):
        train(RECIPE, tmp_path)


def break_checkpoint(finished, folder, name, change):
    """A copy of the finished run that was stopped before the end, with one file of its last checkpoint changed."""
    shutil.copytree(finished, folder)
    (folder / "model.onnx").unlink()
    path = folder / "checkpoints" / name
    path.write_bytes(change(path.read_bytes()))


@pytest.mark.parametrize(
    "name, change, message",
    [
        ("epoch-004.safetensors", lambda old: old[:-1], "differs from what was written, it is damaged; delete this"),
        ("epoch-004.json", lambda old: old[:50], "epoch-004.json: is not JSON"),
        ("epoch-004.json", lambda old: b"{}", "is not a checkpoint's record"),
        ("epoch-004.json", lambda old: old.replace(b'"config": "', b'"config": "0'), "belongs to a run with another"),
    ],
)
def test_damaged_checkpoints_are_named(name, change, message, finished, tmp_path):
    break_checkpoint(finished, tmp_path / "run", name, change)
    with pytest.raises(BuildError, match=message):
        train(RECIPE, tmp_path / "run")


def test_a_checkpoint_without_its_record_does_not_count(finished, tmp_path):
    break_checkpoint(finished, tmp_path / "run", "epoch-004.safetensors", lambda old: old[:100])
    (tmp_path / "run" / "checkpoints" / "epoch-004.json").unlink()
    train(RECIPE, tmp_path / "run")
    assert results(tmp_path / "run") == results(finished)
