"""Depthwise convolutions: exact values at the predicted cycles for every form of weights, padding and fold."""

import numpy as np
import pytest

from espalier.hw.plan import LayerPlan, Plan
from espalier.ir.conv2d import Conv2d
from espalier.ir.graph import IntType
from graphs import UINT4, add_requantize, add_threshold, append, empty_graph, random_frames
from hardware import assert_exact

WEIGHTS = {"signs": np.array([-1, 1]), "ternary": np.array([-1, 0, 1]), "int4": np.arange(-8, 8)}


def depthwise_graph(shape=(4, 5, 5), kernel=(3, 3), dtype=UINT4, kind="int4", **fields):
    weights = np.random.default_rng(0).choice(WEIGHTS[kind], (shape[2], *kernel, 1))
    return append(empty_graph(shape, dtype), Conv2d, "conv", weights=weights, groups=shape[2], **fields)


def plan(pe, **fold):
    return Plan(layers={"conv": LayerPlan(pe=pe, **fold)})


@pytest.mark.parametrize("stall", [0.0, 0.4])
@pytest.mark.parametrize("dtype", [IntType(1), IntType(4, True)], ids=str)
@pytest.mark.parametrize("kind", WEIGHTS)
def test_every_kind_of_weights_is_exact(kind, dtype, stall):
    graph = depthwise_graph(kind=kind, dtype=dtype, padding=(1, 1, 1, 1), pad_value=dtype.low)
    assert_exact(graph, plan(2), random_frames(graph, 3), stall)


@pytest.mark.parametrize("pe", [1, 3, 4, 5])
@pytest.mark.parametrize("kernel", [(1, 1), (2, 3), (4, 1)])
def test_every_fold_and_kernel_is_exact(pe, kernel):
    graph = depthwise_graph(kernel=kernel)
    assert_exact(graph, plan(pe), random_frames(graph, 3), 0.3)


@pytest.mark.parametrize("multiplier", ["lut", "dsp"])
def test_strides_dilations_and_multipliers_are_exact(multiplier):
    graph = depthwise_graph((6, 7, 3), (2, 3), stride=(2, 1), dilation=(1, 2), padding=(0, 1, 1, 2), pad_value=-20)
    assert_exact(graph, plan(2, multiplier=multiplier), random_frames(graph, 3), 0.2)


@pytest.mark.parametrize("kind", ["signs", "int4"])
@pytest.mark.parametrize("add, bits", [(add_threshold, 1), (add_threshold, 3), (add_requantize, 4)])
def test_fused_functions_are_exact(add, bits, kind):
    graph = add(depthwise_graph(kind=kind), np.random.default_rng(0), bits)
    assert len(assert_exact(graph, plan(3), random_frames(graph, 3), 0.2).units) == 1
