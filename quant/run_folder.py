"""Run folders: one process at a time, and one set of options for good."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from ..errors import BuildError
from .files import read_json, write_json


@contextmanager
def open_folder(folder: Path, config: dict[str, Any]) -> Iterator[None]:
    """Make or check the run folder, and keep other processes out of it; raises BuildError."""
    try:
        (folder / "checkpoints").mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / ".train.lock", timeout=0)
        lock.acquire()
    except Timeout:
        raise BuildError(f"{folder}: another process is training into it; wait, or choose another folder") from None
    except OSError as error:
        raise BuildError(f"{folder}: cannot be made or written ({error.strerror}); choose another folder") from None
    try:
        _check_config(folder, config)
        yield
    finally:
        lock.release()


def _check_config(folder: Path, config: dict[str, Any]) -> None:
    path = folder / "config.json"
    if not path.exists():
        if others := sorted(p.name for p in folder.iterdir() if p.name != "checkpoints" and not p.name.startswith(".")):
            raise BuildError(f"{folder}: holds other files ({others[0]}) and no config.json; choose an empty folder")
        write_json(path, config)
        return
    found = _flat(read_json(path))
    wanted = _flat(json.loads(json.dumps(config)))
    differences = [key for key in sorted({*found, *wanted}) if found.get(key) != wanted.get(key)]
    if differences:
        key = differences[0]
        raise BuildError(
            f"{folder}: is of another run: {key} was {_short(found.get(key))} and is now {_short(wanted.get(key))}; "
            "give the same options to continue it, or choose another folder"
        )


def _flat(config: Any) -> dict[str, Any]:
    """The recipe's options by name, others as prune.epochs, beside data and threads; empty if this is no config."""
    if not isinstance(config, dict) or not isinstance(config.get("recipe"), dict):
        return {}
    flat = {}
    for name, value in config.items():
        options = value if isinstance(value, dict) else {"": value}
        flat |= {key if name == "recipe" else f"{name}.{key}".rstrip("."): entry for key, entry in options.items()}
    return flat


def _short(value: Any) -> str:
    return f"{value[:12]}..." if isinstance(value, str) and len(value) > 40 else str(value)


def digest_of(config: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()
