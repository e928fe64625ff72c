"""Where the trials of a sweep are kept: a storage of Optuna's, for one machine or many."""

from __future__ import annotations

import os
import random
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from voltphase.core.errors import ConfigError, OutputError, VoltphaseError
from voltphase.core.files import write_errors
from voltphase.core.installed import needing_extras

if TYPE_CHECKING:
    from optuna import Study
    from optuna.storages import BaseStorage
    from sqlalchemy.engine import URL, Connection, Engine

DATABASE: Final = "sweep.db"
JOURNAL: Final = "sweep.journal"
_FILES: Final = {"sqlite": DATABASE, "journal": JOURNAL}
# Beside a journal, while somebody adds trials to it.
_ADDING: Final = "adding"

# Two processes that make the tables of a new database at once get in each other's way: the second finds them there.
_ATTEMPTS: Final = 5
# Others may hold a database in one file for as long as this.
_PATIENCE_SECONDS: Final = 60


@contextmanager
def quiet_optuna() -> Iterator[None]:
    """Keep what Optuna calls experimental, some of it for years, out of the user's terminal."""
    with needing_extras():
        import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        yield


def place_of(storage: str, folder: Path) -> str:
    """Return where a storage is, as a person is told of it: a path, or a URL without its password."""
    if storage in _FILES:
        return str(folder / _FILES[storage])
    return _parsed(storage).render_as_string(hide_password=True)


def open_study(
    storage: str, folder: Path, name: str, directions: Sequence[Literal["maximize", "minimize"]] = ("maximize",)
) -> tuple[Study, bool]:
    """Return the study of a name in a storage, and whether it was made just now, by this process alone.

    Args:
        storage: ``"sqlite"``, a database in a file of ``folder``; ``"journal"``, a log there, for folders that machines
            share; or the URL of a database that SQLAlchemy knows, such as ``postgresql://user@host/sweeps``.
        folder: Folder of the first two.
        name: Name of the study.
        directions: What is better of each value of a trial.

    Raises:
        ConfigError: if it is none of these.
        OutputError: if it cannot be reached, read or written.
        MissingLibraryError: if what speaks to that database is not installed.
    """
    with quiet_optuna(), storage_errors(place_of(storage, folder)):
        import optuna

        opened = _opened(storage, folder)
        try:
            return optuna.create_study(storage=opened, study_name=name, directions=directions), True
        except optuna.exceptions.DuplicatedStudyError:
            return optuna.load_study(storage=opened, study_name=name), False


def close_connections(study: Study) -> None:
    """Close the connections to a database that a study has; it opens others where it is used again."""
    storage: Any = getattr(study._storage, "_backend", study._storage)  # below Optuna's cache
    if hasattr(storage, "engine"):
        storage.remove_session()
        storage.engine.dispose()


def _opened(storage: str, folder: Path) -> BaseStorage:
    from optuna.storages import JournalStorage, RDBStorage
    from optuna.storages.journal import JournalFileBackend
    from sqlalchemy.exc import SQLAlchemyError

    url = None if storage in _FILES else _parsed(storage)
    if url is None:
        with write_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
    if storage == "journal":
        path = folder / JOURNAL
        whole: Any = _WholeLines(path)
        return JournalStorage(JournalFileBackend(str(path), whole))
    url = url or _parsed(f"sqlite:///{folder.resolve() / DATABASE}")
    options = {"timeout": _PATIENCE_SECONDS} if url.get_backend_name() == "sqlite" else {}
    for attempt in range(_ATTEMPTS):
        try:
            opened = RDBStorage(
                url.render_as_string(hide_password=False),
                engine_kwargs={"pool_pre_ping": True, "connect_args": options},
            )
        except SQLAlchemyError:
            if attempt + 1 == _ATTEMPTS:
                raise
            time.sleep(0.2 * random.random())
        else:
            if options:
                _one_after_another(opened.engine)
            return opened
    raise AssertionError


def _one_after_another(engine: Engine) -> None:
    """Have SQLite lock its file before it reads what it is going to change: two processes would take one trial."""
    from sqlalchemy import event

    @event.listens_for(engine, "connect")
    def connect(connection: Any, _: object) -> None:
        connection.isolation_level = None  # so that Python's module begins nothing by itself

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    engine.dispose()  # connections from before


def _parsed(url: str) -> URL:
    """Return a URL with the driver that there is for its database."""
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError) as error:
        raise ConfigError(
            "expected storage to be sqlite, journal or the URL of a database such as postgresql://user@host/sweeps, "
            "but got one that cannot be read"
        ) from error
    if parsed.drivername in ("postgresql", "postgres"):
        with needing_extras():
            import psycopg  # noqa: F401 - asked for by name below
        parsed = parsed.set(drivername="postgresql+psycopg")
    return parsed


@contextmanager
def one_at_a_time(folder: Path) -> Iterator[None]:
    """Keep other processes, on whatever machine, out of such a block for the same folder, that of a journal.

    Optuna's own lock for journals does: one whose process died is broken by who waits for it, half a minute later.

    Raises:
        OutputError: if the folder cannot be written to.
    """
    from optuna.storages.journal import JournalFileOpenLock

    lock = JournalFileOpenLock(str(folder / _ADDING))
    with storage_errors(place_of("journal", folder)):
        lock.acquire()
    try:
        yield
    finally:
        with suppress(RuntimeError):  # it took so long that somebody else has broken the lock
            lock.release()


class _WholeLines:
    """Optuna's lock of a journal, for whose holder the journal ends with a whole line.

    What a full disk, or a killed process, has left of a line is cut off before the next one is written: nobody could
    read what came after it.
    """

    def __init__(self, path: Path) -> None:
        from optuna.storages.journal import JournalFileOpenLock

        self._path, self._lock = path, JournalFileOpenLock(str(path))

    def acquire(self) -> bool:
        self._lock.acquire()
        try:
            with self._path.open("rb+") as stream:
                size = stream.seek(0, os.SEEK_END)
                stream.seek(max(size - 1, 0))
                if size and stream.read(1) != b"\n":
                    stream.truncate(self._path.read_bytes().rfind(b"\n") + 1)
        except BaseException:
            self._lock.release()
            raise
        return True

    def release(self) -> None:
        self._lock.release()


@contextmanager
def storage_errors(place: str) -> Iterator[None]:
    """Turn what keeps a storage from being used in this block into an OutputError of one sentence."""
    from optuna.exceptions import StorageInternalError
    from sqlalchemy.exc import NoSuchModuleError, SQLAlchemyError

    try:
        yield
    except VoltphaseError:
        raise
    except NoSuchModuleError as error:
        raise ConfigError(
            f"expected storage to be sqlite, journal or the URL of a database that SQLAlchemy knows, but got {place}"
        ) from error
    except (SQLAlchemyError, StorageInternalError, OSError, ImportError, ValueError, RuntimeError) as error:
        raise OutputError(
            f"cannot use the storage {place}: {_reason(error)}; check that it is there and may be written to"
        ) from error


def _reason(error: BaseException) -> str:
    """Return the first line of what lies at the bottom of an error, which says what happened."""
    while error.__cause__ is not None:
        error = error.__cause__
    text = getattr(error, "strerror", None) or str(getattr(error, "orig", None) or error) or type(error).__name__
    return " ".join(text.split())[:200].rstrip(".").lower()
