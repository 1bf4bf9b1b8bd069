import numpy as np
import pytest

from espalier.errors import GraphError
from espalier.ir import MaxPool2d
from images import WIDE, all_images, check_bounds, image_type, in_torch, random_images


def pool(kernel, stride, padding=(0, 0, 0, 0)) -> MaxPool2d:
    return MaxPool2d("pool1", ("x",), WIDE, kernel, stride, padding)


@pytest.mark.torch
@pytest.mark.parametrize("low", [-8, 3])
@pytest.mark.parametrize(
    "image, kernel, stride, padding",
    [
        ((4, 6, 3), (2, 2), (2, 2), (0, 0)),
        ((5, 7, 1), (3, 2), (1, 2), (1, 1)),
        ((5, 5, 2), (2, 4), (3, 1), (1, 2)),
        ((3, 4, 5), (3, 4), (1, 1), (0, 0)),
        ((1, 1, 1), (1, 1), (1, 1), (0, 0)),
    ],
)
def test_matches_pytorch(image, kernel, stride, padding, low):
    functional = pytest.importorskip("torch").nn.functional
    node, x = pool(kernel, stride, padding * 2), random_images(3, *image, low=low)
    expected = in_torch(functional.max_pool2d, x, kernel_size=kernel, stride=stride, padding=padding)
    np.testing.assert_array_equal(node.evaluate(x), expected)
    assert expected.shape[1:] == node.shape(image_type(*image))


def test_padding_on_one_side_never_wins():
    x = np.array([[-5, -3, -4]]).reshape(1, 1, 3, 1)
    y = pool((1, 2), (1, 2), (0, 0, 0, 1)).evaluate(x)
    np.testing.assert_array_equal(y.ravel(), [-3, -4])


def test_bounds_are_reached():
    check_bounds(pool((2, 2), (1, 1), (1, 0, 0, 1)), all_images(2, 2, 2, low=1, high=2))


@pytest.mark.parametrize(
    "fields, image, message",
    [
        (
            ((2, 2), (2, 2)),
            (4,),
            r"pool1: takes an image .* produces uint4\[4\]; move it before the layer that flattens",
        ),
        (((3, 3), (2, 2)), (4, 2, 1), "pool1: windows of 3x3 pixels do not fit the padded image of 4x2"),
        (((2, 2), (1, 1), (2, 0, 0, 0)), (4, 4, 1), r"pool1: padding \(2, 0, 0, 0\) leaves windows of 2x2 that see no"),
        (((2, 2), (1, 1), (0, 0, 0, 2)), (4, 4, 1), r"pool1: padding .* see no pixel of the 4x4 image; pad less"),
    ],
)
def test_input_that_does_not_fit_is_named(fields, image, message):
    with pytest.raises(GraphError, match=message):
        pool(*fields).shape(image_type(*image))


@pytest.mark.parametrize("fields", [((0, 2), (2, 2)), ((2, 2), (2,)), ((2, 2), (2, 2), (1, 1))])
def test_bad_fields_are_named(fields):
    with pytest.raises(GraphError, match="pool1: (kernel|stride|padding) is .*, need "):
        pool(*fields)
