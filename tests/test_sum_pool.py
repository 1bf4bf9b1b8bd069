import numpy as np
import pytest

from espalier.errors import GraphError
from espalier.ir import Bounds, SumPool2d
from images import WIDE, all_images, check_bounds, image_type, in_torch, random_images


def pool(kernel, stride=(1, 1), padding=(0, 0, 0, 0)) -> SumPool2d:
    return SumPool2d("pool1", ("x",), WIDE, kernel, stride, padding)


@pytest.mark.torch
@pytest.mark.parametrize(
    "image, kernel, stride, padding",
    [
        ((4, 6, 3), (2, 2), (2, 2), (0, 0)),
        ((5, 7, 1), (3, 2), (1, 2), (1, 1)),
        ((3, 4, 5), (3, 4), (1, 1), (0, 0)),
        ((1, 1, 1), (1, 1), (1, 1), (0, 0)),
    ],
)
def test_matches_pytorch(image, kernel, stride, padding):
    functional = pytest.importorskip("torch").nn.functional
    node, x = pool(kernel, stride, padding * 2), random_images(3, *image)
    options = dict(kernel_size=kernel, stride=stride, padding=padding, divisor_override=1)
    np.testing.assert_array_equal(node.evaluate(x), in_torch(functional.avg_pool2d, x, **options))
    assert node.evaluate(x).shape[1:] == node.shape(image_type(*image))


def test_padding_of_one_side_counts_nothing():
    x = np.array([5, 3, 4]).reshape(1, 1, 3, 1)
    np.testing.assert_array_equal(pool((1, 2), (1, 2), (0, 0, 0, 1)).evaluate(x).ravel(), [8, 4])


@pytest.mark.parametrize("low", [-2, -1, 0, 1])
@pytest.mark.parametrize("padding", [(0, 0, 0, 0), (0, 1, 0, 0), (0, 0, 0, 2), (1, 0, 0, 0)])
def test_bounds_are_reached(low, padding):
    check_bounds(pool((2, 3), (1, 1), padding), all_images(2, 4, 1, low=low, high=low + 1))


def test_sums_beyond_62_bits_are_refused():
    with pytest.raises(
        GraphError, match="pool1: its sums need more than 62 bits; lower activation_bits or kernel_size"
    ):
        pool((2, 2)).bounds(Bounds(np.array([0]), np.array([2**60])))


@pytest.mark.parametrize("fields", [((0, 2),), ((2, 2), (2,)), ((2, 2), (2, 2), (1, 1))])
def test_bad_fields_are_named(fields):
    with pytest.raises(GraphError, match="pool1: (kernel|stride|padding) is .*, need "):
        pool(*fields)


def test_window_larger_than_the_image_is_named():
    with pytest.raises(GraphError, match="pool1: windows of 3x3 pixels do not fit the padded image of 4x2"):
        pool((3, 3)).shape(image_type(4, 2, 1))
