import pytest

from espalier.errors import GraphError
from espalier.quant.networks.autoencoder import autoencoder
from espalier.quant.networks.cnv import cnv
from espalier.quant.networks.coupling import find_couplings
from espalier.quant.networks.espcn import espcn
from espalier.quant.networks.resnet import resnet8
from espalier.quant.networks.separable import ds_cnn
from espalier.quant.networks.thin import thin
from espalier.quant.networks.unet import unet
from espalier.quant.recipes import find_recipe

NETWORKS = {
    "perceptron": find_recipe("digits-mlp").network,
    "plain": find_recipe("digits-cnn").network,
    "flattened": cnv(4),
    "residual": resnet8(4),
    "depthwise": ds_cnn(8),
    "transposed": autoencoder(4, 2),
    "joined": unet(4),
    "shuffled": espcn(2, 8, 8),
}


@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)
def test_every_group_has_its_width(network):
    keep = [max(1, coupling.channels - 1 - number) for number, coupling in enumerate(find_couplings(network))]
    narrow = find_couplings(thin(network, keep))
    assert [coupling.channels for coupling in narrow] == keep
    assert [coupling.name for coupling in narrow] == [coupling.name for coupling in find_couplings(network)]


@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)
def test_inputs_and_outputs_stay(network):
    narrow = thin(network, [1 for _ in find_couplings(network)])
    assert narrow.input == network.input
    assert narrow.shapes()[narrow.layers[-1].name] == network.shapes()[network.layers[-1].name]


def test_all_channels_give_the_same_network():
    network = NETWORKS["residual"]
    assert thin(network, [coupling.channels for coupling in find_couplings(network)]) == network


def test_joined_channels_add_up():
    assert thin(unet(4), [3, 5, 16, 2, 8, 4, 4]).shapes()["join2"] == (7, 14, 14)


@pytest.mark.parametrize(
    "keep, message",
    [
        ([64], r"1 widths were given; 2 are needed, one per group \(fc1, fc2\)"),
        ([0, 48], "fc1: 0 channels are to stay; give 1 to 64"),
        ([64, 49], "fc2: 49 channels are to stay; give 1 to 48"),
    ],
)
def test_widths_that_do_not_fit_are_named(keep, message):
    with pytest.raises(GraphError, match=message):
        thin(NETWORKS["perceptron"], keep)
