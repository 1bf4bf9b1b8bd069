from xml.etree import ElementTree

import pytest

from espalier.quant.pruning.plot import BOTTOM, LEFT, RIGHT, TOP, Point, draw, linear_ticks, log_ticks

POINTS = [Point("dense & float", 160.0, 99.5), Point("pruned", 489.0, 98.0), Point("quantized", 3860.0, 98.7)]


def elements(text, kind):
    return list(ElementTree.fromstring(text).iter(f"{{http://www.w3.org/2000/svg}}{kind}"))


def test_points_lie_in_the_field_in_their_order():
    places = [(float(dot.get("cx")), float(dot.get("cy"))) for dot in elements(draw(POINTS, "accuracy in %"), "circle")]
    assert places == sorted(places) and len(places) == 3
    assert all(LEFT <= x <= RIGHT and TOP <= y <= BOTTOM for x, y in places)
    assert places[0][1] < places[2][1] < places[1][1]  # higher scores are further up


def test_labels_and_axes_say_what_they_are():
    texts = [text.text for text in elements(draw(POINTS, "accuracy in %"), "text")]
    assert {"dense & float, 99.5", "quantized, 98.7", "accuracy in %"} <= {*texts} and "1000" in texts and "99" in texts


def test_one_point_is_a_plot_too():
    assert len(elements(draw(POINTS[:1], "PSNR in dB"), "circle")) == 1


@pytest.mark.parametrize("density", [0.0, float("inf")])
def test_points_without_a_place_are_left_out(density):
    nowhere = Point("nowhere", density, density)
    assert draw([nowhere, *POINTS], "iou in %") == draw(POINTS, "iou in %")
    assert [text.text for text in elements(draw([nowhere], "iou in %"), "text")] == ["no score above 0"]


@pytest.mark.parametrize(
    "low, high, ticks",
    [
        (98.0, 99.55, [98.0, 98.5, 99.0, 99.5, 100.0]),
        (9.6, 97.0, [0.0, 20.0, 40.0, 60.0, 80.0, 100.0]),
        (98.0, 98.0, [98.0, 98.2]),
        (0.0, 0.0, [0.0, 0.0002]),
    ],
)
def test_figures_at_the_upright_axis_enclose_the_scores(low, high, ticks):
    assert linear_ticks(low, high) == ticks


@pytest.mark.parametrize(
    "low, high, ticks",
    [(120.0, 5000.0, [200.0, 500.0, 1000.0, 2000.0, 5000.0]), (2.07, 3.8, [2.5, 3.0]), (0.2, 0.32, [0.2, 0.25, 0.3])],
)
def test_there_are_always_two_figures_at_the_axis_of_densities(low, high, ticks):
    assert log_ticks(low, high) == ticks
