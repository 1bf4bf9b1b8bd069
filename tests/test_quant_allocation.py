import pytest

from espalier.errors import GraphError
from espalier.quant.networks.coupling import find_couplings
from espalier.quant.networks.layers import Activation, Concat, Conv, DepthwiseConv, Input, Network
from espalier.quant.networks.resnet import resnet8
from espalier.quant.networks.separable import ds_cnn
from espalier.quant.networks.thin import thin
from espalier.quant.pruning.allocation import keep_counts
from espalier.quant.recipes import find_recipe

CNN = find_recipe("digits-cnn").network  # conv1, conv2, conv3 of 16, 32, 32 channels
RESNET = resnet8(16)  # conv0 and block1_conv2 of 16 are added up, so are block2_conv2 and block2_skip of 32


def test_one_share_is_for_every_group():
    assert keep_counts(CNN, 0.5) == (8, 16, 16) and keep_counts(RESNET, 0.75) == (4, 4, 8, 8, 16, 16)


def test_no_sparsity_keeps_all():
    assert keep_counts(CNN, 0, round_to=5) == keep_counts(CNN, {}) == (16, 32, 32)


def test_layers_have_their_own_shares():
    assert keep_counts(CNN, {"conv1": 0.5, "conv3": 0.25}) == (8, 32, 24)


@pytest.mark.parametrize("name", ["block2_conv2", "block2_skip"])
def test_any_layer_of_a_group_speaks_for_it(name):
    keep = dict(zip((coupling.name for coupling in find_couplings(RESNET)), keep_counts(RESNET, {name: 0.5})))
    assert keep == {
        "conv0": 16, "block1_conv1": 16, "block2_conv1": 32, "block2_conv2": 16, "block3_conv1": 64, "block3_conv2": 64,
    }  # fmt: skip


def test_depthwise_layers_belong_to_the_group_before_them():
    assert keep_counts(ds_cnn(8), {"depth1": 0.5, "conv0": 0.5}) == (4, 8, 8, 8, 8)


def test_a_layer_on_joined_channels_speaks_for_all_groups():
    layers = (
        Conv("left", 8, (1, 1)), Activation("a"), Conv("right", 4, (1, 1), sources=("",)), Activation("b", shares="a"),
        Concat("join", sources=("a", "b")), DepthwiseConv("depth", (3, 3)), Activation("c"), Conv("last", 2, (1, 1)),
    )  # fmt: skip
    network = Network("joined", Input((1, 8, 8), high=1.0), layers)
    assert keep_counts(network, {"depth": 0.5}) == (4, 2)
    assert thin(network, (4, 2)).shapes()["depth"] == (6, 6, 6)


@pytest.mark.parametrize("excluded", [["conv1", "conv3"], ["conv3", "conv1", "fc"]])
def test_excluded_layers_keep_all(excluded):
    assert keep_counts(CNN, 0.5, excluded=excluded) == (16, 16, 32)


def test_excluding_one_layer_of_a_group_excludes_it():
    assert keep_counts(RESNET, 0.5, excluded=["block1_conv2"])[0] == 16


@pytest.mark.parametrize(
    "channels, sparsity, round_to, kept",
    [
        (16, 0.5, 1, 8),
        (16, 0.47, 1, 8),
        (15, 0.5, 1, 8),
        (16, 0.99, 1, 1),
        (16, 0.5, 3, 9),
        (16, 0.5, 5, 10),
        (16, 0.9, 4, 4),
        (16, 0.625, 4, 8),
        (10, 0.01, 4, 8),
        (3, 0.5, 4, 3),
    ],
)
def test_widths_are_rounded_to_the_nearest_multiple(channels, sparsity, round_to, kept):
    network = thin(CNN, (channels, 32, 32)) if channels <= 16 else CNN
    assert keep_counts(network, {"conv1": sparsity}, round_to=round_to) == (kept, 32, 32)


@pytest.mark.parametrize("sparsity", [-0.1, 1.5, float("nan")])
def test_shares_out_of_range_are_named(sparsity):
    message = f"sparsity of %s: {sparsity:g} was given; it must be a share of its channels, 0 to below 1"
    with pytest.raises(GraphError, match=message % "every layer"):
        keep_counts(CNN, sparsity)
    with pytest.raises(GraphError, match=message % "conv2"):
        keep_counts(CNN, {"conv2": sparsity})


def test_an_emptied_layer_is_an_error():
    with pytest.raises(GraphError, match="conv2: sparsity 1 leaves none of its 32 channels; give less"):
        keep_counts(CNN, {"conv2": 1.0})


@pytest.mark.parametrize("how", [{"sparsity": {"conv11": 0.5}}, {"sparsity": 0.5, "excluded": ["conv11"]}])
def test_an_unknown_layer_names_the_nearest(how):
    with pytest.raises(GraphError, match="conv11: is no layer with weights; the nearest name is conv1, of conv1, con"):
        keep_counts(CNN, **how)


@pytest.mark.parametrize(
    "how, message",
    [
        ({"sparsity": {"conv0": 0.5, "block1_conv2": 0.25}}, "conv0 and block1_conv2: .* the shares 0.5 and 0.25"),
        ({"sparsity": {"block1_conv2": 0.5}, "excluded": ["conv0"]}, "conv0 and block1_conv2: .* 0 and 0.5 of them"),
    ],
)
def test_contradicting_shares_of_one_group_name_both_layers(how, message):
    with pytest.raises(GraphError, match=message):
        keep_counts(RESNET, **how)


def test_outputs_cannot_be_pruned():
    with pytest.raises(GraphError, match="fc: its channels are the network's outputs or coupled with them, so they st"):
        keep_counts(CNN, {"fc": 0.5})


def test_rounding_to_nothing_is_an_error():
    with pytest.raises(GraphError, match="--round-to: 0 was given; it must be at least 1 channel"):
        keep_counts(CNN, 0.5, round_to=0)
