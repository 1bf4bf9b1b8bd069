import json
import subprocess
import sys
from dataclasses import replace

import pytest

from espalier.errors import BuildError, GraphError
from espalier.quant.override import override
from espalier.quant.recipes import RECIPES, find_recipe, read_recipe

DIGITS = find_recipe("digits-mlp")


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_survives_its_own_options(name):
    recipe = find_recipe(name)
    assert recipe == override(recipe, weight_bits=recipe.weight_bits, prune=recipe.keep, hidden=None)


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_can_be_read_from_its_record(name):
    record = json.loads(json.dumps(find_recipe(name).record()))
    assert read_recipe(record, "recipe.json") == replace(find_recipe(name), help="")


@pytest.mark.parametrize(
    "damage, message",
    [
        (lambda record: record.pop("keep"), "recipe.json: describes no recipe of this version"),
        (lambda record: record["network"]["layers"][0].update(kind="Lstm"), "describes no network .*KeyError: 'Lstm'"),
        (lambda record: record["network"]["layers"][0].update(width=3), "describes no network .*TypeError: .*'width'"),
        (lambda record: record["network"].pop("input"), "describes no network .*KeyError: 'input'"),
    ],
)
def test_a_damaged_record_says_where(damage, message):
    record = json.loads(json.dumps(find_recipe("resnet8").record()))
    damage(record)
    with pytest.raises(BuildError, match=message):
        read_recipe(record, "recipe.json")


def test_unknown_recipe_lists_the_known_ones():
    with pytest.raises(GraphError, match="unknown recipe 'tfc'; known recipes: digits-mlp, digits-cnn, .*, unet"):
        find_recipe("tfc")


@pytest.mark.parametrize(
    "value, bits", [("2", (2, 2, 2)), (8, (8, 8, 8)), ("1,4,8", (1, 4, 8)), ([3, 2, 1], (3, 2, 1))]
)
def test_weight_bits_are_one_for_all_or_one_per_layer(value, bits):
    assert override(DIGITS, weight_bits=value).weight_bits == bits


@pytest.mark.parametrize(
    "value, keep", [(0.5, (32, 24)), ("37", (37, 37)), ("0,0.25", (64, 36)), (1, (1, 1)), (0, (64, 48))]
)
def test_prune_takes_shares_and_numbers(value, keep):
    assert override(DIGITS, prune=value).keep == keep


def test_new_hidden_widths_keep_every_channel():
    recipe = override(DIGITS, hidden="20,30,40")
    assert recipe.keep == tuple(layer.channels for layer in recipe.network.weighted[:-1]) == (20, 30, 40)
    assert len(recipe.weight_bits) == 4 and len(recipe.activation_bits) == 3


@pytest.mark.parametrize(
    "options, message",
    [
        ({"weight_bits": "9"}, "--weight-bits: 9 was given; it must be a whole number from 1 to 8"),
        ({"weight_bits": "0"}, "--weight-bits: 0 was given; it must be a whole number from 1 to 8"),
        ({"activation_bits": "4,16"}, "--activation-bits: 16 was given; it must be a whole number from 1 to 8"),
        ({"input_bits": 2.5}, "--input-bits: 2.5 was given; it must be a whole number from 1 to 8"),
        ({"weight_bits": "4,4"}, "--weight-bits: 2 numbers were given; give one for all, or 3, one per layer"),
        ({"weight_bits": "four"}, "--weight-bits: 'four' is not a list of numbers such as 4 or 4,4,2"),
        ({"weight_bits": "nan"}, "--weight-bits: nan was given; it must be a whole number"),
        ({"hidden": []}, "--hidden: no number was given"),
        ({"hidden": "0,8"}, "--hidden: 0 was given; it must be a whole number from 1 to 65536"),
        ({"prune": "49"}, "--prune: 49 was given for a layer of 48 channels; .* keep, from 1 to 48"),
        ({"prune": -0.5}, "--prune: -0.5 was given for a layer of 64 channels"),
        ({"prune": "1.5"}, "--prune: 1.5 was given"),
        ({"epochs": 0}, "--epochs: 0 was given; it must be a whole number from 1"),
        ({"batch_size": 1}, "--batch-size: 1 was given; it must be a whole number from 2"),
        ({"learning_rate": 0.0}, "--learning-rate: 0.0 was given; it must be above 0"),
        ({"seed": -1}, "--seed: -1 was given"),
        ({"images": 1}, "--images: 1 was given; it must be a whole number from 2"),
    ],
)
def test_bad_options_are_named(options, message):
    with pytest.raises(GraphError, match=message):
        override(DIGITS, **options)


@pytest.mark.parametrize(
    "options, message",
    [
        (
            {"hidden": "64"},
            "--hidden: resnet8 is no perceptron, its layers have fixed channels; leave it out, or .*prune",
        ),
        (
            {"activation_bits": 1},
            "--activation-bits: 1 bit means -1 and .1, but conv0 of resnet8 pads with zeros; give 2",
        ),
        ({"input_bits": 1}, "--input-bits: 1 bit means -1 and .1, but conv0 of resnet8 pads with zeros"),
        ({"prune": "1,2"}, r"2 numbers .*or 6, one per group of channels \(conv0, block1_conv1, block2_conv1, "),
        ({"weight_bits": "4,4"}, r"2 numbers .*or 10, one per layer \(conv0, block1_conv1, block1_conv2, "),
        ({"activation_bits": "4,4"}, r"2 numbers .*or 11, one per activation \(act0, block1_act1, block1_branch, "),
    ],
)
def test_options_that_do_not_fit_the_network_are_named(options, message):
    with pytest.raises(GraphError, match=message):
        override(find_recipe("resnet8"), **options)


def test_bipolar_activations_need_no_padding():
    assert override(find_recipe("cnv-w2a2"), activation_bits=1, input_bits=1).activation_bits == (1,) * 8


def test_every_recipe_is_recorded_without_loss():
    records = [json.dumps(recipe.record()) for recipe in RECIPES.values()]
    assert len(set(records)) == len(RECIPES) and all("help" not in json.loads(record) for record in records)


def test_recipes_load_without_torch():
    code = "import sys, espalier.quant.recipes, espalier.quant.override; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
