"""Third-party models: what the importer's graph returns against qonnx's own executor. Counts are those measured."""

import numpy as np
import onnx
import pytest

from espalier.ir import dequantize_outputs, execute, quantize_inputs, simplify
from espalier.ir.onnx_import import import_onnx
from qonnx_oracle import run_qonnx


def compare(path, frames, **options):
    """Our outputs, those of qonnx, and the imported model."""
    imported = import_onnx(path, **options)
    codes = quantize_inputs(imported.graph, frames)
    integers = execute(imported.graph, codes)
    small = execute(simplify(imported.graph), codes)
    for name, values in integers.items():
        np.testing.assert_array_equal(small[name], values)
    (ours,) = dequantize_outputs(imported.graph, integers).values()
    return ours, run_qonnx(path, frames)[onnx.load(path).graph.output[0].name], imported


def digits(data_folder, count):
    data = np.load(data_folder / "mnist.npz")
    pixels = data["x_test"][:count].astype(np.float32) / np.float32(255)
    return pixels.reshape(-1, 1, 28, 28), data["y_test"][:count]


@pytest.mark.parametrize("input_type", [None, "uint8:1/255"])
@pytest.mark.parametrize("model, correct", [("TFC_1W1A", 913), ("TFC_2W2A", 966)])
def test_tfc_returns_every_value_of_qonnx(models_folder, data_folder, model, correct, input_type):
    frames, labels = digits(data_folder, 1000)
    ours, theirs, _ = compare(models_folder / f"{model}.onnx", frames, input_type=input_type)
    np.testing.assert_array_equal(ours, theirs)
    assert (ours.argmax(1) == labels).sum() == correct


@pytest.mark.parametrize("model", ["TFC_1W1A", "TFC_2W2A"])
def test_tfc_argmax_in_hardware_is_that_of_the_logits(models_folder, data_folder, model):
    frames, _ = digits(data_folder, 1000)
    index, logits, _ = compare(models_folder / f"{model}.onnx", frames, argmax=True)
    np.testing.assert_array_equal(index[:, 0], logits.argmax(1))


@pytest.mark.parametrize("reach", [4096, 32768])
def test_jettagging_predicts_as_qonnx(models_folder, reach):
    frames = np.random.default_rng(0).integers(-reach, reach, (2000, 16)).astype(np.float32) / 1024
    path = models_folder / "qkeras_jettagging.onnx"
    ours, theirs, _ = compare(path, frames, input_type="int16:0.0009765625")
    assert (ours.argmax(1) != theirs.argmax(1)).sum() == 0
    assert np.abs(ours - theirs).max() < 1e-6  # onnxruntime approximates exp
    index, _, _ = compare(path, frames, input_type="int16:1/1024", argmax=True)
    np.testing.assert_array_equal(index[:, 0], theirs.argmax(1))


def test_jettagging_has_every_code_of_qonnx(models_folder):
    frames = np.random.default_rng(1).integers(-4096, 4096, (1000, 16)).astype(np.float32) / 1024
    path = models_folder / "qkeras_jettagging.onnx"
    imported = import_onnx(path, input_type="int16:1/1024")
    every, tensors = (
        execute(imported.graph, quantize_inputs(imported.graph, frames), every=True),
        run_qonnx(path, frames),
    )
    for layer, quantizer in enumerate(("Quant_8", "Quant_9", "Quant_10"), 1):
        np.testing.assert_array_equal(every[f"fc{layer}_act"], tensors[f"{quantizer}_out0"] * 64)


def test_unsw_says_what_qonnx_says(models_folder, data_folder):
    data = np.load(data_folder / "unsw_nb15_82k.npz")
    bits = np.unpackbits(data["bits_packed"][:4000], axis=1)[:, :575]
    flows = np.concatenate([bits, np.zeros((len(bits), 25), dtype=np.uint8)], axis=1)
    noise = np.random.default_rng(0).integers(0, 2, (4000, 600))
    frames = (2.0 * np.concatenate([flows, noise]) - 1).astype(np.float32)
    ours, theirs, imported = compare(models_folder / "unsw_nb15-mlp-w2a2.onnx", frames, input_type="bipolar")
    np.testing.assert_array_equal(ours, theirs)
    assert set(np.unique(ours)) == {-1, 1} and str(imported.graph.inputs[0].type) == "uint1[600]"
