"""The run store: what was asked, how it stands, and every event a run emitted, in one SQLite file shared by pages and command line.

    <home>/runs.sqlite            this store
    <home>/runs/<run id>/         events.jsonl (written by the worker, append-only) and worker.log (its stdout and stderr)
    <home>/cache/                 what outlives a run: compiled kernels, data sets

Of the runs that have ended and are not pinned, the latest ``$EFFICIENCY_LAB_MAX_RUNS`` are kept (default 2,000); the oldest go first, with
their folders. :meth:`Store.retention_notice` says so beforehand.

Any process may call :meth:`Store.ingest`: events are keyed by (run, seq), so reading the same lines twice changes nothing.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import json
import os
import re
import secrets
import shutil
import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import platformdirs

from lab.database import HOME_VARIABLE, Database, Schema, StoreError
from lab.device_lock import exclusive
from lab.hidden_text import hidden_character
from lab.listing import ORDERS, Filter, Listed, Listing, Order
from lab.parameters import ParameterError, Plan
from lab.records import Record, RunView, StoredRecord
from lab.worker import EVENTS_FILE
from lab.workload import workload

MAX_RUNS_VARIABLE = "EFFICIENCY_LAB_MAX_RUNS"
DEFAULT_MAX_RUNS = 2000
MAX_REMOVED = 20  # at once: more would keep other processes from writing for too long
OPENING_ROWS = 1000  # runs read when a store is opened
NOTICE_SHARE = 0.9  # of the limit, from which on readers are told
DATABASE_VERSION = 3  # PRAGMA user_version; raised when a table changes, with a step in _MIGRATIONS
RUN_ID_PATTERN = r"[0-9]{8}-[0-9]{6}-[0-9a-z]{6}"  # what new_run_id makes
MAX_REASON = 500  # characters
MAX_NAME = 100  # characters of the name that a reader gives a run
MAX_NOTE = 2000  # characters
INGEST_BYTES = 8 << 20  # read at once

Status = Literal["queued", "running", "finished", "cancelled", "failed", "interrupted"]
ACTIVE: tuple[Status, ...] = ("queued", "running")

_TABLES = """
CREATE TABLE runs (
    ticket           INTEGER PRIMARY KEY AUTOINCREMENT,  -- the order of the queue, whatever the clock says
    id               TEXT NOT NULL UNIQUE,
    token            TEXT UNIQUE,                        -- a second submit with the same token is the same run
    workload         TEXT NOT NULL,
    preset           TEXT NOT NULL,
    plan             TEXT NOT NULL,
    device           TEXT NOT NULL,
    locks            TEXT NOT NULL,
    status           TEXT NOT NULL DEFAULT 'queued',
    reason           TEXT NOT NULL DEFAULT '',
    cancel_requested INTEGER NOT NULL DEFAULT 0,
    created_at       REAL NOT NULL,                      -- seconds since 1970 UTC, for display only
    started_at       REAL,
    ended_at         REAL,
    owner_pid        INTEGER NOT NULL,                   -- the process that supervises the run, with a mark of its start
    owner_start      TEXT NOT NULL,
    worker_pid       INTEGER,
    worker_start     TEXT,
    manifest         TEXT NOT NULL,
    reserve          BLOB DEFAULT (zeroblob(1024)),      -- given up at the end, so that an ending fits where nothing else does
    ingested_bytes   INTEGER NOT NULL DEFAULT 0,         -- of events.jsonl
    pinned           INTEGER NOT NULL DEFAULT 0,         -- 1: never removed by the limit
    name             TEXT NOT NULL DEFAULT '',           -- what a reader calls the run
    note             TEXT NOT NULL DEFAULT '',
    session          TEXT NOT NULL DEFAULT '',           -- the browser session that queued it, opaque; '': the command line
    hardware         TEXT NOT NULL DEFAULT ''            -- of the manifest, for lists
);
CREATE INDEX runs_by_status ON runs (status);
CREATE INDEX runs_by_workload ON runs (workload, ticket);
CREATE INDEX runs_removable ON runs (ticket) WHERE pinned = 0 AND status NOT IN ('queued', 'running');
CREATE TABLE events (
    run_id TEXT NOT NULL,
    seq    INTEGER NOT NULL,
    kind   TEXT NOT NULL,
    body   TEXT NOT NULL,
    PRIMARY KEY (run_id, seq)
) WITHOUT ROWID;
CREATE INDEX events_by_kind ON events (run_id, kind, seq);
"""

# What leads from each older version to the next one; the tables above are the result of all steps.
_MIGRATIONS = {
    1: """
ALTER TABLE runs ADD COLUMN pinned INTEGER NOT NULL DEFAULT 0;
CREATE INDEX runs_by_workload ON runs (workload, ticket);
CREATE INDEX runs_removable ON runs (ticket) WHERE pinned = 0 AND status NOT IN ('queued', 'running');
""",
    2: """
ALTER TABLE runs ADD COLUMN name TEXT NOT NULL DEFAULT '';
ALTER TABLE runs ADD COLUMN note TEXT NOT NULL DEFAULT '';
ALTER TABLE runs ADD COLUMN session TEXT NOT NULL DEFAULT '';
ALTER TABLE runs ADD COLUMN hardware TEXT NOT NULL DEFAULT '';
UPDATE runs SET hardware = coalesce(json_extract(manifest, '$.hardware'), '') WHERE json_valid(manifest);
""",
}
# Reads what the lists of runs will read.
SCHEMA = Schema(
    DATABASE_VERSION,
    _TABLES,
    _MIGRATIONS,
    f"SELECT max(created_at) FROM (SELECT created_at FROM runs ORDER BY ticket DESC LIMIT {OPENING_ROWS})",
)
_LISTED = ", ".join(field.name for field in dataclasses.fields(Listed))
EVERYTHING = Filter()
_REMOVABLE = "pinned = 0 AND status NOT IN ('queued', 'running')"  # as the index has it, or it would not be used


class UnknownRun(ParameterError):
    """There is no such run, or not any more."""


@dataclass(frozen=True)
class Event:
    """One line of a run's event log. ``kind`` is phase, progress, record, facts, data or end; ``body`` holds its other fields."""

    seq: int
    kind: str
    body: Mapping[str, Any]


@dataclass(frozen=True)
class Run:
    """How a run stands.

    ``queue_place`` counts the runs before a queued run that need one of its devices, 0 for a running one, None after the end.
    ``progress`` is the share done of the whole run, 0 to 1; ``cell`` of ``n_cells`` counts the sweep from 0; ``phase``, ``phase_detail``
    and ``message`` are the latest words of the worker. Times are seconds since 1970 UTC, for display. The limit never removes a
    ``pinned`` run. ``name`` and ``note`` are the reader's own words, "" where there are none.
    """

    id: str
    workload: str
    preset: str
    plan_json: Mapping[str, Sequence[Any]]
    device: str
    status: Status
    reason: str
    created_at: float
    started_at: float | None
    ended_at: float | None
    manifest: Mapping[str, Any]
    queue_place: int | None
    last_seq: int
    phase: str
    phase_detail: str
    progress: float
    message: str
    cell: int
    n_cells: int
    cancel_requested: bool
    pinned: bool = False
    name: str = ""
    note: str = ""

    @property
    def active(self) -> bool:
        """Whether the run is queued or running."""
        return self.status in ACTIVE

    @property
    def plan(self) -> Plan:
        """The validated parameters. Raises ParameterError when the workload has changed so that they no longer are valid."""
        return Plan.from_json(workload(self.workload).parameters, self.plan_json)


@dataclass(frozen=True)
class Processes:
    """Who is responsible for an active run: process ids with marks of their start (see :mod:`lab.processes`)."""

    run_id: str
    owner_pid: int
    owner_start: str
    worker_pid: int | None
    worker_start: str | None


@dataclass(frozen=True)
class Queued:
    """A queued or running run as the queue sees it. ``locks`` names the devices that it needs."""

    run_id: str
    status: Status
    locks: frozenset[str]
    cancel_requested: bool


def default_home() -> Path:
    """``$EFFICIENCY_LAB_HOME``, or the user's data folder of this system."""
    return Path(os.environ.get(HOME_VARIABLE) or platformdirs.user_data_dir("efficiency-lab", appauthor=False)).absolute()


class Store:
    """The runs under ``home``. One connection, used by one thread at a time; safe to share between threads.

    A damaged database is set aside, one of an older version is migrated. ``fault``: that of the store before, where this one is opened
    in its place. Raises StoreError when the database was made by a newer version or is locked by another program, the folder cannot be
    written or ``$EFFICIENCY_LAB_MAX_RUNS`` is no whole number from 1; every method, where the database cannot be used at the moment
    (StoreBusy, StoreFull) or any more (StoreDamaged, see ``fault``).
    """

    def __init__(self, home: Path | None = None, fault: str = "") -> None:
        self.home = (home or default_home()).absolute()
        self.max_runs = _max_runs()
        try:
            (self.home / "runs").mkdir(parents=True, exist_ok=True)
            with exclusive(self.home / "opening.lock"):  # two processes must neither create the tables nor set a file aside twice
                self._database = Database(self.database, SCHEMA, fault)
        except OSError as error:
            raise StoreError(
                f"{self.home} cannot be used to keep runs ({error.strerror}); choose a folder with ${HOME_VARIABLE}"
            ) from error

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the database; the store cannot be used afterwards."""
        self._database.close()

    @property
    def notice(self) -> str:
        """What happened to the database when it was opened, for the reader; "" where there is nothing to tell."""
        return self._database.notice

    @property
    def fault(self) -> str:
        """Why this store cannot be used any more and must be opened anew, in words; "" while it can be used."""
        return "" if self._database.usable else self._database.fault

    @property
    def database(self) -> Path:
        return self.home / "runs.sqlite"

    @property
    def cache_dir(self) -> Path:
        return self.home / "cache"

    def folder(self, run_id: str) -> Path:
        """The run's own folder. ``run_id`` must come from the store."""
        return self.home / "runs" / run_id

    @property
    def _db(self) -> sqlite3.Connection:
        return self._database.connection

    def _write(self) -> contextlib.AbstractContextManager[sqlite3.Connection]:
        return self._database.writing()

    def _rows(self, sql: str, *values: object) -> list[sqlite3.Row]:
        return self._database.rows(sql, *values)

    # --- what readers ask -------------------------------------------------------------------------------------------------

    def run(self, run_id: str) -> Run:
        """How one run stands. Raises ParameterError when there is no such run."""
        rows = self._rows("SELECT * FROM runs WHERE id = ?", run_id)
        if not rows:
            raise _unknown(run_id)
        return self._read(rows[0])

    def runs(self, limit: int = 50, workload: str | None = None) -> list[Run]:
        """The latest runs, newest first, of one workload or of all."""
        if workload is None:
            rows = self._rows("SELECT * FROM runs ORDER BY ticket DESC LIMIT ?", limit)
        else:
            rows = self._rows("SELECT * FROM runs WHERE workload = ? ORDER BY ticket DESC LIMIT ?", workload, limit)
        return [self._read(row) for row in rows]

    def listing(self, wanted: Filter = EVERYTHING, order: Order = "newest", limit: int = 50, offset: int = 0) -> Listing:
        """The runs that ``wanted`` lets through, ``limit`` of them from the ``offset``-th on, with how many there are in all."""
        where, values = wanted.where()
        with self._database.reading():
            total = self._rows(f"SELECT count(*) FROM runs WHERE {where}", *values)[0][0]
            sql = f"SELECT {_LISTED} FROM runs WHERE {where} ORDER BY {ORDERS[order]} LIMIT ? OFFSET ?"
            rows = self._rows(sql, *values, limit, offset)
        return Listing([Listed(**{**row, "pinned": bool(row["pinned"])}) for row in map(dict, rows)], total)

    def occurring(self, column: Literal["workload", "status", "preset", "hardware"]) -> list[str]:
        """Every value of ``column`` that a stored run has, sorted; a filter has nothing else to offer."""
        return [value for (value,) in self._rows(f"SELECT DISTINCT {column} FROM runs WHERE {column} != '' ORDER BY {column}")]

    def n_active(self, session: str) -> int:
        """How many queued and running runs the browser session ``session`` has ("": the command line)."""
        return self._rows("SELECT count(*) FROM runs WHERE status IN ('queued', 'running') AND session = ?", session)[0][0]

    def events(self, run_id: str, after_seq: int = -1, kind: str | None = None) -> list[Event]:
        """The run's events with a sequence number above ``after_seq``, in order; of one kind or of all."""
        if kind is None:
            rows = self._rows("SELECT seq, kind, body FROM events WHERE run_id = ? AND seq > ? ORDER BY seq", run_id, after_seq)
        else:
            sql = "SELECT seq, kind, body FROM events WHERE run_id = ? AND kind = ? AND seq > ? ORDER BY seq"
            rows = self._rows(sql, run_id, kind, after_seq)
        return [Event(row["seq"], row["kind"], json.loads(row["body"])) for row in rows]

    def records(self, run_id: str, after_seq: int = -1) -> list[StoredRecord]:
        """The run's records with a sequence number above ``after_seq``, in order."""
        return [StoredRecord(e.seq, e.body["cell"], Record(**e.body["record"])) for e in self.events(run_id, after_seq, "record")]

    def view(self, run_id: str) -> RunView:
        """The run with its records, as pages and export read it. Raises ParameterError when there is no such run."""
        run = self.run(run_id)
        return RunView(run.id, workload(run.workload), run.plan, run.manifest, self.records(run_id), run.status, run.reason)

    def retention_notice(self) -> str:
        """Which run the limit will remove first and when, in words; "" while fewer than 90 % of the runs it allows are stored."""
        count = self._rows(f"SELECT count(*) FROM runs WHERE {_REMOVABLE}")[0][0]
        if count < NOTICE_SHARE * self.max_runs:
            return ""
        left = max(self.max_runs - count, 0)
        when = f"{left:,} more fit" if left else "when the next run ends, room is made for it"
        oldest = self._rows(f"SELECT id FROM runs WHERE {_REMOVABLE} ORDER BY ticket LIMIT 1")[0][0]
        return (
            f"{count:,} of at most {self.max_runs:,} unpinned runs are stored: {when}. "
            f"The oldest are removed first, beginning with {oldest}. Pin or export what you want to keep, or raise ${MAX_RUNS_VARIABLE}."
        )

    def _read(self, row: sqlite3.Row) -> Run:
        latest: dict[str, tuple[int, dict[str, Any]]] = {}
        for kind in ("phase", "progress"):
            sql = "SELECT seq, body FROM events WHERE run_id = ? AND kind = ? ORDER BY seq DESC LIMIT 1"
            latest[kind] = next(((found["seq"], json.loads(found["body"])) for found in self._rows(sql, row["id"], kind)), (-1, {}))
        (phase_seq, phase), (progress_seq, progress) = latest["phase"], latest["progress"]
        newest = phase if phase_seq > progress_seq else progress
        plan = json.loads(row["plan"])
        n_cells = 1
        for several in plan.values():
            n_cells *= len(several)
        return Run(
            id=row["id"],
            workload=row["workload"],
            preset=row["preset"],
            plan_json=plan,
            device=row["device"],
            status=row["status"],
            reason=row["reason"],
            created_at=row["created_at"],
            started_at=row["started_at"],
            ended_at=row["ended_at"],
            manifest=json.loads(row["manifest"]),
            queue_place=self._queue_place(row),
            last_seq=self._rows("SELECT coalesce(max(seq), -1) FROM events WHERE run_id = ?", row["id"])[0][0],
            phase=phase.get("name", ""),
            phase_detail=phase.get("detail", ""),
            progress=1.0 if row["status"] == "finished" else newest.get("share", 0.0),
            message=progress.get("message", "") if progress_seq > phase_seq else "",
            cell=newest.get("cell", 0),
            n_cells=n_cells,
            cancel_requested=bool(row["cancel_requested"]),
            pinned=bool(row["pinned"]),
            name=row["name"],
            note=row["note"],
        )

    def _queue_place(self, row: sqlite3.Row) -> int | None:
        if row["status"] != "queued":
            return 0 if row["status"] == "running" else None
        needed = set(row["locks"].split(","))
        before = self._rows("SELECT locks FROM runs WHERE status IN ('queued', 'running') AND ticket < ?", row["ticket"])
        return sum(bool(needed & set(other["locks"].split(","))) for other in before)

    # --- what the engine writes -------------------------------------------------------------------------------------------

    def add(
        self,
        *,
        workload: str,
        preset: str,
        plan_json: Mapping[str, Any],
        device: str,
        locks: Sequence[str],
        manifest: Callable[[str, float], Mapping[str, Any]],
        owner_pid: int,
        owner_start: str,
        token: str | None = None,
        session: str = "",
        admit: Callable[[], None] = lambda: None,
    ) -> tuple[str, bool]:
        """Queue a run; returns its id and whether it is new (False: a run with this ``token`` was there already).

        ``manifest(run_id, created_at)`` gives the first manifest. ``session`` tells browser sessions apart ("": the command line).
        ``admit()`` is called while nobody else can write, and refuses the run by raising: what it reads still holds when the run is in.
        """
        with self._write() as db:
            known = db.execute("SELECT id FROM runs WHERE token = ?", (token,)).fetchone()  # NULL equals nothing
            if known is not None:
                return known["id"], False
            admit()
            run_id = new_run_id()
            while db.execute("SELECT 1 FROM runs WHERE id = ?", (run_id,)).fetchone():
                run_id = new_run_id()
            created_at = time.time()
            first = manifest(run_id, created_at)
            row = {
                "id": run_id,
                "token": token,
                "workload": workload,
                "preset": preset,
                "plan": json.dumps(plan_json),
                "device": device,
                "locks": ",".join(locks),
                "created_at": created_at,
                "owner_pid": owner_pid,
                "owner_start": owner_start,
                "manifest": json.dumps(first),
                "session": session,
                "hardware": _hardware(first),
            }
            db.execute(f"INSERT INTO runs ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})", tuple(row.values()))
            self.folder(run_id).mkdir()  # inside the transaction: a row without its folder, or the reverse, cannot stay behind
        return run_id, True

    def start(self, run_id: str, worker_pid: int, worker_start: str, started_at: float) -> None:
        """Mark an active run as running in the given worker process."""
        with self._write() as db:
            db.execute(
                "UPDATE runs SET status = 'running', started_at = ?, worker_pid = ?, worker_start = ? "
                "WHERE id = ? AND status IN ('queued', 'running')",
                (started_at, worker_pid, worker_start, run_id),
            )

    def set_manifest(self, run_id: str, manifest: Mapping[str, Any]) -> None:
        """Keep what is known of the run's circumstances (plain JSON values)."""
        with self._write() as db:
            sql = "UPDATE runs SET manifest = ?, hardware = ? WHERE id = ?"
            db.execute(sql, (json.dumps(manifest), _hardware(manifest), run_id))

    def end(self, run_id: str, status: Status, reason: str, ended_at: float) -> bool:
        """End an active run; returns False when it had ended already (the first ending stays)."""
        with self._write() as db:
            sql = "UPDATE runs SET status = ?, reason = ?, ended_at = ?, reserve = NULL WHERE id = ? AND status IN ('queued', 'running')"
            return db.execute(sql, (status, reason[:MAX_REASON], ended_at, run_id)).rowcount == 1

    def request_cancel(self, run_id: str) -> None:
        """Ask the process that supervises the run to end it."""
        with self._write() as db:
            db.execute("UPDATE runs SET cancel_requested = 1 WHERE id = ? AND status IN ('queued', 'running')", (run_id,))

    def cancel_requested(self, run_id: str) -> bool:
        """Whether somebody asked to end the run."""
        return bool(self._rows("SELECT cancel_requested FROM runs WHERE id = ?", run_id)[0][0])

    def queue(self) -> list[Queued]:
        """The queued and running runs in the order of the queue."""
        sql = "SELECT id, status, locks, cancel_requested FROM runs WHERE status IN ('queued', 'running') ORDER BY ticket"
        return [
            Queued(row["id"], row["status"], frozenset(row["locks"].split(",")), bool(row["cancel_requested"])) for row in self._rows(sql)
        ]

    def has_active(self) -> bool:
        """Whether a run is queued or running."""
        return bool(self._rows("SELECT EXISTS (SELECT 1 FROM runs WHERE status IN ('queued', 'running'))")[0][0])

    def owners(self) -> list[tuple[int, str]]:
        """The processes that supervise a queued or running run: id and mark of its start, each once."""
        sql = "SELECT DISTINCT owner_pid, owner_start FROM runs WHERE status IN ('queued', 'running')"
        return [(row[0], row[1]) for row in self._rows(sql)]

    def active_processes(self) -> list[Processes]:
        """Who is responsible for each queued or running run, in queue order."""
        sql = "SELECT id, owner_pid, owner_start, worker_pid, worker_start FROM runs WHERE status IN ('queued', 'running') ORDER BY ticket"
        return [Processes(*row) for row in self._rows(sql)]

    def pin(self, run_id: str, pinned: bool) -> None:
        """Keep a run for good, or no longer. Raises ParameterError when there is no such run."""
        with self._write() as db:
            changed = db.execute("UPDATE runs SET pinned = ? WHERE id = ?", (int(pinned), run_id)).rowcount
        if not changed:
            raise _unknown(run_id)

    def describe(self, run_id: str, *, name: str | None = None, note: str | None = None) -> None:
        """Give a run a name or a note; "" takes it away, None leaves it. White space around both goes.

        Raises ParameterError, with nothing changed, for more than ``MAX_NAME`` or ``MAX_NOTE`` characters, for characters that
        cannot be seen (a note may have several lines) and when there is no such run.
        """
        changes = {}
        if name is not None:
            changes["name"] = _words("name", name.strip(), MAX_NAME)
        if note is not None:
            changes["note"] = _words("note", note.replace("\r\n", "\n").strip(), MAX_NOTE, allowed="\n\t")
        with self._write() as db:
            if db.execute("SELECT 1 FROM runs WHERE id = ?", (run_id,)).fetchone() is None:
                raise _unknown(run_id)
            for column, text in changes.items():
                db.execute(f"UPDATE runs SET {column} = ? WHERE id = ?", (text, run_id))

    def delete(self, run_id: str) -> None:
        """Remove a run that has ended, pinned or not, with its folder and events.

        Raises ParameterError when there is no such run (any more) or it has not ended, StoreError when its folder cannot be removed;
        then the run stays.
        """
        with self._write() as db:  # asked inside: of two who delete it at once, one is told that it is gone
            row = db.execute("SELECT status FROM runs WHERE id = ?", (run_id,)).fetchone()
            if row is None:
                raise _unknown(run_id)
            if row["status"] in ACTIVE:
                raise ParameterError("run", run_id, "a run that has ended; cancel it first", f"is {row['status']}")
            if not self._remove(db, run_id):
                raise StoreError(f"the folder {self.folder(run_id)} cannot be removed, so the run stays; remove it by hand and try again")

    def remove_oldest(self) -> list[str]:
        """Remove the oldest runs beyond the limit with their folders, a few at once; returns their ids. Active and pinned runs stay.

        The database file does not shrink, but what comes later takes the room. Raises StoreFull on a full disk.
        """
        removed = []
        with self._write() as db:  # counted inside: neither can a run be pinned in between, nor another process remove one more
            count = db.execute(f"SELECT count(*) FROM runs WHERE {_REMOVABLE}").fetchone()[0]
            excess = min(max(count - self.max_runs, 0), MAX_REMOVED)
            for (run_id,) in db.execute(f"SELECT id FROM runs WHERE {_REMOVABLE} ORDER BY ticket LIMIT ?", (excess,)).fetchall():
                if self._remove(db, run_id):
                    removed.append(run_id)
        return removed

    def _remove(self, db: sqlite3.Connection, run_id: str) -> bool:
        """Remove a run; False where its folder stays, and so the run."""
        # The folder goes first: what a crash leaves is a run without its folder, which the next call removes.
        if not self._remove_folder(run_id):
            return False
        db.execute("DELETE FROM events WHERE run_id = ?", (run_id,))
        db.execute("DELETE FROM runs WHERE id = ?", (run_id,))
        return True

    def _remove_folder(self, run_id: str) -> bool:
        """Remove the run's folder; False where it is still there. Never touches anything but a real folder directly under <home>/runs."""
        folder = self.folder(run_id)
        if re.fullmatch(RUN_ID_PATTERN, run_id) is None or folder.is_symlink():
            return False
        shutil.rmtree(folder, ignore_errors=True)
        return not folder.exists()

    def ingest(self, run_id: str) -> None:
        """Take in what the worker has appended to its event log since the last time.

        Only whole lines are read: a line torn by a crash, or still being written, waits for its end. A line that is no event is
        skipped. Raises StoreFull when the database cannot grow; what was not taken in stays in the file.
        """
        path = self.folder(run_id) / EVENTS_FILE
        while True:
            start = self._rows("SELECT ingested_bytes FROM runs WHERE id = ?", run_id)[0][0]
            try:
                with path.open("rb") as file:
                    file.seek(start)
                    block = file.read(INGEST_BYTES)
            except FileNotFoundError:
                return
            block = block[: block.rfind(b"\n") + 1]
            if not block:
                return
            events = [event for event in map(_parse, block.splitlines()) if event is not None]
            rows = [(run_id, event.seq, event.kind, json.dumps(event.body)) for event in events]
            with self._write() as db:
                db.executemany("INSERT OR IGNORE INTO events (run_id, seq, kind, body) VALUES (?, ?, ?, ?)", rows)
                db.execute("UPDATE runs SET ingested_bytes = max(ingested_bytes, ?) WHERE id = ?", (start + len(block), run_id))


def _max_runs() -> int:
    text = os.environ.get(MAX_RUNS_VARIABLE) or str(DEFAULT_MAX_RUNS)
    if not (text.isascii() and text.isdigit() and len(text) <= 9 and int(text) > 0):
        raise StoreError(f"${MAX_RUNS_VARIABLE} is {text[:60]!r}; allowed: a whole number from 1 to 999999999")
    return int(text)


def _unknown(run_id: str) -> UnknownRun:
    return UnknownRun("run", run_id, "the id of a run of this lab", "is unknown")


def _hardware(manifest: Mapping[str, Any]) -> str:
    return str(manifest.get("hardware") or "")


def _words(field: str, text: str, longest: int, allowed: str = "") -> str:
    """``text`` if it is short enough and nothing in it moves or hides other text."""
    hidden = hidden_character(text, allowed)
    if hidden or len(text) > longest:
        problem = f"has the hidden character {hidden}" if hidden else f"has {len(text):,} characters"
        raise ParameterError(field, text, f"at most {longest:,} characters, none that cannot be seen", problem)
    return text


def new_run_id(now_ns: int | None = None) -> str:
    """A short id that sorts by time and can stand in a URL: UTC date and time, then milliseconds and chance ("20260131-174502-a7k2m9")."""
    now_ns = time.time_ns() if now_ns is None else now_ns
    moment = datetime.datetime.fromtimestamp(now_ns // 1_000_000_000, datetime.UTC)
    digits = "0123456789abcdefghjkmnpqrstvwxyz"  # 32 of them, none easily mistaken for another
    milliseconds = now_ns // 1_000_000 % 1000
    tail = digits[milliseconds // 32] + digits[milliseconds % 32] + "".join(secrets.choice(digits) for _ in range(4))
    return f"{moment:%Y%m%d-%H%M%S}-{tail}"


def _parse(line: bytes) -> Event | None:
    try:
        body = json.loads(line)
        return Event(int(body.pop("seq")), str(body.pop("kind")), body)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
