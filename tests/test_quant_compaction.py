"""A masked network in PyTorch and the compacted integer graph: the same codes everywhere, for every network."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from espalier.ir import execute, quantize_inputs, simplify
from espalier.ir.depth_to_space import DepthToSpace
from espalier.ir.onnx_import import import_onnx
from espalier.ir.verify import explain_differences
from espalier.ir.work import count_work
from espalier.quant.networks.autoencoder import autoencoder
from espalier.quant.networks.cnn import cnn
from espalier.quant.networks.cnv import cnv
from espalier.quant.networks.espcn import espcn
from espalier.quant.networks.layers import Activation, Concat, ConvTranspose, Dense, DepthwiseConv, Flatten, Input
from espalier.quant.networks.mlp import mlp
from espalier.quant.networks.resnet import resnet8
from espalier.quant.networks.separable import ds_cnn, mobilenet
from espalier.quant.networks.unet import unet
from espalier.quant.recipes import find_recipe

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch", reason="needs the train extra")
torch.set_num_threads(1)  # threads that wait for each other on busy cores take longer than one
pytest.importorskip("brevitas", reason="needs the train extra")

from espalier.quant.export import export  # noqa: E402
from espalier.quant.masks import fold_masks  # noqa: E402
from espalier.quant.model import QuantNetwork  # noqa: E402
from espalier.quant.truth import record_codes  # noqa: E402

FRAMES = 6
NETWORKS = {
    "digits-mlp": mlp(Input((64,), high=16.0), (23, 14), 10, signed=False),
    "tfc-w1a1": mlp(Input((64,), high=1.0, signed=True), (23, 16, 14), 10, signed=True),
    "tfc-w2a2": mlp(Input((64,), high=1.0, signed=True), (23, 16, 14), 10, signed=True),
    "digits-cnn": cnn(Input((1, 8, 8), high=16.0), (7, 9, 12)),
    "mnist-cnn": cnn(Input((1, 28, 28), high=255.0), (7, 9, 12), pools=2),
    "cnv-w1a1": cnv(4),
    "cnv-w1a2": cnv(4),
    "cnv-w2a2": cnv(4),
    "resnet8": resnet8(4),
    "ds-cnn": ds_cnn(8),
    "mobilenet": mobilenet(0.06),
    "autoencoder": autoencoder(4, 5),
    "espcn": espcn(2, 8, 8),
    "unet": unet(4),
}


@dataclass(frozen=True, eq=False)
class Case:
    """A masked model, what was imported of it, and the codes of Brevitas, the imported and the compacted graph."""

    name: str
    model: object
    network: object
    imported: object
    compacted: object
    truth: dict
    full: dict
    small: dict

    def kept(self, name):
        """Which channels of the result of the layer ``name`` are not masked."""
        layers = {layer.name: layer for layer in self.network.layers}
        if name == "":
            return np.ones(self.network.input.shape[0], bool)
        if name == self.network.weighted[-1].name:
            return np.ones(layers[name].channels, bool)
        if name in {layer.name for layer in self.network.weighted}:
            return self.model.get_submodule(f"{name}_mask").kept.numpy() > 0
        parts = [self.kept(source) for source in self.network.sources()[name]]
        if isinstance(layers[name], Flatten):  # channels last, as the graph has them
            before = self.network.shapes()[self.network.sources()[name][0]]
            return np.tile(parts[0], np.prod(before[1:], dtype=int))
        return np.concatenate(parts) if isinstance(layers[name], Concat) else parts[0]

    def left(self, name):
        """Which of them the compacted graph keeps: those, and all where the outputs would need a term for each +1."""
        last = self.network.weighted[-2].name, self.network.activations[-1].name
        return self.kept(name) | (self.name.endswith("w1a1") and name in last)

    def widths(self, layer):
        """Channels and inputs of a layer with weights in the compacted graph."""
        source = self.network.sources()[layer.name][0]
        return int(self.left(layer.name).sum()), 1 if isinstance(layer, DepthwiseConv) else int(self.left(source).sum())

    def untied(self):
        """The frames in which no code lies where float32 rounding decides."""
        equal = np.ones(FRAMES, bool)
        for (_, quantizer, _), integers in zip(self.quantizers(), self.truth.values()):
            differs = quantizer.codes(integers.astype(np.int64)) != self.full[quantizer.tensor]
            equal &= ~differs.reshape(FRAMES, -1).any(1)
        return equal

    def quantizers(self):
        """(layer, quantizer, tensor of the compacted graph) of every quantizer, the input's first."""
        names = ["", *(layer.name for layer in self.network.layers if isinstance(layer, Activation))]
        for name, quantizer in zip(names, self.imported.quantizers.values(), strict=True):
            readers = [self.compacted.node(reader) for reader in self.compacted.readers(quantizer.tensor)[:1]]
            laid_out = [node.name for node in readers if isinstance(node, DepthToSpace)]  # of a transposed convolution
            yield name, quantizer, (laid_out or [quantizer.tensor])[0]


def random_inputs(given):
    inputs = torch.rand(12, *given.shape) * (given.high - given.low) + given.low
    return torch.round(inputs) if given.high == 255 else inputs


def mask_at_random(model, seed):
    """An odd number of at least half the channels of each group, and norms that let each of them vary."""
    rng = np.random.default_rng(seed)
    for group in model.groups():
        kept = np.zeros(group.channels, bool)
        kept[rng.permutation(group.channels)[: rng.integers(group.channels // 2, group.channels) | 1]] = True
        group.keep(torch.from_numpy(kept))
        for writer in group.writers:
            writer.norm.momentum = 1.0
            torch.nn.init.uniform_(writer.norm.weight, 0.8, 1.2)
            writer.norm.weight.data *= torch.randint(0, 2, writer.norm.weight.shape) * 2 - 1
            torch.nn.init.normal_(writer.norm.bias, std=0.2)


@pytest.fixture(params=[(name, seed) for name in NETWORKS for seed in range(3)], ids=str, scope="module")
def case(request, tmp_path_factory):
    name, seed = request.param
    recipe = replace(find_recipe(name), network=NETWORKS[name])
    torch.manual_seed(seed)
    model, inputs = QuantNetwork(recipe), random_inputs(recipe.network.input)
    mask_at_random(model, seed)
    for _ in range(3):
        model(inputs)
    truth = record_codes(model.eval(), inputs[:FRAMES])
    imported = import_onnx(export(fold_masks(model), inputs[:1], tmp_path_factory.mktemp("run") / "model.onnx"))
    compacted = simplify(imported.graph)
    codes = quantize_inputs(imported.graph, inputs[:FRAMES].numpy())
    full, small = (execute(graph, codes, every=True) for graph in (imported.graph, compacted))
    return Case(name, model, recipe.network, imported, compacted, truth, full, small)


def test_codes_are_those_of_brevitas(case):
    found = explain_differences(case.imported, case.full, case.truth)
    assert found.unexplained == 0 and found.equal_frames >= FRAMES - 2, found
    assert found.codes >= 0.9 * sum(codes.size for name, codes in case.truth.items() if name != "outputs")


def test_masked_network_gives_the_outputs_of_the_compacted_graph(case):
    (port,) = case.compacted.outputs
    # Float32 sums of the same codes; an integer that is off by one moves an output by a thousand times as much.
    found = port.chain(case.small[port.tensor]).reshape(case.truth["outputs"].shape)[case.untied()]
    wanted = case.truth["outputs"][case.untied()]
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6 * np.abs(wanted).max())


def test_compaction_changes_no_output(case):
    ports = zip(case.imported.graph.outputs, case.compacted.outputs, strict=True)
    assert all(np.array_equal(case.full[before.tensor], case.small[after.tensor]) for before, after in ports)


def test_every_code_that_is_left_is_that_of_the_masked_network(case):
    for (name, quantizer, tensor), integers in zip(case.quantizers(), case.truth.values()):
        codes = quantizer.codes(integers.astype(np.int64))[..., case.left(name)]
        np.testing.assert_array_equal(case.small[tensor][case.untied()], codes[case.untied()], err_msg=name)


def test_every_code_that_is_left_is_that_of_the_full_graph(case):
    for name, quantizer, tensor in case.quantizers():
        full = case.full[quantizer.tensor]
        np.testing.assert_array_equal(case.small[tensor], full[..., case.left(name)], err_msg=name)
        assert np.ptp(full[..., ~case.left(name)], axis=tuple(range(full.ndim - 1))).sum() == 0


def test_compacted_layers_are_as_wide_as_the_masks_say(case):
    for layer in case.network.weighted:
        channels, inputs = case.widths(layer)
        found = case.compacted.node(layer.name).weights.shape
        block = np.prod(layer.stride) if isinstance(layer, ConvTranspose) else 1
        assert (found[0], found[-1]) == (channels * block, inputs), layer.name


def test_work_falls_with_the_widths(case):
    shapes, multiplications, weights = case.network.shapes(), 0, 0
    for layer in case.network.weighted:
        taps = 1 if isinstance(layer, Dense) else np.prod(layer.kernel)
        size = np.prod(case.widths(layer)) * taps
        pixels = shapes[case.network.sources()[layer.name][0] if isinstance(layer, ConvTranspose) else layer.name][1:]
        weights, multiplications = weights + size, multiplications + size * np.prod(pixels, dtype=int)
    work = count_work(case.compacted)
    assert work.weights == weights
    assert work.multiplications == multiplications or case.network.family == "autoencoder"  # at cropped pixels too
