"""Bits per layer for a budget."""

import pytest

from espalier.errors import GraphError
from espalier.quant.override import override
from espalier.quant.recipes import find_recipe

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch", reason="needs the train extra")
torch.set_num_threads(1)
pytest.importorskip("brevitas", reason="needs the train extra")
pytest.importorskip("sklearn", reason="needs the train extra")

from espalier.quant.calibrate import calibrate  # noqa: E402
from espalier.quant.density import density_of  # noqa: E402
from espalier.quant.evaluate import evaluate  # noqa: E402
from espalier.quant.widths import allocate_widths  # noqa: E402
from trained import train_model  # noqa: E402

FLOAT = override(find_recipe("digits-mlp"), hidden="12,8", weight_bits=32, activation_bits=32, epochs=12)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    return train_model(FLOAT, tmp_path_factory.mktemp("checkpoints"))


def samples(dataset, count=400):
    return torch.from_numpy(dataset.train_inputs[:count]), torch.from_numpy(dataset.train_targets[:count])


def mbit(recipe, bits, kept=None):
    return mbit_of(override(recipe, weight_bits=bits, activation_bits=bits), kept)


def mbit_of(recipe, kept=None):
    density = density_of(recipe, kept or {})
    return density.weight_mbit + density.feature_mbit


def test_the_budget_is_met_and_just_so(trained):
    model, dataset = trained
    budget = mbit(FLOAT, 4)
    told = []
    found = allocate_widths(model, FLOAT, *samples(dataset), budget_mbit=budget, calibration=100, progress=told.append)
    assert found.mbit == mbit_of(found.recipe) <= budget < found.trace[-2].mbit
    assert list(found.trace) == told and found.trace[-1].mbit == found.mbit
    assert len(found.trace) == sum(8 - bits for bits in (*found.recipe.weight_bits, *found.recipe.activation_bits))


def test_bits_are_left_where_they_help(trained):
    model, dataset = trained
    inputs, targets = samples(dataset)
    budget = (mbit(FLOAT, 2) + mbit(FLOAT, 3)) / 2
    found = allocate_widths(model, FLOAT, inputs, targets, budget_mbit=budget, calibration=100)
    bits = {"weight_bits": (2, 3, 3), "activation_bits": (2, 2)}
    assert budget >= mbit_of(override(FLOAT, **bits)) and bits["weight_bits"] != found.recipe.weight_bits
    other = calibrate(model, override(FLOAT, **bits), inputs[:100])
    with torch.no_grad():
        loss = float(torch.nn.functional.cross_entropy(other(inputs[100:].float()), targets[100:]))
    assert found.trace[-1].loss < 0.9 * loss


def test_each_decision_is_measured_as_it_says(trained):
    model, dataset = trained
    inputs, targets = samples(dataset)
    found = allocate_widths(model, FLOAT, inputs, targets, budget_mbit=mbit(FLOAT, 4), calibration=100)
    made = calibrate(model, found.recipe, inputs[:100])
    assert 100 * evaluate(made, FLOAT, inputs[100:].numpy(), targets[100:].numpy()) == found.trace[-1].score


def test_a_drop_is_not_exceeded(trained):
    model, dataset = trained
    found = allocate_widths(model, FLOAT, *samples(dataset), max_drop=1.0, calibration=100)
    assert min(decision.score for decision in found.trace) >= found.score - 1.0
    assert mbit(FLOAT, 2) < found.mbit < mbit(FLOAT, 6)


def test_the_last_bits_save_no_more_than_they_have_to(trained):
    model, dataset = trained
    budget = mbit(FLOAT, 3)
    found = allocate_widths(model, FLOAT, *samples(dataset), budget_mbit=budget, calibration=100)
    assert 0.95 * budget < found.mbit <= budget  # one bit of each weight of fc1 is a quarter of it


def test_the_same_widths_are_chosen_again(trained):
    model, dataset = trained
    first, second = (
        allocate_widths(model, FLOAT, *samples(dataset, 200), budget_mbit=mbit(FLOAT, 5), calibration=50)
        for _ in range(2)
    )
    assert first == second


def test_dropped_channels_take_no_memory(trained, tmp_path):
    model, dataset = trained
    pruned = calibrate(model, FLOAT, samples(dataset)[0])
    for group in pruned.groups():
        group.keep(torch.arange(group.channels) < group.channels // 2)
    found = allocate_widths(pruned, FLOAT, *samples(dataset, 200), budget_mbit=mbit(FLOAT, 3), calibration=50)
    kept = {group.name: group.channels // 2 for group in pruned.groups()}
    assert mbit(FLOAT, 7, kept) < mbit(FLOAT, 5)
    assert found.mbit == mbit_of(found.recipe, kept)


@pytest.mark.parametrize(
    "options, message",
    [
        ({}, "the widths need one limit: give either a budget in Mbit or the largest drop"),
        ({"budget_mbit": 1.0, "max_drop": 1.0}, "the widths need one limit"),
        (
            {"budget_mbit": 0.0001, "calibration": 50},
            r"--budget: 0.0001 Mbit cannot be met; 0.00[0-9]* Mbit are left at 2 bits",
        ),
        (
            {"budget_mbit": 1.0},
            "200 samples are too few to choose widths by; give at least 512, of which 256 calibrate",
        ),
    ],
)
def test_limits_that_cannot_be_met_are_named(trained, options, message):
    model, dataset = trained
    with pytest.raises(GraphError, match=message):
        allocate_widths(model, FLOAT, *samples(dataset, 200), **options)
