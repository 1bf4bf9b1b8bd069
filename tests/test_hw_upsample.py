import pytest

from espalier.hw.design import generate
from espalier.hw.plan import LayerPlan, Plan
from espalier.hw.queues import analyse
from espalier.ir.upsample import Upsample2d
from graphs import append, empty_graph, random_frames
from hardware import assert_exact


@pytest.mark.parametrize("stall", [0.0, 0.4])
@pytest.mark.parametrize("factor", [(2, 2), (1, 3), (3, 1), (1, 1)])
@pytest.mark.parametrize("shape, lanes", [((3, 4, 5), 2), ((2, 3, 4), 4), ((1, 1, 1), 1)])
def test_upsampling_is_exact(shape, lanes, factor, stall):
    graph = append(empty_graph(shape), Upsample2d, "up", factor=factor)
    assert_exact(graph, Plan(layers={"up": LayerPlan(pe=lanes)}), random_frames(graph, 3), stall)


def test_one_line_is_kept_and_every_cycle_used():
    graph = append(empty_graph((6, 8, 2)), Upsample2d, "up", factor=(2, 2))
    design = generate(graph, Plan(layers={"up": LayerPlan(pe=2)}))
    assert {link.name: link.depth for link in design.links}["up_buffer"] == 8
    assert analyse(design.schedules, design.links).ii_cycles == 12 * 16
