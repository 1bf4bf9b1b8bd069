"""A folder in which tools run; its files move to the user's when all is done, the report last."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import BuildError, ToolError


@contextmanager
def work_folder(folder: Path, verb: str, report: str) -> Iterator[Path]:
    """A new folder in ``folder``, in which old results, and what a killed run left, are removed.

    Its files move up to ``folder`` at the end; where a tool failed, also, for their logs, and the error says so.
    """
    try:
        work = _open(folder, report)
        try:
            yield work
        except ToolError as error:
            _hand_over(work, folder, report)
            raise ToolError(f"{error} (logs: {folder})") from error
        _hand_over(work, folder, report)
    except OSError as error:
        raise BuildError(
            f"{verb}: cannot write {error.filename or folder}: {error.strerror}; check free space and permissions"
        ) from error


def _open(folder: Path, report: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / report).unlink(missing_ok=True)
    for stale in folder.glob("work-*"):
        shutil.rmtree(stale, ignore_errors=True)  # a tool of the killed run may still be writing there
    return Path(tempfile.mkdtemp(prefix="work-", dir=folder))


def _hand_over(work: Path, folder: Path, report: str) -> None:
    for path in sorted(work.iterdir(), key=lambda path: path.name == report):
        path.replace(folder / path.name)
    work.rmdir()
