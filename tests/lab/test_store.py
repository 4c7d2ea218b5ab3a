"""The store keeps every event once, whoever reads it in and however the file was cut; and survives a damaged or full database."""

from __future__ import annotations

import json
import sqlite3
import string
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.parameters import ParameterError
from lab.records import Record, StoredRecord
from lab.store import DATABASE_VERSION, Store, StoreError, default_home, new_run_id
from lab.worker import EVENTS_FILE
from tests.demo_workloads.demo.spec import WORKLOAD

RECORD = {
    "protocol": "sound",
    "arm": "new",
    "role": "technique",
    "implementation": "eager",
    "device": "cpu",
    "dtype": "float64",
    "metric": "latency_s",
    "value": 0.5,
    "unit": "s",
    "repeat": 0,
    "seed": 1,
    "reason": "",
    "dimensions": {"step": 0},
}


def add(store: Store, locks: tuple[str, ...] = ("cpu",), token: str | None = None) -> str:
    run_id, _ = store.add(
        workload="demo",
        preset="quick",
        plan_json=WORKLOAD.plan().to_json(),
        device="cpu",
        locks=locks,
        manifest=lambda run_id, created_at: {"run_id": run_id},
        owner_pid=1,
        owner_start="mark",
        token=token,
    )
    return run_id


def line(seq: int, kind: str = "record", **body: Any) -> bytes:
    body = body or {"cell": 0, "record": {**RECORD, "repeat": seq}}
    return json.dumps({"seq": seq, "kind": kind, **body}).encode() + b"\n"


def append(store: Store, run_id: str, data: bytes) -> None:
    with (store.folder(run_id) / EVENTS_FILE).open("ab") as file:
        file.write(data)


# --- run ids ------------------------------------------------------------------------------------------------------------------


def test_a_run_id_holds_its_time_and_can_stand_in_a_url() -> None:
    # 2026-01-31 17:45:02 UTC is 1 769 881 502 s after 1970; 345 ms = 10 · 32 + 25, the digits "a" (10th) and "s" (25th).
    run_id = new_run_id(1_769_881_502_345_000_000)
    assert run_id.startswith("20260131-174502-as")
    assert len(run_id) == 22
    assert set(run_id) <= set(string.ascii_lowercase + string.digits + "-")


@given(st.lists(st.integers(0, 4_000_000_000_000), min_size=2, max_size=2, unique=True))
def test_run_ids_sort_by_time(milliseconds: list[int]) -> None:
    earlier, later = sorted(milliseconds)
    assert new_run_id(earlier * 1_000_000) < new_run_id(later * 1_000_000)


# --- events -------------------------------------------------------------------------------------------------------------------


def test_records_come_back_as_they_were_written(store: Store) -> None:
    run_id = add(store)
    append(store, run_id, line(0, "phase", cell=0, share=0.0, name="measure", detail="", budgeted=True) + line(1))
    store.ingest(run_id)
    assert store.records(run_id) == [StoredRecord(1, 0, Record(**{**RECORD, "repeat": 1}))]
    assert store.records(run_id, after_seq=1) == []
    assert [event.kind for event in store.events(run_id)] == ["phase", "record"]
    assert store.run(run_id).last_seq == 1


@settings(max_examples=25, deadline=None)
@given(cuts=st.lists(st.integers(0, 600), max_size=8))
def test_reading_in_any_pieces_gives_every_event_once(tmp_path_factory: pytest.TempPathFactory, cuts: list[int]) -> None:
    data = b"".join(line(seq, "progress", share=seq / 20) for seq in range(12))
    with Store(tmp_path_factory.mktemp("home")) as store:
        run_id = add(store)
        for start, end in zip([0, *sorted(cuts)], [*sorted(cuts), len(data)], strict=True):
            append(store, run_id, data[start:end])
            store.ingest(run_id)
        assert [event.seq for event in store.events(run_id)] == list(range(12))


def test_a_torn_last_line_waits_and_garbage_is_skipped(store: Store) -> None:
    run_id = add(store)
    whole = line(2)
    append(store, run_id, line(0) + b"chatter\n[1]\n{}\n\xff\xfe\n" + line(1) + whole[:20])
    store.ingest(run_id)
    assert [event.seq for event in store.events(run_id)] == [0, 1]
    append(store, run_id, whole[20:])
    store.ingest(run_id)
    assert [event.seq for event in store.events(run_id)] == [0, 1, 2]


def test_two_stores_may_read_in_the_same_events_at_once(store: Store) -> None:
    run_id = add(store)
    append(store, run_id, b"".join(map(line, range(500))))
    with Store() as other:
        threads = [threading.Thread(target=each.ingest, args=(run_id,)) for each in (store, other, store, other)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [event.seq for event in other.events(run_id)] == list(range(500))


def test_the_standing_of_a_run_is_told_by_its_latest_phase_and_progress(store: Store) -> None:
    run_id = add(store)
    append(store, run_id, line(0, "phase", cell=0, share=0.0, name="measure", detail="n = 4", budgeted=True))
    append(store, run_id, line(1, "progress", cell=0, share=0.25, fraction=0.5, message="half"))
    store.ingest(run_id)
    run = store.run(run_id)
    assert (run.phase, run.phase_detail, run.progress, run.message, run.cell) == ("measure", "n = 4", 0.25, "half", 0)
    append(store, run_id, line(2, "phase", cell=1, share=0.5, name="compile", detail="", budgeted=False))
    store.ingest(run_id)
    run = store.run(run_id)
    assert (run.phase, run.progress, run.message, run.cell) == ("compile", 0.5, "", 1)


# --- runs ---------------------------------------------------------------------------------------------------------------------


def test_an_unknown_run_is_refused(store: Store) -> None:
    with pytest.raises(ParameterError, match=r"^run: '\.\./\.\./etc' is unknown"):
        store.run("../../etc")


def test_the_first_ending_stays(store: Store) -> None:
    run_id = add(store)
    assert store.end(run_id, "cancelled", "", 1.0)
    assert not store.end(run_id, "failed", "too late", 2.0)
    run = store.run(run_id)
    assert (run.status, run.reason, run.ended_at, run.queue_place, run.active) == ("cancelled", "", 1.0, None, False)


def test_the_queue_counts_runs_before_that_need_the_same_device(store: Store) -> None:
    first, second, other, third = add(store), add(store), add(store, ("GPU-1",)), add(store, ("cpu", "GPU-1"))
    places = [store.run(run_id).queue_place for run_id in (first, second, other, third)]
    assert places == [0, 1, 0, 3]
    store.start(first, 2, "mark", 1.0)
    assert [store.run(run_id).queue_place for run_id in (first, second)] == [0, 1]
    store.end(first, "finished", "", 2.0)
    assert [store.run(run_id).queue_place for run_id in (first, second, other, third)] == [None, 0, 0, 2]


def test_the_same_token_is_the_same_run(store: Store) -> None:
    assert add(store, token="click") == add(store, token="click")
    assert add(store) != add(store)
    assert len(store.runs()) == 3


def test_runs_are_listed_newest_first_whatever_the_clock_says(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    first = add(store)
    monkeypatch.setattr("lab.store.time.time_ns", lambda: 0)
    monkeypatch.setattr("lab.store.time.time", lambda: 0.0)
    second = add(store)
    assert [run.id for run in store.runs()] == [second, first]
    assert [run.id for run in store.runs(limit=1)] == [second]
    assert store.runs(workload="activations") == []


def test_a_run_survives_closing_the_store(home: Path) -> None:
    with Store() as store:
        run_id = add(store)
    with Store() as store:
        assert store.run(run_id).plan == WORKLOAD.plan()
        assert store.view(run_id).manifest == {"run_id": run_id}


# --- the database file --------------------------------------------------------------------------------------------------------


def test_the_home_folder_comes_from_the_environment(home: Path) -> None:
    assert default_home() == home


def test_a_home_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="EFFICIENCY_LAB_HOME"):
        Store(tmp_path / "file")


def test_a_newer_database_is_refused_and_left_alone(home: Path) -> None:
    with Store() as store:
        add(store)
    db = sqlite3.connect(home / "runs.sqlite")
    db.execute(f"PRAGMA user_version = {DATABASE_VERSION + 1}")
    db.close()
    before = (home / "runs.sqlite").read_bytes()
    with pytest.raises(StoreError, match=f"newer Efficiency Lab .database version {DATABASE_VERSION + 1}"):
        Store()
    assert (home / "runs.sqlite").read_bytes() == before


@pytest.mark.parametrize("damage", ["not a database", "table of runs overwritten"])
def test_a_damaged_database_is_set_aside_and_kept(home: Path, damage: str) -> None:
    with Store() as store:
        for _ in range(20):
            add(store)
    database = home / "runs.sqlite"
    content = bytearray(database.read_bytes())
    if damage == "not a database":
        content[:16] = b"this is no SQLit"
    else:
        content[4096:] = b"\xff" * (len(content) - 4096)  # every page but the first, which holds the schema
    database.write_bytes(content)
    with Store() as store:
        assert "damaged" in store.notice
        assert store.runs() == []
        add(store)
    (aside,) = home.glob("runs.damaged-*.sqlite")
    assert aside.read_bytes() == content
    with Store() as store:
        assert store.notice == ""
        assert len(store.runs()) == 1


def test_a_full_database_keeps_what_it_has_and_can_still_end_the_run(store: Store) -> None:
    run_id = add(store)
    append(store, run_id, b"".join(map(line, range(10))))
    store.ingest(run_id)
    pages = store._db.execute("PRAGMA page_count").fetchone()[0]
    store._db.execute(f"PRAGMA max_page_count = {pages}")
    append(store, run_id, b"".join(map(line, range(10, 2000))))
    with pytest.raises(sqlite3.OperationalError, match="full"):
        store.ingest(run_id)
    assert [event.seq for event in store.events(run_id)] == list(range(10))
    assert store.end(run_id, "failed", "the disk is full" * 100, 1.0)
    assert store.run(run_id).status == "failed"
    store._db.execute("PRAGMA max_page_count = 1000000")  # somebody made room
    store.ingest(run_id)
    assert len(store.events(run_id)) == 2000


def test_many_threads_may_write(store: Store) -> None:
    threads = [threading.Thread(target=add, args=(store,)) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({run.id for run in store.runs()}) == 20
