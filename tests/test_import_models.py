"""Third-party models: what the importer's graph returns against qonnx's own executor. Counts are those measured."""

import numpy as np
import onnx
import pytest

from espalier.ir import dequantize_outputs, execute, quantize_inputs, simplify
from espalier.ir.import_layout import inverse
from espalier.ir.onnx_import import import_onnx
from espalier.ir.verify import explain_differences
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


def compare_layers(path, imported, frames):
    """Every code that qonnx's quantizers give against ours, layer by layer on the codes that qonnx had."""
    tensors = run_qonnx(path, frames)
    ours = execute(imported.graph, quantize_inputs(imported.graph, frames), every=True)
    theirs = {}
    for output, quantizer in imported.quantizers.items():
        if quantizer is not None:
            places = quantizer.layout.places
            reals = tensors[output].reshape(len(frames), -1)[:, inverse(places)]
            codes = quantizer.own.codes()(reals.reshape(len(frames), *quantizer.layout.shape))
            theirs[output] = np.rint(codes).astype(int).reshape(len(frames), -1)[:, places.ravel()]
    return explain_differences(imported, ours, theirs)


def photos(data_folder, count):
    return np.load(data_folder / "cifar10.npz")["x_test"][:count].transpose(0, 3, 1, 2).astype(np.float32) / 255


def test_two_layers_are_exact(models_folder, data_folder):
    path, frames = models_folder / "two_layers.onnx", photos(data_folder, 50)
    ours, theirs, imported = compare(path, frames)
    np.testing.assert_array_equal(ours, theirs)
    found = compare_layers(path, imported, frames)
    assert found.codes == 50 * (32 * 32 * (3 + 16) + 16 + 10) and found.equal_frames == 50
    assert [node.name for node in imported.graph.nodes] == ["conv1", "conv1_act", "pool1", "pool1_act", "fc", "fc_act"]


def test_resnet8_is_exact(models_folder, data_folder):
    mean, deviation = (np.float32(v).reshape(3, 1, 1) for v in ((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)))
    path, frames = models_folder / "resnet8_a4w4b32.onnx", (photos(data_folder, 50) - mean) / deviation
    ours, theirs, imported = compare(path, frames)
    np.testing.assert_array_equal(ours, theirs)
    assert compare_layers(path, imported, frames).equal_frames == 50
    labels = np.load(data_folder / "cifar10.npz")["y_test"][:50]
    assert (ours.reshape(50, 10).argmax(1) == labels).sum() == 44


def test_espcn_differs_only_within_rounding(models_folder):
    path = models_folder / "espcn_subpixel_quant.onnx"
    frames = np.random.default_rng(0).integers(0, 256, (1, 3, 128, 128)).astype(np.float32) / np.float32(255)
    ours, theirs, imported = compare(path, frames, input_type="uint8:1/255")
    found = compare_layers(path, imported, frames)
    assert found.codes == 128 * 128 * (64 + 64 + 32 + 12) and found.unexplained == 0 and found.explained < 30
    assert (ours != theirs).mean() < 1e-3 and np.abs(ours - theirs).max() < 2.1 / 255
    assert type(imported.graph.nodes[-1]).__name__ == "DepthToSpace"


def test_branches_channels_last_are_exact(models_folder, tmp_path):
    path = smaller(models_folder / "branched_model_ch_last.onnx", tmp_path / "small.onnx", 16)
    frames = np.random.default_rng(0).normal(size=(1, 16, 16, 3), scale=0.4).astype(np.float32)
    ours, theirs, imported = compare(path, frames)
    np.testing.assert_array_equal(ours, theirs)
    assert ours.std() > 0.1 and compare_layers(path, imported, frames).equal_frames == 1
    whole = import_onnx(models_folder / "branched_model_ch_last.onnx").graph
    assert [type(node) for node in whole.nodes] == [type(node) for node in imported.graph.nodes]
    assert whole.tensors[whole.outputs[0].tensor].shape == (256, 256, 2)


def smaller(path, target, divisor):
    """The model for smaller images: qonnx takes minutes for the whole ones."""
    model = onnx.load(path)
    for port in [*model.graph.input, *model.graph.value_info, *model.graph.output]:
        for dim in port.type.tensor_type.shape.dim[1:3]:
            if dim.dim_value in (128, 256) and len(port.type.tensor_type.shape.dim) == 4:
                dim.dim_value //= divisor
    onnx.save(model, target)
    return target
