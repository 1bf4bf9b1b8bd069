import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from espalier.errors import GraphError
from espalier.ir import Bounds, IntType, TensorType, Threshold


def threshold(thresholds, base=0) -> Threshold:
    return Threshold("act1", ("x",), IntType(30, signed=True), thresholds, base)


@given(st.integers(0, 9999), st.integers(1, 5), st.integers(1, 9), st.integers(-9, 9), st.sampled_from([0, 4, 400]))
def test_counts_the_thresholds_reached(seed, channels, steps, base, frames):
    rng = np.random.default_rng(seed)
    node = threshold(np.sort(rng.integers(-9, 9, (channels, steps)), axis=1), base)
    x = rng.integers(-12, 12, (frames, 2, 1, channels))
    np.testing.assert_array_equal(node.evaluate(x), base + (x[..., None] >= node.thresholds).sum(axis=-1))


def test_bounds_are_those_of_the_ends():
    node = threshold([[1, 2, 3], [1, 5, 9], [99, 99, 99]], base=-1)
    found = node.bounds(Bounds(np.array([2, 4, 0]), np.array([2, 9, 98])))
    np.testing.assert_array_equal(found.low, [1, 0, -1])
    np.testing.assert_array_equal(found.high, [1, 2, -1])


def test_unsorted_row_is_named():
    with pytest.raises(GraphError, match="act1: thresholds of channel 1 are not ascending; sort them"):
        threshold([[1, 1], [2, 1]])


def test_no_steps_are_refused():
    with pytest.raises(GraphError, match=r"act1: thresholds have shape \[2, 0\]; every size must be at least 1"):
        threshold(np.zeros((2, 0), dtype=int))


def test_wrong_channel_count_is_named():
    message = r"act1: has thresholds for 1 channels, but the layer before it produces uint4\[2\]; give it one row"
    with pytest.raises(GraphError, match=message):
        threshold([[1]]).shape(TensorType((2,), IntType(4)))
