"""Explorations without training: a crew that makes figures up from the point, and a program to kill."""

import sys
from pathlib import Path

from espalier.flow.exploring.settings import Exploration, Hardware, Training

AXES = {"sparsity": (0.0, 0.5), "weights": (2, 4), "activations": (3, 4), "target_fps": (1e5, 1e6)}
OBJECTIVES = "accuracy", "density", "multipliers", "fps"


def exploration(sampler="grid", trials=0, axes=AXES, seed=0):
    training = Training("0" * 64, "joint", 1, 1, 0.01, 256, seed, 1)
    return Exploration(axes, training, Hardware(None, None), OBJECTIVES, sampler, trials)


def outcome_of(point):
    """More bits are better, more channels, too; no fast hardware of many bits."""
    network = f"s{point['sparsity']}-w{point['weights']}-a{point['activations']}"
    if point["target_fps"] == 1e6 and point["weights"] == point["activations"] == 4:
        return {"network": network, "infeasible": "the target of 1e6 fps cannot be reached; lower --fps"}
    bits = (1 - point["sparsity"]) * point["weights"] * point["activations"]
    figures = {"accuracy": 1 - 1 / (2 + bits), "density": 100 / bits, "fps": point["target_fps"]}
    more = {"multipliers": round(bits * point["target_fps"] / 1e5), "ii_cycles": 10, "latency_cycles": 20}
    return {"network": network, "figures": figures | more}


class MadeUp:
    """A crew of ``places`` that writes each point it finishes to ``log``."""

    def __init__(self, log, seconds=0.0, places=1):
        self.places, self._log, self._seconds, self._tasks = places, log, seconds, []

    def start(self, number, task):
        self._tasks.append((number, task.point))

    def finished(self):
        import time

        time.sleep(self._seconds)
        number, point = self._tasks.pop(0)
        with self._log.open("a") as file:
            file.write(f"{number} {list(point.values())}\n")
        return [(number, outcome_of(point))]


def explore(folder, wanted, crew, url=None, told=None):
    """The record of results."""
    from espalier.flow.exploring.desk import Desk
    from espalier.flow.exploring.search import Place, Teller, search

    folder.mkdir(exist_ok=True)
    desk = Desk(wanted, folder, url)
    lines = told if told is not None else []
    try:
        return search(
            wanted,
            Place(Path("run"), None, folder),
            desk,
            crew,
            Teller(lambda *line: lines.append(line), wanted.total),
        )
    finally:
        desk.close()


def die_at_commit(number):
    """End this process as kill -9 does, just before it changes the database for the ``number``-th time."""
    import os

    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    left = [number]

    def commit(connection):
        left[0] -= 1
        if left[0] < 0:
            os.kill(os.getpid(), 9)

    event.listen(Engine, "commit", commit)


if __name__ == "__main__":  # FOLDER SECONDS SAMPLER [COMMITS]
    folder, sampler = Path(sys.argv[1]), sys.argv[3]
    if len(sys.argv) > 4:
        die_at_commit(int(sys.argv[4]))
    wanted = exploration(sampler, 0 if sampler == "grid" else 12)
    explore(folder, wanted, MadeUp(folder.parent / f"{folder.name}.log", float(sys.argv[2])))
