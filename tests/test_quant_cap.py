"""CaP: channels by explained output variance, compensation, and the search within a budget, without training."""

import copy
from dataclasses import replace

import numpy as np
import pytest

from espalier.errors import GraphError
from espalier.ir import execute, quantize_inputs, simplify
from espalier.ir.onnx_import import import_onnx
from espalier.ir.verify import explain_differences
from espalier.quant.data import load_dataset
from espalier.quant.networks.autoencoder import autoencoder
from espalier.quant.networks.cnn import cnn
from espalier.quant.networks.cnv import cnv
from espalier.quant.networks.espcn import espcn
from espalier.quant.networks.layers import Activation, Concat, Conv, Dense, Flatten, Input, Network
from espalier.quant.networks.mlp import mlp
from espalier.quant.networks.resnet import resnet8
from espalier.quant.networks.separable import ds_cnn
from espalier.quant.networks.unet import unet
from espalier.quant.override import override
from espalier.quant.recipes import find_recipe

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch", reason="needs the train extra")
torch.set_num_threads(1)  # threads that wait for each other on busy cores take longer than one
pytest.importorskip("brevitas", reason="needs the train extra")

from espalier.quant.evaluate import evaluate  # noqa: E402
from espalier.quant.export import export  # noqa: E402
from espalier.quant.fit import fit  # noqa: E402
from espalier.quant.masks import fold_masks  # noqa: E402
from espalier.quant.model import QuantNetwork  # noqa: E402
from espalier.quant.pruning.cap import cap, compensate, keep_first, rank  # noqa: E402
from espalier.quant.pruning.criteria import weight_magnitude  # noqa: E402
from espalier.quant.pruning.readers import measure_readers  # noqa: E402
from espalier.quant.pruning.scheduled import prune_now  # noqa: E402
from espalier.quant.pruning.unfold import unfold  # noqa: E402
from espalier.quant.transfer import transfer  # noqa: E402
from espalier.quant.truth import record_codes  # noqa: E402

JOINED = Network(
    "joined",
    Input((2, 6, 6), high=1.0),
    (
        Conv("left", 5, (3, 3), padding=(1, 1)),
        Activation("act1"),
        Conv("right", 4, (3, 3), padding=(1, 1), sources=("",)),
        Activation("act2"),
        Concat("join", sources=("act1", "act2", "act1")),
        Conv("merge", 6, (3, 3), (2, 2)),
        Activation("act3"),
        Flatten("flat"),
        Dense("fc", 3),
    ),
)
NETWORKS = {
    "dense": ("digits-mlp", mlp(Input((64,), high=16.0), (23, 14), 10, signed=False)),
    "clipped": ("tfc-w2a2", mlp(Input((64,), high=1.0, signed=True), (23, 14), 10, signed=True)),
    "flattened": ("cnv-w2a2", cnv(4)),
    "residual": ("resnet8", resnet8(4)),
    "depthwise": ("ds-cnn", ds_cnn(8)),
    "transposed": ("autoencoder", autoencoder(6, 5)),
    "joined": ("unet", unet(4)),
    "joined twice": ("digits-cnn", JOINED),
    "shuffled": ("espcn", espcn(3, 8, 8)),
    "biased": ("digits-cnn", replace(cnn(Input((1, 8, 8), high=16.0), (6, 8, 8)), biased=True)),
}


def random_network(kind, samples=24):
    """A recipe of real numbers, a model with random weights, norms and statistics, and inputs."""
    name, network = NETWORKS[kind]
    bits = {"weight_bits": (32,) * len(network.weighted), "activation_bits": (32,) * len(network.activations)}
    recipe = replace(find_recipe(name), network=network, **bits)
    torch.manual_seed(3)
    model, given = QuantNetwork(recipe), network.input
    inputs = torch.rand(samples, *given.shape) * (given.high - given.low) + given.low
    for group in model.groups():
        for writer in group.writers:
            torch.nn.init.uniform_(writer.norm.weight, 0.5, 1.5)
            torch.nn.init.normal_(writer.norm.bias, std=0.5)
    for _ in range(3):
        model(inputs)
    return recipe, model.eval(), inputs


def halves(model):
    return [(group.channels + 1) // 2 for group in model.groups()]


@pytest.mark.parametrize("kind", NETWORKS)
def test_widths_are_as_asked_and_dropped_weights_are_zero(kind):
    recipe, model, inputs = random_network(kind)
    result = cap(model, recipe, inputs, keep=halves(model))
    assert [group.kept for group in result.groups] == halves(model)
    for group in model.groups():
        assert int(group.kept.sum()) == (group.channels + 1) // 2
        for part in (*(writer.weights for writer in group.writers), *group.readers):
            assert not part.weights(group.channels)[~group.kept].any()
    assert torch.equal(model(inputs), fold_masks(model)(inputs))


@pytest.mark.parametrize("kind", NETWORKS)
def test_compensated_outputs_are_nearer_to_what_they_were(kind):
    recipe, model, inputs = random_network(kind)
    masked, wanted = copy.deepcopy(model), model(inputs)
    cap(model, recipe, inputs, keep=halves(model))
    for group, pruned in zip(masked.groups(), model.groups()):
        group.keep(pruned.kept)
    errors = [(part(inputs) - wanted).square().mean().item() for part in (model, masked)]
    assert errors[0] < 0.9 * errors[1]


@pytest.mark.parametrize("kind", NETWORKS)
def test_a_network_that_keeps_all_stays_as_it_is(kind):
    recipe, model, inputs = random_network(kind)
    wanted = model(inputs)
    cap(model, recipe, inputs, keep=[group.channels for group in model.groups()])
    # Moments are sums of 32-bit outputs, so the weights come back rounded.
    torch.testing.assert_close(model(inputs), wanted, rtol=1e-3, atol=1e-4)


def seen(model, name, inputs):
    """What a module takes, and what it gives."""
    found = []
    hook = model.get_submodule(name).register_forward_hook(lambda layer, given, made: found.extend((given[0], made)))
    with torch.no_grad():
        model(inputs)
    hook.remove()
    return found


def as_rows(values):
    """Of float64, (samples x windows, channels)."""
    return values.reshape(*values.shape[:2], -1).transpose(1, 2).flatten(0, 1).double().numpy()


def brute_force_order(model, group, inputs):
    """Greedy: each next channel is the one with which numpy's least squares explains most, of all readers."""
    features, outputs, blocks = [], [], []
    for reader in measure_readers(model, model, group, inputs, positions=10**6):
        features.append(as_rows(unfold(reader.layer, seen(model, reader.name, inputs)[0])))
        outputs.append(as_rows(seen(model, f"{reader.name}_norm", inputs)[1]))
        blocks.append(reader.blocks.tolist())
    order = []
    while len(order) < group.channels:
        left = [channel for channel in range(group.channels) if channel not in order]
        order.append(max(left, key=lambda channel: explained_with([*order, channel], features, outputs, blocks)))
    return order


def explained_with(channels, features, outputs, blocks):
    """Summed over readers, as shares of their whole."""
    total = 0.0
    for given, made, of in zip(features, outputs, blocks):
        others = sorted({*range(given.shape[1])} - {feature for block in of for feature in block})
        design = given[:, others + [feature for channel in channels for feature in of[channel]]]
        design, made = design - design.mean(0), made - made.mean(0)
        left = made - design @ np.linalg.lstsq(design, made, rcond=None)[0]
        total += 1 - np.square(left).sum() / np.square(made).sum()
    return total


@pytest.mark.parametrize("kind, number", [("dense", 0), ("joined twice", 1), ("joined twice", 0), ("residual", 0)])
def test_channels_are_chosen_as_by_exhaustive_search(kind, number, monkeypatch):
    monkeypatch.setattr("espalier.quant.pruning.cap.TRUST", 1e-12)  # no ridge, as numpy has none
    _, model, inputs = random_network(kind, samples=3 if kind == "residual" else 60)
    group = model.groups()[number]
    readers = measure_readers(model, model, group, inputs, positions=10**6)
    assert rank(group, readers) == brute_force_order(model, group, inputs)


READERS = [
    ("dense", 0, "fc2_norm"),
    ("dense", 1, "fc3"),
    ("residual", 1, "block1_conv2_norm"),
    ("shuffled", 0, "conv2_norm"),
    ("transposed", 3, "up1_norm"),
    ("transposed", 4, "scale"),
    ("joined twice", 1, "merge_norm"),
    ("biased", 2, "fc"),
]


@pytest.mark.parametrize("kind, number, shown", READERS)
def test_compensation_is_least_squares_by_numpy(kind, number, shown, monkeypatch):
    """As seen where a term can be added: scaled to the old variance behind batch normalization, and without a constant
    behind a layer without bias."""
    monkeypatch.setattr("espalier.quant.pruning.cap.TRUST", 1e-9)
    _, reference, inputs = random_network(kind, samples=4 if kind in ("residual", "transposed", "shuffled") else 60)
    model = copy.deepcopy(reference)
    group = model.groups()[number]
    readers = measure_readers(model, reference, group, inputs, positions=10**6)
    reader = next(reader for reader in readers if shown in ("scale", reader.name, f"{reader.name}_norm"))
    features, wanted = (
        as_rows(unfold(reader.layer, seen(model, reader.name, inputs)[0])),
        as_rows(seen(reference, shown, inputs)[1]),
    )
    kept = torch.arange(group.channels) % 2 > 0
    features[:, reader.blocks[~kept].flatten()] = 0
    design = np.concatenate([features, np.full((len(features), 1), shown != "fc3")], 1)
    fitted = design @ np.linalg.lstsq(design, wanted, rcond=None)[0]
    if shown.endswith("norm") and kind != "shuffled":
        mean = wanted.mean(0)
        fitted = mean + (fitted - mean) * wanted.std(0) / fitted.std(0)
    compensate(group, kept, readers)
    np.testing.assert_allclose(as_rows(seen(model, shown, inputs)[1]), fitted, rtol=1e-3, atol=1e-3)  # 32-bit weights


def test_channels_dropped_before_stay_so():
    recipe, model, inputs = random_network("joined")
    cap(model, recipe, inputs, keep=halves(model))
    before = [group.kept for group in model.groups()]
    result = cap(model, recipe, inputs, keep=[max(1, group.channels // 4) for group in model.groups()])
    assert [group.constant for group in result.groups] == [0] * len(before)
    assert not any((group.kept & ~kept).any() for group, kept in zip(model.groups(), before))


def constant_network():
    """With one channel that is always 0, one that always is not, in each of three layers, and inputs."""
    layers = (
        Conv("a", 6, (3, 3), padding=(1, 1)), Activation("act1"),
        Conv("b", 6, (1, 1)), Activation("act2"),
        Conv("c", 6, (3, 3), padding=(1, 1)), Activation("act3"),
        Flatten("flat"), Dense("fc", 4),
    )  # fmt: skip
    recipe = override(
        replace(
            find_recipe("digits-cnn"),
            network=Network("test", Input((1, 6, 6), high=1.0), layers),
            weight_bits=(4,) * 4,
            activation_bits=(4,) * 3,
            keep=(5, 5, 5),
        ),
        weight_bits=32,
        activation_bits=32,
    )
    torch.manual_seed(0)
    model, inputs = QuantNetwork(recipe), torch.rand(64, 1, 6, 6)
    for _ in range(30):
        model(inputs)
    for name in "abc":
        norm = model.get_submodule(f"{name}_norm")
        norm.weight.data[[1, 4]], norm.bias.data[1], norm.bias.data[4] = 0.0, -1.0, 0.7
    return recipe, model.eval(), inputs


def test_constant_channels_go_first_and_change_nothing():
    """Behind padding, or where no bias can be, only those that are 0 are constant."""
    recipe, model, inputs = constant_network()
    wanted = model(inputs).detach()
    result = cap(model, recipe, inputs, keep=[4, 5, 5])
    assert [group.constant for group in result.groups] == [2, 1, 1]
    assert [torch.nonzero(~group.kept).flatten().tolist() for group in model.groups()] == [[1, 4], [1], [1]]
    torch.testing.assert_close(model(inputs), wanted, rtol=1e-3, atol=1e-4)  # weights are rounded to 32 bits
    assert min(group.explained for group in result.groups) > 0.99999


def test_a_group_may_keep_constant_channels():
    recipe, model, inputs = constant_network()
    cap(model, recipe, inputs, keep=[5, 6, 6])
    assert torch.nonzero(~model.groups()[0].kept).flatten().tolist() == [4]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """digits-cnn in real numbers after five epochs, its recipe, and the data."""
    recipe = override(find_recipe("digits-cnn"), weight_bits=32, activation_bits=32, epochs=5, prune=0.5)
    torch.manual_seed(1)
    model, data = QuantNetwork(recipe), load_dataset(recipe, None)
    fit(model, replace(recipe, keep=(16, 32, 32)), data, tmp_path_factory.mktemp("checkpoints"), "")
    return recipe, model.eval(), data


def pruned(trained, **options):
    """A copy of the network, pruned to the recipe's widths by 256 samples, and its accuracy in percent."""
    recipe, model, data = trained
    model = copy.deepcopy(model)
    cap(model, recipe, torch.from_numpy(data.train_inputs[:256]), **options)
    return model, 100 * evaluate(model, recipe, data.test_inputs, data.test_targets)


def test_half_the_channels_go_without_training(trained):
    """By their weights alone nearly all is lost, and nearly nothing once others stand in for them."""
    recipe, model, data = trained
    dense = 100 * evaluate(model, recipe, data.test_inputs, data.test_targets)
    magnitude = copy.deepcopy(model)
    prune_now(magnitude.groups(), recipe.keep, weight_magnitude)
    assert 100 * evaluate(magnitude, recipe, data.test_inputs, data.test_targets) < dense - 40
    assert pruned(trained, importance=weight_magnitude)[1] > dense - 6 and pruned(trained)[1] > dense - 6


def test_explained_variance_chooses_better_than_magnitude(trained):
    keep = (4, 8, 8)
    assert pruned(trained, keep=keep)[1] > pruned(trained, keep=keep, importance=weight_magnitude)[1] + 5


def test_importance_chooses_and_the_rest_is_compensated(trained):
    model, _ = pruned(trained, importance=lambda group: torch.arange(group.channels))
    assert [torch.nonzero(group.kept)[0].item() for group in model.groups()] == [8, 16, 16]


def test_two_runs_are_equal(trained):
    first, second = (pruned(trained)[0].state_dict() for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_masked_and_quantized_network_is_its_compacted_graph_code_by_code(trained, tmp_path):
    recipe, _, data = trained
    model, _ = pruned(trained)
    inputs = data.test_inputs[:100]
    quantized = transfer(
        model, override(recipe, weight_bits=4, activation_bits=4), torch.from_numpy(data.train_inputs[:256])
    )
    truth = record_codes(fold_masks(quantized), torch.from_numpy(inputs))
    imported = import_onnx(export(fold_masks(quantized), torch.from_numpy(inputs[:1]), tmp_path / "m.onnx"))
    codes = quantize_inputs(imported.graph, inputs)
    found = explain_differences(imported, execute(imported.graph, codes, every=True), truth)
    assert (found.unexplained, found.codes) == (0, sum(part.size for name, part in truth.items() if name != "outputs"))
    small, outputs = simplify(imported.graph), execute(imported.graph, codes)
    assert all(np.array_equal(values, outputs[name]) for name, values in execute(small, codes).items())
    assert evaluate(quantized, recipe, data.test_inputs, data.test_targets) > 0.8


def test_a_layer_that_is_compensated_alone(trained):
    """What a benchmark does with masks of its own."""
    _, reference, data = trained
    model = copy.deepcopy(reference)
    group = model.groups()[1]
    readers = measure_readers(model, reference, group, torch.from_numpy(data.train_inputs[:64]))
    compensate(group, keep_first(group, list(range(32)), 20), readers)
    assert int(group.kept.sum()) == 20 and model.groups()[0].kept.all()


def test_errors_say_what_is_wrong():
    recipe, model, inputs = random_network("dense")
    with pytest.raises(GraphError, match="fc1: 1 calibration samples were given; give at least 2, better 256"):
        cap(model, recipe, inputs[:1], keep=[3, 3])
    with pytest.raises(GraphError, match=r"keep: 3 numbers were given; give 2, one per group \(fc1, fc2\)"):
        cap(model, recipe, inputs, keep=[3, 3, 3])
    with pytest.raises(GraphError, match="fc2: 0 channels were to be kept; give 1 to 14"):
        cap(model, recipe, inputs, keep=[3, 0])
    model.get_submodule("fc1").weight.data[0, 0] = torch.nan
    with pytest.raises(GraphError, match="fc2: takes in or gives values that are not finite; train anew"):
        cap(model, recipe, inputs, keep=[3, 3])


def test_weights_of_one_bit_are_an_error():
    recipe = find_recipe("tfc-w1a1")
    with pytest.raises(GraphError, match="fc2: weights of one bit cannot be fitted; give it 2 or more bits, or 32"):
        cap(QuantNetwork(recipe), recipe, torch.rand(4, 784))
