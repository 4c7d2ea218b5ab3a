"""What a page says while the store is locked, and when it is damaged, removed or full: one line, never an exception, and it goes on."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

import lab.database
from lab.jobs import MAX_SESSION_RUNS
from lab.store import Store
from lab.ui import server
from lab.ui.text import plain
from tests.pages.app_copy import ROOT
from tests.pages.test_pages import button

Open = Callable[..., AppTest]
Until = Callable[[Callable[[], object]], None]
PAGES = ["", *sorted(path.stem for path in (ROOT / "pages").glob("*.py"))]


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lab.database, "BUSY_TIMEOUT_S", 0.05)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def lock(store: Store) -> Iterator[sqlite3.Connection]:
    """An exclusive transaction of another connection, until it is rolled back."""
    other = sqlite3.connect(store.database, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN EXCLUSIVE")
    yield other
    other.close()


def errors(page: AppTest) -> list[str]:
    assert not page.exception
    return [found.value.replace("\\", "") for found in page.error]


def warnings(page: AppTest) -> list[str]:
    assert not page.exception
    return [found.value.replace("\\", "") for found in page.warning]


# --- locked -------------------------------------------------------------------------------------------------------------------


def test_run_says_that_the_store_is_locked_and_can_be_pressed_again(open_page: Open, store: Store, lock: sqlite3.Connection) -> None:
    page = open_page("demo")
    assert errors(page) == []  # reading goes on
    button(page, "Run").click().run()
    (said,) = errors(page)
    assert said.startswith(f"{store.database} is locked by another program")
    assert said.endswith("close that program or wait for it. Nothing was started.")
    assert not button(page, "Run").disabled
    lock.execute("ROLLBACK")
    button(page, "Run").click().run()
    assert errors(page) == []
    assert len(store.runs()) == 1


def test_cancel_says_that_the_store_is_locked(open_page: Open, store: Store, until: Until) -> None:
    page = open_page("demo", ending="hang")
    button(page, "Run").click().run()
    until(lambda: store.records(store.runs()[0].id))
    other = sqlite3.connect(store.database, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    button(page, "Cancel").click().run()
    assert "is locked by another program" in errors(page)[0]
    other.close()
    button(page, "Cancel").click().run()
    assert errors(page) == []
    until(lambda: not store.has_active())


@pytest.fixture
def locked_before_the_start(app: Path, home: Path) -> Iterator[sqlite3.Connection]:
    Store(home).close()
    other = sqlite3.connect(home / "runs.sqlite", isolation_level=None, check_same_thread=False)
    other.execute("PRAGMA locking_mode = EXCLUSIVE")
    other.execute("BEGIN EXCLUSIVE")
    yield other
    other.close()


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.usefixtures("locked_before_the_start")
def test_every_page_says_that_the_store_is_locked(open_page: Open, home: Path, name: str) -> None:
    (said,) = errors(open_page(name))
    assert said.startswith(f"{home / 'runs.sqlite'} is locked by another program")
    assert said.endswith("This page goes on by itself as soon as it can.")


def test_a_page_comes_back_when_the_lock_goes(open_page: Open, locked_before_the_start: sqlite3.Connection) -> None:
    page = open_page("demo")
    assert len(errors(page)) == 1
    locked_before_the_start.close()
    page.run()  # as its own look does every two seconds
    assert errors(page) == []
    assert len(page.title) == 1


# --- damaged, removed -----------------------------------------------------------------------------------------------------------


def overwritten(database: Path) -> None:
    server.store()._rows("PRAGMA wal_checkpoint(TRUNCATE)")
    server.store()._rows("PRAGMA shrink_memory")
    database.write_bytes(b"\x9d\x11not a database" * 4000)


def removed(database: Path) -> None:
    database.unlink()


@pytest.mark.parametrize(
    ("name", "damage", "words"),
    [
        ("demo", overwritten, "was damaged"),
        ("runs", overwritten, "was damaged"),
        ("demo", removed, "was removed while the lab had it open"),
    ],
)
def test_damage_in_the_middle_of_a_session_is_told_and_a_new_store_started(
    open_page: Open, store: Store, home: Path, name: str, damage: Callable[[Path], None], words: str
) -> None:
    page = open_page(name)
    assert warnings(page) == []
    damage(store.database)
    page.run()
    assert errors(page) == []
    (said,) = warnings(page)
    assert words in said
    assert "a new one was started" in said.lower()
    assert str(store.database.parent) in said
    kept = list(home.glob("runs.damaged-*.sqlite"))
    assert [str(path) in said for path in kept] == ([True] if damage is overwritten else [])
    assert server.store() is not store
    button(page, "Close this notice").click().run()
    assert warnings(page) == []
    other = open_page("demo")  # another session is told as well, and can run
    assert len(warnings(other)) == 1
    button(other, "Run").click().run()
    assert len(server.store().runs()) == 1


def test_damage_in_the_middle_of_a_run_is_told(open_page: Open, store: Store, until: Until) -> None:
    page = open_page("demo", ending="hang")
    button(page, "Run").click().run()
    run_id = store.runs()[0].id
    until(lambda: store.records(run_id))
    removed(store.database)
    page.run()
    assert "was removed while the lab had it open" in warnings(page)[0]
    assert f"run: '{run_id}' is unknown" in errors(page)[0]
    assert (store.folder(run_id) / "events.jsonl").stat().st_size > 0
    button(page, "Go on with the values shown").click().run()
    assert errors(page) == []


def test_a_store_that_stays_unusable_is_told_and_not_tried_for_ever(open_page: Open, store: Store) -> None:
    page = open_page("demo")
    store._rows("PRAGMA wal_checkpoint(TRUNCATE)")  # or its log would be taken for the new file's
    other = sqlite3.connect(store.home / "other.sqlite")
    other.execute("PRAGMA user_version = 999")
    other.close()
    (store.home / "other.sqlite").replace(store.database)
    page.run()
    (said,) = errors(page)
    assert said.startswith(f"{store.database} was made by a newer Efficiency Lab (database version 999")
    store.database.unlink()
    page.run()
    assert errors(page) == []


def test_damage_at_the_start_is_told_on_the_first_page(open_page: Open, home: Path) -> None:
    home.mkdir()
    (home / "runs.sqlite").write_bytes(b"no database" * 1000)
    page = open_page("")
    assert "was damaged (file is not a database). It is kept as" in warnings(page)[0]


# --- full ---------------------------------------------------------------------------------------------------------------------


def test_the_eleventh_run_of_a_session_is_refused_and_can_be_pressed_again(open_page: Open, store: Store, until: Until) -> None:
    page = open_page("demo", ending="hang")
    for seed in range(MAX_SESSION_RUNS + 1):
        page.number_input(key=next(found.key for found in page.number_input if found.label == "Seed")).set_value(seed + 1).run()
        button(page, "Run").click().run()
    assert errors(page) == [
        "10 runs of this browser session are queued or running, and no more can be at once; "
        "wait until one has ended or cancel one on the page Runs, then press Run again."
    ]
    assert plain("wait until one has ended") in page.error[0].value
    assert not button(page, "Run").disabled
    assert len(store.queue()) == MAX_SESSION_RUNS
    other = open_page("demo", ending="hang", seed="77")  # another reader's session
    button(other, "Run").click().run()
    assert errors(other) == []
    server.engine().cancel(store.queue()[0].run_id)
    until(lambda: store.n_active(st_session(page)) < MAX_SESSION_RUNS)
    button(page, "Run").click().run()
    assert errors(page) == []


def st_session(page: AppTest) -> str:
    return page.session_state["session"]
