"""Random pipelines, and the stage contract played cycle by cycle in plain Python: the oracle of the timing model."""

from dataclasses import dataclass

import numpy as np
from hypothesis import strategies as st

from espalier.hw.timing import Bools, Link, Schedule, sink, source


@dataclass
class Pipeline:
    schedules: dict[str, Schedule]
    links: list[Link]
    allowed: dict[str, Bools]


def one_stage(latency: int, depth: int | None) -> tuple[dict[str, Schedule], list[Link]]:
    """One slot a frame between source and sink, with a queue of ``depth``."""
    one = np.ones(1, bool)
    schedules = {"source_x": source(1), "a": Schedule({"x": one}, {"y": one}), "sink_y": sink(1)}
    links = [Link("x", "source_x", "y", "a", "x", 0, 1), Link("y", "a", "y", "sink_y", "x", latency, depth)]
    return schedules, links


def random_slots(rng: np.random.Generator, slots: int, beats: int) -> Bools:
    return rng.permutation(np.arange(slots) < beats)


def random_pipeline(stages: int, seed: int, stalls: bool) -> Pipeline:
    """Stages with one or two inputs and outputs each, forks and joins, and a sink at each end nobody reads."""
    rng = np.random.default_rng(seed)
    beats = int(rng.integers(1, 6))
    schedules, links = {"source_x": source(beats)}, []
    streams, unread = [("source_x", "y", beats)], {("source_x", "y"): beats}

    def link(stream: tuple[str, str, int], consumer: str, port: str) -> None:
        latency, depth = (0, 1) if stream[0] == "source_x" else (int(rng.integers(1, 7)), int(rng.integers(1, 6)))
        links.append(Link(f"q{len(links)}", stream[0], stream[1], consumer, port, latency, depth))
        unread.pop(stream[:2], None)

    for i in range(stages):
        name = f"s{i}"
        # Recent streams are likelier, which gives chains with an occasional join.
        recent = streams[-3:]
        inputs = [recent[int(rng.integers(len(recent)))] for _ in range(1 + int(rng.random() < 0.4))]
        outputs = {port: int(rng.integers(1, 6)) for port in ("y", "z")[: 1 + int(rng.random() < 0.3)]}
        slots = max(*(stream[2] for stream in inputs), *outputs.values(), int(rng.integers(1, 12)))
        schedules[name] = Schedule(
            {f"x{k}": random_slots(rng, slots, stream[2]) for k, stream in enumerate(inputs)},
            {port: random_slots(rng, slots, count) for port, count in outputs.items()},
        )
        for k, stream in enumerate(inputs):
            link(stream, name, f"x{k}")
        streams += [(name, port, count) for port, count in outputs.items()]
        unread |= {(name, port): count for port, count in outputs.items()}
    for (producer, port), count in list(unread.items()):
        schedules[f"sink_{producer}_{port}"] = sink(count)
        link((producer, port, count), f"sink_{producer}_{port}", "x")
    ends = [name for name in schedules if name.startswith(("source", "sink"))]
    return Pipeline(schedules, links, {name: random_pattern(rng) for name in ends} if stalls else {})


def random_pattern(rng: np.random.Generator) -> Bools:
    pattern = rng.random(int(rng.integers(1, 20))) < 0.5
    pattern[rng.integers(len(pattern))] = True
    return pattern


pipelines = st.builds(random_pipeline, st.integers(1, 6), st.integers(0, 2**32 - 1), st.booleans())


def play(pipeline: Pipeline, frames: int) -> dict[str, list[int]] | None:
    """The handshakes of each link, by controllers with credits and queues with latency; None if it gets stuck."""
    schedules, links = pipeline.schedules, pipeline.links
    issued = {name: 0 for name in schedules}
    credits = {link.name: link.depth for link in links}
    visible: dict[str, list[int]] = {link.name: [] for link in links}  # cycle from which each unread beat is visible
    taken: dict[str, list[int]] = {link.name: [] for link in links}
    cycle = quiet = 0
    while any(issued[name] < frames * schedule.slots for name, schedule in schedules.items()):
        popped, fired = [], False
        for name, schedule in schedules.items():
            slot = issued[name] % schedule.slots
            inputs = [link for link in links if link.consumer == name and schedule.takes[link.in_port][slot]]
            outputs = [link for link in links if link.producer == name and schedule.starts[link.out_port][slot]]
            pattern = pipeline.allowed.get(name, np.ones(1, bool))
            if (
                issued[name] == frames * schedule.slots
                or not pattern[cycle % len(pattern)]
                or any(not visible[link.name] or visible[link.name][0] > cycle for link in inputs)
                or any(not credits[link.name] for link in outputs)
            ):
                continue
            for link in inputs:
                visible[link.name].pop(0)
                taken[link.name].append(cycle)
                popped.append(link.name)
            for link in outputs:
                credits[link.name] -= 1
                visible[link.name].append(cycle + link.latency)
            issued[name] += 1
            fired = True
        for name in popped:
            credits[name] += 1
        cycle += 1
        quiet = 0 if fired else quiet + 1
        if quiet > 40:  # longer than any latency or pattern
            return None
    return taken
