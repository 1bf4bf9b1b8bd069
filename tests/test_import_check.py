"""All problems of a model at once, and what each of them says."""

import numpy as np
import pytest

from espalier.errors import GraphError
from espalier.ir.import_check import check_model
from espalier.ir.onnx_import import import_onnx
from onnx_models import Sketch, random_mlp
from test_import_images import conv


def weights(*shape):
    return np.ones(shape, dtype=np.float32)


def test_nothing_to_say_of_a_model_that_imports(tmp_path):
    assert check_model(random_mlp(tmp_path, 0)) == []


def test_all_problems_are_listed_and_what_follows_is_not(tmp_path):
    sketch = Sketch(3, 8, 8)
    first = sketch.add("Conv", "data", sketch.quant(weights(4, 3, 3, 3)), name="first")
    odd = sketch.add("LRN", sketch.quant(first), size=3, name="odd")
    after = sketch.add("Conv", sketch.quant(odd), weights(4, 4, 1, 1) / 3, name="after")
    float_ = sketch.add("Conv", sketch.quant(first), weights(4, 4, 1, 1) / 3, name="float")
    curve = sketch.add("Conv", sketch.add("Sigmoid", first), sketch.quant(weights(4, 4, 1, 1)), name="curve")
    path = sketch.save(tmp_path, after, float_, curve)
    found = check_model(path)
    assert [line.split()[0] for line in found] == ["input", "odd", "float", "curve"]
    assert "--input-type" in found[0] and "put a Quant node on them" in found[2] and "quantizer after it" in found[3]
    assert len(check_model(path, input_type="uint8:1/255")) == 3
    with pytest.raises(GraphError, match="input data has no quantizer"):
        import_onnx(path)


def test_problems_of_outputs(tmp_path):
    sketch = Sketch(6)
    x = sketch.add("Add", sketch.dense(sketch.quant("data"), weights(6, 5)), np.arange(5) / 7)
    path = sketch.save(tmp_path, x)
    assert check_model(path) == []
    (line,) = check_model(path, argmax=True)
    assert "ArgMax in hardware would not be exact" in line


@pytest.mark.parametrize(
    "build, message",
    [
        (
            lambda s, x: s.add("AveragePool", x, kernel_shape=[2, 2], pads=[1, 1, 1, 1]),
            "divides by fewer pixels at the border; set count_include_pad=True",
        ),
        (
            lambda s, x: s.add("AveragePool", x, kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1),
            "beyond its padding; set ceil_mode=False",
        ),
        (
            lambda s, x: s.add("MaxPool", x, kernel_shape=[2, 2], dilations=[2, 2]),
            "has dilation or gives indices",
        ),
        (
            lambda s, x: s.add("MaxPool", x, kernel_shape=[9, 9]),
            "windows of 9x9 pixels do not fit",
        ),
        (
            lambda s, x: s.add("ReduceMean", x, axes=[1]),
            r"reduces axes \[1\] .* only all pixels",
        ),
        (
            lambda s, x: s.add("ReduceMean", x, axes=[2]),
            "only all pixels of each channel",
        ),
        (
            lambda s, x: s.add("Resize", x, np.float32([]), np.float32([1, 1, 1.5, 2]), mode="nearest"),
            r"resizes by \[1\.0, 1\.5, 2\.0\]; only whole factors",
        ),
        (
            lambda s, x: s.add("Resize", x, np.float32([]), np.float32([1, 1, 2, 2]), mode="linear"),
            "resizes by linear, .* only nearest",
        ),
        (
            lambda s, x: s.add("Pad", x, np.array([0, 0, 1, 1, 0, 0, 1, 1]), mode="reflect"),
            "pads by reflect; only constants",
        ),
        (
            lambda s, x: s.add("Pad", x, np.array([0, 1, 1, 1, 0, 0, 0, 0])),
            "only pixels, of 1 or 2 axes, can be padded",
        ),
        (
            lambda s, x: s.add("Pad", x, np.array([0, 0, 1, 1, 0, 0, 1, 1]), np.float32(0.1)),
            "pads with 0.1, which is no code of data",
        ),
        (
            lambda s, x: s.add("Slice", x, np.array([0]), np.array([4]), np.array([2]), np.array([2])),
            "only steps of 1 are possible",
        ),
        (
            lambda s, x: s.add("Concat", x, x, axis=2),
            "joins along axis 2 of 4; only channels",
        ),
        (
            lambda s, x: s.add("Concat", x, weights(1, 1, 8, 8), axis=1),
            "joins data and constants",
        ),
        (
            lambda s, x: conv(s, x, 4, 2),
            "weights take 2 channels in 1 groups and give 4, but data of shape",
        ),
        (
            lambda s, x: conv(s, x, 4, 3, pads=[-1, 0, 0, 0]),
            "none may be negative",
        ),
        (
            lambda s, x: conv(s, x, 4, 3, (9, 9)),
            "do not fit the padded image",
        ),
        (
            lambda s, x: s.add("ConvTranspose", x, s.quant(weights(3, 2, 3, 3)), group=3),
            "has groups, dilation or other",
        ),
        (
            lambda s, x: conv(s, s.add("Transpose", s.quant(conv(s, x, 3, 3)), perm=[0, 1, 3, 2]), 4, 3),
            "in an order to which no operator",
        ),
        (
            lambda s, x: s.add("Add", x, conv(s, x, 3, 3)),
            r"adds data of shapes \[3, 8, 8\] and \[3, 6, 6\]",
        ),
        (
            lambda s, x: conv(s, s.add("Add", x, weights(8, 8) * np.arange(8.0)), 4, 3),
            "its constants differ from pixel to pixel",
        ),
        (
            lambda s, x: conv(s, s.add("Add", x, 0.1234567), 4, 3, pads=[1, 1, 1, 1]),
            "adds zeros around its data, for which data has no code .* integer zero point",
        ),
        (
            lambda s, x: s.add("MaxPool", s.add("HardSwish", x), kernel_shape=[2, 2]),
            "neither rises nor falls all the way; put a quantizer between",
        ),
    ],
)
def test_each_pattern_says_what_to_change(tmp_path, build, message):
    sketch = Sketch(3, 8, 8, opset=14)
    x = build(sketch, sketch.quant("data", 0.25))
    path = sketch.save(tmp_path, x)
    with pytest.raises(GraphError, match=message) as error:
        import_onnx(path)
    assert "\n" not in str(error.value) and check_model(path) == [str(error.value)]
