from dataclasses import replace

import numpy as np
import pytest

from espalier.errors import GraphError
from espalier.ir import Bounds, Conv2d, TensorType
from images import WIDE, all_images, check_bounds, image_type, in_torch, random_images, weights_in_torch

CASES = [  # image, kernel, groups, outputs and fields
    ((5, 6, 3), (3, 3), 1, 4, {}),
    ((5, 6, 3), (3, 3), 1, 1, {"padding": (1, 1, 1, 1)}),
    ((7, 5, 2), (3, 2), 1, 5, {"padding": (2, 0, 1, 3), "pad_value": -3, "stride": (2, 3)}),
    ((9, 8, 4), (2, 3), 2, 6, {"dilation": (3, 2), "padding": (0, 2, 1, 0), "pad_value": 5}),
    ((6, 6, 5), (3, 3), 5, 5, {"padding": (1, 1, 1, 1), "stride": (2, 2), "pad_value": 1}),
    ((6, 6, 3), (3, 1), 3, 9, {"padding": (1, 0, 0, 0)}),
    ((1, 9, 13), (1, 4), 1, 37, {"padding": (0, 3, 0, 0), "dilation": (1, 2)}),
    ((1, 1, 1), (3, 3), 1, 1, {"padding": (1, 1, 1, 1), "pad_value": 2}),
    ((3, 3, 5), (1, 1), 1, 2, {}),
]


def conv(weights, **fields) -> Conv2d:
    return Conv2d("conv1", ("x",), WIDE, weights, **fields)


def random_conv(inputs, kernel, groups, outputs, **fields) -> Conv2d:
    weights = np.random.default_rng(1).integers(-4, 5, (outputs, *kernel, inputs // groups))
    return conv(weights, groups=groups, **fields)


@pytest.mark.torch
@pytest.mark.parametrize("image, kernel, groups, outputs, fields", CASES)
def test_matches_pytorch(image, kernel, groups, outputs, fields):
    functional = pytest.importorskip("torch").nn.functional
    node, x = random_conv(image[2], kernel, groups, outputs, **fields), random_images(3, *image)
    top, left, bottom, right = node.padding

    def padded_conv(x):
        x = functional.pad(x, (left, right, top, bottom), value=node.pad_value)
        return functional.conv2d(x, weights_in_torch(node.weights), None, node.stride, 0, node.dilation, groups)

    np.testing.assert_array_equal(node.evaluate(x), in_torch(padded_conv, x))
    assert node.evaluate(x).shape[1:] == node.shape(image_type(*image))


@pytest.mark.parametrize("image, kernel, groups, outputs, fields", CASES)
def test_results_stay_within_bounds(image, kernel, groups, outputs, fields):
    node, x = random_conv(image[2], kernel, groups, outputs, **fields), random_images(40, *image, low=2)
    found, y = node.bounds(Bounds(np.full(image[2], 2), np.full(image[2], 7))), node.evaluate(x)
    assert (y >= found.low).all()
    assert (y <= found.high).all()


@pytest.mark.parametrize(
    "weights, image, low, fields",
    [
        ([[[[3], [-2]], [[1], [0]]], [[[-3], [-1]], [[-1], [-5]]]], (2, 4, 1), 0, {}),
        ([[[[3, 1], [-2, -1]]], [[[0, 1], [1, 1]]]], (1, 3, 2), -1, {}),
        ([[[[3], [-2]]], [[[-3], [2]]]], (1, 4, 1), 2, {"padding": (0, 1, 0, 0), "pad_value": 1}),
        ([[[[3], [-2]]], [[[-3], [2]]]], (1, 4, 1), 2, {"padding": (0, 0, 0, 1), "pad_value": 9}),
        ([[[[3], [-2]]], [[[-3], [2]]]], (1, 4, 2), 2, {"groups": 2}),
    ],
)
def test_bounds_are_reached(weights, image, low, fields):
    check_bounds(conv(weights, **fields), all_images(*image, low=low, high=low + 1))


def test_every_channel_of_a_depthwise_convolution_has_its_own_bounds():
    found = conv([[[[2]]], [[[-3]]], [[[1]]]], groups=3).bounds(Bounds(np.array([0, 1, -2]), np.array([3, 4, 5])))
    np.testing.assert_array_equal(found.low, [0, -12, -2])
    np.testing.assert_array_equal(found.high, [6, -3, 5])


@pytest.mark.parametrize("value", [2**23 + 1, 2**24 + 1, 2**52 + 1, 2**53 + 1, 2**59 + 1])
def test_is_exact_beyond_the_mantissas_of_floats(value):
    x = np.array([value, 1, 0, 1, 1, 0]).reshape(1, 1, 6, 1)
    node = conv([[[[1], [1]]], [[[-1], [2]]]])
    expected = [[value + 1, 2 - value], [1, -1], [1, 2], [2, 1], [1, -1]]
    np.testing.assert_array_equal(node.evaluate(x)[0, 0], expected)


def test_large_pad_value_is_exact():
    node = conv([[[[1], [1]]]], padding=(0, 1, 0, 0), pad_value=2**40)
    np.testing.assert_array_equal(node.evaluate(np.ones((1, 1, 1, 1), dtype=int)), 2**40 + 1)


@pytest.mark.parametrize("frames", [0, 1, 5])
def test_frames_are_taken_a_few_at_a_time(monkeypatch, frames):
    node, x = random_conv(3, (3, 3), 1, 4), random_images(frames, 4, 5, 3)
    whole = node.evaluate(x)
    monkeypatch.setattr("espalier.ir.conv2d.CHUNK_BYTES", 1500)  # two frames
    np.testing.assert_array_equal(node.evaluate(x), whole)
    assert whole.shape == (frames, 2, 3, 4)


@pytest.mark.parametrize("inputs, groups, outputs, depthwise", [(3, 3, 3, True), (3, 3, 6, False), (1, 1, 1, False)])
def test_depthwise_means_each_channel_alone(inputs, groups, outputs, depthwise):
    assert random_conv(inputs, (1, 1), groups, outputs).is_depthwise == depthwise


ONE = np.ones((4, 3, 3, 2), dtype=int)


@pytest.mark.parametrize(
    "fields, message",
    [
        ({"weights": ONE / 2}, "conv1: weights are float64, need integers"),
        (
            {"weights": ONE[0]},
            r"conv1: weights have shape \[3, 3, 2\], need \(outputs, kernel rows, kernel columns, inp",
        ),
        ({"groups": 3}, "conv1: its 4 outputs do not divide into 3 groups; make out_channels a multiple"),
        ({"groups": 0}, "conv1: its 4 outputs do not divide into 0 groups"),
        ({"stride": (0, 1)}, r"conv1: stride is \(0, 1\), need \(vertical, horizontal\), integers of at least 1"),
        ({"dilation": 2}, r"conv1: dilation is 2, need \(vertical, horizontal\)"),
        ({"padding": (1, 1)}, r"conv1: padding is \(1, 1\), need \(top, left, bottom, right\), integers of at least 0"),
        ({"padding": (1, 1, 0.5, 0)}, r"conv1: padding is \(1, 1, 0\.5, 0\), need"),
    ],
)
def test_bad_fields_are_named(fields, message):
    with pytest.raises(GraphError, match=message):
        conv(**{"weights": ONE, **fields})


@pytest.mark.parametrize(
    "x, message",
    [
        (image_type(5), r"conv1: takes an image .* produces uint4\[5\]; move it before the layer that flattens"),
        (image_type(5, 5, 3), r"conv1: weights take 2 channels, but .* uint4\[5,5,3\]; change the layer's in_channels"),
        (image_type(2, 5, 2), "conv1: windows of 3x3 pixels do not fit the padded image of 2x5; lower kernel_size"),
    ],
)
def test_input_that_does_not_fit_is_named(x: TensorType, message):
    with pytest.raises(GraphError, match=message):
        conv(ONE).shape(x)


def test_sums_beyond_62_bits_are_refused():
    with pytest.raises(GraphError, match="conv1: its sums need more than 62 bits; lower weight_bits"):
        conv(ONE * 2**10).bounds(Bounds(np.zeros(2, dtype=int), np.full(2, 2**50)))
    with pytest.raises(GraphError, match="conv1: its sums need more than 62 bits"):
        padded = replace(conv(ONE), padding=(1, 0, 0, 0), pad_value=-(2**60))
        padded.bounds(Bounds(np.zeros(2, dtype=int), np.ones(2, dtype=int)))
