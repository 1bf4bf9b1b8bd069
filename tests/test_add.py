import numpy as np
import pytest

from espalier.errors import GraphError
from espalier.ir import Add, Bounds
from images import WIDE, image_type


def add(coefficients=(1, 1)) -> Add:
    return Add("add1", ("a", "b"), WIDE, coefficients)


@pytest.mark.parametrize("shape", [(3, 5), (2, 3, 4, 5)])
def test_sums_multiples(shape):
    rng = np.random.default_rng(0)
    a, b = rng.integers(-9, 9, (2, *shape))
    np.testing.assert_array_equal(add((3, -2)).evaluate(a, b), 3 * a - 2 * b)


def test_bounds_are_reached_by_independent_inputs():
    reach = Bounds(np.array([-2, 0]), np.array([1, 3])), Bounds(np.array([1, -1]), np.array([2, 4]))
    found = add((3, -2)).bounds(*reach)
    np.testing.assert_array_equal(found.low, [-6 - 4, -8])
    np.testing.assert_array_equal(found.high, [3 - 2, 9 + 2])


def test_different_shapes_are_named():
    with pytest.raises(GraphError, match=r"add1: adds a, uint4\[2,2,3\], and b, uint4\[3\]; bring both to one shape"):
        add().shape(image_type(2, 2, 3), image_type(3))


@pytest.mark.parametrize("coefficients", [(1,), (1, 2, 3), (1, 0.5), 3])
def test_bad_coefficients_are_named(coefficients):
    with pytest.raises(GraphError, match=r"add1: coefficients is .*, need \(first, second\)"):
        add(coefficients)


def test_sums_beyond_62_bits_are_refused():
    reach = Bounds(np.array([0]), np.array([2**60]))
    with pytest.raises(GraphError, match="add1: its sums need more than 62 bits; lower activation_bits"):
        add((2, 2)).bounds(reach, reach)
