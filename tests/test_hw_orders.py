"""Loop orders: with every beat of the input going to all outputs, values and cycles are exact in every form."""

import json
from dataclasses import replace

import numpy as np
import pytest

from espalier.errors import PlanError
from espalier.hw.design import generate
from espalier.hw.folding_file import read_folding, read_plan, write_plan
from espalier.hw.folds import choose_from
from espalier.hw.operators import units
from espalier.hw.plan import LayerPlan, Plan
from espalier.hw.planner import plan
from espalier.hw.queues import analyse
from espalier.ir.conv2d import Conv2d
from espalier.ir.dense import Dense
from espalier.ir.graph import IntType
from graphs import UINT4, add_dense, add_requantize, add_threshold, append, empty_graph, mlp, random_frames
from hardware import assert_exact

SIGNS, INT4 = np.array([-1, 1]), np.arange(-8, 8)


def dense_graph(outputs, inputs, values=INT4, dtype=UINT4, shape=()):
    weights = np.random.default_rng(1).choice(values, (outputs, inputs))
    return append(empty_graph((*shape, inputs), dtype), Dense, "fc1", weights=weights)


def conv_graph(shape=(4, 4, 3), outputs=5, kernel=(3, 3), groups=1, values=INT4, **fields):
    weights = np.random.default_rng(2).choice(values, (outputs, *kernel, shape[2] // groups))
    return append(empty_graph(shape), Conv2d, "conv", weights=weights, groups=groups, **fields)


def folded(name, **fold):
    return Plan(layers={name: LayerPlan(order="input", **fold)})


@pytest.mark.parametrize("pe, simd", [(1, 1), (1, 9), (5, 1), (5, 9), (2, 4), (3, 4), (4, 8)])
@pytest.mark.parametrize("stall", [0.0, 0.4])
def test_every_fold_of_a_dense_layer_is_exact(pe, simd, stall):
    graph = dense_graph(5, 9)
    assert_exact(graph, folded("fc1", pe=pe, simd=simd), random_frames(graph, 3), stall)


@pytest.mark.parametrize("groups", [1, 2, 3, 4, 16, 17, 64, 65, 70])
def test_sums_come_back_in_time_from_register_and_memory(groups):
    graph = dense_graph(groups, 3, SIGNS, IntType(2))
    assert_exact(graph, folded("fc1", pe=1, simd=1), random_frames(graph, 3), 0.1 * (groups % 2))


@pytest.mark.parametrize("multiplier", ["lut", "dsp"])
@pytest.mark.parametrize("memory", ["block", "lut", "logic"])
def test_every_memory_and_multiplier_is_exact(memory, multiplier):
    graph = dense_graph(11, 8, INT4, IntType(5, True))
    fold = {"pe": 2, "simd": 2, "memory": memory, "multiplier": multiplier}
    assert_exact(graph, folded("fc1", **fold), random_frames(graph, 3), 0.3)


@pytest.mark.parametrize("values, dtype", [(SIGNS, IntType(1)), (SIGNS, IntType(3, True)), (np.arange(8), UINT4)])
def test_every_kind_of_weights_is_exact(values, dtype):
    graph = dense_graph(7, 10, values, dtype, shape=(2, 1))
    assert_exact(graph, folded("fc1", pe=2, simd=4), random_frames(graph, 2), 0.2)


@pytest.mark.parametrize("bits", [1, 2, 4])
@pytest.mark.parametrize("values", [SIGNS, INT4], ids=["signs", "int4"])
@pytest.mark.parametrize("outputs", [5, 9])
def test_fused_thresholds_are_exact(bits, values, outputs):
    graph = add_threshold(dense_graph(outputs, 9, values), np.random.default_rng(bits), bits)
    assert_exact(graph, folded("fc1", pe=3, simd=4, multiplier="dsp"), random_frames(graph, 4), 0.2)


def test_a_fused_requantize_is_exact():
    graph = add_requantize(dense_graph(9, 8), np.random.default_rng(0), 5)
    assert_exact(graph, folded("fc1", pe=2, simd=3, multiplier="dsp"), random_frames(graph, 3), 0.2)


def test_the_extremes_of_the_sums_are_exact():
    weights = np.array([[-128] * 5, [127] * 5] * 3)
    graph = append(empty_graph((5,), IntType(8, True)), Dense, "fc1", weights=weights)
    assert_exact(graph, folded("fc1", pe=2, simd=2), random_frames(graph, 3))


@pytest.mark.parametrize("pe, simd", [(1, 1), (2, 3), (3, 2), (5, 3), (2, 12), (3, 27), (5, 27)])
def test_every_fold_of_a_convolution_is_exact(pe, simd):
    graph = conv_graph(padding=(1, 1, 1, 0))
    assert_exact(graph, folded("conv", pe=pe, simd=simd), random_frames(graph, 3), 0.3)


@pytest.mark.parametrize("shape, kernel", [((1, 1, 1), (1, 1)), ((1, 7, 5), (1, 3)), ((6, 6, 4), (1, 1))])
def test_every_size_of_a_convolution_is_exact(shape, kernel):
    graph = conv_graph(shape, 5, kernel)
    assert_exact(graph, folded("conv", pe=2, simd=1), random_frames(graph, 3), 0.3)


@pytest.mark.parametrize("bits", [None, 1, 3])
@pytest.mark.parametrize("pe, simd", [(1, 1), (2, 2), (3, 1)])
def test_filter_groups_are_exact(pe, simd, bits):
    graph = conv_graph((4, 3, 6), 9, (2, 2), groups=3, values=SIGNS)
    if bits:
        graph = add_threshold(graph, np.random.default_rng(bits), bits)
    assert_exact(graph, folded("conv", pe=pe, simd=simd), random_frames(graph, 2), 0.2)


@pytest.mark.parametrize("fold", [(1, 1), (2, 3), (4, 6), (2, 27), (3, 27), (2, 54), (1, 27)])
def test_cycles_are_the_slots_of_the_hardware(fold):
    graph = conv_graph((7, 5, 6), 4)
    expected = choose_from(units(graph)[0], *fold, order="input").folds[0]
    design = generate(graph, folded("conv", pe=fold[0], simd=fold[1]))
    assert max(schedule.slots for schedule in design.schedules.values()) == expected.cycles
    assert expected.order == "input"
    assert expected.cycles <= choose_from(units(graph)[0], *fold).folds[0].cycles


def test_alternating_orders_removes_every_second_scan_from_the_latency():
    graph = mlp([64, 64, 64, 64, 10], weight_bits=1, activation_bits=1)
    names = [unit.name for unit in units(graph)]

    def measure(orders):
        layers = {name: LayerPlan(pe=8, simd=8, order=order) for name, order in zip(names, orders)}
        design = generate(graph, Plan(layers=layers))
        return analyse(design.schedules, design.links), design

    plain, _ = measure(["output"] * 4)
    mixed, design = measure(["output", "input", "output", "output"])
    assert (plain.ii_cycles, mixed.ii_cycles) == (64, 64)
    # The second layer's last group leaves with slot 7 behind its last input beat instead of slot 56.
    assert plain.latency_cycles - mixed.latency_cycles == 49
    assert_exact(graph, design.plan, random_frames(graph, 3), 0.2)


def test_a_chain_with_its_sums_in_memory_is_exact_under_stalls():
    rng = np.random.default_rng(5)
    graph = add_dense(add_threshold(add_dense(empty_graph((13,)), rng, 11, 3), rng, 2), rng, 6, 1)
    first = LayerPlan(pe=2, simd=3, order="input")
    layers = {"fc0": first, "fc2": replace(first, pe=1, simd=7)}
    assert_exact(graph, Plan(layers=layers), random_frames(graph, 4), 0.5, seed=3)


def test_a_folding_file_says_the_order(tmp_path):
    graph = dense_graph(8, 8)
    path = tmp_path / "folding.json"
    path.write_text(json.dumps({"layers": {"fc1": {"engine": "mac", "pe": 2, "simd": 4, "order": "input"}}}))
    chosen = plan(graph, folding=read_folding(path))
    assert chosen.layers["fc1"] == LayerPlan(pe=2, simd=4, order="input")
    write_plan(chosen, path)
    assert read_plan(path) == chosen


def test_layers_without_an_order_are_named(tmp_path):
    rng = np.random.default_rng(0)
    graph = add_threshold(conv_graph((4, 4, 4), 4, groups=4), rng, 2)
    graph = add_threshold(add_requantize(graph, rng, 4), rng, 2)
    path = tmp_path / "folding.json"
    for unit in units(graph):
        path.write_text(json.dumps({"layers": {unit.name: {"order": "input"}}}))
        with pytest.raises(
            PlanError, match=f"{unit.name}: order input, but only dense and convolution layers have one"
        ):
            plan(graph, folding=read_folding(path))
    with pytest.raises(PlanError, match="conv: order input, but each channel of a depthwise"):
        generate(graph, folded("conv", pe=2))


def test_another_order_is_named(tmp_path):
    path = tmp_path / "folding.json"
    path.write_text(json.dumps({"layers": {"fc1": {"order": "inputs"}}}))
    with pytest.raises(PlanError, match="fc1: order is 'inputs'; it must be one of output, input"):
        read_folding(path)
