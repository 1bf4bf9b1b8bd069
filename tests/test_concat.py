from dataclasses import replace

import numpy as np
import pytest

from espalier.errors import GraphError
from espalier.ir import Bounds, Concat, execute
from graphs import append, empty_graph, random_frames
from images import WIDE, image_type


def concat(inputs="ab") -> Concat:
    return Concat("cat1", tuple(inputs), WIDE)


@pytest.mark.parametrize("size", [(), (2, 3)])
def test_channels_follow_each_other(size):
    inputs = [np.full((4, *size, channels), channels) for channels in (2, 1, 3)]
    y = concat("abc").evaluate(*inputs)
    np.testing.assert_array_equal(y, np.broadcast_to([2, 2, 1, 3, 3, 3], y.shape))
    assert concat("abc").shape(*(image_type(*x.shape[1:]) for x in inputs)) == y.shape[1:]


def test_one_tensor_may_come_twice():
    graph = append(empty_graph((2,)), Concat, "cat1", ("x", "x"))
    x = random_frames(graph)
    np.testing.assert_array_equal(execute(graph, x)["y"], np.tile(x, 2))


def test_bounds_follow_each_other():
    found = concat().bounds(Bounds(np.array([1, 2]), np.array([3, 4])), Bounds(np.array([5]), np.array([6])))
    np.testing.assert_array_equal(found.low, [1, 2, 5])
    np.testing.assert_array_equal(found.high, [3, 4, 6])


def test_different_pixels_are_named():
    with pytest.raises(
        GraphError, match=r"cat1: joins the channels of a, uint4\[2,2,3\], and b, uint4\[2,1,3\]; bring"
    ):
        concat().shape(image_type(2, 2, 3), image_type(2, 1, 3))


def test_single_input_is_refused():
    graph = append(empty_graph((2,)), Concat, "cat1", ("x", "x"))
    alone = replace(graph, nodes=(replace(graph.nodes[0], inputs=("x",)),))
    with pytest.raises(GraphError, match="cat1: takes 2 or more inputs, but 1 are connected"):
        alone.check()
