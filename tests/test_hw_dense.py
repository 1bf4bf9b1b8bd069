"""The mac engine: exact values at the predicted cycles for every form of weights, inputs, buffers and folds."""

import numpy as np
import pytest

from espalier.hw.design import generate
from espalier.hw.plan import LayerPlan, Plan
from espalier.ir.dense import Dense
from espalier.ir.graph import IntType
from espalier.ir.threshold import Threshold
from graphs import UINT4, add_dense, add_threshold, append, empty_graph, mlp, random_frames
from hardware import assert_exact

RNG = np.random.default_rng(0)
WEIGHTS = {
    "signs": np.array([-1, 1]),
    "binary": np.array([0, 1]),
    "negative": np.array([-1, 0]),
    "ternary": np.array([-1, 0, 1]),
    "int4": np.arange(-8, 8),
    "uint3": np.arange(8),
}


def dense_graph(outputs, inputs, values, dtype=UINT4, shape=()):
    return append(empty_graph((*shape, inputs), dtype), Dense, "fc1", weights=RNG.choice(values, (outputs, inputs)))


def plan(**fold):
    return Plan(layers={"fc1": LayerPlan(**fold)})


@pytest.mark.parametrize("stall", [0.0, 0.4])
@pytest.mark.parametrize("dtype", [IntType(1), IntType(3), IntType(4, True)], ids=str)
@pytest.mark.parametrize("kind", WEIGHTS)
def test_every_kind_of_weights_is_exact(kind, dtype, stall):
    graph = dense_graph(7, 10, WEIGHTS[kind], dtype)
    assert_exact(graph, plan(pe=3, simd=4), random_frames(graph, 3), stall)


@pytest.mark.parametrize("pe, simd", [(1, 1), (1, 9), (5, 1), (5, 9), (2, 4), (4, 8)])
def test_every_fold_is_exact(pe, simd):
    graph = dense_graph(5, 9, WEIGHTS["int4"])
    assert_exact(graph, plan(pe=pe, simd=simd), random_frames(graph, 3), 0.3)


@pytest.mark.parametrize("multiplier", ["lut", "dsp"])
@pytest.mark.parametrize("memory", ["block", "lut", "logic"])
def test_every_memory_and_multiplier_is_exact(memory, multiplier):
    graph = dense_graph(6, 8, WEIGHTS["int4"], IntType(5, True))
    assert_exact(graph, plan(pe=2, simd=2, memory=memory, multiplier=multiplier), random_frames(graph, 3), 0.3)


@pytest.mark.parametrize("inputs", [66, 130])
def test_a_deep_input_buffer_in_block_memory_is_exact(inputs):
    graph = dense_graph(3, inputs, WEIGHTS["int4"])
    assert_exact(graph, plan(pe=1, simd=1), random_frames(graph, 3), 0.1)


def test_the_extremes_of_the_sums_are_exact():
    graph = append(empty_graph((5,), IntType(8, True)), Dense, "fc1", weights=np.array([[-128] * 5, [127] * 5]))
    assert_exact(graph, plan(pe=2, simd=2), random_frames(graph, 3))


def test_each_pixel_of_a_feature_map_is_a_product():
    graph = dense_graph(3, 5, WEIGHTS["int4"], shape=(2, 3))
    assert_exact(graph, plan(pe=2, simd=2), random_frames(graph, 2), 0.3)


@pytest.mark.parametrize("bits", [1, 2, 3, 4, 8])
@pytest.mark.parametrize("kind", ["signs", "int4"])
def test_fused_thresholds_are_exact(kind, bits):
    graph = add_threshold(dense_graph(7, 9, WEIGHTS[kind]), np.random.default_rng(bits), bits)
    assert_exact(graph, plan(pe=3, simd=4), random_frames(graph, 4), 0.2)


def test_a_width_of_37_costs_what_ceil_says():
    graph = mlp([64, 37, 37, 10])
    layers = {unit: LayerPlan(pe=4, simd=8) for unit in ("fc0", "fc2", "fc4")}
    design = generate(graph, Plan(layers=layers))
    assert [design.stages[name].schedule.slots for name in layers] == [8 * 10, 5 * 10, 5 * 3]
    assert_exact(graph, Plan(layers=layers), random_frames(graph, 2))


def test_two_layers_with_unlike_lanes_are_exact_under_stalls():
    rng = np.random.default_rng(5)
    graph = add_dense(add_threshold(add_dense(empty_graph((13,)), rng, 11, 3), rng, 2), rng, 6, 1)
    plans = Plan(layers={"fc0": LayerPlan(pe=4, simd=3), "fc2": LayerPlan(pe=5, simd=7)})
    assert_exact(graph, plans, random_frames(graph, 4), 0.5, seed=3)


@pytest.mark.parametrize("kind", ["signs", "binary"])
@pytest.mark.parametrize("simd", [2, 3, 4, 5, 6, 7, 12, 18, 19, 32, 37])
def test_any_number_of_bits_is_counted_exactly(simd, kind):
    graph = dense_graph(3, 40, WEIGHTS[kind], IntType(1))
    assert_exact(graph, plan(pe=2, simd=simd), random_frames(graph, 5))


@pytest.mark.parametrize("thresholds", [[-99, 99, 0], [3, 3, 3]])
@pytest.mark.parametrize("base", [-1, 0, 5])
def test_a_single_threshold_of_any_base_is_exact(base, thresholds):
    graph = dense_graph(3, 6, WEIGHTS["signs"], IntType(2, True))
    graph = append(graph, Threshold, "act", thresholds=np.array(thresholds)[:, None], base=base)
    assert_exact(graph, plan(pe=2, simd=4), random_frames(graph, 5))
