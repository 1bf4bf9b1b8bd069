"""One late frame of a continuous stream on its way through the pipeline, and how full it finds the queues."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ...hw.design import Channel, Design
from ...hw.timing import Link, Schedule, beats_of, connect, handshakes, solve
from ...ir.graph import Ints

FEWEST_FRAMES = 8
MOST_SLOTS = 16_000_000  # to solve in search of a steady frame
SHOWN = 3  # frames: the one before, the one that is looked at, the one after


@dataclass(frozen=True)
class Fill:
    """Places of a queue that are taken while a frame passes: from the start of a beat until it has left."""

    depth: int
    mean: float
    highest: int


@dataclass(frozen=True, eq=False)
class Passage:
    """The cycles, (3, beats), in which a stage takes the beats of the frame before, of this one and of the one after,
    and in which the next stages take what it gives; ascending."""

    taken: Ints
    given: Ints


@dataclass(frozen=True, eq=False)
class Trace:
    """frame: its number in the stream, from 0 on; cycle 0 is that of its first input beat. is_steady: every beat of the
    next frame comes ``ii_cycles`` later. passages: by stage; fills: by queue."""

    frame: int
    ii_cycles: float
    is_steady: bool
    passages: Mapping[str, Passage]
    fills: Mapping[str, Fill]

    @property
    def end(self) -> int:
        """The cycle after its last beat."""
        return int(max(passage.given[1].max() for passage in self.passages.values())) + 1


def trace(design: Design, ii_cycles: float) -> Trace:
    """Of a stream that never pauses: a frame in the steady state, or as late a one as can be solved for."""
    schedules, links = design.schedules, design.links
    slots, late, is_steady = _run(schedules, links, ii_cycles)
    begin = min(int(late[channel.name][1].min()) for channel in design.channels if channel.is_input)
    passages = {
        name: Passage(
            _merge(late[channel.name] - begin for channel in design.channels if channel.taker == name),
            _merge(late[channel.name] - begin for channel in design.channels if channel.link.producer == name),
        )
        for name in design.stages
    }
    queues = (channel for channel in design.channels if not channel.is_input)
    fills = {channel.name: _fill(design, channel, slots) for channel in queues}
    frames = len(next(iter(slots.values())))
    return Trace(frames - 2, ii_cycles, is_steady, passages, fills)


def _run(
    schedules: Mapping[str, Schedule], links: Sequence[Link], ii_cycles: float
) -> tuple[dict[str, Ints], dict[str, Ints], bool]:
    """The cycles of all slots, (frames, slots), and of the handshakes of the last frames, (SHOWN, beats); and whether
    each frame of the later half is as far behind the one before as in the steady state."""
    processes, frames = connect(schedules, links), FEWEST_FRAMES
    while True:
        times = solve(processes, frames)
        taken = {n: cycles.reshape(frames, -1) for n, cycles in handshakes(times, schedules, links).items()}
        is_steady = all((np.diff(cycles[frames // 2 :], axis=0) == ii_cycles).all() for cycles in taken.values())
        if is_steady or 2 * frames * sum(process.slots for process in processes) > MOST_SLOTS:
            slots = {name: cycles.reshape(frames, -1) for name, cycles in times.items()}
            return slots, {name: cycles[-SHOWN:] for name, cycles in taken.items()}, is_steady
        frames *= 2


def _merge(tables: Iterable[Ints]) -> Ints:
    return np.sort(np.concatenate(list(tables), axis=1), axis=1)


def _fill(design: Design, channel: Channel, slots: Mapping[str, Ints]) -> Fill:
    """While the frame passes: from the start of its first beat to the start of the next frame's."""
    link, schedules = channel.link, design.schedules
    first, reading = beats_of(schedules, link)
    starts, taking = slots[link.producer][:, first], slots[link.consumer]
    frees = reading.frees + taking.shape[1] * np.arange(len(taking))[:, None]
    given_back = taking.ravel()[np.minimum(frees.ravel(), taking.size - 1)] + reading.delay
    begin, end = int(starts[-2, 0]), int(starts[-1, 0])
    held = np.minimum(given_back, end) - np.maximum(starts.ravel(), begin)
    free_before = np.searchsorted(given_back, starts[-2], side="right")
    number = np.arange(starts.size).reshape(starts.shape)[-2] + 1
    assert link.depth is not None
    return Fill(link.depth, float(held[held > 0].sum()) / (end - begin), int((number - free_before).max()))
