"""Density counts what pruning leaves: the weights of the graph that hardware is made of."""

from dataclasses import replace

import pytest

from espalier.errors import GraphError
from espalier.ir.conv2d import Conv2d
from espalier.ir.dense import Dense
from espalier.ir.onnx_import import import_onnx
from espalier.ir.simplify import simplify
from espalier.quant.density import Density, density_of, in_figures
from espalier.quant.networks.cnv import cnv
from espalier.quant.networks.coupling import find_couplings
from espalier.quant.networks.resnet import resnet8
from espalier.quant.networks.separable import ds_cnn
from espalier.quant.networks.unet import unet
from espalier.quant.override import override
from espalier.quant.recipes import find_recipe

CNN = find_recipe("digits-cnn")  # 8x8 pixels of 8 bits; 16, 32, 32 channels, their mean, 10 classes; 4 bits
NETWORKS = {
    "digits-cnn": (CNN.network, (11, 20, 17)),
    "cnv-w2a2": (cnv(8), (3, 5, 11, 9, 20, 25, 40, 50)),
    "resnet8": (resnet8(4), (3, 2, 5, 6, 11, 10)),
    "ds-cnn": (ds_cnn(8), (5, 6, 3, 7, 4)),
    "unet": (unet(4), (3, 5, 11, 6, 7, 2, 3)),
}


def test_a_small_network_by_hand():
    density = density_of(CNN, {"conv1": 8, "conv3": 16})
    weights = 1 * 8 * 9 + 8 * 32 * 9 + 32 * 16 * 9 + 16 * 10
    features = 64 * 8 + (8 + 32 + 16) * 64 * 4 + 16 * 4
    assert density == Density(weights * 4 / 1e6, features / 1e6)


def test_every_layer_counts_in_its_bits():
    recipe = override(CNN, weight_bits="8,4,2,1", activation_bits="2,32,8,4")
    density = density_of(recipe, {})
    assert density.weight_mbit == (16 * 9 * 8 + 16 * 32 * 9 * 4 + 32 * 32 * 9 * 2 + 320 * 1) / 1e6
    assert density.feature_mbit == (64 * 8 + 16 * 64 * 2 + 32 * 64 * 32 + 32 * 64 * 8 + 32 * 4) / 1e6


def test_half_of_the_channels_are_a_quarter_of_the_inner_weights():
    whole, half = (density_of(CNN, {name: n for name in ("conv1", "conv2")}) for n in (16, 8))
    conv2 = 16 * 16 * 9
    assert whole.weight_mbit - half.weight_mbit == pytest.approx((conv2 * 0.75 + 72 + 8 * 32 * 9) * 4 / 1e6)


def test_activations_that_share_a_quantizer_count_each():
    recipe = replace(find_recipe("resnet8"), network=resnet8(4))
    pixels = 4 * 32 * 32 * 5 + 8 * 16 * 16 * 4 + 16 * 8 * 8 * 4 + 16
    assert density_of(recipe, {}).feature_mbit == (3 * 32 * 32 * 8 + pixels * 4) / 1e6


def test_density_is_the_score_per_mbit():
    assert Density(1.5, 0.5).of(90.0) == 45.0


@pytest.mark.parametrize("metric, score", [("accuracy", 98.5), ("iou", 98.5), ("psnr_db", 0.985)])
def test_figures_are_percent_but_for_decibels(metric, score):
    assert in_figures(metric, 0.985) == score


@pytest.mark.parametrize(
    "kept, message",
    [
        ({"conv4": 8}, "conv4: is no group of channels; the groups are conv1, conv2, conv3"),
        ({"conv1": 17}, "conv1: 17 channels are to stay; give 1 to 16"),
    ],
)
def test_groups_that_do_not_fit_are_named(kept, message):
    with pytest.raises(GraphError, match=message):
        density_of(CNN, kept)


@pytest.mark.torch
@pytest.mark.parametrize("name", NETWORKS)
def test_weights_are_those_of_the_compacted_graph(name, tmp_path):
    torch = pytest.importorskip("torch", reason="needs the train extra")
    pytest.importorskip("brevitas", reason="needs the train extra")
    from espalier.quant.export import export
    from espalier.quant.masks import fold_masks
    from espalier.quant.model import QuantNetwork
    from espalier.quant.pruning.criteria import spread
    from espalier.quant.pruning.scheduled import prune_now
    from espalier.quant.transfer import recalibrate_norms

    torch.set_num_threads(1)
    network, keep = NETWORKS[name]
    # At 8 bits and with statistics of its own, no other channel of an untrained network is constant.
    recipe = override(replace(find_recipe(name), network=network, keep=keep), weight_bits=8, activation_bits=8)
    torch.manual_seed(3)
    model, given = QuantNetwork(recipe), network.input
    prune_now(model.groups(), keep, spread)
    inputs = torch.rand(8, *given.shape) * (given.high - given.low) + given.low
    recalibrate_norms(model, inputs)
    graph = simplify(import_onnx(export(fold_masks(model).eval(), inputs[:1], tmp_path / "model.onnx")).graph)
    weights = sum(node.weights.size for node in graph.nodes if isinstance(node, Dense | Conv2d))
    kept = dict(zip((coupling.name for coupling in find_couplings(network)), keep, strict=True))
    assert weights * 8 == round(density_of(recipe, kept).weight_mbit * 1e6)
