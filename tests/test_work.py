"""How much a graph computes and stores."""

import numpy as np
import pytest

from espalier.ir.conv2d import Conv2d
from espalier.ir.dense import Dense
from espalier.ir.flatten import Flatten
from espalier.ir.work import Work, count_work, stored_bits
from graphs import append, empty_graph


@pytest.mark.parametrize(
    "weights, bits", [([-1, 1], 1), ([0, 1], 1), ([-1, 0, 1], 2), ([-8, 3], 4), ([0, 15], 4), ([1], 1), ([5], 3)]
)
def test_bits_hold_the_range(weights, bits):
    assert stored_bits(np.array(weights)) == bits


def test_a_graph_is_counted_layer_by_layer():
    graph = append(empty_graph((4, 5, 2)), Conv2d, "conv", weights=np.full((3, 2, 2, 2), -4))
    graph = append(graph, Flatten, "flat")
    graph = append(graph, Dense, "fc", weights=np.array([[1, -1] * 18]))
    assert count_work(graph) == Work(multiplications=3 * 4 * 24 + 36, weights=24 + 36, weight_bits=24 * 3 + 36)


def test_depthwise_weights_are_counted_once_for_each_pixel():
    graph = append(empty_graph((3, 3, 4)), Conv2d, "conv", weights=np.full((4, 2, 2, 1), 3), groups=4)
    assert count_work(graph) == Work(multiplications=4 * 16, weights=16, weight_bits=32)
