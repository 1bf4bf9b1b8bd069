"""The popcount engine: exact values at the predicted cycles for all planes of inputs and weights, and every fold."""

import numpy as np
import pytest

from espalier.hw.plan import LayerPlan, Plan
from espalier.ir.dense import Dense
from espalier.ir.graph import IntType
from graphs import append, empty_graph, random_frames
from hardware import assert_exact

RNG = np.random.default_rng(0)
WEIGHTS = {
    "signs": np.array([-1, 1]),
    "binary": np.array([0, 1]),
    "ternary": np.array([-1, 0, 1]),
    "odd": np.array([-3, -1, 1, 3]),
    "gap": np.array([-8, -4, 0, 1]),
    "fours": np.array([0, 4]),
    "zeros": np.array([0]),
}


def plan(**fold):
    return Plan(layers={"fc1": LayerPlan("popcount", **fold)})


def dense_graph(outputs, inputs, values, dtype, shape=()):
    return append(empty_graph((*shape, inputs), dtype), Dense, "fc1", weights=RNG.choice(values, (outputs, inputs)))


@pytest.mark.parametrize("stall", [0.0, 0.4])
@pytest.mark.parametrize("dtype", [IntType(1), IntType(2, True), IntType(3)], ids=str)
@pytest.mark.parametrize("kind", WEIGHTS)
def test_every_kind_of_weights_is_exact(kind, dtype, stall):
    graph = dense_graph(7, 10, WEIGHTS[kind], dtype)
    assert_exact(graph, plan(pe=3, simd=4), random_frames(graph, 3), stall)


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("bits", range(1, 9))
@pytest.mark.parametrize("weight_bits", range(1, 9))
def test_every_pair_of_widths_is_exact(weight_bits, bits, signed):
    low = -(1 << weight_bits - 1) if signed else 0
    graph = dense_graph(3, 5, np.arange(low, low + (1 << weight_bits)), IntType(bits, bits > 1 and bits % 2 == 0))
    assert_exact(graph, plan(pe=2, simd=3), random_frames(graph, 2), 0.2)


@pytest.mark.parametrize("pe, simd", [(1, 1), (1, 9), (5, 1), (5, 9), (2, 4), (4, 8)])
@pytest.mark.parametrize("kind, dtype", [("signs", IntType(1)), ("ternary", IntType(2, True))], ids=str)
def test_every_fold_is_exact(pe, simd, kind, dtype):
    graph = dense_graph(5, 9, WEIGHTS[kind], dtype)
    assert_exact(graph, plan(pe=pe, simd=simd), random_frames(graph, 3), 0.3)
