"""Progress on stderr: live on a terminal, plain lines elsewhere."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def progress(verb: str) -> Iterator[Callable[[str], None]]:
    """Show that ``verb`` is at work; the value is a function that says at what. Ends with the time it took."""
    start = time.monotonic()
    if sys.stderr.isatty():
        from rich.console import Console

        with Console(stderr=True).status(verb) as status:
            yield lambda text: status.update(f"{verb}: {text}")
    else:
        yield lambda text: say(f"{verb}: {text}")
    say(f"{verb}: done in {time.monotonic() - start:.1f} s")


@contextmanager
def bar() -> Iterator[Callable[[float, str, bool], None]]:
    """A function that shows which share of the work is done, 0 to 1, at what it is, and the time left.

    A bar on a terminal; elsewhere one line for each milestone, which the last argument says that this is.
    """
    if sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (BarColumn(), TextColumn("{task.description}"), TimeRemainingColumn())
        with Progress(*columns, console=Console(stderr=True)) as live:
            task = live.add_task("", total=1.0)
            yield lambda share, text, milestone: live.update(task, completed=share, description=text)
        return
    begun: list[tuple[float, float]] = []  # when, and the share that was done already

    def show(share: float, text: str, milestone: bool) -> None:
        begun.append((time.monotonic(), share))
        del begun[1:]
        if milestone:
            say(text + time_left(share, *begun[0]))

    yield show


def time_left(share: float, start: float, start_share: float) -> str:
    """In words, going on as from ``start``, by the monotonic clock, when ``start_share`` was done."""
    if share <= start_share or share >= 1:
        return ""
    seconds = (time.monotonic() - start) / (share - start_share) * (1 - share)
    hours, minutes = divmod(round(seconds / 60), 60)
    return f", {round(seconds)} s left" if seconds < 100 else f", {hours}:{minutes:02} h left"


def say(text: str) -> None:
    """One line on stderr."""
    print(text, file=sys.stderr, flush=True)
