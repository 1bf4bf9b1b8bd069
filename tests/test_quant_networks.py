import math
from dataclasses import replace

import numpy as np
import pytest

from espalier.errors import GraphError
from espalier.quant.networks.coupling import Coupling, Place, find_couplings
from espalier.quant.networks.espcn import espcn
from espalier.quant.networks.layers import (
    Activation,
    Add,
    Concat,
    Conv,
    Dense,
    DepthwiseConv,
    Flatten,
    Input,
    MaxPool,
    Network,
    PixelShuffle,
)
from espalier.quant.networks.separable import mobilenet
from espalier.quant.override import override
from espalier.quant.recipes import RECIPES, find_recipe
from qonnx_oracle import run_qonnx

WEIGHTS = {  # by the papers; ResNet-8 without, DS-CNN with ten instead of twelve classes, both without biases
    "cnv-w1a1": 1_542_848,
    "resnet8": 77_360,
    "ds-cnn": 21_888,
    "mobilenet": 210_160,
    "tfc-w1a1": 59_008,
}
SHAPES = {"autoencoder": (1, 28, 28), "espcn": (1, 64, 64), "unet": (1, 28, 28)}


def network(*layers, shape=(4, 8, 8)):
    return Network("test", Input(shape, high=1.0), layers)


def couplings(*layers):
    return find_couplings(network(*layers, Flatten("flat"), Dense("last", 3)))


@pytest.mark.parametrize("name", RECIPES)
def test_results_have_the_right_shape(name):
    shapes = find_recipe(name).network.shapes()
    assert shapes[find_recipe(name).network.layers[-1].name] == SHAPES.get(name, (10,))


def test_depthwise_channels_go_with_their_input():
    found = couplings(Conv("a", 6, (1, 1)), DepthwiseConv("b", (3, 3)), Conv("c", 5, (1, 1)))
    assert found[0] == Coupling("a", 6, (Place("a", 0), Place("b", 0)), (Place("c", 0),))
    assert found[1] == Coupling("c", 5, (Place("c", 0),), (Place("last", 0, 36),))


def test_sums_couple_their_terms():
    found = couplings(
        Conv("a", 6, (1, 1)), Conv("b", 6, (1, 1)), Conv("c", 6, (1, 1)), Add("sum", sources=("a", "c")),
        Conv("d", 6, (1, 1), sources=("a",)), Add("more", sources=("sum", "d")),
    )  # fmt: skip
    assert [(group.name, [place.layer for place in group.writers]) for group in found] == [
        ("a", ["a", "c", "d"]),
        ("b", ["b"]),
    ]


def test_joined_channels_lie_side_by_side():
    found = couplings(
        Conv("a", 6, (1, 1)), Conv("b", 5, (1, 1), sources=("",)), Concat("both", sources=("b", "a")),
        DepthwiseConv("each", (3, 3)), MaxPool("pool", (2, 2)),
    )  # fmt: skip
    assert found[0] == Coupling("a", 6, (Place("a", 0), Place("each", 5)), (Place("last", 45, 9),))
    assert found[1] == Coupling("b", 5, (Place("b", 0), Place("each", 0)), (Place("last", 0, 9),))


@pytest.mark.parametrize(
    "layers",
    [
        (DepthwiseConv("a", (3, 3)),),
        (Conv("a", 4, (1, 1)), Add("sum", sources=("", "a"))),
        (Conv("a", 8, (1, 1)), PixelShuffle("shuffle", 2)),
    ],
)
def test_channels_that_others_count_on_stay(layers):
    assert couplings(*layers) == ()


def test_sums_of_other_joins_are_refused():
    layers = (
        Conv("a", 2, (1, 1)), Conv("b", 3, (1, 1), sources=("",)), Concat("ab", sources=("a", "b")),
        Concat("ba", sources=("b", "a")), Add("sum", sources=("ab", "ba")),
    )  # fmt: skip
    with pytest.raises(GraphError, match="sum: adds channels that were joined in different ways"):
        couplings(*layers)


@pytest.mark.parametrize(
    "layers, message",
    [
        ((Conv("a", 2, (9, 3)),), r"a: its kernel \(9, 3\) is larger than the 8x8 pixels"),
        ((Dense("a", 2),), r"a: takes a vector, but a map of shape \(4, 8, 8\) comes in; flatten it"),
        ((Conv("a", 2, (3, 3)), Add("sum", sources=("", "a"))), "sum: adds up shapes"),
        ((Conv("a", 2, (3, 3)), Concat("join", sources=("", "a"))), "join: joins shapes"),
        ((PixelShuffle("a", 3),), "a: 4 channels are no multiple of 9"),
    ],
)
def test_layers_that_do_not_fit_are_named(layers, message):
    with pytest.raises(GraphError, match=message):
        network(*layers).shapes()


torch = pytest.importorskip("torch", reason="needs the train extra")
torch.set_num_threads(1)  # threads that wait for each other on busy cores take longer than one
pytest.importorskip("brevitas", reason="needs the train extra")

from espalier.quant.export import export  # noqa: E402
from espalier.quant.masks import fold_masks  # noqa: E402
from espalier.quant.model import QuantNetwork  # noqa: E402
from espalier.quant.tasks import augment, find_task  # noqa: E402
from espalier.quant.truth import record_codes  # noqa: E402

pytestmark = pytest.mark.torch


def random_inputs(recipe, count):
    given = recipe.network.input
    inputs = torch.rand(count, *given.shape) * (given.high - given.low) + given.low
    return torch.round(inputs) if given.high == 255 else inputs


def settled_model(recipe):
    """A model with normalizations that have seen data."""
    torch.manual_seed(1)
    model = QuantNetwork(recipe)
    model(random_inputs(recipe, 4))
    return model.eval()


@pytest.mark.parametrize("name", WEIGHTS)
def test_networks_have_as_many_weights_as_published(name):
    recipe = find_recipe(name)
    model = QuantNetwork(recipe)
    layers = [model.get_submodule(layer.name) for layer in recipe.network.weighted]
    assert sum(math.prod(layer.weight.shape) for layer in layers) == WEIGHTS[name]


@pytest.mark.parametrize("name", ["cnv-w1a1", "cnv-w2a2", "resnet8", "ds-cnn", "autoencoder", "espcn", "unet"])
def test_readers_of_the_file_compute_what_the_model_does(name, tmp_path):
    recipe = find_recipe(name)
    model = fold_masks(settled_model(recipe))
    inputs = random_inputs(recipe, 2)
    found = run_qonnx(export(model, inputs[:1], tmp_path / "m.onnx"), inputs.numpy())["outputs"]
    with torch.no_grad():
        wanted = model(inputs).numpy()
    # Other software sums in another order; a code that is off by one moves an output by a thousand times as much.
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6 * np.abs(wanted).max())


def test_a_narrow_mobilenet_builds(tmp_path):
    recipe = override(replace(find_recipe("mobilenet"), network=mobilenet(0.02)), prune=0.5)
    model = settled_model(recipe)
    assert model(random_inputs(recipe, 2)).shape == (2, 10)


def test_sums_add_codes_of_one_power_of_two():
    recipe = find_recipe("resnet8")
    model = settled_model(recipe)
    scale = model.block1_branch.act_quant.scale().item()
    assert math.frexp(scale)[0] == 0.5
    codes = record_codes(model, random_inputs(recipe, 2))
    assert [name for name in codes if "block1_branch" in name] == ["03_block1_branch", "04_block1_branch"]


@pytest.mark.parametrize("per_channel", [False, True])
def test_the_last_layer_has_one_scale(per_channel):
    model = QuantNetwork(override(find_recipe("ds-cnn"), per_channel=per_channel))
    scales = [model.get_submodule(name).quant_weight().scale.numel() for name in ("depth1", "fc")]
    assert scales == [64 if per_channel else 1, 1]


def test_super_resolution_starts_as_a_copy_and_learns_from_there():
    recipe = replace(find_recipe("espcn"), network=espcn(2, 8, 16))
    torch.manual_seed(0)
    model = QuantNetwork(recipe)
    inputs = torch.full((1, 1, 16, 16), 200.0)
    outputs = model(inputs)[..., 8:-8, 8:-8].detach()
    assert abs(float(outputs.mean()) - 200 / 255) < 0.5 and not model.train().conv1_norm.training


def test_augmented_images_are_moved_and_mirrored():
    torch.manual_seed(0)
    images = torch.arange(12.0).reshape(1, 1, 3, 4).repeat(64, 1, 1, 1)
    found = augment(images, flip=True, shift=(1, 0))
    assert found.shape == images.shape and len(torch.unique(found, dim=0)) == 6
    assert torch.equal(augment(images, flip=False, shift=(0, 0)), images)


@pytest.mark.parametrize(
    "task, outputs, targets, score",
    [
        ("classify", [[1.0, 2.0], [1.0, 2.0]], [1, 0], 0.5),
        ("copy", [[0.9, 7.0]], [[1.0, 1.0]], 10 * math.log10(2 / 0.01)),
        ("segment", [[1.0, 1.0, -1.0, -1.0]], [[1.0, 0.0, 1.0, 0.0]], 1 / 3),
    ],
)
def test_scores_are_what_their_names_say(task, outputs, targets, score):
    found = find_task(task)
    assert math.isclose(found.score(*found.count(torch.tensor(outputs), torch.tensor(targets), 0)), score, rel_tol=1e-6)


def test_the_margin_of_images_does_not_count():
    image = torch.zeros(1, 1, 6, 6)
    image[..., 0] = 1
    task = find_task("enlarge")
    assert task.count(image, torch.zeros_like(image), 1) == (0, 16)


def test_activations_may_share_a_quantizer():
    layers = (
        Conv("a", 3, (1, 1)), Activation("act", power_of_two=True), Conv("b", 3, (1, 1)),
        Activation("again", shares="act"), Flatten("flat"), Dense("last", 2),
    )  # fmt: skip
    recipe = replace(
        find_recipe("unet"), task="classify", network=network(*layers), weight_bits=(4, 4, 4), activation_bits=(3,)
    )
    codes = record_codes(settled_model(recipe), torch.rand(5, 4, 8, 8))
    assert list(codes) == ["00_pixels", "01_act", "02_act", "outputs"] and codes["02_act"].max() <= 7
