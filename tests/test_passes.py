from dataclasses import replace

import numpy as np
import pytest
from hypothesis import Phase, given, settings

from dags import dags
from espalier.ir import (
    ArgMax,
    Bounds,
    Chain,
    ConvTranspose2d,
    Dense,
    Flatten,
    Graph,
    IntType,
    Output,
    Requantize,
    Step,
    Table,
    Threshold,
    quantize_inputs,
)
from espalier.ir.clean_thresholds import clean_thresholds
from espalier.ir.dead_channels import drop_dead_channels
from espalier.ir.execute import execute
from espalier.ir.flatten_inputs import flatten_inputs
from espalier.ir.narrow_types import narrow_types
from espalier.ir.ranges import find_bounds
from espalier.ir.simplify import simplify
from espalier.ir.store import digest
from espalier.ir.subpixel import decompose_transposed
from graphs import append, empty_graph, graphs, mlps, random_inputs

PASSES = [decompose_transposed, flatten_inputs, drop_dead_channels, clean_thresholds, narrow_types, simplify]


def widths(graph: Graph) -> dict[str, int]:
    return {name: tensor.channels for name, tensor in graph.tensors.items()}


def check_same(graph: Graph, smaller: Graph) -> None:
    frames = random_inputs(graph, 20)
    expected = execute(graph, frames)
    found = execute(smaller, {port.name: frames[port.name].reshape(20, *port.type.shape) for port in smaller.inputs})
    assert expected.keys() == found.keys()
    for name in expected:
        np.testing.assert_array_equal(found[name], expected[name])


@pytest.mark.parametrize("shrink", PASSES)
@given(graph=graphs())
@settings(max_examples=100, deadline=None)
def test_execution_is_unchanged_and_input_untouched(shrink, graph):
    before = digest(graph)
    smaller = shrink(graph)
    assert digest(graph) == before
    check_same(graph, smaller)


@pytest.mark.parametrize("shrink", PASSES)
@given(graph=dags(layers=14, transposed=True))
@settings(max_examples=25, deadline=None, phases=[Phase.explicit, Phase.generate])
def test_execution_of_all_operators_is_unchanged(shrink, graph):
    check_same(graph, shrink(graph))


@given(graph=dags(layers=10, transposed=True))
@settings(max_examples=15, deadline=None, phases=[Phase.explicit, Phase.generate])
def test_simplified_graphs_of_all_operators_stay_as_they_are(graph):
    smaller = simplify(graph)
    assert digest(simplify(smaller)) == digest(smaller)
    assert {port.name: port.model_shape for port in smaller.inputs} == {p.name: p.model_shape for p in graph.inputs}
    assert not any(isinstance(node, ConvTranspose2d) for node in smaller.nodes)


@given(mlps(max_width=30))
@settings(max_examples=40, deadline=None)
def test_simplified_networks_compute_the_same_and_stay_as_they_are(graph):
    smaller = simplify(graph)
    check_same(graph, smaller)
    assert digest(simplify(smaller)) == digest(smaller)


@given(mlps(max_width=30))
@settings(max_examples=20, deadline=None)
def test_hidden_channels_left_are_read_and_change(graph):
    smaller = simplify(graph)
    reach = find_bounds(smaller)
    for node in smaller.nodes[:-3]:  # what goes straight to the output keeps its channels
        tensor = smaller.tensors[node.name]
        if isinstance(node, Threshold) and tensor.channels > 1:
            (reader,) = [node_ for node_ in smaller.nodes if node.name in node_.inputs]
            assert (reach[node.name].low < reach[node.name].high).all()
            assert (reader.weights != 0).any(axis=0).all()


def three_channels(thresholds, base=0, weights=None) -> Graph:
    """x uint4[3] -> fc1 (identity) -> act1 -> fc2 [[1, 2, 3], [4, 5, 6]] -> act2."""
    graph = append(empty_graph((3,)), Dense, "fc1", weights=np.eye(3, dtype=int))
    graph = append(graph, Threshold, "act1", thresholds=thresholds, base=base)
    graph = append(graph, Dense, "fc2", weights=weights or [[1, 2, 3], [4, 5, 6]])
    return append(graph, Threshold, "act2", thresholds=[[3, 5, 7], [6, 9, 15]])


def test_unread_channel_is_dropped():
    graph = three_channels([[1, 5], [2, 6], [3, 7]], weights=[[1, 0, 3], [4, 0, 6]])
    smaller = drop_dead_channels(graph)
    check_same(graph, smaller)
    assert widths(smaller) == {"x": 3, "fc1": 2, "act1": 2, "fc2": 2, "act2": 2}


@pytest.mark.parametrize("base", [0, -1, -7])
def test_constant_is_dropped_whatever_its_sign(base):
    graph = three_channels([[1, 5], [-3, 16], [3, 7]], base)  # the middle channel always gives base + 1
    smaller = drop_dead_channels(graph)
    check_same(graph, smaller)
    assert widths(smaller) == {"x": 3, "fc1": 2, "act1": 2, "fc2": 2, "act2": 2}


def test_constant_moves_into_the_next_thresholds():
    smaller = drop_dead_channels(three_channels([[1, 5], [-3, 16], [3, 7]]))
    np.testing.assert_array_equal(smaller.node("fc2").weights, [[1, 3], [4, 6]])
    np.testing.assert_array_equal(smaller.node("act2").thresholds, [[1, 3, 5], [1, 4, 10]])
    assert smaller.node("fc2").result == IntType(5)


def test_constant_before_the_output_stays():
    graph = three_channels([[1, 5], [-3, 16], [3, 7]])
    graph = replace(graph, nodes=graph.nodes[:3], outputs=(Output("y", "fc2", (2,)),))
    assert widths(drop_dead_channels(graph)) == widths(graph)


def test_zero_before_the_output_goes():
    graph = three_channels([[1, 5], [16, 17], [3, 7]])
    graph = replace(graph, nodes=graph.nodes[:3], outputs=(Output("y", "fc2", (2,)),))
    smaller = drop_dead_channels(graph)
    check_same(graph, smaller)
    assert widths(smaller) == {"x": 3, "fc1": 2, "act1": 2, "fc2": 2}


def test_constant_stays_where_another_reader_cannot_take_it():
    graph = three_channels([[1, 5], [-3, 16], [3, 7]])
    graph = replace(graph, outputs=(*graph.outputs, Output("sums", "fc2", (2,))))
    assert widths(drop_dead_channels(graph)) == widths(graph)


FUNCTIONS = [
    (Requantize, dict(multiplier=[3, -5], addend=[1, 9], shift=2, low=-20, high=20)),
    (Table, dict(values=np.arange(64).reshape(2, 32) % 7, first=-16)),
    (Threshold, dict(thresholds=[[-3, 0, 5], [-9, -8, 1]])),
]


@pytest.mark.parametrize("weights", [[[3, 2], [-4, 1]], [[1, 0], [-1, -3]]])
@pytest.mark.parametrize("function, fields", FUNCTIONS)
def test_constant_moves_into_every_kind_of_function(function, fields, weights):
    graph = append(empty_graph((2,)), Dense, "fc1", weights=np.eye(2, dtype=int))
    graph = append(graph, Threshold, "act1", thresholds=[[2, 3, 9], [-1, 0, 99]], base=-1)  # the second gives 1
    graph = append(append(graph, Dense, "fc2", weights=weights), function, "f", **fields)
    graph = append(graph, Dense, "fc3", weights=[[1, 2]])
    smaller = drop_dead_channels(graph)
    check_same(graph, smaller)
    assert widths(smaller) == {"x": 2, "fc1": 1, "act1": 1, "fc2": 2, "f": 2, "fc3": 1}


def test_constant_moves_through_dense():
    graph = append(empty_graph((2,)), Dense, "fc1", weights=np.eye(2, dtype=int))
    graph = append(graph, Threshold, "act1", thresholds=[[2, 3, 9], [-1, 0, 99]], base=-1)  # the second gives 1
    graph = append(append(graph, Dense, "fc2", weights=[[3, 2], [-4, 1]]), Dense, "fc3", weights=[[5, 7]])
    graph = append(graph, Threshold, "act3", thresholds=[[-3, 2, 20]])
    smaller = drop_dead_channels(graph)
    check_same(graph, smaller)
    assert widths(smaller)["act1"] == 1
    np.testing.assert_array_equal(smaller.node("act3").thresholds, [[-20, -15, 3]])  # 5 * 2 + 7 * 1 less


def table_after_constant(weights, values, first) -> Graph:
    """x uint4[2] -> act1, 20 .. 23 and always 20 -> fc1 -> f, a table -> fc2."""
    graph = append(empty_graph((2,)), Dense, "fc0", weights=np.eye(2, dtype=int))
    graph = append(graph, Threshold, "act1", thresholds=[[1, 2, 3], [16, 16, 16]], base=20)
    graph = append(graph, Dense, "fc1", weights=weights)
    graph = append(graph, Table, "f", values=values, first=first)
    return append(graph, Dense, "fc2", weights=[[1, 2]])


def test_shifted_table_may_shrink():
    graph = table_after_constant([[1, 1], [1, 2]], np.arange(48).reshape(2, 24) % 7, 40)  # sums 40 .. 43, 60 .. 63
    smaller = drop_dead_channels(graph)
    check_same(graph, smaller)
    assert widths(smaller)["act1"] == 1
    assert (smaller.node("f").first, smaller.node("f").values.shape) == (20, (2, 4))


def test_table_that_would_grow_keeps_the_constant():
    graph = table_after_constant([[1, 3], [4, 0]], np.arange(26).reshape(2, 13) % 7, 80)  # sums 80 .. 83, 80 .. 92
    assert digest(drop_dead_channels(graph)) == digest(graph)


def test_sums_get_a_type_for_their_range_without_the_constant():
    graph = three_channels([[1, 5], [-3, 16], [16, 17]], weights=[[-1, 2, 0], [0, 1, 0]])
    assert graph.node("fc2").result == IntType(2)  # 0 .. 2 with the constant
    smaller = drop_dead_channels(graph)
    check_same(graph, smaller)
    assert smaller.node("fc2").result == IntType(2, signed=True)  # -2 .. 0 without it


def test_constant_moves_through_flatten():
    graph = append(empty_graph((2, 1, 2)), Threshold, "act1", thresholds=[[1, 5], [-3, 16]])
    graph = append(append(graph, Dense, "fc1", weights=np.eye(2, dtype=int)), Threshold, "act2", thresholds=[[1], [1]])
    graph = append(append(graph, Dense, "fc2", weights=[[1, 9], [-2, 3]]), Flatten, "flat")
    graph = append(graph, Threshold, "act3", thresholds=[[10], [2], [9], [1]])
    smaller = drop_dead_channels(graph)
    check_same(graph, smaller)
    assert widths(smaller) == {"x": 2, "act1": 2, "fc1": 1, "act2": 1, "fc2": 2, "flat": 4, "act3": 4}
    np.testing.assert_array_equal(smaller.node("act3").thresholds, [[1], [-1], [0], [-2]])


def test_deadness_travels_backwards_through_layers():
    graph = append(empty_graph((2,)), Dense, "fc1", weights=np.ones((4, 2), dtype=int))
    graph = append(graph, Threshold, "act1", thresholds=np.ones((4, 1), dtype=int))
    graph = append(graph, Dense, "fc2", weights=[[1, 1, 0, 0], [0, 0, 1, 1]])
    graph = append(graph, Threshold, "act2", thresholds=[[1], [1]])
    graph = append(graph, Dense, "fc3", weights=[[1, 0]])
    assert widths(drop_dead_channels(graph)) == {"x": 2, "fc1": 2, "act1": 2, "fc2": 1, "act2": 1, "fc3": 1}


def test_deadness_travels_forwards_through_layers():
    graph = append(empty_graph((2,)), Dense, "fc1", weights=[[1, 1], [1, -1]])
    graph = append(graph, Threshold, "act1", thresholds=[[1, 9], [-99, -98]])  # the second gives 2
    graph = append(graph, Dense, "fc2", weights=[[1, 5], [0, 5]])  # so the second is 10
    graph = append(graph, Threshold, "act2", thresholds=[[11], [10]])  # and this one 1
    graph = append(graph, Dense, "fc3", weights=[[2, -3]])
    graph = append(graph, Threshold, "act3", thresholds=[[-2, 1]])
    smaller = drop_dead_channels(graph)
    check_same(graph, smaller)
    assert widths(smaller) == {"x": 2, "fc1": 1, "act1": 1, "fc2": 1, "act2": 1, "fc3": 1, "act3": 1}
    np.testing.assert_array_equal(smaller.node("act3").thresholds, [[1, 3]])


def test_layer_of_dead_channels_keeps_one():
    graph = three_channels([[16], [17], [99]])
    smaller = drop_dead_channels(graph)
    check_same(graph, smaller)
    assert widths(smaller) == {"x": 3, "fc1": 1, "act1": 1, "fc2": 2, "act2": 2}


def test_channel_of_pixels_goes_only_if_dead_in_all_of_them():
    graph = append(empty_graph((1, 2, 2)), Dense, "fc1", weights=np.eye(2, dtype=int))
    graph = append(graph, Flatten, "flat")
    some = append(graph, Dense, "fc2", weights=[[1, 0, 1, 1]])
    every = append(graph, Dense, "fc2", weights=[[1, 0, 1, 0]])
    assert widths(drop_dead_channels(some)) == widths(some)
    assert widths(drop_dead_channels(every)) == {"x": 2, "fc1": 1, "flat": 2, "fc2": 1}
    check_same(every, drop_dead_channels(every))


def test_channels_of_inputs_stay():
    graph = append(empty_graph((3,)), Threshold, "act", thresholds=[[1], [2], [3]])
    graph = append(graph, Dense, "fc", weights=[[1, 0, 0]])
    assert drop_dead_channels(graph).inputs[0].type.shape == (3,)


def test_node_that_leads_nowhere_is_dropped():
    graph = append(empty_graph((3,)), Dense, "fc1", weights=[[1, 2, 3]])
    graph = append(graph, Dense, "fc2", source="x", weights=[[1, 2, 4]])
    assert [node.name for node in drop_dead_channels(graph).nodes] == ["fc2"]


def test_types_are_the_narrowest():
    graph = append(empty_graph((2,)), Dense, "fc", weights=[[1, 1], [3, 2]])
    wide = replace(graph, nodes=(replace(graph.nodes[0], result=IntType(30, True)),))
    assert narrow_types(wide).tensors["fc"].dtype == IntType(7)


def test_table_is_cut_to_the_codes_that_come():
    graph = append(empty_graph((2,)), Table, "f", values=np.arange(80).reshape(2, 40), first=-10)
    table = narrow_types(graph).node("f")
    assert (table.first, table.values.shape) == (0, (2, 16))
    check_same(graph, narrow_types(graph))


def test_steps_that_always_or_never_fire_are_dropped():
    graph = append(empty_graph((2,)), Threshold, "act", thresholds=[[-9, 0, 3, 16, 99], [-1, 5, 16, 17, 18]], base=-4)
    node = clean_thresholds(graph).node("act")
    np.testing.assert_array_equal(node.thresholds, [[0, 3], [5, 16]])
    assert node.base == -3
    check_same(graph, clean_thresholds(graph))


@pytest.mark.parametrize("steps", [[-2, -1, 0], [16, 17, 99], [-1, 16, 17]])
def test_constant_threshold_keeps_one_step(steps):
    graph = append(empty_graph((2,)), Threshold, "act", thresholds=[steps, steps], base=3)
    node = clean_thresholds(graph).node("act")
    np.testing.assert_array_equal(node.thresholds, [[16], [16]])
    check_same(graph, clean_thresholds(graph))


def test_thresholds_at_the_ends_of_int64_do_not_overflow():
    ends = np.iinfo(np.int64)
    graph = three_channels([[1, 5], [-3, 16], [3, 7]])
    act2 = replace(graph.node("act2"), thresholds=[[ends.min, 5, ends.max]] * 2)
    graph = replace(graph, nodes=(*graph.nodes[:3], act2))
    check_same(graph, simplify(graph))


def test_leading_flatten_is_absorbed():
    graph = append(append(empty_graph((2, 3, 2)), Flatten, "flat"), Dense, "fc", weights=[[1] * 12])
    flat = flatten_inputs(graph)
    assert [node.name for node in flat.nodes] == ["fc"]
    assert (flat.inputs[0].type.shape, flat.inputs[0].model_shape) == ((12,), (2, 3, 2))


def test_reachable_codes_are_flattened_too():
    graph = append(empty_graph((2, 1, 2)), Flatten, "flat")
    reach = Bounds(np.array([0, 3]), np.array([5, 7]))
    flat = flatten_inputs(replace(graph, inputs=(replace(graph.inputs[0], reach=reach),)))
    np.testing.assert_array_equal(find_bounds(flat)["x"].high, [5, 7, 5, 7])


def test_flatten_beside_another_reader_stays():
    graph = append(empty_graph((2, 3, 2)), Flatten, "flat")
    graph = replace(graph, outputs=(*graph.outputs, Output("z", "x", (2, 3, 2))))
    assert flatten_inputs(graph) is graph


def test_flatten_after_a_conversion_by_channel_is_absorbed_too():
    graph = append(empty_graph((2, 3, 2)), Flatten, "flat")
    chain = Chain((Step("Mul", (np.array([1, 2]),)),))
    graph = replace(graph, inputs=(replace(graph.inputs[0], chain=chain),))
    smaller, reals = flatten_inputs(graph), np.arange(12).reshape(1, 2, 3, 2) % 8
    assert not smaller.nodes
    codes = [quantize_inputs(each, reals)["x"].ravel() for each in (graph, smaller)]
    np.testing.assert_array_equal(*codes)


def test_what_one_pass_leaves_another_may_take():
    graph = append(append(empty_graph((2, 3, 2)), Flatten, "flat"), Dense, "fc1", source="x", weights=[[1, 2]])
    graph = append(graph, Dense, "fc2", source="flat", weights=[[1] * 12])  # fc1 leads nowhere
    assert [node.name for node in simplify(graph).nodes] == ["fc2"]


def test_argmax_keeps_its_channels():
    graph = append(empty_graph((3,)), Dense, "fc", weights=[[1, 0, 0], [0, 0, 0], [0, 0, 1]])
    graph = append(graph, ArgMax, "best")
    assert widths(simplify(graph))["fc"] == 3
