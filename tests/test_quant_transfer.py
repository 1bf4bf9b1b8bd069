"""Trained networks in other numbers."""

import pytest

from espalier.errors import GraphError
from espalier.quant.networks.resnet import resnet8
from espalier.quant.override import override
from espalier.quant.recipes import find_recipe

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch", reason="needs the train extra")
torch.set_num_threads(1)
pytest.importorskip("brevitas", reason="needs the train extra")
pytest.importorskip("sklearn", reason="needs the train extra")

from dataclasses import replace  # noqa: E402

from espalier.quant.evaluate import evaluate  # noqa: E402
from espalier.quant.model import QuantNetwork  # noqa: E402
from espalier.quant.transfer import recalibrate_norms, transfer  # noqa: E402
from trained import train_model  # noqa: E402

FLOAT = override(find_recipe("digits-cnn"), weight_bits=32, activation_bits=32, epochs=4)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A float network and its data."""
    return train_model(FLOAT, tmp_path_factory.mktemp("checkpoints"))


def calibration(dataset):
    return torch.from_numpy(dataset.train_inputs[:256])


def test_eight_bits_score_as_real_numbers_do(trained):
    model, dataset = trained
    made = transfer(model, override(FLOAT, weight_bits=8, activation_bits=8), calibration(dataset))
    wanted = evaluate(model, FLOAT, dataset.test_inputs, dataset.test_targets)
    assert wanted > 0.9
    assert evaluate(made, FLOAT, dataset.test_inputs, dataset.test_targets) == pytest.approx(wanted, abs=0.01)


def test_what_is_not_quantized_is_carried_over_exactly(trained):
    model, dataset = trained
    group = model.groups()[1]
    made = transfer(model, override(FLOAT, weight_bits=4))
    assert all(torch.equal(made.state_dict()[name], tensor) for name, tensor in model.state_dict().items())
    assert torch.equal(made.groups()[1].kept, group.kept)
    again, inputs = transfer(made, FLOAT), calibration(dataset).float()
    assert torch.equal(again(inputs), model(inputs))


def test_the_model_given_is_left_alone(trained):
    model, dataset = trained
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    state = torch.get_rng_state()
    recalibrate_norms(transfer(model, override(FLOAT, weight_bits=1, activation_bits=2), calibration(dataset)),
                      calibration(dataset))  # fmt: skip
    assert all(torch.equal(model.state_dict()[name], tensor) for name, tensor in before.items())
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
def test_the_limit_errs_least(trained, bits):
    model, dataset = trained
    made = transfer(model, override(FLOAT, activation_bits=bits), calibration(dataset))
    seen = []
    model.get_submodule("act2").register_forward_hook(lambda module, given, result: seen.append(result))
    with torch.no_grad():
        model(calibration(dataset).float())
    codes, largest = 2**bits - 1, float(seen[0].max())

    def error(limit):
        step = limit / codes
        return float(((seen[0] / step).round().clamp(0, codes) * step - seen[0]).square().mean())

    with torch.no_grad():
        found = float(made.get_submodule("act2").act_quant.scale()) * codes
    best = min(error(largest * part / 200) for part in range(1, 201))
    assert error(found) <= 1.02 * best
    assert bits == 8 or found < 0.95 * largest  # fewer bits are worth clipping for


def test_quantizers_of_the_same_bits_are_kept_and_others_set(trained):
    model, dataset = trained
    four = transfer(model, override(FLOAT, activation_bits=4), calibration(dataset))
    mixed = transfer(four, override(FLOAT, activation_bits="4,2,4,4"), calibration(dataset))
    with torch.no_grad():
        scales = [[float(made.get_submodule(f"act{n}").act_quant.scale()) for n in (1, 2, 3)] for made in (four, mixed)]
    assert scales[0][0] == scales[1][0] and scales[0][2] == scales[1][2] and 1.5 * scales[0][1] < scales[1][1]


def test_powers_of_two_stay_powers_of_two():
    recipe = override(replace(find_recipe("resnet8"), network=resnet8(4)), weight_bits=32, activation_bits=32)
    torch.manual_seed(0)
    model, inputs = QuantNetwork(recipe), torch.rand(16, 3, 32, 32) * 255
    made = transfer(model, override(recipe, activation_bits=4), inputs)
    with torch.no_grad():
        scales = [float(made.get_submodule(f"block{block}_branch").act_quant.scale()) for block in (1, 2, 3)]
    assert all(torch.log2(torch.tensor(scale)) % 1 == 0 for scale in scales)


def test_bipolar_weights_still_classify(trained):
    model, dataset = trained
    made = transfer(model, override(FLOAT, weight_bits=[32, 1, 1, 32]))
    score = evaluate(made, FLOAT, dataset.test_inputs, dataset.test_targets)
    recalibrate_norms(made, calibration(dataset))
    assert score > 0.3 and evaluate(made, FLOAT, dataset.test_inputs, dataset.test_targets) > 0.6
    assert float(made.get_submodule("conv2").weight.detach().abs().max()) == 1


def test_outputs_keep_their_size_where_the_last_weights_become_bipolar(trained):
    model, dataset = trained
    inputs = calibration(dataset).float()
    bipolar = transfer(model, override(FLOAT, weight_bits=[32, 32, 32, 1]))
    with torch.no_grad():
        assert float(bipolar(inputs).std() / model(inputs).std()) == pytest.approx(1, abs=0.5)
        again = transfer(bipolar, FLOAT)
        assert torch.allclose(again(inputs), model(inputs), rtol=1e-4, atol=1e-3)


def test_recalibrated_norms_have_the_statistics_of_the_data(trained):
    model, dataset = trained
    made = transfer(model, FLOAT)
    sums = []
    made.get_submodule("conv1").register_forward_hook(lambda module, given, result: sums.append(result))
    recalibrate_norms(made, calibration(dataset), batch_size=64)
    norm = made.get_submodule("conv1_norm")
    assert torch.allclose(norm.running_mean, torch.stack([s.mean((0, 2, 3)) for s in sums]).mean(0), atol=1e-5)
    assert torch.allclose(norm.running_var, torch.stack([s.var((0, 2, 3)) for s in sums]).mean(0), rtol=1e-3)
    assert norm.momentum == 0.1 and not made.training and len(sums) == 4


def test_dropped_channels_stay_silent(trained):
    model, dataset = trained
    made = transfer(model, FLOAT)
    group = made.groups()[0]
    group.keep(torch.arange(group.channels) % 2 == 0)
    recalibrate_norms(made, calibration(dataset))
    seen = []
    made.get_submodule("act1").register_forward_hook(lambda module, given, result: seen.append(result))
    made(calibration(dataset).float())
    assert not seen[0][:, 1::2].any() and seen[0][:, ::2].any()


def test_another_network_is_an_error(trained):
    model, _ = trained
    with pytest.raises(GraphError, match=r"fc1.weight: has shape \[128, 784\] .* no such tensor in the model"):
        transfer(model, find_recipe("mnist-mlp"))
    with pytest.raises(GraphError, match="1 samples have no variance to normalize by; give at least 2"):
        recalibrate_norms(model, torch.zeros(1, 1, 8, 8))
