"""Who does the trials: this process itself, or Dask, on processes of this machine or of a cluster."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Protocol

from ...errors import ToolError
from ..folder import tool_digest
from .trial import Outcome, Task, evaluate

POLL_S = 0.5


class Crew(Protocol):
    """Takes tasks, as many at a time as it has ``places``, and gives outcomes as they come."""

    @property
    def places(self) -> int: ...

    def start(self, number: int, task: Task) -> None: ...

    def finished(self) -> list[tuple[int, Outcome]]:
        """Numbers and outcomes, after some wait perhaps none; raises what the trial raised."""
        ...


class Alone:
    """This process, one trial after the other. at: is told what a trial is at."""

    places = 1

    def __init__(self, at: Callable[[str], None]) -> None:
        self._at = at
        self._tasks: list[tuple[int, Task]] = []

    def start(self, number: int, task: Task) -> None:
        self._tasks.append((number, task))

    def finished(self) -> list[tuple[int, Outcome]]:
        number, task = self._tasks.pop()
        return [(number, evaluate(task, self._at))]


class DaskCrew:
    """The workers of a Dask scheduler, a trial each: torch keeps its threads and its random state by process.

    A worker that dies is replaced by Dask, and its trial done by another one; so a trial goes on where it was.
    """

    def __init__(self, client: Any) -> None:
        self._client = client
        self._futures: dict[Any, int] = {}

    @property
    def places(self) -> int:
        return max(1, len(self._client.nthreads()))

    def start(self, number: int, task: Task) -> None:
        self._futures[self._client.submit(evaluate, task, pure=False)] = number

    def finished(self) -> list[tuple[int, Outcome]]:
        from distributed import wait
        from distributed.scheduler import KilledWorker

        try:
            waited: Any = wait(list(self._futures), timeout=POLL_S, return_when="FIRST_COMPLETED")
        except TimeoutError:
            return []
        try:
            return [(self._futures.pop(future), future.result()) for future in waited.done]
        except KilledWorker as error:
            raise ToolError(
                f"--workers: one trial killed every worker that tried it ({error}); it may need more memory than there "
                "is: give fewer --workers"
            ) from error


@contextmanager
def local_crew(workers: int) -> Iterator[DaskCrew]:
    """So many processes of one thread on this machine; they end with this one, however that ends."""
    from distributed import Client, LocalCluster

    options = {
        "threads_per_worker": 1,
        "dashboard_address": "127.0.0.1:0",  # two explorations at a time would want the same port
        "memory_limit": 0,  # Dask would pause and kill what uses more than its share
        "silence_logs": logging.CRITICAL,
    }
    try:
        cluster = LocalCluster(n_workers=workers, processes=True, **options)
    except (OSError, RuntimeError) as error:
        reason = str(error) or type(error).__name__
        raise ToolError(
            f"--workers: Dask could not start {workers} processes ({reason}); try again, or give fewer"
        ) from error
    client = Client(cluster)
    try:
        yield DaskCrew(client)
    finally:
        # On a busy machine they may take longer to end than Dask waits: then they end with this process.
        with suppress(TimeoutError):
            client.close()
        with suppress(TimeoutError):
            cluster.close()


@contextmanager
def cluster_crew(address: str) -> Iterator[DaskCrew]:
    """The workers of the scheduler at ``address``, such as tcp://10.0.0.1:8786; they must see the same folders."""
    from distributed import Client

    try:
        client = Client(address, timeout=10)
    except (OSError, TimeoutError, ValueError) as error:
        raise ToolError(
            f"--cluster: no Dask scheduler answers at {address} ({error}); start one with `dask scheduler`, "
            "and workers with `dask worker ADDRESS --nthreads 1`"
        ) from None
    with client:
        _check(client, address)
        yield DaskCrew(client)


def _check(client: Any, address: str) -> None:
    threads = client.nthreads()
    if not threads:
        raise ToolError(
            f"--cluster: the scheduler at {address} has no workers; start some with "
            f"`dask worker {address} --nthreads 1 --nworkers N`"
        )
    if wide := [worker for worker, count in threads.items() if count > 1]:
        raise ToolError(
            f"--cluster: worker {wide[0]} does {threads[wide[0]]} trials at a time, but torch has one random state a "
            "process; start workers with --nthreads 1, and more of them with --nworkers"
        )
    for worker, digest in client.run(tool_digest).items():
        if digest != tool_digest():
            raise ToolError(
                f"--cluster: worker {worker} runs another version of Espalier; install the same one everywhere"
            )
