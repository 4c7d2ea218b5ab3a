"""The store keeps every event once, whoever reads it in and however the file was cut; and survives a damaged or full database."""

from __future__ import annotations

import json
import random
import shutil
import sqlite3
import string
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.database import StoreFull
from lab.listing import ORDERS, Filter, Order
from lab.parameters import ParameterError
from lab.records import Record, StoredRecord
from lab.store import DATABASE_VERSION, MAX_NAME, MAX_NOTE, MAX_REMOVED, Run, Store, StoreError, default_home, new_run_id
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


def add(
    store: Store,
    locks: tuple[str, ...] = ("cpu",),
    token: str | None = None,
    session: str = "",
    workload: str = "demo",
    preset: str = "quick",
    hardware: str = "",
) -> str:
    run_id, _ = store.add(
        workload=workload,
        preset=preset,
        plan_json=WORKLOAD.plan().to_json(),
        device="cpu",
        locks=locks,
        manifest=lambda run_id, created_at: {"run_id": run_id, **({"hardware": hardware} if hardware else {})},
        owner_pid=1,
        owner_start="mark",
        token=token,
        session=session,
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


# --- what readers say of runs -------------------------------------------------------------------------------------------------


def test_a_run_takes_a_name_and_a_note(store: Store) -> None:
    run_id, other = add(store), add(store)
    assert (store.run(run_id).name, store.run(run_id).note) == ("", "")
    store.describe(run_id, name="  Größe <b>1</b> ", note="first\r\nsecond\tline\n")
    assert (store.run(run_id).name, store.run(run_id).note) == ("Größe <b>1</b>", "first\nsecond\tline")
    store.describe(run_id, name="another")  # None leaves the note
    assert (store.run(run_id).name, store.run(run_id).note) == ("another", "first\nsecond\tline")
    store.describe(run_id, name="", note="")
    assert (store.run(run_id).name, store.run(run_id).note) == ("", "")
    assert store.run(other).name == ""
    store.describe(run_id, name="n" * MAX_NAME, note="n" * MAX_NOTE)


@pytest.mark.parametrize(
    ("field", "text", "words"),
    [
        ("name", "n" * 101, r"^name: .* has 101 characters; allowed: at most 100 characters"),
        ("note", "n" * 2001, r"^note: .* has 2,001 characters; allowed: at most 2,000 characters"),
        ("name", "two\nlines", r"^name: .* has the hidden character U\+000A"),
        ("name", "nul\0", r"U\+0000"),
        ("note", "bell\a", r"^note: .*U\+0007"),
        ("name", "abc\u202edcba", r"U\+202E"),  # what follows is shown from right to left
        ("note", "half\ud800", r"U\+D800"),  # could not be written at all
    ],
)
def test_a_bad_name_or_note_is_refused_and_changes_nothing(store: Store, field: str, text: str, words: str) -> None:
    run_id = add(store)
    store.describe(run_id, name="before", note="before")
    with pytest.raises(ParameterError, match=words):
        store.describe(run_id, **{"name": "after", "note": "after", field: text})
    assert (store.run(run_id).name, store.run(run_id).note) == ("before", "before")


def test_an_unknown_run_cannot_be_described(store: Store) -> None:
    with pytest.raises(ParameterError, match="is unknown"):
        store.describe("20260131-174502-aaaaaa", name="")


def test_active_runs_are_counted_for_each_session(store: Store) -> None:
    mine = [add(store, session="mine") for _ in range(3)]
    add(store, session="other")
    add(store)
    store.start(mine[0], 2, "mark", 1.0)
    store.end(mine[1], "cancelled", "", 1.0)
    assert [store.n_active(session) for session in ("mine", "other", "", "nobody")] == [2, 1, 1, 0]


# --- deletion -----------------------------------------------------------------------------------------------------------------


def test_a_deleted_run_is_gone_with_its_folder_and_events(store: Store) -> None:
    gone, left = add_ended(store, 2)
    store.delete(gone)
    assert listed(store) == [left]
    assert (store.events(gone), len(store.events(left))) == ([], 1)
    assert (store.folder(gone).exists(), store.folder(left).exists()) == (False, True)
    with pytest.raises(ParameterError, match="is unknown"):
        store.view(gone)


def test_a_pinned_run_is_deleted_when_somebody_asks_for_it(store: Store) -> None:
    (run_id,) = add_ended(store, 1)
    store.pin(run_id, True)
    store.delete(run_id)
    assert listed(store) == []


def test_an_active_or_unknown_run_is_not_deleted(store: Store) -> None:
    queued, running = add(store), add(store)
    store.start(running, 2, "mark", 1.0)
    for run_id, words in ((queued, "is queued; allowed: a run that has ended"), (running, "is running"), ("../../etc", "is unknown")):
        with pytest.raises(ParameterError, match=words):
            store.delete(run_id)
    assert listed(store) == [queued, running]
    assert store.folder(queued).exists()


def test_of_two_who_delete_a_run_at_once_one_is_told_that_it_is_gone(store: Store) -> None:
    ids = add_ended(store, 10)
    outcomes: list[str] = []
    together = threading.Barrier(2)

    def delete_all(opened: Store) -> None:
        for run_id in ids:
            together.wait()
            try:
                opened.delete(run_id)
                outcomes.append("deleted")
            except ParameterError as error:
                outcomes.append(error.problem)

    with Store() as other:
        threads = [threading.Thread(target=delete_all, args=(opened,)) for opened in (store, other)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(outcomes) == ["deleted"] * 10 + ["is unknown"] * 10
    assert listed(store) == []


def test_a_run_stays_where_its_folder_cannot_be_removed(store: Store, tmp_path: Path) -> None:
    (run_id,) = add_ended(store, 1)
    shutil.rmtree(store.folder(run_id))
    (tmp_path / "precious").mkdir()
    store.folder(run_id).symlink_to(tmp_path / "precious")  # somebody keeps a run elsewhere
    with pytest.raises(StoreError, match="cannot be removed, so the run stays"):
        store.delete(run_id)
    assert len(store.events(run_id)) == 1
    assert (tmp_path / "precious").exists()


# --- lists --------------------------------------------------------------------------------------------------------------------

NAMES = ("", "Größe", "GRÖSSE 2", "50%_off", "the demo")  # ß is casefolded to ss; % and _ mean something else in SQL
NOTES = ("", "Tuned\nagain")
GPUS = ("", "AMD EPYC", "NVIDIA H200")


@pytest.fixture(scope="module")
def various(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Store, list[Run]]]:
    """A store with runs that differ in everything a filter asks for, and the runs as they were added."""
    chance = random.Random(0)
    with Store(tmp_path_factory.mktemp("various")) as store:
        for number in range(60):
            workload, preset = chance.choice(["demo", "fft_mixing"]), chance.choice(["quick", "thorough"])
            run_id = add(store, workload=workload, preset=preset, hardware=chance.choice(GPUS))
            store.describe(run_id, name=chance.choice(NAMES), note=chance.choice(NOTES))
            store.pin(run_id, chance.random() < 0.3)
            store._db.execute("UPDATE runs SET created_at = ? WHERE id = ?", (float(number // 2), run_id))
            if chance.random() < 0.8:
                store.start(run_id, 2, "mark", 100.0)
            if chance.random() < 0.7:
                store.end(run_id, chance.choice(["finished", "failed", "cancelled"]), "", 100.0 + chance.randrange(20))
        yield store, list(reversed(store.runs(limit=1000)))


def some(*values: str) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(st.sampled_from(values), unique=True, max_size=2).map(tuple)


@given(
    wanted=st.builds(
        Filter,
        workloads=some("demo", "fft_mixing", "nothing"),
        statuses=some("queued", "running", "finished", "failed"),
        presets=some("quick", "thorough"),
        device=st.sampled_from(["", "cpu", "h200", "EPYC", "%"]),
        text=st.one_of(st.sampled_from(["", "GRösse", "%_", "tuned", "AGAIN", "demo", "2"]), st.text(max_size=2)),
        since=st.none() | st.floats(0, 30),
        until=st.none() | st.floats(0, 30),
        pinned=st.none() | st.booleans(),
    ),
    order=st.sampled_from(sorted(ORDERS)),
    limit=st.integers(0, 70),
    offset=st.integers(0, 70),
)
def test_lists_are_what_a_look_at_every_run_gives(
    various: tuple[Store, list[Run]], wanted: Filter, order: Order, limit: int, offset: int
) -> None:
    store, runs = various

    def fits(run: Run) -> bool:
        return (
            run.workload in (wanted.workloads or [run.workload])
            and run.status in (wanted.statuses or [run.status])
            and run.preset in (wanted.presets or [run.preset])
            and any(wanted.device.casefold() in text.casefold() for text in (run.device, run.manifest.get("hardware", "")))
            and any(wanted.text.casefold() in text.casefold() for text in (run.id, run.name, run.note))
            and (wanted.since is None or wanted.since <= run.created_at)
            and (wanted.until is None or run.created_at < wanted.until)
            and wanted.pinned in (None, run.pinned)
        )

    expected = [run for run in runs if fits(run)]  # oldest first
    if order == "newest":
        expected.reverse()
    if order == "longest":  # newest first where equally long, what has no duration at the end
        expected.sort(key=lambda run: run.ended_at - run.started_at if run.ended_at and run.started_at else -1.0)
        expected.reverse()
    found = store.listing(wanted, order, limit, offset)
    assert found.total == len(expected)
    assert [row.id for row in found.rows] == [run.id for run in expected][offset : offset + limit]
    for row in found.rows:
        whole = store.run(row.id)
        assert row.hardware == whole.manifest.get("hardware", "")
        assert all(getattr(row, field) == getattr(whole, field) for field in ("workload", "status", "name", "note", "pinned", "ended_at"))


def test_the_hardware_of_a_list_follows_the_manifest(store: Store) -> None:
    run_id = add(store, hardware="AMD EPYC")
    store.set_manifest(run_id, {"hardware": "NVIDIA H200"})
    assert [row.hardware for row in store.listing().rows] == ["NVIDIA H200"]


def test_what_occurs_is_listed_once(store: Store) -> None:
    add(store, workload="fft_mixing", hardware="NVIDIA H200")
    add(store)
    add(store)
    assert [store.occurring(column) for column in ("workload", "hardware", "status")] == [
        ["demo", "fft_mixing"],
        ["NVIDIA H200"],
        ["queued"],
    ]


def test_a_run_is_called_by_its_name_or_its_id(store: Store) -> None:
    first, second = add(store), add(store)
    store.describe(first, name="baseline")
    assert [row.title for row in store.listing().rows] == [second, "baseline"]


# --- retention ----------------------------------------------------------------------------------------------------------------


@pytest.fixture
def store_of_ten(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    monkeypatch.setenv("EFFICIENCY_LAB_MAX_RUNS", "10")
    with Store() as store:
        yield store


def add_ended(store: Store, count: int) -> list[str]:
    """Runs that have ended, each with one event and a file."""
    ids = [add(store) for _ in range(count)]
    for run_id in ids:
        append(store, run_id, line(0))
        store.ingest(run_id)
        store.end(run_id, "finished", "", 1.0)
    return ids


def listed(store: Store) -> list[str]:
    return [run.id for run in reversed(store.runs(limit=1000))]


def test_the_oldest_runs_go_first_with_their_folders_and_events(store_of_ten: Store) -> None:
    ids = add_ended(store_of_ten, 12)
    assert store_of_ten.remove_oldest() == ids[:2]
    assert listed(store_of_ten) == ids[2:]
    assert sorted(path.name for path in (store_of_ten.home / "runs").iterdir()) == sorted(ids[2:])
    assert [len(store_of_ten.events(run_id)) for run_id in (ids[0], ids[1], ids[2])] == [0, 0, 1]
    assert store_of_ten.remove_oldest() == []


def test_pinned_and_active_runs_stay_and_do_not_count(store_of_ten: Store) -> None:
    active = add(store_of_ten)
    ids = add_ended(store_of_ten, 13)
    store_of_ten.pin(ids[0], True)
    assert store_of_ten.run(ids[0]).pinned
    # 12 runs have ended and are not pinned: two too many.
    assert store_of_ten.remove_oldest() == ids[1:3]
    assert listed(store_of_ten) == [active, ids[0], *ids[3:]]
    store_of_ten.pin(ids[0], False)
    assert store_of_ten.remove_oldest() == [ids[0]]
    with pytest.raises(ParameterError, match="is unknown"):
        store_of_ten.pin(ids[0], True)


def test_readers_are_told_before_anything_is_removed(store_of_ten: Store) -> None:
    ids = add_ended(store_of_ten, 8)
    assert store_of_ten.retention_notice() == ""
    ids += add_ended(store_of_ten, 1)
    assert store_of_ten.retention_notice().startswith("9 of at most 10 unpinned runs are stored: 1 more fit. ")
    assert f"beginning with {ids[0]}. " in store_of_ten.retention_notice()
    add_ended(store_of_ten, 1)
    assert store_of_ten.remove_oldest() == []
    assert "10 of at most 10 unpinned runs are stored: when the next run ends, room is made for it." in store_of_ten.retention_notice()
    store_of_ten.pin(ids[0], True)
    assert f"beginning with {ids[1]}. " in store_of_ten.retention_notice()


def test_many_too_many_are_removed_a_few_at_once(store_of_ten: Store) -> None:
    ids = add_ended(store_of_ten, 10 + MAX_REMOVED + 3)
    assert store_of_ten.remove_oldest() == ids[:MAX_REMOVED]
    assert store_of_ten.remove_oldest() == ids[MAX_REMOVED : MAX_REMOVED + 3]


def test_nothing_outside_the_folder_of_runs_is_removed(store_of_ten: Store, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").write_text("")
    ids = add_ended(store_of_ten, 13)
    shutil.rmtree(store_of_ten.folder(ids[0]))
    store_of_ten.folder(ids[0]).symlink_to(precious)  # somebody keeps a run elsewhere
    store_of_ten._db.execute("UPDATE runs SET id = '../../precious' WHERE id = ?", (ids[1],))
    assert store_of_ten.remove_oldest() == [ids[2]]  # the third of three too many: the other two are left alone
    assert (precious / "file").exists()
    assert store_of_ten.folder(ids[0]).is_symlink()


def test_a_run_whose_folder_is_gone_is_removed(store_of_ten: Store) -> None:
    ids = add_ended(store_of_ten, 11)
    shutil.rmtree(store_of_ten.folder(ids[0]))  # as a crash in the middle of its removal leaves it
    assert store_of_ten.remove_oldest() == ids[:1]


def test_two_processes_remove_no_more_than_one(store_of_ten: Store) -> None:
    ids = add_ended(store_of_ten, 30)
    removed: list[str] = []
    with Store() as other:
        threads = [threading.Thread(target=lambda each=each: removed.extend(each.remove_oldest())) for each in (store_of_ten, other)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(removed) == sorted(ids[:20])
    assert listed(store_of_ten) == ids[20:]


@pytest.mark.parametrize("text", ["0", "-1", "many", "1.5", "٣", "9" * 20])
def test_a_limit_that_is_no_number_is_refused(home: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("EFFICIENCY_LAB_MAX_RUNS", text)
    with pytest.raises(StoreError, match=r"EFFICIENCY_LAB_MAX_RUNS is .*; allowed: a whole number from 1"):
        Store()


def test_lists_and_limits_read_an_index_not_every_run(store: Store) -> None:
    run_id = add_ended(store, 3)[0]
    statements: list[str] = []
    store._db.set_trace_callback(statements.append)
    store.runs(limit=2)
    store.runs(limit=2, workload="demo")
    store.run(run_id)
    store.records(run_id)
    store.active_processes()
    store.retention_notice()
    store.remove_oldest()
    add(store, token="click")
    store._db.set_trace_callback(None)
    plans = {
        statement: "; ".join(row["detail"] for row in store._rows(f"EXPLAIN QUERY PLAN {statement}"))
        for statement in statements
        if statement.startswith(("SELECT", "UPDATE", "DELETE"))
    }
    assert len(plans) >= 10
    # A scan is allowed where it ends after LIMIT rows, or where it reads the index of what can be removed instead of the runs.
    scans = {statement: plan for statement, plan in plans.items() if "SCAN" in plan}
    assert all(" LIMIT " in statement or "USING INDEX runs_removable" in plan for statement, plan in scans.items()), scans
    # Only what is active, a handful, is sorted.
    assert all("status IN ('queued', 'running')" in statement for statement, plan in plans.items() if "TEMP B-TREE" in plan), plans


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


VERSION_1 = """
CREATE TABLE runs (
    ticket INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, token TEXT UNIQUE, workload TEXT NOT NULL, preset TEXT NOT NULL,
    plan TEXT NOT NULL, device TEXT NOT NULL, locks TEXT NOT NULL, status TEXT NOT NULL DEFAULT 'queued', reason TEXT NOT NULL DEFAULT '',
    cancel_requested INTEGER NOT NULL DEFAULT 0, created_at REAL NOT NULL, started_at REAL, ended_at REAL, owner_pid INTEGER NOT NULL,
    owner_start TEXT NOT NULL, worker_pid INTEGER, worker_start TEXT, manifest TEXT NOT NULL, reserve BLOB DEFAULT (zeroblob(1024)),
    ingested_bytes INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX runs_by_status ON runs (status);
CREATE TABLE events (
    run_id TEXT NOT NULL, seq INTEGER NOT NULL, kind TEXT NOT NULL, body TEXT NOT NULL, PRIMARY KEY (run_id, seq)
) WITHOUT ROWID;
CREATE INDEX events_by_kind ON events (run_id, kind, seq);
INSERT INTO runs (id, workload, preset, plan, device, locks, status, created_at, ended_at, owner_pid, owner_start, manifest)
VALUES ('20260131-174502-aaaaaa', 'demo', 'quick', '{"n": [4]}', 'cpu', 'cpu', 'finished', 1.0, 2.0, 1, 'mark', '{}');
INSERT INTO events VALUES ('20260131-174502-aaaaaa', 0, 'progress', '{"share": 0.5}');
PRAGMA user_version = 1;
"""


# What version 2 had more.
VERSION_2 = (
    VERSION_1
    + """
ALTER TABLE runs ADD COLUMN pinned INTEGER NOT NULL DEFAULT 0;
CREATE INDEX runs_by_workload ON runs (workload, ticket);
CREATE INDEX runs_removable ON runs (ticket) WHERE pinned = 0 AND status NOT IN ('queued', 'running');
UPDATE runs SET pinned = 1, manifest = '{"hardware": "NVIDIA H200", "gpu": null}';
INSERT INTO runs (id, workload, preset, plan, device, locks, status, created_at, owner_pid, owner_start, manifest)
VALUES ('20260131-174503-aaaaaa', 'demo', 'quick', '{"n": [4]}', 'cpu', 'cpu', 'queued', 1.0, 1, 'mark', 'no JSON'),
       ('20260131-174504-aaaaaa', 'demo', 'quick', '{"n": [4]}', 'cpu', 'cpu', 'failed', 1.0, 1, 'mark', '{"hardware": null}');
PRAGMA user_version = 2;
"""
)


def schema(home: Path) -> set[tuple[str, str]]:
    db = sqlite3.connect(home / "runs.sqlite")
    columns = {("runs", str(row[1:])) for row in db.execute("SELECT * FROM pragma_table_info('runs') ORDER BY name")}
    indexes = {(name, sql or "") for name, sql in db.execute("SELECT name, sql FROM sqlite_master WHERE type = 'index'")}
    version = db.execute("PRAGMA user_version").fetchone()[0]
    db.close()
    return columns | indexes | {("version", str(version))}


def test_a_store_of_version_1_is_migrated(home: Path, tmp_path: Path) -> None:
    home.mkdir()
    db = sqlite3.connect(home / "runs.sqlite")
    db.executescript(VERSION_1)
    db.close()
    with Store() as store:
        (run,) = store.runs()
        assert (run.id, run.status, run.pinned, run.plan_json) == ("20260131-174502-aaaaaa", "finished", False, {"n": [4]})
        assert [event.body for event in store.events(run.id)] == [{"share": 0.5}]
        assert store.notice == ""
        store.pin(run.id, True)
        add(store)
    Store(tmp_path / "new").close()
    assert schema(home) == schema(tmp_path / "new")
    with Store() as store:  # and it stays migrated
        assert len(store.runs()) == 2
        assert store.run(run.id).pinned


def test_a_store_of_version_2_keeps_its_runs_and_gains_their_hardware(home: Path, tmp_path: Path) -> None:
    home.mkdir()
    db = sqlite3.connect(home / "runs.sqlite")
    db.executescript(VERSION_2)
    db.close()
    with Store() as store:
        rows = [(row.id, row.status, row.pinned, row.hardware, row.name, row.note) for row in store.listing(order="oldest").rows]
        assert rows == [
            ("20260131-174502-aaaaaa", "finished", True, "NVIDIA H200", "", ""),
            ("20260131-174503-aaaaaa", "queued", False, "", "", ""),
            ("20260131-174504-aaaaaa", "failed", False, "", "", ""),
        ]
        assert [event.body for event in store.events("20260131-174502-aaaaaa")] == [{"share": 0.5}]
        assert store.n_active("") == 1
        store.describe("20260131-174502-aaaaaa", name="kept")
    Store(tmp_path / "new").close()
    assert schema(home) == schema(tmp_path / "new")
    with Store() as store:  # and it stays migrated
        assert store.run("20260131-174502-aaaaaa").name == "kept"


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
    with pytest.raises(StoreFull, match="full"):
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
