"""Every method of `espalier prune`, from a run to a run, and where each goes on after a kill."""

import json
from dataclasses import replace

import pytest

from espalier.errors import GraphError
from espalier.quant.networks.cnn import cnn
from espalier.quant.override import override
from espalier.quant.recipes import find_recipe

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch", reason="needs the train extra")
torch.set_num_threads(1)
pytest.importorskip("brevitas", reason="needs the train extra")
pytest.importorskip("sklearn", reason="needs the train extra")

import espalier.quant.pruning.prune as pruning  # noqa: E402
from espalier.quant.pruning.methods import METHODS  # noqa: E402
from espalier.quant.pruning.options import PruneOptions  # noqa: E402
from espalier.quant.pruning.prune import prune  # noqa: E402
from espalier.quant.runs import load_run  # noqa: E402
from espalier.quant.train import train  # noqa: E402

DIGITS = find_recipe("digits-cnn")
NETWORK = cnn(DIGITS.network.input, (6, 8, 8))
REAL = override(replace(DIGITS, network=NETWORK, keep=(6, 8, 8)), epochs=12, weight_bits=32, activation_bits=32)
SHORT = PruneOptions(epochs=2, quantize_epochs=1, weight_bits=4, activation_bits=4)
STOPS = {  # where each is stopped: a phase, and which of its reports is the last
    "joint": [("prune", 25)],
    "cap": [("choose", 1), ("quantize", 3)],
    "dcp": [("choose", 3), ("choose", 30), ("retrain", 25)],
    "str": [("budget", 25), ("prune", 3)],
    "trp": [("prune", 25), ("quantize", 3)],
}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "real"
    train(REAL, folder)
    return folder


@pytest.fixture(scope="module")
def results(run, tmp_path_factory):
    """By method: the folder, the result, and all that was told."""
    found = {}
    for method in METHODS:
        folder, told = tmp_path_factory.mktemp("pruned") / method, []
        found[method] = folder, prune(run, folder, replace(SHORT, method=method), progress=told.append), told
    return found


def test_every_method_can_be_stopped():
    assert STOPS.keys() == METHODS.keys()


@pytest.mark.parametrize("method", METHODS)
def test_every_method_leaves_less_memory(method, results):
    folder, result, told = results[method]
    dense, pruned, quantized = result.rows
    assert pruned.weight_mbit < dense.weight_mbit
    assert quantized.score > (
        0.15 if method == "str" else 0.5
    )  # two epochs bring back little of what STR's widths cost
    assert quantized.weight_mbit == pytest.approx(pruned.weight_mbit / 8)
    assert load_run(folder).recipe.keep == tuple(quantized.channels.values())
    shares = [at.share for at in told]
    assert shares == sorted(shares) and shares[0] >= 0 and shares[-1] == 1.0


@pytest.mark.parametrize("method", ["joint", "dcp"])
def test_the_sparsity_is_reached(method, results):
    assert results[method][1].rows[1].channels == {"conv1": 3, "conv2": 4, "conv3": 4}


def test_str_reaches_the_sparsity_of_the_whole(results):
    assert sum(results["str"][1].rows[1].channels.values()) <= 11
    history = json.loads((results["str"][0] / "metrics.json").read_text())["history"]
    assert [entry["phase"] for entry in history] == ["budget"] * 2 + ["prune"] * 2 + ["quantize"]


def test_cap_searches_without_training(run, tmp_path):
    told = []
    dense, pruned = prune(run, tmp_path / "a", PruneOptions("cap", max_drop=2.0), progress=told.append).rows
    assert {at.phase for at in told} == {"choose"} and told[-1].state.groups == 3
    assert pruned.weight_mbit < dense.weight_mbit
    (_, loose) = prune(run, tmp_path / "b", PruneOptions("cap", max_drop=99.0, excluded=["conv2"], round_to=2)).rows
    assert loose.channels == {"conv1": 2, "conv2": 8, "conv3": 2}


def test_dcp_repeats_no_group_that_is_done(run, tmp_path):
    def stop(at):
        if at.phase == "choose" and at.state.part == 2:
            raise KeyboardInterrupt

    told = []
    options = replace(SHORT, method="dcp")
    with pytest.raises(KeyboardInterrupt):
        prune(run, tmp_path, options, progress=stop)
    prune(run, tmp_path, options, progress=told.append)
    assert {at.state.part for at in told if at.phase == "choose"} == {2, 3}


@pytest.mark.parametrize("method", ["cap", "dcp", "str"])
def test_dropped_channels_stay_dropped(method, results, tmp_path):
    options = PruneOptions(method, sparsity=0.25, epochs=1, quantize_epochs=0)
    rows = prune(results["joint"][0], tmp_path, options).rows
    before, after = (load_run(folder).model.groups() for folder in (results["joint"][0], tmp_path))
    assert all(not (late.kept & ~early.kept).any() for early, late in zip(before, after))
    assert all(row.channels[name] <= kept for row in rows for name, kept in rows[0].channels.items())


@pytest.mark.parametrize("method, times", [("cap", 1), ("dcp", 0), ("joint", 1)])
def test_norms_are_recalibrated_but_where_weights_fit_them(method, times, run, tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr(pruning, "recalibrate_norms", lambda *given: calls.append(given))
    prune(run, tmp_path, PruneOptions(method, sparsity=0.25, epochs=1))
    assert len(calls) == times


@pytest.mark.parametrize("method", ["cap", "dcp"])
def test_shares_by_layer_go_with_methods_that_choose(method, run, tmp_path):
    options = PruneOptions(method, sparsity={"conv2": 0.5}, epochs=0, round_to=2)
    assert prune(run, tmp_path, options).rows[1].channels == {"conv1": 6, "conv2": 4, "conv3": 8}


def test_what_cap_leaves_can_be_trained(run, tmp_path):
    told = []
    prune(run, tmp_path, PruneOptions("cap", sparsity=0.5, epochs=1), progress=told.append)
    assert {at.phase for at in told} == {"retrain"} and told[-1].share == 1.0


def test_layers_of_low_rank_have_the_bits_of_the_whole(run, tmp_path):
    options = replace(SHORT, method="trp", epochs=1, energy=0.7, round_to=2)
    options = replace(options, weight_bits="8,4,2,6", activation_bits="3,4,5,6")
    result = prune(run, tmp_path, options)
    recipe = load_run(tmp_path).recipe
    bits = dict(zip((layer.name for layer in recipe.network.weighted), recipe.weight_bits, strict=True))
    assert {"conv1", "conv3_basis", "fc"} <= bits.keys()
    wanted = {"conv1": 8, "conv2": 4, "conv3": 2, "fc": 6}
    assert bits == {name: wanted[name.removesuffix("_basis")] for name in bits}
    assert all(kept % 2 == 0 for name, kept in result.rows[1].channels.items() if name.endswith("_basis"))


@pytest.mark.parametrize("method", ["dcp", "trp"])
def test_what_needs_real_numbers_comes_back_to_the_bits_of_the_run(method, results, tmp_path):
    result = prune(results["joint"][0], tmp_path, PruneOptions(method, epochs=1, quantize_epochs=1))
    assert [row.stage for row in result.rows] == ["dense", "pruned", "quantized"]
    assert result.rows[1].weight_mbit > result.rows[0].weight_mbit  # in 32 bits
    assert set(load_run(tmp_path).recipe.weight_bits) == {4}


@pytest.mark.parametrize("method, phase, reports", [(m, *stop) for m, stops in STOPS.items() for stop in stops])
def test_a_stopped_method_goes_on_to_the_same_bytes(method, phase, reports, run, results, tmp_path):
    told = []

    def stop(at):
        told.append(at.phase)
        if told.count(phase) == reports:
            raise KeyboardInterrupt

    options = replace(SHORT, method=method)
    with pytest.raises(KeyboardInterrupt):
        prune(run, tmp_path, options, progress=stop)
    assert prune(run, tmp_path, options) == results[method][1]
    for name in ("metrics.json", "model.onnx", "model.safetensors", "truth.npz"):
        assert (tmp_path / name).read_bytes() == (results[method][0] / name).read_bytes()


@pytest.mark.parametrize(
    "options, message",
    [
        (
            {"method": "joint", "max_drop": 1.0},
            "--max-drop: joint takes none; leave it out, or choose another --method",
        ),
        ({"method": "trp", "sparsity": 0.5}, "--sparsity: trp takes none"),
        ({"method": "trp", "excluded": ["conv1"]}, "--exclude: trp takes none"),
        ({"method": "str", "excluded": ["conv1"]}, "--exclude: str takes none"),
        ({"method": "cap", "criterion": "random"}, "--criterion: cap takes none"),
        ({"method": "dcp", "energy": 0.9}, "--energy: dcp takes none"),
        ({"method": "cap", "sparsity": 0.5, "max_drop": 1.0}, "--max-drop: with --sparsity the widths are given"),
        ({"method": "cap", "max_drop": -1.0}, "--max-drop: -1 was given; it must be at least 0 points"),
        ({"method": "cap", "sparsity": {"conv9": 0.5}}, "conv9: is no layer with weights"),
        ({"method": "cap", "excluded": ["conv9"]}, "conv9: is no layer with weights"),
        ({"method": "dcp", "sparsity": 2.0}, "sparsity of every layer: 2 was given"),
        ({"method": "str", "sparsity": {"conv1": 0.5}}, "--sparsity: str finds the shares of the layers by itself"),
        ({"method": "trp", "energy": 1.5}, "energy: 1.5 was given; it must be above 0, at most 1"),
        ({"method": "cap", "calib": 1348}, "--calib: 1348 of 1348 training samples leave none to measure the score by"),
    ],
)
def test_options_that_a_method_cannot_follow_are_named(options, message, run, tmp_path):
    with pytest.raises(GraphError, match=message):
        prune(run, tmp_path / "p", PruneOptions(**options))
