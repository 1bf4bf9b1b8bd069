from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings

from espalier.errors import GraphError
from espalier.ir import Dense, IntType, Output, execute, find_bounds
from graphs import append, empty_graph, graphs, random_frames

GRAPH = append(append(empty_graph((2,)), Dense, "fc1", weights=[[1, 2], [3, -4]]), Dense, "fc2", weights=[[1, 1]])


def change(node, **fields):
    return replace(GRAPH, nodes=tuple(replace(old, **fields) if old.name == node else old for old in GRAPH.nodes))


@pytest.mark.parametrize(
    "low, high, text",
    [(0, 0, "uint1"), (0, 16, "uint5"), (-1, 0, "int1"), (-8, 7, "int4"), (-8, 8, "int5"), (-8, -5, "int4")],
)
def test_narrowest_type_of_a_range(low, high, text):
    dtype = IntType.of_range(low, high)
    assert str(dtype) == text
    assert dtype.low <= low
    assert high <= dtype.high


@pytest.mark.parametrize("bits", [0, 63])
def test_impossible_width_is_refused(bits):
    with pytest.raises(GraphError, match=f"{bits} bits was asked for; 1 to 62 are possible"):
        IntType(bits)


@pytest.mark.parametrize(
    "graph, message",
    [
        (change("fc2", inputs=("fc9",)), "fc2: takes 'fc9', which no earlier node or input makes"),
        (change("fc1", inputs=("fc2",)), "fc1: takes 'fc2', which no earlier node or input makes"),
        (change("fc1", inputs=("x", "x")), "fc1: takes 1 inputs, but 2 are connected"),
        (change("fc2", name="fc1"), "fc1: this name is used twice; rename one"),
        (change("fc2", inputs=("x",), weights=[[1, 2, 3]]), r"fc2: weights take 3 inputs, but .* uint4\[2\]"),
        (replace(GRAPH, outputs=(Output("y", "fc3", (1,)),)), "output y: takes 'fc3', which no node or input makes"),
        (replace(GRAPH, outputs=GRAPH.outputs * 2), r"network: its outputs are called \['y', 'y'\]; name"),
        (replace(GRAPH, inputs=()), r"fc1: takes 'x', which no earlier node|its inputs are called \[\]"),
        (replace(GRAPH, name="my net"), "'my net' is no identifier; rename it"),
        (replace(GRAPH, outputs=(Output("y.0", "fc2", (1,)),)), "'y.0' is no identifier; rename it"),
        (change("fc2", result=IntType(5)), r"fc2: reaches -60\.\.90, but its type uint5 holds 0\.\.31; make it int8"),
    ],
)
def test_bad_graph_is_named(graph, message):
    with pytest.raises(GraphError, match=message):
        graph.check()


def test_readers_lists_every_use():
    graph = replace(GRAPH, outputs=(*GRAPH.outputs, Output("z", "fc1", (2,))))
    assert graph.readers("fc1") == ("fc2", "z")


@given(graphs())
@settings(max_examples=50, deadline=None)
def test_values_stay_within_bounds_and_types(graph):
    reach = find_bounds(graph)
    for name, values in execute(graph, random_frames(graph, 30), every=True).items():
        assert graph.tensors[name].dtype.holds(values)
        assert (values >= reach[name].low).all()
        assert (values <= reach[name].high).all()
        assert values.shape[1:] == graph.tensors[name].shape
        assert values.dtype == np.int64
