"""How rankings of channels change behind pruned ones."""

from dataclasses import replace

import pytest

from espalier.errors import GraphError
from espalier.quant.networks.cnn import cnn
from espalier.quant.networks.layers import Activation, Add, Conv, Dense, Flatten, Input, Network
from espalier.quant.networks.resnet import resnet8
from espalier.quant.networks.separable import ds_cnn
from espalier.quant.networks.unet import unet
from espalier.quant.override import override
from espalier.quant.recipes import find_recipe

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch", reason="needs the train extra")
torch.set_num_threads(1)
pytest.importorskip("brevitas", reason="needs the train extra")

from espalier.quant.model import QuantNetwork  # noqa: E402
from espalier.quant.pruning.criteria import CRITERIA  # noqa: E402
from espalier.quant.pruning.rankings import kendall_tau, levenshtein, measure_drift, order_of  # noqa: E402

L1 = CRITERIA["activation-l1"]
NETWORKS = {
    "digits-cnn": cnn(Input((1, 8, 8), high=16.0), (8, 12, 16)),
    "resnet8": resnet8(4),
    "ds-cnn": ds_cnn(8),
    "unet": unet(4),
    "residual": Network(
        "residual",
        Input((1, 8, 8), high=16.0),
        (
            Conv("conv1", 6, (3, 3), padding=(1, 1)), Activation("act1"), Conv("conv2", 6, (3, 3), padding=(1, 1)),
            Add("sum", sources=("conv2", "act1")), Activation("act2"), Flatten("flatten"), Dense("fc", 10),
        ),
    ),
}  # fmt: skip
READ = {
    "digits-cnn": {"conv2": ("conv1",), "conv3": ("conv2",)},
    "resnet8": {
        "block1_conv1": ("conv0",),
        "block2_conv1": ("conv0",),
        "block2_conv2": ("conv0", "block2_conv1"),  # its shortcut reads conv0
        "block3_conv1": ("block2_conv2",),
        "block3_conv2": ("block2_conv2", "block3_conv1"),
        "conv0": ("block1_conv1",),
    },
    "ds-cnn": {f"point{block}": (f"point{block - 1}" if block > 1 else "conv0",) for block in range(1, 5)},
    "unet": {
        "down2": ("down1",), "middle": ("down2",), "up2": ("middle",), "merge2": ("down2", "up2"), "up1": ("merge2",),
        "merge1": ("down1", "up1"),
    },
    "residual": {},  # conv2 reads conv1, but their channels go together
}  # fmt: skip


def real_model(name="digits-cnn"):
    """A network of real numbers whose normalizations have seen data, and that data."""
    torch.manual_seed(4)
    recipe = override(replace(find_recipe("digits-cnn"), network=NETWORKS[name]), weight_bits=32, activation_bits=32)
    model, given = QuantNetwork(recipe), recipe.network.input
    inputs = torch.rand(24, *given.shape) * (given.high - given.low) + given.low
    for group in model.groups():
        for writer in group.writers:
            torch.nn.init.uniform_(writer.norm.weight, 0.2, 2.0)
            torch.nn.init.uniform_(writer.norm.bias)  # no channel is dead: two such would tie
    for _ in range(20):
        model(inputs)
    return model, inputs


def halved(model):
    return [group.channels // 2 for group in model.groups()]


@pytest.mark.parametrize(
    "first, second, tau",
    [
        ([1.0, 2, 3, 4], [5.0, 6, 8, 9], 1.0),
        ([1.0, 2, 3, 4], [4.0, 3, 2, 1], -1.0),
        ([1.0, 2, 3, 4], [1.0, 2, 4, 3], 2 / 3),
        ([1.0, 1, 2], [1.0, 2, 3], 2 / 3),  # the tied pair counts as 0, among the pairs too
        ([1.0, 1, 1], [1.0, 1, 1], 0.0),
    ],
)
def test_tau_counts_pairs_in_the_same_order(first, second, tau):
    assert kendall_tau(torch.tensor(first), torch.tensor(second)) == pytest.approx(tau)


def test_tau_is_that_of_all_pairs_one_by_one():
    first, second = torch.randint(0, 5, (2, 9), generator=torch.Generator().manual_seed(1)).float()
    pairs = [(k, j) for j in range(9) for k in range(j)]
    signs = [torch.sign(first[k] - first[j]) * torch.sign(second[k] - second[j]) for k, j in pairs]
    assert kendall_tau(first, second) == pytest.approx(float(sum(signs)) / len(pairs))


@pytest.mark.parametrize("shapes", [((3,), (4,)), ((1,), (1,)), ((2, 2), (2, 2))])
def test_importances_of_other_channels_are_refused(shapes):
    with pytest.raises(GraphError, match="have no common order"):
        kendall_tau(*(torch.zeros(shape) for shape in shapes))


@pytest.mark.parametrize(
    "first, second, distance", [("kitten", "sitting", 3), ("", "abc", 3), ("abc", "abc", 0), ("abcd", "dabc", 2)]
)
def test_distance_is_the_number_of_edits(first, second, distance):
    assert levenshtein(list(map(ord, first)), list(map(ord, second))) == distance


def test_order_is_that_of_importance():
    assert order_of(torch.tensor([1.0, 3.0, 2.0, 3.0])) == (1, 3, 2, 0)


@pytest.mark.parametrize("name", NETWORKS)
def test_the_groups_that_are_read_are_pruned(name):
    model, inputs = real_model(name)
    found = measure_drift(model, L1, inputs, halved(model), batch_statistics=True)
    assert {drift.name: drift.read for drift in found} == READ[name]


@pytest.mark.parametrize("batch_statistics", [True, False])
def test_nothing_drifts_where_nothing_is_pruned(batch_statistics):
    model, inputs = real_model()
    every = [group.channels for group in model.groups()]
    found = measure_drift(model, L1, inputs, every, batch_statistics=batch_statistics)
    assert [(drift.tau, drift.distance) for drift in found] == [(1.0, 0), (1.0, 0)]


@pytest.mark.parametrize("batch_statistics", [True, False])
def test_nothing_drifts_behind_channels_of_weight_zero(batch_statistics):
    model, inputs = real_model()
    with torch.no_grad():
        model.conv1_norm.weight[4:] = model.conv1_norm.bias[4:] = 0.0  # the least important ones
        model.conv1_norm.bias[:4] = 3.0
    found = measure_drift(model, L1, inputs, [4, 12, 16], batch_statistics=batch_statistics)
    assert [(drift.tau, drift.distance) for drift in found] == [(1.0, 0), (1.0, 0)]


@pytest.mark.parametrize("batch_statistics", [True, False])
def test_importances_are_those_of_the_mode_that_is_named(batch_statistics):
    model, inputs = real_model()
    (drift, _) = measure_drift(model, L1, inputs, [3, 12, 16], batch_statistics=batch_statistics, batch_size=24)
    rows, norms = [], (model.conv1_norm, model.conv2_norm)
    model.eval()
    for norm in norms if batch_statistics else ():
        norm.train()
    values = model.conv1_norm(model.conv1(model.pixels(model.prepare(inputs)))).relu()
    first = values.mean((0, 2, 3))
    for kept in (first > -1, first >= first.sort().values[-3]):
        masked = values * kept[:, None, None]
        rows.append(model.conv2_norm(model.conv2(masked)).relu().mean((0, 2, 3)).detach())
    assert drift.tau == pytest.approx(kendall_tau(*rows)) and drift.tau < 1
    assert drift.distance == levenshtein(*map(order_of, rows))


def test_the_model_stays_as_it_is():
    model, inputs = real_model("resnet8")
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    measure_drift(model, L1, inputs, halved(model), batch_statistics=True)
    assert model.training and all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


def test_criteria_that_no_value_sways_are_refused():
    model, inputs = real_model()
    with pytest.raises(GraphError, match="weight-l1: does not depend on what comes in; give activation-l1"):
        measure_drift(model, CRITERIA["weight-l1"], inputs, halved(model), batch_statistics=True)
