from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from espalier.hw.queues import smallest_depths
from espalier.hw.slack import can_fit, find_slack
from espalier.hw.steady import find_rate
from espalier.hw.timing import Deadlock, Link, connect, sink, solve, source
from pipelines import one_stage, pipelines


def test_slack_of_one_stage():
    schedules, links = one_stage(6, 2)
    slack = find_slack(connect(schedules, links), {"sink_y": 9})
    assert {name: cycles.tolist() for name, cycles in slack.earliest.items()} == {
        "source_x": [0],
        "a": [0],
        "sink_y": [6],
    }
    assert {name: cycles.tolist() for name, cycles in slack.latest.items()} == {
        "source_x": [3],
        "a": [3],
        "sink_y": [9],
    }


@settings(max_examples=60, deadline=None)
@given(pipelines, st.integers(0, 20))
def test_slots_released_at_their_latest_keep_the_limits(pipeline, more):
    endless = [replace(link, depth=None) if link.latency else link for link in pipeline.links]
    processes = connect(pipeline.schedules, endless)
    try:
        earliest = solve(processes, 1)
    except Deadlock:
        return
    limits = {name: int(earliest[name][-1]) + more for name in earliest if name.startswith("sink")}
    latest = find_slack(processes, limits).latest
    found = solve([replace(p, release=np.minimum(latest[p.name], 10**6)) for p in processes], 1)
    assert all((earliest[name] <= latest[name]).all() for name in earliest)
    assert all(found[name][-1] == limit for name, limit in limits.items() if latest[name][-1] < 10**6)


def test_two_ends_alone_tell_the_round_trip():
    schedules = {"source_x": source(9), "sink_y": sink(9)}
    link = Link("y", "source_x", "y", "sink_y", "x", 4, None)
    processes = connect(schedules, [link])
    slack, rate = find_slack(processes, {"sink_y": 12}), find_rate(processes)
    assert [can_fit(schedules, link, depth, rate, slack) for depth in (4, 5)] == [False, True]
    assert smallest_depths(schedules, [link]) == {"y": 5}
