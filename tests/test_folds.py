import numpy as np
import pytest

from dags import random_dag
from espalier.errors import PlanError
from espalier.hw.design import Design, generate
from espalier.hw.folds import choose_from
from espalier.hw.matching import feed_joins
from espalier.hw.operators import units
from espalier.hw.plan import Plan
from espalier.hw.planner import plan
from espalier.ir.conv2d import Conv2d
from espalier.ir.max_pool import MaxPool2d
from espalier.ir.threshold import Threshold
from graphs import append, empty_graph
from layer_plans import random_layer

WEIGHTS = np.arange(4 * 3 * 3 * 6).reshape(4, 3, 3, 6) % 5 - 2

pytestmark = pytest.mark.filterwarnings("ignore::amaranth.hdl.UnusedElaboratable")


@pytest.fixture
def no_search(monkeypatch):
    """Designs without queue depths, which no slot depends on."""
    monkeypatch.setattr(Design, "_set_depths", lambda design: None)


def slots(design, name):
    """Of the slowest process of a unit."""
    own = {name, *(f"{name}_{what}" for what in ("window", "window_fill", "pad", "crop", "fill"))}
    return max(schedule.slots for process, schedule in design.schedules.items() if process in own)


@pytest.mark.parametrize("seed", range(40))
def test_cycles_are_the_slots_of_the_hardware(seed, no_search):
    graph = random_dag(seed)
    found = units(graph)
    rng = np.random.default_rng(seed)
    chosen = {unit.name: random_layer(unit, rng) for unit in found}
    design = Design(graph, Plan(layers={name: layer for name, (layer, _) in chosen.items()}))
    for unit in found:
        # The slots of the former depend on others' lanes; the latter are joined to the layer before them.
        if not unit.takes_any_lanes and unit.name in design.stages:
            layer, fold = chosen[unit.name]
            assert slots(design, unit.name) == fold.cycles, layer


@pytest.mark.parametrize("seed", range(40))
def test_target_is_reached_by_every_stage(seed, no_search):
    graph = random_dag(seed)
    best = max((choice.fastest for choice in feed_joins(graph, [choose_from(u) for u in units(graph)])), default=1)
    for cycles in (best, 3 * best):
        design = Design(graph, plan(graph, fps=100e6 / cycles))
        assert max(schedule.slots for schedule in design.schedules.values()) <= cycles


def conv(groups=1, **options):
    """3x3 windows of 6 channels, 4 outputs."""
    weights = WEIGHTS[:, :, :, : 6 // groups]
    graph = append(empty_graph((7, 5, 6)), Conv2d, "conv", weights=weights, groups=groups, **options)
    return graph, units(graph)[0]


@pytest.mark.parametrize(
    "fold, cycles",
    [((1, 1), 15 * 4 * 9 * 6), ((4, 6), 15 * 9), ((3, 4), 15 * 2 * 9 * 2), ((2, 27), 35 + 15 * 3), ((4, 54), 35)],
)
def test_cycles_of_a_convolution(fold, cycles):
    _, unit = conv()
    assert choose_from(unit, *fold).folds[0].cycles == cycles


def test_filling_can_be_slower_than_reading():
    _, unit = conv(stride=(4, 4))
    assert choose_from(unit, 4, 54).folds[0].cycles == 35


def test_each_group_of_filters_goes_alone():
    _, unit = conv(groups=2)
    assert choose_from(unit, 2, 3).folds[0].cycles == 15 * 2 * 9
    with pytest.raises(PlanError, match="conv: fold larger than the layer: simd 4, but it has 3 inputs in a group"):
        choose_from(unit, 2, 4)
    with pytest.raises(PlanError, match="pe 3, but it has 2 outputs in a group; lower pe to 2"):
        choose_from(unit, 3, 3)


def test_windows_of_a_dilated_convolution_come_pixel_by_pixel():
    _, unit = conv(dilation=(2, 2))
    with pytest.raises(PlanError, match="simd 7, but it has 6 inputs; lower simd to 6"):
        choose_from(unit, 1, 7)


def test_lanes_meet_where_a_converter_would_cost_more():
    graph, _ = conv()
    # More lanes of one bit take less than a converter to fewer.
    graph = append(graph, Threshold, "act", thresholds=np.zeros((4, 1), int))
    graph = append(graph, MaxPool2d, "next", kernel=(2, 2), stride=(2, 2))
    found = plan(graph, fps=100e6 / 300)
    assert found.layers["conv"].pe == found.layers["next"].pe > 1
    assert not [name for name in generate(graph, found).stages if name.endswith("_lanes")]
