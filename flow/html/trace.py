"""One late frame of a continuous stream on its way through the pipeline, and how full it finds the queues."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from ...hw.design import Channel, Design
from ...hw.queues import watched_frames
from ...hw.timing import beats_of, connect, handshakes, solve
from ...ir.graph import Ints

FEWEST_FRAMES = 6
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
    """frame: its number from 0 on; cycle 0 is that of its first input beat. is_steady: every beat of the next frame
    comes ``ii_cycles`` later. passages: by stage; fills: by queue."""

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
    """What is predicted for the last frame but one of as many as ``analyse`` looks at, and one more."""
    schedules, links = design.schedules, design.links
    processes = connect(schedules, links)
    frames = max(FEWEST_FRAMES, watched_frames(processes) + 1)
    times = solve(processes, frames)
    late = {name: cycles.reshape(frames, -1)[-SHOWN:] for name, cycles in handshakes(times, schedules, links).items()}
    begin = min(int(late[channel.name][1].min()) for channel in design.channels if channel.is_input)
    passages = {
        name: Passage(
            _merge(late[channel.name] - begin for channel in design.channels if channel.taker == name),
            _merge(late[channel.name] - begin for channel in design.channels if channel.link.producer == name),
        )
        for name in design.stages
    }
    is_steady = all((np.diff(cycles[1:], axis=0) == ii_cycles).all() for cycles in late.values())
    slots = {name: cycles.reshape(frames, -1) for name, cycles in times.items()}
    queues = (channel for channel in design.channels if not channel.is_input)
    fills = {channel.name: _fill(design, channel, slots) for channel in queues}
    return Trace(frames - 2, ii_cycles, is_steady, passages, fills)


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
