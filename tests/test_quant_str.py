"""Weights that are zero one by one: learned thresholds, gradual magnitude pruning, and widths from what was learned."""

from dataclasses import replace

import numpy as np
import pytest

from espalier.errors import GraphError
from espalier.quant.networks.cnn import cnn
from espalier.quant.networks.layers import Input
from espalier.quant.override import override
from espalier.quant.recipes import find_recipe

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch", reason="needs the train extra")
torch.set_num_threads(1)
pytest.importorskip("brevitas", reason="needs the train extra")
pytest.importorskip("sklearn", reason="needs the train extra")

from espalier.quant.checkpoint import model_state  # noqa: E402
from espalier.quant.data import load_dataset  # noqa: E402
from espalier.quant.finish import finish  # noqa: E402
from espalier.quant.fit import fit  # noqa: E402
from espalier.quant.model import QuantNetwork  # noqa: E402
from espalier.quant.pruning.magnitude import MagnitudePruning  # noqa: E402
from espalier.quant.pruning.soft_threshold import SoftThreshold, learned_keep, sparsity_by_layer  # noqa: E402
from espalier.quant.runs import load_run  # noqa: E402
from espalier.quant.train import torch_state  # noqa: E402


def small_recipe(bits=32, **options):
    recipe = replace(find_recipe("digits-cnn"), network=cnn(Input((1, 8, 8), high=16.0), (6, 8, 8)))
    return override(recipe, weight_bits=bits, activation_bits=bits, prune=0, learning_rate=0.1, **options)


RECIPE = small_recipe(epochs=3, images=640)
METHODS = {
    "str": lambda: SoftThreshold(0.03, start=-4.0),
    "magnitude": lambda: MagnitudePruning({"conv2": 0.9, "fc": 0.3}, (0.2, 0.8), 5e-4),
}


def trained(recipe, method, folder, **options):
    folder.mkdir(exist_ok=True)
    with torch_state(1, recipe.seed):
        model = QuantNetwork(recipe)
        fit(model, recipe, load_dataset(recipe, None), folder, "x", method=method, **options)
    return model


def one_step(method, weights, gradients):
    """The last layer's weights after one step with these gradients in it."""
    recipe = small_recipe()
    model = QuantNetwork(recipe)
    weight = model.fc.weight
    weight.detach().copy_(weights)
    optimizer = method.optimizer(model, recipe)
    method.start(model, 10)
    method.before_step(model, 0)
    weight.grad = gradients.clone()
    for name in ("conv1", "conv2", "conv3"):
        model.get_submodule(name).weight.grad = torch.zeros_like(model.get_submodule(name).weight)
    method.before_update(model, 0)
    optimizer.step()
    method.after_step(model, 0)
    return weight.detach()


def test_a_step_is_that_of_autograd():
    """The thresholded weights as a function of latent ones and s, which torch derives by itself."""
    torch.manual_seed(0)
    latent, gradients = torch.randn(10, 8, requires_grad=True), torch.randn(10, 8)
    start = torch.tensor(-1.0, requires_grad=True)
    found = one_step(SoftThreshold(0.01, start=-1.0), latent.detach(), gradients)

    optimizer = torch.optim.SGD([latent, start], lr=0.1, momentum=0.9, weight_decay=0.01)
    (latent.sign() * (latent.abs() - start.sigmoid()).relu()).backward(gradients)
    optimizer.step()
    wanted = latent.sign() * (latent.abs() - start.sigmoid()).relu()
    assert 0.1 < float((found == 0).float().mean()) < 0.4
    assert torch.equal(found == 0, wanted == 0)
    # The gradient of s is a sum, whose order is not the same.
    torch.testing.assert_close(found, wanted.detach(), rtol=0, atol=1e-6)


def test_only_weights_and_thresholds_decay():
    recipe = small_recipe()
    model = QuantNetwork(recipe)
    decayed, rest = SoftThreshold(0.01).optimizer(model, recipe).param_groups
    assert (decayed["weight_decay"], rest["weight_decay"]) == (0.01, 0)
    assert len(decayed["params"]) == 8 and {parameter.ndim for parameter in decayed["params"]} == {0, 2, 4}
    assert {id(p) for p in rest["params"]} & {id(p) for p in model.parameters()} == {id(p) for p in rest["params"]}
    assert len(rest["params"]) == 7 and {parameter.ndim for parameter in rest["params"]} == {0, 1}


def test_more_decay_leaves_fewer_weights(tmp_path):
    shares = []
    for decay in (0.003, 0.03):
        model = trained(RECIPE, SoftThreshold(decay, start=-4.0), tmp_path / str(decay))
        shares.append(sparsity_by_layer(model))
    assert all(few < many for few, many in zip(shares[0].values(), shares[1].values()))
    assert shares[1]["conv2"] > 0.3


@pytest.mark.parametrize("kind", METHODS)
@pytest.mark.parametrize("epoch", [1, 3])
def test_a_resumed_training_equals_an_uninterrupted_one(kind, epoch, tmp_path):
    def stop(state):
        if state.epoch == epoch and state.batch == 3:
            raise KeyboardInterrupt

    whole = trained(RECIPE, METHODS[kind](), tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        trained(RECIPE, METHODS[kind](), tmp_path / "stopped", progress=stop)
    again = trained(RECIPE, METHODS[kind](), tmp_path / "stopped")
    for name, tensor in model_state(whole).items():
        assert torch.equal(tensor, model_state(again)[name]), name


@pytest.mark.parametrize("kind", METHODS)
def test_finished_runs_hold_the_zeros(kind, tmp_path):
    """In 4 bits: exported, and read again, as any other model."""
    recipe = small_recipe(4, epochs=2, images=640)
    model = trained(recipe, METHODS[kind](), tmp_path / "checkpoints")
    finish(model, recipe, load_dataset(recipe, None), tmp_path, [])
    shares = sparsity_by_layer(load_run(tmp_path).model)
    assert shares == sparsity_by_layer(model) and shares["conv2"] > 0.2
    assert all(0 <= share < 1 for share in shares.values())


def test_dropped_channels_stay_dropped(tmp_path):
    with torch_state(1, 0):
        model = QuantNetwork(RECIPE)
        group = model.groups()[1]
        group.keep(torch.arange(8) < 5)
        fit(model, RECIPE, load_dataset(RECIPE, None), tmp_path, "x", method=SoftThreshold(0.001))
    assert not model.conv2.weight[5:].any() and not model.conv3.weight[:, 5:].any() and model.conv2.weight[:5].any()


def test_bipolar_weights_cannot_be_zero():
    recipe = find_recipe("tfc-w1a1")
    with pytest.raises(GraphError, match="fc1: str makes weights zero, which 1-bit weights cannot be; give 2 to 8"):
        SoftThreshold(0.01).optimizer(QuantNetwork(recipe), recipe)


def test_magnitude_pruning_is_cubic_and_ends_at_its_sparsity():
    recipe = small_recipe()
    torch.manual_seed(0)
    model = QuantNetwork(recipe)
    method = MagnitudePruning(0.8, (0.2, 0.6), 0.0)
    method.start(model, 100)
    zeros = []
    for step in range(100):
        method.before_update(model, step)
        method.after_step(model, step)
        zeros.append(int((model.conv2.weight == 0).sum()))
    assert (
        zeros[19] == 0 and zeros[39] == round(0.8 * (1 - 0.5**3) * 432) and zeros[59] == zeros[99] == round(0.8 * 432)
    )
    assert set(sparsity_by_layer(model)) == {"conv1", "conv2", "conv3", "fc"}


def test_the_smallest_weights_go_and_stay_zero():
    method = MagnitudePruning({"fc": 0.5}, (0.0, 0.1), 0.0)
    weights = torch.arange(1.0, 81).reshape(10, 8) * torch.tensor([1.0, -1.0]).repeat(4)
    after = one_step(method, weights, torch.zeros(10, 8))
    assert torch.equal(after, torch.where(weights.abs() > 40, weights, 0))
    weights = torch.where(weights.abs() > 60, weights, 0)
    after = one_step(method, weights, torch.full((10, 8), 50.0))
    assert torch.equal(after == 0, weights == 0)


@pytest.mark.parametrize(
    "sparsity, message",
    [
        ({"conv22": 0.5}, "conv22: is no layer with weights; the nearest name is conv2, of conv1, conv2, conv3, fc"),
        ({"conv2": 1.0}, "sparsity of conv2: 1 was given; it must be a share of its weights, 0 to below 1"),
        (-0.5, "sparsity of conv1: -0.5 was given"),
    ],
)
def test_wrong_sparsities_are_named(sparsity, message):
    with pytest.raises(GraphError, match=message):
        MagnitudePruning(sparsity, (0.2, 0.6), 0.0).start(QuantNetwork(RECIPE), 100)


NETWORK = find_recipe("digits-cnn").network
LEARNED = {"conv1": 0.58, "conv2": 0.95, "conv3": 0.975, "fc": 0.5}


@pytest.mark.parametrize("overall", [0.0, 0.1, 0.25, 0.5, 0.75])
def test_as_many_channels_go_as_asked(overall):
    kept = learned_keep(NETWORK, LEARNED, overall)
    assert 0 <= (1 - overall) * 80 - sum(kept) <= 1
    assert kept[0] / 16 >= kept[1] / 32 >= kept[2] / 32


def test_layers_of_equal_density_are_pruned_alike():
    assert learned_keep(NETWORK, dict.fromkeys(LEARNED, 0.7), 0.5) == (8, 16, 16)
    assert learned_keep(NETWORK, dict.fromkeys(LEARNED, 0.99), 0.75) == (4, 8, 8)


def test_widths_are_the_square_roots_where_they_give_the_share():
    densities = np.array([1.0, 0.25, 0.0625])
    shares = dict(zip(LEARNED, 1 - densities)) | {"fc": 0.0}
    assert learned_keep(NETWORK, shares, 1 - (16 + 16 + 8) / 80) == (16, 16, 8)


def test_widths_are_rounded_to_what_the_hardware_folds():
    kept = learned_keep(NETWORK, LEARNED, 0.5, round_to=4)
    assert not any(width % 4 for width in kept) and sum(kept) <= 40


def test_coupled_layers_have_the_mean_density():
    network = find_recipe("resnet8").network
    even = {layer.name: 0.9 for layer in network.weighted}
    uneven = even | {"conv0": 0.85, "block1_conv2": 0.95}
    assert learned_keep(network, even, 0.5) == learned_keep(network, uneven, 0.5)
    assert learned_keep(network, even | {"conv0": 0.5}, 0.5)[0] > learned_keep(network, even, 0.5)[0]


@pytest.mark.parametrize(
    "sparsity, overall, round_to, message",
    [
        (LEARNED, 1.0, 1, "sparsity: 1 was given; it must be a share of the channels, 0 to below 1"),
        (LEARNED, -0.1, 1, "sparsity: -0.1 was given"),
        (
            LEARNED,
            0.9,
            4,
            "0.9 of the channels are to go, but the layers .*, and 4 of the others, are 12; ask for less",
        ),
        (LEARNED | {"conv1": 0.0}, 0.9, 1, "the layers that STR left whole, and 1 of the others, are 18"),
        ({"conv1": 0.5}, 0.5, 1, "conv2: no sparsity is given for it; give one for each layer"),
        (LEARNED | {"conv3": 1.5}, 0.5, 1, "sparsity of conv3: 1.5 was given; it must be a share of its weights"),
    ],
)
def test_budgets_that_cannot_be_met_are_named(sparsity, overall, round_to, message):
    with pytest.raises(GraphError, match=message):
        learned_keep(NETWORK, sparsity, overall, round_to)
