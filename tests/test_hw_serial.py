"""The serial engine: exact values at the predicted cycles for every form of weights, inputs, buffers and folds."""

import json
import time

import numpy as np
import pytest

from espalier.hw.design import generate
from espalier.hw.folding_file import read_folding
from espalier.hw.plan import LayerPlan, Plan
from espalier.hw.planner import plan as make_plan
from espalier.ir.conv2d import Conv2d
from espalier.ir.dense import Dense
from espalier.ir.graph import IntType
from espalier.sim.simulate import simulate
from graphs import UINT4, add_requantize, add_threshold, append, empty_graph, random_frames
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
@pytest.mark.parametrize("dtype", [IntType(1), IntType(3), IntType(4, True)], ids=str)
@pytest.mark.parametrize("kind", WEIGHTS)
def test_every_kind_of_weights_is_exact(kind, dtype, order):
    graph = dense_graph(7, 10, kind, dtype)
    for stall in (0.0, 0.4):
        assert_exact(graph, plan(order, pe=3, simd=4), random_frames(graph, 3), stall)


@order
@pytest.mark.parametrize("pe, simd", [(1, 1), (1, 9), (5, 1), (5, 9), (2, 4), (4, 8)])
def test_every_fold_is_exact(pe, simd, order):
    graph = dense_graph(5, 9, "sparse")
    assert_exact(graph, plan(order, pe=pe, simd=simd), random_frames(graph, 3), 0.3)


@order
@pytest.mark.parametrize("shifts", [2, 3])
@pytest.mark.parametrize("kind", ["int4", "sparse", "signs"])
def test_several_planes_in_a_slot_are_exact(kind, shifts, order):
    graph = dense_graph(5, 9, kind, IntType(3, True))
    assert_exact(graph, plan(order, pe=2, simd=3, shifts_per_slot=shifts), random_frames(graph, 3), 0.3)


@order
@pytest.mark.parametrize("memory", ["block", "lut", "logic"])
def test_every_memory_is_exact(memory, order):
    graph = dense_graph(6, 8, "int4", IntType(5, True))
    assert_exact(graph, plan(order, pe=2, simd=2, memory=memory), random_frames(graph, 3), 0.3)


@order
@pytest.mark.parametrize("kind, inputs", [("int4", 66), ("sparse", 130)])
def test_a_deep_input_buffer_in_block_memory_is_exact(kind, inputs, order):
    graph = dense_graph(3, inputs, kind)
    assert_exact(graph, plan(order, pe=1, simd=1), random_frames(graph, 3), 0.1)


@order
def test_the_extremes_of_the_sums_are_exact(order):
    graph = append(empty_graph((5,), IntType(8, True)), Dense, "fc1", weights=np.array([[-128] * 5, [127] * 5]))
    assert_exact(graph, plan(order, pe=2, simd=2), random_frames(graph, 3))


@order
@pytest.mark.parametrize("weights", [[[0, 0, 0]] * 3, [[0, 0, 4], [0, 0, 0], [-32, 0, 0]], [[0, 1, 0]] * 3])
def test_empty_tiles_and_layers_are_exact(weights, order):
    graph = append(empty_graph((3,)), Dense, "fc1", weights=np.array(weights))
    assert_exact(graph, plan(order, pe=1, simd=1), random_frames(graph, 3), 0.2)


@order
def test_each_pixel_of_a_feature_map_is_a_product(order):
    graph = dense_graph(3, 5, "int4", shape=(2, 3))
    assert_exact(graph, plan(order, pe=2, simd=2), random_frames(graph, 2), 0.3)


@order
@pytest.mark.parametrize("bits", [1, 2, 4])
@pytest.mark.parametrize("kind", ["signs", "int4", "sparse"])
def test_fused_thresholds_are_exact(kind, bits, order):
    graph = add_threshold(dense_graph(7, 9, kind), np.random.default_rng(bits), bits)
    assert_exact(graph, plan(order, pe=3, simd=4), random_frames(graph, 4), 0.2)


@order
def test_a_fused_requantize_is_exact(order):
    graph = add_requantize(dense_graph(7, 9, "int4"), np.random.default_rng(0), 5)
    assert_exact(graph, plan(order, pe=3, simd=4), random_frames(graph, 4), 0.2)


def conv_graph(shape=(5, 4, 3), outputs=4, kernel=(3, 3), kind="int4", groups=1, **fields):
    weights = np.random.default_rng(0).choice(WEIGHTS[kind], (outputs, *kernel, shape[2] // groups))
    return append(empty_graph(shape, UINT4), Conv2d, "fc1", weights=weights, groups=groups, **fields)


@order
@pytest.mark.parametrize("kind, pe, simd", [("sparse", 2, 1), ("int4", 5, 2), ("sparse", 3, 12), ("int4", 5, 36)])
def test_convolutions_are_exact(kind, pe, simd, order):
    graph = conv_graph((4, 4, 3), 5, (3, 4), kind, padding=(1, 0, 1, 1), pad_value=15)
    assert_exact(graph, plan(order, pe=pe, simd=simd), random_frames(graph, 3), 0.3)


@order
@pytest.mark.parametrize("bits", [None, 1, 3])
@pytest.mark.parametrize("pe, simd", [(1, 1), (2, 2), (3, 1)])
def test_filter_groups_are_exact(pe, simd, bits, order):
    graph = conv_graph((4, 3, 6), 9, (2, 2), "sparse", groups=3)
    if bits:
        graph = add_threshold(graph, np.random.default_rng(bits), bits)
    assert_exact(graph, plan(order, pe=pe, simd=simd), random_frames(graph, 2), 0.2)


@order
@pytest.mark.parametrize("kind, pe", [("int4", 3), ("sparse", 1), ("sparse", 5), ("signs", 3)])
def test_depthwise_convolutions_are_exact(kind, pe, order):
    graph = conv_graph((4, 5, 5), 5, (2, 3), kind, groups=5, padding=(1, 1, 0, 1))
    assert_exact(graph, plan(order, pe=pe), random_frames(graph, 3), 0.3)


def test_a_window_comes_once_only_where_it_is_kept():
    """Plane-major skips empty planes of each tile of a convolution; group-major takes each tile in a slot at least."""
    graph = conv_graph(kind="sparse")
    designs = [generate(graph, plan(order, pe=1, simd=1)) for order in ORDERS]
    slots = [design.stages["fc1_window"].schedule.slots for design in designs]
    assert slots == [6 * 27 * 4, 6 * 27]


def test_cycles_are_in_proportion_to_the_planes_of_the_weights():
    """Of SWIS: groups of four inputs that share one, two or three planes."""
    rng = np.random.default_rng(0)
    cycles = {}
    for shifts in (1, 2, 3):
        planes = np.sort(np.argsort(rng.random((8, 4, 1, 7)))[..., :shifts])  # of the 8 x 4 groups
        weights = (1 << planes).sum(axis=-1).repeat(4, axis=-1).reshape(8, 16) * rng.choice([-1, 1], (8, 16))
        graph = append(empty_graph((16,)), Dense, "fc1", weights=weights)
        fold = LayerPlan("serial", 1, 4, planes="group-major")
        design = assert_exact(graph, Plan(layers={"fc1": fold}), random_frames(graph, 3))
        cycles[shifts] = design.stages["fc1"].schedule.slots
    assert cycles == {1: 32, 2: 64, 3: 96}


def test_a_folding_file_names_engine_order_and_shifts(tmp_path):
    graph = add_threshold(dense_graph(6, 8, "sparse"), np.random.default_rng(0), 2)
    fold = {"engine": "serial", "pe": 2, "simd": 4, "planes": "group-major", "shifts_per_slot": 2}
    file = tmp_path / "folding.json"
    file.write_text(json.dumps({"layers": {"fc1": fold}}))
    found = make_plan(graph, folding=read_folding(file))
    assert found.layers["fc1"] == LayerPlan(**fold)
    assert_exact(graph, found, random_frames(graph, 3), 0.2)


@pytest.mark.slow
@pytest.mark.verilator
def test_verilog_of_both_orders_is_exact(tmp_path):
    graph = add_threshold(dense_graph(6, 8, "sparse"), np.random.default_rng(0), 2)
    graph = append(graph, Dense, "fc2", weights=np.random.default_rng(1).integers(-8, 8, (5, 6)))
    folds = [LayerPlan("serial", 2, 4, planes="group-major"), LayerPlan("serial", 1, 3, planes="plane-major")]
    layers = dict(zip(("fc1", "fc2"), folds))
    design = generate(graph, Plan(layers=layers))
    report = simulate(design, random_frames(graph, 20), stall=0.4, folder=tmp_path / "run", cache=tmp_path / "cache")
    assert report.is_exact, report.mismatches


def test_time_to_write_verilog_grows_with_the_width_of_a_slot():
    seconds = []
    for inputs in (60, 480):
        design = generate(dense_graph(8, inputs, "ternary"), plan("plane-major", pe=4, simd=inputs))
        begin = time.process_time()
        design.verilog()
        seconds.append(time.process_time() - begin)
    assert seconds[1] < 24 * seconds[0]  # eight times, or 64 times where each lane goes through all masks
