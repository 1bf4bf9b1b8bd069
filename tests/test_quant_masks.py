from dataclasses import replace

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from espalier.errors import GraphError
from espalier.quant.networks.autoencoder import autoencoder
from espalier.quant.networks.cnv import cnv
from espalier.quant.networks.espcn import espcn
from espalier.quant.networks.resnet import resnet8
from espalier.quant.networks.separable import ds_cnn
from espalier.quant.networks.unet import unet
from espalier.quant.override import override
from espalier.quant.recipes import find_recipe

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch", reason="needs the train extra")
torch.set_num_threads(1)  # threads that wait for each other on busy cores take longer than one
pytest.importorskip("brevitas", reason="needs the train extra")

from espalier.quant.export import export  # noqa: E402
from espalier.quant.masks import describe_masks, fold_masks  # noqa: E402
from espalier.quant.model import QuantNetwork  # noqa: E402
from espalier.quant.pruning.criteria import spread  # noqa: E402
from espalier.quant.pruning.scheduled import prune_now  # noqa: E402
from espalier.quant.truth import record_codes  # noqa: E402


def small(name, network, prune):
    """A recipe with a smaller network, pruned."""
    recipe = replace(find_recipe(name), network=network)
    recipe = override(recipe, prune=prune)
    bits = {"weight_bits": (4,) * len(network.weighted), "activation_bits": (4,) * len(network.activations)}
    return recipe if recipe.network.family == "cnv" else replace(recipe, **bits)


PERCEPTRONS = {
    "unsigned": override(find_recipe("digits-mlp"), prune="37,11"),
    "bipolar": override(find_recipe("tfc-w1a1"), prune="37,1,64"),
    "signed": override(find_recipe("tfc-w2a2"), prune="5,60,20"),
}
RECIPES = PERCEPTRONS | {
    "flattened": small("cnv-w1a1", cnv(4), 0.5),
    "residual": small("resnet8", resnet8(5), "3,4,7,5,11,20"),
    "depthwise": small("ds-cnn", ds_cnn(7), "3,7,5,1,4"),
    "transposed": small("autoencoder", autoencoder(6, 3), "5,7,2,4,3"),
    "joined": small("unet", unet(5), 0.5),
    "shuffled": small("espcn", espcn(3, 8, 8), 0.25),
}


def pruned_model(kind):
    """A model as after some training: random weights and norms, masks at their final widths."""
    recipe = RECIPES[kind]
    torch.manual_seed(3)
    model = QuantNetwork(recipe)
    given = recipe.network.input
    shape = 16, *given.shape
    for _ in range(3):
        model(torch.rand(shape) * (given.high - given.low) + given.low)
    for group in model.groups():
        for writer in group.writers:
            torch.nn.init.normal_(writer.norm.weight)
            torch.nn.init.normal_(writer.norm.bias)
    prune_now(model.groups(), recipe.keep, spread)
    return model.eval(), torch.rand(shape) * (given.high - given.low) + given.low


@pytest.mark.parametrize("kind", RECIPES)
def test_masks_keep_as_many_channels_as_asked(kind):
    model, _ = pruned_model(kind)
    assert tuple(entry["kept"] for entry in describe_masks(model.groups())) == RECIPES[kind].keep


@pytest.mark.parametrize("kind", RECIPES)
def test_folding_changes_no_output(kind):
    model, inputs = pruned_model(kind)
    assert torch.equal(model(inputs), fold_masks(model)(inputs))


@pytest.mark.parametrize("kind", RECIPES)
def test_dropped_channels_are_silent_behind_every_mask(kind):
    model, inputs = pruned_model(kind)
    for group in model.groups():
        for writer in group.writers:
            found = []
            hook = writer.mask.register_forward_hook(lambda module, given, result, found=found: found.append(result))
            model(inputs)
            hook.remove()
            channels = found[0].detach()[:, writer.start : writer.start + group.channels]
            assert not channels[:, ~group.kept].any() and channels[:, group.kept].any()


@pytest.mark.parametrize("kind", [kind for kind in RECIPES if kind not in ("bipolar", "flattened")])
def test_weights_of_dropped_channels_do_nothing(kind):
    model, inputs = pruned_model(kind)
    before = model(inputs)
    for group in model.groups():
        for part in (*(writer.weights for writer in group.writers), *group.readers):
            weights = part.weights(group.channels)
            assert not weights[~group.kept].any()
            # As large as what is there, so that the scale stays.
            weights[~group.kept] = weights.abs().min()
    assert torch.equal(model(inputs), before)


@pytest.mark.parametrize("kind", PERCEPTRONS)
def test_dropped_channels_are_constant(kind):
    model, inputs = pruned_model(kind)
    codes = [array for name, array in record_codes(fold_masks(model), inputs).items() if "act" in name]
    for group, array in zip(model.groups(), codes, strict=True):
        assert np.unique(array[:, ~group.kept.numpy()]).tolist() in ([], [1 if kind == "bipolar" else 0])


@pytest.mark.parametrize("kind", ["unsigned", "signed"])
def test_exported_weights_of_dropped_channels_are_zero(kind, tmp_path):
    model, inputs = pruned_model(kind)
    graph = onnx.load(export(fold_masks(model), inputs[:1], tmp_path / "m.onnx")).graph
    weights = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    for number, group in enumerate(model.groups(), 1):
        dropped = ~group.kept.numpy()
        assert not weights[f"fc{number}.weight"][dropped].any()
        assert not weights[f"fc{number + 1}.weight"][:, dropped].any()
    assert not [node.name for node in graph.node if "mask" in node.name]


def test_dropped_channels_do_not_sway_the_scale():
    model, _ = pruned_model("unsigned")
    group = model.groups()[0]
    scale = model.fc2.quant_weight().scale
    assert torch.isclose(scale, model.fc2.weight[:, group.kept].abs().max() / 7)


def test_the_least_important_channels_go_first():
    group = pruned_model("signed")[0].groups()[1]
    importance = spread(group)
    prune_now([group], [10], spread)
    assert set(torch.nonzero(group.kept).flatten().tolist()) <= set(torch.argsort(importance)[-10:].tolist())


def test_dropped_channels_do_not_come_back():
    group = pruned_model("signed")[0].groups()[0]
    before = group.kept
    prune_now([group], [4], lambda group: torch.rand(group.channels))
    assert int(group.kept.sum()) == 4 and not (group.kept & ~before).any()


def test_a_mask_that_empties_a_group_is_an_error():
    group = pruned_model("signed")[0].groups()[0]
    with pytest.raises(GraphError, match="fc1: none of its 64 channels would be left; keep at least one"):
        group.keep(~group.kept)
    assert int(group.kept.sum()) == 5


def test_channels_that_are_only_masked_come_back():
    model, inputs = pruned_model("unsigned")
    before, group = model(inputs), model.groups()[0]
    all_of_them = group.kept
    group.mask(all_of_them & (torch.rand(group.channels) < 0.5))
    assert not torch.equal(model(inputs), before)
    group.mask(all_of_them)
    assert torch.equal(model(inputs), before)
