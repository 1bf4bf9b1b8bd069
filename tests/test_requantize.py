import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from espalier.errors import GraphError
from espalier.ir import Bounds, IntType, Requantize, TensorType


def requantize(multiplier, addend, shift=2, low=-7, high=8) -> Requantize:
    return Requantize("scale1", ("x",), IntType(8, signed=True), multiplier, addend, shift, low, high)


@given(st.integers(-999, 999), st.integers(-99, 99), st.integers(-999, 999), st.integers(0, 8))
def test_multiplies_adds_rounds_down_and_clips(x, multiplier, addend, shift):
    expected = min(max((x * multiplier + addend) // 2**shift, -7), 8)
    assert requantize([multiplier], [addend], shift).evaluate(np.array([[x]]))[0, 0] == expected


def test_bounds_follow_the_sign_of_the_multiplier():
    node = requantize([1, -1, 0], [0, 0, 5], shift=0)
    found = node.bounds(Bounds(np.array([1, 1, 1]), np.array([3, 99, 4])))
    np.testing.assert_array_equal(found.low, [1, -7, 5])
    np.testing.assert_array_equal(found.high, [3, -1, 5])


@pytest.mark.parametrize(
    "fields, message",
    [
        (dict(multiplier=[1.5], addend=[0]), "scale1: multiplier values are float64, need integers"),
        (dict(multiplier=[1, 2], addend=[0]), "scale1: has 2 multipliers, but 1 addends"),
        (dict(multiplier=[1], addend=[0], shift=-1), "scale1: shifts right by -1 bits; 0 to 62 are possible"),
        (dict(multiplier=[1], addend=[0], low=3, high=2), r"scale1: clips to 3\.\.2; swap"),
    ],
)
def test_bad_fields_are_named(fields, message):
    with pytest.raises(GraphError, match=message):
        requantize(**fields)


def test_wrong_channel_count_is_named():
    with pytest.raises(GraphError, match=r"scale1: has multipliers for 1 channels, .* uint4\[2\]; give it one per"):
        requantize([1], [1]).shape(TensorType((2,), IntType(4)))


def test_products_beyond_62_bits_are_refused():
    with pytest.raises(GraphError, match="scale1: its products need more than 62 bits"):
        requantize([2**31], [0]).bounds(Bounds(np.array([-(2**31)]), np.array([0])))
