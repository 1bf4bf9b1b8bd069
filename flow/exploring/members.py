"""The processes that work on an exploration from one folder: each holds the lock of a file while it lives."""

import uuid
from pathlib import Path

from filelock import FileLock, Timeout

FOLDER = "members"


class Member:
    """This process among those of ``folder``; whoever dies lets go of the lock of its file, which tells the others."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / FOLDER
        self._folder.mkdir(exist_ok=True)
        self.name = uuid.uuid4().hex
        self._lock = FileLock(self._folder / self.name)
        self._lock.acquire()

    def knows(self, name: str) -> bool:
        """Whether that member is, or was, one of this folder."""
        return (self._folder / name).exists()

    def is_dead(self, name: str) -> bool:
        if name == self.name:
            return False
        try:
            with FileLock(self._folder / name, timeout=0):
                return True
        except Timeout:
            return False

    def leave(self, *, is_named: bool, sweeps: bool) -> None:
        """Let go of the lock. is_named: a trial still bears the name. sweeps: remove the files of the dead."""
        names = [path.name for path in self._folder.iterdir()] if sweeps else []
        gone = [name for name in names if self.is_dead(name)] + ([] if is_named else [self.name])
        self._lock.release()
        for name in gone:
            (self._folder / name).unlink(missing_ok=True)
