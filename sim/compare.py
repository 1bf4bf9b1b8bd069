"""Compares what a simulation recorded with what it had to be: value and cycle of every beat of every stream."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import ToolError
from .folder import Vectors, Words
from .streams import Stream

DESCRIBED = 10  # wrong values, and wrong cycles, of a run in words


@dataclass(frozen=True)
class Mismatch:
    """One difference in words, with the cycle in which it was seen (or missed); late: the value is right."""

    cycle: int
    text: str
    late: bool = False


@dataclass(frozen=True, eq=False)
class Comparison:
    """Of one stream: what came, and how many beats have a wrong value or cycle, lost and surplus ones included."""

    stream: Stream
    beats: Words
    cycles: Words
    expected_beats: int
    wrong_values: int
    wrong_cycles: int
    first: tuple[Mismatch, ...]


def read_records(path: Path, stream: Stream) -> Words:
    """Rows of (cycle, payload words)."""
    words = np.fromfile(path, "<u4")
    row = 1 + stream.words
    if words.size % row:
        raise ToolError(f"{path}: {words.size} words are no whole number of records of {row} words; simulate again")
    return words.reshape(-1, row)


def compare_stream(stream: Stream, records: Words, vectors: Vectors) -> Comparison:
    """Equality without tolerance; the first differing beats are described."""
    expected, cycles = vectors.beats[stream.name], vectors.cycles[stream.name]
    got_cycles, got = records[:, 0], records[:, 1:]
    common = min(len(expected), len(got))
    off_by = abs(len(expected) - len(got))
    bad_values = (expected[:common] != got[:common]).any(axis=1)
    bad_cycles = cycles[:common] != got_cycles[:common]
    first: list[Mismatch] = []
    for beat in map(int, np.flatnonzero(bad_values)[:DESCRIBED]):
        first += describe_values(stream, beat, expected[beat], got[beat], int(got_cycles[beat]))
    for beat in map(int, np.flatnonzero(bad_cycles)[:DESCRIBED]):
        first.append(describe_cycle(stream, beat, int(cycles[beat]), int(got_cycles[beat])))
    if off_by:
        seen = int(cycles[common]) if common < len(expected) else int(got_cycles[common])
        first.append(Mismatch(seen, f"{head(stream)}: {len(expected)} beats expected, {len(got)} came"))
    wrong_values, wrong_cycles = int(bad_values.sum()) + off_by, int(bad_cycles.sum()) + off_by
    return Comparison(stream, got, got_cycles, len(expected), wrong_values, wrong_cycles, tuple(first))


def head(stream: Stream) -> str:
    return f"stream {stream.name}, layer {stream.layer}"


def describe_values(stream: Stream, beat: int, expected: Words, got: Words, cycle: int) -> list[Mismatch]:
    """One mismatch for each lane that differs."""
    mismatches = []
    for lane, (wanted, came) in enumerate(zip(lanes(stream, expected), lanes(stream, got))):
        if wanted == came:
            continue
        frame, pixel, channel = stream.place(beat, lane)
        what = f"channel {channel}" if channel < stream.tensor.channels else f"padding lane {lane}"
        if lane == stream.lanes:
            what = "padding bits"
        place = f"{head(stream)}, frame {frame}, pixel {pixel}, {what}"
        mismatches.append(Mismatch(cycle, f"{place}: expected {wanted}, got {came}, in cycle {cycle}"))
    return mismatches


def describe_cycle(stream: Stream, beat: int, expected: int, got: int) -> Mismatch:
    frame, pixel, channel = stream.place(beat, 0)
    place = f"{head(stream)}, frame {frame}, pixel {pixel}, channel {channel}"
    return Mismatch(min(expected, got), f"{place}: expected in cycle {expected}, came in cycle {got}", late=True)


def lanes(stream: Stream, words: Words) -> list[int]:
    """The lanes of one payload; whatever stands above them comes last, as one unsigned number."""
    payload = int.from_bytes(words.astype("<u4").tobytes(), "little")
    bits = stream.tensor.dtype.bits
    values = [payload >> bits * lane & (1 << bits) - 1 for lane in range(stream.lanes)]
    if stream.tensor.dtype.signed:
        values = [value - (1 << bits) if value >> bits - 1 else value for value in values]
    return [*values, payload >> bits * stream.lanes]


def earliest(comparisons: Mapping[str, Comparison]) -> list[str]:
    """The first wrong values and lost beats of all streams, then the first wrong cycles: causes before effects."""
    found = sorted((one for comparison in comparisons.values() for one in comparison.first), key=lambda one: one.cycle)
    return [one.text for late in (False, True) for one in [one for one in found if one.late is late][:DESCRIBED]]
