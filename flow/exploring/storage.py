"""The Optuna storage that all who search share: SQLite in the folder of the exploration, or any database by its URL."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ...errors import BuildError, ToolError

FILE = "study.db"
BUSY_S = 120  # that SQLite waits for another process's transaction, at most
HEARTBEAT_S, GRACE_S = 30, 120
"""Of processes that search from other folders: how often they say that they live, and when they count as dead."""


def need_exploring(uses_dask: bool) -> None:
    """Raise ToolError where the extra is missing that exploring needs."""
    packages = ("optuna", "distributed") if uses_dask else ("optuna",)
    missing = [package for package in packages if find_spec(package) is None]
    if missing:
        raise ToolError(f"{missing[0]} not found; exploring needs the extra: run `pip install 'espalier[explore]'`")


def check_storage(url: str | None) -> None:
    """Raise for a URL that names no database; nothing is opened."""
    if url is None:
        return
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        make_url(url)
    except (ArgumentError, ValueError):
        raise BuildError(
            f"--storage: {url!r} is no URL of a database; give one such as sqlite:///explore/study.db or "
            "postgresql+psycopg://user@host/database"
        ) from None


@contextmanager
def failures(url: str | None) -> Iterator[None]:
    """Raise ToolError for what goes wrong with the database, without its password; let Optuna warn of nothing."""
    import optuna
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import SQLAlchemyError

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            # Heartbeats are what Optuna calls experimental, and would rather leave to its own loop.
            warnings.simplefilter("ignore")
            yield
    except (optuna.exceptions.StorageInternalError, SQLAlchemyError) as error:
        where = make_url(url).render_as_string(hide_password=True) if url else FILE
        cause = error.__cause__ or error
        reason = str(getattr(cause, "orig", None) or cause).strip().splitlines()[0]
        raise ToolError(
            f"--storage {where}: {reason}; see that the database can be reached, then give the same command again"
        ) from error


def open_storage(folder: Path, url: str | None) -> Any:
    """Make or open the storage; the caller holds the lock of ``folder``."""
    return _shared(url) if url else _own(folder)


def _own(folder: Path) -> Any:
    """SQLite, made under another name: of one half made Optuna could not say which version it is."""
    path = folder / FILE
    if not path.exists():
        partial = folder / f".{FILE}.partial"
        for leftover in folder.glob(f"{partial.name}*"):
            leftover.unlink()
        _open(f"sqlite:///{partial.resolve()}").engine.dispose()
        partial.rename(path)
    return _open(f"sqlite:///{path.resolve()}")


def _shared(url: str) -> Any:
    try:
        return _open(url, heartbeat_interval=HEARTBEAT_S, grace_period=GRACE_S)
    except ImportError as error:
        cause = str(error.__cause__ or error).splitlines()[0]
        raise ToolError(
            f"--storage: the database has no driver here ({cause}); for PostgreSQL run `pip install 'psycopg[binary]'` "
            "and write postgresql+psycopg://, for MySQL run `pip install pymysql` and write mysql+pymysql://"
        ) from None


def _open(url: str, **options: Any) -> Any:
    from optuna.storages import RDBStorage

    engine = {"connect_args": {"timeout": BUSY_S}} if url.startswith("sqlite") else {"pool_pre_ping": True}
    return RDBStorage(url, engine_kwargs=engine, **options)
