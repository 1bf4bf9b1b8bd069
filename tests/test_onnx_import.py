import numpy as np
import onnx
import pytest

from espalier.ir import dequantize_outputs, execute, quantize_inputs
from espalier.ir.onnx_import import import_onnx
from espalier.ir.verify import explain_differences
from onnx_models import QONNX, Sketch, random_mlp
from qonnx_oracle import run_qonnx


def model_outputs(imported, frames):
    codes = quantize_inputs(imported.graph, np.asarray(frames, dtype=np.float32))
    return next(iter(dequantize_outputs(imported.graph, execute(imported.graph, codes)).values()))


def normal_frames(size, count=200, seed=0, spread=1.0):
    return np.random.default_rng(seed).normal(size=(count, size), scale=spread).astype(np.float32)


def codes_of_qonnx(path, imported, frames):
    """The integers that qonnx's executor has after each quantizer of data, by tensor of the graph."""
    tensors = run_qonnx(path, frames)
    nodes = [
        n for n in onnx.load(path).graph.node if n.op_type == "Quant" and tensors[n.output[0]].shape[0] == len(frames)
    ]
    reals = [tensors[node.output[0]].astype(np.float64) for node in nodes]
    grids = imported.quantized.items()
    return {
        name: np.rint(((real - grid.offset.astype(float)) / grid.scale.astype(float) - grid.base) / grid.step).astype(
            int
        )
        for (name, grid), real in zip(grids, reals, strict=True)
    }


@pytest.mark.parametrize("seed", range(5))
def test_power_of_two_scales_give_every_code_of_qonnx(tmp_path, seed):
    path = random_mlp(tmp_path, seed, power_of_two=True)
    imported, frames = import_onnx(path), normal_frames(12)
    every = execute(imported.graph, quantize_inputs(imported.graph, frames), every=True)
    for name, codes in codes_of_qonnx(path, imported, frames).items():
        np.testing.assert_array_equal(every[name], codes)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("bits", [2, 8])
def test_other_scales_differ_only_within_rounding(tmp_path, seed, bits):
    path = random_mlp(tmp_path, seed, bits=bits)
    imported, frames = import_onnx(path), normal_frames(12)
    every = execute(imported.graph, quantize_inputs(imported.graph, frames), every=True)
    explanation = explain_differences(imported, every, codes_of_qonnx(path, imported, frames))
    assert explanation.unexplained == 0 and explanation.equal_frames >= 198


def test_outputs_are_those_of_qonnx(tmp_path):
    path = random_mlp(tmp_path, 1, power_of_two=True)
    frames = normal_frames(12)
    expected = run_qonnx(path, frames)[onnx.load(path).graph.output[0].name]
    np.testing.assert_array_equal(model_outputs(import_onnx(path), frames), expected)


def test_falling_functions_negate_rows_of_weights(tmp_path):
    sketch = Sketch(3)
    sums = sketch.dense(sketch.quant("data"), [[1, 2], [3, 1], [-1, 2]])
    path = sketch.save(tmp_path, sketch.quant(sketch.add("Mul", sums, [[-0.5, 0.5]])))
    imported = import_onnx(path)
    frames = np.random.default_rng(0).integers(-8, 8, (50, 3))
    expected = np.clip(np.round(frames @ [[-0.5, 1], [-1.5, 0.5], [0.5, 1]]), -8, 7)
    np.testing.assert_array_equal(model_outputs(imported, frames), expected)
    np.testing.assert_array_equal(imported.graph.nodes[0].weights, [[-1, -3, 1], [2, 1, 2]])
    assert [type(node).__name__ for node in imported.graph.nodes] == ["Dense", "Threshold"]


def test_two_readers_of_opposite_slope_get_two_layers(tmp_path):
    sketch = Sketch(2)
    sums = sketch.dense(sketch.quant("data"), [[1, 2], [3, 1]])
    outputs = [sketch.quant(sketch.add("Mul", sums, factor)) for factor in ([[-0.5, 0.5]], [[0.5, 0.25]])]
    imported = import_onnx(sketch.save(tmp_path, sums, *outputs))
    frames = np.random.default_rng(0).integers(-8, 8, (50, 2))
    codes = quantize_inputs(imported.graph, frames)
    found = list(dequantize_outputs(imported.graph, execute(imported.graph, codes)).values())
    exact = frames @ [[1, 2], [3, 1]]
    for real, expected in zip(found, (exact, exact * [-0.5, 0.5], exact * [0.5, 0.25]), strict=True):
        np.testing.assert_array_equal(real, expected if real is found[0] else np.clip(np.round(expected), -8, 7))


def test_function_that_turns_becomes_a_table(tmp_path):
    sketch = Sketch(2)
    sums = sketch.dense(sketch.quant("data"), [[1, 2], [3, 1]])
    path = sketch.save(tmp_path, sketch.quant(sketch.add("Abs", sums), bits=5, signed=0))
    imported = import_onnx(path)
    frames = np.random.default_rng(0).integers(-8, 8, (50, 2))
    np.testing.assert_array_equal(model_outputs(imported, frames), np.minimum(np.abs(frames @ [[1, 2], [3, 1]]), 31))
    assert type(imported.graph.nodes[-1]).__name__ == "Table"


def test_eight_bit_outputs_become_a_multiplication(tmp_path):
    sketch = Sketch(16)
    generator = np.random.default_rng(4)
    weights = generator.normal(size=(16, 5)) * 40
    path = sketch.save(tmp_path, sketch.quant(sketch.dense(sketch.quant("data", bits=8), weights), 37.3, bits=8))
    imported = import_onnx(path)
    frames = generator.integers(-128, 128, (500, 16))
    expected = np.float32(37.3) * np.round((frames @ np.round(weights)).astype(np.float32) / np.float32(37.3)).clip(
        -128, 127
    )
    np.testing.assert_array_equal(model_outputs(imported, frames), expected.astype(np.float32))
    assert type(imported.graph.nodes[-1]).__name__ == "Requantize"


def test_ties_to_even_are_no_multiplication(tmp_path):
    sketch = Sketch(4)
    path = sketch.save(tmp_path, sketch.quant(sketch.dense(sketch.quant("data", bits=8), np.eye(4)), 2.0, bits=8))
    imported = import_onnx(path)
    frames = np.arange(-128, 128)[:, None] * np.ones(4, dtype=int)
    np.testing.assert_array_equal(model_outputs(imported, frames), 2 * np.round(frames / 2))
    assert type(imported.graph.nodes[-1]).__name__ == "Threshold"


def test_chain_of_quantizers_is_one_function(tmp_path):
    sketch = Sketch(3)
    sums = sketch.quant(sketch.dense(sketch.quant("data"), np.eye(3)), 2.0)
    hidden = sketch.quant(sketch.add("Relu", sums), 3.0, signed=0)
    path = sketch.save(tmp_path, sketch.dense(hidden, np.eye(3)))
    imported = import_onnx(path)
    frames = np.arange(-8, 8)[:, None] * np.ones(3, dtype=int)
    expected = 3 * np.round(np.maximum(2 * np.round(frames / 2), 0) / 3)
    np.testing.assert_array_equal(model_outputs(imported, frames), expected)
    assert [type(node).__name__ for node in imported.graph.nodes] == ["Dense", "Threshold", "Dense"]


def test_clipping_after_a_quantizer_joins_it(tmp_path):
    sketch = Sketch(3)
    rounded = sketch.add("Round", sketch.add("Mul", sketch.dense(sketch.quant("data"), np.eye(3)), 0.75))
    hidden = sketch.add("Mul", sketch.add("Clip", rounded, np.float32(-3), np.float32(3)), 0.5)
    imported = import_onnx(sketch.save(tmp_path, sketch.dense(hidden, np.eye(3) * 3)))
    frames = np.arange(-8, 8)[:, None] * np.ones(3, dtype=int)
    np.testing.assert_array_equal(model_outputs(imported, frames), 1.5 * np.clip(np.round(frames * 0.75), -3, 3))


@pytest.mark.parametrize("zero", [3.0, 2.5])
def test_zero_points_are_exact(tmp_path, zero):
    sketch = Sketch(3)
    first = sketch.quant("data", 0.5, zero, bits=4, signed=0)
    second = sketch.quant(sketch.dense(first, [[1, 2], [3, -1], [2, 2]]), 2.0, 5.0, bits=5, signed=0)
    path = sketch.save(tmp_path, sketch.dense(second, np.eye(2)))
    frames = normal_frames(3, spread=3)
    expected = run_qonnx(path, frames)[onnx.load(path).graph.output[0].name]
    np.testing.assert_array_equal(model_outputs(import_onnx(path), frames), expected)


def test_scales_per_input_move_into_the_weights(tmp_path):
    sketch = Sketch(3)
    x = sketch.quant("data", [[0.5, 1.0, 0.25]], bits=4)
    path = sketch.save(tmp_path, sketch.dense(x, [[1, 2], [3, -1], [2, 2]], [[1.0], [0.5], [2.0]], bits=4))
    frames = normal_frames(3, spread=3)
    expected = run_qonnx(path, frames)[onnx.load(path).graph.output[0].name]
    np.testing.assert_array_equal(model_outputs(import_onnx(path), frames), expected)


@pytest.mark.parametrize("inputs", ["uint8:1/255", "int5:0.25", "bipolar", "binary:2", "bipolar:0.5"])
def test_preprocessing_without_quantizer_goes_into_the_sums(tmp_path, inputs):
    sketch = Sketch(4)
    x = sketch.add("Div", sketch.add("Sub", "data", [[0.5, 0.25, 1, 0.125]]), 0.37)
    sums = sketch.quant(sketch.dense(x, [[1, 2], [3, -1], [2, 2], [-1, -3]]), 0.71, bits=6)
    path = sketch.save(tmp_path, sums)
    imported = import_onnx(path, input_type=inputs)
    dtype = imported.graph.inputs[0].type.dtype
    codes = np.random.default_rng(0).integers(dtype.low, dtype.high + 1, (300, 4))
    unit = {"uint8:1/255": 1 / 255, "int5:0.25": 0.25, "binary:2": 2, "bipolar": 1, "bipolar:0.5": 0.5}[inputs]
    frames = ((2 * codes - 1 if "bipolar" in inputs else codes) * unit).astype(np.float32)
    np.testing.assert_array_equal(quantize_inputs(imported.graph, frames)[imported.graph.inputs[0].name], codes)
    expected = run_qonnx(path, frames)[sums]
    assert (model_outputs(imported, frames) != expected).sum() <= 1  # a float32 tie


def test_raw_pixels_pass_the_models_own_quantizer(tmp_path):
    sketch = Sketch(1, 2, 3)
    x = sketch.quant(sketch.add("Sub", sketch.add("Mul", "data", 2.0), 1.0), 0.125, bits=4)
    flat = sketch.add("Reshape", x, np.array([1, -1]))
    path = sketch.save(tmp_path, sketch.dense(flat, np.random.default_rng(1).normal(size=(6, 4)) * 3, bits=4))
    by_codes, raw = import_onnx(path), import_onnx(path, input_type="uint8:1/255")
    pixels = np.random.default_rng(2).integers(0, 256, (100, 1, 2, 3))
    frames = (pixels / 255).astype(np.float32)
    np.testing.assert_array_equal(model_outputs(by_codes, frames), model_outputs(raw, frames))
    assert str(by_codes.graph.inputs[0].type) == "int4[6]" and str(raw.graph.inputs[0].type) == "uint8[6]"


@pytest.mark.parametrize("inputs", [None, "int6:0.5"])
def test_channels_keep_their_constants_through_transpose_and_flatten(tmp_path, inputs):
    sketch = Sketch(3, 2, 2)
    shifted = sketch.add("Add", "data", np.float32([1, 2, 3]).reshape(3, 1, 1))
    x = sketch.add("Flatten", sketch.add("Transpose", sketch.quant(shifted, 0.5, bits=6), perm=[0, 2, 3, 1]), axis=1)
    path = sketch.save(tmp_path, sketch.dense(x, np.eye(12)))
    frames = np.random.default_rng(0).integers(-10, 10, (20, 3, 2, 2)).astype(np.float32)
    expected = np.clip(frames + np.float32([1, 2, 3]).reshape(3, 1, 1), -16, 15.5).transpose(0, 2, 3, 1).reshape(20, 12)
    np.testing.assert_array_equal(model_outputs(import_onnx(path, input_type=inputs), frames), expected)


def test_gemm_takes_alpha_beta_and_bias(tmp_path):
    sketch = Sketch(2)
    weights = sketch.quant([[1, 2], [3, -4], [2, 2]])
    path = sketch.save(
        tmp_path,
        sketch.add("Gemm", sketch.quant("data"), weights, np.float32([1, 2, 3]), transB=1, alpha=0.5, beta=2.0),
    )
    frames = np.float32([[1, 2], [-3, 5]])
    expected = 0.5 * frames @ np.float32([[1, 2], [3, -4], [2, 2]]).T + 2 * np.float32([1, 2, 3])
    np.testing.assert_array_equal(model_outputs(import_onnx(path), frames), expected)


@pytest.mark.parametrize("domain", ["onnx.brevitas", "finn.custom_op.general", QONNX])
def test_quantizers_of_all_domains_are_known(tmp_path, domain):
    sketch = Sketch(2)
    x = sketch.add("BipolarQuant", "data", 1.0, domain=domain)
    weights = sketch.add("Transpose", sketch.add("BipolarQuant", [[1, -2], [3, 4]], 0.5, domain=domain), perm=[1, 0])
    imported = import_onnx(sketch.save(tmp_path, sketch.add("MatMul", x, weights)))
    np.testing.assert_array_equal(model_outputs(imported, [[0.0, -3.0], [-1, -1]]), [[1, 0], [0, -1]])
    assert str(imported.graph.inputs[0].type) == "uint1[2]"


def test_batch_of_the_file_does_not_matter(tmp_path):
    sketch = Sketch(2, 2)
    batch = sketch.add("Gather", sketch.add("Shape", sketch.quant("data")), np.array(0), axis=0)
    shape = sketch.add("Concat", sketch.add("Unsqueeze", batch, np.array([0])), np.array([-1]), axis=0)
    model = sketch.model(sketch.dense(sketch.add("Reshape", "t0", shape), np.eye(4)))
    for batch_size in (1, 16, None):
        model.graph.input[0].type.tensor_type.shape.dim[0].Clear()
        if batch_size:
            model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = batch_size
        onnx.save(model, tmp_path / "batch.onnx")
        assert model_outputs(import_onnx(tmp_path / "batch.onnx"), np.ones((3, 2, 2))).shape == (3, 4)


def test_names_come_from_the_modules(tmp_path):
    sketch = Sketch(2)
    x = sketch.dense(sketch.quant("data"), np.eye(2), name="/net/features.3/MatMul")
    x = sketch.dense(sketch.quant(x), np.eye(2), name="/net/head/MatMul")
    x = sketch.add("MatMul", sketch.quant(x), sketch.quant(sketch.constant(np.eye(2), "net.out.weight")))
    imported = import_onnx(sketch.save(tmp_path, sketch.dense(sketch.quant(x), np.eye(2), name="node_MatMul_12")))
    names = [node.name for node in imported.graph.nodes]
    assert names == ["features_3", "features_3_act", "head", "head_act", "out", "out_act", "fc4"]


def test_same_file_same_graph(tmp_path):
    from espalier.ir import digest

    path = random_mlp(tmp_path, 0)
    assert digest(import_onnx(path).graph) == digest(import_onnx(path).graph)


def test_data_added_to_itself_is_twice_as_large(tmp_path):
    sketch = Sketch(2)
    x = sketch.dense(sketch.quant("data"), np.eye(2))
    imported = import_onnx(sketch.save(tmp_path, sketch.add("Add", x, x)))
    frames = np.arange(-8, 8)[:, None] * np.ones(2, dtype=int)
    np.testing.assert_array_equal(model_outputs(imported, frames), 2 * frames)
