"""Progress on stderr: a live line on a terminal, one plain line per verb elsewhere."""

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


def say(text: str) -> None:
    """One line on stderr."""
    print(text, file=sys.stderr, flush=True)
