"""The build folder: one sub-folder per verb, whole or absent, stamped with the digest of all that it was made from."""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

from ..errors import BuildError, ToolError

# Each verb that keeps results, and the verb whose results it starts from.
PREDECESSORS = {
    "import": None,
    "plan": "import",
    "generate": "plan",
    "simulate": "generate",
    "synth": "generate",
    "bitstream": "generate",
    "execute": "import",
}
SUMMARY_KEYS = (
    "model", "digest", "frames", "layers", "values_exact", "cycles_exact", "ii_cycles", "latency_cycles",
    "device", "lut", "ff", "bram", "dsp", "fmax_mhz", "netlist_frames", "netlist_values_exact",
    "netlist_cycles_exact", "board", "board_clock_mhz", "accuracy", "psnr_db", "iou",
    "weight_mbit", "feature_mbit", "density", "average_shifts", "storage_mbit", "compression",
)  # fmt: skip
LOCK = ".espalier.lock"
STAMP = "stamp.json"
SUMMARY = "summary.json"


@dataclass(frozen=True)
class Stamp:
    """What a finished verb was made from (``key``; ``after``: its predecessor's) and what it adds to the summary."""

    key: str
    after: str
    options: dict[str, Any]
    summary: dict[str, Any]


@dataclass(frozen=True)
class BuildFolder:
    """A build folder of which this process holds the lock, or which it only reads."""

    path: Path

    def step(self, verb: str) -> Path:
        return self.path / verb

    def stamp(self, verb: str) -> Stamp | None:
        """The stamp of ``verb`` if it finished and nothing it was made from has changed since."""
        before = PREDECESSORS[verb]
        after = self.stamp(before) if before else None
        if before and after is None:
            return None
        stamp = read_stamp(self.step(verb) / STAMP)
        return stamp if stamp and stamp.after == (after.key if after else "") else None

    def need(self, verb: str) -> Stamp:
        """The stamp of ``verb``; BuildError, saying what to run, if it has not finished."""
        stamp = self.stamp(verb)
        if stamp is None:
            argument = f"MODEL -o {self.path}" if verb == "import" else self.path
            raise BuildError(f"{self.path}: {verb} has not finished here; run `espalier {verb} {argument}` first")
        return stamp

    def is_current(self, verb: str, options: Mapping[str, Any]) -> bool:
        """True if ``verb`` finished with these options, this tool and predecessor; the summary is then refreshed."""
        stamp = self.stamp(verb)
        if stamp is None or stamp.key != self.key(verb, options):
            return False
        self.write_summary()
        return True

    def key(self, verb: str, options: Mapping[str, Any]) -> str:
        return digest_of([verb, tool_digest(), self.predecessor_key(verb), options])

    def predecessor_key(self, verb: str) -> str:
        before = PREDECESSORS[verb]
        return self.need(before).key if before else ""

    def run(self, verb: str, options: Mapping[str, Any], work: Callable[[Path], dict[str, Any]]) -> None:
        """Let ``work`` fill a temporary folder, then put that in place of the verb's old results.

        Of a failing tool the logs stay in ``<verb>.failed``; any other failure leaves nothing behind.
        ``options`` is all that the result depends on besides the predecessor's; ``work`` returns its summary keys.
        """
        key, after = self.key(verb, options), self.predecessor_key(verb)
        partial = Path(tempfile.mkdtemp(prefix=f".{verb}.partial-", dir=self.path))
        try:
            partial.chmod(0o755)
            summary = work(partial)
            write_json(partial / STAMP, asdict(Stamp(key, after, dict(options), summary)))
            self.replace(verb, partial)
        except ToolError as error:
            raise ToolError(str(error).replace(str(partial), str(self.keep_logs(verb, partial)))) from error
        finally:
            shutil.rmtree(partial, ignore_errors=True)

    def replace(self, verb: str, partial: Path) -> None:
        """Put ``partial`` in place of ``verb``; what was made from the old results goes first."""
        for stale in later_verbs(verb):
            self.discard(stale)
        self.write_summary(without=verb)
        self.discard(verb)
        partial.rename(self.step(verb))
        shutil.rmtree(self.path / f"{verb}.failed", ignore_errors=True)
        self.write_summary()

    def keep_logs(self, verb: str, partial: Path) -> Path:
        """What a tool left when it failed, as a folder beside the verbs; it goes with the next success."""
        failed = self.path / f"{verb}.failed"
        shutil.rmtree(failed, ignore_errors=True)
        if any(partial.iterdir()):
            partial.rename(failed)
        return failed

    def discard(self, verb: str) -> None:
        if self.step(verb).exists():
            old = Path(tempfile.mkdtemp(prefix=f".{verb}.old-", dir=self.path))
            self.step(verb).rename(old / verb)
            shutil.rmtree(old, ignore_errors=True)

    def summary(self, without: str | None = None) -> dict[str, Any]:
        """The keys of SUMMARY_KEYS that the finished verbs know, in that order."""
        found: dict[str, Any] = {}
        for verb in PREDECESSORS:
            stamp = self.stamp(verb) if verb != without else None
            found |= stamp.summary if stamp else {}
        return {key: found[key] for key in SUMMARY_KEYS if key in found}

    def write_summary(self, without: str | None = None) -> None:
        write_json(self.path / SUMMARY, self.summary(without))


def later_verbs(verb: str) -> list[str]:
    """The verbs that start from the results of ``verb``, nearest last."""
    direct = [name for name, before in PREDECESSORS.items() if before == verb]
    return [late for name in direct for late in (*later_verbs(name), name)]


def read_build(path: Path) -> BuildFolder:
    """An existing build folder, to read from; BuildError if it is none."""
    if not path.exists():
        raise BuildError(f"{path}: no such build folder; make one with `espalier import MODEL -o {path}`")
    if not is_build(path):
        raise BuildError(f"{path}: not a build folder; make one with `espalier import MODEL -o {path}`")
    return BuildFolder(path)


@contextmanager
def open_build(path: Path, *, create: bool = False) -> Iterator[BuildFolder]:
    """Hold the lock of a build folder; what killed runs left is removed, and so is a new folder that stays empty."""
    from filelock import FileLock, Timeout

    made = prepare(path) if create else []
    folder = read_build(path)
    try:
        lock = FileLock(path / LOCK, timeout=0)
        try:
            lock.acquire()
        except Timeout:
            raise BuildError(f"{path}: another run holds this build folder; wait for it or choose another -o") from None
        try:
            remove_leftovers(path)
            yield folder
        finally:
            if made and {entry.name for entry in path.iterdir()} <= {LOCK}:
                (path / LOCK).unlink(missing_ok=True)
            lock.release()
    finally:
        for folder_made in reversed(made):
            if folder_made.is_dir() and not any(folder_made.iterdir()):
                folder_made.rmdir()


def prepare(path: Path) -> list[Path]:
    """Make ``path`` where it is absent; the folders made, outermost first. BuildError if it is something else."""
    if path.is_dir() and not is_build(path):
        holds = ", ".join(sorted(entry.name for entry in path.iterdir())[:3])
        raise BuildError(f"{path}: not a build folder, it holds {holds}; choose another -o")
    for ancestor in (path, *path.parents):
        if ancestor.exists() and not ancestor.is_dir():
            raise BuildError(f"{path}: cannot be a folder, {ancestor} is a file; choose another -o")
    missing = [folder for folder in (*reversed(path.parents), path) if not folder.exists()]
    path.mkdir(parents=True, exist_ok=True)
    return missing


def is_build(path: Path) -> bool:
    """True for an empty folder and for one in which a verb ran."""
    marks = (LOCK, f"import/{STAMP}")
    return path.is_dir() and (any((path / mark).exists() for mark in marks) or not any(path.iterdir()))


def remove_leftovers(path: Path) -> None:
    """Remove what a killed run left half done; the lock says that no other run is at work."""
    for verb in PREDECESSORS:
        for leftover in (*path.glob(f".{verb}.partial-*"), *path.glob(f".{verb}.old-*")):
            # A simulator or compiler of the killed run may still be writing: what is left goes next time.
            shutil.rmtree(leftover, ignore_errors=True)
    for leftover in path.glob(f".{SUMMARY}.partial-*"):
        leftover.unlink(missing_ok=True)


def read_stamp(path: Path) -> Stamp | None:
    if not path.is_file():
        return None
    try:
        stamp = Stamp(**read_json(path))
        wanted = {"key": str, "after": str, "options": dict, "summary": dict}
        if not all(isinstance(getattr(stamp, name), kind) for name, kind in wanted.items()):
            raise TypeError
    except TypeError:
        raise BuildError(f"{path}: not a stamp of this version of Espalier; delete {path.parent}") from None
    return stamp


def read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BuildError(f"{path}: is gone; delete {path.parent} and run the verb again") from None
    except ValueError as error:
        raise BuildError(f"{path}: not JSON ({error}); delete {path.parent} and run the verb again") from None


def read_entry(path: Path, key: str) -> Any:
    """One value of a JSON object that a verb wrote."""
    found = read_json(path)
    if not isinstance(found, dict) or key not in found:
        raise BuildError(f"{path}: has no {key}; delete {path.parent} and run the verb again")
    return found[key]


def write_json(path: Path, content: Any) -> None:
    write_atomic(path, (json.dumps(content, indent=2) + "\n").encode())


def write_atomic(path: Path, content: bytes) -> None:
    """Write ``content`` beside ``path`` and rename it when it is complete."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.partial-", dir=path.parent)
    partial = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        partial.chmod(0o644)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def digest_of(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def file_digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@cache
def tool_digest() -> str:
    """Digest of Espalier's own sources: results of another version of the tool are not results of this one."""
    root = Path(__file__).parents[1]
    rooms = (root / room for room in ("ir", "hw", "sim", "boards", "flow"))
    files = (path for room in rooms for path in room.rglob("*") if path.is_file())
    sources = sorted(path for path in files if "__pycache__" not in path.parts)
    return digest_of([[source.relative_to(root).as_posix(), file_digest(source)] for source in sources])
