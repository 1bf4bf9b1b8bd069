"""Slots per second of the timing solver, one core: ten folded layers, short queues, stalls at both ends."""

from argparse import ArgumentParser
from itertools import pairwise
from statistics import median
from time import perf_counter

import numpy as np

from espalier.hw.queues import analyse, smallest_depths
from espalier.hw.timing import Link, Schedule, connect, sink, solve, source

LAYERS, BEATS, GROUPS = 10, 32, 32


def layer() -> Schedule:
    """A dense layer of 1,024 slots: scans 32 beats once for each of 32 output beats."""
    slot = np.arange(BEATS * GROUPS)
    return Schedule({"x": slot < BEATS}, {"y": slot % BEATS == BEATS - 1})


def pipeline() -> tuple[dict[str, Schedule], list[Link]]:
    schedules = {"source_x": source(BEATS)} | {f"fc{i}": layer() for i in range(LAYERS)} | {"sink_y": sink(GROUPS)}
    names = list(schedules)
    links = [
        Link(f"{a}_y", a, "y", b, "x", 0 if i == 0 else 9, 1 if i == 0 else 4)
        for i, (a, b) in enumerate(pairwise(names))
    ]
    return schedules, links


def seconds(action) -> float:
    """Median of 5 runs after one that compiles."""
    action()
    times = []
    for _ in range(5):
        start = perf_counter()
        action()
        times.append(perf_counter() - start)
    return median(times)


def main() -> None:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=1000, help="frames to solve (default 1000)")
    frames = parser.parse_args().frames
    schedules, links = pipeline()
    rng = np.random.default_rng(0)
    stalls = {"source_x": rng.random(4096) < 0.75, "sink_y": rng.random(4096) < 0.75}
    for name, allowed in (("free", None), ("stalled", stalls)):
        processes = connect(schedules, links, allowed)
        slots = frames * sum(process.slots for process in processes)
        taken = seconds(lambda processes=processes: solve(processes, frames))
        print(f"{name:8} {slots:,} slots in {taken:.3f} s: {slots / taken / 1e6:.0f} million slots/s")
    print(f"smallest depths of {len(links)} queues: {seconds(lambda: smallest_depths(schedules, links)):.3f} s")
    print(f"analysis: {seconds(lambda: analyse(schedules, links)):.3f} s")


if __name__ == "__main__":
    main()
