import numpy as np

from espalier.ir import Flatten, Threshold, execute, find_bounds
from graphs import append, empty_graph


def test_first_pixel_comes_first():
    graph = append(empty_graph((2, 3, 4)), Flatten, "flat")
    x = np.arange(48).reshape(2, 2, 3, 4) % 16
    y = execute(graph, x)["y"]
    assert y.shape == (2, 24)
    np.testing.assert_array_equal(y[1, 4:8], x[1, 0, 1])


def test_bounds_repeat_with_the_pixels():
    graph = append(empty_graph((2, 1, 2)), Threshold, "act", thresholds=[[1, 2], [-1, 5]])
    reach = find_bounds(append(graph, Flatten, "flat"))["flat"]
    np.testing.assert_array_equal(reach.low, [0, 1, 0, 1])
    np.testing.assert_array_equal(reach.high, [2, 2, 2, 2])


def test_no_frames_stay_no_frames():
    graph = append(empty_graph((2, 3, 4)), Flatten, "flat")
    assert execute(graph, np.zeros((0, 2, 3, 4), dtype=int))["y"].shape == (0, 24)
