import numpy as np
import pytest

from espalier.errors import GraphError
from espalier.ir import Pad
from images import WIDE, all_images, check_bounds, image_type, random_images


def pad(padding, value=0) -> Pad:
    return Pad("pad1", ("x",), WIDE, padding, value)


@pytest.mark.parametrize("value", [0, -3])
@pytest.mark.parametrize("padding", [(0, 0, 0, 0), (1, 2, 3, 0), (0, 0, 1, 1)])
def test_image_lies_inside_its_padding(padding, value):
    x, (top, left, bottom, right) = random_images(2, 3, 4, 2), padding
    expected = np.full((2, 3 + top + bottom, 4 + left + right, 2), value)
    expected[:, top : top + 3, left : left + 4] = x
    np.testing.assert_array_equal(pad(padding, value).evaluate(x), expected)
    assert pad(padding).shape(image_type(3, 4, 2)) == expected.shape[1:]


@pytest.mark.parametrize("value", [0, 1, 4])
def test_bounds_are_reached(value):
    check_bounds(pad((0, 1, 0, 0), value), all_images(1, 2, 2, low=1, high=2))
    check_bounds(pad((0, 0, 0, 0), value), all_images(1, 2, 2, low=1, high=2))


def test_bad_padding_is_named():
    with pytest.raises(GraphError, match=r"pad1: padding is \(1, -1, 0, 0\), need \(top, left, bottom, right\)"):
        pad((1, -1, 0, 0))


def test_vector_is_refused():
    with pytest.raises(GraphError, match=r"pad1: takes an image .* produces uint4\[5\]"):
        pad((1, 1, 0, 0)).shape(image_type(5))
