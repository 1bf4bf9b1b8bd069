"""Plans within a device: what is chosen, what is said where nothing fits, fronts, and what the next step takes."""

import json
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from dags import random_dag
from espalier.errors import PlanError
from espalier.flow.budgets import find_budget
from espalier.flow.options import PlanOptions
from espalier.flow.verbs import check_plan, pareto_verb
from espalier.hw.budget import REFERENCE, Spent, spent
from espalier.hw.design import generate
from espalier.hw.estimate import estimate, total
from espalier.hw.fitting import fit
from espalier.hw.folding_file import Folding
from espalier.hw.front import explain, find_front, front_rows
from espalier.hw.operators import units
from espalier.hw.options import drop_beaten
from espalier.hw.planner import plan
from espalier.hw.planning import Planning
from espalier.hw.queues import analyse
from espalier.ir.conv2d import Conv2d
from espalier.ir.dense import Dense
from espalier.ir.max_pool import MaxPool2d
from espalier.ir.threshold import Threshold
from graphs import append, empty_graph, random_frames
from hardware import assert_exact
from test_planner import perceptron

pytestmark = pytest.mark.filterwarnings("ignore::amaranth.hdl.UnusedElaboratable")


def limited(**limits):
    return replace(REFERENCE, limits=limits)


def test_plan_within_a_budget_is_the_fastest_that_fits():
    graph = perceptron(64, 48, 10)
    planning = Planning(graph, budget=limited(lut=900))
    chosen = planning.fastest()
    assert chosen.spent.lut <= 900
    faster = [level for level in planning.chooser.levels if level < chosen.cycles]
    assert faster and planning.chooser.choose(faster[-1]) is None


@pytest.mark.parametrize("limits", [{"lut": 1500}, {"lut": 2500, "bram": 0}, {"lut": 1200, "bram": 2, "dsp": 0}])
def test_design_with_its_queues_keeps_the_budget(limits):
    fitted = fit(Planning(perceptron(96, 64, 10), budget=limited(**limits)))
    assert all(getattr(fitted.spent, kind) <= most for kind, most in limits.items())
    assert spent(total(fitted.stages), "ecp5") == fitted.spent


def test_cycles_of_the_choice_are_those_of_the_timing_model():
    fitted = fit(Planning(perceptron(96, 64, 10), budget=limited(lut=2000)))
    assert analyse(fitted.design.schedules, fitted.design.links).ii_cycles == fitted.chosen.cycles


def slowest(design):
    return max(schedule.slots for schedule in design.schedules.values())


def test_a_converter_slower_than_the_target_gets_more_lanes():
    planning = Planning(random_dag(891), has_target=True)
    fps = planning.fps(339)
    alone = generate(planning.graph, planning.plan_of(planning.at_rate(fps)))
    assert slowest(alone) > 339 >= slowest(fit(planning, fps).design)


def test_a_join_that_nothing_makes_faster_leaves_the_plan_as_it_is():
    planning = Planning(random_dag(229), has_target=True)
    fitted = fit(planning, planning.fps(109))
    assert (fitted.chosen, slowest(fitted.design)) == (planning.at_rate(planning.fps(109)), 161)


def test_area_does_not_fall_with_the_rate():
    planning = Planning(perceptron(48, 40, 10), has_target=True)
    areas = [planning.chooser.choose(level).area for level in planning.chooser.levels[::5]]
    assert areas == sorted(areas, reverse=True)


def test_front_is_ordered_and_ends_at_the_smallest_plan():
    planning = Planning(perceptron(48, 40, 10), has_target=True)
    front = find_front(planning)
    assert front[0].cycles == planning.chooser.levels[0]
    assert front[-1].area == planning.chooser.choose(planning.chooser.levels[-1]).area
    pairs = list(pairwise(front))
    assert all(one.cycles < other.cycles and one.area > other.area for one, other in pairs)
    assert [row["cycles"] for row in front_rows(planning, front)] == [one.cycles for one in front]


def test_next_step_is_the_next_faster_plan():
    planning = Planning(perceptron(48, 40, 10), has_target=True)
    chosen = planning.at_rate(100e6 / 200)
    found = explain(planning, chosen)
    step = found["steps"]["next_step"]
    assert step["cycles"] < chosen.cycles
    again = planning.at_rate(step["fps"])
    assert REFERENCE.area(chosen.spent + Spent(**step["more"])) == again.area  # of several as small, any may be told
    assert [name for name in found["limited_by"] if chosen.options[name].fold.cycles != chosen.cycles] == []


@pytest.mark.parametrize(
    "target, words",
    [
        ({"fps": 20e6, "budget": limited(lut=800)}, r"20,000,000 fps .*lookup tables, .* more than the 800 allowed; "
         r"the best that fits is .* fps, .* cycles per frame: lower --fps"),
        ({"budget": limited(lut=100)}, "even the slowest plan, .* cycles per frame, takes at least .* lookup tables"),
        ({"fps": 10e6, "budget": limited(bram=0), "folding": Folding(layers={"fc1": {"memory": "block", "pe": 1,
         "simd": 64}, "fc2": {"memory": "lut"}})}, "cycles per frame, set by fc1"),
    ],
)  # fmt: skip
def test_budget_that_cannot_be_met_says_what_is_missing(target, words):
    with pytest.raises(PlanError, match=words):
        plan(perceptron(64, 48, 10), **target)


def test_step_that_does_not_fit_says_why():
    planning = Planning(perceptron(64, 48, 10), budget=limited(lut=900))
    found = explain(planning, planning.fastest())["steps"]["next_step"]["reason"]
    assert "more than the 900 allowed" in found


def test_step_beyond_the_last_fold_says_so():
    planning = Planning(perceptron(3, 2), has_target=True)
    chosen = planning.at_rate(100e6)
    assert "no fold" in explain(planning, chosen)["steps"]["twice_as_fast"]["reason"]


def test_multipliers_limit_the_next_step():
    planning = Planning(perceptron(64, 48, 10), multipliers=20)
    steps = explain(planning, planning.fastest())["steps"]
    assert "multipliers, more than the 20 allowed" in steps["twice_as_fast"]["reason"]


def test_same_choice_in_every_run():
    found = [json.dumps(plan(perceptron(60, 44, 10), fps=1e6).layers, default=vars) for _ in range(2)]
    assert found[0] == found[1]


@pytest.mark.parametrize("seed", range(12))
def test_estimate_knows_every_stage(seed):
    graph = random_dag(seed)
    design = generate(graph, plan(graph))
    found = estimate(design, "ecp5")
    assert list(found) == list(design.stages)
    assert all(stage.lut >= 0 and stage.ff >= 0 for stage in found.values())


def test_prediction_of_the_choice_is_that_of_its_design():
    """Apart from queues, whose depths are guessed first."""
    graph = perceptron(64, 48, 10)
    planning = Planning(graph, has_target=True)
    chosen = planning.at_rate(1e6)
    found = spent(total(estimate(generate(graph, planning.plan_of(chosen)), "ecp5")), "ecp5")
    assert (found.bram, found.dsp) == (chosen.spent.bram, chosen.spent.dsp)
    assert abs(found.lut - chosen.spent.lut) <= 0.1 * found.lut


def test_beaten_options_are_dropped_only_where_a_converter_would_not_pay():
    unit = units(perceptron(16, 8))[0]
    planning = Planning(perceptron(16, 8), has_target=True)
    options = next(one for one in planning.chooser.catalogues if one.unit.name == unit.name).within(16)
    kept = drop_beaten(options, [4, 8], [0])
    best = min(option.area for option in options.options)
    assert min(option.area for option in kept.options) == best
    assert len(kept.options) < len(options.options)


def test_dsp_blocks_are_used_where_lookup_tables_are_short():
    weights = np.resize(np.arange(-100, 100, 7), (8, 24))
    graph = append(empty_graph((24,)), Dense, "fc", weights=weights)
    tight, roomy = (Planning(graph, budget=limited(lut=most, dsp=28)).fastest() for most in (500, 20_000))
    assert tight.spent.dsp > 0
    assert roomy.cycles <= tight.cycles


def test_pools_and_windows_count_too():
    graph = append(empty_graph((8, 8, 4)), Conv2d, "conv", weights=np.resize([1, -2, 3], (4, 3, 3, 4)))
    graph = append(graph, Threshold, "act", thresholds=np.tile([-3, 0, 9], (4, 1)))
    graph = append(graph, MaxPool2d, "pool", kernel=(2, 2), stride=(2, 2))
    found = estimate(generate(graph, plan(graph, fps=1e5)), "xc7")
    assert {"conv_window", "conv", "pool"} <= set(found)


def test_fill_is_a_share_of_lookup_tables():
    budget = find_budget(PlanOptions(device="ecp5-25k", fill=0.5, budget_bram=10))
    assert budget.limits == {"lut": 12144, "ff": 12144, "bram": 10, "dsp": 28}
    assert budget.area(Spent(bram=56)) == 24288


def test_single_budgets_need_no_device():
    assert find_budget(PlanOptions(budget_lut=900)).limits == {"lut": 900}
    assert find_budget(PlanOptions()) is None


@pytest.mark.parametrize(
    "options, words",
    [
        ({"fill": 0.5}, "--fill 0.5: of which device"),
        ({"fill": 1.5, "device": "ecp5-25k"}, "--fill 1.5: must be above 0 and at most 1"),
        ({"budget_dsp": -1}, "--budget-dsp -1: must be a number of at least 0"),
        ({"device": "ecp6"}, "device 'ecp6' is unknown; known: ecp5-12k"),
    ],
)
def test_budgets_that_mean_nothing_are_refused(options, words):
    with pytest.raises(PlanError, match=words):
        check_plan(PlanOptions(**options))


def test_front_of_one_rate_is_refused(tmp_path):
    with pytest.raises(PlanError, match="--fps 5: --pareto shows all rates"):
        pareto_verb(tmp_path, PlanOptions(fps=5), False)


@pytest.mark.parametrize("cycles", [12, 48])
def test_plan_of_whichever_engines_is_exact(cycles):
    graph = perceptron(24, 16, 6)
    found = plan(graph, fps=100e6 / cycles)
    assert_exact(graph, found, random_frames(graph, 3), stall=0.3)
