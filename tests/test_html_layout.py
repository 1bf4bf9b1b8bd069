"""The drawing of graphs: no two boxes touch, every edge leads on, and one frame's way is what the timing model says."""

from itertools import combinations, pairwise

import numpy as np
import pytest

from dags import random_dag
from espalier.flow.html.graph import draw_graph, ends
from espalier.flow.html.layers import count_crossings, make_layers
from espalier.flow.html.layout import LABEL_HEIGHT, LABEL_WIDTH, Box, Placed, lay_out, split
from espalier.flow.html.markup import write
from espalier.flow.html.timeline import Axis, draw_timeline
from espalier.flow.html.trace import trace
from espalier.hw.design import generate
from espalier.hw.operators import units
from espalier.hw.plan import LayerPlan, Plan
from espalier.hw.planner import plan, plan_table
from espalier.hw.queues import analyse
from espalier.hw.timing import beats_of, connect, solve
from graphs import mlp

pytestmark = pytest.mark.filterwarnings("ignore::amaranth.hdl.UnusedElaboratable")

SKIPS = [("a", "b"), ("b", "c"), ("a", "c"), ("c", "d"), ("d", "e"), ("a", "e"), ("c", "e")]


def designed(graph):
    design = generate(graph, plan(graph, multipliers=16))
    analysis = analyse(design.schedules, design.links)
    return design, analysis, trace(design, analysis.ii_cycles)


@pytest.fixture(scope="module")
def perceptron():
    return designed(mlp((13, 7, 5, 3)))


def random_layout(seed, width):
    rng = np.random.default_rng(seed)
    names = [f"box{number}" for number in range(int(rng.integers(1, 40)))]
    edges = [(names[int(rng.integers(max(0, end - 4), end))], names[end]) for end in range(1, len(names))]
    edges += [(a, b) for a, b in combinations(names, 2) if rng.random() < 0.03]
    boxes = [Box(name, 262, float(rng.integers(20, 80))) for name in names]
    return lay_out(boxes, edges, width), edges


def touch(one, other):
    apart_across = one.x + one.box.width <= other.x or other.x + other.box.width <= one.x
    return not (apart_across or one.y + one.box.height <= other.y or other.y + other.box.height <= one.y)


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("width", [0, 1160])
def test_no_two_boxes_touch(seed, width):
    layout, _ = random_layout(seed, width)
    assert [pair for pair in combinations(layout.boxes.values(), 2) if touch(*pair)] == []


@pytest.mark.parametrize("seed", range(12))
def test_all_boxes_and_lines_lie_in_the_drawing(seed):
    layout, _ = random_layout(seed, 1160)
    placed = layout.boxes.values()
    corners = [(one.x + at * one.box.width, one.y + at * one.box.height) for one in placed for at in (0, 1)]
    points = [*corners, *(point for route in layout.routes for point in route.points)]
    assert all(0 <= x <= layout.width and 0 <= y <= layout.height for x, y in points)


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("width", [0, 1160])
def test_every_edge_leads_down_or_to_a_column_further_right(seed, width):
    layout, edges = random_layout(seed, width)
    for (start, end), route in zip(edges, layout.routes, strict=True):
        a, b = layout.boxes[start], layout.boxes[end]
        assert a.y + a.box.height <= b.y or a.x + a.box.width <= b.x
        assert route.points[0][1] == a.y + a.box.height and route.points[-1][1] == b.y
        assert a.x < route.points[0][0] < a.x + a.box.width and b.x < route.points[-1][0] < b.x + b.box.width


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("width", [0, 1160])
def test_no_label_lies_on_a_box_or_another_label(seed, width):
    layout, _ = random_layout(seed, width)
    labels = [Placed(Box("", LABEL_WIDTH - 6, LABEL_HEIGHT), *route.label) for route in layout.routes]
    assert [pair for pair in combinations([*layout.boxes.values(), *labels], 2) if touch(*pair)] == []


def test_an_edge_beside_others_at_both_ends_has_a_place_of_its_own():
    layers = make_layers("ab", [("a", "b"), ("a", "b")])
    assert layers.rows == [["a"], [(0, 1), (1, 1)], ["b"]]


def test_a_chain_is_straight():
    layout = lay_out([Box(name, 100, 20) for name in "abcd"], [("a", "b"), ("b", "c"), ("c", "d")], 0)
    assert len({x for route in layout.routes for x, _ in route.points}) == 1


def test_a_long_chain_takes_as_many_columns_as_there_is_room_for():
    names = [f"box{number}" for number in range(30)]
    edges = list(pairwise(names))
    for width, columns in ((0, 1), (700, 2), (1000, 3)):
        layout = lay_out([Box(name, 262, 40) for name in names], edges, width)
        assert len({one.x for one in layout.boxes.values()}) == columns


def test_columns_break_where_few_edges_cross():
    names = "abcdefghij"
    layers = make_layers(names, [*pairwise(names), ("a", "d"), ("e", "j")])
    assert [rows.start for rows in split(layers, 2)] == [0, 4]
    assert len(layers.crossing(3)) == 1


def test_an_edge_passes_each_layer_between_its_ends():
    layers = make_layers("abcde", SKIPS)
    assert layers.paths[5] == ["a", (5, 1), (5, 2), (5, 3), "e"]
    assert sorted(map(str, layers.rows[2])) == sorted(map(str, ["c", (5, 2)]))


def test_layers_are_ordered_so_that_fewer_edges_cross():
    layers = make_layers("abcd", [("a", "d"), ("b", "c")])
    assert count_crossings(layers) == 0


def test_a_second_source_stands_right_above_its_reader():
    layers = make_layers("axbc", [("a", "b"), ("b", "c"), ("x", "c")])
    assert "x" in layers.rows[1]


@pytest.mark.parametrize("seed", [1, 4, 9, 16])
def test_every_stage_and_port_of_a_graph_with_joins_is_drawn(seed):
    design, analysis, late = designed(random_dag(seed))
    text = write(draw_graph(design, plan_table(design, analysis), late.fills, analysis.limited_by))
    assert all(f">{name}: " in text for name in design.stages)
    assert all(f">{channel.name}: " in text for channel in design.channels)
    assert text.count('class="border"') == len({end for one in design.channels for end in ends(one) if " " in end})
    assert text.count('class="stage limiting"') == text.count(" ◆<") > 0


@pytest.mark.parametrize("frames", [3, 8])
def test_the_way_of_a_frame_is_what_the_timing_model_predicts(perceptron, frames, monkeypatch):
    monkeypatch.setattr("espalier.flow.html.trace.FEWEST_FRAMES", frames)
    monkeypatch.setattr("espalier.flow.html.trace.MOST_SLOTS", 0)
    design, analysis, _ = perceptron
    late = trace(design, analysis.ii_cycles)
    predicted = design.predict(late.frame + 2)
    first, last = (channel.name for channel in design.channels if channel.port)
    begin = predicted[first].reshape(late.frame + 2, -1)[-2, 0]
    fronts = late.passages[next(iter(design.stages))].taken, late.passages[next(reversed(design.stages))].given
    for name, cycles in zip((first, last), fronts):
        np.testing.assert_array_equal(cycles, predicted[name].reshape(late.frame + 2, -1)[-3:] - begin)
    assert (late.frame, late.is_steady) == (frames - 2, True)


def test_each_stage_has_a_row_with_three_frames(perceptron):
    design, analysis, late = perceptron
    text = write(draw_timeline(late, plan_table(design, analysis), 100.0))
    assert text.count('class="taken other"') == text.count('class="given other"') == 2 * len(design.stages)
    assert text.count('class="taken"') == text.count('class="given span"') == len(design.stages)


def test_only_gaps_that_can_be_seen_are_drawn():
    cycles = np.array([0, 1, 2, 10, 12, 500])
    assert Axis(1000).path(cycles, 0).count("M") == 3 and Axis(100_000).path(cycles, 0).count("M") == 2


def test_the_fill_of_a_queue_is_counted_cycle_by_cycle(perceptron):
    design, _, late = perceptron
    times = solve(connect(design.schedules, design.links), late.frame + 2)
    for channel in design.channels:
        if channel.is_input:
            continue
        slots, reading = beats_of(design.schedules, channel.link)
        starts = times[channel.link.producer].reshape(late.frame + 2, -1)[:, slots]
        leaves = times[channel.link.consumer].reshape(late.frame + 2, -1)[:, reading.frees] + reading.delay
        held = [int(((starts <= c) & (c < leaves)).sum()) for c in range(starts[-2, 0], starts[-1, 0])]
        fill = late.fills[channel.name]
        assert (fill.depth, fill.highest) == (channel.link.depth, max(held))
        assert fill.mean == sum(held) / len(held)


def test_a_box_names_all_layers_that_are_joined_in_it():
    graph = mlp((6, 5, 4, 3))
    folds = {one.name: LayerPlan("spatial", one.result.channels, one.source.channels) for one in units(graph)}
    design = generate(graph, Plan(layers=folds))
    analysis = analyse(design.schedules, design.links)
    text = write(draw_graph(design, plan_table(design, analysis), {}, ()))
    assert len(design.stages) == 1
    assert [text.count(f"\n{type(node).__name__} {node.name}") for node in graph.nodes] == [1] * len(graph.nodes)


def test_the_search_for_a_steady_frame_ends(perceptron, monkeypatch):
    monkeypatch.setattr("espalier.flow.html.trace.MOST_SLOTS", 10_000)
    late = trace(perceptron[0], perceptron[1].ii_cycles + 1)
    assert not late.is_steady and late.frame > 100


@pytest.mark.parametrize("seed", [1, 4, 9, 16])
def test_no_queue_holds_more_than_its_depth(seed):
    _, _, late = designed(random_dag(seed))
    assert [fill for fill in late.fills.values() if not 0 < fill.mean <= fill.highest <= fill.depth] == []
