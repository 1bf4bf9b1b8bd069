"""CaP within a budget: the search for widths keeps to it, and is the same each time."""

import copy
from dataclasses import replace

import pytest

from espalier.errors import GraphError
from espalier.quant.data import load_dataset
from espalier.quant.networks.autoencoder import autoencoder
from espalier.quant.override import override
from espalier.quant.recipes import find_recipe

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch", reason="needs the train extra")
torch.set_num_threads(1)  # threads that wait for each other on busy cores take longer than one
pytest.importorskip("brevitas", reason="needs the train extra")

from espalier.quant.evaluate import evaluate  # noqa: E402
from espalier.quant.fit import fit  # noqa: E402
from espalier.quant.model import QuantNetwork  # noqa: E402
from espalier.quant.pruning.cap_search import search  # noqa: E402


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """digits-mlp in real numbers after five epochs, its recipe, and the data."""
    recipe = override(find_recipe("digits-mlp"), weight_bits=32, activation_bits=32, epochs=5, prune=0)
    torch.manual_seed(1)
    model, data = QuantNetwork(recipe), load_dataset(recipe, None)
    fit(model, recipe, data, tmp_path_factory.mktemp("checkpoints"), "")
    return recipe, model.eval(), data


def searched(trained, **options):
    """A copy of the network after the search, what came of it, and the trials."""
    recipe, model, data = trained
    inputs, targets = torch.from_numpy(data.train_inputs), torch.from_numpy(data.train_targets)
    model, trials = copy.deepcopy(model), []
    held = inputs[256:756], targets[256:756]
    return model, search(model, recipe, inputs[:256], *held, progress=trials.append, **options), trials


@pytest.mark.parametrize("max_drop", [0, 2, 20])
def test_the_score_stays_within_the_budget(trained, max_drop):
    model, result, trials = searched(trained, max_drop=max_drop)
    recipe, _, data = trained
    assert evaluate(model, recipe, data.train_inputs[256:756], data.train_targets[256:756]) == result.scores[-1]
    for number, score in enumerate(result.scores):
        assert score >= result.scores[0] - max_drop / 100 * number / 2
    assert [group.kept for group in result.groups] == [int(group.kept.sum()) for group in model.groups()]
    assert all(trial.threshold == result.scores[0] - max_drop / 100 * trial.number / 2 for trial in trials)


def test_more_drop_leaves_fewer_channels(trained):
    kept = [sum(group.kept for group in searched(trained, max_drop=drop)[1].groups) for drop in (0.2, 3, 30)]
    assert 112 > kept[0] > kept[1] > kept[2]


def test_the_least_width_that_succeeded_is_left(trained):
    _, result, trials = searched(trained, max_drop=2, steps=7)
    for group in result.groups:
        made = {trial.keep: trial.score >= trial.threshold for trial in trials if trial.group == group.name}
        assert group.kept == min(keep for keep, succeeded in made.items() if succeeded) and len(made) <= 7
        assert group.kept == 1 or made.get(group.kept - 1) is False  # bisected to the end


def test_widths_are_multiples(trained):
    _, result, trials = searched(trained, max_drop=3, round_to=12)
    assert {trial.keep % 12 for trial in trials if trial.keep != 64} == {0}
    assert all(group.kept % 12 == 0 for group in result.groups)


def test_a_group_that_can_lose_nothing_stays_as_it_is(trained):
    """The network's own answers are the targets, so that every other one is an error."""
    recipe, reference, data = trained
    inputs, model = torch.from_numpy(data.train_inputs), copy.deepcopy(reference)
    trials = []
    options = {"max_drop": 0, "steps": 1, "excluded": ("fc2",), "progress": trials.append}
    result = search(model, recipe, inputs[:256], inputs[256:], reference(inputs[256:]).argmax(1), **options)
    assert [(trial.keep, trial.score < 1) for trial in trials] == [(32, True)]
    assert result.scores == (1, 1) and result.groups[0].kept == 64
    assert all(torch.equal(a, b) for a, b in zip(model.state_dict().values(), reference.state_dict().values()))


def test_the_budget_of_images_is_in_decibels():
    recipe = replace(find_recipe("autoencoder"), network=autoencoder(2, 2))
    model, images = QuantNetwork(override(recipe, weight_bits=32, activation_bits=32)), torch.rand(8, 1, 28, 28) * 255
    trials = []
    result = search(model, recipe, images, images, images / 255, max_drop=4, steps=1, progress=trials.append)
    found = [result.scores[0] - trial.threshold for trial in trials]
    assert found == pytest.approx([4 * number / 5 for number in range(1, 6)])


def test_excluded_layers_keep_all(trained):
    model, result, _ = searched(trained, max_drop=5, excluded=("fc1",))
    assert [group.name for group in result.groups] == ["fc2"] and model.groups()[0].kept.all()


def test_constant_channels_are_dropped_first(trained):
    recipe, model, data = trained
    model = copy.deepcopy(model)
    model.fc1_norm.weight.data[:5], model.fc1_norm.bias.data[:5] = 0.0, 0.3
    _, result, trials = searched((recipe, model, data), max_drop=0, steps=1)
    assert trials[0].keep == 59 and trials[0].score == result.scores[0]
    assert (result.groups[0].constant, result.groups[0].kept) == (5, 59)


def test_two_searches_are_equal(trained):
    first, second = (searched(trained, max_drop=2) for _ in range(2))
    assert first[1:] == second[1:]
    assert all(torch.equal(a, b) for a, b in zip(first[0].state_dict().values(), second[0].state_dict().values()))


@pytest.mark.parametrize(
    "options, message",
    [
        ({"max_drop": -1}, "max_drop: -1 points were given; give 0 or more"),
        ({"max_drop": float("nan")}, "max_drop: nan points"),
        ({"max_drop": 1, "round_to": 0}, "round_to, steps: 0 and 5 were given; both must be at least 1"),
    ],
)
def test_errors_say_what_is_wrong(trained, options, message):
    with pytest.raises(GraphError, match=message):
        searched(trained, **options)
