"""The steady state of a pipeline, exact: cycles per frame as the slowest circle of waits, with proof."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..ir.graph import Ints
from .timing import NONE, Need, Process


@dataclass(frozen=True)
class Rate:
    """``frames`` frames every ``cycles`` cycles; ``circle`` names the processes whose waits for one another set it."""

    cycles: int
    frames: int
    circle: tuple[str, ...]


def find_rate(processes: Sequence[Process]) -> Rate:
    """The steady-state rate: each process at its own pace at first, then slowed to the slowest circle found, until all
    keep pace for good. Queues that never fill may let processes run ahead for ever; the rate is the slowest one's."""
    slowest = max(processes, key=lambda process: process.slots)
    found: Rate | dict[str, Ints] = Rate(slowest.slots, 1, (slowest.name,))
    while True:
        rate, found = found, pace(processes, found)
        if not isinstance(found, Rate):
            return rate


def pace(processes: Sequence[Process], rate: Rate) -> dict[str, Ints] | Rate:
    """The times of all slots if none may come sooner than ``rate`` after its like of an earlier frame, (frames, slots)
    per process, up to where they repeat for ever; or a slower circle of waits, which makes ``rate`` impossible.

    Frame 0 is as without a pace. If a schedule at ``rate`` exists, the times stay below it (max-plus operators are
    monotone), and each frame is at least one period after its like; as integers they settle. If none exists, they
    drift, and what delays a late slot must run through the circle that causes it.
    """
    from .solver import slowest_circle, solve_network  # loads numba

    paced = [_paced(process, rate) for process in processes]
    reach = _reach(paced)
    frames = 2 * (reach + rate.frames)
    while True:
        net, times = solve_network(paced, frames)
        parts = np.split(times, net.first[1:])
        table = {process.name: part.reshape(frames, -1) for process, part in zip(paced, parts, strict=True)}
        drift, slot, late = max(
            (*_largest_drift(part, rate, reach), number) for number, part in enumerate(table.values())
        )
        if drift == 0:
            return table
        cycles, tokens, circle = slowest_circle(net, times, late, slot)
        if cycles * rate.frames > rate.cycles * tokens:
            return Rate(int(cycles), int(tokens), tuple(paced[p].name for p in circle))
        frames *= 2


def prolong(times: Ints, rate: Rate, frames: int) -> Ints:
    """Paced times, (frames so far, slots), with ``frames`` more of what they repeat."""
    later = np.arange(frames)
    return np.concatenate(
        [
            times,
            times[len(times) - rate.frames + later % rate.frames] + rate.cycles * (later // rate.frames + 1)[:, None],
        ]
    )


def _paced(process: Process, rate: Rate) -> Process:
    slot = np.arange(process.slots) - rate.frames * process.slots
    return replace(process, needs=(*process.needs, Need(process.name, slot, rate.cycles)))


def _reach(processes: Sequence[Process]) -> int:
    """How many frames back the needs look, at least one: the state that decides all later frames."""
    slots = {process.name: process.slots for process in processes}
    back = [
        -(int(need.slot[need.slot != NONE].min(initial=0)) // slots[need.process])
        for process in processes
        for need in process.needs
    ]
    return max(1, *back)


def _largest_drift(times: Ints, rate: Rate, reach: int) -> tuple[int, int]:
    """The largest delay of a slot in the last ``reach`` frames beyond one period after its like, and which slot, of
    all frames, has it."""
    late = times[-reach:] - times[-reach - rate.frames : -rate.frames]
    place = int(late.argmax())
    return int(late.flat[place]) - rate.cycles, times.size - late.size + place
