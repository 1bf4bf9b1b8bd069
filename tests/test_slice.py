import numpy as np
import pytest

from espalier.errors import GraphError
from espalier.ir import Bounds, Slice
from images import WIDE, image_type, random_images


def cut(start, stop) -> Slice:
    return Slice("cut1", ("x",), WIDE, start, stop)


def test_box_is_cut_out():
    x = random_images(2, 4, 5, 6)
    np.testing.assert_array_equal(cut((1, 0, 3), (3, 5, 4)).evaluate(x), x[:, 1:3, :, 3:4])
    assert cut((1, 0, 3), (3, 5, 4)).shape(image_type(4, 5, 6)) == (2, 5, 1)


def test_vectors_are_cut_too():
    np.testing.assert_array_equal(cut((2,), (5,)).evaluate(np.arange(6)[None]), [[2, 3, 4]])


def test_bounds_are_those_of_the_channels():
    found = cut((0, 0, 1), (1, 1, 3)).bounds(Bounds(np.array([1, 2, 3, 4]), np.array([5, 6, 7, 8])))
    np.testing.assert_array_equal(found.low, [2, 3])
    np.testing.assert_array_equal(found.high, [6, 7])


@pytest.mark.parametrize(
    "start, stop", [((0, 0), (1, 1)), ((0, 0, 0), (1, 1, 4)), ((0, 1, 0), (1, 1, 1)), ((0, 0, 0), (1, 1))]
)
def test_box_outside_is_named(start, stop):
    with pytest.raises(GraphError, match=r"cut1: cuts \[0, .* out of uint4\[2,2,3\]; give a start below a stop"):
        cut(start, stop).shape(image_type(2, 2, 3))


@pytest.mark.parametrize("start", [(-1,), (0.5,), ()])
def test_bad_start_is_named(start):
    with pytest.raises(GraphError, match=r"cut1: start is \(.*\), need \(axis 0\), integers of at least 0"):
        cut(start, (2,))
