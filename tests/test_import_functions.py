import numpy as np
import pytest

from espalier.errors import GraphError
from espalier.ir.graph import Bounds, IntType
from espalier.ir.import_functions import CodeFunction, falling_channels, fit_rising, fit_table


def code_function(evaluate, low, high, monotone=True):
    return CodeFunction("act", evaluate, Bounds(np.array(low), np.array(high)), monotone)


def rising(slopes, offsets=0.0, limit=1e9):
    return lambda codes: np.clip(np.round(codes * np.array(slopes) + offsets), -limit, limit)


def assert_equal_everywhere(node, function):
    np.testing.assert_array_equal(node.evaluate(function.points()), function(function.points()))


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("levels", [3, 40, 600])
def test_fitted_node_equals_the_function_at_every_code(seed, levels):
    generator = np.random.default_rng(seed)
    low = generator.integers(-500, 0, 6)
    high = low + generator.integers(1, 900, 6)
    slopes = generator.uniform(0, levels / 900, 6) * generator.integers(0, 2, 6)
    function = code_function(rising(slopes, generator.normal(size=6), levels / 3), low, high)
    assert_equal_everywhere(fit_rising(function, "act", "x", IntType(12, True), None), function)


def test_staircase_of_large_steps():
    function = code_function(rising([37.0, 0.01, 5.5]), [-3, -3, -3], [3, 3, 3])
    assert_equal_everywhere(fit_rising(function, "act", "x", IntType(3, True), None), function)


def test_constant_function():
    function = code_function(rising([0, 0], 5.0), [-3, -3], [3, 3])
    node = fit_rising(function, "act", "x", IntType(3, True), None)
    assert_equal_everywhere(node, function)
    assert node.thresholds.shape == (2, 1) and (node.thresholds > 3).all()


def test_bisection_finds_every_edge():
    wide = code_function(rising([1.0371e-6, 3.1416e-7], 0.3, 7), [-(2**23), 5], [2**23, 2**24])
    assert not wide.is_small
    node = fit_rising(wide, "act", "x", IntType(26, True), None)
    for codes in (node.thresholds, node.thresholds - 1):
        reachable = np.clip(codes, wide.bounds.low[:, None], wide.bounds.high[:, None]).T
        np.testing.assert_array_equal(node.evaluate(reachable), wide(reachable))
    assert node.thresholds.shape == (2, 14)


def test_wide_requantize_equals_the_function():
    wide = code_function(rising([1.0371e-4, 0.93416e-4], 0.3, 127), [-(2**20), 5], [2**20, 2**21 + 9])
    node = fit_rising(wide, "act", "x", IntType(26, True), None)
    codes = np.random.default_rng(0).integers(wide.bounds.low, wide.bounds.high, (100_000, 2))
    assert type(node).__name__ == "Requantize"
    np.testing.assert_array_equal(node.evaluate(codes), wide(codes))


def test_falling_and_turning_channels_are_told_apart():
    low, high = [-3, -3, -3], [3, 3, 3]
    np.testing.assert_array_equal(falling_channels(code_function(rising([-1, 0, 2]), low, high)), [True, False, False])
    assert falling_channels(code_function(lambda codes: codes**2.0, low, high)) is None


def test_negated_channels_rise():
    function = code_function(rising([-1, 1]), [-3, 0], [5, 7])
    mirrored = function.negated(np.array([True, False]))
    assert_equal_everywhere(fit_rising(mirrored, "act", "x", IntType(5, True), None), mirrored)
    np.testing.assert_array_equal(mirrored.bounds.low, [-5, 0])


def test_table_covers_the_reachable_codes():
    function = code_function(lambda codes: codes**2.0, [-3, -2], [3, 5])
    node = fit_table(function, "act", "x", None)
    assert_equal_everywhere(node, function)
    assert node.first == -3 and node.values.shape == (2, 16)


def test_table_that_is_too_large():
    function = code_function(lambda codes: codes**2.0, [-9000], [9000])
    with pytest.raises(GraphError, match="18001 input codes, and a table holds at most 16384; quantize"):
        fit_table(function, "act", "x", None)


def test_wide_function_of_unknown_slope():
    with pytest.raises(GraphError, match=r"act: is not monotone and has 8388609 input codes"):
        falling_channels(code_function(np.abs, [-(2**22)], [2**22], monotone=False))


def test_too_many_levels():
    with pytest.raises(GraphError, match="act: has 200001 output levels, at most 65537 are possible"):
        fit_rising(code_function(rising([1]), [-100_000], [100_000]), "act", "x", IntType(20, True), None)


def test_too_many_thresholds():
    crooked = code_function(lambda codes: np.round(np.sqrt(codes * 1.0) * 10), [0], [10**6])
    with pytest.raises(GraphError, match="needs 10000 thresholds per channel, at most 4096 are possible"):
        fit_rising(crooked, "act", "x", IntType(20), None)
