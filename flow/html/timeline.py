"""Draws one frame on its way through all stages: when each takes its beats and gives its own, and when it waits."""

from collections.abc import Mapping, Sequence
from typing import Any
from xml.etree.ElementTree import Element

import numpy as np

from ...ir.graph import Ints
from ...quant.pruning.plot import linear_ticks
from .markup import Child, el, number, shorten, svg, text
from .trace import Passage, Trace

LEFT, FIELD, RIGHT = 196, 724, 240  # pixels for names, for cycles, for words about each stage
TOP, ROW, BAR, BOTTOM = 40, 27, 9, 40
NAME, WAIT = 27, 24  # characters that there is room for
CLOSE = 1.5  # pixels: gaps below this are not drawn

Row = Mapping[str, Any]


class Axis:
    """From cycles of the frame to pixels."""

    def __init__(self, end: int):
        self._per_cycle = FIELD / (end * 1.03)
        self.last = end * 1.03

    def __call__(self, cycle: float) -> float:
        return LEFT + cycle * self._per_cycle

    def path(self, cycles: Ints, top: float) -> str:
        """Boxes over the cycles in which there is a beat; those that come closely after one another are one."""
        breaks = np.flatnonzero((np.diff(cycles) - 1) * self._per_cycle > CLOSE) + 1
        runs = [(run[0], run[-1] + 1) for run in np.split(cycles, breaks)]
        return "".join(self._box(first, end, top) for first, end in runs)

    def span(self, cycles: Ints, top: float) -> str:
        """One box from the first beat to the last, as far as it lies in the field."""
        first, end = max(0, cycles[0]), min(self.last, cycles[-1] + 1)
        return self._box(first, end, top) if first < end else ""

    def _box(self, first: float, end: float, top: float) -> str:
        wide = max(0.6, (end - first) * self._per_cycle)
        return f"M{number(self(first))} {number(top)}h{number(wide)}v{BAR}h-{number(wide)}z"


def draw_timeline(trace: Trace, rows: Sequence[Row], clock_mhz: float) -> Element:
    """rows: ``layers`` of plan.json. Cycles stand below, microseconds at ``clock_mhz`` above."""
    axis, bottom = Axis(trace.end), TOP + ROW * len(rows)
    return svg(
        LEFT + FIELD + RIGHT, bottom + BOTTOM, "one frame on its way through the pipeline",
        _axes(axis, bottom, clock_mhz),
        [_row(axis, TOP + ROW * number, row, trace.passages[row["layer"]]) for number, row in enumerate(rows)],
        class_="timeline",
    )  # fmt: skip


def _axes(axis: Axis, bottom: float, clock_mhz: float) -> list[Child]:
    cycles = [tick for tick in linear_ticks(0, axis.last) if 0 <= tick <= axis.last]
    times = [tick for tick in linear_ticks(0, axis.last / clock_mhz) if 0 <= tick <= axis.last / clock_mhz]
    return [
        [el("path", d=f"M{number(axis(tick))} {TOP - 4}V{bottom + 4}", class_="grid") for tick in cycles],
        [text(axis(tick), bottom + 18, f"{tick:,g}", "middle") for tick in cycles],
        [el("path", d=f"M{number(axis(tick * clock_mhz))} {TOP - 9}v5", class_="tick") for tick in times],
        [text(axis(tick * clock_mhz), TOP - 13, f"{tick:,g} µs", "middle") for tick in times],
        text(LEFT + FIELD / 2, bottom + 34, "cycles since the first input beat of the frame", "middle"),
        text(LEFT + FIELD + 14, TOP - 13, "busy"),
        text(LEFT + FIELD + 66, TOP - 13, "waits, cycles a frame"),
    ]


def _row(axis: Axis, top: float, row: Row, passage: Passage) -> Element:
    kinds = (("taken", passage.taken, top + 4), ("given", passage.given, top + 5 + BAR))
    around = [el("path", d=axis.span(beats[n], y), class_=f"{kind} other") for kind, beats, y in kinds for n in (0, 2)]
    spans = [el("path", d=axis.span(beats[1], y), class_=f"{kind} span") for kind, beats, y in kinds]
    beats = [el("path", d=axis.path(beats[1], y), class_=kind) for kind, beats, y in kinds]
    waits = row["waits"]
    longest = max(waits, key=waits.get) if waits else ""
    words = f"{waits[longest]:,} for {longest}" if waits else ""
    middle = top + ROW / 2 + 4
    return el(
        "g",
        el("title", "\n".join((row["layer"], *(_in_words(kind, one[1]) for kind, one, _ in kinds)))),
        el("rect", x=0, y=top, width=LEFT + FIELD + RIGHT, height=ROW, class_="row"),
        text(LEFT - 10, middle, shorten(row["layer"], NAME), "end"),
        around, spans, beats,
        text(LEFT + FIELD + 14, middle, f"{row['busy']:.0%}"),
        text(LEFT + FIELD + 66, middle, shorten(words, WAIT)),
    )  # fmt: skip


def _in_words(kind: str, cycles: Ints) -> str:
    what = "takes" if kind == "taken" else "gives"
    return f"{what} {len(cycles):,} beats in cycles {cycles[0]:,} to {cycles[-1]:,}"
