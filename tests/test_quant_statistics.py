"""Quantizers to running statistics: what they compute, what gradients they pass, and codes equal after import."""

from dataclasses import replace

import numpy as np
import pytest

from espalier.errors import GraphError
from espalier.ir import execute, quantize_inputs
from espalier.ir.onnx_import import import_onnx
from espalier.ir.verify import explain_differences
from espalier.quant.networks.autoencoder import autoencoder
from espalier.quant.networks.cnn import cnn
from espalier.quant.networks.layers import Activation, AveragePool, Conv, Dense, Flatten, Input, Network
from espalier.quant.networks.resnet import resnet8
from espalier.quant.networks.separable import ds_cnn
from espalier.quant.networks.unet import unet
from espalier.quant.override import override
from espalier.quant.recipes import find_recipe, read_recipe

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch", reason="needs the train extra")
torch.set_num_threads(1)
pytest.importorskip("brevitas", reason="needs the train extra")

from espalier.quant.export import export  # noqa: E402
from espalier.quant.masks import fold_masks  # noqa: E402
from espalier.quant.model import QuantNetwork  # noqa: E402
from espalier.quant.pruning.criteria import spread  # noqa: E402
from espalier.quant.pruning.scheduled import prune_now  # noqa: E402
from espalier.quant.statistics_quantizers import (  # noqa: E402
    GROUPED_AFTER,
    RunningMax,
    RunningRange,
    group_scales,
)
from espalier.quant.truth import record_codes  # noqa: E402

SIGNED = Network(
    "own",
    Input((1, 8, 8), high=16.0),
    (
        Conv("conv1", 6, (3, 3), padding=(1, 1)),
        Activation("signed", signed=True),
        Conv("conv2", 5, (3, 3), (2, 2), (1, 1)),
        Activation("act"),
        AveragePool("pool", (4, 4)),
        Activation("mean", signed=True),
        Flatten("flatten"),
        Dense("fc", 10),
    ),
)


def weights_of(bits=4, shape=(), power_of_two=False, delay=0, groups=None):
    return RunningMax(bits, shape, power_of_two, delay, groups)


def values_of(bits=4, power_of_two=False, delay=0, limit=3.0, both_signs=True):
    return RunningRange(bits, power_of_two, delay, limit, both_signs)


def test_weights_take_the_whole_range_of_codes():
    quantizer = weights_of(3)
    values, scale, zero, bits = quantizer(torch.tensor([-2.0, -0.3, 0.2, 0.74, 0.76, 1.9]))
    assert (float(scale), float(zero), float(bits)) == (0.5, 0, 3)
    assert (values / scale).tolist() == [-4, -1, 0, 1, 2, 3]


def test_the_scale_is_the_running_mean_of_the_largest_magnitude_of_each_channel():
    quantizer, seen = weights_of(4, (3, 1, 1, 1)), torch.randn(5, 3, 2, 3, 3)
    for weights in seen:
        quantizer(weights)
    quantizer.eval()
    _, scale, _, _ = quantizer(seen[0] * 100)  # evaluation changes nothing
    assert torch.allclose(scale.flatten() * 8, seen.abs().amax((2, 3, 4)).mean(0))


def test_weights_that_never_trained_are_quantized_by_themselves():
    quantizer = weights_of(2).eval()
    assert quantizer(torch.tensor([-1.0, 0.2, 1.0]))[0].tolist() == [-1.0, 0.0, 0.5]


def test_transposed_weights_have_their_channels_second():
    quantizer = weights_of(8, (1, 3, 1, 1))
    weights = torch.randn(5, 3, 2, 2)
    assert torch.equal(quantizer(weights)[1].flatten() * 128, weights.abs().amax((0, 2, 3)))


def test_the_range_of_activations_is_the_running_mean_of_batches_and_holds_zero():
    quantizer = values_of(4)
    for batch in ([1.0, 2.0], [-3.0, 4.0], [-3.0, -1.0]):
        quantizer(torch.tensor(batch))
    assert (float(quantizer.low), float(quantizer.high)) == (-2.0, 2.0)


def test_training_has_a_real_zero_point_and_evaluation_an_integer_one():
    quantizer = values_of(2)
    batch = torch.tensor([-1.0, 0.0, 0.9, 2.3])
    values, scale, zero, _ = quantizer(batch)
    step = 3.3 / 4
    assert torch.allclose(values, torch.tensor([-1.0, -1 + step, -1 + 2 * step, -1 + 3 * step]))
    assert torch.allclose(zero, torch.tensor(1 / step))
    values, scale, zero, _ = quantizer.eval()(batch)
    assert zero == 1 and torch.equal(values, torch.tensor([-1.0, 0.0, 1.0, 2.0]) * scale)


@pytest.mark.parametrize("low, high", [(-1.0, 0.0), (-1.0, 1e-6), (0.0, 1.0), (-0.4, 5.0), (0.0, 0.0)])
def test_zero_is_always_a_code(low, high):
    quantizer = values_of(3).eval()
    quantizer.set_range(low, high)
    values, _, zero, _ = quantizer(torch.tensor([0.0]))
    assert values == 0 and zero == int(zero) and 0 <= zero <= 7


@pytest.mark.parametrize("largest", [0.9, 1.0, 1.2, 1.5, 1.9])
def test_powers_of_two_are_rounded_and_not_cut_off(largest):
    scale = weights_of(4, power_of_two=True)(torch.tensor([largest]))[1]
    assert float(scale) == 2.0 ** round(float(torch.tensor(largest / 8).log2()))
    scale = values_of(4, power_of_two=True, both_signs=False)(torch.tensor([0.0, largest]))[1]
    assert float(scale) == 2.0 ** round(float(torch.tensor(largest / 16).log2()))


def test_gradients_pass_inside_the_range_only():
    quantizer = values_of(2).eval()
    quantizer.set_range(-1.0, 3.0)
    values = torch.tensor([-1.2, -1.0, 0.3, 2.9, 3.0, 3.1], requires_grad=True)
    quantizer(values)[0].sum().backward()
    assert values.grad.tolist() == [0, 1, 1, 1, 1, 0]
    weights = torch.tensor([-1.2, -1.0, 0.3, 1.0, 1.1], requires_grad=True)
    quantizer = weights_of(2).eval()
    quantizer.largest.fill_(1.0)
    quantizer.steps.fill_(1)
    quantizer(weights)[0].sum().backward()
    assert weights.grad.tolist() == [0, 1, 1, 1, 0]


@pytest.mark.parametrize("quantizer", [weights_of(2, delay=2), values_of(2, delay=2)])
def test_a_delay_leaves_training_alone_and_forgets_what_was_before(quantizer):
    batches = [torch.tensor([-0.7, 8.0]), torch.tensor([-0.7, 8.0]), torch.tensor([-0.7, 1.0])]
    alone = [torch.equal(quantizer(batch)[0], batch) for batch in batches[:2]]
    assert alone == [True, True] and not torch.equal(quantizer.eval()(batches[0])[0], batches[0])
    values, scale, _, _ = quantizer.train()(batches[2])
    assert not torch.equal(values, batches[2]) and float(scale) < 1


def test_scales_are_grouped_once_and_share_their_mean():
    quantizer = weights_of(4, (6, 1), delay=3, groups=2)
    sizes = torch.tensor([1.0, 8.0, 1.2, 8.4, 0.0, 0.8])[:, None]
    for _ in range(3 + GROUPED_AFTER - 1):
        before = quantizer(sizes)[1]
    after = quantizer(sizes)[1]
    assert torch.allclose(before * 8, sizes, atol=1e-5)
    assert torch.allclose(after.flatten() * 8, torch.tensor([1.0, 8.2, 1.0, 8.2, 0.0, 1.0]), atol=1e-5)
    assert torch.equal(quantizer(sizes)[1], quantizer.eval()(sizes)[1])


def test_groups_are_no_more_than_scales():
    assert group_scales(torch.tensor([3.0, 0.0, 2.0]), 2).tolist() == [0, 1, 2]
    assert len(set(group_scales(torch.rand(40), 4).tolist())) == 4


def trained(recipe, steps=4):
    """A model after some steps, a third of its channels pruned, and inputs."""
    torch.manual_seed(2)
    model = QuantNetwork(recipe)
    given = recipe.network.input
    inputs = torch.rand(6, *given.shape) * (given.high - given.low) + given.low
    inputs = torch.round(inputs) if given.high > 1 else inputs
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    prune_now(model.groups(), [max(1, group.channels * 2 // 3) for group in model.groups()], spread)
    for _ in range(steps):
        optimizer.zero_grad()
        model(inputs).square().mean().backward()
        optimizer.step()
        for group in model.groups():
            group.hold()
    return fold_masks(model).eval(), inputs


NETWORKS = {
    "signed": ("digits-cnn", SIGNED),
    "cnn": ("digits-cnn", cnn(Input((1, 8, 8), high=16.0), (7, 9, 12))),
    "resnet8": ("resnet8", resnet8(4)),
    "ds-cnn": ("ds-cnn", ds_cnn(8)),
    "autoencoder": ("autoencoder", autoencoder(4, 2)),
    "unet": ("unet", unet(4)),
    "mlp": ("digits-mlp", find_recipe("digits-mlp").network),
}


def recipe_of(name, **options):
    base, network = NETWORKS[name]
    bits = (4,) * len(network.weighted), (4,) * len(network.activations)
    recipe = replace(find_recipe(base), network=network, weight_bits=bits[0], activation_bits=bits[1])
    return override(recipe, **options)


@pytest.mark.parametrize("quantizer", ["statistics", "statistics-po2"])
@pytest.mark.parametrize("name", NETWORKS)
def test_imported_codes_are_those_of_brevitas(name, quantizer, tmp_path):
    bits = ["4", "8", "2", "3", "4", "3", "4", "4", "4", "4", "4", "4", "4"]
    network = NETWORKS[name][1]
    recipe = recipe_of(
        name, quantizer=quantizer, per_channel=True, weight_bits=[float(b) for b in bits[: len(network.weighted)]],
        activation_bits=[float(b) for b in bits[1 : 1 + len(network.activations)]],
    )  # fmt: skip
    model, inputs = trained(recipe)
    imported = import_onnx(export(model, inputs[:1], tmp_path / "model.onnx"))
    truth = record_codes(model, inputs)
    ours = execute(imported.graph, quantize_inputs(imported.graph, inputs.numpy()), every=True)
    found = explain_differences(imported, ours, truth)
    assert found.unexplained == 0 and found.equal_frames >= 5, found
    assert found.codes >= 0.9 * sum(codes.size for name, codes in truth.items() if name != "outputs")
    if quantizer == "statistics-po2":
        with torch.no_grad():
            scales = [m.act_quant.scale() for m in model.modules() if hasattr(m, "act_quant")][1:]
        assert all(float(scale.log2()) % 1 == 0 for scale in scales)


def test_zeros_around_an_asymmetric_map_are_its_zero_point(tmp_path):
    model, inputs = trained(recipe_of("signed", quantizer="statistics"))
    graph = import_onnx(export(model, inputs[:1], tmp_path / "model.onnx")).graph
    with torch.no_grad():
        zero = int(model.get_submodule("signed").act_quant.zero_point())
    padded = [node for node in graph.nodes if getattr(node, "pad_value", 0)]
    assert 0 < zero < 15 and [node.pad_value for node in padded] == [zero]


def test_fixed_and_bipolar_quantizers_stay():
    recipe = override(find_recipe("tfc-w1a2"), quantizer="statistics")
    model = QuantNetwork(recipe)
    assert not any(isinstance(part, RunningMax | RunningRange) for part in model.modules())


def test_a_dense_layer_has_one_scale():
    model = QuantNetwork(recipe_of("mlp", quantizer="statistics", per_channel=True))
    assert all(part.largest.shape == () for part in model.modules() if isinstance(part, RunningMax))


def test_shared_quantizers_wait_as_many_steps_as_others():
    recipe = recipe_of("resnet8", quantizer="statistics", delays="5,3")
    model = QuantNetwork(recipe)
    inputs = torch.rand(4, 3, 32, 32) * 255
    for _ in range(3):
        model(inputs)
    quantizers = [part for part in model.modules() if isinstance(part, RunningRange)]
    assert all(int(part.steps) == part.delay for part in quantizers)
    assert {part.delay for part in model.modules() if isinstance(part, RunningMax)} == {5}


def test_options_are_recorded_where_they_are_chosen():
    plain = find_recipe("digits-cnn")
    chosen = override(plain, quantizer="statistics-po2", delays="20,10", scale_groups=4)
    assert "quantizer" not in plain.record() and chosen.record()["delays"] == [20, 10]
    assert read_recipe(chosen.record(), "") == replace(chosen, help="")


@pytest.mark.parametrize(
    "options, message",
    [
        ({"quantizer": "exact"}, "--quantizer: 'exact' is unknown; give one of learned, statistics, statistics-po2"),
        ({"quantizer": "statistics", "delays": "1,2,3"}, "--delays: 3 numbers were given; give one for all, or 2"),
        ({"quantizer": "statistics", "delays": -1}, "--delays: -1 was given; it must be a whole number from 0"),
        ({"delays": 5}, "--delays: is not for learned scales; add --quantizer statistics"),
        ({"scale_groups": 4}, "--scale-groups: is not for learned scales; add --quantizer statistics"),
        (
            {"quantizer": "statistics", "scale_groups": 4, "per_channel": False},
            "--scale-groups: a layer has only one scale per tensor; add --per-channel",
        ),
    ],
)
def test_bad_options_are_named(options, message):
    with pytest.raises(GraphError, match=message):
        override(find_recipe("digits-cnn"), **options)


def test_codes_are_clamped_for_real():
    model, inputs = trained(recipe_of("signed", quantizer="statistics", weight_bits=2, activation_bits=2))
    codes = [array for name, array in record_codes(model, inputs * 50).items() if name not in ("outputs", "00_pixels")]
    assert all(array.min() >= 0 and array.max() <= 3 for array in codes)
    weight = model.get_submodule("conv2").quant_weight()
    assert set(torch.unique(torch.round(weight.value / weight.scale)).tolist()) <= {-2, -1, 0, 1}
    assert np.isfinite(float(weight.scale.max()))
