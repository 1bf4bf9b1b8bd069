"""Discrimination-aware channel pruning: its scores by brute force, its choices on every kind of network."""

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from espalier.errors import BuildError, GraphError
from espalier.ir import execute, quantize_inputs, simplify
from espalier.ir.onnx_import import import_onnx
from espalier.ir.verify import explain_differences
from espalier.quant.override import override

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch", reason="needs the train extra")
torch.set_num_threads(1)  # threads that wait for each other on busy cores take longer than one
pytest.importorskip("brevitas", reason="needs the train extra")

from dcp_cases import FAST, NETWORKS, data_of, model_of, prune, recipe_of  # noqa: E402
from espalier.quant.checkpoint import load_last_checkpoint, save_checkpoint  # noqa: E402
from espalier.quant.export import export  # noqa: E402
from espalier.quant.masks import fold_masks  # noqa: E402
from espalier.quant.model import QuantNetwork  # noqa: E402
from espalier.quant.pruning.criteria import spread  # noqa: E402
from espalier.quant.pruning.dcp import dcp  # noqa: E402
from espalier.quant.pruning.dcp_options import DcpOptions  # noqa: E402
from espalier.quant.pruning.scheduled import prune_now  # noqa: E402
from espalier.quant.transfer import transfer  # noqa: E402
from espalier.quant.truth import record_codes  # noqa: E402


def test_the_choice_grows():
    options = replace(FAST, channels_per_round=1)
    choices = [prune(keep=(4, count, 5), options=options)[2].choices[0] for count in (1, 2, 5)]
    assert [len(choice.losses) for choice in choices] == [2, 3, 6]
    for small, large in pairwise(choices):
        assert large.kept[: len(small.kept)] == small.kept and large.losses[: len(small.losses)] == small.losses


@pytest.mark.parametrize("kind", NETWORKS)
def test_as_many_channels_are_kept_as_asked_on_every_kind_of_network(kind):
    recipe, model, result = prune(kind)
    groups = model.groups()
    assert result.keep == recipe.keep == tuple(int(group.kept.sum()) for group in groups)
    for choice in result.choices:
        group = next(group for group in groups if group.name == choice.name)
        assert sorted(choice.kept) == torch.nonzero(group.kept).flatten().tolist()
        for part in (*(writer.weights for writer in group.writers), *group.readers):
            assert not part.weights(group.channels)[~group.kept].any()
        assert all(part.weights(group.channels)[group.kept].any() for part in group.readers)


@pytest.mark.parametrize("kind", ["residual", "joined"])
def test_no_auxiliary_loss_stays_in_the_model(kind):
    recipe, model, result = prune(kind)
    assert result.places and model.state_dict().keys() == QuantNetwork(recipe).state_dict().keys()
    assert not model.training and all(parameter.grad is None for parameter in model.parameters())
    assert not any(module._forward_hooks for module in model.modules())


def test_groups_are_pruned_in_the_order_of_their_last_readers():
    *_, result = prune("residual")
    names = ["block1_conv1", "block2_conv1", "conv0", "block3_conv1", "block2_conv2", "block3_conv2"]
    assert [choice.name for choice in result.choices] == names
    places = {choice.name: choice.place for choice in result.choices}
    assert result.places == ("block1_add", "block2_add")
    assert places["block1_conv1"] == "block1_add" and places["conv0"] == places["block2_conv1"] == "block2_add"
    assert places["block3_conv1"] == "scale"


def test_all_that_is_kept_is_left_as_it_is():
    recipe, model, result = prune(keep=(4, 6, 5), options=replace(FAST, auxiliary_epochs=0))
    assert result.choices == () and torch.equal(model.conv2.weight, model_of(recipe).conv2.weight)


def test_adaptive_stopping_finds_how_many_channels_matter():
    recipe = recipe_of("perceptron")
    model = model_of(recipe)
    with torch.no_grad():
        model.fc2_norm.weight[:-1] = model.fc2_norm.bias[:-1] = 0  # the others are always 0
        model.fc2_norm.bias[-1] = 3
    options = replace(FAST, lam=0.0, eps=1e-3, auxiliary_epochs=0, channels_per_round=1)
    result = dcp(model, recipe, data_of(recipe), None, options)
    assert result.keep[1] == 2 < result.keep[0]
    assert result.choices[1].kept[0] == 4 and len(result.choices[1].losses) == 3


def test_keep_is_the_most_where_stopping_is_adaptive():
    *_, result = prune(keep=(2, 3, 1), options=replace(FAST, eps=0.0))
    assert all(found <= most for found, most in zip(result.keep, (2, 3, 1)))


@pytest.mark.parametrize("keep, eps, found", [((1, 3, 5), None, (2, 4, 5)), (None, 0.9, (2, 2, 2))])
def test_numbers_of_channels_are_rounded_up(keep, eps, found):
    assert prune(keep=keep, options=replace(FAST, round_to=2, eps=eps, channels_per_round=1))[2].keep == found


def test_channels_dropped_before_stay_dropped():
    recipe = recipe_of("chain")
    model = model_of(recipe)
    prune_now(model.groups(), (3, 4, 5), spread)
    before = [group.kept for group in model.groups()]
    result = dcp(model, recipe, data_of(recipe), (2, 4, 3), FAST)
    assert result.keep == (2, 4, 3) and torch.equal(model.groups()[1].kept, before[1])
    for group, kept in zip(model.groups(), before):
        assert not (group.kept & ~kept).any()
        assert not any(writer.weights.weights(group.channels)[~group.kept].any() for writer in group.writers)


def test_two_runs_are_equal_and_the_seed_counts():
    models = []
    for seed in (1, 1, 2):
        recipe = recipe_of("chain")
        model = model_of(recipe)
        torch.manual_seed(seed)
        dcp(model, recipe, data_of(recipe), recipe.keep, FAST)
        models.append(model.conv3.weight)
    assert torch.equal(models[0], models[1]) and not torch.equal(models[0], models[2])


@pytest.mark.parametrize("groups_done", [0, 1, 2, 3])
def test_a_stopped_run_continues_to_the_same_model(groups_done, tmp_path):
    def on_group(checkpoint):
        if checkpoint.epoch <= groups_done:
            save_checkpoint(tmp_path, checkpoint, "digest")

    recipe, model, result = prune(on_group=on_group)
    after = torch.rand(1)
    other = model_of(recipe, seed=7)
    again = dcp(other, recipe, data_of(recipe), recipe.keep, FAST, start=load_last_checkpoint(tmp_path, "digest"))
    assert again == result and torch.equal(torch.rand(1), after)
    assert all(torch.equal(one, two) for one, two in zip(model.state_dict().values(), other.state_dict().values()))


def test_progress_reaches_the_end_of_each_part():
    states = []
    prune(progress=states.append)
    assert [state.part for state in states if state.done == state.total] == [0, 1, 2, 3]
    assert [state.name for state in states if state.done == state.total] == ["", "conv1", "conv2", "conv3"]
    assert {state.parts for state in states} == {4}


@pytest.mark.parametrize("kind", ["residual", "joined", "depthwise"])
def test_the_integer_graph_without_dropped_channels_gives_the_codes_of_the_masked_model(kind, tmp_path):
    recipe, model, _ = prune(kind)
    inputs = torch.from_numpy(data_of(recipe).train_inputs)[:6]
    narrow = transfer(model, override(recipe, weight_bits=4, activation_bits=4), inputs)
    folded = fold_masks(narrow).eval()
    truth = record_codes(folded, inputs)
    assert torch.equal(narrow(inputs), folded(inputs))
    imported = import_onnx(export(folded, inputs[:1], tmp_path / "model.onnx"))
    codes = quantize_inputs(imported.graph, inputs.numpy())
    found = explain_differences(imported, execute(imported.graph, codes, every=True), truth)
    assert found.unexplained == 0 and found.equal_frames >= 5, found
    before, after = execute(imported.graph, codes), execute(simplify(imported.graph), codes)
    assert all(np.array_equal(before[name], after[name]) for name in before)


def test_quantized_networks_are_refused():
    recipe = override(recipe_of("chain"), activation_bits="32,4,32,32")
    with pytest.raises(GraphError, match="act2: has 4 bits, but DCP follows gradients of real numbers; prune"):
        dcp(QuantNetwork(recipe), recipe, data_of(recipe), recipe.keep, FAST)


@pytest.mark.parametrize(
    "keep, message",
    [
        (None, "dcp: neither keep nor eps is given; give"),
        ((2, 3), r"keep: 2 numbers were given; give 3, one per group \(conv1, conv2, conv3\)"),
        ((2, 3, 6), "conv3: 6 channels were to be kept; give 1 to 5"),
        ((2, 0, 5), "conv2: 0 channels were to be kept; give 1 to 6"),
    ],
)
def test_impossible_widths_are_refused(keep, message):
    recipe = recipe_of("chain")
    with pytest.raises(GraphError, match=message):
        dcp(model_of(recipe), recipe, data_of(recipe), keep, FAST)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"lam": -1.0}, "dcp: lam is -1.0; it must be at least 0"),
        ({"lam": math.nan}, "dcp: lam is nan"),
        ({"auxiliary": -1}, "dcp: auxiliary is -1; it must be at least 0"),
        ({"round_to": 0}, "dcp: round_to is 0; it must be at least 1"),
        ({"channels_per_round": 0}, "dcp: channels_per_round is 0"),
        ({"selection_lr": 0.0}, "dcp: selection_lr is 0.0; it must be above 0 and below 10"),
        ({"eps": 1.5}, "dcp: eps is 1.5; it must be from 0 to below 1, or None"),
    ],
)
def test_impossible_options_are_refused(options, message):
    with pytest.raises(GraphError, match=message):
        DcpOptions(**options)


def test_a_loss_that_is_no_number_stops_and_says_where():
    recipe = recipe_of("chain")
    data = replace(data_of(recipe), train_inputs=np.full((16, 1, 8, 8), np.nan, np.float32))
    with pytest.raises(GraphError, match=r"step 1 of 2: the loss is nan; lower auxiliary_lr, now 0.002"):
        dcp(model_of(recipe), recipe, data, recipe.keep, FAST)
    with pytest.raises(GraphError, match=r"conv1: the loss is nan; lower selection_lr, now 0.03"):
        dcp(model_of(recipe), recipe, data, recipe.keep, replace(FAST, auxiliary_epochs=0))


def test_a_checkpoint_of_another_network_is_refused():
    found = []
    prune("perceptron", on_group=found.append)
    recipe = recipe_of("chain")
    with pytest.raises(BuildError, match="checkpoint: conv1.weight is missing"):
        dcp(model_of(recipe), recipe, data_of(recipe), recipe.keep, FAST, start=found[0])
