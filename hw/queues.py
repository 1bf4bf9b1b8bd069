"""How fast a pipeline runs, where it waits, and the smallest queues that cost it nothing, all before any simulation."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..errors import PlanError
from ..ir.graph import Ints
from .slack import can_fit, find_slack
from .steady import Rate, find_rate, pace, prolong
from .timing import Deadlock, Link, Need, Process, Schedule, beats_of, connect, handshakes, solve

WATCHED_SLOTS = 2_000_000
"""Slots to solve at most in search of a pipeline's own steady state, where ``Analysis.waits`` is read off."""


@dataclass(frozen=True)
class Analysis:
    """The timing of a pipeline without stalls from outside.

    period_cycles, period_frames: the steady state, exact: that many frames every so many cycles.
    latency_cycles: from the first input handshake to the last output handshake of frame 0 into an empty pipeline;
    first_result_cycles: to the first output handshake.
    limited_by: the processes that set the rate, one, or several that wait for one another in a circle.
    slots: slots per frame of each process. busy: their share of all cycles.
    waits: for each process, idle cycles in a late frame, by the process waited for: the producer of a missing beat
        or the consumer that leaves no room.
    """

    period_cycles: int
    period_frames: int
    latency_cycles: int
    first_result_cycles: int
    limited_by: tuple[str, ...]
    slots: Mapping[str, int]
    busy: Mapping[str, float]
    waits: Mapping[str, Mapping[str, int]]

    @property
    def ii_cycles(self) -> int | float:
        """Cycles per frame in the steady state: an integer where it is whole."""
        whole, rest = divmod(self.period_cycles, self.period_frames)
        return self.period_cycles / self.period_frames if rest else whole

    def fps(self, clock_mhz: float) -> float:
        return clock_mhz * 1e6 * self.period_frames / self.period_cycles


def analyse(schedules: Mapping[str, Schedule], links: Sequence[Link]) -> Analysis:
    """Rate, latency and waits of a pipeline; raises Deadlock where it gets stuck."""
    processes = connect(schedules, links)
    rate = find_rate(processes)
    taken = handshakes(solve(processes, 1), schedules, links)
    begin = min(int(taken[link.name].min()) for link in links if schedules[link.producer].is_source)
    results = [taken[link.name] for link in links if not schedules[link.consumer].starts]
    return Analysis(
        period_cycles=rate.cycles,
        period_frames=rate.frames,
        latency_cycles=max(int(cycles.max()) for cycles in results) - begin,
        first_result_cycles=min(int(cycles.min()) for cycles in results) - begin,
        limited_by=rate.circle,
        slots={process.name: process.slots for process in processes},
        busy={process.name: process.slots * rate.frames / rate.cycles for process in processes},
        waits=_find_waits(processes),
    )


def _find_waits(processes: Sequence[Process]) -> dict[str, dict[str, int]]:
    """Idle cycles of a late frame: the last of as many as ``WATCHED_SLOTS`` holds, at least 2 and at most 256."""
    slots = sum(process.slots for process in processes)
    frames = min(256, max(2, WATCHED_SLOTS // slots))
    times = solve(processes, frames)
    waits = {}
    for process in processes:
        late = times[process.name][-process.slots - 1 :]
        ready = [_ready(need, times[need.process], frames) for need in process.needs]
        waits[process.name] = _blame(np.diff(late) - 1, process, np.array(ready).reshape(-1, process.slots))
    return waits


def _ready(need: Need, times: Ints, frames: int) -> Ints:
    """The cycle from which ``need`` lets each slot of the last of ``frames`` frames issue."""
    wanted = need.slot + len(times) // frames * (frames - 1)
    return np.where(wanted < 0, -1, times[np.maximum(wanted, 0)] + need.delay)


def _blame(idle: Ints, process: Process, ready: Ints) -> dict[str, int]:
    blamed: dict[str, int] = {}
    for slot in np.flatnonzero(idle):
        name = process.needs[int(ready[:, slot].argmax())].process
        blamed[name] = blamed.get(name, 0) + int(idle[slot])
    return blamed


def smallest_depths(
    schedules: Mapping[str, Schedule], links: Sequence[Link], fixed: Mapping[str, int] | None = None
) -> dict[str, int]:
    """Queue depths, by link name, that keep the rate and the latency of frame 0 of endless queues; none can be lowered.

    Links of latency 0 are wires and keep their depth; ``fixed`` depths are kept too, and the others lose nothing
    against endless queues beside those. Queues are narrowed one after the other in the order of ``links``: where
    depth may go to one queue or another, the later one gets it.

    First comes a schedule with endless queues at the steady rate: as much room as each queue then fills is enough,
    since a pipeline never runs later than a schedule that it has the room to follow. Most queues can be seen to need
    all of it by their two ends alone. Of the others each gets what its ends need at least beside the depths so far, or
    more, by bisection; each trial is decided by ``pace``, which proves the rate for all frames.
    """
    kept = _kept_depths(links, fixed or {})
    processes = connect(schedules, _with_depths(links, kept))
    rate = find_rate(processes)
    times = _run_until_full(processes, rate)
    limits = {name: int(times[name][0, -1]) for name, schedule in schedules.items() if not schedule.starts}
    depths = {link.name: kept.get(link.name) or _most_held(link, schedules, times) for link in links}
    del times
    slack = find_slack(processes, limits)
    for link in links:
        depth = depths[link.name]
        if link.name not in kept and depth > 1 and can_fit(schedules, link, depth - 1, rate, slack):
            depths[link.name] = _narrow(link, schedules, links, depths, rate, limits)
    assert _keeps(schedules, links, depths, rate, limits)
    return depths


def _narrow(
    link: Link,
    schedules: Mapping[str, Schedule],
    links: Sequence[Link],
    depths: Mapping[str, int],
    rate: Rate,
    limits: Mapping[str, int],
) -> int:
    """The smallest depth of ``link`` beside ``depths``."""
    others = {name: depth for name, depth in depths.items() if name != link.name}
    slack = find_slack(connect(schedules, _with_depths(links, others)), limits)
    enough, least = depths[link.name], _bisect(1, depths[link.name], lambda d: can_fit(schedules, link, d, rate, slack))

    def keeps(depth: int) -> bool:
        return _keeps(schedules, links, {**others, link.name: depth}, rate, limits)

    if least == enough or keeps(least):
        return least
    return _bisect(least + 1, enough, keeps)


def _bisect(low: int, high: int, is_enough: Callable[[int], bool]) -> int:
    """The least number from ``low`` to ``high`` that is enough; ``high`` is."""
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if is_enough(middle) else (middle + 1, high)
    return low


def _with_depths(links: Sequence[Link], depths: Mapping[str, int]) -> list[Link]:
    """The links with these depths, and endless queues elsewhere."""
    return [replace(link, depth=depths.get(link.name)) for link in links]


def _kept_depths(links: Sequence[Link], fixed: Mapping[str, int]) -> dict[str, int]:
    queues = [link.name for link in links if link.latency]
    if unknown := [name for name in fixed if name not in queues]:
        raise PlanError(f"depths: no queue {unknown[0]!r}; known are {', '.join(queues)}")
    return {link.name: link.depth for link in links if link.latency == 0 and link.depth} | dict(fixed)


def _run_until_full(processes: Sequence[Process], rate: Rate) -> dict[str, Ints]:
    """Paced times, (frames, slots) per process, over a steady stretch as long as any frame is under way."""
    times = pace(processes, rate)
    assert not isinstance(times, Rate)
    last = [table[-rate.frames :] for table in times.values()]
    under_way = int(max(table.max() for table in last) - min(table.min() for table in last))
    frames = (under_way // rate.cycles + 2) * rate.frames
    return {name: prolong(table, rate, frames) for name, table in times.items()}


def _most_held(link: Link, schedules: Mapping[str, Schedule], times: Mapping[str, Ints]) -> int:
    """The smallest depth with which no beat has to wait for the place of an earlier one."""
    first, reading = beats_of(schedules, link)
    starts, slots = times[link.producer][:, first].ravel(), times[link.consumer]
    frames, per_frame = slots.shape
    freeing = (reading.frees + per_frame * np.arange(frames)[:, None]).ravel()
    # A place that only a frame to come would free stays taken.
    freed = slots.ravel()[freeing[freeing < slots.size]] + reading.delay
    free_before = np.searchsorted(freed, starts, side="right")
    return max(1, int((np.arange(len(starts)) - free_before).max()) + 1)


def _keeps(
    schedules: Mapping[str, Schedule],
    links: Sequence[Link],
    depths: Mapping[str, int],
    rate: Rate,
    limits: Mapping[str, int],
) -> bool:
    """Whether ``depths`` keep the rate, and frame 0 ends at each sink within its limit."""
    processes = connect(schedules, _with_depths(links, depths))
    try:
        first = solve(processes, 1)
        if any(first[name][-1] > limit for name, limit in limits.items()):
            return False
        return not isinstance(pace(processes, rate), Rate)
    except Deadlock:
        return False
