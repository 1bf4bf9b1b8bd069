import numpy as np
import pytest

from espalier.hw.design import generate
from espalier.hw.plan import LayerPlan, Plan
from espalier.ir.pad import Pad
from graphs import append, empty_graph, random_frames
from hardware import assert_exact


@pytest.mark.parametrize("stall", [0.0, 0.4])
@pytest.mark.parametrize("padding", [(1, 2, 3, 0), (0, 0, 0, 1), (0, 3, 0, 0), (2, 0, 1, 0), (0, 0, 0, 0)])
@pytest.mark.parametrize("shape, lanes", [((3, 4, 5), 2), ((2, 3, 2), 2), ((1, 1, 1), 1)])
def test_padding_is_exact(shape, lanes, padding, stall):
    graph = append(empty_graph(shape), Pad, "pad", padding=padding, value=-2)
    assert_exact(graph, Plan(layers={"pad": LayerPlan(pe=lanes)}), random_frames(graph, 3), stall)


def test_no_frame_begins_before_its_first_beat():
    graph = append(empty_graph((2, 2, 1)), Pad, "pad", padding=(1, 1, 1, 1))
    design = generate(graph, Plan(layers={"pad": LayerPlan()}))
    assert design.predict(1, {"source_x": np.arange(200) >= 150})["pad"][0] == 150 + 2
