import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from espalier.quant.recipes import find_recipe, override

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch", reason="needs the train extra")
pytest.importorskip("brevitas", reason="needs the train extra")

from espalier.quant.export import export  # noqa: E402
from espalier.quant.masks import describe_masks, fold_masks  # noqa: E402
from espalier.quant.model import QuantMLP  # noqa: E402
from espalier.quant.prune import channels_in_epoch, keep_largest, magnitude, prune_groups  # noqa: E402
from espalier.quant.truth import record_codes  # noqa: E402

RECIPES = {
    "unsigned": override(find_recipe("digits-mlp"), prune="37,11"),
    "bipolar": override(find_recipe("tfc-w1a1"), prune="37,1,64"),
    "signed": override(find_recipe("tfc-w2a2"), prune="5,60,20"),
}


def pruned_model(kind):
    """A model as after some training: random weights and norms, masks at their final widths."""
    recipe = RECIPES[kind]
    torch.manual_seed(3)
    model = QuantMLP(recipe)
    for _ in range(3):
        model(torch.rand(50, recipe.inputs) * recipe.peak)
    for group in model.groups():
        torch.nn.init.normal_(group.norm.weight)
        torch.nn.init.normal_(group.norm.bias)
    prune_groups(model.groups(), recipe.keep, 9, 10)
    return model.eval(), torch.rand(40, recipe.inputs) * recipe.peak


@pytest.mark.parametrize("kind", RECIPES)
def test_masks_keep_as_many_channels_as_asked(kind):
    model, _ = pruned_model(kind)
    assert tuple(entry["kept"] for entry in describe_masks(model.groups())) == RECIPES[kind].keep


@pytest.mark.parametrize("kind", RECIPES)
def test_folding_changes_no_output(kind):
    model, inputs = pruned_model(kind)
    assert torch.equal(model(inputs), fold_masks(model)(inputs))


@pytest.mark.parametrize("kind", RECIPES)
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
    importance = magnitude(group)
    keep_largest(group, importance, 10)
    assert set(torch.nonzero(group.kept).flatten().tolist()) <= set(torch.argsort(importance)[-10:].tolist())


def test_dropped_channels_do_not_come_back():
    group = pruned_model("signed")[0].groups()[0]
    before = group.kept
    keep_largest(group, torch.rand(64), 4)
    assert int(group.kept.sum()) == 4 and not (group.kept & ~before).any()


@pytest.mark.parametrize("epochs", [1, 2, 5, 60])
def test_widths_fall_to_the_target_in_time(epochs):
    widths = [channels_in_epoch(64, 37, epoch, epochs) for epoch in range(epochs)]
    assert widths == sorted(widths, reverse=True) and widths[-1] == 37
    assert epochs < 5 or widths[epochs * 3 // 5 - 1] == 37
