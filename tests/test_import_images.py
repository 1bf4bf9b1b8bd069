"""Small models on images: every integer that the importer's graph computes against qonnx's own executor."""

import numpy as np
import onnx
import pytest

from espalier.ir import dequantize_outputs, execute, quantize_inputs, simplify
from espalier.ir.onnx_import import import_onnx
from onnx_models import Sketch
from qonnx_oracle import run_qonnx

RNG = np.random.default_rng(0)


def ternary(*shape):
    """Weights of -2 to 2, times a power of two that the quantizer undoes."""
    return RNG.integers(-2, 3, shape).astype(np.float32) / 4


def conv(sketch, x, outputs, inputs, kernel=(3, 3), **attributes):
    return sketch.add("Conv", x, sketch.quant(ternary(outputs, inputs, *kernel), 0.25, bits=4), **attributes)


def assert_equals_qonnx(path, frames, **options):
    """All quantizers that the graph has, and the outputs; returns the imported model."""
    imported = import_onnx(path, **options)
    theirs = run_qonnx(path, frames)
    codes = quantize_inputs(imported.graph, frames)
    every = execute(imported.graph, codes, every=True)
    for output, quantizer in imported.quantizers.items():
        if quantizer is not None:
            reals = quantizer.grid.dequantize()(every[quantizer.tensor]).reshape(len(frames), -1)
            found = reals[:, quantizer.layout.places.ravel()].reshape(theirs[output].shape)
            np.testing.assert_array_equal(found, theirs[output])
    integers = execute(imported.graph, codes)
    outputs = [port.name for port in onnx.load(path).graph.output]
    for real, name in zip(dequantize_outputs(imported.graph, integers).values(), outputs, strict=True):
        np.testing.assert_array_equal(real, theirs[name])
    for name, values in execute(simplify(imported.graph), codes).items():
        np.testing.assert_array_equal(values, integers[name])
    return imported


def images(*shape, frames=20, spread=1.0):
    return RNG.normal(size=(frames, *shape), scale=spread).astype(np.float32)


def kinds(imported):
    return [type(node).__name__ for node in imported.graph.nodes]


@pytest.mark.parametrize(
    "attributes",
    [
        {},
        {"pads": [1, 1, 1, 1]},
        {"pads": [0, 1, 2, 0], "strides": [2, 1]},
        {"dilations": [2, 1], "strides": [1, 3]},
        {"auto_pad": "SAME_UPPER", "strides": [2, 2]},
        {"auto_pad": "SAME_LOWER", "strides": [3, 2]},
        {"auto_pad": "VALID"},
        {"group": 2, "pads": [1, 1, 1, 1]},
        {"group": 4},
    ],
)
def test_convolutions(tmp_path, attributes):
    sketch = Sketch(4, 7, 8)
    x = sketch.quant("data", 0.25)
    x = conv(sketch, x, 6 if attributes.get("group", 1) < 3 else 8, 4 // attributes.get("group", 1), **attributes)
    x = sketch.quant(sketch.add("Relu", x), 0.5, bits=4, signed=0)
    assert_equals_qonnx(
        sketch.save(tmp_path, conv(sketch, x, 3, 6 if attributes.get("group", 1) < 3 else 8, (1, 1))), images(4, 7, 8)
    )


def test_bias_and_sequences(tmp_path):
    sketch = Sketch(3, 9)
    weights = sketch.quant(ternary(5, 3, 3), 0.25)
    x = sketch.add(
        "Conv", sketch.quant("data", 0.25), weights, np.arange(5).astype(np.float32), pads=[1, 1], strides=[2]
    )
    x = sketch.add("MaxPool", sketch.quant(x, 0.5), kernel_shape=[2], strides=[2])
    imported = assert_equals_qonnx(sketch.save(tmp_path, x), images(3, 9))
    assert kinds(imported) == ["Conv2d", "Threshold", "MaxPool2d"] and imported.graph.inputs[0].type.shape == (1, 9, 3)


@pytest.mark.parametrize(
    "attributes",
    [
        {"strides": [2, 2]},
        {"strides": [2, 2], "pads": [1, 0, 1, 2], "output_padding": [1, 0]},
        {"strides": [2, 2], "pads": [1, 1, 1, 1]},
    ],
)
@pytest.mark.parametrize("zero", [0.0, 3.0])
def test_transposed_convolutions(tmp_path, attributes, zero):
    sketch = Sketch(3, 4, 5)
    weights = sketch.quant(ternary(3, 2, 4, 4), 0.25)
    x = sketch.add("ConvTranspose", sketch.quant("data", 0.25, zero), weights, np.float32([1, -1]), **attributes)
    assert_equals_qonnx(sketch.save(tmp_path, sketch.quant(x, 0.5, bits=5)), images(3, 4, 5))


@pytest.mark.parametrize(
    "pool",
    [
        ("MaxPool", {"kernel_shape": [2, 2], "strides": [2, 2]}),
        ("MaxPool", {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]}),
        ("MaxPool", {"kernel_shape": [3, 2], "strides": [2, 2], "ceil_mode": 1}),
        ("AveragePool", {"kernel_shape": [2, 4], "strides": [2, 1]}),
        ("AveragePool", {"kernel_shape": [2, 2], "pads": [1, 1, 0, 0], "count_include_pad": 1}),
        ("GlobalAveragePool", {}),
        ("GlobalMaxPool", {}),
    ],
)
@pytest.mark.parametrize("where", ["after", "between", "before"])
def test_pools_before_and_after_quantizers(tmp_path, pool, where):
    operator, attributes = pool
    sketch = Sketch(3, 8, 8)
    x = conv(sketch, sketch.quant("data", 0.25), 4, 3)
    steps = [
        lambda x: sketch.quant(sketch.add("Relu", x), 0.25, signed=0),
        lambda x: sketch.add(operator, x, **attributes),
    ]
    if where == "between" and operator.endswith("MaxPool"):
        steps = [
            lambda x: sketch.add("Mul", x, np.float32([-1, 1, 0.5, -2]).reshape(4, 1, 1)),
            lambda x: sketch.add("Relu", x),
            steps[1],
            steps[0],
        ]
    for step in reversed(steps) if where == "before" else steps:
        x = step(x)
    imported = assert_equals_qonnx(sketch.save(tmp_path, sketch.quant(x, 0.5, bits=3, signed=0)), images(3, 8, 8))
    if operator == "MaxPool" and where != "after":
        assert kinds(imported) == ["Conv2d", "Threshold", "MaxPool2d"]


def test_normalization_of_either_sign_before_the_pool(tmp_path):
    sketch = Sketch(3, 8, 8)
    x = conv(sketch, sketch.quant("data", 0.25), 4, 3)
    parameters = np.float32([[1, -1, 2, -0.5], [0.5, 0, -1, 1], [0, 1, 0, -1], [1, 1, 4, 0.25]])
    x = sketch.add("BatchNormalization", x, *parameters, epsilon=0.0)
    x = sketch.add("MaxPool", sketch.add("Relu", x), kernel_shape=[2, 2], strides=[2, 2])
    path = sketch.save(tmp_path, sketch.quant(x, 0.5, bits=3, signed=0))
    assert kinds(assert_equals_qonnx(path, images(3, 8, 8))) == ["Conv2d", "Threshold", "MaxPool2d"]


@pytest.mark.parametrize("axes", [[2, 3], [-1, -2]])
@pytest.mark.parametrize("keepdims", [0, 1])
def test_mean_over_pixels(tmp_path, axes, keepdims):
    sketch = Sketch(3, 4, 4)
    x = sketch.add("ReduceMean", sketch.quant("data", 0.25), axes=axes, keepdims=keepdims)
    flat = sketch.add("Flatten", x) if keepdims else x
    path = sketch.save(tmp_path, sketch.quant(sketch.dense(flat, ternary(3, 5), 0.25), 0.5))
    assert kinds(assert_equals_qonnx(path, images(3, 4, 4)))[0] == "SumPool2d"


def test_mean_over_pixels_in_one_axis_or_channels_last(tmp_path):
    sketch = Sketch(3, 4, 4)
    x = sketch.quant("data", 0.25)
    rows = sketch.add("Reshape", x, np.array([-1, 3, 16]))
    first = sketch.add("ReduceMean", rows, axes=[2], keepdims=0)
    last = sketch.add("ReduceMean", sketch.add("Transpose", x, perm=[0, 2, 3, 1]), axes=[1, 2], keepdims=0)
    path = sketch.save(tmp_path, sketch.quant(first, 0.5), sketch.quant(last, 0.5))
    assert_equals_qonnx(path, images(3, 4, 4))


def test_flattened_maps_keep_the_models_order(tmp_path):
    sketch = Sketch(3, 4, 5)
    x = sketch.add("Flatten", conv(sketch, sketch.quant("data", 0.25), 4, 3))
    x = sketch.add("Mul", sketch.quant(x, 0.5), (2.0 ** RNG.integers(-1, 2, 24)))  # one for each element
    x = sketch.dense(sketch.quant(x, 0.5), ternary(24, 6), 0.25)
    imported = assert_equals_qonnx(sketch.save(tmp_path, sketch.quant(x)), images(3, 4, 5))
    assert kinds(imported) == ["Conv2d", "Threshold", "Flatten", "Threshold", "Dense", "Threshold"]


def test_layers_on_the_last_axis(tmp_path):
    sketch = Sketch(4, 5, 3)
    x = sketch.quant(sketch.dense(sketch.quant("data", 0.25), ternary(3, 6), 0.25), 0.5)
    x = sketch.add("Add", sketch.dense(x, ternary(6, 2), 0.25), np.float32([1, -1]))
    imported = assert_equals_qonnx(sketch.save(tmp_path, x), images(4, 5, 3))
    assert kinds(imported) == ["Dense", "Threshold", "Dense"] and imported.graph.inputs[0].type.shape == (4, 5, 3)


def test_bipolar_data_gets_a_code_for_the_zeros_around_it(tmp_path):
    sketch = Sketch(3, 5, 5)
    x = sketch.add("BipolarQuant", "data", 1.0, domain="onnx.brevitas")
    x = sketch.add("BipolarQuant", conv(sketch, x, 4, 3, pads=[1, 1, 1, 1]), 0.5, domain="onnx.brevitas")
    imported = assert_equals_qonnx(sketch.save(tmp_path, conv(sketch, x, 4, 4, pads=[1, 1, 1, 1])), images(3, 5, 5))
    assert kinds(imported) == ["Requantize", "Conv2d", "Threshold", "Requantize", "Conv2d"]


def test_zero_points_are_padded_with_their_code(tmp_path):
    sketch = Sketch(3, 5, 5)
    x = sketch.quant("data", 0.25, 5.0, bits=4, signed=0)
    imported = assert_equals_qonnx(sketch.save(tmp_path, conv(sketch, x, 4, 3, pads=[1, 1, 1, 1])), images(3, 5, 5))
    assert imported.graph.nodes[0].pad_value == 5


def test_resizing_comes_after_the_function(tmp_path):
    sketch = Sketch(3, 4, 5)
    x = sketch.add("Relu", conv(sketch, sketch.quant("data", 0.25), 4, 3, pads=[1, 1, 1, 1]))
    x = sketch.add(
        "Resize",
        x,
        np.float32([]),
        np.float32([1, 1, 2, 3]),
        mode="nearest",
        nearest_mode="floor",
        coordinate_transformation_mode="asymmetric",
    )
    imported = assert_equals_qonnx(sketch.save(tmp_path, sketch.quant(x, 0.5, signed=0)), images(3, 4, 5))
    assert kinds(imported) == ["Conv2d", "Threshold", "Upsample2d"]


@pytest.mark.parametrize("mode", ["DCR", "CRD"])
@pytest.mark.parametrize("scales", [0.25, 2.0 ** np.arange(-4, 4).reshape(8, 1, 1, 1)])
def test_depth_to_space_comes_after_the_function(tmp_path, mode, scales):
    sketch = Sketch(3, 4, 5)
    weights = sketch.quant(ternary(8, 3, 1, 1) * np.float32(4) * scales, scales)
    x = sketch.add("Conv", sketch.quant("data", 0.25), weights)
    x = sketch.quant(sketch.add("DepthToSpace", x, blocksize=2, mode=mode), 0.5)
    x = sketch.quant(conv(sketch, x, 2, 2, pads=[1, 1, 1, 1]), 0.5)
    imported = assert_equals_qonnx(sketch.save(tmp_path, x), images(3, 4, 5))
    assert kinds(imported) == ["Dense", "Threshold", "DepthToSpace", "Conv2d", "Threshold"]


def shuffled_with_biases():
    sketch = Sketch(3, 4, 4)
    x = conv(sketch, sketch.quant("data", 0.25), 8, 3, (1, 1))
    x = sketch.add("DepthToSpace", sketch.add("Add", x, np.arange(8.0).reshape(8, 1, 1) / 4), blocksize=2)
    return sketch, sketch.add("Mul", x, 0.5)


def test_biases_before_a_shuffle_at_the_output_are_added_by_the_host(tmp_path):
    sketch, x = shuffled_with_biases()
    assert kinds(assert_equals_qonnx(sketch.save(tmp_path, x), images(3, 4, 4))) == ["Dense", "DepthToSpace"]


def test_argmax_of_such_outputs_is_left_to_the_host(tmp_path):
    sketch, x = shuffled_with_biases()
    imported = import_onnx(sketch.save(tmp_path, x, sketch.add("ArgMax", x, axis=1, keepdims=0)))
    codes = quantize_inputs(imported.graph, images(3, 4, 4))
    reals, index = dequantize_outputs(imported.graph, execute(imported.graph, codes)).values()
    np.testing.assert_array_equal(index, reals.argmax(1))


def test_space_to_depth_is_a_convolution(tmp_path):
    sketch = Sketch(3, 4, 6)
    x = sketch.add(
        "SpaceToDepth", sketch.quant(conv(sketch, sketch.quant("data", 0.25), 2, 3, (1, 1)), 0.5), blocksize=2
    )
    path = sketch.save(tmp_path, conv(sketch, x, 4, 8, (1, 1)))
    assert kinds(assert_equals_qonnx(path, images(3, 4, 6))) == ["Dense", "Threshold", "Conv2d", "Dense"]


def test_channel_shuffle(tmp_path):
    sketch = Sketch(3, 4, 6)
    x = sketch.quant(conv(sketch, sketch.quant("data", 0.25), 6, 3, (1, 1)), 0.5)
    x = sketch.add("Reshape", x, np.array([-1, 2, 3, 4, 6]))
    x = sketch.add("Reshape", sketch.add("Transpose", x, perm=[0, 2, 1, 3, 4]), np.array([-1, 6, 4, 6]))
    assert_equals_qonnx(sketch.save(tmp_path, conv(sketch, x, 6, 3, group=2)), images(3, 4, 6))


def test_padding_slicing_and_splitting(tmp_path):
    sketch = Sketch(4, 6, 6)
    x = sketch.add("Pad", sketch.quant("data", 0.25), np.array([0, 0, 1, 2, 0, 0, 0, 1]))
    x = sketch.add("Slice", x, np.array([0, 1]), np.array([-1, 99]), np.array([2, 3]))
    x = sketch.add("Split", x, np.array([1, 3]), axis=1)
    sketch.nodes[-1].output.append("rest")
    joined = sketch.add(
        "Concat", sketch.quant(conv(sketch, "rest", 2, 3), 0.5), sketch.quant(conv(sketch, x, 2, 1), 0.25), axis=1
    )
    path = sketch.save(tmp_path, conv(sketch, joined, 3, 4, (1, 1)))
    imported = assert_equals_qonnx(path, images(4, 6, 6))
    assert kinds(imported)[:4] == ["Pad", "Slice", "Slice", "Conv2d"] or "Concat" in kinds(imported)


def test_functions_after_a_join_move_before_it(tmp_path):
    sketch = Sketch(3, 4, 4)
    x = sketch.quant("data", 0.25)
    parts = [sketch.add("Relu", conv(sketch, x, 2, 3)), conv(sketch, x, 3, 3)]
    x = sketch.add("Concat", *parts, axis=1)
    parameters = np.float32([[1, 1, 2, 0.5, -1], [0.5, 0, -1, 1, 2], [0, 1, 0, -1, 0], [1, 1, 4, 0.25, 1]])
    x = sketch.quant(sketch.add("BatchNormalization", x, *parameters, epsilon=0.0), 0.5)
    imported = assert_equals_qonnx(sketch.save(tmp_path, x), images(3, 4, 4))
    assert kinds(imported) == ["Conv2d", "Conv2d", "Threshold", "Threshold", "Concat"]


def test_bipolar_and_other_data_join(tmp_path):
    sketch = Sketch(3, 4, 4)
    bipolar = sketch.add("BipolarQuant", conv(sketch, sketch.quant("data", 0.25), 2, 3), 0.5, domain="onnx.brevitas")
    x = sketch.add("Concat", bipolar, sketch.quant(conv(sketch, sketch.nodes[0].output[0], 2, 3), 0.25), axis=1)
    assert_equals_qonnx(sketch.save(tmp_path, conv(sketch, x, 3, 4, (1, 1))), images(3, 4, 4))


def test_vectors_join_in_the_models_order(tmp_path):
    sketch = Sketch(3, 4, 4)
    x = sketch.quant("data", 0.25)
    parts = [sketch.add("Flatten", sketch.quant(conv(sketch, x, outputs, 3), 0.5)) for outputs in (2, 3)]
    path = sketch.save(tmp_path, sketch.dense(sketch.add("Concat", *parts, axis=1), ternary(20, 4), 0.25))
    assert_equals_qonnx(path, images(3, 4, 4))
