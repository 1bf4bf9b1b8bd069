"""`espalier explore`: options checked before anything is written, the search with its progress, and the table."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...boards.devices import find_device
from ...errors import BuildError, GraphError
from ..progress import bar, say
from ..training import check_training
from ..verbs import positive
from .desk import LOCK, Desk
from .results import print_results
from .search import Place, Teller, save, search
from .settings import Exploration, Hardware, read_bits, read_objectives, read_sparsities, read_targets, read_trials
from .source import Wishes, pairs_of, read_source
from .storage import check_storage, need_exploring

MAX_WORKERS = 1024


@dataclass(frozen=True)
class Lists:
    """The axes, as the command line has them."""

    sparsity: str
    weights: str
    activations: str
    fps: str | None
    multipliers: str | None


@dataclass(frozen=True)
class Search:
    sampler: str
    trials: int | None
    objectives: str | None


@dataclass(frozen=True)
class Where:
    """workers: processes of this machine; None: one, or those of the cluster. cluster: address of a Dask scheduler."""

    workers: int | None
    cluster: str | None
    storage: str | None


def explore_verb(
    place: Place, lists: Lists, wishes: Wishes, hardware: Hardware, how: Search, where: Where, as_json: bool
) -> None:
    exploration = settle(place, lists, wishes, hardware, how, where)
    say(f"explore {place.run}: {exploration.total} trials")
    with opened(place.folder), bar() as show:
        desk = Desk(exploration, place.folder, where.storage)
        teller = Teller(show, exploration.total)
        try:
            state, record = save(exploration, place, desk)
            if state.left:
                with hired(where, teller.at) as crew:
                    record = search(exploration, place, desk, crew, teller)
        finally:
            desk.close()
    print_results(place.folder, record, as_json)


def settle(place: Place, lists: Lists, wishes: Wishes, hardware: Hardware, how: Search, where: Where) -> Exploration:
    """Raise for what is wrong with the options; nothing is written."""
    check_where(where, wishes.threads)
    axes = {
        "sparsity": read_sparsities(lists.sparsity),
        "weights": read_bits("--weights", lists.weights),
        "activations": read_bits("--activations", lists.activations),
        **read_targets(lists.fps, lists.multipliers),
    }
    positive("--clock-mhz", hardware.clock_mhz)
    if hardware.device is not None:
        find_device(hardware.device)
    trials = read_trials(how.sampler, how.trials)
    check_folder(place.folder)
    check_training(place.data, wishes.threads)
    widths = pairs_of(axes["weights"], axes["activations"])
    source = read_source(place.run, place.data, wishes, axes["sparsity"], widths)
    objectives = read_objectives(how.objectives, source.metric)
    return Exploration(axes, source.training, hardware, objectives, how.sampler, trials)


def check_where(where: Where, threads: int) -> None:
    if where.cluster and where.workers is not None:
        raise GraphError("--workers: are processes of this machine; the cluster has its own, leave one of both out")
    workers = 1 if where.workers is None else where.workers
    if not 1 <= workers <= MAX_WORKERS:
        raise GraphError(f"--workers: {workers} was given; it must be a whole number from 1 to {MAX_WORKERS}")
    need_exploring(workers > 1 or where.cluster is not None)
    check_storage(where.storage)
    cores = os.cpu_count() or 1
    if workers * threads > cores:
        say(f"explore: {workers} workers of {threads} threads share {cores} cores; fewer would be as fast")


def check_folder(folder: Path) -> None:
    for ancestor in (folder, *folder.parents):
        if ancestor.exists() and not ancestor.is_dir():
            raise BuildError(f"{folder}: cannot be a folder, {ancestor} is a file; choose another -o")
    if folder.is_dir() and not (folder / LOCK).exists() and (others := sorted(path.name for path in folder.iterdir())):
        raise BuildError(f"{folder}: is no folder of an exploration, it holds {others[0]}; choose another -o")


@contextmanager
def opened(folder: Path) -> Iterator[None]:
    """The folder, with the file that says what it is; one that was made for nothing is removed."""
    made = [path for path in (*reversed(folder.parents), folder) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / LOCK).touch()
    try:
        yield
    finally:
        if made and {path.name for path in folder.iterdir()} <= {LOCK}:
            (folder / LOCK).unlink(missing_ok=True)
            for path in reversed(made):
                if not any(path.iterdir()):
                    path.rmdir()


@contextmanager
def hired(where: Where, at: Callable[[str], None]) -> Iterator[Any]:
    """The crew that does the trials."""
    from .crew import Alone, cluster_crew, local_crew

    if where.cluster:
        with cluster_crew(where.cluster) as crew:
            yield crew
    elif where.workers and where.workers > 1:
        with local_crew(where.workers) as crew:
            yield crew
    else:
        yield Alone(at)
