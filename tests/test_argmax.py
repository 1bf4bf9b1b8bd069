from itertools import product

import numpy as np
import pytest

from espalier.ir import ArgMax, Bounds, IntType, TensorType

NODE = ArgMax("best", ("x",), IntType(4))


def test_first_of_equals_wins():
    x = np.array([[1, 3, 3], [-5, -5, -5], [0, 1, 2]])
    np.testing.assert_array_equal(NODE.evaluate(x), [[1], [0], [2]])


def test_each_pixel_has_its_own():
    assert NODE.shape(TensorType((2, 3, 5), IntType(4))) == (2, 3, 1)
    np.testing.assert_array_equal(NODE.evaluate(np.array([[[[1, 2], [2, 1]]]])), [[[[1], [0]]]])


@pytest.mark.parametrize("seed", range(20))
def test_bounds_are_exact(seed):
    rng = np.random.default_rng(seed)
    low = rng.integers(-3, 3, 4)
    reach = Bounds(low, low + rng.integers(0, 4, 4))
    x = np.array(list(product(*(range(a, b + 1) for a, b in zip(reach.low, reach.high)))))
    found, y = NODE.bounds(reach), NODE.evaluate(x)
    assert (found.low[0], found.high[0]) == (y.min(), y.max())
