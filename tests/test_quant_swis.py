"""Decomposed networks: channels in order, integers equal code by code after import, gradients straight through."""

from dataclasses import replace
from math import prod

import numpy as np
import pytest

from espalier.ir import Conv2d, ConvTranspose2d, Dense, execute, quantize_inputs
from espalier.ir.onnx_import import import_onnx
from espalier.ir.verify import explain_differences
from espalier.quant.networks.autoencoder import autoencoder
from espalier.quant.networks.cnn import cnn
from espalier.quant.networks.layers import Activation, Conv, Flatten, Input, Network
from espalier.quant.networks.layers import Dense as DenseLayer
from espalier.quant.networks.resnet import resnet8
from espalier.quant.networks.separable import ds_cnn
from espalier.quant.networks.unet import unet
from espalier.quant.override import override
from espalier.quant.recipes import find_recipe, read_recipe
from espalier.quant.swis.groups import group_places
from espalier.quant.swis.options import Swis

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch", reason="needs the train extra")
torch.set_num_threads(1)
pytest.importorskip("brevitas", reason="needs the train extra")
pytest.importorskip("sklearn", reason="needs the train extra")

from espalier.quant.calibrate import calibrate  # noqa: E402
from espalier.quant.export import export  # noqa: E402
from espalier.quant.masks import fold_masks  # noqa: E402
from espalier.quant.model import QuantNetwork  # noqa: E402
from espalier.quant.pruning.criteria import spread  # noqa: E402
from espalier.quant.pruning.scheduled import prune_now  # noqa: E402
from espalier.quant.swis.assign import permute_channels  # noqa: E402
from espalier.quant.swis.quantizer import SharedShifts  # noqa: E402
from espalier.quant.swis.record import describe_shifts, storage_bits, summarize  # noqa: E402
from espalier.quant.truth import record_codes  # noqa: E402

FLAT = Network(
    "own",
    Input((3, 6, 6), high=16.0),
    (
        Conv("conv1", 5, (3, 3), padding=(1, 1)),
        Activation("act1"),
        Flatten("flatten"),
        DenseLayer("fc1", 11),
        Activation("act2"),
        DenseLayer("fc2", 10),
    ),
)
NETWORKS = {
    "flat": ("digits-cnn", FLAT),
    "cnn": ("digits-cnn", cnn(Input((1, 8, 8), high=16.0), (7, 9, 12))),
    "resnet8": ("resnet8", resnet8(4)),
    "ds-cnn": ("ds-cnn", ds_cnn(8)),
    "autoencoder": ("autoencoder", autoencoder(4, 2)),
    "unet": ("unet", unet(4)),
}


def real_recipe(name):
    base, network = NETWORKS[name]
    bits = (32,) * len(network.weighted), (32,) * len(network.activations)
    return replace(find_recipe(base), network=network, weight_bits=bits[0], activation_bits=bits[1], per_channel=True)


def pruned(recipe):
    """A network of real numbers, two thirds of whose channels are left, with statistics of its inputs."""
    torch.manual_seed(0)
    model, given = QuantNetwork(recipe), recipe.network.input
    inputs = torch.rand(6, *given.shape) * (given.high - given.low) + given.low
    prune_now(model.groups(), [max(1, group.channels * 2 // 3) for group in model.groups()], spread)
    for _ in range(3):
        model(inputs)
    return model.eval(), inputs


def decomposed(name, swis, bits=8):
    recipe = real_recipe(name)
    model, inputs = pruned(recipe)
    recipe = replace(override(recipe, weight_bits=bits, activation_bits=4), swis=swis)
    return calibrate(model, recipe, inputs), recipe, inputs


def codes_of(layer):
    """(filters, weights), kernel row by kernel row, with the input channels of a place together."""
    quantizer = layer.weight_quant.tensor_quant
    codes = quantizer.decomposed(layer.weight).codes
    return codes[quantizer.places >= 0].reshape(len(codes), -1)


RUNS, JOINT = Swis(2, 5, consecutive=True, filters_at_once=2), Swis(3, 16, False, 3, joint=True, double_shift=True)
CASES = [(name, Swis(2.5)) for name in NETWORKS] + [("flat", JOINT), ("cnn", RUNS), ("autoencoder", JOINT)]


@pytest.mark.parametrize("name, swis", CASES)
def test_imported_weights_are_the_decomposed_integers(name, swis, tmp_path):
    model, recipe, inputs = decomposed(name, swis)
    folded = fold_masks(model).eval()
    imported = import_onnx(export(folded, inputs[:1], tmp_path / "model.onnx"))
    found = [node for node in imported.graph.nodes if isinstance(node, Conv2d | ConvTranspose2d | Dense)]
    assert len(found) == len(recipe.network.weighted)
    for node, spec in zip(found, recipe.network.weighted, strict=True):
        layer = model.get_submodule(spec.name)
        np.testing.assert_array_equal(node.weights.reshape(len(node.weights), -1), codes_of(layer), spec.name)
    ours = execute(imported.graph, quantize_inputs(imported.graph, inputs.numpy()), every=True)
    assert explain_differences(imported, ours, record_codes(folded, inputs)).unexplained == 0


@pytest.mark.parametrize("name", ["flat", "ds-cnn", "autoencoder"])
def test_codes_have_the_shifts_of_their_tiles(name):
    model, recipe, _ = decomposed(name, Swis(2.5, 4, filters_at_once=2))
    for spec in recipe.network.weighted:
        layer = model.get_submodule(spec.name)
        quantizer = layer.weight_quant.tensor_quant
        found, living = quantizer.decomposed(layer.weight), quantizer.grouped(layer.weight).any(axis=(1, 2))
        used = np.bitwise_or.reduce(np.abs(found.codes), axis=2)
        assert (np.bitwise_count(used) <= quantizer.shifts.numpy()[:, None]).all()
        shifts = quantizer.shifts.numpy()
        tiles = [shifts[some][living[some]] for first in range(0, len(shifts), 2) for some in [slice(first, first + 2)]]
        assert all(len(set(tile)) <= 1 for tile in tiles)


@pytest.mark.parametrize("name", ["flat", "resnet8", "ds-cnn", "autoencoder", "unet"])
def test_permuted_channels_change_nothing_else(name):
    model, inputs = pruned(real_recipe(name))
    with torch.no_grad():
        before = model(inputs)
        for group in model.groups():
            kept = group.kept
            order = torch.randperm(group.channels)
            permute_channels(group, order)
            assert torch.equal(group.kept, kept[order])
        assert torch.allclose(model(inputs), before, rtol=1e-3, atol=1e-4)  # sums in another order


def test_as_many_shifts_as_positions_are_plain_quantization():
    recipe = real_recipe("cnn")
    model, inputs = pruned(recipe)
    plain = override(recipe, weight_bits=4, activation_bits=4)
    wanted, made = (calibrate(model, r, inputs) for r in (plain, replace(plain, swis=Swis(3, scheduled=False))))
    for group in wanted.groups():
        permute_channels(group, torch.argsort(~group.kept, stable=True))  # as dropped channels come last
    for name in wanted.weighted_layers:
        theirs, ours = (m.get_submodule(name).quant_weight() for m in (wanted, made))
        codes = [(weight.value / weight.scale).round() for weight in (theirs, ours)]
        assert torch.equal(*codes)


def test_filters_computed_at_once_have_equally_many_shifts_and_dropped_ones_come_last():
    model, _, _ = decomposed("cnn", Swis(2.5, filters_at_once=2))
    for group in model.groups():
        assert torch.equal(group.kept, group.kept.sort(descending=True).values)
        layer = group.writers[0].weights.layer
        living = layer.weight_quant.tensor_quant.shifts[: int(group.kept.sum())]
        assert torch.equal(living, living.sort().values)


def test_the_average_is_met_in_every_layer():
    model, _, _ = decomposed("resnet8", Swis(2.5))
    layers = describe_shifts(model)
    for layer in layers:
        assert sum(layer.shifts) == int(2.5 * len(layer.shifts)) and layer.average == np.mean(layer.shifts)
    found = summarize(layers)
    assert found["storage_mbit"] == sum(layer.storage_bits for layer in layers) / 1e6
    assert 2.3 < found["average_shifts"] <= 2.5 and found["layers"][0]["layer"] == "conv0"


def test_storage_is_of_signs_masks_and_positions():
    shifts = np.array([2, 2, 3, 3])
    assert storage_bits(shifts, 7, 28, Swis(2.5, 4), 7) == 7 * sum(4 + 3 * n + 4 * n for n in shifts)
    assert storage_bits(shifts, 7, 28, Swis(2.5, 4, consecutive=True), 7) == 7 * sum(4 + 3 + 4 * n for n in shifts)
    joint = Swis(2.5, 4, filters_at_once=2, joint=True)
    assert storage_bits(shifts, 7, 28, joint, 7) == 7 * (sum(4 + 4 * n for n in shifts) + 3 * (2 + 3))
    assert storage_bits(shifts, 7, 25, Swis(2.5, 4), 7) == sum(25 + 7 * 3 * n + 25 * n for n in shifts)


def test_gradients_go_straight_through():
    spec = NETWORKS["cnn"][1].weighted[1]
    places = group_places(NETWORKS["cnn"][1], spec, 4)
    quantizer = SharedShifts(8, (9, 1, 1, 1), places, Swis(1))
    quantizer.shifts.fill_(1)
    weights = torch.randn(9, 7, 3, 3, requires_grad=True)
    values = quantizer(weights)[0]
    (values * torch.arange(9.0)[:, None, None, None]).sum().backward()
    assert torch.equal(weights.grad, torch.arange(9.0)[:, None, None, None].expand_as(weights))
    assert not torch.equal(values, weights)


def test_positions_are_chosen_anew_when_weights_move():
    quantizer = SharedShifts(8, (), np.arange(4).reshape(1, 1, 4), Swis(1))
    quantizer.shifts.fill_(1)
    assert quantizer(torch.tensor([127.0, 60, 64, 70]))[0].tolist() == [64.0] * 4
    assert quantizer(torch.tensor([127.0, 4, 4, 4]))[0].tolist() == [64.0, 0, 0, 0]
    assert quantizer(torch.tensor([127.0, -30, 30, 31]))[0].tolist() != [64.0] * 4


@pytest.mark.parametrize("name", ["flat", "ds-cnn", "autoencoder"])
@pytest.mark.parametrize("size", [1, 4, 16])
def test_every_weight_is_in_one_group(name, size):
    network = NETWORKS[name][1]
    for spec in network.weighted:
        places = group_places(network, spec, size)
        weights = QuantNetwork(real_recipe(name)).get_submodule(spec.name).weight
        assert places.shape[0] == network.shapes()[spec.name][0] and places.shape[2] == size
        assert sorted(places[places >= 0]) == list(range(prod(weights.shape)))


def test_groups_are_neighbours_along_the_input_channels():
    network = NETWORKS["flat"][1]
    places = group_places(network, network.weighted[1], 4)  # of 5 channels of 36 pixels
    assert places[0, :2].tolist() == [[0, 36, 72, 108], [144, -1, -1, -1]] and places[0, 2, 0] == 1
    places = group_places(network, network.weighted[0], 4)  # 3 channels, 9 places: groups go on over these
    assert places[0, 0].tolist() == [0, 9, 18, 1] and places.shape == (5, 7, 4)


def test_options_are_recorded_where_they_are_chosen():
    plain = find_recipe("digits-cnn")
    chosen = replace(plain, swis=Swis(2.5, 16, alpha=0.5))
    assert "swis" not in plain.record() and chosen.record()["swis"]["group"] == 16
    assert read_recipe(chosen.record(), "") == replace(chosen, help="")
    with pytest.raises(ValueError, match=r"recipe.json: its swis is not as this version .* quantize anew"):
        read_recipe(chosen.record() | {"swis": {"shift": 2}}, "recipe.json")
