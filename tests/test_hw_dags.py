"""Random graphs of forks, joins and skips x random folds x random stalls, and what one place less in a queue does."""

from dataclasses import replace
from time import thread_time
from typing import get_args

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from dags import random_dag
from espalier.errors import PlanError
from espalier.hw.design import generate
from espalier.hw.folds import choose_from
from espalier.hw.operators import units
from espalier.hw.plan import LayerPlan, Order, Plan
from espalier.hw.queues import analyse
from espalier.ir.add import Add
from espalier.ir.conv2d import Conv2d
from espalier.ir.graph import IntType
from graphs import add_threshold, append, empty_graph, random_inputs, random_weights
from hardware import assert_exact, record

DAGS_BY_DEFAULT, DAGS_WHEN_SLOW = 20, 300
ORDERS = get_args(Order)
# Each example is a simulation: shrinking would take minutes.
RELAXED = {
    "deadline": None,
    "suppress_health_check": list(HealthCheck),
    "phases": (Phase.explicit, Phase.reuse, Phase.generate),
}


def random_plan(graph, rng: np.random.Generator) -> Plan:
    """Any fold of any unit, in any order."""
    layers = {}
    for unit in units(graph):
        order = str(rng.choice(ORDERS)) if unit.kind in ("dense", "conv") else "output"
        folds = choose_from(unit, order=order).folds
        fold = folds[rng.integers(len(folds))]
        layers[unit.name] = LayerPlan(
            pe=fold.pe,
            simd=fold.simd,
            multiplier=str(rng.choice(["lut", "dsp"])),
            memory=str(rng.choice(["auto", "auto", "block", "lut", "logic"])),
            order=fold.order,
        )
    return Plan(layers=layers)


def check(seed: int, layers: int = 7) -> None:
    rng = np.random.default_rng(seed)
    graph = random_dag(rng, layers)
    assert_exact(graph, random_plan(graph, rng), random_inputs(graph, 3), float(rng.choice([0.0, 0.2, 0.6])), seed)


@settings(max_examples=DAGS_BY_DEFAULT, derandomize=True, **RELAXED)
@given(st.integers(0, 2**32))
def test_cycle_model_is_exact_on_random_dags(seed):
    check(seed)


@pytest.mark.slow
@settings(max_examples=DAGS_WHEN_SLOW, **RELAXED)
@given(st.integers(0, 2**32))
def test_cycle_model_is_exact_on_many_random_dags(seed):
    check(seed, 10)


def residual_block():
    """A convolution of nine pixels beside nothing at all, and their sum."""
    rng = np.random.default_rng(1)
    graph = add_threshold(empty_graph((5, 4, 3)), rng, 2)
    weights = random_weights(rng, 3, 27, 2).reshape(3, 3, 3, 3)
    graph = append(graph, Conv2d, "conv", weights=weights, padding=(1, 1, 1, 1))
    graph = add_threshold(graph, rng, 2)
    graph = append(graph, Add, "sum", (graph.outputs[0].tensor, "act0"))
    return graph, Plan(layers={"act0": LayerPlan(pe=3), "conv": LayerPlan(pe=3, simd=3), "sum": LayerPlan(pe=3)})


SKIP = "act0_fork_1"


def depths_of(design) -> dict[str, int]:
    return {link.name: link.depth for link in design.links if link.latency}


@pytest.mark.parametrize("stall", [0.0, 0.4])
def test_one_place_less_for_the_skip_costs_what_the_model_says(stall):
    graph, plan = residual_block()
    best = generate(graph, plan)
    depths = depths_of(best)
    less = replace(plan, depths={**depths, SKIP: depths[SKIP] - 1})
    worse = assert_exact(graph, less, random_inputs(graph, 3), stall)
    before, after = analyse(best.schedules, best.links), analyse(worse.schedules, worse.links)
    assert depths_of(worse)[SKIP] == depths[SKIP] - 1
    assert (after.ii_cycles, after.latency_cycles) > (before.ii_cycles, before.latency_cycles)


def test_a_skip_too_short_is_a_circle_of_waits_in_words():
    graph, plan = residual_block()
    words = (
        r"deadlock: .*sum waits for a beat of conv.*act0_fork waits for room in the queue of act0_fork_1 \(depth 2\)"
    )
    with pytest.raises(PlanError, match=words):
        generate(graph, replace(plan, depths={SKIP: 2}))


def test_the_hardware_gets_stuck_where_the_model_says():
    """The shortest queue that the model lets pass runs through; one place less gets stuck."""
    graph, plan = residual_block()
    depths = depths_of(generate(graph, plan))
    shortest = next(depth for depth in range(1, depths[SKIP]) if runs(graph, plan, {**depths, SKIP: depth}))
    frames = random_inputs(graph, 3)
    design = assert_exact(graph, replace(plan, depths={**depths, SKIP: shortest}), frames, 0.3)
    shorter = generate(graph, design.plan)
    shorter.stages["act0_fork"].depths[1] -= 1
    seen, predicted = record(shorter, frames)
    assert 0 == len(seen["sum"]) < len(predicted["sum"])


def residual_network(size: int, widths):
    """Convolutions as in ResNet-8: three blocks, the later two with a smaller image and a convolution in the skip."""
    rng = np.random.default_rng(0)
    graph = empty_graph((size, size, 3), IntType(8))

    def conv(graph, source: str, outputs: int, side: int, stride: int):
        channels, around = graph.tensors[source].channels, (side // 2,) * 4
        weights = random_weights(rng, outputs, side * side * channels, 2).reshape(outputs, side, side, channels)
        fields = {"weights": weights, "stride": (stride, stride), "padding": around}
        graph = append(graph, Conv2d, f"conv{len(graph.nodes)}", source, **fields)
        return add_threshold(graph, rng, 3)

    graph = conv(graph, "x", widths[0], 3, 1)
    for block, width in enumerate(widths):
        first = skip = graph.outputs[0].tensor
        graph = conv(graph, first, width, 3, 1 + (block > 0))
        graph = conv(graph, graph.outputs[0].tensor, width, 3, 1)
        main = graph.outputs[0].tensor
        if block:
            graph = conv(graph, first, width, 1, 2)
            skip = graph.outputs[0].tensor
        graph = add_threshold(append(graph, Add, f"sum{block}", (main, skip)), rng, 3)
    return graph


def test_depths_of_a_residual_network_take_seconds():
    graph = residual_network(32, (8, 16, 32))
    folds = {"conv": LayerPlan(pe=8, simd=3), "add": LayerPlan(pe=2)}
    plan = Plan(layers={unit.name: folds[unit.kind] for unit in units(graph)})
    start = thread_time()
    design = generate(graph, plan)
    assert sum(schedule.slots for schedule in design.schedules.values()) > 200_000
    assert thread_time() - start < 20
    assert analyse(design.schedules, design.links).ii_cycles == max(s.slots for s in design.schedules.values())


def runs(graph, plan, depths) -> bool:
    try:
        generate(graph, replace(plan, depths=depths))
    except PlanError as error:
        assert "deadlock" in str(error)
        return False
    return True
