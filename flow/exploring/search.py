"""The search itself: trials from the desk to the crew, outcomes back, until nobody has any left."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from ..table import show
from .crew import POLL_S, Crew
from .desk import Desk, State
from .results import best_so_far, figure_of, make_record, write_results
from .settings import Exploration, Point
from .trial import Outcome, Task


class Teller:
    """Says how many trials are done, on a bar that also shows what one is at. show: of ``bar``."""

    def __init__(self, show: Callable[[float, str, bool], None], total: int) -> None:
        self._show, self._total, self._share = show, total, 0.0

    def at(self, what: str) -> None:
        self._show(self._share, what, False)

    def tell(self, done: int, text: str) -> None:
        self._share = min(1.0, done / self._total)
        self._show(self._share, text, True)


@dataclass(frozen=True)
class Place:
    """Where an exploration is: the run it starts from, its data, and the folder; paths as the user wrote them."""

    run: Path
    data: Path | None
    folder: Path

    def task(self, exploration: Exploration, point: Point) -> Task:
        data = self.data and (self.data if str(self.data) == "digits" else self.data.resolve())
        paths = self.run.resolve(), data, self.folder.resolve()
        return Task(*paths, exploration.training, exploration.hardware, point)


def search(exploration: Exploration, place: Place, desk: Desk, crew: Crew, teller: Teller) -> dict[str, Any]:
    """Work until every trial is done, by this process or by others; the record of results, as it is in the folder."""
    running: dict[int, Point] = {}
    waits = False
    teller.at("begin")
    while True:
        while len(running) < crew.places and (claim := desk.claim()):
            crew.start(claim.number, place.task(exploration, claim.point))
            running[claim.number] = claim.point
        if running:
            for number, outcome in crew.finished():
                desk.finish(number, outcome)
                state, _ = save(exploration, place, desk)
                text = describe(exploration, state, running.pop(number), outcome)
                teller.tell(state.done, text)
            continue
        state, record = save(exploration, place, desk)
        if not state.left:
            return record
        if not waits:
            are = "trial is" if state.left == 1 else "trials are"
            teller.tell(state.done, f"{state.left} {are} at work elsewhere; waiting")
        waits = True
        time.sleep(POLL_S)


def save(exploration: Exploration, place: Place, desk: Desk) -> tuple[State, dict[str, Any]]:
    """Write what is known by now; of several processes the last one to write knows most."""
    with FileLock(place.folder / ".results.lock"):
        state = desk.state()
        record = make_record(place.run, exploration, state.outcomes)
        write_results(place.folder, record)
    return state, record


def describe(exploration: Exploration, state: State, point: Point, outcome: Outcome) -> str:
    """A trial that is done, and the best of all so far."""
    first = exploration.objectives[0]
    found = "infeasible" if "infeasible" in outcome else figure_of(outcome["figures"], first)
    chosen = ", ".join(f"{name.replace('_', ' ')} {show(value)}" for name, value in point.items())
    text = f"trial {state.done} of {exploration.total}: {chosen}: {found}"
    best = best_so_far(state.outcomes, first)
    return text + (f"; best {best}" if best else "")
