from dataclasses import replace

import numpy as np
import pytest

from espalier.errors import GraphError
from espalier.ir.add import Add
from espalier.ir.dense import Dense
from espalier.ir.execute import execute
from espalier.ir.flatten import Flatten
from espalier.ir.graph import Output
from espalier.ir.part_of import part_of
from espalier.ir.ranges import find_bounds
from espalier.ir.store import load, save
from espalier.ir.threshold import Threshold
from graphs import append, empty_graph, random_frames

NAMES = ["fc1", "act1", "fc2", "act2", "sum", "fc3"]


def branches():
    """A skip around fc2, then a Flatten; the codes of act1 use 0 to 2 of their two bits."""
    graph = append(empty_graph((2, 1, 3)), Dense, "fc1", weights=np.array([[1, -2, 3], [0, 1, 1], [2, 0, -1]]))
    graph = append(graph, Threshold, "act1", thresholds=np.tile([0, 9], (3, 1)))
    graph = append(graph, Dense, "fc2", weights=np.eye(3, dtype=int)[::-1] * 2)
    graph = append(graph, Threshold, "act2", thresholds=np.tile([1, 3], (3, 1)))
    graph = append(graph, Add, "sum", ("act1", "act2"), coefficients=(1, 2))
    graph = append(graph, Flatten, "flat")
    graph = append(graph, Dense, "fc3", weights=np.arange(12).reshape(2, 6) - 5)
    return replace(graph, outputs=(*graph.outputs, Output("early", "act1", (2, 1, 3))))


@pytest.mark.parametrize("first", range(len(NAMES)))
@pytest.mark.parametrize("last", range(len(NAMES)))
def test_part_computes_what_the_whole_computes(first, last):
    graph = branches()
    part = part_of(graph, NAMES[first : last + 1]) if first <= last else graph
    part.check()
    tensors = execute(graph, random_frames(graph), every=True)
    found = execute(part, {port.name: tensors[port.name] for port in part.inputs})
    for port in part.outputs:
        np.testing.assert_array_equal(found[port.name], tensors[port.tensor])


def test_what_crosses_the_border_is_a_port():
    part = part_of(branches(), ["fc2", "act2"])
    assert [port.name for port in part.inputs] == ["act1"]
    assert [(port.name, port.tensor) for port in part.outputs] == [("act2_out", "act2")]
    part = part_of(branches(), ["fc1", "act1"])
    assert [(port.name, port.tensor) for port in part.outputs] == [("early", "act1")]


def test_reach_is_that_of_the_whole():
    graph = branches()
    whole, part = find_bounds(graph), find_bounds(part_of(graph, ["fc2", "act2"]))
    for name, bounds in part.items():
        np.testing.assert_array_equal(bounds.high, whole[name].high)
        np.testing.assert_array_equal(bounds.low, whole[name].low)


def test_codes_that_cannot_come_are_an_error():
    part = part_of(branches(), ["fc2", "act2"])
    with pytest.raises(GraphError, match="input act1: holds codes that the network before it never makes"):
        execute(part, np.full((1, 2, 1, 3), 3))


def test_part_survives_the_file(tmp_path):
    part = part_of(branches(), ["fc2", "act2"])
    save(part, tmp_path)
    np.testing.assert_array_equal(load(tmp_path).inputs[0].reach.high, part.inputs[0].reach.high)


def test_unknown_node_is_named():
    with pytest.raises(GraphError, match="no node 'fc9'; nodes: fc1, act1"):
        part_of(branches(), ["fc9"])
