"""Plain PyTorch modules as networks of ours: the same outputs in real numbers, exact integers when quantized."""

import copy

import numpy as np
import pytest

from espalier.errors import GraphError
from espalier.ir import execute, quantize_inputs
from espalier.ir.onnx_import import import_onnx
from espalier.ir.verify import explain_differences
from espalier.quant.networks.coupling import find_couplings
from espalier.quant.networks.factor import factor
from espalier.quant.networks.layers import Activation, Input
from espalier.quant.networks.record import read_network, record_network
from espalier.quant.override import override
from espalier.quant.own_recipe import INPUTS, real_recipe

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch", reason="needs the train extra")
torch.set_num_threads(1)  # threads that wait for each other on busy cores take longer than one
pytest.importorskip("brevitas", reason="needs the train extra")
from torch import nn  # noqa: E402
from torch.nn import functional  # noqa: E402

from espalier.quant.export import export  # noqa: E402
from espalier.quant.from_torch import from_torch, load_weights  # noqa: E402
from espalier.quant.masks import fold_masks  # noqa: E402
from espalier.quant.model import QuantNetwork  # noqa: E402
from espalier.quant.pruning.criteria import spread  # noqa: E402
from espalier.quant.pruning.scheduled import prune_now  # noqa: E402
from espalier.quant.truth import record_codes  # noqa: E402
from own_modules import Enlarger, Perceptron, Residual, Separable, UNet, Vgg, settled  # noqa: E402

DIGITS = INPUTS["digits"]
KINDS = [Vgg, Residual, Separable, UNet, Perceptron, Enlarger]


class Function(nn.Module):
    """A convolution, what ``function`` makes of its maps (batch, 4, 8, 8), and a dense layer."""

    def __init__(self, function, features=256, **parts):
        super().__init__()
        self.conv, self.function, self.fc = nn.Conv2d(1, 4, 3, padding=1), function, nn.Linear(features, 10)
        self.bias = nn.Parameter(torch.ones(1))
        for name, part in parts.items():
            self.add_module(name, part)

    def forward(self, images):
        return self.fc(torch.flatten(self.function(self, self.conv(images)), 1))


def recipe_of(network, **changes):
    return override(real_recipe(network, name="own", dataset="digits", task="classify"), **changes)


def model_of(own, **changes):
    torch.manual_seed(0)
    model = QuantNetwork(recipe_of(own.network, **changes))
    load_weights(model, own.tensors)
    return model.eval()


def random_images(count, given=DIGITS):
    torch.manual_seed(1)
    return torch.randint(0, 256, (count, *given.shape)) / 255 * (given.high - given.low) + given.low


def assert_same_outputs(module, given=DIGITS):
    own = from_torch(module, given)
    images = random_images(20, given)
    inputs = (images - given.low) / (given.high - given.low)
    with torch.no_grad():
        wanted = module.eval()(2 * inputs - 1 if given.signed else inputs)
        found = model_of(own)(images)
    # Sums are made in another order, and factors of normalizations are rounded once more.
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-6 * float(wanted.abs().max()))
    return own.network


@pytest.mark.parametrize("kind", KINDS)
def test_outputs_are_those_of_the_module(kind):
    network = assert_same_outputs(settled(kind))
    assert read_network(record_network(network), "here") == network


@pytest.mark.parametrize("kind", KINDS)
def test_quantized_and_pruned_ones_are_exact_integers(kind, tmp_path):
    own = from_torch(settled(kind), DIGITS)
    model = model_of(own, weight_bits=4, activation_bits=4, prune=0.3).train()
    images = random_images(6)
    for _ in range(3):
        model(images)
    prune_now(model.groups(), recipe_of(own.network, prune=0.3).keep, spread)
    folded = fold_masks(model).eval()
    truth = record_codes(folded, images)
    imported = import_onnx(export(folded, images[:1], tmp_path / "model.onnx"))
    ours = execute(imported.graph, quantize_inputs(imported.graph, images.numpy()), every=True)
    found = explain_differences(imported, ours, truth)
    assert found.unexplained == 0 and found.equal_frames >= 5, found
    assert found.codes >= 0.9 * sum(codes.size for name, codes in truth.items() if name != "outputs")


@pytest.mark.parametrize("bits", [4, 32])
def test_the_terms_of_the_last_layer_reach_the_outputs(bits):
    own = from_torch(settled(Perceptron), DIGITS)
    model = model_of(own, weight_bits=bits, activation_bits=bits)
    images = random_images(5)
    before = model(images)
    model.get_submodule("fc3").bias.detach()[3] += 2
    change = model(images) - before
    torch.testing.assert_close(change, torch.eye(10)[3].expand(5, 10) * 2)


def test_sums_of_a_residual_network_couple_its_layers():
    groups = {group.name: group for group in find_couplings(from_torch(settled(Residual), DIGITS).network)}
    writers = {name: [place.layer for place in group.writers] for name, group in groups.items()}
    assert writers == {
        "conv": ["conv", "blocks_0_conv2"],
        "blocks_0_conv1": ["blocks_0_conv1"],
        "blocks_1_conv1": ["blocks_1_conv1"],
        "blocks_1_conv2": ["blocks_1_conv2", "blocks_1_skip_0"],
    }
    assert [place.layer for place in groups["conv"].readers] == ["blocks_0_conv1", "blocks_1_conv1", "blocks_1_skip_0"]


def test_depthwise_layers_are_coupled_with_those_before_them():
    groups = find_couplings(from_torch(settled(Separable), DIGITS).network)
    assert [place.layer for place in groups[1].writers] == ["first_0", "first_3"]


def test_factors_of_layers_have_names_of_their_own():
    network = from_torch(settled(Residual), DIGITS).network
    layers = factor(network, {layer.name: 2 for layer in network.weighted}).layers
    assert len({layer.name for layer in layers}) == len(layers) == len(network.layers) + 2 * len(network.weighted)


@pytest.mark.parametrize(
    "given", [Input((1, 8, 8), high=255.0, signed=True), Input((1, 8, 8), low=-1.0, high=1.0, signed=True)]
)
def test_signed_inputs_come_as_minus_one_to_one(given):
    module = Function(lambda self, maps: maps.relu())
    own = from_torch(module, given)
    model, images = model_of(own), random_images(5, given)
    found = model.get_submodule("pixels")(model.get_submodule("prepare")(images))
    assert float(found.min()) < -0.9
    torch.testing.assert_close(model(images), module(found))


@pytest.mark.parametrize(
    "last, shape",
    [
        (nn.Sequential(nn.ConvTranspose2d(4, 3, 2, 2), nn.BatchNorm2d(3)), (3, 16, 16)),
        (nn.Sequential(nn.Conv2d(4, 4, 3, groups=4), nn.BatchNorm2d(4)), (4, 6, 6)),
        (nn.Sequential(nn.Flatten(), nn.Linear(256, 7, bias=False), nn.BatchNorm1d(7, affine=False)), (7,)),
        (nn.Sequential(nn.Conv2d(4, 5, 1), nn.ReLU(), nn.AvgPool2d(8), nn.Flatten()), (5,)),
    ],
)
def test_any_layer_may_be_the_last(last, shape):
    network = assert_same_outputs(settled(lambda: nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU6(), last)))
    assert network.shapes()[network.layers[-1].name] == shape and network.biased


@pytest.mark.parametrize(
    "function, features",
    [
        (lambda self, maps: functional.relu6(maps.relu()), 256),
        (lambda self, maps: functional.hardtanh(maps, -0.25, 0.25), 256),
        (lambda self, maps: functional.hardtanh(maps, 0, 0.25), 256),
        (lambda self, maps: functional.avg_pool2d(maps, (2, 4)), 32),
        (lambda self, maps: functional.adaptive_avg_pool2d(maps, (4, 2)), 32),
        (lambda self, maps: functional.adaptive_avg_pool2d(maps, 8).contiguous(), 256),
        (lambda self, maps: maps.mean(dim=[-1, -2], keepdim=True), 4),
        (lambda self, maps: torch.mean(maps, (2, 3)).reshape(-1, 4), 4),
        (lambda self, maps: functional.pixel_shuffle(maps, 2), 256),
        (lambda self, maps: torch.cat([maps, maps.relu()], dim=-3), 512),
        (lambda self, maps: torch.add(maps, maps), 256),
        (lambda self, maps: functional.interpolate(maps, size=(maps.shape[2] * 2, 16)), 1024),
        (lambda self, maps: maps.view(maps.shape[0], maps.size(1) * 64).relu(), 256),
    ],
)
def test_functions_and_methods_are_layers(function, features):
    assert_same_outputs(Function(function, features))


def test_limits_hold_in_real_numbers():
    module = Function(lambda self, maps: functional.relu6(maps))
    nn.init.constant_(module.conv.weight, 4)
    network = assert_same_outputs(module)
    (clipped,) = [layer for layer in network.layers if isinstance(layer, Activation)]
    assert (clipped.limit, clipped.learned) == (6, False)


def test_names_that_a_model_has_for_itself_are_changed():
    names = ["scale", "pixels", "prepare", "steps", "groups", "couplings", "weighted_layers"]
    layers = {name: nn.Conv2d(4, 4, 1) for name in names} | {"scale_norm": nn.Conv2d(4, 4, 1)}

    def forward(self, maps):
        for name in layers:
            maps = self.get_submodule(name)(maps)
        return maps

    network = assert_same_outputs(Function(forward, **layers))
    assert [layer.name for layer in network.weighted[1:4]] == ["scale_2", "pixels_2", "prepare_2"]


def test_the_module_is_left_as_it_is():
    module = settled(Vgg).train()
    before = copy.deepcopy(module.state_dict())
    own = from_torch(module, DIGITS)
    model_of(own).train()(random_images(4))
    assert all(part.training for part in module.modules())
    assert all(torch.equal(tensor, before[name]) for name, tensor in module.state_dict().items())


def test_random_numbers_are_left_as_they_are():
    module, state = settled(Perceptron), torch.get_rng_state()
    from_torch(module, DIGITS)
    assert torch.equal(state, torch.get_rng_state())


def test_the_digest_is_that_of_the_weights():
    module = settled(Perceptron)
    first, again = from_torch(module, DIGITS).digest(), from_torch(copy.deepcopy(module), DIGITS).digest()
    module.fc1.bias.detach()[0] += 1e-6
    assert first == again != from_torch(module, DIGITS).digest()


def test_weights_of_another_network_are_refused():
    own, other = from_torch(settled(Perceptron), DIGITS), from_torch(settled(Vgg), DIGITS)
    with pytest.raises(GraphError, match="features_0.weight: is missing in the model and .4, 1, 3, 3. in the network"):
        load_weights(model_of(own), other.tensors)


ERRORS = {
    r"\(Conv2d\): has groups=2 for 4 input and 4 output channels; use 1, or as many groups": nn.Conv2d(
        4, 4, 1, groups=2
    ),
    r"\(Conv2d\): has dilation=\(2, 2\); use dilation=\(1, 1\)": nn.Conv2d(4, 4, 3, dilation=2, padding=2),
    r"\(Conv2d\): has padding_mode='circular'": nn.Conv2d(4, 4, 3, padding=1, padding_mode="circular"),
    r"\(Conv2d\): has padding='same' for a kernel of \(2, 3\); use odd sizes": nn.Conv2d(4, 4, (2, 3), padding="same"),
    r"\(ConvTranspose2d\): has groups=4; use groups=1": nn.ConvTranspose2d(4, 4, 1, groups=4),
    r"\(MaxPool2d\): has stride=\(1, 1\); use stride=\(3, 3\)": nn.MaxPool2d(3, 1, 1),
    r"\(AvgPool2d\): has padding=\(1, 1\); use padding=\(0, 0\)": nn.AvgPool2d(2, padding=1),
    r"\(MaxPool2d\): has ceil_mode=True; use ceil_mode=False": nn.MaxPool2d(2, ceil_mode=True),
    r"\(AdaptiveAvgPool2d\): makes \(3, 3\) pixels of \(8, 8\); use a size that divides": nn.AdaptiveAvgPool2d(3),
    r"\(Hardtanh\): clips to -2..1; use 0..1 or -1..1": nn.Hardtanh(-2, 1),
    r"\(Upsample\): has mode='bilinear'; use mode='nearest'": nn.Upsample(scale_factor=2, mode="bilinear"),
    r"\(Upsample\): makes \(4, 12, 12\) of \(4, 8, 8\); use one whole factor": nn.Upsample(scale_factor=1.5),
    r"\(Linear\): takes a map of shape \(4, 8, 8\); put Flatten in front of it": nn.Linear(8, 8),
    r"\(Flatten\): makes \(4, 64\) of \(4, 8, 8\); use flatten\(1\)": nn.Flatten(2),
    r"\(GELU\): is no layer; use ReLU, ReLU6 or Hardtanh": nn.GELU(),
    r"\(Softmax\): is no layer; leave it out; the loss contains it": nn.Softmax(dim=1),
    r"\(GroupNorm\): is no layer; use BatchNorm2d": nn.GroupNorm(2, 4),
    r"\(Softshrink\): is no layer; use Conv2d, ConvTranspose2d, Linear, .*or torch.cat": nn.Softshrink(),
    r"\(BatchNorm2d\): has no running statistics; use track_running": nn.BatchNorm2d(4, track_running_stats=False),
    r"\(BatchNorm2d\): does not normalize what one layer": nn.Sequential(nn.ReLU(), nn.BatchNorm2d(4)),
    r"\(BatchNorm2d\): does not normalize what": nn.Sequential(nn.BatchNorm2d(4), nn.BatchNorm2d(4)),
}


@pytest.mark.parametrize("message", ERRORS)
def test_modules_that_are_no_layers_are_named(message):
    module = Function(lambda self, maps: self.conv2(maps), conv2=ERRORS[message])
    module.fc = nn.Identity()
    with pytest.raises(GraphError, match="^own: cannot be made of layers: conv2.*" + message):
        from_torch(module, DIGITS)


@pytest.mark.parametrize(
    "function, message",
    [
        (lambda self, maps: maps * self.bias, r"bias \(tensor\): is no result of a layer; leave constants"),
        (lambda self, maps: maps * 2, r"forward \(mul\): is no layer; sums are all that can be made"),
        (lambda self, maps: maps + 1, r"\(add\): adds a number; use terms of one shape"),
        (lambda self, maps: torch.add(maps, maps, alpha=2), r"\(add\): has alpha=2; use alpha=1"),
        (
            lambda self, maps: maps + maps.mean((2, 3), keepdim=True),
            r"\(add\): adds shapes \(4, 8, 8\) and \(4, 1, 1\)",
        ),
        (lambda self, maps: torch.cat([maps, maps], 2), r"\(cat\): has dim=2; use dim=1"),
        (lambda self, maps: maps.mean(1), r"\(mean\): is over the axes 1 of a batch of \(4, 8, 8\); use that over all"),
        (lambda self, maps: maps.mean(0), r"\(mean\): makes a batch of 4 of one of 3; leave the batch axis"),
        (lambda self, maps: torch.chunk(maps, 2, 1)[0], r"\(chunk\): gives a tuple; use what gives one tensor"),
        (lambda self, maps: functional.dropout(maps), r"\(dropout\): drops values in evaluation too; use nn.Dropout"),
        (lambda self, maps: maps.view(-1, 2, 8, 8), r"\(view\): makes a batch of 6 of one of 3; leave the batch axis"),
        (lambda self, maps: torch.add(maps, maps, out=None), r"\(add\): has arguments that no layer has .*'out'"),
        (lambda self, maps: self.norm(self.norm(maps)), r"norm \(BatchNorm2d\): does not normalize what one"),
        (lambda self, maps: self.conv2(self.conv2(maps)), r"conv2 \(Conv2d\): has weights that conv2 has too"),
        (
            lambda self, maps: self.conv2(maps) + self.tied(maps),
            r"tied \(Conv2d\): has weights that conv2 has too; give each",
        ),
        (lambda self, maps: self.norm(self.conv2(self.norm(maps))), r"norm \(BatchNorm2d\): has weights that norm has"),
        (lambda self, maps: self.norm(maps) + maps, r"norm \(BatchNorm2d\): does not normalize what one layer"),
        (
            lambda self, maps: functional.conv2d(maps, self.conv2.weight),
            r"conv2.weight \(tensor\): is no result .*conv2d",
        ),
    ],
)
def test_functions_that_are_no_layers_are_named(function, message):
    module = Function(function, conv2=nn.Conv2d(4, 4, 1), tied=nn.Conv2d(4, 4, 1), norm=nn.BatchNorm2d(4))
    module.tied.weight = module.conv2.weight
    module.fc = nn.Identity()
    with pytest.raises(GraphError, match=message):
        from_torch(module, DIGITS)


def test_all_problems_are_told_at_once():
    parts = nn.MaxPool2d(2, 1), nn.Conv2d(1, 4, 1), nn.GELU(), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(196, 10)
    with pytest.raises(GraphError) as raised:
        from_torch(nn.Sequential(*parts, nn.Softmax(1)), DIGITS, name="net.py:net")
    assert str(raised.value) == (
        "net.py:net: cannot be made of layers: (1) 0 (MaxPool2d): has stride=(1, 1); use stride=(2, 2); "
        "(2) 2 (GELU): is no layer; use ReLU, ReLU6 or Hardtanh; "
        "(3) 6 (Softmax): is no layer; leave it out; the loss contains it"
    )


class Branching(nn.Module):
    def forward(self, images):
        return images if images.sum() > 0 else -images


class TwoInputs(Function):
    def forward(self, images, others):
        return super().forward(images + others)


class TwoOutputs(Function):
    def forward(self, images):
        return super().forward(images), images


@pytest.mark.parametrize(
    "module, message",
    [
        (Branching(), "own: cannot be traced .TraceError: symbolically traced variables cannot be used as inputs to"),
        (TwoInputs(lambda self, maps: maps), "own: fails on inputs of shape .1, 8, 8. "),
        (TwoOutputs(lambda self, maps: maps), r"own: cannot be made of layers: forward \(output\): gives a tuple"),
        (nn.Linear(64, 10), "own: fails on inputs of shape .1, 8, 8. .RuntimeError: mat1 and mat2 shapes"),
        (nn.Flatten(), "own: has no weights; use at least one Conv2d or Linear"),
    ],
)
def test_modules_of_other_forms_are_refused(module, message):
    with pytest.raises(GraphError, match=message):
        from_torch(module, DIGITS)


def test_weights_that_are_no_numbers_are_named():
    module = settled(Vgg)
    module.features[3].weight.detach()[0, 0, 0, 0] = np.nan
    with pytest.raises(GraphError, match="own: features_3.weight: has weights that are no numbers; train"):
        from_torch(module, DIGITS)


def test_operations_in_place_that_others_see_are_found():
    def forward(self, maps):
        functional.relu(maps, inplace=True)
        return maps

    with pytest.raises(GraphError, match="own: as layers it gives outputs that differ by .*use inplace=False"):
        from_torch(Function(forward), DIGITS)


def test_layers_of_brevitas_are_named():
    import brevitas.nn as qnn

    with pytest.raises(GraphError, match=r"conv2 \(QuantConv2d\): is no layer; use Conv2d"):
        from_torch(Function(lambda self, maps: self.conv2(maps), conv2=qnn.QuantConv2d(4, 4, 1)), DIGITS)
