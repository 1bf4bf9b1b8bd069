"""Time as arithmetic: every unit is a process that issues slots, and waits only for slots of other processes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..errors import PlanError
from ..ir.graph import Ints

Bools = NDArray[np.bool_]

NONE = int(np.iinfo(np.int64).min)
"""In ``Need.slot``: this slot waits for nothing."""


class Deadlock(PlanError):
    """Processes that wait for one another in a circle; the message names each wait."""


@dataclass(frozen=True, eq=False)
class Need:
    """Slot s of the owner issues no earlier than ``delay`` cycles after slot ``slot[s]`` of ``process``.

    slot: (slots of the owner,) slot numbers of the same frame; negative ones reach into earlier frames (-1: the last
        slot of the frame before), those past the end into later ones. NONE, and what lies before frame 0, is no wait.
    what: what is waited for, in words, for messages.
    """

    process: str
    slot: Ints
    delay: int
    what: str = ""


@dataclass(frozen=True, eq=False)
class Process:
    """Issues ``slots`` slots per frame in order, at most one a cycle, each as soon as its needs are met.

    allowed: cyclic pattern over the cycles from 0, in which cycles a slot may issue; None: always.
    release: (slots of all frames,), the cycle from which on each slot may issue; None: from 0 on.
    """

    name: str
    slots: int
    needs: tuple[Need, ...] = ()
    allowed: Bools | None = None
    release: Ints | None = None


@dataclass(frozen=True, eq=False)
class Reads:
    """How a process reads a buffer that another one fills, beat after beat: in any order, and as often as it likes.

    beat: (slots,), the beat that a slot reads, which must be there; NONE: the slot reads nothing.
    frees: (beats,), ascending: the slot with which the place of each beat becomes free; past the end: of a later frame.
    delay: cycles from that slot until the place can be filled again.
    """

    beat: Ints
    frees: Ints
    delay: int = 1


@dataclass(frozen=True, eq=False)
class Schedule:
    """One process over one frame, as its stage sees it; each array has shape (slots,).

    takes: per input port, which slots take a beat. starts: per output port, which slots start one.
    reads: per input port that leads out of a buffer, instead of takes.
    """

    takes: Mapping[str, Bools] = field(default_factory=dict)
    starts: Mapping[str, Bools] = field(default_factory=dict)
    reads: Mapping[str, Reads] = field(default_factory=dict)

    @property
    def slots(self) -> int:
        return len(next(iter((*self.takes.values(), *self.starts.values()))))

    @property
    def is_source(self) -> bool:
        return not self.takes and not self.reads

    def reading(self, port: str) -> Reads:
        """What the process does at an input port; a beat that is taken frees its place at once."""
        if port in self.reads:
            return self.reads[port]
        taking = self.takes[port]
        slots = np.flatnonzero(taking)
        beat = np.full(len(taking), NONE)
        beat[slots] = np.arange(len(slots))
        return Reads(beat, slots)


@dataclass(frozen=True)
class Link:
    """A stream with its queue of ``depth`` beats; a beat is visible ``latency`` cycles after the slot that starts it.

    Producer and consumer are names of processes. A latency of 0 is a wire without a queue, as from a source.
    depth: None is a queue that is never full.
    """

    name: str
    producer: str
    out_port: str
    consumer: str
    in_port: str
    latency: int
    depth: int | None = 1


def solve(processes: Sequence[Process], frames: int) -> dict[str, Ints]:
    """The cycle in which each slot issues, shape (frames * slots,) per process: T[s] = max(T[s-1] + 1, needs), or the
    first allowed cycle from there on. Raises Deadlock where a slot can never issue."""
    from .solver import solve_network  # loads numba, which takes half a second

    net, times = solve_network(processes, frames)
    return {process.name: part for process, part in zip(processes, np.split(times, net.first[1:]), strict=True)}


def source(beats: int) -> Schedule:
    """The outside that sends ``beats`` beats per frame from port y; a slot is the cycle in which valid rises."""
    return Schedule(starts={"y": np.ones(beats, np.bool_)})


def sink(beats: int) -> Schedule:
    """The outside that takes ``beats`` beats per frame at port x; a slot is a handshake."""
    return Schedule(takes={"x": np.ones(beats, np.bool_)})


def connect(
    schedules: Mapping[str, Schedule], links: Sequence[Link], allowed: Mapping[str, Bools] | None = None
) -> list[Process]:
    """The processes of a pipeline; several links may leave one port (a fork), each with a queue of its own.

    allowed: stall patterns by process name. Raises PlanError, naming the link, where the two ends do not fit.
    """
    needs: dict[str, list[Need]] = {name: [] for name in schedules}
    for link in links:
        starts, reading = beats_of(schedules, link)
        needs[link.consumer].append(_need_beat(link, starts, reading))
        if link.depth is not None:
            needs[link.producer].append(_need_room(link, link.depth, schedules, starts, reading))
    stalls = allowed or {}
    return [Process(name, schedule.slots, tuple(needs[name]), stalls.get(name)) for name, schedule in schedules.items()]


def handshakes(times: Mapping[str, Ints], schedules: Mapping[str, Schedule], links: Sequence[Link]) -> dict[str, Ints]:
    """The cycles, (frames * beats,), in which the beats of each stream are taken, from the ``times`` of ``solve``."""
    found = {}
    for link in links:
        if link.in_port in schedules[link.consumer].takes:
            taking = schedules[link.consumer].takes[link.in_port]
            found[link.name] = times[link.consumer].reshape(-1, len(taking))[:, taking].ravel()
    return found


def beats_of(schedules: Mapping[str, Schedule], link: Link) -> tuple[Ints, Reads]:
    """The slots that start a beat of ``link``, and how its consumer reads them; raises PlanError."""
    for process in (link.producer, link.consumer):
        if process not in schedules:
            raise PlanError(f"{link.name}: no process {process!r}; known are {', '.join(schedules)}")
    producer, consumer = schedules[link.producer], schedules[link.consumer]
    sides = (
        (link.producer, link.out_port, producer.starts),
        (link.consumer, link.in_port, {**consumer.takes, **consumer.reads}),
    )
    for process, port, ports in sides:
        if port not in ports:
            raise PlanError(f"{link.name}: {process} has no port {port!r}; known are {', '.join(ports) or 'none'}")
    starts, reading = np.flatnonzero(producer.starts[link.out_port]), consumer.reading(link.in_port)
    if len(starts) != len(reading.frees):
        raise PlanError(
            f"{link.name}: {link.producer} starts {len(starts)} beats per frame, "
            f"but {link.consumer} takes {len(reading.frees)}; both must agree"
        )
    return starts, reading


def _need_beat(link: Link, starts: Ints, reading: Reads) -> Need:
    if len(starts) == 0:
        return Need(link.producer, reading.beat, link.latency)
    slot = np.where(reading.beat == NONE, NONE, starts[np.maximum(reading.beat, 0)])
    return Need(link.producer, slot, link.latency, f"a beat of {link.name} from {link.producer}")


def _need_room(link: Link, depth: int, schedules: Mapping[str, Schedule], starts: Ints, reading: Reads) -> Need:
    """Beat k waits until the place of beat k - depth is free."""
    if depth < 1:
        raise PlanError(f"{link.name}: a queue of depth {depth} holds nothing; the smallest depth is 1")
    frame, beat = np.divmod(np.arange(len(starts)) - depth, len(starts)) if len(starts) else (starts, starts)
    slot = np.full(schedules[link.producer].slots, NONE)
    slot[starts] = reading.frees[beat] + frame * schedules[link.consumer].slots
    words = f"room in the queue of {link.name} (depth {depth}), which {link.consumer} empties"
    return Need(link.consumer, slot, reading.delay, words)
