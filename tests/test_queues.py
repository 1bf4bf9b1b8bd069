from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings

from espalier.errors import PlanError
from espalier.hw.queues import analyse, smallest_depths
from espalier.hw.steady import find_rate
from espalier.hw.timing import Deadlock, Link, Schedule, connect, sink, solve, source
from pipelines import one_stage, pipelines


def with_depths(links, depths):
    return [replace(link, depth=depths[link.name]) for link in links]


def rate_and_end(schedules, links):
    """Cycles per frame, and where frame 0 ends at each sink; None in a deadlock."""
    processes = connect(schedules, links)
    try:
        rate = find_rate(processes)
    except Deadlock:
        return None
    times = solve(processes, 1)
    return rate.cycles / rate.frames, [times[name][-1] for name in schedules if name.startswith("sink")]


@settings(max_examples=60, deadline=None)
@given(pipelines)
def test_smallest_depths_cost_nothing_and_none_can_be_lowered(pipeline):
    schedules, links = pipeline.schedules, pipeline.links
    endless = [replace(link, depth=None) if link.latency else link for link in links]
    best = rate_and_end(schedules, endless)
    if best is None:
        with pytest.raises(Deadlock):
            smallest_depths(schedules, links)
        return
    depths = smallest_depths(schedules, links)
    assert rate_and_end(schedules, with_depths(links, depths)) == best
    for link in links:
        if depths[link.name] > 1:
            less = {**depths, link.name: depths[link.name] - 1}
            assert rate_and_end(schedules, with_depths(links, less)) != best


def dense(inputs, outputs, simd, pe):
    tiles, groups = -(-inputs // simd), -(-outputs // pe)
    slot = np.arange(tiles * groups)
    return Schedule({"x": slot < tiles}, {"y": slot % tiles == tiles - 1})


def perceptron():
    """784-64-64-10 in 64, 128 and 16 cycles."""
    schedules = {
        "source_x": source(16),
        "fc1": dense(784, 64, 49, 16),
        "fc2": dense(64, 64, 16, 2),
        "fc3": dense(64, 10, 2, 5),
        "sink_y": sink(2),
    }
    links = [
        Link("x", "source_x", "y", "fc1", "x", 0, 1),
        Link("fc1_y", "fc1", "y", "fc2", "x", 7, 4),
        Link("fc2_y", "fc2", "y", "fc3", "x", 5, 4),
        Link("y", "fc3", "y", "sink_y", "x", 4, 4),
    ]
    return schedules, links


def test_analysis_of_a_chain():
    schedules, links = perceptron()
    found = analyse(schedules, with_depths(links, smallest_depths(schedules, links)))
    assert (found.ii_cycles, found.limited_by) == (128, ("fc2",))
    # fc1 ends after 63, its last beat arrives 7 later; fc2 ends 124 later, and 5 on; fc3 needs 32 per output, and 4.
    assert (found.first_result_cycles, found.latency_cycles) == (203, 235)
    assert found.busy["fc1"] == 0.5
    assert found.waits["fc2"] == {}
    assert found.waits["fc1"] == {"fc2": 64}


def test_analysis_names_the_circle_that_a_short_queue_makes():
    found = analyse(*perceptron())
    assert found.ii_cycles == 147
    assert set(found.limited_by) == {"fc2", "fc3"}
    assert found.waits["fc2"] == {"fc3": 19}
    assert found.fps(100.0) == 100e6 / 147


def test_fixed_depth_is_kept_and_the_others_lose_nothing_beside_it():
    schedules, links = perceptron()
    depths = smallest_depths(schedules, links, {"fc1_y": 9})
    assert depths == {**smallest_depths(schedules, links), "fc1_y": 9}


def test_unknown_fixed_queue_is_named():
    with pytest.raises(PlanError, match="depths: no queue 'fc9'; known are fc1_y, fc2_y, y"):
        smallest_depths(*perceptron(), {"fc9": 4})


def test_fractional_interval():
    schedules, links = one_stage(6, 2)
    assert analyse(schedules, links).ii_cycles == 3.5
    assert smallest_depths(schedules, links) == {"x": 1, "y": 7}


def test_join_gets_the_room_its_longer_branch_needs():
    two = np.ones(2, bool)
    schedules = {
        "source_x": source(2),
        "split": Schedule({"x": two}, {"long": two, "short": two}),
        "delay": Schedule({"x": two}, {"y": two}),
        "join": Schedule({"long": two, "short": two}, {"y": two}),
        "sink_y": sink(2),
    }
    links = [
        Link("x", "source_x", "y", "split", "x", 0, 1),
        Link("short", "split", "short", "join", "short", 2, 1),
        Link("long", "split", "long", "delay", "x", 2, 1),
        Link("delayed", "delay", "y", "join", "long", 9, 1),
        Link("y", "join", "y", "sink_y", "x", 2, 1),
    ]
    assert smallest_depths(schedules, links) == {"x": 1, "short": 12, "long": 3, "delayed": 10, "y": 3}


def test_a_wire_has_no_depth_to_fix():
    with pytest.raises(PlanError, match="depths: no queue 'x'; known are fc1_y, fc2_y, y"):
        smallest_depths(*perceptron(), {"x": 2})
