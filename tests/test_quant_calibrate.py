"""Post-training quantization by calibration alone."""

import pytest

from espalier.quant.override import override
from espalier.quant.recipes import find_recipe

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch", reason="needs the train extra")
torch.set_num_threads(1)
pytest.importorskip("brevitas", reason="needs the train extra")
pytest.importorskip("sklearn", reason="needs the train extra")

from espalier.quant.calibrate import NormCorrection, calibrate, clip_weights  # noqa: E402
from espalier.quant.evaluate import evaluate  # noqa: E402
from espalier.quant.transfer import transfer  # noqa: E402
from trained import train_model  # noqa: E402

FLOAT = override(find_recipe("digits-cnn"), weight_bits=32, activation_bits=32, epochs=4)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    return train_model(FLOAT, tmp_path_factory.mktemp("checkpoints"))


def score(model, dataset):
    return evaluate(model, FLOAT, dataset.test_inputs, dataset.test_targets)


@pytest.mark.parametrize("quantizer", ["learned", "statistics", "statistics-po2"])
@pytest.mark.parametrize("bits, drop", [(8, 0.01), (4, 0.03)])
def test_moderate_bits_need_no_training(trained, quantizer, bits, drop):
    model, dataset = trained
    recipe = override(FLOAT, weight_bits=bits, activation_bits=bits, quantizer=quantizer)
    made = calibrate(model, recipe, torch.from_numpy(dataset.train_inputs[:256]))
    assert score(made, dataset) >= score(model, dataset) - drop


@pytest.mark.parametrize("bits", [2, 3])
def test_few_bits_are_better_calibrated_than_taken_over(trained, bits):
    model, dataset = trained
    recipe, inputs = override(FLOAT, weight_bits=bits, activation_bits=bits), torch.from_numpy(dataset.train_inputs)
    assert score(calibrate(model, recipe, inputs[:256]), dataset) > score(
        transfer(model, recipe, inputs[:256]), dataset
    )


@pytest.mark.parametrize("quantizer", ["learned", "statistics"])
@pytest.mark.parametrize("per_channel", [True, False])
@pytest.mark.parametrize("bits", [2, 4, 8])
def test_clipped_weights_err_least(trained, quantizer, per_channel, bits):
    model, _ = trained
    recipe = override(FLOAT, weight_bits=bits, quantizer=quantizer, per_channel=per_channel)
    layer = transfer(model, recipe).get_submodule("conv2")
    given = layer.weight.detach().clone()

    def errors(weights):
        layer.weight.detach().copy_(weights)
        return (layer.quant_weight().value.detach() - given).square().flatten(1).sum(1)

    plain = errors(given)
    largest = given.abs().amax((1, 2, 3), keepdim=True) if per_channel else given.abs().max()
    tried = [errors(given.clamp(-largest * part / 40, largest * part / 40)) for part in range(1, 41)]
    best = torch.stack(tried).amin(0) if per_channel else torch.stack(tried).sum(1).min()
    layer.weight.detach().copy_(given)
    clip_weights(layer)
    found = errors(layer.weight.detach().clone())
    assert torch.allclose(found if per_channel else found.sum(), best, rtol=1e-4)
    assert bits == 8 or found.sum() < plain.sum()


def test_normalizations_keep_what_they_gathered_in_training(trained):
    model, dataset = trained
    made = transfer(model, FLOAT)
    made.get_submodule("conv1").weight.detach().mul_(2)
    NormCorrection(model, torch.from_numpy(dataset.train_inputs[:64])).apply(made)
    for name, factor in (("conv1_norm", 2), ("conv2_norm", 1), ("conv3_norm", 1)):
        norm, wanted = made.get_submodule(name), model.get_submodule(name)
        assert torch.allclose(norm.running_mean, wanted.running_mean * factor, rtol=1e-3, atol=1e-3)
        assert torch.allclose(norm.running_var, wanted.running_var * factor**2, rtol=1e-3, atol=1e-5)


def test_layers_that_keep_their_bits_keep_their_weights(trained):
    model, dataset = trained
    inputs = torch.from_numpy(dataset.train_inputs[:256])
    four = calibrate(model, override(FLOAT, weight_bits=4, activation_bits=4), inputs)
    mixed = calibrate(four, override(FLOAT, weight_bits="4,2,4,4", activation_bits=4), inputs)
    same = {name: torch.equal(four.get_submodule(name).weight, mixed.get_submodule(name).weight)
            for name in ("conv1", "conv2", "conv3", "fc")}  # fmt: skip
    assert same == {"conv1": True, "conv2": False, "conv3": True, "fc": True}


def test_dropped_channels_stay_dropped(trained):
    model, dataset = trained
    pruned = transfer(model, FLOAT)
    for group in pruned.groups():
        group.keep(torch.arange(group.channels) % 2 == 0)
    made = calibrate(
        pruned, override(FLOAT, weight_bits=2, activation_bits=4), torch.from_numpy(dataset.train_inputs[:256])
    )
    for group in made.groups():
        assert not group.kept[1::2].any()
        for part in (*(writer.weights for writer in group.writers), *group.readers):
            assert not part.weights(group.channels)[1::2].any()


def test_calibration_is_the_same_again(trained):
    model, dataset = trained
    recipe, inputs = override(FLOAT, weight_bits=3, activation_bits=3), torch.from_numpy(dataset.train_inputs[:64])
    first, second = (calibrate(model, recipe, inputs).state_dict() for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)
