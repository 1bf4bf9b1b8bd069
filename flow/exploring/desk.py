"""Where a process gets trials and hands results in: one desk for all processes, and no trial is lost when one dies."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from filelock import FileLock

from ..folder import digest_of
from .members import Member
from .samplers import make_sampler
from .settings import HIGHER, Exploration, Point
from .storage import GRACE_S, HEARTBEAT_S, failures, open_storage
from .trial import Outcome

LOCK = ".explore.lock"
MEMBER, OUTCOME, POINT = "member", "outcome", "point"
"""Attributes of a trial: whose it is, what came out, and the digest of the point that was asked for."""


@dataclass(frozen=True)
class Claim:
    """A trial that this process is to do."""

    number: int
    point: Point


@dataclass(frozen=True)
class State:
    """done: trials. left: to be done, by whoever. outcomes: by point, in the order of points."""

    done: int
    left: int
    outcomes: list[tuple[Point, Outcome]]


class Desk:
    """The study of an exploration in its storage, as one of the processes sees it that work on it.

    A running trial bears the name of its member. One whose member is dead goes to the next process that asks. Members
    of other folders, which share the database only, are told dead by heartbeats.
    """

    def __init__(self, exploration: Exploration, folder: Path, url: str | None) -> None:
        self._exploration, self._folder, self._url = exploration, folder, url
        self._running: dict[int, Any] = {}
        self._closed = threading.Event()
        with self._alone():
            import optuna

            self._storage = open_storage(folder, url)
            directions: list[Any] = ["maximize" if name in HIGHER else "minimize" for name in exploration.objectives]
            self._study = optuna.create_study(
                storage=self._storage, study_name=exploration.name(), directions=directions, load_if_exists=True
            )
            self._member = Member(folder)
            if exploration.sampler == "grid":
                self._enqueue()
        if url:
            threading.Thread(target=self._beat, daemon=True).start()

    def claim(self) -> Claim | None:
        """The next trial to do; None where all are done, or at work elsewhere."""
        with self._alone():
            trials = self._study.get_trials(deepcopy=False)
            trial = self._take_over(trials) or self._ask(trials)
            if trial is None:
                return None
            trial.set_user_attr(MEMBER, self._member.name)
            point = {name: trial.suggest_categorical(name, values) for name, values in self._exploration.axes.items()}
            self._running[trial.number] = trial
            self._record_heartbeats()
            return Claim(trial.number, point)

    def finish(self, number: int, outcome: Outcome) -> None:
        import optuna

        trial = self._running.pop(number)
        # It is finished already where heartbeats were late, and another process took this one for dead.
        with self._alone(), suppress(optuna.exceptions.UpdateFinishedTrialError):
            trial.set_user_attr(OUTCOME, outcome)
            if "infeasible" in outcome:
                self._study.tell(trial, state=optuna.trial.TrialState.FAIL)
            else:
                self._study.tell(trial, [outcome["figures"][name] for name in self._exploration.objectives])

    def state(self) -> State:
        with self._alone():
            trials = self._study.get_trials(deepcopy=False)
        done = [trial for trial in trials if _is_done(trial)]
        points = {digest_of(trial.params): trial for trial in done}
        ordered = sorted(points.values(), key=lambda trial: [trial.params[name] for name in self._exploration.axes])
        outcomes = [(self._exploration.ordered(trial.params), trial.user_attrs[OUTCOME]) for trial in ordered]
        count = len(outcomes) if self._exploration.sampler == "grid" else len(done)
        pending = sum(not trial.state.is_finished() for trial in trials)
        return State(count, max(pending, self._exploration.total - count), outcomes)

    def close(self) -> None:
        self._closed.set()
        with FileLock(self._folder / LOCK):
            # Where nobody else looks, a trial of a member without a file is known to be abandoned, too.
            self._member.leave(is_named=bool(self._running), sweeps=self._url is None)
        self._storage.engine.dispose()

    @contextmanager
    def _alone(self) -> Iterator[None]:
        with FileLock(self._folder / LOCK), failures(self._url):
            yield

    def _enqueue(self) -> None:
        """Every point that is not in the study, or was lost with a process that died elsewhere."""
        trials = self._study.get_trials(deepcopy=False)
        known = {trial.user_attrs.get(POINT) for trial in trials if not trial.state.is_finished() or _is_done(trial)}
        for point in self._exploration.points():
            if (digest := digest_of(point)) not in known:
                self._study.enqueue_trial(dict(point), user_attrs={POINT: digest})

    def _take_over(self, trials: list[Any]) -> Any:
        """A running trial that a member has left for good."""
        import optuna

        for trial in trials:
            is_running = trial.state == optuna.trial.TrialState.RUNNING
            if is_running and trial.number not in self._running and self._is_abandoned(trial):
                self._seed(trial.number)
                return optuna.Trial(self._study, trial._trial_id)
        return None

    def _is_abandoned(self, trial: Any) -> bool:
        member = trial.user_attrs.get(MEMBER)
        if member is not None and self._member.knows(member):
            return self._member.is_dead(member)
        # Who died before it wrote its name held our lock; in a shared database it may be one who is about to write it.
        late = trial.datetime_start is not None and datetime.now() - trial.datetime_start > timedelta(seconds=GRACE_S)
        return self._url is None or (member is None and late)

    def _ask(self, trials: list[Any]) -> Any:
        import optuna

        if self._url:
            optuna.storages.fail_stale_trials(self._study)
            if self._exploration.sampler == "grid":
                self._enqueue()
            trials = self._study.get_trials(deepcopy=False)
        waits = any(trial.state == optuna.trial.TrialState.WAITING for trial in trials)
        counted = sum(not trial.state.is_finished() or _is_done(trial) for trial in trials)
        if not waits and (self._exploration.sampler == "grid" or counted >= self._exploration.trials):
            return None
        self._seed(len(trials))
        return self._study.ask()

    def _seed(self, number: int) -> None:
        """Let what is chosen follow from the trials before and the number, not from when this process began."""
        self._study.sampler = make_sampler(self._exploration, number)

    def _beat(self) -> None:
        import optuna
        from sqlalchemy.exc import SQLAlchemyError

        while not self._closed.wait(HEARTBEAT_S):
            # What ails the database is said by the thread that works.
            with suppress(SQLAlchemyError, optuna.exceptions.StorageInternalError):
                self._record_heartbeats()

    def _record_heartbeats(self) -> None:
        if self._url:
            for trial in list(self._running.values()):
                self._storage.record_heartbeat(trial._trial_id)


def _is_done(trial: Any) -> bool:
    return trial.state.is_finished() and OUTCOME in trial.user_attrs
