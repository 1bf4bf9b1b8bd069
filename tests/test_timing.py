from time import thread_time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from espalier.errors import PlanError
from espalier.hw.timing import (
    NONE,
    Deadlock,
    Link,
    Need,
    Process,
    Schedule,
    connect,
    handshakes,
    sink,
    solve,
    source,
)
from pipelines import pipelines, play


def slots(*numbers):
    return np.array(numbers, np.int64)


def bits(text):
    return np.array([letter == "1" for letter in text])


@settings(max_examples=200, deadline=None)
@given(pipelines, st.integers(1, 4))
def test_solver_equals_a_simulation_cycle_by_cycle(pipeline, frames):
    processes = connect(pipeline.schedules, pipeline.links, pipeline.allowed)
    expected = play(pipeline, frames)
    if expected is None:
        with pytest.raises(Deadlock, match="waits for"):
            solve(processes, frames)
        return
    found = handshakes(solve(processes, frames), pipeline.schedules, pipeline.links)
    assert {name: cycles.tolist() for name, cycles in found.items()} == expected


@given(st.randoms(use_true_random=False))
@settings(max_examples=20, deadline=None)
def test_order_of_processes_does_not_matter(random):
    ones = bits("1111")
    schedules = {"source_x": source(4), "a": Schedule({"x": ones}, {"y": ones}), "sink_y": sink(4)}
    links = [Link("x", "source_x", "y", "a", "x", 0, 1), Link("y", "a", "y", "sink_y", "x", 3, 2)]
    expected = solve(connect(schedules, links), 3)
    shuffled = random.sample(list(schedules), 3)
    found = solve(connect({name: schedules[name] for name in shuffled}, links), 3)
    assert all((found[name] == expected[name]).all() for name in schedules)


def test_slots_without_needs_issue_every_cycle():
    assert solve([Process("a", 3)], 2)["a"].tolist() == [0, 1, 2, 3, 4, 5]


def test_needs_reach_into_other_frames():
    writer = Process("writer", 2, (Need("reader", slots(-1, NONE), 4),))
    reader = Process("reader", 3, (Need("writer", slots(0, NONE, 1), 2),))
    times = solve([reader, writer], 2)
    assert times["writer"].tolist() == [0, 1, 8, 9]
    assert times["reader"].tolist() == [2, 3, 4, 10, 11, 12]


def test_stall_pattern_is_cyclic():
    assert solve([Process("a", 4, allowed=bits("00100"))], 1)["a"].tolist() == [2, 7, 12, 17]


def test_depth_one_waits_for_the_way_there_and_back():
    schedules = {"source_x": source(3), "sink_y": sink(3)}
    times = solve(connect(schedules, [Link("y", "source_x", "y", "sink_y", "x", 5, 1)]), 1)
    assert times["sink_y"].tolist() == [5, 11, 17]


def test_fork_waits_for_the_slower_branch():
    schedules = {"source_x": source(3), "sink_a": sink(3), "sink_b": sink(3)}
    links = [Link("a", "source_x", "y", "sink_a", "x", 1, 1), Link("b", "source_x", "y", "sink_b", "x", 4, 1)]
    found = handshakes(solve(connect(schedules, links), 1), schedules, links)
    assert found["a"].tolist() == [1, 6, 11]
    assert found["b"].tolist() == [4, 9, 14]


def test_deadlock_names_the_circle_of_waits():
    schedules = {
        "source_x": source(2),
        "split": Schedule({"x": bits("11")}, {"early": bits("11"), "late": bits("01")}),
        "join": Schedule({"early": bits("011"), "late": bits("100")}, {"y": bits("001")}),
        "sink_y": sink(1),
    }
    links = [
        Link("x", "source_x", "y", "split", "x", 0, 1),
        Link("short", "split", "early", "join", "early", 2, 1),
        Link("long", "split", "late", "join", "late", 2, 1),
        Link("y", "join", "y", "sink_y", "x", 2, 1),
    ]
    words = (
        r"split waits for room in the queue of short \(depth 1\), which join empties, "
        r"join waits for a beat of long from split; make a queue on this circle deeper"
    )
    with pytest.raises(Deadlock, match=words):
        solve(connect(schedules, links), 1)


def test_need_beyond_the_last_frame_is_a_deadlock():
    processes = [Process("a", 1, (Need("b", slots(1), 1),)), Process("b", 1)]
    with pytest.raises(Deadlock, match="a waits for a slot of b in a frame after the last"):
        solve(processes, 2)


def test_unlike_beat_counts_name_the_link():
    schedules = {"source_x": source(3), "sink_y": sink(4)}
    with pytest.raises(PlanError, match="x: source_x starts 3 beats per frame, but sink_y takes 4"):
        connect(schedules, [Link("x", "source_x", "y", "sink_y", "x", 0, 1)])


@pytest.mark.parametrize(
    "link, words",
    [
        (Link("q", "nobody", "y", "sink_y", "x", 0, 1), "q: no process 'nobody'; known are source_x, sink_y"),
        (Link("q", "source_x", "z", "sink_y", "x", 0, 1), "q: source_x has no port 'z'; known are y"),
        (Link("q", "source_x", "y", "sink_y", "x", 1, 0), "q: a queue of depth 0 holds nothing"),
    ],
)
def test_ill_fitting_link_is_named(link, words):
    with pytest.raises(PlanError, match=words):
        connect({"source_x": source(3), "sink_y": sink(3)}, [link])


def test_pattern_that_never_allows_is_an_error():
    with pytest.raises(PlanError, match="a: its stall pattern allows no cycle"):
        solve([Process("a", 1, allowed=bits("000"))], 1)


def test_need_of_wrong_length_is_an_error():
    with pytest.raises(PlanError, match="a: waits for 1 slots of 'b'; needed are one for each of its 2 slots"):
        solve([Process("a", 2, (Need("b", slots(0), 1),)), Process("b", 1)], 1)


def test_solver_handles_five_million_slots_a_second():
    needs = (Need("a", slots(*range(-1, 999)), 1),)
    processes = [Process("a", 1000), Process("b", 1000, needs), Process("c", 1000, needs, bits("1101"))]
    solve(processes, 1)
    start = thread_time()
    solve(processes, 1000)
    assert thread_time() - start < 3e6 / 5e6
