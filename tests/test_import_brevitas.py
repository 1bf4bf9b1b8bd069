"""Brevitas models: what the importer's graph computes against Brevitas itself."""

import numpy as np
import pytest

import brevitas_models
from espalier.ir import dequantize_outputs, execute, quantize_inputs
from espalier.ir.onnx_import import import_onnx

pytestmark = pytest.mark.torch


def build(variant):
    torch = pytest.importorskip("torch")
    nn = pytest.importorskip("brevitas.nn")
    from brevitas.quant import Int8WeightPerChannelFloat, Int32Bias, ShiftedUint8ActPerTensorFloat

    torch.manual_seed(7)
    weights = {"weight_bit_width": 4, "weight_quant": Int8WeightPerChannelFloat}
    layers = {
        "bias": [
            nn.QuantIdentity(bit_width=6, return_quant_tensor=True),
            nn.QuantLinear(16, 12, bias=True, bias_quant=Int32Bias, return_quant_tensor=True, **weights),
            nn.QuantReLU(bit_width=4, return_quant_tensor=True),
            nn.QuantLinear(12, 5, bias=True, **weights),
        ],
        "curves": [
            nn.QuantIdentity(bit_width=4),
            nn.QuantLinear(16, 12, bias=False, **weights),
            torch.nn.BatchNorm1d(12),
            nn.QuantSigmoid(bit_width=5),
            nn.QuantLinear(12, 9, bias=True, **weights),
            nn.QuantTanh(bit_width=4),
            nn.QuantLinear(9, 9, bias=False, **weights),
            nn.QuantHardTanh(bit_width=3, min_val=-1.0, max_val=1.0),
            nn.QuantLinear(9, 5, bias=False, **weights),
        ],
        "zero point": [
            nn.QuantIdentity(bit_width=5, act_quant=ShiftedUint8ActPerTensorFloat),
            nn.QuantLinear(16, 12, bias=False, **weights),
            torch.nn.Dropout(0.5),
            torch.nn.LeakyReLU(0.1),
            nn.QuantIdentity(bit_width=8, act_quant=ShiftedUint8ActPerTensorFloat),
            nn.QuantLinear(12, 5, bias=True, **weights),
        ],
    }[variant]
    model = torch.nn.Sequential(*layers)
    for _ in range(30):  # lets scales and statistics settle
        model(torch.randn(64, 16))
    return torch, model.eval()


@pytest.mark.parametrize("variant", ["bias", "curves", "zero point"])
def test_graph_returns_what_brevitas_returns(tmp_path, variant):
    torch, model = build(variant)
    from espalier.quant.export import export

    imported = import_onnx(export(model, torch.randn(1, 16), tmp_path / "model.onnx"))
    frames = np.random.default_rng(0).normal(size=(1000, 16)).astype(np.float32)
    with torch.no_grad():
        theirs = model(torch.tensor(frames)).numpy()
    integers = execute(imported.graph, quantize_inputs(imported.graph, frames))
    (ours,) = dequantize_outputs(imported.graph, integers).values()
    # A step of a quantizer moves an output by far more than float32 rounding does.
    same = (np.abs(ours - theirs) < 1e-4).all(axis=1)
    assert same.sum() >= 998


@pytest.mark.parametrize("variant", brevitas_models.VARIANTS)
def test_images_through_brevitas(tmp_path, variant):
    torch, model, shape = brevitas_models.build(variant)
    imported = import_onnx(brevitas_models.write(model, shape, tmp_path / "model.onnx"))
    frames = np.random.default_rng(0).normal(size=(40, *shape)).astype(np.float32)
    with torch.no_grad():
        theirs = model(torch.tensor(frames))
    theirs = getattr(theirs, "value", theirs).numpy()
    codes = quantize_inputs(imported.graph, frames)
    (ours,) = dequantize_outputs(imported.graph, execute(imported.graph, codes)).values()
    # A step of a quantizer moves an output by far more than float32 rounding does.
    same = (np.abs(ours - theirs) < 1e-4).reshape(40, -1).all(axis=1)
    assert ours.shape == theirs.shape and same.sum() >= 38
