"""The popcount engine: exact values at the predicted cycles for all planes of inputs and weights, and every fold."""

import json

import numpy as np
import pytest

from espalier.boards.synth import synthesize
from espalier.hw.design import generate
from espalier.hw.folding_file import read_folding
from espalier.hw.plan import LayerPlan, Plan
from espalier.hw.planner import plan as make_plan
from espalier.hw.popcount import PopcountStage
from espalier.ir.conv2d import Conv2d
from espalier.ir.dense import Dense
from espalier.ir.graph import IntType
from graphs import add_requantize, add_threshold, append, empty_graph, random_frames
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


def check_widths(weight_bits, bits, signed):
    low = -(1 << weight_bits - 1) if signed else 0
    graph = dense_graph(3, 5, np.arange(low, low + (1 << weight_bits)), IntType(bits, bits % 2 == 0))
    assert_exact(graph, plan(pe=2, simd=3), random_frames(graph, 2), 0.2)


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("bits", [1, 2, 3, 8])
@pytest.mark.parametrize("weight_bits", [1, 2, 3, 8])
def test_pairs_of_widths_are_exact(weight_bits, bits, signed):
    check_widths(weight_bits, bits, signed)


@pytest.mark.slow
@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("bits", range(1, 9))
@pytest.mark.parametrize("weight_bits", range(1, 9))
def test_every_pair_of_widths_is_exact(weight_bits, bits, signed):
    check_widths(weight_bits, bits, signed)


@pytest.mark.parametrize("pe, simd", [(1, 1), (1, 9), (5, 1), (5, 9), (2, 4), (4, 8)])
@pytest.mark.parametrize("kind, dtype", [("signs", IntType(1)), ("ternary", IntType(2, True))], ids=str)
def test_every_fold_is_exact(pe, simd, kind, dtype):
    graph = dense_graph(5, 9, WEIGHTS[kind], dtype)
    assert_exact(graph, plan(pe=pe, simd=simd), random_frames(graph, 3), 0.3)


@pytest.mark.parametrize("memory", ["block", "lut", "logic"])
def test_every_memory_is_exact(memory):
    graph = dense_graph(6, 8, WEIGHTS["ternary"], IntType(2))
    assert_exact(graph, plan(pe=2, simd=2, memory=memory), random_frames(graph, 3), 0.3)


@pytest.mark.parametrize("simd", [*range(1, 21), 31, 32, 33, 64])
@pytest.mark.parametrize("kind, dtype", [("signs", IntType(1)), ("ternary", IntType(2))], ids=str)
def test_any_number_of_products_is_counted_exactly(simd, kind, dtype):
    graph = dense_graph(3, 2 * simd - 1, WEIGHTS[kind], dtype)
    assert_exact(graph, plan(pe=2, simd=simd), random_frames(graph, 4))


@pytest.mark.parametrize("value", [-128, 127, 0, -1])
def test_the_extremes_of_the_sums_are_exact(value):
    weights = np.array([[-128] * 5, [127] * 5, [-1] * 5, [1] * 5])
    graph = append(empty_graph((5,), IntType(8, True)), Dense, "fc1", weights=weights)
    assert_exact(graph, plan(pe=3, simd=4), np.full((2, 5), value))


def test_each_pixel_of_a_feature_map_is_a_product():
    graph = dense_graph(3, 5, WEIGHTS["ternary"], IntType(2), shape=(2, 3))
    assert_exact(graph, plan(pe=2, simd=2), random_frames(graph, 2), 0.3)


@pytest.mark.parametrize("inputs", [66, 130])
def test_a_deep_input_buffer_in_block_memory_is_exact(inputs):
    graph = dense_graph(3, inputs, WEIGHTS["signs"], IntType(2))
    assert_exact(graph, plan(pe=2, simd=1), random_frames(graph, 2), 0.1)


@pytest.mark.parametrize("bits", [1, 2, 3])
@pytest.mark.parametrize("pe", [3, 7])
@pytest.mark.parametrize("kind, dtype", [("signs", IntType(1)), ("signs", IntType(2)), ("ternary", IntType(2, True))])
def test_fused_thresholds_are_exact(kind, dtype, pe, bits):
    graph = add_threshold(dense_graph(7, 9, WEIGHTS[kind], dtype), np.random.default_rng(bits), bits)
    assert_exact(graph, plan(pe=pe, simd=4), random_frames(graph, 4), 0.2)


def test_a_fused_requantize_is_exact():
    graph = add_requantize(dense_graph(5, 9, WEIGHTS["ternary"], IntType(2, True)), np.random.default_rng(0), 5)
    assert_exact(graph, plan(pe=2, simd=3), random_frames(graph, 3), 0.2)


def test_every_beat_has_a_slot_for_each_pair_of_planes():
    graph = dense_graph(8, 12, WEIGHTS["ternary"], IntType(3))
    assert generate(graph, plan(pe=4, simd=6)).stages["fc1"].schedule.slots == 2 * 2 * 2 * 3


@pytest.mark.parametrize(
    "kind, slots", [("signs", 3), ("binary", 3), ("odd", 6), ("gap", 9), ("fours", 3), ("zeros", 3)]
)
def test_planes_that_are_zero_everywhere_take_no_slots(kind, slots):
    weights = np.resize(WEIGHTS[kind], (5, 7))
    graph = append(empty_graph((7,), IntType(3)), Dense, "fc1", weights=weights)
    assert generate(graph, plan(pe=5, simd=7)).stages["fc1"].schedule.slots == slots


UINT2 = IntType(2)


@pytest.mark.parametrize("kind, bits, simd", [("signs", 1, 4), ("signs", 2, 3), ("odd", 3, 1)])
def test_no_signal_is_without_bits(kind, bits, simd):
    design = generate(dense_graph(5, 8, WEIGHTS[kind], IntType(bits)), plan(pe=2, simd=simd))
    assert "[-1:0]" not in design.verilog()


def conv_graph(shape=(4, 4, 3), outputs=4, kernel=(3, 3), dtype=UINT2, kind="ternary", groups=1, **fields):
    weights = np.random.default_rng(0).choice(WEIGHTS[kind], (outputs, *kernel, shape[2] // groups))
    return append(empty_graph(shape, dtype), Conv2d, "fc1", weights=weights, groups=groups, **fields)


@pytest.mark.parametrize("kind, dtype", [("signs", IntType(1)), ("signs", IntType(2)), ("ternary", IntType(2, True))])
@pytest.mark.parametrize("pe, simd", [(5, 1), (2, 3), (3, 2), (2, 12)])
def test_convolutions_are_exact(kind, dtype, pe, simd):
    graph = add_threshold(conv_graph(outputs=5, kind=kind, dtype=dtype, kernel=(2, 3)), np.random.default_rng(0), 2)
    assert_exact(graph, plan(pe=pe, simd=simd), random_frames(graph, 2), 0.2)


@pytest.mark.parametrize("kind", ["signs", "odd"])
def test_padding_that_the_input_never_takes_is_exact(kind):
    graph = conv_graph((3, 3, 2), padding=(1, 1, 1, 1), pad_value=-5, kind=kind)
    assert_exact(graph, plan(pe=2, simd=2), random_frames(graph, 2), 0.2)


@pytest.mark.parametrize("pe, simd", [(1, 1), (2, 2)])
def test_filter_groups_are_exact(pe, simd):
    graph = conv_graph((4, 3, 6), 9, (2, 2), groups=3, kind="signs")
    assert_exact(graph, plan(pe=pe, simd=simd), random_frames(graph, 2), 0.2)


@pytest.mark.parametrize("kind, dtype", [("signs", IntType(1)), ("signs", IntType(2)), ("ternary", IntType(2, True))])
@pytest.mark.parametrize("pe", [1, 3, 5])
def test_depthwise_convolutions_are_exact(kind, dtype, pe):
    graph = conv_graph((4, 3, 5), 5, (2, 2), dtype, kind, groups=5, padding=(1, 0, 0, 1), pad_value=1)
    assert_exact(graph, plan(pe=pe), random_frames(graph, 2), 0.2)


def test_a_folding_file_chooses_the_engine(tmp_path):
    path = tmp_path / "folding.json"
    path.write_text(json.dumps({"layers": {"fc1": {"engine": "popcount", "pe": 2, "simd": 4}}}))
    graph = dense_graph(4, 8, WEIGHTS["ternary"], IntType(2, True))
    chosen = make_plan(graph, folding=read_folding(path))
    assert isinstance(assert_exact(graph, chosen, random_frames(graph, 2)).stages["fc1"], PopcountStage)


@pytest.mark.synth
def test_gates_and_shifts_go_into_carry_cells(tmp_path):
    """Of 48 products in a slot, and accumulators of 4 lanes, no lookup table is left."""
    graph = dense_graph(4, 24, WEIGHTS["ternary"], IntType(2))
    design = generate(graph, plan(pe=4, simd=12, memory="block"))
    report = synthesize(design.verilog(), design.top, "ecp5-25k", tmp_path, place=False)
    bits = design.stages["fc1"].y_type.bits
    assert report.absorbed_luts >= 4 * 12 + 4 * (bits - 2)
    assert report.area.lut < 4 * 12 + 2 * 12 + 40
