"""What can be wrong with the database's file, made with real locks and real damage: what is said, what is kept, and how it goes on."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace as replace_fields
from pathlib import Path

import pytest

import lab.database
from lab.database import Database, Schema, StoreBusy, StoreDamaged, StoreError, StoreFull

SCHEMA = Schema(
    2, "CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT);", {1: "ALTER TABLE notes ADD COLUMN text TEXT;"}, "SELECT * FROM notes"
)
ROWS = 400
Damage = Callable[[Path], None]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "runs.sqlite"


@pytest.fixture
def database(path: Path) -> Iterator[Database]:
    """A database of several pages, all of them in the file and none in a cache, as hours after it was written."""
    opened = Database(path, SCHEMA)
    fill(opened)
    yield opened
    opened.close()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lab.database, "BUSY_TIMEOUT_S", 0.05)


def fill(database: Database) -> None:
    with database.writing() as db:
        db.executemany("INSERT INTO notes (text) VALUES (?)", [(f"note {number} " * 20,) for number in range(ROWS)])
    database.rows("PRAGMA wal_checkpoint(TRUNCATE)")
    database.rows("PRAGMA shrink_memory")


def count(database: Database) -> int:
    return database.rows("SELECT count(text) FROM notes WHERE text LIKE 'note%'")[0][0]


def kept_aside(path: Path) -> list[Path]:
    return sorted(path.parent.glob("runs.damaged-*.sqlite"))


# --- locked -------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def locked(database: Database) -> Iterator[subprocess.Popen[str]]:
    """Another program that has an exclusive transaction on the database until its input ends."""
    code = """
    import sqlite3, sys
    db = sqlite3.connect(sys.argv[1], isolation_level=None)
    db.execute("BEGIN EXCLUSIVE")
    print("locked", flush=True)
    sys.stdin.read()
    """
    command = [sys.executable, "-c", textwrap.dedent(code), str(database.path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "locked\n"
        yield process
        process.kill()


@pytest.mark.usefixtures("impatient", "locked")
def test_a_lock_is_told_with_the_file_and_what_to_do(database: Database, path: Path) -> None:
    with (
        pytest.raises(StoreBusy, match=r"is locked by another program .*; close that program or wait for it") as caught,
        database.writing(),
    ):
        pytest.fail("somebody else writes")
    assert str(path) in str(caught.value)
    assert count(database) == ROWS  # readers are not kept waiting
    assert database.usable


def test_a_writer_that_waits_keeps_no_reader_waiting_and_goes_on_when_the_lock_goes(
    database: Database, locked: subprocess.Popen[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lab.database, "BUSY_TIMEOUT_S", 60.0)
    waits = threading.Event()
    sleep = lab.database.time.sleep
    monkeypatch.setattr(lab.database.time, "sleep", lambda seconds: (waits.set(), sleep(seconds)))

    def write() -> None:
        with database.writing() as db:
            db.execute("INSERT INTO notes (text) VALUES ('note')")

    writer = threading.Thread(target=write)
    writer.start()
    assert waits.wait(30)
    assert count(database) == ROWS  # with the writer still waiting: the other program has not let go
    assert writer.is_alive()
    locked.communicate("")
    writer.join(30)
    assert count(database) == ROWS + 1


@pytest.mark.usefixtures("impatient")
def test_a_database_that_is_locked_when_it_is_opened_is_left_alone(database: Database, path: Path) -> None:
    database.close()
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("PRAGMA locking_mode = EXCLUSIVE")
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(StoreBusy, match="is locked by another program"):
        Database(path, SCHEMA)
    other.close()
    again = Database(path, SCHEMA)
    assert (count(again), again.notice, kept_aside(path)) == (ROWS, "", [])
    again.close()


def test_a_full_disk_is_told_and_keeps_what_is_there(database: Database) -> None:
    pages = database.rows("PRAGMA page_count")[0][0]
    database.rows(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(StoreFull, match="make room on the disk and try again"):
        fill(database)
    assert count(database) == ROWS
    assert database.usable
    database.rows("PRAGMA max_page_count = 100000")
    fill(database)
    assert count(database) == 2 * ROWS


def test_an_error_of_our_own_is_no_fault_of_the_file(database: Database) -> None:
    with pytest.raises(sqlite3.OperationalError, match="no such table"):
        database.rows("SELECT * FROM nowhere")
    with contextlib.suppress(KeyError), database.writing() as db:
        db.execute("DELETE FROM notes")
        raise KeyError
    assert count(database) == ROWS
    assert database.usable


# --- damaged when it is opened ------------------------------------------------------------------------------------------------


def random_bytes(path: Path) -> None:
    path.write_bytes(b"\x9d\x11not a database" * 4000)


def half(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def empty(path: Path) -> None:
    os.truncate(path, 0)


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir()
    (path / "file").write_text("")


def pages_overwritten(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)  # every page but the first, which holds the schema
    path.write_bytes(content)


DAMAGES = (random_bytes, half, empty, folder, pages_overwritten)


def content(path: Path) -> bytes:
    return b"a folder" if path.is_dir() else path.read_bytes()


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_kept_beside_a_new_database(database: Database, path: Path, damage: Damage) -> None:
    database.close()
    damage(path)
    before = content(path)
    opened = Database(path, SCHEMA)
    (aside,) = kept_aside(path)
    assert content(aside) == before
    assert opened.notice.startswith("The run database was ")
    assert opened.notice.endswith(f"It is kept as {aside}; a new one was started.")
    assert count(opened) == 0
    fill(opened)
    opened.close()
    opened = Database(path, SCHEMA)
    assert (count(opened), opened.notice) == (ROWS, "")
    opened.close()


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a folder that even root cannot write to: /proc")
def test_a_folder_that_cannot_be_written_is_told() -> None:
    with pytest.raises(StoreError, match=r"^/proc/self/runs\.sqlite cannot be used \(unable to open .*EFFICIENCY_LAB_HOME$"):
        Database(Path("/proc/self/runs.sqlite"), SCHEMA)


def test_a_file_that_can_only_be_read_is_told_and_read(database: Database) -> None:
    database.rows("PRAGMA query_only = ON")  # gives the error of a file without the right to write
    with pytest.raises(StoreError, match=r"cannot be used \(attempt to write a readonly database\); give this user the right"):
        fill(database)
    assert count(database) == ROWS


# --- damaged, removed, replaced while it is open ------------------------------------------------------------------------------


@pytest.mark.parametrize("damage", [random_bytes, half, pages_overwritten])
def test_damage_that_shows_later_gives_the_database_up_and_the_next_sets_it_aside(database: Database, path: Path, damage: Damage) -> None:
    damage(path)
    with pytest.raises(StoreDamaged, match="is damaged") as caught:
        count(database)
    assert str(path) in str(caught.value)
    assert not database.usable
    with pytest.raises(StoreDamaged), database.writing():
        pytest.fail("nothing can be written to it")
    before = path.read_bytes()
    fresh = Database(path, SCHEMA, database.fault)
    (aside,) = kept_aside(path)
    assert aside.read_bytes() == before
    assert str(aside) in fresh.notice
    assert (count(fresh), fresh.usable) == (0, True)
    fresh.close()


def remove(path: Path) -> None:
    path.unlink()


def replace(path: Path) -> None:
    Database(path.with_name("other.sqlite"), SCHEMA).close()
    path.with_name("other.sqlite").replace(path)


@pytest.mark.parametrize(
    ("loss", "words", "then"),
    [
        (remove, "was removed", "runs.sqlite was removed while the lab had it open. A new one was started."),
        (replace, "was replaced", "runs.sqlite was replaced while the lab had it open. It was opened anew."),
        (empty, "was emptied", "The run database was an empty file. It is kept as "),
    ],
)
def test_a_file_that_is_lost_gives_the_database_up_before_anything_is_written(
    database: Database, path: Path, loss: Damage, words: str, then: str
) -> None:
    loss(path)
    with pytest.raises(StoreDamaged, match=f"{words} while the lab had it open"), database.writing():
        pytest.fail("nobody would ever read what is written now")
    assert not database.usable
    fresh = Database(path, SCHEMA, database.fault)
    assert then in fresh.notice
    assert count(fresh) == 0
    fresh.close()


def test_a_fault_that_a_new_look_does_not_find_sets_nothing_aside(database: Database, path: Path) -> None:
    again = Database(path, SCHEMA, f"{path} is damaged")
    assert again.notice == f"{path} is damaged. It was opened anew."
    assert (count(again), kept_aside(path)) == (ROWS, [])
    again.close()


def test_after_a_fault_the_whole_file_is_read(database: Database, path: Path) -> None:
    little = replace_fields(SCHEMA, probe="SELECT 1")  # finds nothing wrong with pages that it does not read
    database.close()
    pages_overwritten(path)
    plain = Database(path, little)
    assert (plain.notice, kept_aside(path)) == ("", [])
    plain.close()
    fresh = Database(path, little, "an answer was wrong")
    assert len(kept_aside(path)) == 1
    assert count(fresh) == 0
    fresh.close()


def test_a_newer_database_is_left_alone(database: Database, path: Path) -> None:
    database.rows("PRAGMA user_version = 3")
    database.close()
    with pytest.raises(StoreError, match=r"made by a newer Efficiency Lab \(database version 3, this one knows 2\)"):
        Database(path, SCHEMA)
    assert kept_aside(path) == []
