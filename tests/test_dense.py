from itertools import product

import numpy as np
import pytest

from espalier.errors import GraphError
from espalier.ir import Bounds, Dense, IntType, TensorType
from graphs import random_weights

WIDE = IntType(62, signed=True)


def dense(weights) -> Dense:
    return Dense("fc1", ("x",), WIDE, weights)


@pytest.mark.parametrize("shape", [(1, 5), (7, 5), (2, 3, 4, 5)])
@pytest.mark.parametrize("bits", [1, 2, 8])
def test_matches_a_plain_sum(shape, bits):
    rng = np.random.default_rng(bits)
    node, x = dense(random_weights(rng, 3, 5, bits)), rng.integers(-128, 128, shape)
    expected = (x[..., None, :] * node.weights).sum(axis=-1)
    np.testing.assert_array_equal(node.evaluate(x), expected)
    assert node.evaluate(x).dtype == np.int64


@pytest.mark.parametrize("value", [2**52 - 1, 2**53 + 1, 2**60 + 1])
def test_is_exact_beyond_the_mantissa_of_float64(value):
    node = dense([[1, 1, -1]])
    assert node.evaluate(np.array([[value, 1, 1]]))[0, 0] == value
    assert node.evaluate(np.array([[value, 1, 0]]))[0, 0] == value + 1


def test_bounds_are_exact_for_independent_inputs():
    rng = np.random.default_rng(0)
    node = dense(rng.integers(-4, 4, (6, 3)))
    reach = Bounds(np.array([-2, 1, 0]), np.array([1, 3, 0]))
    x = np.array(list(product(*(range(low, high + 1) for low, high in zip(reach.low, reach.high)))))
    found = node.bounds(reach)
    np.testing.assert_array_equal(found.low, node.evaluate(x).min(axis=0))
    np.testing.assert_array_equal(found.high, node.evaluate(x).max(axis=0))


def test_weights_are_a_read_only_copy():
    weights = np.ones((2, 2), dtype=np.int8)
    node = dense(weights)
    weights[:] = 0
    assert node.weights.min() == 1
    with pytest.raises(ValueError, match="read-only"):
        node.weights[0, 0] = 0


@pytest.mark.parametrize(
    "weights, message",
    [
        (np.ones((2, 2)), "fc1: weights are float64, need integers"),
        (np.array([[1, np.nan]]), "fc1: weights are float64, need integers"),
        (np.ones(3, dtype=int), r"fc1: weights have shape \[3\], need \(outputs, inputs\)"),
        (np.ones((0, 3), dtype=int), r"fc1: weights have shape \[0, 3\]; every size must be at least 1"),
    ],
)
def test_bad_weights_are_named(weights, message):
    with pytest.raises(GraphError, match=message):
        dense(weights)


def test_mismatched_width_names_the_layer():
    message = r"fc1: weights take 3 inputs, but the layer before it produces int4\[2\]; flatten it"
    with pytest.raises(GraphError, match=message):
        dense([[1, 2, 3]]).shape(TensorType((2,), IntType(4, signed=True)))


@pytest.mark.parametrize("weight", [2**8, -(2**62)])
def test_sums_beyond_62_bits_are_refused(weight):
    with pytest.raises(GraphError, match="fc1: its sums need more than 62 bits"):
        dense([[weight, 1]]).bounds(Bounds(np.array([0, 0]), np.array([2**55, 1])))
