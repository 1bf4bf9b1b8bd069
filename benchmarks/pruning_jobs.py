"""Jobs of the pruning benchmark: one file per result, so that any number of processes share them and resume."""

import json
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from pathlib import Path
from statistics import fmean
from typing import Any

from filelock import FileLock, Timeout
from pruning_bench import Bench, Budget, Row
from pruning_networks import Study, rows_of

from espalier.errors import BuildError
from espalier.quant.files import read_json, write_json
from espalier.quant.fit import Progress
from espalier.quant.train import torch_state

POLL_S = 0.5
QUIET_S = 20  # between two lines about the same job


@dataclass(frozen=True)
class Job:
    row: Row
    seed: int

    @property
    def name(self) -> str:
        return name_of(self.row.name, self.seed)


def name_of(row: str, seed: int) -> str:
    return f"{row.replace(' ', '_')}-{seed}"


@dataclass(frozen=True)
class Store:
    """The folder of a network's results: NAME.json each, of runs with the digest ``config``."""

    folder: Path
    config: str

    def read(self, job: Job) -> dict[str, Any] | None:
        """None where there is none yet; raises BuildError where it is of another budget or other data."""
        path = self._path(job.name)
        if not path.exists():
            return None
        found = read_json(path)
        if found["config"] != self.config:
            raise BuildError(f"{path}: is of another budget, recipe or other data; choose another --work folder")
        return found

    def write(self, job: Job, found: dict[str, Any]) -> None:
        record = {"row": job.row.name, "seed": job.seed, "config": self.config} | found
        write_json(self._path(job.name), json.loads(json.dumps(record)))

    def has(self, row: str, seed: int) -> bool:
        return self._path(name_of(row, seed)).exists()

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.json"

    def running(self, job: Job) -> Path:
        """The job's own folder, until it is done."""
        return self.folder / "running" / job.name

    def models(self, seed: int) -> Path:
        return self.folder / "models" / str(seed)


def jobs_of(study: Study, budget: Budget, seeds: int | None) -> list[Job]:
    """Seed by seed, so that every row is timed before it is repeated; hardware, much the same for all, of seed 0."""
    every = rows_of(study, budget)
    later = [row for row in every if row.table != "hardware"]
    return [Job(row, seed) for seed in range(seeds or study.seeds) for row in (later if seed else every)]


def choose(jobs: Sequence[Job], patterns: Sequence[str]) -> list[Job]:
    """Those of rows whose name fits one of ``patterns``, and those that they need."""
    rows = {job.row.name: job.row for job in jobs}
    chosen = {name for name in rows if any(fnmatch(name, pattern) for pattern in patterns)}
    while more := {rows[name].needs for name in chosen} - chosen - {""}:
        chosen |= more
    return [job for job in jobs if job.row.name in chosen]


def run_jobs(jobs: Sequence[Job], store: Store, bench: Bench, processes: int, say: Callable[[str], None]) -> None:
    """Do what has no result, until all have; other processes, of so many in all, may do the same beside this one."""
    for folder in (store.folder / "running", store.folder / "locks", *{store.models(job.seed) for job in jobs}):
        folder.mkdir(parents=True, exist_ok=True)
    while pending := [job for job in jobs if store.read(job) is None]:
        done = next((job for job in pending if _try(job, store, bench, say)), None)
        if done is None:
            time.sleep(POLL_S)  # others are at what is left
            continue
        left = seconds_left(jobs, store, processes)
        count = sum(store.read(job) is not None for job in jobs)
        say(f"{bench.recipe.name}: {count} of {len(jobs)}, {done.name} done, about {left / 60:.1f} min left")


def _try(job: Job, store: Store, bench: Bench, say: Callable[[str], None]) -> bool:
    """Whether the job was this process's to do."""
    if job.row.needs and not store.has(job.row.needs, job.seed):
        return False
    try:
        with FileLock(store.folder / "locks" / f"{job.name}.lock", timeout=0):
            if store.read(job) is not None:
                return False
            store.write(job, _run(job.row, _own(bench, job, store, say)))
            shutil.rmtree(store.running(job), ignore_errors=True)
    except Timeout:
        return False
    return True


def _own(bench: Bench, job: Job, store: Store, say: Callable[[str], None]) -> Bench:
    folder, models, recipe = store.running(job), store.models(job.seed), replace(bench.recipe, seed=job.seed)
    return replace(bench, recipe=recipe, folder=folder, row=job.row.name, models=models, report=_Report(job, say))


def _run(row: Row, bench: Bench) -> dict[str, Any]:
    """The row's result, and its time: of the processor too, since the clock of a busy machine says little."""
    begin, clock = time.process_time(), time.monotonic()
    with torch_state(1, bench.recipe.seed):
        found = row.run(bench)
    return found | {"cpu_s": time.process_time() - begin, "seconds": time.monotonic() - clock}


class _Report:
    """A line from time to time about a job that takes long."""

    def __init__(self, job: Job, say: Callable[[str], None]) -> None:
        self._job, self._say, self._last = job, say, time.monotonic()

    def __call__(self, state: Progress) -> None:
        if time.monotonic() - self._last < QUIET_S:
            return
        self._last = time.monotonic()
        place = f"epoch {state.epoch} of {state.epochs}, batch {state.batch} of {state.batches}"
        self._say(f"{self._job.name}: {place}, {state.metric} {state.score:.4g}")


def seconds_left(jobs: Sequence[Job], store: Store, processes: int) -> float:
    """By what the same row took for other seeds, or else an epoch of what is done."""
    results = {job: found for job in jobs if (found := store.read(job)) is not None}
    by_row: dict[str, list[float]] = {}
    for job, found in results.items():
        by_row.setdefault(job.row.name, []).append(found["seconds"])
    epoch = sum(map(sum, by_row.values())) / sum(job.row.epochs for job in results)
    left = [job.row for job in jobs if job not in results]
    return sum(fmean(by_row[row.name]) if row.name in by_row else row.epochs * epoch for row in left) / processes
