import numpy as np
from hypothesis import given, settings

from espalier.hw import solver
from espalier.hw.solver import solve_network
from espalier.hw.steady import find_rate, pace
from espalier.hw.timing import NONE, Deadlock, Need, Process, connect, solve
from pipelines import one_stage, pipelines


@settings(max_examples=100, deadline=None)
@given(pipelines)
def test_rate_is_that_of_a_long_run(pipeline):
    processes = connect(pipeline.schedules, pipeline.links)
    try:
        rate = find_rate(processes)
    except Deadlock:
        return
    # 420 periods hold a whole number of repetitions, be they 1 to 7 periods long.
    span = 420 * rate.frames
    times = solve(processes, span + 300)
    gained = [table[-1] - table[-1 - span * process.slots] for process in processes for table in [times[process.name]]]
    assert max(gained) == 420 * rate.cycles


def test_rate_may_be_a_fraction():
    rate = find_rate(connect(*one_stage(6, 2)))
    assert (rate.cycles, rate.frames, rate.circle) == (7, 2, ("a", "sink_y"))


def test_deep_queue_leaves_the_slowest_process():
    assert find_rate(connect(*one_stage(6, None))).cycles == 1
    assert find_rate(connect(*one_stage(6, 7))).cycles == 1


def test_slow_loop_before_a_fast_tail_sets_the_rate():
    loop = Process("loop", 1, (Need("loop", np.array([-1]), 9),))
    tail = Process("tail", 2, (Need("loop", np.array([0, 0]), 1),))
    rate = find_rate([tail, loop])
    assert (rate.cycles, rate.frames, rate.circle) == (9, 1, ("loop",))


def test_a_slow_circle_is_seen_while_something_else_still_delays_the_end_of_a_frame(monkeypatch):
    solved = []
    monkeypatch.setattr(solver, "solve_network", lambda *given: solved.append(given[1]) or solve_network(*given))
    source = Process("source", 100)
    # Its second slot comes every 101 cycles, its last one always 90 after the source's first.
    needs = Need("loop", np.array([NONE, -2, NONE]), 101), Need("source", np.array([NONE, NONE, 0]), 90)
    rate = find_rate([source, Process("loop", 3, needs)])
    assert (rate.cycles, rate.frames, max(solved)) == (101, 1, 4)


@settings(max_examples=50, deadline=None)
@given(pipelines)
def test_paced_times_repeat_and_begin_like_the_free_ones(pipeline):
    processes = connect(pipeline.schedules, pipeline.links)
    try:
        rate = find_rate(processes)
    except Deadlock:
        return
    paced, free = pace(processes, rate), solve(processes, 1)
    assert isinstance(paced, dict)
    for name, table in paced.items():
        np.testing.assert_array_equal(table[0], free[name])
        np.testing.assert_array_equal(table[-1] - table[-1 - rate.frames], rate.cycles)
