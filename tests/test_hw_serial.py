"""The serial engine: exact values at the predicted cycles for every form of weights, inputs, buffers and folds."""

import numpy as np
import pytest

from espalier.hw.plan import LayerPlan, Plan
from espalier.ir.dense import Dense
from espalier.ir.graph import IntType
from graphs import UINT4, append, empty_graph, random_frames
from hardware import assert_exact

WEIGHTS = {
    "signs": np.array([-1, 1]),
    "binary": np.array([0, 1]),
    "ternary": np.array([-1, 0, 1]),
    "int4": np.arange(-8, 8),
    "uint3": np.arange(8),
    "sparse": np.array([0] * 12 + [-96, 5, 64]),
}
ORDERS = ["group-major", "plane-major"]
order = pytest.mark.parametrize("order", ORDERS)


def dense_graph(outputs, inputs, kind, dtype=UINT4, shape=(), seed=0):
    weights = np.random.default_rng(seed).choice(WEIGHTS[kind], (outputs, inputs))
    return append(empty_graph((*shape, inputs), dtype), Dense, "fc1", weights=weights)


def plan(order, **fold):
    return Plan(layers={"fc1": LayerPlan("serial", planes=order, **fold)})


@order
@pytest.mark.parametrize("stall", [0.0, 0.4])
@pytest.mark.parametrize("dtype", [IntType(1), IntType(3), IntType(4, True)], ids=str)
@pytest.mark.parametrize("kind", WEIGHTS)
def test_every_kind_of_weights_is_exact(kind, dtype, stall, order):
    graph = dense_graph(7, 10, kind, dtype)
    assert_exact(graph, plan(order, pe=3, simd=4), random_frames(graph, 3), stall)
