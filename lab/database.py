"""One SQLite file that threads and processes share, and what can be wrong with it: locked, full, damaged, removed, not writable.

SQLite's own errors name neither the file nor what to do about it; here each of those that come from outside becomes a
:class:`StoreError` that does. Two things SQLite would not do by itself:

- While another program keeps the database locked, a thread that wants to write waits without keeping this process's readers waiting.
- A file that is damaged when it is opened is set aside and kept, and an empty one started. Damage that shows later, or a file that was
  removed or replaced while it was open, makes the database unusable (:attr:`Database.fault`): whoever holds it opens another.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

HOME_VARIABLE = "EFFICIENCY_LAB_HOME"  # names another folder for the database
BUSY_TIMEOUT_S = 5.0  # that a lock of another program is waited for: far longer than any of ours is held
RETRY_S = 0.02  # between two attempts to get past it

Answer = TypeVar("Answer")


class StoreError(RuntimeError):
    """The store cannot be used; the message says why and what to do."""


class StoreBusy(StoreError):
    """Another program keeps the database locked. What was asked can be asked again."""


class StoreFull(StoreError):
    """The disk is full. Nothing of what was to be written is there; what was asked can be asked again."""


class StoreDamaged(StoreError):
    """The file was damaged, removed or replaced since it was opened: it must be opened anew."""


@dataclass(frozen=True)
class Schema:
    """The tables of a database. ``steps`` lead from each older version to the next; ``probe`` is a query that reads what is read most."""

    version: int
    tables: str
    steps: Mapping[int, str]
    probe: str


class Database:
    """The database at ``path``, made if missing, migrated if older. Safe to share between threads.

    ``fault``: what was wrong with this database when it was last open; it is then read from end to end. ``notice`` says what happened
    when a file was set aside, or that another was opened after a fault ("" otherwise). Raises StoreError where it was made by a newer
    version, is locked, or cannot be opened. No other process may open it meanwhile.
    """

    def __init__(self, path: Path, schema: Schema, fault: str = "") -> None:
        self.path = path
        self.fault = ""
        self.notice = ""
        self._schema = schema
        self._lock = threading.RLock()
        obstacle = _in_the_way(path)
        if obstacle:
            self._set_aside(obstacle)
        elif fault:
            self.notice = f"{fault}. " + ("It was opened anew." if path.exists() else "A new one was started.")
        try:
            try:
                self.connection = self._connect(thorough=bool(fault))
            except sqlite3.DatabaseError as error:
                if not isinstance(_explained(error, path), StoreDamaged):
                    raise
                self._set_aside(f"was damaged ({error})")  # kept for whoever wants to repair it
                self.connection = self._connect()
        except sqlite3.Error as error:
            raise _explained(error, path) or StoreError(
                f"{path} cannot be opened ({error}); choose another folder with ${HOME_VARIABLE}"
            ) from error
        self._identity = _identity(path)

    def close(self) -> None:
        """Close the file; can be called twice."""
        with self._lock:
            self.connection.close()

    @property
    def usable(self) -> bool:
        """Whether it can go on being used: the file is where it was, and no damage has shown."""
        if not self.fault and (loss := self._loss()):
            self.fault = loss
        return not self.fault

    def rows(self, sql: str, *values: object) -> list[sqlite3.Row]:
        """What a query finds. Raises StoreError."""
        return self._patiently(lambda: self.connection.execute(sql, values).fetchall())

    @contextlib.contextmanager
    def reading(self) -> Iterator[None]:
        """No other thread of this process writes inside the ``with`` block."""
        with self._lock:
            yield

    @contextlib.contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction: nobody else writes inside the ``with`` block, and all of it is kept, or nothing. Raises StoreError."""
        self._patiently(self._begin)
        try:
            with self._translated():
                try:
                    yield self.connection
                    self.connection.execute("COMMIT")
                except BaseException:
                    if self.connection.in_transaction:  # SQLite itself rolls back on some errors (a full disk)
                        self.connection.execute("ROLLBACK")
                    raise
        finally:
            self._lock.release()

    def _begin(self) -> None:
        self.connection.execute("BEGIN IMMEDIATE")
        self._lock.acquire()  # beyond the attempt, until the transaction has ended

    def _patiently(self, action: Callable[[], Answer]) -> Answer:
        limit_s = time.monotonic() + BUSY_TIMEOUT_S
        while True:
            try:
                with self._lock, self._translated():
                    return action()
            except StoreBusy:
                if time.monotonic() > limit_s:
                    raise
            time.sleep(RETRY_S)  # without our lock: others may read meanwhile

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        if not self.usable:
            raise StoreDamaged(self.fault)
        try:
            yield
        except sqlite3.Error as error:
            explained = _explained(error, self.path)
            if explained is None:
                raise
            if isinstance(explained, StoreDamaged):
                self.fault = str(explained)
            raise explained from error

    def _loss(self) -> str:
        """What became of the file since it was opened, "" where it is still there. It is not opened for that: closing it would give up
        SQLite's locks."""
        try:
            if not self.path.exists():
                return f"{self.path} was removed while the lab had it open"
            if _identity(self.path) != self._identity:
                return f"{self.path} was replaced while the lab had it open"
            return f"{self.path} was emptied while the lab had it open" if self.path.stat().st_size == 0 else ""
        except OSError:  # its folder cannot be read just now: SQLite will say
            return ""

    def _connect(self, *, thorough: bool = False) -> sqlite3.Connection:
        db = sqlite3.connect(self.path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
        schema = self._schema
        try:
            db.row_factory = sqlite3.Row
            db.create_function("casefold", 1, str.casefold, deterministic=True)
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = NORMAL")
            version = db.execute("PRAGMA user_version").fetchone()[0]
            if version > schema.version:
                raise StoreError(
                    f"{self.path} was made by a newer Efficiency Lab (database version {version}, this one knows {schema.version}); "
                    f"update the lab or choose another folder with ${HOME_VARIABLE}"
                )
            steps = schema.tables if version == 0 else "".join(schema.steps[step] for step in range(version, schema.version))
            if steps:
                db.executescript(f"BEGIN IMMEDIATE; {steps} PRAGMA user_version = {schema.version}; COMMIT;")
            db.execute(schema.probe).fetchall()  # damage shows now, not in the middle of a run
            if thorough and (found := db.execute("PRAGMA quick_check(1)").fetchone()[0]) != "ok":
                raise _Damage(found)
            db.execute("PRAGMA busy_timeout = 0")  # from here on _patiently waits
        except BaseException:
            db.close()
            raise
        return db

    def _set_aside(self, what: str) -> None:
        """Rename what is in the database's place, and say so."""
        aside = self.path.with_name(f"{self.path.stem}.damaged-{time.time_ns()}{self.path.suffix}")
        for suffix in ("", "-wal", "-shm"):
            with contextlib.suppress(FileNotFoundError):
                Path(f"{self.path}{suffix}").rename(f"{aside}{suffix}")
        self.notice = f"The run database {what}. It is kept as {aside}; a new one was started."


class _Damage(sqlite3.DatabaseError):
    """Damage that SQLite tells as an answer instead of an error."""

    sqlite_errorcode = sqlite3.SQLITE_CORRUPT


def _in_the_way(path: Path) -> str:
    """What stands in the place of a database that SQLite would not call damaged, "" where nothing does."""
    if path.is_dir():
        return "was a folder"
    return "was an empty file" if path.exists() and path.stat().st_size == 0 else ""


def _identity(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_dev, status.st_ino


def _explained(error: sqlite3.Error, path: Path) -> StoreError | None:
    """What an error says of the file and what to do about it; None where it says nothing of it."""
    match getattr(error, "sqlite_errorcode", 0) & 0xFF:  # the rest of the code tells finer differences
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return StoreBusy(
                f"{path} is locked by another program (a database viewer, another copy of the lab), which has not let go of it for "
                f"{BUSY_TIMEOUT_S:g} s; close that program or wait for it"
            )
        case sqlite3.SQLITE_FULL:
            return StoreFull(f"{path} cannot grow ({error}): make room on the disk and try again")
        case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
            return StoreDamaged(f"{path} is damaged ({error})")
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_PERM | sqlite3.SQLITE_IOERR | sqlite3.SQLITE_CANTOPEN:
            return StoreError(
                f"{path} cannot be used ({error}); give this user the right to read and write it and its folder, "
                f"or choose another folder with ${HOME_VARIABLE}"
            )
    return None
