"""The graph of a constant matrix is that matrix, for any weights, within its depth; what can be free is free."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from espalier.hw.adder_graph import build_adder_graph, signed_digits
from espalier.ir.graph import Bounds


def reach(inputs, low=0, high=15):
    return Bounds(np.full(inputs, low), np.full(inputs, high))


def all_vectors(inputs, values):
    return np.stack(np.meshgrid(*[values] * inputs, indexing="ij")).reshape(inputs, -1).T


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_graph_is_the_matrix(data):
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    outputs, inputs, bits = (data.draw(st.integers(1, most)) for most in (12, 20, 9))
    weights = rng.integers(-(1 << bits - 1), 1 << bits - 1, (outputs, inputs), endpoint=True)
    weights *= rng.random(weights.shape) < data.draw(st.sampled_from([0.1, 0.5, 1.0]))
    low = rng.integers(-9, 9, inputs)
    ends = Bounds(low, low + rng.integers(0, 20, inputs))
    graph = build_adder_graph(weights, ends, data.draw(st.integers(1, 9)))
    x = rng.integers(ends.low, ends.high, (50, inputs), endpoint=True)
    x[0], x[1] = ends.low, ends.high
    np.testing.assert_array_equal(graph.evaluate(x), x @ weights.T)


def test_ranges_are_those_that_occur():
    weights = np.array([[3, -2, 0], [3, -2, 5], [-1, 7, 5]])
    graph = build_adder_graph(weights, reach(3, -1, 2))
    x = all_vectors(3, np.arange(-1, 3))
    values = list(x.T)
    for first, second, shift, sign in zip(graph.first, graph.second, graph.shift, graph.sign):
        values.append(values[first] + sign * (values[second] << shift))
    assert graph.low.tolist() == [value.min() for value in values]
    assert graph.high.tolist() == [value.max() for value in values]


@pytest.mark.parametrize("levels, after", [(1, 0), (2, 0), (3, 0), (4, 0), (2, 1), (3, 2)])
def test_depth_is_bounded(levels, after):
    weights = np.random.default_rng(levels).integers(-8, 8, (16, 24))
    digits = [sum(int(value).bit_count() for part in signed_digits(row) for value in part) for row in weights]
    needed = (max(digits) - 1).bit_length()
    graph = build_adder_graph(weights, reach(24), levels, after)
    places = zip(graph.first, graph.second, graph.depth[24:], strict=True)
    assert all(depth == max(graph.depth[first], graph.depth[second]) + 1 for first, second, depth in places)
    assert graph.depth.max() <= levels * -(-(needed + after) // levels) - after < needed + levels


def test_digits_have_no_neighbours():
    numbers = np.arange(-300, 300)
    plus, minus = signed_digits(numbers)
    np.testing.assert_array_equal(plus - minus, numbers)
    assert not ((plus | minus) & (plus | minus) << 1).any()


def test_equal_negated_and_shifted_rows_are_built_once():
    row = np.array([3, 0, -5, 7])
    once = build_adder_graph(row[None], reach(4))
    graph = build_adder_graph(np.stack([row, -row, 4 * row, 0 * row, -2 * row]), reach(4))
    assert len(graph.first) == len(once.first)
    np.testing.assert_array_equal(graph.evaluate(np.eye(4, dtype=int)).T[1], -row)


def test_zeros_and_powers_of_two_take_no_adder():
    graph = build_adder_graph(np.array([[0, 8, 0], [0, 0, -1], [0, 0, 0]]), reach(3))
    assert len(graph.first) == 0


def test_numbers_that_do_not_overlap_take_no_adder():
    graph = build_adder_graph(np.array([[1, 16]]), reach(2))
    assert (len(graph.first), graph.cells.sum()) == (1, 0)


def test_inputs_that_cannot_change_are_constants():
    ends = Bounds(np.array([2, -3, 0]), np.array([2, -3, 7]))
    graph = build_adder_graph(np.array([[5, 7, 0], [1, 1, 1]]), ends)
    assert (len(graph.first), graph.constants.tolist()) == (0, [-11, -1])


def test_sums_are_shared_between_rows():
    weights = np.random.default_rng(0).integers(-8, 8, (32, 64))
    together = build_adder_graph(weights, reach(64)).cells.sum()
    alone = sum(build_adder_graph(row[None], reach(64)).cells.sum() for row in weights)
    assert together < 0.8 * alone
