"""Whole windows, or large parts of them, in each beat: exact values in exact cycles."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from espalier.hw.plan import LayerPlan, Plan
from espalier.ir.graph import IntType
from graphs import random_frames
from hardware import assert_exact
from windows import windows_graph

AROUND = (1, 1, 1, 1)


def check(graph, stall):
    return assert_exact(graph, Plan(layers={"taps": LayerPlan()}), random_frames(graph, 3), stall, seed=1)


@pytest.mark.parametrize("stall", [0.0, 0.4])
@pytest.mark.parametrize(
    "shape, options",
    [
        ((5, 6, 3), {"lanes": 27, "kernel": (3, 3)}),
        ((5, 6, 2), {"lanes": 18, "kernel": (3, 3), "padding": AROUND, "pad_value": -3}),
        ((5, 6, 2), {"lanes": 7, "kernel": (3, 3), "padding": AROUND, "pad_value": 5, "repeats": 2}),
        ((6, 4, 2), {"lanes": 8, "kernel": (2, 2), "stride": (2, 2)}),
        ((6, 4, 2), {"lanes": 4, "kernel": (2, 2), "stride": (2, 2), "repeats": 3}),
        ((7, 9, 1), {"lanes": 9, "kernel": (3, 3), "stride": (3, 4)}),
        ((1, 9, 2), {"lanes": 10, "kernel": (1, 5), "padding": (0, 2, 0, 2)}),
        ((9, 1, 2), {"lanes": 10, "kernel": (5, 1), "padding": (2, 0, 2, 0)}),
        ((6, 2, 1), {"lanes": 8, "kernel": (3, 5), "padding": (1, 2, 1, 2)}),
        ((3, 3, 1), {"lanes": 4, "kernel": (2, 2), "padding": AROUND, "pad_value": -1}),
        ((4, 66, 1), {"lanes": 9, "kernel": (3, 3), "padding": AROUND}),
        ((3, 4, 1), {"lanes": 12, "kernel": (3, 4)}),
        ((3, 3, 30), {"lanes": 120, "kernel": (2, 2)}),
    ],
)
def test_windows_are_exact(monkeypatch, shape, options, stall):
    check(windows_graph(monkeypatch, shape, IntType(3, True), **options), stall)


@settings(max_examples=12)
@given(st.data())
def test_any_window_is_exact(data):
    kernel = data.draw(st.tuples(st.integers(1, 4), st.integers(2, 4)))
    padding = data.draw(st.tuples(*[st.integers(0, kernel[axis % 2] - 1) for axis in range(4)]))
    size = [max(1, kernel[a] - padding[a] - padding[a + 2]) + data.draw(st.integers(0, 4)) for a in (0, 1)]
    channels = data.draw(st.integers(1, 2))
    with pytest.MonkeyPatch.context() as patch:
        graph = windows_graph(
            patch, (*size, channels), lanes=data.draw(st.integers(channels + 1, kernel[0] * kernel[1] * channels)),
            kernel=kernel, stride=data.draw(st.tuples(st.integers(1, 3), st.integers(1, 3))), padding=padding,
            pad_value=data.draw(st.integers(-2, 15)), repeats=data.draw(st.integers(1, 2)),
        )  # fmt: skip
        check(graph, data.draw(st.sampled_from([0.0, 0.3])))


def test_a_window_a_cycle(monkeypatch):
    design = check(windows_graph(monkeypatch, (8, 8, 2), lanes=18, kernel=(3, 3)), 0.0)
    assert design.stages["taps"].schedule.slots == 8 * 8


def test_only_windows_below_the_image_cost_slots_of_their_own(monkeypatch):
    design = check(windows_graph(monkeypatch, (8, 8, 2), lanes=18, kernel=(3, 3), padding=AROUND), 0.0)
    assert design.stages["taps"].schedule.slots == 8 * 8 + 8 + 1
