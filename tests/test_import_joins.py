"""Sums of tensors on different grids, and functions of one tensor joined with itself."""

import numpy as np
import pytest

from espalier.errors import GraphError
from espalier.ir.onnx_import import import_onnx
from onnx_models import Sketch
from test_import_images import assert_equals_qonnx, conv, images, kinds, ternary


def branches(scales, *, bits=4, steps=(), operator="Add", out=0.3):
    """Two quantized layers on one input, joined, and a quantizer after it."""
    sketch = Sketch(3, 5, 5)
    x = sketch.quant("data", 0.25)
    parts = [sketch.quant(conv(sketch, x, 4, 3), scale, bits=bits) for scale in scales]
    x = sketch.add(operator, *parts, name="skip")
    for step, *constants in steps:
        x = sketch.add(step, x, *constants)
    return sketch, sketch.quant(x, out, bits=bits)


@pytest.mark.parametrize("operator", ["Add", "Sub"])
@pytest.mark.parametrize("scales", [(0.5, 0.5), (0.5, 0.125), (0.25, 0.75), (0.3, 0.1), (0.31, 0.17), (0.0461, 0.0684)])
def test_sums_are_exact_for_all_pairs(tmp_path, scales, operator):
    sketch, x = branches(scales, operator=operator, steps=[("Relu",)])
    imported = assert_equals_qonnx(sketch.save(tmp_path, x), images(3, 5, 5))
    assert kinds(imported)[-2:] == ["Add", "Threshold"]


@pytest.mark.parametrize("bits, scales", [(2, (0.7, 0.4)), (6, (0.0461, 0.0684)), (8, (0.01, 0.02))])
def test_widths_of_pairs(tmp_path, bits, scales):
    sketch, x = branches(scales, bits=bits, out=0.043)
    assert_equals_qonnx(sketch.save(tmp_path, x), images(3, 5, 5))


def test_every_pair_of_codes_gives_what_the_model_gives(tmp_path):
    sketch = Sketch(2, 1, 1)
    x = sketch.quant("data", 1.0)
    parts = [
        sketch.add("Conv", x, sketch.quant(np.float32([[[[1]], [[0]]], [[[0]], [[1]]]])[::step])) for step in (1, -1)
    ]
    joined = sketch.add("Add", *(sketch.quant(p, s) for p, s in zip(parts, (0.61, 0.37), strict=True)))
    path = sketch.save(tmp_path, sketch.quant(sketch.add("Sigmoid", joined), 0.11, signed=0))
    pairs = np.stack(np.meshgrid(np.arange(-8, 8), np.arange(-8, 8)), axis=-1).reshape(-1, 2, 1, 1)
    assert_equals_qonnx(path, pairs.astype(np.float32))


def test_channels_with_different_ratios_are_multiplied_first(tmp_path):
    sketch = Sketch(3, 5, 5)
    x = sketch.quant("data", 0.25)
    scales = np.float32([1, 0.5, 3, 0.25]).reshape(1, 4, 1, 1)
    parts = [sketch.quant(conv(sketch, x, 4, 3), scale) for scale in (scales, 0.5)]
    path = sketch.save(tmp_path, sketch.quant(sketch.add("Add", *parts), 0.5))
    assert kinds(assert_equals_qonnx(path, images(3, 5, 5)))[-3:] == ["Requantize", "Add", "Threshold"]


def test_sum_of_accumulators(tmp_path):
    sketch = Sketch(3, 5, 5)
    x = sketch.quant("data", 0.25)
    shortcut = sketch.add(
        "BatchNormalization", conv(sketch, x, 4, 3), *np.float32([[1] * 4, [0.5] * 4, [0] * 4, [1] * 4]), epsilon=0.0
    )
    x = sketch.add("Add", conv(sketch, x, 4, 3), shortcut)
    imported = assert_equals_qonnx(
        sketch.save(tmp_path, sketch.quant(sketch.add("Relu", x), 0.5, signed=0)), images(3, 5, 5)
    )
    assert kinds(imported) == ["Conv2d", "Conv2d", "Add", "Threshold"]


def test_sum_that_a_layer_reads(tmp_path):
    sketch = Sketch(3, 5, 5)
    x = sketch.quant("data", 0.25)
    x = sketch.add("Add", sketch.quant(conv(sketch, x, 3, 3, pads=[1, 1, 1, 1]), 0.5), x)
    assert_equals_qonnx(sketch.save(tmp_path, conv(sketch, x, 2, 3, pads=[1, 1, 1, 1])), images(3, 5, 5))


def test_vectors_and_images_of_other_orders_are_added(tmp_path):
    sketch = Sketch(3, 4, 4)
    x = sketch.quant("data", 0.25)
    vector = sketch.quant(sketch.dense(sketch.add("Flatten", x), ternary(48, 32), 0.25), 0.5)
    image = sketch.add("Flatten", sketch.quant(conv(sketch, x, 8, 3), 0.5))
    assert_equals_qonnx(sketch.save(tmp_path, sketch.quant(sketch.add("Add", vector, image), 0.5)), images(3, 4, 4))


def test_sum_without_small_coefficients_names_both_scales(tmp_path):
    sketch = Sketch(3, 5, 5)
    x = sketch.quant("data", 0.25)
    x = sketch.add("Add", sketch.quant(conv(sketch, x, 3, 3, pads=[1, 1, 1, 1]), 0.31), x, name="skip")
    path = sketch.save(tmp_path, conv(sketch, x, 2, 3))
    with pytest.raises(
        GraphError, match=r"skip \(Add\): adds conv1_act in steps of 0\.31 to data in steps of 0\.25; .*one quantizer"
    ):
        import_onnx(path)


@pytest.mark.parametrize("function", [
    lambda s, x: s.add("Mul", x, s.add("Sigmoid", x)),
    lambda s, x: s.add("Mul", x, s.add("HardSigmoid", x, alpha=1 / 6, beta=0.5)),
    lambda s, x: s.add("Mul", s.add("Tanh", s.add("Softplus", x)), x),
    lambda s, x: s.add("Add", s.add("Relu", x), s.add("Mul", x, 0.1)),
    lambda s, x: s.add("HardSwish", x),
    lambda s, x: s.add("Mul", s.add("Mul", x, s.add("Add", s.add("Erf", s.add("Div", x, 1.41421356)), 1.0)), 0.5),
    lambda s, x: s.add("Elu", x, alpha=0.5),
    lambda s, x: s.add("PRelu", x, np.float32([0.1, 0.2, -0.5, 0]).reshape(4, 1, 1)),
])  # fmt: skip
@pytest.mark.parametrize("quantized", [True, False])
def test_functions_of_one_tensor_are_one_node(tmp_path, function, quantized):
    sketch = Sketch(3, 5, 5, opset=14)
    x = conv(sketch, sketch.quant("data", 0.25), 4, 3)
    x = sketch.quant(x, 0.25, bits=5) if quantized else x
    imported = assert_equals_qonnx(
        sketch.save(tmp_path, sketch.quant(function(sketch, x), 0.25, bits=5)), images(3, 5, 5)
    )
    assert len(kinds(imported)) <= 2 + quantized


def test_equal_quantizers_are_made_once(tmp_path):
    sketch = Sketch(3, 5, 5)
    x = sketch.quant(conv(sketch, sketch.quant("data", 0.25), 3, 3), 0.5)
    x = sketch.add("Add", conv(sketch, sketch.quant(x, 0.5), 3, 3, (1, 1)), sketch.quant(x, 0.5))
    imported = assert_equals_qonnx(sketch.save(tmp_path, sketch.quant(x, 0.5)), images(3, 5, 5))
    assert kinds(imported) == ["Conv2d", "Threshold", "Dense", "Add", "Threshold"]


def test_branches_of_other_operators_name_the_node(tmp_path):
    sketch, x = branches((0.5, 0.25), operator="Mul")
    with pytest.raises(GraphError, match=r"skip \(Mul\): joins 2 streams of data by Mul; only Add"):
        import_onnx(sketch.save(tmp_path, x))
