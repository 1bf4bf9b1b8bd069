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
        slot of the frame before), those past the end into later ones. Before frame 0, and at NONE, nothing is waited for.
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
    """

    name: str
    slots: int
    needs: tuple[Need, ...] = ()
    allowed: Bools | None = None


@dataclass(frozen=True, eq=False)
class Schedule:
    """One process over one frame, as its stage sees it; each array has shape (slots,).

    takes: per input port, which slots take a beat. starts: per output port, which slots start one.
    needs: waits inside the unit, such as for its own writer.
    """

    takes: Mapping[str, Bools] = field(default_factory=dict)
    starts: Mapping[str, Bools] = field(default_factory=dict)
    needs: tuple[Need, ...] = ()

    @property
    def slots(self) -> int:
        return len(next(iter((*self.takes.values(), *self.starts.values()))))


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
