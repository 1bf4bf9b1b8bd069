"""Windows beat after beat from a line buffer: exact values in exact cycles, with the smallest buffer there can be."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from espalier.errors import PlanError
from espalier.hw.design import generate
from espalier.hw.plan import LayerPlan, Plan
from espalier.hw.timing import Deadlock
from espalier.ir.graph import IntType
from graphs import random_frames
from hardware import assert_exact
from windows import windows_graph

LAYERS = {"taps": LayerPlan()}
INT4 = IntType(4, True)
AROUND = (1, 1, 1, 1)


def check(graph, stall, depths=None):
    return assert_exact(graph, Plan(layers=LAYERS, depths=depths or {}), random_frames(graph, 3), stall, seed=1)


@pytest.mark.parametrize("stall", [0.0, 0.4])
@pytest.mark.parametrize(
    "shape, options",
    [
        ((5, 6, 3), {"lanes": 3, "kernel": (3, 3)}),
        ((5, 6, 3), {"lanes": 2, "kernel": (3, 3), "padding": AROUND}),
        ((5, 6, 3), {"lanes": 2, "kernel": (3, 3), "padding": AROUND, "pad_value": -3}),
        ((5, 6, 2), {"lanes": 1, "kernel": (4, 2), "padding": (3, 0, 1, 1), "pad_value": 7}),
        ((6, 4, 2), {"lanes": 2, "kernel": (2, 2), "stride": (2, 2)}),
        ((7, 9, 2), {"lanes": 1, "kernel": (2, 1), "stride": (3, 4)}),
        ((7, 8, 4), {"lanes": 2, "kernel": (3, 3), "stride": (2, 1), "padding": AROUND, "dilation": (2, 3)}),
        ((1, 9, 3), {"lanes": 2, "kernel": (1, 5), "padding": (0, 2, 0, 2)}),
        ((9, 1, 2), {"lanes": 2, "kernel": (3, 1), "padding": (0, 0, 2, 0)}),
        ((4, 5, 1), {"lanes": 1, "kernel": (4, 5)}),
        ((4, 4, 1), {"lanes": 1, "kernel": (1, 1)}),
        ((1, 1, 1), {"lanes": 1, "kernel": (1, 1), "repeats": 3}),
        ((6, 5, 2), {"lanes": 1, "kernel": (5, 5), "padding": (2, 2, 2, 2), "repeats": 2}),
        ((3, 34, 1), {"lanes": 1, "kernel": (3, 3), "padding": AROUND, "pad_value": 1}),
    ],
)
def test_windows_are_exact(monkeypatch, shape, options, stall):
    check(windows_graph(monkeypatch, shape, **options), stall)


@pytest.mark.parametrize("places, style", [({}, "lut"), ({"taps_buffer": 64}, "lut"), ({"taps_buffer": 65}, "block")])
def test_a_large_buffer_goes_to_block_ram_however_small_it_could_be(monkeypatch, places, style):
    graph = windows_graph(monkeypatch, (8, 8, 2), lanes=1, kernel=(3, 3), padding=AROUND)
    stage = generate(graph, Plan(layers=LAYERS, depths=places)).stages["taps"]
    assert stage.ram.style == style and stage.latency == {"lut": 2, "block": 4}[style]
    check(graph, 0.3, places)


@pytest.mark.parametrize("lanes", [1, 2, 3])
def test_filter_groups_follow_one_another(monkeypatch, lanes):
    options = {"kernel": (3, 2), "padding": (0, 1, 1, 0), "pad_value": -5, "groups": 2, "repeats": 2}
    check(windows_graph(monkeypatch, (4, 5, 6), lanes=lanes, **options), 0.3)


@pytest.mark.parametrize("stall", [0.0, 0.4])
@pytest.mark.parametrize("lanes", [1, 2, 4, 5])
def test_channels_follow_one_another_in_depthwise_windows(monkeypatch, lanes, stall):
    options = {"kernel": (3, 3), "stride": (2, 2), "padding": AROUND, "pad_value": -8, "by_channel": True}
    check(windows_graph(monkeypatch, (5, 4, 5), INT4, lanes=lanes, **options), stall)


@pytest.mark.parametrize("by_channel", [False, True])
@pytest.mark.parametrize("kernel, padding", [((2, 2), AROUND), ((1, 1), (2, 1, 0, 1)), ((1, 3), (0, 3, 0, 0))])
def test_windows_that_hold_nothing_but_padding(monkeypatch, kernel, padding, by_channel):
    options = {"kernel": kernel, "padding": padding, "pad_value": 9, "by_channel": by_channel}
    check(windows_graph(monkeypatch, (3, 4, 3), lanes=2, **options), 0.3)


@settings(max_examples=12)
@given(st.data())
def test_any_window_is_exact(data):
    def pair(high):
        return data.draw(st.tuples(st.integers(1, high), st.integers(1, high)))

    kernel, stride, dilation = pair(5), pair(3), pair(2)
    padding = data.draw(st.tuples(*[st.integers(0, (kernel[axis % 2] - 1) * dilation[axis % 2]) for axis in range(4)]))
    least = [max(1, (kernel[a] - 1) * dilation[a] + 1 - padding[a] - padding[a + 2]) for a in (0, 1)]
    size = [least[0] + data.draw(st.integers(0, 3)), least[1] + data.draw(st.integers(0, 4))]
    groups, by_channel = data.draw(st.sampled_from([(1, False), (2, False), (1, True)]))
    own, repeats = data.draw(st.integers(1, 3)), data.draw(st.integers(1, 2))
    with pytest.MonkeyPatch.context() as patch:
        graph = windows_graph(
            patch, (*size, own * groups), lanes=data.draw(st.integers(1, own)), kernel=kernel, stride=stride,
            dilation=dilation, padding=padding, pad_value=data.draw(st.integers(-2, 15)), groups=groups,
            repeats=repeats, by_channel=by_channel,
        )  # fmt: skip
        check(graph, data.draw(st.sampled_from([0.0, 0.3])))


@pytest.mark.parametrize("padding", [(0, 0, 0, 0), AROUND])
@pytest.mark.parametrize("stall", [0.0, 0.3])
def test_two_lines_and_three_pixels_are_enough_for_3x3(monkeypatch, padding, stall):
    graph = windows_graph(monkeypatch, (5, 7, 3), lanes=2, kernel=(3, 3), padding=padding)
    least = (2 * 7 + 3) * 2
    for places in (least, 64, 65):
        check(graph, stall, {"taps_buffer": places})
    with pytest.raises(
        Deadlock, match="taps_fill waits for room in the queue of taps_buffer .* taps waits for a beat of"
    ):
        generate(graph, Plan(layers=LAYERS, depths={"taps_buffer": least - 1}))


def test_padded_windows_need_no_more_than_the_least_buffer(monkeypatch):
    graph = windows_graph(monkeypatch, (8, 8, 2), lanes=1, kernel=(3, 3), padding=AROUND)
    stage_links = {link.name: link.depth for link in generate(graph, Plan(layers=LAYERS)).links}
    assert stage_links["taps_buffer"] == (2 * 8 + 3) * 2


def test_no_frame_begins_before_its_first_beat(monkeypatch):
    graph = windows_graph(monkeypatch, (3, 3, 1), lanes=1, kernel=(3, 3), padding=AROUND)
    design = generate(graph, Plan(layers=LAYERS))
    late = {"source_x": np.arange(200) >= 150}
    assert design.predict(1, late)["taps"][0] == 150 + 2 + 2


@pytest.mark.parametrize(
    "options, words",
    [
        ({"lanes": 3, "groups": 2}, "simd 3 takes more than a pixel's 2 inputs, which a convolution with 2 groups"),
        ({"lanes": 5, "dilation": (2, 1)}, "simd 5 takes more than a pixel's 4 inputs, .* with dilation"),
        ({"lanes": 17}, "simd 17, but its windows have 16 inputs; lower simd to 16 or less"),
    ],
)
def test_lanes_that_no_window_has_are_an_error(monkeypatch, options, words):
    with pytest.raises(PlanError, match=f"taps: {words}"):
        windows_graph(monkeypatch, (4, 4, 4), kernel=(2, 2), **options)
