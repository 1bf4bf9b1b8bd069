"""Functions of one channel, ArgMax, forks and lane conversion, each alone between source and sink."""

from dataclasses import replace
from time import thread_time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from espalier.errors import GraphError, PlanError
from espalier.hw.design import generate
from espalier.hw.moves import conversion, find_blocks, plan_moves, shortest_period
from espalier.hw.operators import units
from espalier.hw.plan import LayerPlan, Plan
from espalier.ir.argmax import ArgMax
from espalier.ir.conv2d import Conv2d
from espalier.ir.flatten import Flatten
from espalier.ir.graph import Graph, Input, IntType, Node, Output, TensorType
from graphs import (
    add_dense,
    add_requantize,
    add_table,
    add_threshold,
    append,
    empty_graph,
    random_frames,
    random_weights,
)
from hardware import assert_exact


def plan_all(graph, lanes: int) -> Plan:
    return Plan(layers={unit.name: LayerPlan(pe=lanes, simd=lanes) for unit in units(graph)})


@pytest.mark.parametrize("lanes", [1, 3, 7])
@pytest.mark.parametrize("bits", [1, 2, 4])
@pytest.mark.parametrize("add", [add_threshold, add_table, add_requantize])
def test_a_function_alone_is_exact(add, bits, lanes):
    graph = add(empty_graph((2, 7), IntType(5, True)), np.random.default_rng(bits), bits)
    assert_exact(graph, plan_all(graph, lanes), random_frames(graph, 4), 0.3)


@pytest.mark.parametrize("lanes", [1, 3, 4, 10])
@pytest.mark.parametrize("dtype", [IntType(2), IntType(2, True)], ids=str)
def test_argmax_takes_the_first_on_a_tie(lanes, dtype):
    graph = append(empty_graph((10,), dtype), ArgMax, "argmax")
    assert_exact(graph, plan_all(graph, lanes), random_frames(graph, 12), 0.3)


@pytest.mark.parametrize("lanes_in, lanes_out", [(1, 5), (5, 1), (4, 6), (6, 4), (3, 3), (2, 13), (13, 2)])
def test_lanes_convert_between_any_counts(lanes_in, lanes_out):
    rng = np.random.default_rng(1)
    graph = add_threshold(add_threshold(empty_graph((2, 13)), rng, 2), rng, 2)
    layers = {"act0": LayerPlan(pe=lanes_in), "act1": LayerPlan(pe=lanes_out)}
    assert_exact(graph, Plan(layers=layers), random_frames(graph, 3), 0.4)


@pytest.mark.parametrize("lanes_in", [1, 2, 3])
@pytest.mark.parametrize("simd", [1, 4, 12])
def test_flatten_is_a_conversion_across_pixels(lanes_in, simd):
    rng = np.random.default_rng(1)
    graph = add_dense(append(add_threshold(empty_graph((2, 2, 3)), rng, 2), Flatten, "flat"), rng, 5, 3)
    layers = {"act0": LayerPlan(pe=lanes_in), "fc2": LayerPlan(pe=5, simd=simd)}
    assert_exact(graph, Plan(layers=layers), random_frames(graph, 3), 0.3)


@pytest.mark.parametrize("lanes_in", range(1, 7))
@pytest.mark.parametrize("simd", [1, 2, 3])
def test_pixels_part_into_filter_groups(lanes_in, simd):
    """Lanes of the next group wait while the last beat of one goes."""
    rng = np.random.default_rng(1)
    graph = append(
        add_threshold(empty_graph((2, 3, 6)), rng, 2),
        Conv2d,
        "conv",
        weights=random_weights(rng, 4, 3, 2).reshape(4, 1, 1, 3),
        groups=2,
    )
    plan = Plan(layers={"act0": LayerPlan(pe=lanes_in), "conv": LayerPlan(pe=1, simd=simd)})
    assert_exact(graph, plan, random_frames(graph, 3), 0.3)


@pytest.mark.parametrize("kinds, table, repeats", [([1, 2, 3] * 30, 3, 30), ([0] * 20 + [1, 2] * 9 + [3], 4, 20)])
def test_blocks_that_repeat_are_kept_once(kinds, table, repeats):
    found, blocks = find_blocks(kinds)
    played = [kind for block in blocks for kind in found[block.start : block.start + block.length] * block.repeats]
    assert (played, len(found), blocks[0].repeats) == (kinds, table, repeats)


@given(st.lists(st.integers(0, 1), min_size=1, max_size=12), st.integers(1, 4))
def test_period_is_the_shortest_that_divides(kinds, times):
    kinds, count = kinds * times, len(kinds) * times
    expected = next(p for p in range(1, count + 1) if count % p == 0 and kinds == kinds[:p] * (count // p))
    assert shortest_period(kinds) == expected


def test_a_long_order_is_looked_through_in_no_time():
    start = thread_time()
    shortest_period(([0] * 99 + [1]) * 1000 + [1])
    assert thread_time() - start < 1


@pytest.mark.parametrize("lanes_in", range(1, 9))
@pytest.mark.parametrize("lanes_out", range(1, 9))
def test_a_conversion_takes_one_slot_more_at_most_than_the_longer_side(lanes_in, lanes_out):
    tensor = TensorType((17,), IntType(1))
    beats, needed, _ = conversion(tensor, lanes_in, tensor, lanes_out)
    moves = plan_moves(beats, needed)
    assert (sum(bool(move.taken) for move in moves), sum(move.started > 0 for move in moves)) == (
        -(-17 // lanes_in),
        -(-17 // lanes_out),
    )
    assert len(moves) <= max(len(beats), len(needed)) + 1


def test_a_tensor_of_two_readers_forks():
    rng = np.random.default_rng(2)
    graph = add_dense(add_threshold(empty_graph((9,)), rng, 2), rng, 5, 3)
    graph = Graph(graph.inputs, graph.nodes, (*graph.outputs, Output("codes", "act0", (9,))), "fork")
    design = assert_exact(graph, plan_all(graph, 3), random_frames(graph, 4), 0.4)
    assert "act0_fork" in design.stages


def test_an_input_may_be_an_output_too():
    graph = add_dense(empty_graph((6,)), np.random.default_rng(3), 4, 3)
    graph = Graph(graph.inputs, graph.nodes, (*graph.outputs, Output("same", "x", (6,))), "through")
    assert_exact(graph, plan_all(graph, 2), random_frames(graph, 3), 0.3)


def test_names_that_the_hardware_would_use_twice():
    graph = add_dense(empty_graph((6,)), np.random.default_rng(3), 4, 3)
    same = replace(graph, outputs=(replace(graph.outputs[0], name="x"),))
    with pytest.raises(GraphError, match="x: two ports of the hardware have this name; rename one of them"):
        generate(same, plan_all(same, 2))
    source = append(empty_graph((6,)), ArgMax, "source_x")
    with pytest.raises(GraphError, match="source_x: two processes of the hardware have this name"):
        generate(source, plan_all(source, 2))


def test_an_operator_without_hardware_is_named():
    class Softsign(Node):
        def shape(self, *inputs):
            return inputs[0].shape

        def evaluate(self, *inputs):
            return inputs[0]

        def bounds(self, *inputs):
            return inputs[0]

    node = Softsign("soft", ("x",), IntType(4))
    graph = Graph((Input("x", TensorType((3,), IntType(4)), (3,)),), (node,), (Output("y", "soft", (3,)),))
    with pytest.raises(GraphError, match="soft: no hardware for Softsign; known operators: Add, ArgMax"):
        generate(graph, Plan())


def test_a_layer_without_a_fold_is_named():
    graph = add_dense(empty_graph((6,)), np.random.default_rng(3), 4, 3)
    with pytest.raises(PlanError, match="fc0: the plan has no fold for this layer"):
        generate(graph, Plan())


def test_a_queue_that_is_not_there_is_named():
    graph = add_dense(empty_graph((6,)), np.random.default_rng(3), 4, 3)
    with pytest.raises(PlanError, match="no queue 'fc9'; queues: x, fc0"):
        generate(graph, Plan(layers={"fc0": LayerPlan()}, depths={"fc9": 2}))
