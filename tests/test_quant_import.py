"""Every network of the recipes, small and untrained, through export and import: codes equal to those of Brevitas."""

from dataclasses import replace

import numpy as np
import pytest

from espalier.ir import execute, quantize_inputs, simplify
from espalier.ir.onnx_import import import_onnx
from espalier.ir.verify import explain_differences
from espalier.quant.networks.autoencoder import autoencoder
from espalier.quant.networks.cnv import cnv
from espalier.quant.networks.coupling import find_couplings
from espalier.quant.networks.espcn import espcn
from espalier.quant.networks.resnet import resnet8
from espalier.quant.networks.separable import ds_cnn, mobilenet
from espalier.quant.networks.unet import unet
from espalier.quant.override import override
from espalier.quant.recipes import find_recipe

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch", reason="needs the train extra")
torch.set_num_threads(1)  # threads that wait for each other on busy cores take longer than one
pytest.importorskip("brevitas", reason="needs the train extra")

from espalier.quant.export import export  # noqa: E402
from espalier.quant.masks import fold_masks  # noqa: E402
from espalier.quant.model import QuantNetwork  # noqa: E402
from espalier.quant.pruning.criteria import spread  # noqa: E402
from espalier.quant.pruning.scheduled import prune_now  # noqa: E402
from espalier.quant.truth import record_codes  # noqa: E402

NETWORKS = {
    "cnv-w1a1": cnv(4),
    "cnv-w1a2": cnv(4),
    "cnv-w2a2": cnv(4),
    "resnet8": resnet8(4),
    "ds-cnn": ds_cnn(8),
    "mobilenet": mobilenet(0.06),
    "autoencoder": autoencoder(4, 2),
    "espcn": espcn(2, 8, 8),
    "unet": unet(4),
}


@pytest.fixture(params=NETWORKS, scope="module")
def exported(request, tmp_path_factory):
    """The path of the file, 6 inputs and Brevitas' codes for them; a third of the channels are pruned."""
    recipe = replace(find_recipe(request.param), network=NETWORKS[request.param])
    recipe = override(recipe, prune=0.34)
    torch.manual_seed(2)
    model = QuantNetwork(recipe)
    given = recipe.network.input
    inputs = torch.rand(6, *given.shape) * (given.high - given.low) + given.low
    inputs = torch.round(inputs) if given.high == 255 else inputs
    for _ in range(3):
        model(inputs)
    assert len(recipe.keep) == len(find_couplings(recipe.network))
    prune_now(model.groups(), recipe.keep, spread)
    folded = fold_masks(model).eval()
    return (
        export(folded, inputs[:1], tmp_path_factory.mktemp("run") / "model.onnx"),
        inputs.numpy(),
        record_codes(folded, inputs),
    )


def test_codes_are_those_of_brevitas(exported):
    path, inputs, truth = exported
    imported = import_onnx(path)
    ours = execute(imported.graph, quantize_inputs(imported.graph, inputs), every=True)
    found = explain_differences(imported, ours, truth)
    assert found.unexplained == 0 and found.equal_frames >= 5, found
    assert found.codes >= 0.9 * sum(codes.size for name, codes in truth.items() if name != "outputs")


def test_simplifying_changes_no_output(exported):
    path, inputs, _ = exported
    graph = import_onnx(path).graph
    codes = quantize_inputs(graph, inputs)
    before, after = execute(graph, codes), execute(simplify(graph), codes)
    assert all(np.array_equal(before[name], after[name]) for name in before)
