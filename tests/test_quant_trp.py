"""Layers of low rank: how training makes them, and how each becomes two layers."""

import json
from dataclasses import replace

import numpy as np
import pytest

from espalier.errors import GraphError
from espalier.ir import execute, quantize_inputs, simplify
from espalier.ir.onnx_import import import_onnx
from espalier.ir.verify import explain_differences
from espalier.quant.networks.autoencoder import autoencoder
from espalier.quant.networks.cnn import cnn
from espalier.quant.networks.espcn import espcn
from espalier.quant.networks.layers import Activation, Conv, Dense, Input
from espalier.quant.networks.mlp import mlp
from espalier.quant.networks.record import read_network, record_network
from espalier.quant.networks.resnet import resnet8
from espalier.quant.networks.separable import ds_cnn
from espalier.quant.networks.unet import unet
from espalier.quant.override import override
from espalier.quant.recipes import find_recipe

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch", reason="needs the train extra")
torch.set_num_threads(1)
pytest.importorskip("brevitas", reason="needs the train extra")
pytest.importorskip("sklearn", reason="needs the train extra")

from espalier.quant.checkpoint import model_state  # noqa: E402
from espalier.quant.data import load_dataset  # noqa: E402
from espalier.quant.export import export  # noqa: E402
from espalier.quant.finish import finish  # noqa: E402
from espalier.quant.fit import fit  # noqa: E402
from espalier.quant.masks import fold_masks  # noqa: E402
from espalier.quant.model import QuantNetwork  # noqa: E402
from espalier.quant.pruning.criteria import spread  # noqa: E402
from espalier.quant.pruning.rank import EVERYTHING, RankRule, RankTraining, factorize, truncate  # noqa: E402
from espalier.quant.pruning.scheduled import prune_now  # noqa: E402
from espalier.quant.quantizers import Affine  # noqa: E402
from espalier.quant.runs import load_run  # noqa: E402
from espalier.quant.train import torch_state  # noqa: E402
from espalier.quant.transfer import transfer  # noqa: E402
from espalier.quant.truth import record_codes  # noqa: E402

HALF = RankRule(0.5)
DIGITS = cnn(Input((1, 8, 8), high=16.0), (8, 12, 12))
NETWORKS = {
    "digits-cnn": (DIGITS, ["conv1", "conv2", "conv3", "fc"]),
    "digits-mlp": (mlp(Input((64,), high=16.0), (20, 16), 10, signed=False), ["fc1", "fc2", "fc3"]),
    "resnet8": (resnet8(8), None),
    "ds-cnn": (ds_cnn(12), None),
    "autoencoder": (autoencoder(8, 4), None),
    "espcn": (espcn(2, 12, 8), None),
    "unet": (unet(6), None),
}


def recipe_of(name, bits=32, network=None):
    recipe = replace(find_recipe(name), network=network or NETWORKS[name][0])
    return override(recipe, weight_bits=bits, activation_bits=bits, prune=0)


def settled(recipe, seed=0):
    """A model as after some training, and inputs; some of its normalizations differ from channel to channel."""
    torch.manual_seed(seed)
    model, given = QuantNetwork(recipe), recipe.network.input
    inputs = torch.rand(8, *given.shape) * (given.high - given.low) + given.low
    inputs = torch.round(inputs) if given.high == 255 else inputs
    for _ in range(3):
        model(inputs)
    for group in model.groups():
        for writer in group.writers:
            torch.nn.init.uniform_(writer.norm.weight, 0.5, 2)
            torch.nn.init.normal_(writer.norm.bias)
    return model.eval(), inputs


def matrix(model, name):
    return model.get_submodule(name).weight.detach().flatten(1)


def rank(model, name):
    return int(torch.linalg.matrix_rank(matrix(model, name), rtol=1e-4))


def count_weights(model):
    return sum(matrix(model, name).numel() for name in model.weighted_layers)


@pytest.mark.parametrize(
    "rule, values, wanted",
    [
        (RankRule(), [4, 2, 1, 0], 3),
        (RankRule(0.75), [4, 2, 1, 0], 1),
        (RankRule(0.8), [4, 2, 1, 0], 2),
        (RankRule(16 / 20), [4, 2], 1),
        (RankRule(0.99), [4, 2, 1, 0], 3),
        (RankRule(0.75, round_to=3), [4, 2, 1, 0], 3),
        (RankRule(0.99, round_to=3), [4, 2, 1, 0], 3),
        (RankRule(round_to=3), [4, 2, 1, 1], 4),
        (RankRule(least=0.3), [4, 2, 1, 0], 2),
        (RankRule(), [0, 0], 1),
    ],
)
def test_ranks_hold_the_energy(rule, values, wanted):
    assert rule.rank(torch.tensor(values, dtype=torch.float32)) == wanted


@pytest.mark.parametrize(
    "options, message",
    [
        ({"energy": 0.0}, "energy: 0 was given; it must be above 0, at most 1"),
        ({"energy": 1.1}, "energy: 1.1 was given"),
        ({"least": 1.0}, "least: 1 was given; it must be a share of the largest value, 0 to below 1"),
        ({"round_to": 0}, "round_to: 0 was given; it must be at least 1 channel"),
    ],
)
def test_rules_without_sense_are_refused(options, message):
    with pytest.raises(GraphError, match=message):
        RankRule(**options)


def test_truncation_loses_no_more_than_its_energy():
    model, _ = settled(recipe_of("digits-cnn"))
    before = {name: matrix(model, name).clone() for name in model.weighted_layers}
    truncate(model, RankRule(0.8))
    for name, old in before.items():
        values = np.linalg.svd(old.numpy(), compute_uv=False) ** 2
        assert rank(model, name) == 1 + int((values.cumsum() / values.sum() < 0.8).sum())
        lost = float((matrix(model, name) - old).square().sum() / old.square().sum())
        assert lost == pytest.approx(values[rank(model, name) :].sum() / values.sum(), abs=1e-5)


@pytest.mark.parametrize("recipe, left", [
    (recipe_of("ds-cnn"), ["depth1", "depth2", "depth3", "depth4"]),
    (recipe_of("autoencoder"), ["up1", "up2"]),
    (override(recipe_of("digits-mlp"), weight_bits="4,1,4"), ["fc2"]),
])  # fmt: skip
def test_what_is_no_real_matrix_stays_as_it_is(recipe, left):
    model, _ = settled(recipe)
    before = model_state(model)
    truncate(model, HALF)
    names = [
        name
        for name in model.weighted_layers
        if torch.equal(before[f"{name}.weight"], model_state(model)[f"{name}.weight"])
    ]
    assert names == left
    made, _ = factorize(model, recipe, HALF)
    assert not [name for name in made.weighted_layers if name.removesuffix("_basis") in left and name not in left]


def step_once(method, model, step, gradients):
    recipe = recipe_of("digits-cnn")
    optimizer = method.optimizer(model, recipe)
    optimizer.param_groups[0]["lr"] = 0.1
    method.start(model, 10)
    method.before_step(model, step)
    for name in model.weighted_layers:
        weight = model.get_submodule(name).weight
        weight.grad = gradients[name].clone()
    method.before_update(model, step)
    optimizer.step()
    method.after_step(model, step)


@pytest.mark.parametrize("step", [0, 1, 3])
def test_a_step_goes_on_from_the_truncated_weights(step):
    """Every third one; numpy says what they are."""
    model, _ = settled(recipe_of("digits-cnn"))
    before = matrix(model, "conv2").numpy().astype(np.float64)
    gradients = {name: torch.randn_like(model.get_submodule(name).weight) for name in model.weighted_layers}
    step_once(RankTraining(RankRule(0.8), period=3, nuclear=0.2, decay=0.01), model, step, gradients)
    start, more = before, np.zeros_like(before)
    if step % 3 == 0:
        left, values, right = np.linalg.svd(before, full_matrices=False)
        kept = 1 + int(((values**2).cumsum() / (values**2).sum() < 0.8).sum())
        start, more = left[:, :kept] * values[:kept] @ right[:kept], left[:, :kept] @ right[:kept]
    wanted = start - 0.1 * (gradients["conv2"].flatten(1).numpy() + 0.2 * more + 0.01 * start)
    # numpy has 64 bits.
    np.testing.assert_allclose(matrix(model, "conv2").numpy(), wanted, atol=1e-5)


@pytest.mark.parametrize("step, is_low", [(5, False), (9, True)])
def test_the_last_step_leaves_low_ranks_whatever_the_period(step, is_low):
    model, _ = settled(recipe_of("digits-cnn"))
    gradients = {name: torch.randn_like(model.get_submodule(name).weight) for name in model.weighted_layers}
    step_once(RankTraining(RankRule(0.8), period=4), model, step, gradients)
    assert (rank(model, "conv2") < 12) == is_low


def trained(recipe, method, folder, model=None, **options):
    folder.mkdir(exist_ok=True)
    with torch_state(1, recipe.seed):
        model = model or QuantNetwork(recipe)
        fit(model, recipe, load_dataset(recipe, None), folder, "x", method=method, **options)
    return model


SHORT = override(recipe_of("digits-cnn"), learning_rate=0.1, epochs=4, batch_size=32)


def test_training_ends_at_the_ranks_of_the_rule(tmp_path):
    rule = RankRule(0.9, round_to=2)
    low = trained(SHORT, RankTraining(rule), tmp_path / "low")
    plain = trained(SHORT, RankTraining(EVERYTHING, nuclear=0), tmp_path / "plain")
    truncate(plain, rule)
    for name in ("conv2", "conv3"):
        assert rank(low, name) % 2 == 0 and rank(low, name) < rank(plain, name)
    made, _ = factorize(low, SHORT, EVERYTHING)
    assert made.conv2_basis.weight.shape[0] == rank(low, "conv2")


def test_a_resumed_training_equals_an_uninterrupted_one(tmp_path):
    def stop(state):
        if state.epoch == 2 and state.batch == 3:
            raise KeyboardInterrupt

    method = RankTraining(RankRule(0.9), period=4)
    whole = trained(SHORT, method, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        trained(SHORT, method, tmp_path / "stopped", progress=stop)
    again = trained(SHORT, method, tmp_path / "stopped")
    for name, tensor in model_state(whole).items():
        assert torch.equal(tensor, model_state(again)[name]), name


@pytest.mark.parametrize("name", NETWORKS)
def test_factors_compute_what_the_truncated_layer_does(name):
    recipe = recipe_of(name)
    model, inputs = settled(recipe)
    made, made_recipe = factorize(model, recipe, HALF)
    split = [layer for layer in model.weighted_layers if f"{layer}_basis" in made.weighted_layers]
    assert split == (NETWORKS[name][1] or split) and len(split) > 1
    before = model(inputs).detach()
    kept = {layer: matrix(model, layer).clone() for layer in set(model.weighted_layers) - set(split)}
    truncate(model, HALF)
    for layer, weights in kept.items():
        matrix(model, layer).copy_(weights)
    wanted = model(inputs).detach()
    # float32 sums in another order; what was truncated is a thousand times as much.
    torch.testing.assert_close(made(inputs).detach(), wanted, rtol=0, atol=2e-5 * float(wanted.abs().max()))
    assert float((before - wanted).abs().max()) > 1e-2 * float(wanted.abs().max())
    assert count_weights(made) < count_weights(model) and not made.training
    assert QuantNetwork(made_recipe).weighted_layers == made.weighted_layers


def test_layers_that_would_not_shrink_stay_whole():
    recipe = recipe_of("digits-cnn")
    model, _ = settled(recipe)
    same, same_recipe = factorize(model, recipe, EVERYTHING)
    assert same_recipe == recipe and all(torch.equal(t, model_state(same)[n]) for n, t in model_state(model).items())
    # conv3 is 12 x 108: rank 10 takes 1200 weights, rank 11 takes 1320 instead of 1296.
    for wanted in (10, 11):
        left, values, right = torch.linalg.svd(matrix(model, "conv3"), full_matrices=False)
        matrix(model, "conv3").copy_(left[:, :wanted] * values[:wanted] @ right[:wanted])
        names = factorize(model, recipe, EVERYTHING)[0].weighted_layers
        assert ("conv3_basis" in names) == (wanted == 10)
        model, _ = settled(recipe)


def test_the_factors_share_the_singular_values():
    recipe = recipe_of("digits-cnn")
    model, _ = settled(recipe)
    values = torch.linalg.svdvals(matrix(model, "conv2"))
    made, _ = factorize(model, recipe, HALF)
    wanted = values[: made.conv2_basis.weight.shape[0]]
    # The vectors have length 1, the factors the roots of the values.
    torch.testing.assert_close(matrix(made, "conv2_basis").square().sum(1), wanted)
    torch.testing.assert_close(matrix(made, "conv2").square().sum(0), wanted)


def test_a_factorised_network_says_what_it_is():
    recipe = override(recipe_of("autoencoder"), weight_bits="2,3,4,5,6,7", activation_bits="2,3,4,5,6")
    recipe = override(recipe, prune="7,15,3,16,8")
    made = factorize(settled(recipe)[0], recipe, RankRule(0.5, round_to=2))[1]
    layers = {layer.name: layer for layer in made.network.layers}
    assert layers["conv2_basis"] == Conv(
        "conv2_basis", layers["conv2_basis"].channels, (3, 3), (2, 2), (1, 1), normalized=False
    )
    assert layers["conv2_codes"] == Activation("conv2_codes", signed=True)
    assert layers["conv2"] == Conv("conv2", 16, (1, 1)) and layers["conv2_basis"].channels % 2 == 0
    bits = dict(
        zip(
            (layer.name for layer in (*made.network.weighted, *made.network.activations)),
            (*made.weight_bits, *made.activation_bits),
        )
    )
    assert (bits["conv2_basis"], bits["conv2"], bits["conv2_codes"], bits["act2"]) == (3, 3, 2, 3)
    groups = dict(zip((group.name for group in QuantNetwork(made).groups()), made.keep))
    assert (groups["conv2_basis"], groups["conv2"]) == (layers["conv2_basis"].channels, 15)
    assert read_network(json.loads(json.dumps(record_network(made.network))), "here") == made.network


def test_dense_layers_become_dense_layers():
    recipe = recipe_of("digits-mlp")
    network = factorize(settled(recipe)[0], recipe, HALF)[1].network
    first, codes, second = network.layers[:3]
    assert first == Dense("fc1_basis", first.channels, normalized=False) and first.channels < 16
    assert (codes, second) == (Activation("fc1_codes", signed=True), Dense("fc1", 20))


def test_pruned_layers_count_what_is_left():
    recipe = override(recipe_of("digits-cnn"), prune="8,2,12")
    model, _ = settled(recipe)
    prune_now(model.groups(), recipe.keep, spread)
    made, made_recipe = factorize(model, recipe, RankRule(0.99))
    # conv2 is 2 x 72 after pruning, so that rank 2 would add weights; conv3 is 12 x 18.
    assert "conv2_basis" not in made.weighted_layers and made_recipe.keep[:2] == (8, 2)
    assert torch.equal(model.groups()[1].kept, made.groups()[1].kept)
    halved, _ = factorize(model, recipe, HALF)
    assert not halved.conv3_basis.weight[:, ~made.groups()[1].kept].any() and halved.conv3_basis.weight.any()


def test_nothing_comes_back_where_channels_were_dropped():
    """Ranks are rounded up to vectors that mean nothing, and go anywhere."""
    recipe = override(recipe_of("digits-cnn"), prune="8,6,7")
    model, _ = settled(recipe)
    prune_now(model.groups(), recipe.keep, spread)
    truncate(model, RankRule(0.01))
    made, _ = factorize(model, recipe, RankRule(round_to=3))
    truncate(model, RankRule(round_to=3))
    before, after = (~group.kept for group in model.groups()[1:])
    assert made.conv3_basis.weight.shape[0] == 3 and made.conv3_basis.weight.any()
    assert not made.conv3_basis.weight[:, before].any() and not made.conv3.weight[after].any()
    assert not model.conv3.weight[:, before].any() and not model.conv3.weight[after].any()


def test_factors_are_not_factorised_again():
    recipe = recipe_of("digits-cnn")
    made, made_recipe = factorize(settled(recipe)[0], recipe, RankRule(0.9))
    with pytest.raises(GraphError, match="conv2: is one of two factors already; factorize the network from which it"):
        factorize(made, made_recipe, RankRule(0.2))


@pytest.mark.parametrize("name", ["digits-cnn", "digits-mlp"])
def test_the_normalization_between_changes_nothing_but_learns(name, tmp_path):
    recipe = override(recipe_of(name), epochs=1, images=256)
    model, inputs = settled(recipe)
    made, made_recipe = factorize(model, recipe, HALF)
    norms = [layer for key, layer in made.named_modules() if key.endswith("_basis_norm")]
    assert all(isinstance(norm, Affine) and not norm.train().training for norm in norms)
    values = torch.randn(4, norms[0].num_features, *[1] * (len(inputs.shape) - 2))
    # The variance of 1 has a hundred-thousandth added.
    torch.testing.assert_close(norms[0](values), values, rtol=1e-5, atol=0)
    trained(made_recipe, None, tmp_path, made)
    assert all(not torch.equal(norm.weight, torch.ones_like(norm.weight)) for norm in norms)
    assert all(torch.equal(norm.running_var, torch.ones_like(norm.weight)) for norm in norms)


@pytest.mark.parametrize("name", ["digits-cnn", "digits-mlp", "resnet8", "autoencoder"])
def test_codes_of_quantized_factors_are_those_of_brevitas(name, tmp_path):
    recipe = recipe_of(name)
    made, made_recipe = factorize(settled(recipe)[0], recipe, RankRule(0.5, round_to=2))
    inputs = settled(recipe, seed=1)[1]
    quantized = override(made_recipe, weight_bits=4, activation_bits=4)
    model = transfer(made, quantized, inputs)
    keep = [max(1, group.channels * 2 // 3) for group in model.groups()]
    prune_now(model.groups(), keep, spread)
    folded = fold_masks(model).eval()
    imported = import_onnx(export(folded, inputs[:1], tmp_path / "m.onnx"))
    truth, codes = record_codes(folded, inputs), quantize_inputs(imported.graph, inputs.numpy())
    assert len([key for key in truth if key.endswith("_codes")]) >= 2
    found = explain_differences(imported, execute(imported.graph, codes, every=True), truth)
    assert found.unexplained == 0 and found.equal_frames >= 7, found
    assert found.codes >= 0.9 * sum(codes.size for key, codes in truth.items() if key != "outputs")
    before, after = execute(imported.graph, codes), execute(simplify(imported.graph), codes)
    assert all(np.array_equal(before[key], after[key]) for key in before)


def test_quantized_factors_train_further_and_leave_a_run(tmp_path):
    recipe = override(recipe_of("digits-cnn"), epochs=4, batch_size=32)
    made, made_recipe = factorize(trained(recipe, None, tmp_path / "float"), recipe, RankRule(0.9))
    dataset = load_dataset(recipe, None)
    quantized = override(made_recipe, weight_bits=4, activation_bits=4)
    model = transfer(made, quantized, torch.from_numpy(dataset.train_inputs[:64]))
    trained(quantized, None, tmp_path / "4 bits", model)
    metrics = finish(model, quantized, dataset, tmp_path, [])
    run = load_run(tmp_path)
    assert metrics.score > 0.85 and run.recipe.network == made_recipe.network
    assert torch.equal(run.model.conv2_basis.weight, model.conv2_basis.weight)
