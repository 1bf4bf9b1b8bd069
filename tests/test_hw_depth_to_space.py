import pytest

from espalier.errors import PlanError
from espalier.hw.design import generate
from espalier.hw.plan import LayerPlan, Plan
from espalier.ir.depth_to_space import DepthToSpace
from espalier.ir.graph import IntType
from graphs import append, empty_graph, random_frames
from hardware import assert_exact


@pytest.mark.parametrize("stall", [0.0, 0.4])
@pytest.mark.parametrize(
    "shape, block, order, lanes",
    [
        ((3, 4, 8), 2, "DCR", 2),
        ((3, 4, 12), 2, "DCR", 3),
        ((3, 2, 12), 2, "DCR", 1),
        ((2, 3, 9), 3, "DCR", 1),
        ((3, 4, 12), 2, "CRD", 1),
        ((2, 3, 9), 3, "CRD", 1),
        ((1, 2, 3), 1, "CRD", 1),
    ],
)
def test_blocks_of_pixels_are_exact(shape, block, order, lanes, stall):
    graph = append(empty_graph(shape, IntType(3, True)), DepthToSpace, "shuffle", block=block, order=order)
    assert_exact(graph, Plan(layers={"shuffle": LayerPlan(pe=lanes)}), random_frames(graph, 3), stall)


def test_channels_that_lie_apart_have_one_lane():
    graph = append(empty_graph((2, 2, 8)), DepthToSpace, "shuffle", block=2, order="CRD")
    with pytest.raises(PlanError, match="shuffle: pe 2, but the order CRD is read channel by channel; set pe to 1"):
        generate(graph, Plan(layers={"shuffle": LayerPlan(pe=2)}))
