import numpy as np
import pytest

from espalier.errors import GraphError
from espalier.ir import Bounds, ConvTranspose2d
from images import WIDE, all_images, check_bounds, image_type, in_torch, random_images, weights_in_torch

CASES = [  # image, kernel, stride, padding of both ends, output_padding
    ((3, 4, 3), (3, 3), (2, 2), (1, 1), (1, 1)),
    ((3, 4, 3), (2, 2), (2, 2), (0, 0), (0, 0)),
    ((3, 4, 1), (4, 4), (2, 2), (1, 1), (0, 0)),
    ((2, 5, 2), (3, 2), (1, 1), (0, 1), (0, 0)),
    ((4, 1, 2), (2, 5), (3, 2), (1, 2), (2, 1)),
    ((1, 1, 5), (1, 2), (3, 3), (0, 0), (2, 2)),
]


def up(weights, **fields) -> ConvTranspose2d:
    return ConvTranspose2d("up1", ("x",), WIDE, weights, **fields)


def random_up(inputs, kernel, **fields) -> ConvTranspose2d:
    return up(np.random.default_rng(1).integers(-4, 5, (3, *kernel, inputs)), **fields)


@pytest.mark.torch
@pytest.mark.parametrize("image, kernel, stride, padding, extra", CASES)
def test_matches_pytorch(image, kernel, stride, padding, extra):
    functional = pytest.importorskip("torch").nn.functional
    node, x = (
        random_up(image[2], kernel, stride=stride, padding=padding * 2, output_padding=extra),
        random_images(2, *image),
    )
    weights = weights_in_torch(node.weights).transpose(0, 1)
    expected = in_torch(
        functional.conv_transpose2d, x, weight=weights, stride=stride, padding=padding, output_padding=extra
    )
    np.testing.assert_array_equal(node.evaluate(x), expected)
    assert expected.shape[1:] == node.shape(image_type(*image))


@pytest.mark.parametrize("padding", [(1, 0, 0, 2), (0, 2, 1, 0)])
def test_padding_crops_each_side_alone(padding):
    x, (top, left, bottom, right) = random_images(2, 3, 4, 2), padding
    full = random_up(2, (3, 4), stride=(2, 2)).evaluate(x)
    found = random_up(2, (3, 4), stride=(2, 2), padding=padding).evaluate(x)
    np.testing.assert_array_equal(found, full[:, top : full.shape[1] - bottom, left : full.shape[2] - right])


STRIDES = pytest.mark.parametrize(
    "stride, padding, extra", [(1, 0, 0), (2, 0, 0), (2, 1, 0), (2, 1, 1), (3, 0, 0), (4, 0, 2)]
)


def up_row(stride, padding, extra) -> ConvTranspose2d:
    weights = [[[[3], [-2], [5]]], [[[-3], [-1], [0]]]]
    return up(weights, stride=(1, stride), padding=(0, padding, 0, padding), output_padding=(0, extra))


@pytest.mark.parametrize("low", [-1, 0])
@STRIDES
def test_bounds_are_reached(low, stride, padding, extra):
    check_bounds(up_row(stride, padding, extra), all_images(1, 5, 1, low=low, high=low + 1))


@STRIDES
def test_bounds_hold_what_the_border_lacks(stride, padding, extra):
    node, x = up_row(stride, padding, extra), all_images(1, 5, 1, low=2, high=3)
    found, y = node.bounds(Bounds(np.array([2]), np.array([3]))), node.evaluate(x)
    assert (y >= found.low).all()
    assert (y <= found.high).all()


@pytest.mark.parametrize("value", [2**24 + 1, 2**53 + 1, 2**59 + 1])
def test_is_exact_beyond_the_mantissas_of_floats(value):
    x = np.array([value, 1]).reshape(1, 1, 2, 1)
    np.testing.assert_array_equal(up([[[[1], [1]]]]).evaluate(x).ravel(), [value, value + 1, 1])


ONE = np.ones((1, 3, 3, 2), dtype=int)


@pytest.mark.parametrize(
    "fields, message",
    [
        (
            {"weights": ONE[0]},
            r"up1: weights have shape \[3, 3, 2\], need \(outputs, kernel rows, kernel columns, inputs",
        ),
        ({"stride": (2, 0)}, r"up1: stride is \(2, 0\), need"),
        ({"padding": (1, 1)}, r"up1: padding is \(1, 1\), need \(top, left, bottom, right\)"),
        ({"output_padding": (-1, 0)}, r"up1: output_padding is \(-1, 0\), need .* at least 0"),
    ],
)
def test_bad_fields_are_named(fields, message):
    with pytest.raises(GraphError, match=message):
        up(**{"weights": ONE, **fields})


@pytest.mark.parametrize(
    "x, message",
    [
        (image_type(4), r"up1: takes an image .* produces uint4\[4\]"),
        (image_type(2, 2, 3), r"up1: weights take 2 channels, but .* uint4\[2,2,3\]; change the layer's in_channels"),
        (image_type(1, 1, 2), r"up1: its padding \(2, 0, 2, 0\) crops the whole result; pad less"),
    ],
)
def test_input_that_does_not_fit_is_named(x, message):
    with pytest.raises(GraphError, match=message):
        up(ONE, padding=(2, 0, 2, 0)).shape(x)


def test_sums_beyond_62_bits_are_refused():
    with pytest.raises(GraphError, match="up1: its sums need more than 62 bits"):
        up(ONE).bounds(Bounds(np.zeros(2, dtype=int), np.full(2, 2**60)))
