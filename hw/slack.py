"""How early and how late slots can issue, and what that says about one queue alone: a quick way to bound its depth."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..ir.graph import Ints
from .steady import Rate, pace
from .timing import NONE, Deadlock, Link, Need, Process, Schedule, connect, solve

AGES = 1 << 60


@dataclass(frozen=True, eq=False)
class Slack:
    """For each process, the earliest cycles of the slots of frame 0, and the latest that keep what is asked for."""

    earliest: Mapping[str, Ints]
    latest: Mapping[str, Ints]


def find_slack(processes: Sequence[Process], limits: Mapping[str, int]) -> Slack:
    """limits: by process, the cycle that the last slot of frame 0 must keep."""
    return Slack(solve(processes, 1), _latest(processes, limits))


def can_fit(schedules: Mapping[str, Schedule], link: Link, depth: int, rate: Rate, slack: Slack) -> bool:
    """Whether the two ends of ``link`` alone, with ``depth``, keep their slack in frame 0, and the rate for all frames.

    If not, no other queue can make up for it; if so, the whole pipeline may still fail.
    """
    ends = (link.producer, link.consumer)
    pair = connect({name: schedules[name] for name in ends}, [replace(link, depth=depth)])
    released = [replace(process, release=slack.earliest[process.name]) for process in pair]
    try:
        times = solve(released, 1)
        in_time = all((times[name] <= slack.latest[name]).all() for name in ends)
        return in_time and not isinstance(pace(pair, rate), Rate)
    except Deadlock:
        return False


def _latest(processes: Sequence[Process], limits: Mapping[str, int]) -> dict[str, Ints]:
    """The same pipeline backwards: whoever waits for a slot lets it go first, and time runs down to the limits.

    Waits that reach into other frames are left out, and what leads to no limit may come ages later: too late a bound is
    still a bound.
    """
    slots = {process.name: process.slots for process in processes}
    needs: dict[str, list[Need]] = {name: [] for name in slots}
    for process in processes:
        for need in process.needs:
            needs[need.process].append(_backwards(process, need, slots[need.process]))
    released = {name: np.full(slots[name], AGES - limit) for name, limit in limits.items()}
    backwards = [Process(name, slots[name], tuple(needs[name]), release=released.get(name)) for name in slots]
    return {name: AGES - times[::-1] for name, times in solve(backwards, 1).items()}


def _backwards(owner: Process, need: Need, slots: int) -> Need:
    """Of those that wait for one slot, the first decides how late it can be."""
    waiting = np.flatnonzero((need.slot >= 0) & (need.slot < slots))[::-1]
    first = np.full(slots, NONE)
    first[need.slot[waiting]] = owner.slots - 1 - waiting
    return Need(owner.name, first[::-1], need.delay)
