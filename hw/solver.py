"""The loops of the timing model, compiled: issue every slot of every process, and follow back what delayed one."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ..errors import PlanError
from ..ir.graph import Ints
from .compiled import compiled
from .timing import Deadlock, Need, Process


class Network(NamedTuple):
    """All processes in flat arrays; process p owns needs ``need_first[p]`` to ``need_first[p + 1]``.

    slots, total: per process, slots of a frame and of all frames. first: where its times start.
    need_at: where the slot numbers of a need start in ``need_slot``.
    period, pattern: per process, length of its stall pattern (0: none) and where it starts in ``stall``, which holds
        for each cycle of the pattern the number of cycles to the next allowed one.
    released: per process, where the earliest cycles of its slots start in ``release``; -1: it has none.
    """

    slots: Ints
    total: Ints
    first: Ints
    need_first: Ints
    need_process: Ints
    need_delay: Ints
    need_at: Ints
    need_slot: Ints
    period: Ints
    pattern: Ints
    stall: Ints
    released: Ints
    release: Ints


def solve_network(processes: Sequence[Process], frames: int) -> tuple[Network, Ints]:
    """The processes as arrays, and the times of all slots, one process after the other; see ``timing.solve``."""
    net = flatten(processes, frames)
    times, done = np.empty(net.total.sum(), np.int64), np.zeros(len(processes), np.int64)
    blocker = np.full(len(processes), -1)
    if (stuck := issue_all(net, times, done, blocker)) >= 0:
        raise Deadlock(_describe_waits(processes, blocker, stuck))
    return net, times


def flatten(processes: Sequence[Process], frames: int) -> Network:
    """Raises PlanError where a need names no process, or a stall pattern allows no cycle."""
    number = {process.name: i for i, process in enumerate(processes)}
    needs = [(process, need) for process in processes for need in process.needs]
    for process, need in needs:
        if need.process not in number or len(need.slot) != process.slots:
            raise PlanError(
                f"{process.name}: waits for {len(need.slot)} slots of {need.process!r}; needed are one for each of its "
                f"{process.slots} slots, of one of the processes {', '.join(number)}"
            )
    slots = np.array([process.slots for process in processes], np.int64)
    stalls = [_cycles_to_allowed(process) for process in processes]
    releases = [np.empty(0, np.int64) if process.release is None else process.release for process in processes]
    return Network(
        slots=slots,
        total=slots * frames,
        first=_starts(slots * frames)[:-1],
        need_first=_starts([len(process.needs) for process in processes]),
        need_process=np.array([number[need.process] for _, need in needs], np.int64),
        need_delay=np.array([need.delay for _, need in needs], np.int64),
        need_at=_starts([process.slots for process, _ in needs])[:-1],
        need_slot=_joined([need.slot for _, need in needs]),
        period=np.array([len(stall) for stall in stalls], np.int64),
        pattern=_starts([len(stall) for stall in stalls])[:-1],
        stall=_joined(stalls),
        released=np.where([process.release is None for process in processes], -1, _starts([*map(len, releases)])[:-1]),
        release=_joined(releases),
    )


def _joined(parts: Sequence[Ints]) -> Ints:
    return np.concatenate([np.empty(0, np.int64), *parts])


def _starts(sizes: Sequence[int] | Ints) -> Ints:
    return np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)


def _cycles_to_allowed(process: Process) -> Ints:
    """For each cycle of the stall pattern, the cycles from it to the first allowed one."""
    if process.allowed is None:
        return np.empty(0, np.int64)
    allowed = np.flatnonzero(process.allowed)
    if len(allowed) == 0:
        raise PlanError(f"{process.name}: its stall pattern allows no cycle at all; allow at least one")
    period = len(process.allowed)
    cycles = np.arange(period)
    return np.append(allowed, allowed[0] + period)[np.searchsorted(allowed, cycles)] - cycles


def _describe_waits(processes: Sequence[Process], blocker: Ints, stuck: int) -> str:
    """The circle of waits that process ``stuck`` leads to, or its wait for a frame that never comes."""
    number = {process.name: i for i, process in enumerate(processes)}
    needs: list[Need] = [need for process in processes for need in process.needs]
    way = [stuck]
    while True:
        need = needs[blocker[way[-1]]]
        wanted = number[need.process]
        if blocker[wanted] < 0:
            return f"{processes[way[-1]].name} waits for a slot of {need.process} in a frame after the last"
        if wanted in way:
            break
        way.append(wanted)
    circle = [(processes[p].name, needs[blocker[p]]) for p in way[way.index(wanted) :]]
    waits = (f"{name} waits for {need.what or 'a slot of ' + need.process}" for name, need in circle)
    return f"deadlock: {', '.join(waits)}; make a queue on this circle deeper"


@compiled
def issue_all(net: Network, times: Ints, done: Ints, blocker: Ints) -> int:
    """Fill ``times``; returns -1, or a process whose waits, followed along ``blocker``, lead to no issue.

    Slots of a process are issued until one needs a slot without a time: that need goes to ``blocker``, and its process
    takes over, so that nothing is tried in vain. One function, because a call takes longer than a slot.
    """
    slots_of, total_of, first_of = net.slots, net.total, net.first
    need_first, need_process, need_delay = net.need_first, net.need_process, net.need_delay
    need_at, need_slot, released, release = net.need_at, net.need_slot, net.released, net.release
    period, pattern, stall = net.period, net.pattern, net.stall
    p, idle = 0, 0
    while True:
        slots, first, total, start = slots_of[p], first_of[p], total_of[p], done[p]
        slot, frame, i = start % slots, start // slots, start
        time = times[first + start - 1] if start else -1
        missing = -1
        while i < total:
            time += 1
            for need in range(need_first[p], need_first[p + 1]):
                q = need_process[need]
                # NONE, the lowest integer, stays below 0 in every frame.
                wanted = need_slot[need_at[need] + slot] + frame * slots_of[q]
                if wanted < 0:
                    continue
                if wanted >= done[q]:
                    missing = need
                    break
                time = max(time, times[first_of[q] + wanted] + need_delay[need])
            if missing >= 0:
                break
            if released[p] >= 0:
                time = max(time, release[released[p] + i])
            if period[p]:
                time += stall[pattern[p] + time % period[p]]
            times[first + i] = time
            i += 1
            done[p] = i
            slot += 1
            if slot == slots:
                slot, frame = 0, frame + 1
        blocker[p] = missing
        if missing < 0:
            open_ones = np.flatnonzero(done < total_of)
            if len(open_ones) == 0:
                return -1
            p, idle = int(open_ones[0]), 0
            continue
        idle = 0 if i > start else idle + 1
        wanted_one = need_process[missing]
        if idle > len(slots_of) or done[wanted_one] == total_of[wanted_one]:
            return p
        p = int(wanted_one)


@compiled
def slowest_circle(net: Network, times: Ints, p: int, i: int) -> tuple[int, int, Ints]:
    """Follow what delayed slot ``i``, of all frames, of ``p`` back to the start, without stall patterns.

    Returns cycles and frames of the circle met on the way that takes most cycles per frame, and its processes.
    """
    seen = np.full(np.sum(net.slots), -1)  # per slot of a frame: its latest place on the way
    offset = np.cumsum(net.slots) - net.slots
    way_process = np.empty(len(times) + 1, np.int64)
    way_index = np.empty(len(times) + 1, np.int64)
    best_cycles, best_frames, best_from, best_to = 0, 1, 0, 0
    place = 0
    while i >= 0:
        way_process[place], way_index[place] = p, i
        slot = i % net.slots[p]
        before = seen[offset[p] + slot]
        if before >= 0:
            cycles = int(times[net.first[p] + way_index[before]] - times[net.first[p] + i])
            frames = int((way_index[before] - i) // net.slots[p])
            if cycles * best_frames > best_cycles * frames:
                best_cycles, best_frames, best_from, best_to = cycles, frames, before, place
        seen[offset[p] + slot] = place
        place += 1
        p, i = _cause(net, times, p, i)
    return best_cycles, best_frames, np.unique(way_process[best_from : best_to + 1])


@compiled
def _cause(net: Network, times: Ints, p: int, i: int) -> tuple[int, int]:
    """Process and index of a slot that slot ``i`` of ``p`` had to wait for up to its last cycle; index -1 if none."""
    time = times[net.first[p] + i]
    slot, frame = i % net.slots[p], i // net.slots[p]
    for need in range(net.need_first[p], net.need_first[p + 1]):
        q = net.need_process[need]
        wanted = net.need_slot[net.need_at[need] + slot] + frame * net.slots[q]
        if wanted >= 0 and times[net.first[q] + wanted] + net.need_delay[need] == time:
            return q, wanted
    if i > 0 and times[net.first[p] + i - 1] + 1 == time:
        return p, i - 1
    return p, -1
