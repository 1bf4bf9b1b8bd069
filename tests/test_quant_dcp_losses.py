"""The objective of discrimination-aware pruning and its gradient, by brute force; where auxiliary losses stand."""

import math
from dataclasses import replace

import numpy as np
import pytest

from espalier.quant.networks.autoencoder import autoencoder
from espalier.quant.networks.layers import Conv, ConvTranspose, Input, Network
from espalier.quant.networks.resnet import resnet8
from espalier.quant.networks.separable import mobilenet
from espalier.quant.networks.unet import unet

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch", reason="needs the train extra")
torch.set_num_threads(1)  # threads that wait for each other on busy cores take longer than one
pytest.importorskip("brevitas", reason="needs the train extra")

from torch.nn import functional  # noqa: E402

from dcp_cases import CHAIN, FAST, NETWORKS, data_of, model_of, prune, recipe_of  # noqa: E402
from espalier.quant.pruning.dcp import dcp  # noqa: E402
from espalier.quant.pruning.dcp_losses import find_places, make_heads  # noqa: E402
from espalier.quant.pruning.dcp_selection import Discrimination, Objective, Samples, channel_scores, select  # noqa: E402


def chain_objective(lam, head=None):
    """The objective of the first group of the chain, whose reader is conv2; the network before, to compare with."""
    recipe = recipe_of("chain")
    model, base, data = model_of(recipe), model_of(recipe, seed=2), data_of(recipe)
    inputs, labels = torch.from_numpy(data.train_inputs), torch.from_numpy(data.train_targets)
    discrimination = Discrimination("conv2" if head else "scale", head or torch.nn.Identity(), functional.cross_entropy)
    samples = Samples(inputs, labels, 5)
    return Objective(model, base, model.groups()[0], discrimination, lam, samples), model, base, inputs, labels


def by_hand(model, base, head, lam, inputs, labels):
    """|O_base - O|^2 / 2Q + lam * L_S for conv2 of the chain as formulas, and its gradient by conv2's weights."""
    features = {}
    for name, network in (("model", model), ("base", base)):
        sums = functional.conv2d(inputs, network.conv1.weight.detach(), padding=1)
        norm = network.conv1_norm
        mean, root = norm.running_mean[:, None, None], torch.sqrt(norm.running_var + norm.eps)[:, None, None]
        features[name] = ((sums - mean) / root * norm.weight[:, None, None] + norm.bias[:, None, None]).relu().detach()
    weight = model.conv2.weight.detach().clone().requires_grad_()
    sums = functional.conv2d(features["model"], weight, padding=1)
    wanted = functional.conv2d(features["base"], base.conv2.weight.detach(), padding=1)
    error = ((wanted - sums) ** 2).sum() / (2 * sums.numel())
    logits = head.linear(head.norm(sums).relu().mean((2, 3)))
    discrimination = -torch.log_softmax(logits, 1)[torch.arange(len(labels)), labels].mean()
    loss = {0: error, math.inf: discrimination}.get(lam, error + lam * discrimination)
    loss.backward()
    return loss.item(), weight.grad


@pytest.mark.parametrize("lam", [0, 0.3, 1, math.inf])
def test_scores_are_gradient_norms_of_the_published_objective(lam):
    torch.manual_seed(5)
    head = make_heads(CHAIN, 2)["conv2"].eval()
    objective, model, base, inputs, labels = chain_objective(lam, head)
    model.conv2.weight.detach()[:, 1] = 0  # as before channel 1 is chosen
    inputs = torch.round(inputs * 255).clamp(max=255) / 255  # what the input quantizer leaves
    loss, gradient = by_hand(model, base, head, lam, inputs, labels)
    value, gradients = objective.of_all()
    scores = [sum(gradient[out, channel].norm() for out in range(6)) for channel in range(4)]
    # Sums in another order, and batches.
    assert math.isclose(value, loss, rel_tol=1e-4)
    scores = torch.stack(scores) / sum(scores)
    torch.testing.assert_close(channel_scores(objective.group, {model.conv2: gradients[0]}), scores, rtol=1e-3, atol=0)


def test_several_readers_have_the_same_say_whatever_the_size_of_their_gradients():
    group = model_of(recipe_of("residual")).groups()[0]
    gradients = {part.layer: torch.randn_like(part.layer.weight) for part in group.readers}
    scores = channel_scores(group, gradients)
    gradients[group.readers[1].layer] *= 1000
    torch.testing.assert_close(channel_scores(group, gradients), scores)  # float32 sums
    assert len(group.readers) == 3 and math.isclose(scores.sum(), 3, rel_tol=1e-5)


@pytest.mark.parametrize("kind, number", [("flattened", 5), ("transposed", 3), ("joined", 0)])
def test_a_kernel_is_all_that_joins_one_channel_with_one_output(kind, number):
    group = model_of(recipe_of(kind)).groups()[number]
    gradients = {part.layer: torch.randn_like(part.layer.weight) for part in group.readers}
    scores = torch.zeros(group.channels)
    for part in group.readers:
        along = gradients[part.layer] if part.axis == 1 else gradients[part.layer].transpose(0, 1)
        kernels = along.flatten(2) if along.ndim > 2 else along.unsqueeze(2)
        rows = kernels[:, part.start : part.start + group.channels * part.repeats]
        norms = rows.reshape(len(rows), group.channels, -1).norm(dim=2).sum(0)
        scores += norms / norms.sum()
    torch.testing.assert_close(channel_scores(group, gradients), scores)  # float32 sums


def test_the_channel_with_the_largest_gradient_is_chosen_first():
    objective, model, *_ = chain_objective(1.0)
    before = model.conv2.weight.detach().clone()
    model.conv2.weight.detach().zero_()
    best = channel_scores(objective.group, {model.conv2: objective.of_all()[1][0]}).argmax()
    model.conv2.weight.detach().copy_(before)
    order, losses = select(objective, 1, replace(FAST, channels_per_round=1), lambda done, total, loss: None)
    assert order == (int(best),) and len(losses) == 2
    assert torch.nonzero(objective.group.kept).flatten().tolist() == [*order]


def test_chosen_weights_start_from_those_before():
    objective, model, *_ = chain_objective(1.0)
    before = model.conv2.weight.detach().clone()
    (first, second), _ = select(objective, 2, replace(FAST, selection_steps=0), lambda done, total, loss: None)
    kept = sorted((first, second))
    assert torch.equal(model.conv2.weight[:, kept], before[:, kept])


class Falling:
    """Objectives in the place of a real one: the loss of each round as given, no channel better than another."""

    def __init__(self, group, losses):
        self.group, self.layers, self._losses = group, [part.layer for part in group.readers], iter(losses)

    def of_all(self):
        return next(self._losses), [torch.zeros_like(layer.weight) for layer in self.layers]


@pytest.mark.parametrize(
    "eps, rounds",
    [(None, 5), (0.0, 5), (0.05, 4), (0.4, 3)],  # at first it is worse than without channels
)
def test_a_group_is_done_where_the_loss_falls_no_further(eps, rounds):
    group = model_of(recipe_of("flattened")).groups()[4]
    objective = Falling(group, [1.0, 1.2, 1.19, 0.8, 0.76, 0.2])
    options = replace(FAST, eps=eps, channels_per_round=1, selection_steps=0)
    order, losses = select(objective, 5, options, lambda done, total, loss: None)
    assert len(order) == rounds and len(losses) == rounds + 1


def test_dropped_channels_are_not_chosen_before_useless_ones():
    group = model_of(recipe_of("chain")).groups()[0]
    group.keep(torch.tensor([False, True, True, True]))
    order, _ = select(Falling(group, [1.0, 1.0]), 1, replace(FAST, selection_steps=0), lambda done, total, loss: None)
    assert order == (1,)


def test_an_auxiliary_loss_cannot_bring_dropped_outputs_back():
    head = make_heads(CHAIN, 2)["conv2"].eval()
    torch.nn.init.ones_(head.norm.bias)
    recipe = recipe_of("chain")
    model = model_of(recipe)
    model.groups()[1].keep(torch.arange(6) < 4)
    discrimination = Discrimination("conv2", head, functional.cross_entropy)
    data = data_of(recipe)
    samples = Samples(torch.from_numpy(data.train_inputs), torch.from_numpy(data.train_targets), 16)
    (gradient,) = Objective(model, model, model.groups()[0], discrimination, 1.0, samples).of_all()[1]
    assert not gradient[4:].any() and gradient[:4].any()


def test_the_last_loss_is_half_the_mean_squared_change_of_the_readers_sums():
    options = replace(FAST, lam=0.0, auxiliary_epochs=0, selection_images=16)
    recipe, model, result = prune(keep=(2, 6, 5), options=options)
    inputs, sums = torch.from_numpy(data_of(recipe).train_inputs), []
    for network in (model, model_of(recipe)):
        hook = network.conv2.register_forward_hook(lambda module, given, result: sums.append(result.detach()))
        network(inputs)
        hook.remove()
    assert math.isclose((sums[0] - sums[1]).square().mean() / 2, result.choices[0].losses[-1], rel_tol=1e-4)  # float32


def test_reconstruction_alone_looks_at_no_labels():
    options = replace(FAST, lam=0.0, auxiliary_epochs=0)
    recipe, results = recipe_of("chain"), []
    for labels in (np.zeros(16, np.int64), np.ones(16, np.int64)):
        model = model_of(recipe)
        results.append(
            (dcp(model, recipe, replace(data_of(recipe), train_targets=labels), recipe.keep, options), model)
        )
    assert results[0][0] == results[1][0]
    assert torch.equal(results[0][1].conv3.weight, results[1][1].conv3.weight)


def test_optimising_lowers_the_objective():
    found = [
        prune(keep=(2, 6, 5), options=replace(FAST, lam=0.0, auxiliary_epochs=0, selection_steps=steps))[2]
        for steps in (0, 100)
    ]
    before, after = (result.choices[0].losses[-1] for result in found)
    assert after < 0.8 * before


@pytest.mark.parametrize(
    "network, most, places",
    [
        (CHAIN, 9, ("conv2", "conv3")),  # conv1 reads no group
        (CHAIN, 1, ("conv2",)),
        (CHAIN, 0, ()),
        (resnet8(4), None, ("block2_add",)),
        (resnet8(4), 9, ("block1_add", "block2_add", "block3_add")),  # nothing inside of a block
        (mobilenet(0.06), None, ("point2", "point5", "point8", "point11")),
        (unet(4), 3, ("merge1",)),  # skip connections pass by all others
        (autoencoder(4, 3), 2, ("conv2", "conv4")),
    ],
)
def test_auxiliary_losses_stand_at_even_distances_where_nothing_passes_by(network, most, places):
    assert tuple(make_heads(network, most)) == places
    assert most is None or find_places(network, most) == places


def test_no_auxiliary_loss_stands_where_pixels_cover_no_whole_square_of_the_target():
    layers = Conv("a", 4, (1, 1)), Conv("b", 4, (3, 3)), ConvTranspose("c", 2, (3, 3), (1, 1)), Conv("d", 1, (1, 1))
    assert find_places(Network("test", Input((1, 6, 6), high=1.0), layers), 9) == ("c",)  # b has 4 x 4 pixels


@pytest.mark.parametrize("kind", NETWORKS)
def test_heads_compute_what_the_task_asks_for(kind):
    network = NETWORKS[kind][1]
    shapes = network.shapes()
    heads = make_heads(network, 9)
    assert len(heads) >= 1
    for place, head in heads.items():
        assert head(torch.rand(2, *shapes[place])).shape == (2, *shapes[network.layers[-1].name])
