"""Convolutions: exact values at the predicted cycles for every form of window, weights, groups and folds."""

import numpy as np
import pytest

from espalier.errors import PlanError
from espalier.hw.design import generate
from espalier.hw.plan import LayerPlan, Plan
from espalier.ir.conv2d import Conv2d
from espalier.ir.graph import IntType
from graphs import UINT4, add_requantize, add_threshold, append, empty_graph, random_frames
from hardware import assert_exact

WEIGHTS = {"signs": np.array([-1, 1]), "ternary": np.array([-1, 0, 1]), "int4": np.arange(-8, 8)}


def conv_graph(shape=(5, 4, 3), outputs=4, kernel=(3, 3), dtype=UINT4, kind="int4", groups=1, **fields):
    weights = np.random.default_rng(0).choice(WEIGHTS[kind], (outputs, *kernel, shape[2] // groups))
    return append(empty_graph(shape, dtype), Conv2d, "conv", weights=weights, groups=groups, **fields)


def plan(**fold):
    return Plan(layers={"conv": LayerPlan(**fold)})


@pytest.mark.parametrize("stall", [0.0, 0.4])
@pytest.mark.parametrize("dtype", [IntType(1), IntType(4, True)], ids=str)
@pytest.mark.parametrize("kind", WEIGHTS)
def test_every_kind_of_weights_is_exact(kind, dtype, stall):
    graph = conv_graph(kind=kind, dtype=dtype)
    assert_exact(graph, plan(pe=2, simd=2), random_frames(graph, 3), stall)


@pytest.mark.parametrize("pe, simd", [(1, 1), (5, 1), (1, 3), (2, 3), (3, 2), (5, 5), (2, 12), (5, 36)])
def test_every_fold_is_exact(pe, simd):
    graph = conv_graph((4, 4, 3), 5, (3, 4))
    assert_exact(graph, plan(pe=pe, simd=simd), random_frames(graph, 3), 0.3)


@pytest.mark.parametrize("simd", [1, 2, 3, 7])
@pytest.mark.parametrize("kind", ["signs", "int4"])
def test_padding_of_any_value_is_exact(kind, simd):
    graph = conv_graph(padding=(1, 2, 0, 1), pad_value=15, kind=kind)
    assert_exact(graph, plan(pe=3, simd=simd), random_frames(graph, 3), 0.2)


def test_padding_that_the_input_never_takes_is_exact():
    graph = conv_graph(dtype=IntType(2), padding=(1, 1, 1, 1), pad_value=-9)
    assert_exact(graph, plan(pe=2, simd=2), random_frames(graph, 3), 0.2)


@pytest.mark.parametrize(
    "simd, stride, dilation",
    [(2, (2, 1), (1, 1)), (2, (1, 3), (1, 2)), (3, (2, 2), (2, 1)), (4, (2, 1), (1, 1)), (18, (2, 3), (1, 1))],
)
def test_strides_and_dilations_are_exact(simd, stride, dilation):
    graph = conv_graph((7, 6, 3), 3, (2, 3), stride=stride, dilation=dilation, padding=(1, 0, 1, 1))
    assert_exact(graph, plan(pe=2, simd=simd), random_frames(graph, 2), 0.2)


@pytest.mark.parametrize("shape, kernel", [((1, 1, 1), (1, 1)), ((1, 7, 5), (1, 3)), ((8, 8, 4), (1, 1))])
def test_every_size_is_exact(shape, kernel):
    graph = conv_graph(shape, 4, kernel)
    assert_exact(graph, plan(pe=3, simd=1), random_frames(graph, 3), 0.3)


@pytest.mark.parametrize("bits", [None, 1, 3])
@pytest.mark.parametrize("pe, simd", [(1, 1), (2, 2), (3, 1)])
def test_filter_groups_are_exact(pe, simd, bits):
    graph = conv_graph((4, 3, 6), 9, (2, 2), groups=3, kind="signs")
    if bits:
        graph = add_threshold(graph, np.random.default_rng(bits), bits)
    assert_exact(graph, plan(pe=pe, simd=simd), random_frames(graph, 2), 0.2)


@pytest.mark.parametrize("bits", [1, 2, 4])
@pytest.mark.parametrize("kind", ["signs", "int4"])
def test_fused_thresholds_are_exact(kind, bits):
    graph = add_threshold(conv_graph(kind=kind, outputs=5), np.random.default_rng(bits), bits)
    assert_exact(graph, plan(pe=3, simd=3), random_frames(graph, 3), 0.2)


def test_a_fused_requantize_is_exact():
    graph = add_requantize(conv_graph(outputs=5, groups=1), np.random.default_rng(0), 5)
    assert_exact(graph, plan(pe=2, simd=3, multiplier="dsp"), random_frames(graph, 3), 0.2)


def test_more_lanes_than_a_filter_group_has_name_the_layer():
    graph = conv_graph((4, 3, 6), 9, (2, 2), groups=3)
    with pytest.raises(PlanError, match="conv: simd 3, but its 3 groups have 2 inputs each; lower simd to 2"):
        generate(graph, plan(pe=1, simd=3))
