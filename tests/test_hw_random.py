"""Random graphs x random folds x random stalls: every beat has the reference's value, in the predicted cycle."""

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from espalier.hw.operators import units
from espalier.hw.plan import LayerPlan, Plan
from graphs import graphs, mlps, random_frames
from hardware import assert_exact
from layer_plans import random_options

MLPS_BY_DEFAULT, MLPS_WHEN_SLOW = 30, 300
# Each example is a simulation: shrinking would take minutes, and the cases are small as they are.
RELAXED = {
    "deadline": None,
    "suppress_health_check": list(HealthCheck),
    "phases": (Phase.explicit, Phase.reuse, Phase.generate),
}


def random_plan(draw, graph) -> Plan:
    """Any engine and fold of any layer; queue depths are searched, or all one."""
    layers = {}
    for unit in units(graph):
        is_dense = unit.kind == "dense"
        options = random_options(unit, np.random.default_rng(draw(st.integers(0, 99))))
        layers[unit.name] = LayerPlan(
            **options,
            pe=draw(st.integers(1, unit.result.channels if is_dense else unit.source.channels)),
            simd=draw(st.integers(1, unit.source.channels)) if is_dense else 1,
            multiplier=draw(st.sampled_from(["lut", "dsp"])),
            memory=draw(st.sampled_from(["auto", "auto", "block", "lut", "logic"])),
        )
    return Plan(layers=layers)


def check(data, strategy, frames: int) -> None:
    graph = data.draw(strategy)
    plan = random_plan(data.draw, graph)
    stall = data.draw(st.sampled_from([0.0, 0.2, 0.6]))
    assert_exact(graph, plan, random_frames(graph, frames), stall, data.draw(st.integers(0, 99)))


@settings(max_examples=MLPS_BY_DEFAULT, **RELAXED)
@given(st.data())
def test_cycle_model_is_exact_on_random_mlps(data):
    check(data, mlps(max_width=24, max_layers=3), 3)


@settings(max_examples=MLPS_BY_DEFAULT, **RELAXED)
@given(st.data())
def test_cycle_model_is_exact_on_random_graphs(data):
    check(data, graphs(max_width=9, max_layers=3), 3)


@pytest.mark.slow
@settings(max_examples=MLPS_WHEN_SLOW, **RELAXED)
@given(st.data())
def test_cycle_model_is_exact_on_many_random_mlps(data):
    check(data, mlps(max_width=32, max_layers=3), 3)
