"""Schedules: at which steps of a training which groups lose how many channels, and from what they are judged."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ...errors import GraphError

INCREMENTS = 5
"""Of the stepwise schedule, and how often a layer's mask is chosen anew in its interval of the layerwise one."""


@dataclass(frozen=True)
class Window:
    """Steps of the training that pruning may take: from ``start`` until before ``end``."""

    start: int
    end: int

    @classmethod
    def of_shares(cls, steps: int, start: float, end: float) -> "Window":
        first = int(steps * start)
        return cls(first, max(first + 1, int(steps * end)))


@dataclass(frozen=True)
class Event:
    """Before ``step``, ``keep`` channels of group number ``group`` are chosen by what was gathered from ``since`` on.

    final: those dropped never come back.
    """

    step: int
    group: int
    keep: int
    since: int
    final: bool


def layerwise(channels: Sequence[int], keep: Sequence[int], window: Window) -> list[Event]:
    """One group after the other, from the input on, so that each is judged behind those already pruned.

    In its interval a group's mask is chosen anew several times, at the full sparsity, and at its end for good
    (Zhang, Colbert, Das 2022).
    """
    pruned = _pruned(channels, keep)
    events = []
    for place, group in enumerate(pruned):
        start = window.start + (window.end - window.start) * place // len(pruned)
        end = max(start + 1, window.start + (window.end - window.start) * (place + 1) // len(pruned))
        steps = sorted({start + max(1, (end - start) * part // INCREMENTS) for part in range(1, INCREMENTS + 1)})
        events += [Event(step, group, keep[group], start, step == steps[-1]) for step in steps]
    return events


def one_shot(channels: Sequence[int], keep: Sequence[int], window: Window) -> list[Event]:
    """All groups at once, at the end of a window in which all were observed."""
    return [Event(window.end, group, keep[group], window.start, True) for group in _pruned(channels, keep)]


def stepwise(channels: Sequence[int], keep: Sequence[int], window: Window) -> list[Event]:
    """All groups in increments, large ones first: s(1 - (1 - k/n)^3) after the k-th of n (Zhu, Gupta 2017)."""
    shares = {}
    for part in range(1, INCREMENTS + 1):
        step = max(window.start + 1, window.start + (window.end - window.start) * part // INCREMENTS)
        shares[step] = 1 - (1 - part / INCREMENTS) ** 3
    return [
        Event(step, group, channels[group] - round(share * (channels[group] - keep[group])), before, True)
        for group in _pruned(channels, keep)
        for before, (step, share) in zip([window.start, *shares], shares.items())
    ]


def _pruned(channels: Sequence[int], keep: Sequence[int]) -> list[int]:
    return [group for group, (all_of_them, left) in enumerate(zip(channels, keep, strict=True)) if left < all_of_them]


Schedule = Callable[[Sequence[int], Sequence[int], Window], list[Event]]
SCHEDULES: dict[str, Schedule] = {"layerwise": layerwise, "one-shot": one_shot, "stepwise": stepwise}


def find_schedule(name: str) -> Schedule:
    if name not in SCHEDULES:
        raise GraphError(f"unknown schedule {name!r}; known schedules: {', '.join(SCHEDULES)}")
    return SCHEDULES[name]
