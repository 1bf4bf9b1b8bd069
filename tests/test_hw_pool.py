"""Pools: exact values at the predicted cycles for windows side by side, with gaps, overlapping, padded and global."""

import numpy as np
import pytest

from espalier.hw.design import generate
from espalier.hw.plan import LayerPlan, Plan
from espalier.ir.graph import IntType
from espalier.ir.max_pool import MaxPool2d
from espalier.ir.sum_pool import SumPool2d
from graphs import UINT4, add_requantize, add_table, add_threshold, append, empty_graph, random_frames
from hardware import assert_exact

INT3 = IntType(3, signed=True)
POOLS = [MaxPool2d, SumPool2d]


def pool_graph(operator, shape=(4, 6, 3), kernel=(2, 2), stride=None, dtype=INT3, **fields):
    return append(empty_graph(shape, dtype), operator, "pool", kernel=kernel, stride=stride or kernel, **fields)


def plan(pe=1):
    return Plan(layers={"pool": LayerPlan(pe=pe)})


@pytest.mark.parametrize("stall", [0.0, 0.4])
@pytest.mark.parametrize("dtype", [IntType(1), IntType(1, True), INT3], ids=str)
@pytest.mark.parametrize("operator", POOLS)
def test_every_type_is_exact(operator, dtype, stall):
    graph = pool_graph(operator, dtype=dtype)
    assert_exact(graph, plan(2), random_frames(graph, 3), stall)


@pytest.mark.parametrize("kernel, stride", [((1, 1), None), ((2, 3), None), ((1, 2), (2, 3)), ((2, 1), (3, 2))])
@pytest.mark.parametrize("pe", [1, 2, 3])
@pytest.mark.parametrize("operator", POOLS)
def test_every_window_and_fold_is_exact(operator, pe, kernel, stride):
    graph = pool_graph(operator, (5, 7, 3), kernel, stride)
    assert_exact(graph, plan(pe), random_frames(graph, 3), 0.3)


@pytest.mark.parametrize("kernel, stride", [((2, 2), (2, 2)), ((3, 2), (3, 4)), ((3, 3), (2, 1))])
@pytest.mark.parametrize("operator", POOLS)
def test_padding_is_exact(operator, kernel, stride):
    graph = pool_graph(operator, (5, 5, 3), kernel, stride, padding=(1, 1, 1, 0))
    assert_exact(graph, plan(2), random_frames(graph, 3), 0.2)


@pytest.mark.parametrize("pe", [1, 4, 5])
@pytest.mark.parametrize("operator", POOLS)
def test_overlapping_windows_are_exact(operator, pe):
    graph = pool_graph(operator, (4, 5, 5), (3, 2), (1, 1))
    assert_exact(graph, plan(pe), random_frames(graph, 3), 0.3)


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 4, 5), (8, 1, 2)])
@pytest.mark.parametrize("operator", POOLS)
def test_global_pools_are_exact(operator, shape):
    graph = pool_graph(operator, shape, shape[:2])
    assert_exact(graph, plan(2 if shape[2] > 1 else 1), random_frames(graph, 3), 0.3)


@pytest.mark.parametrize("shape, pe", [((4, 140, 1), 1), ((4, 60, 3), 1), ((2, 4, 70), 2), ((2, 4, 80), 1)])
@pytest.mark.parametrize("operator", POOLS)
def test_accumulators_in_block_memory_are_exact(operator, shape, pe):
    graph = pool_graph(operator, shape)
    assert_exact(graph, plan(pe), random_frames(graph, 3), 0.1)


def test_a_sum_of_padding_alone_is_exact():
    graph = pool_graph(SumPool2d, (3, 3, 2), (2, 2), padding=(2, 0, 0, 0))
    assert_exact(graph, plan(2), random_frames(graph, 3), 0.2)


@pytest.mark.parametrize("stride", [(2, 2), (1, 1)])
@pytest.mark.parametrize("add", [add_threshold, add_requantize, add_table])
def test_fused_functions_are_exact(add, stride):
    graph = add(pool_graph(SumPool2d, (4, 4, 5), stride=stride), np.random.default_rng(0), 3)
    design = assert_exact(graph, plan(3), random_frames(graph, 3), 0.2)
    assert len(design.units) == 1


def test_a_maximum_keeps_its_function_to_itself():
    graph = add_threshold(pool_graph(MaxPool2d, dtype=UINT4), np.random.default_rng(0), 2)
    layers = {name: LayerPlan(pe=2) for name in ("pool", graph.nodes[1].name)}
    assert len(generate(graph, Plan(layers=layers)).units) == 2
