import numpy as np
import pytest

from espalier.hw.plan import LayerPlan, Plan
from espalier.ir.concat import Concat
from espalier.ir.graph import Graph, Input, IntType, Output, TensorType
from graphs import add_threshold, append, random_inputs
from hardware import assert_exact


def joined(pixels, widths, dtypes) -> Graph:
    """Thresholds on inputs of different widths, joined."""
    graph = Graph((), (), (Output("y", "", ()),))
    names = []
    for place, (width, dtype) in enumerate(zip(widths, dtypes)):
        shape = (*pixels, width)
        port = Input(f"x{place}", TensorType(shape, dtype), shape)
        graph = Graph((*graph.inputs, port), graph.nodes, (Output("y", port.name, shape),))
        graph = add_threshold(graph, np.random.default_rng(place), 1 + place)
        names.append(graph.outputs[0].tensor)
    return append(graph, Concat, "joined", tuple(names))


@pytest.mark.parametrize("stall", [0.0, 0.4])
@pytest.mark.parametrize(
    "lanes, made", [((1, 1), 1), ((4, 2), 3), ((2, 3), 4), ((8, 4), 12), ((3, 1), 12), ((8, 4), 2)]
)
def test_channels_of_two_streams_follow_one_another(lanes, made, stall):
    graph = joined((2, 2), (8, 4), (IntType(4), IntType(3, True)))
    folds = {node.name: LayerPlan(pe=count) for node, count in zip(graph.nodes, (*lanes, made))}
    assert_exact(graph, Plan(layers=folds), random_inputs(graph, 3), stall)


@pytest.mark.parametrize("made", [1, 5, 16])
def test_three_streams_of_odd_widths(made):
    graph = joined((3, 1), (5, 1, 10), [IntType(4)] * 3)
    folds = {node.name: LayerPlan(pe=count) for node, count in zip(graph.nodes, (2, 1, 7, made))}
    assert_exact(graph, Plan(layers=folds), random_inputs(graph, 3), 0.3)


def test_whole_pixels_join_in_one_cycle():
    graph = joined((3, 3), (5, 7), [IntType(4)] * 2)
    folds = {node.name: LayerPlan(pe=count) for node, count in zip(graph.nodes, (5, 7, 12))}
    design = assert_exact(graph, Plan(layers=folds), random_inputs(graph, 3))
    assert design.stages["joined"].schedule.slots == 9


def test_a_tensor_may_be_joined_with_itself():
    port = Input("x", TensorType((2, 3), IntType(4)), (2, 3))
    graph = append(Graph((port,), (), (Output("y", "x", (2, 3)),)), Concat, "twice", ("x", "x", "x"))
    assert_exact(graph, Plan(layers={"twice": LayerPlan(pe=2)}), random_inputs(graph, 3), 0.3)
