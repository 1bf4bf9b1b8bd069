import time
from itertools import pairwise

import numpy as np
import pytest
from greedy import plan_greedily
from hypothesis import given, settings
from hypothesis import strategies as st

from espalier.errors import PlanError
from espalier.hw.budget import REFERENCE, spent
from espalier.hw.design import Design, generate
from espalier.hw.estimate import estimate, total
from espalier.hw.folding_file import Folding
from espalier.hw.folds import choose_from
from espalier.hw.operators import units
from espalier.hw.plan import LayerPlan
from espalier.hw.planner import plan, plan_table
from espalier.hw.planning import DEFAULT_MULTIPLIERS
from espalier.hw.queues import analyse
from espalier.ir.argmax import ArgMax
from espalier.ir.conv2d import Conv2d
from espalier.ir.dense import Dense
from espalier.ir.flatten import Flatten
from espalier.ir.max_pool import MaxPool2d
from espalier.ir.threshold import Threshold
from graphs import append, empty_graph

pytestmark = pytest.mark.filterwarnings("ignore::amaranth.hdl.UnusedElaboratable")
STEPS = np.arange(-20, 20, 13)


def perceptron(*widths, argmax=False):
    """Dense layers with thresholds between them; the input is an image of one row."""
    graph = append(empty_graph((1, 1, widths[0])), Flatten, "flat")
    for layer, (inputs, outputs) in enumerate(pairwise(widths), start=1):
        weights = np.resize(np.array([1, -3, 2, 0, -1]), (outputs, inputs))
        graph = append(graph, Dense, f"fc{layer}", weights=weights)
        if layer < len(widths) - 1:
            graph = append(graph, Threshold, f"fc{layer}_act", thresholds=np.tile(STEPS, (outputs, 1)))
    return append(graph, ArgMax, "best") if argmax else graph


def cycles_of(graph, found):
    return {
        unit.name: choose_from(unit, found.layers[unit.name].pe, found.layers[unit.name].simd).folds[0].cycles
        for unit in units(graph)
    }


def multipliers_of(found):
    return sum(layer.pe * layer.simd for name, layer in found.layers.items() if name.startswith("fc"))


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(1, 40), min_size=2, max_size=4), st.integers(1, 600), st.booleans())
def test_plan_for_a_target_reaches_it(widths, cycles, argmax):
    graph = perceptron(*widths, argmax=argmax)
    found = plan(graph, fps=100e6 / cycles)
    design = generate(graph, found)
    assert analyse(design.schedules, design.links).ii_cycles <= cycles


def area_of(graph, found):
    """Of a whole plan, as the planner predicts it."""
    return REFERENCE.area(spent(total(estimate(generate(graph, found), "ecp5")), "ecp5"))


def test_no_fold_of_less_area_reaches_the_target():
    graph = perceptron(13, 11)
    found = plan(graph, fps=10e6)
    others = [
        Folding(layers={"fc1": {"engine": "mac", "pe": pe, "simd": simd}})
        for pe in (1, 4, 6, 11)
        for simd in (2, 3, 7, 13)
        if -(-11 // pe) * -(-13 // simd) <= 10
    ]
    areas = [area_of(graph, plan(graph, fps=10e6, folding=folding)) for folding in others]
    assert area_of(graph, found) <= min(areas)


def test_budget_is_spent_where_the_pipeline_waits():
    graph = perceptron(64, 64, 8)
    found = plan(graph, multipliers=18)
    assert multipliers_of(found) == 18
    assert cycles_of(graph, found) == {"fc1": 256, "fc2": 256}


def test_without_target_the_budget_is_the_default():
    assert DEFAULT_MULTIPLIERS - 8 < multipliers_of(plan(perceptron(64, 64, 48, 10))) <= DEFAULT_MULTIPLIERS


def test_ragged_fold_costs_what_ceil_says():
    folding = Folding(layers={"fc1": {"pe": 4, "simd": 8}})
    graph = perceptron(64, 37)
    design = generate(graph, plan(graph, folding=folding))
    assert analyse(design.schedules, design.links).ii_cycles == 8 * 10


def test_converters_stand_only_where_they_save_more_than_they_take():
    graph = perceptron(64, 64, 64, 10, argmax=True)
    found, greedy = plan(graph, fps=100e6 / 64), plan_greedily(graph, 64)
    assert list(generate(graph, greedy).stages) == ["fc1", "fc2", "fc3", "best"]
    assert area_of(graph, found) <= area_of(graph, greedy)


def test_stage_without_multipliers_keeps_pace():
    graph = append(empty_graph((12,)), Threshold, "levels", thresholds=np.tile([3, 7], (12, 1)))
    assert plan(graph, fps=25e6).layers["levels"].pe == 3


def test_folding_file_goes_before_the_planner():
    folding = Folding(70.0, "axi-stream", {"fc2": {"pe": 5, "memory": "logic"}}, {"fc1": 9})
    found = plan(perceptron(12, 10, 6), folding=folding, multipliers=20)
    assert (found.clock_mhz, found.interface, found.depths) == (70.0, "axi-stream", {"fc1": 9})
    assert (found.layers["fc2"].pe, found.layers["fc2"].memory) == (5, "logic")
    assert multipliers_of(found) <= 20


def test_argument_goes_before_the_folding_file():
    found = plan(perceptron(4, 4), folding=Folding(70.0, "axi-stream"), clock_mhz=50.0, interface="stream")
    assert (found.clock_mhz, found.interface) == (50.0, "stream")


def test_default_budget_is_for_what_the_folding_leaves_open():
    found = plan(perceptron(64, 64, 64), folding=Folding(layers={"fc1": {"pe": 32, "simd": 64}}))
    assert found.layers["fc2"].pe * found.layers["fc2"].simd == 64


def test_folds_without_names_go_to_the_dense_layers_in_order():
    folding = Folding(in_order=({"pe": 2, "simd": 3}, {"pe": 1, "simd": 4}))
    found = plan(perceptron(12, 10, 6, argmax=True), folding=folding)
    assert found.layers["fc1"] == LayerPlan(pe=2, simd=3)
    assert found.layers["fc2"] == LayerPlan(pe=1, simd=4)


@pytest.mark.parametrize(
    "folding, words",
    [
        (Folding(layers={"fc9": {}}), "folds 'fc9', which is no layer; layers: fc1, fc2"),
        (Folding(layers={"fc1": {"pe": 11}}), "fc1: fold larger than the layer: pe 11, but it has 10 outputs"),
        (Folding(layers={"fc1": {"simd": 13}}), "fc1: fold larger than the layer: simd 13, but it has 12 inputs"),
        (Folding(layers={"best": {"pe": 7}}), "best: fold larger than the layer: pe 7, but it has 6 channels"),
        (Folding(layers={"best": {"simd": 2}}), "best: simd 2, but only dense and convolution layers have one"),
        (Folding(in_order=({"pe": 1, "simd": 1},)), "folds 1 layers with weights, but the model has 2: fc1, fc2"),
    ],
)
def test_folding_that_does_not_fit_is_explained(folding, words):
    with pytest.raises(PlanError, match=words):
        plan(perceptron(12, 10, 6, argmax=True), folding=folding)


@pytest.mark.parametrize(
    "target, words",
    [
        (
            {"fps": 250e6},
            r"target of 250,000,000 fps .* best at 100 MHz is 100,000,000 fps, 2.5 times less, or 1 cycle ",
        ),
        ({"fps": 0.0}, "a target of 0 fps; it must be above 0"),
        ({"clock_mhz": 0.0}, "a clock of 0 MHz; it must be above 0"),
        (
            {"fps": 10e6, "multipliers": 14},
            r"6,666,667 fps, 1.5 times less, or 15 cycles .*, with 14 multipliers; it takes 18",
        ),
        ({"multipliers": 1}, "a budget of 1 multipliers is too small; these layers take at least 2"),
        ({"fps": 10e6, "folding": Folding(layers={"fc1": {"pe": 1, "simd": 4}})}, "30 cycles per frame, set by fc1"),
    ],
)
def test_unreachable_target_says_by_how_much(target, words):
    with pytest.raises(PlanError, match=words):
        plan(perceptron(12, 10, 6), **target)


def test_table_has_a_row_for_each_stage():
    graph = perceptron(12, 10, 6, argmax=True)
    folding = Folding(layers={"fc1": {"pe": 5, "simd": 4}, "fc2": {"pe": 2, "simd": 3}})
    design = generate(graph, plan(graph, folding=folding))
    rows = {row["layer"]: row for row in plan_table(design, analyse(design.schedules, design.links))}
    assert list(rows) == list(design.stages)
    assert rows["fc2"] | {"depths": 0, "waits": 0} == {
        "layer": "fc2",
        "kind": "dense",
        "engine": "mac",
        "pe": 2,
        "simd": 3,
        "cycles": 12,
        "busy": 1.0,
        "depths": 0,
        "buffer": None,
        "weight_bits": 3,
        "waits": 0,
    }
    assert rows["fc1"]["depths"] == {"fc1": design.stages["fc1"].depth}
    assert rows["best"]["engine"] is None


CNV_FOLDS = ((16, 3), (32, 32), (16, 32), (16, 32), (4, 32), (1, 32), (1, 4), (1, 8), (5, 1))


def cnv():
    """The layers of BNN-PYNQ's CNV, with other weights."""
    graph, channels = empty_graph((32, 32, 3)), 3
    for layer, outputs in enumerate((64, 64, 128, 128, 256, 256)):
        weights = np.resize(np.array([1, -1, -1]), (outputs, 3, 3, channels))
        graph = append(graph, Conv2d, f"conv{layer}", weights=weights)
        graph = append(graph, Threshold, f"conv{layer}_act", thresholds=np.zeros((outputs, 1), int))
        channels = outputs
        if layer in (1, 3):
            graph = append(graph, MaxPool2d, f"pool{layer}", kernel=(2, 2), stride=(2, 2))
    graph = append(graph, Flatten, "flat")
    for layer, outputs in enumerate((512, 512, 10)):
        weights = np.resize(np.array([1, -1, -1]), (outputs, channels))
        graph, channels = append(graph, Dense, f"fc{layer}", weights=weights), outputs
        if layer < 2:
            graph = append(graph, Threshold, f"fc{layer}_act", thresholds=np.zeros((outputs, 1), int))
    return graph


def test_folding_of_finn_keeps_its_rate_on_cnv(monkeypatch):
    monkeypatch.setattr(Design, "_set_depths", lambda design: None)
    folding = Folding(in_order=tuple({"pe": pe, "simd": simd} for pe, simd in CNV_FOLDS))
    design = Design(cnv(), plan(cnv(), folding=folding))
    assert max(schedule.slots for schedule in design.schedules.values()) == 32_768
    pools = [name for name in design.stages if name.startswith("pool")]
    assert pools == ["pool1", "pool3"]  # with the lanes of the layers around them


def test_large_network_is_planned_at_once():
    graph = cnv()
    start = time.process_time()
    for fps in (100, 3000, 30_000):
        plan(graph, fps=fps)
    assert time.process_time() - start < 8


def test_target_that_was_printed_can_be_asked_for():
    graph = perceptron(12, 9)
    for cycles in range(1, 109):
        assert plan(graph, fps=100e6 / cycles)


def test_depthwise_layer_has_no_simd():
    weights = np.ones((4, 3, 3, 1), int)
    graph = append(empty_graph((5, 5, 4)), Conv2d, "each", weights=weights, groups=4)
    assert plan(graph, folding=Folding(in_order=({"pe": 2, "simd": 1},))).layers["each"].pe == 2
    with pytest.raises(PlanError, match="each: simd 9, but only dense and convolution layers have one"):
        plan(graph, folding=Folding(in_order=({"pe": 2, "simd": 9},)))
