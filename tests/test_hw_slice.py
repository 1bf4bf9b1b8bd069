import numpy as np
import pytest

from espalier.hw.plan import LayerPlan, Plan
from espalier.ir.graph import IntType
from espalier.ir.slice import Slice
from graphs import add_threshold, append, empty_graph, random_frames
from hardware import assert_exact


def cut(shape, start, stop):
    graph = add_threshold(empty_graph(shape, IntType(4, True)), np.random.default_rng(1), 3)
    return append(graph, Slice, "cut", start=start, stop=stop)


def plan(lanes: int, made: int) -> Plan:
    return Plan(layers={"act0": LayerPlan(pe=lanes), "cut": LayerPlan(pe=made)})


@pytest.mark.parametrize("stall", [0.0, 0.4])
@pytest.mark.parametrize("lanes, made", [(1, 1), (4, 4), (13, 5), (3, 2), (2, 5)])
@pytest.mark.parametrize("start, stop", [(0, 5), (5, 13), (4, 9), (12, 13), (0, 13)])
def test_channels_are_cut(start, stop, lanes, made, stall):
    graph = cut((2, 13), (0, start), (2, stop))
    assert_exact(graph, plan(lanes, min(made, stop - start)), random_frames(graph, 3), stall)


@pytest.mark.parametrize("stall", [0.0, 0.4])
@pytest.mark.parametrize("start, stop", [((0, 0), (4, 5)), ((1, 2), (3, 4)), ((3, 0), (4, 1)), ((0, 4), (1, 5))])
def test_pixels_are_cut(start, stop, stall):
    graph = cut((4, 5, 3), (*start, 1), (*stop, 3))
    assert_exact(graph, plan(2, 2), random_frames(graph, 3), stall)


def test_whole_pixels_need_one_stage():
    graph = cut((4, 5, 3), (1, 1, 0), (3, 4, 3))
    design = assert_exact(graph, plan(2, 2), random_frames(graph, 3), 0.3)
    assert list(design.stages) == ["act0", "cut"]
