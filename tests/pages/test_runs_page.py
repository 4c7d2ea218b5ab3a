"""The page of runs in Streamlit's test harness: what it lists, filters, names, keeps, cancels and deletes."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from lab import recordings
from lab.parameters import ParameterError
from lab.processes import start_mark
from lab.store import Status, Store
from lab.ui import results, runs_page
from lab.ui.verdict_cards import counts
from lab.workload import workload

OpenPage = Callable[..., AppTest]


def add(store: Store, status: Status = "finished", workload_name: str = "demo", preset: str = "quick", hardware: str = "AMD EPYC") -> str:
    """A stored run of this process with two observations of both arms: the technique takes half of the time, then a third."""
    run_id, _ = store.add(
        workload=workload_name,
        preset=preset,
        plan_json=workload(workload_name).plan().to_json(),
        device="cpu",
        locks=("cpu",),
        manifest=lambda run_id, created_at: {"run_id": run_id, "device": "cpu", "hardware": hardware},
        owner_pid=os.getpid(),
        owner_start=start_mark(os.getpid()) or "",
    )
    record = {"protocol": "sound", "implementation": "eager", "device": "cpu", "dtype": "float64", "metric": "latency_s", "unit": "s"}
    rows = []
    for repeat, times in enumerate((2.0, 3.0)):
        for arm, role, value in (("new", "technique", 1e-3), ("old", "baseline", times * 1e-3)):
            body = {"cell": 0, "record": {**record, "arm": arm, "role": role, "value": value, "repeat": repeat}}
            rows.append((run_id, len(rows), "record", json.dumps(body)))
    with store._write() as db:
        db.executemany("INSERT INTO events VALUES (?, ?, ?, ?)", rows)
    if status != "queued":
        store.start(run_id, os.getpid(), start_mark(os.getpid()) or "", 1_769_881_502.0)  # 2026-01-31 17:45:02 UTC
    if status not in ("queued", "running"):
        store.end(run_id, status, "", 1_769_881_502.0 + 80)
    return run_id


def table(page: AppTest) -> pd.DataFrame:
    (found,) = page.dataframe
    return found.value


def select(page: AppTest, *places: int) -> AppTest:
    """Select rows as a reader does; the harness has no widget for it."""
    key = page.dataframe[0].proto.id.split("-", 2)[2]
    page.session_state[key] = {"selection": {"rows": list(places), "columns": [], "cells": []}}
    return page.run()


def button(page: AppTest, label: str) -> Any:
    return next(found for found in page.button if found.label == label)


def said(page: AppTest) -> list[str]:
    return [found.value.replace("\\", "") for kind in (page.error, page.warning) for found in kind]


def address(page: AppTest) -> dict[str, str]:
    return {name: several[0] if isinstance(several, list) else several for name, several in page.query_params.items()}


def links(page: AppTest) -> dict[str, str]:
    """Where the links under the title lead, by label; "" for one that is disabled."""
    found = [link.proto for link in page.main.get("page_link") if link.proto.label in ("Open", "Compare")]
    return {proto.label: "" if proto.disabled else f"{proto.page}?{proto.query_string}" for proto in found}


# --- what is listed -----------------------------------------------------------------------------------------------------------


def test_without_runs_the_page_says_what_to_do(open_page: OpenPage) -> None:
    page = open_page("runs")
    assert not page.exception
    assert "press Run" in page.info[0].value
    assert not page.dataframe


def test_runs_are_listed_newest_first_with_what_they_found(open_page: OpenPage, store: Store) -> None:
    first, second = add(store, hardware="NVIDIA H200"), add(store, "queued", preset="thorough")
    store.describe(first, name="*Mine*", note="a\nb")
    page = open_page("runs")
    assert not page.exception
    shown = table(page)
    assert list(shown["Run"]) == [second, "*Mine*"]
    assert [list(marks) for marks in shown["Status"]] == [["◌ queued"], ["✓ finished"]]
    assert list(shown["Preset"]) == ["thorough", "quick"]
    assert list(shown["Hardware"]) == ["AMD EPYC", "NVIDIA H200"]
    assert list(shown["Took"]) == ["", "1 min 20 s"]
    assert str(shown["Started (UTC)"][1]) == "2026-01-31 17:45:02+00:00"
    assert pd.isna(shown["Started (UTC)"][0])
    assert list(shown["Note"]) == ["", "a b"]
    assert shown["Picture"][1].startswith("data:image/svg+xml;base64,")
    assert pd.isna(shown["Picture"][0])  # nothing of an active run is judged
    assert shown["The picture shows"][1] == "Latency: new against old, eager, 2 to 3×"


def test_an_active_run_tells_how_it_stands(open_page: OpenPage, store: Store) -> None:
    add(store, "running")
    add(store, "queued")
    page = open_page("runs")
    texts = [found.proto.text.replace("\\", "") for found in page.get("progress")]
    assert len(texts) == 2
    assert "Queued: 1 run before this one" in texts[1]


def test_a_run_that_cannot_be_read_does_not_hide_the_others(open_page: OpenPage, store: Store) -> None:
    broken, _ = add(store), add(store)
    store._db.execute("UPDATE runs SET workload = 'gone' WHERE id = ?", (broken,))
    page = open_page("runs")
    assert not page.exception
    assert list(table(page)["Experiment"]) == [workload("demo").title, "gone"]
    assert "cannot read the run" in table(page)["The picture shows"][1]
    select(page, 1)
    assert not page.exception
    assert links(page)["Open"] == ""


def test_many_runs_come_in_pages(open_page: OpenPage, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs_page, "PAGE_ROWS", 2)
    ids = [add(store) for _ in range(5)]
    page = open_page("runs")
    assert list(table(page)["Run"]) == [ids[4], ids[3]]
    page.query_params["page"] = "3"
    page.run()
    assert list(table(page)["Run"]) == [ids[0]]
    assert "Runs 5 to 5 of 5" in [found.value for found in page.caption]
    page.query_params["page"] = "9"  # as after runs were deleted
    page.run()
    assert list(table(page)["Run"]) == [ids[0]]
    assert any("no page 9" in found.value for found in page.caption)


def test_recorded_runs_lie_apart_with_their_verdicts(open_page: OpenPage, store: Store) -> None:
    add(store)
    page = open_page("runs", tab="recorded")
    assert not page.exception
    shown = table(page)
    known = {found.reference: found for found in recordings.all_recordings()}
    assert len(shown) == len(known)
    reference = "recorded/activations/h200"
    expected = counts(results.of(reference).verdicts)
    assert " · ".join(f"{count} {word}" for word, count in expected) == shown["Verdicts"][list(known).index(reference)]
    select(page, list(known).index(reference))
    assert links(page)["Open"] == f"activations?run={reference.replace('/', '%2F')}"
    assert {found.label for found in page.button} & {"Delete", "Cancel", "Keep"} == set()


# --- filters ------------------------------------------------------------------------------------------------------------------


def test_an_address_filters_and_stays(open_page: OpenPage, store: Store) -> None:
    wanted, *_ = add(store, "failed"), add(store), add(store, "failed", preset="thorough")
    page = open_page("runs", status="failed,cancelled", preset="quick", device="epyc")
    assert list(table(page)["Run"]) == [wanted]
    assert address(page) == {"status": "failed,cancelled", "preset": "quick", "device": "epyc"}


def test_a_filter_is_written_into_the_address(open_page: OpenPage, store: Store) -> None:
    first, _ = add(store), add(store)
    store.describe(first, note="Größe 7")
    page = open_page("runs")
    page.text_input[0].set_value("GRÖSSE").run()
    assert list(table(page)["Run"]) == [first]
    assert address(page) == {"text": "GRÖSSE"}
    page.text_input[0].set_value("nothing").run()
    assert not page.dataframe
    button(page, "Clear the filters").click().run()
    assert len(table(page)) == 2
    assert address(page) == {}


def test_a_bad_address_is_one_line_and_loses_nothing(open_page: OpenPage, store: Store) -> None:
    add(store), add(store, "failed")
    page = open_page("runs", status="lost", preset="quick")
    assert not page.exception
    assert said(page) == ["status: 'lost' is not allowed; allowed: one of queued, running, finished, cancelled, failed, interrupted"]
    assert len(table(page)) == 2
    assert address(page) == {"status": "lost", "preset": "quick"}
    page.multiselect[0].set_value(["demo"]).run()  # whatever the reader does settles it
    assert said(page) == []
    assert address(page) == {"workload": "demo", "preset": "quick"}


# --- what can be done ---------------------------------------------------------------------------------------------------------


def test_one_selected_run_can_be_opened_and_several_compared(open_page: OpenPage, store: Store) -> None:
    ids = [add(store), add(store)]
    page = open_page("runs")
    assert links(page) == {"Open": "", "Compare": ""}
    assert all(button(page, label).disabled for label in ("Name and note", "Keep", "Cancel", "Delete"))
    select(page, 1)
    assert links(page) == {"Open": f"demo?run={ids[0]}", "Compare": ""}
    select(page, 0, 1)
    assert links(page) == {"Open": "", "Compare": f"compare?runs={ids[1]}%2C{ids[0]}"}
    assert button(page, "Name and note").disabled
    assert not button(page, "Delete").disabled


def test_a_run_gets_its_name_and_note(open_page: OpenPage, store: Store) -> None:
    run_id = add(store)
    page = select(open_page("runs"), 0)
    button(page, "Name and note").click().run()
    next(found for found in page.text_input if found.label == "Name").set_value("[a](http://b)")
    page.text_area[0].set_value("first\nsecond")
    button(page, "Save").click().run()
    assert not page.exception
    assert (store.run(run_id).name, store.run(run_id).note) == ("[a](http://b)", "first\nsecond")
    assert list(table(page)["Run"]) == ["[a](http://b)"]
    assert not page.text_area  # the dialog is closed


def test_a_refused_name_keeps_what_was_typed(open_page: OpenPage, store: Store) -> None:
    run_id = add(store)
    page = select(open_page("runs"), 0)
    button(page, "Name and note").click().run()
    next(found for found in page.text_input if found.label == "Name").set_value("abc\u202edef")
    button(page, "Save").click().run()
    assert "hidden character U+202E" in said(page)[0]
    assert next(found for found in page.text_input if found.label == "Name").value == "abc\u202edef"
    assert store.run(run_id).name == ""


def test_runs_are_kept_and_let_go(open_page: OpenPage, store: Store) -> None:
    ids = [add(store), add(store)]
    page = select(open_page("runs"), 0, 1)
    button(page, "Keep").click().run()
    assert [store.run(run_id).pinned for run_id in ids] == [True, True]
    assert list(table(page)["Kept"]) == [True, True]
    button(page, "Keep no longer").click().run()
    assert [store.run(run_id).pinned for run_id in ids] == [False, False]


def test_an_active_run_is_cancelled_and_not_deleted(open_page: OpenPage, store: Store) -> None:
    run_id = add(store, "running")
    page = select(open_page("runs"), 0)
    button(page, "Delete").click().run()
    button(page, "Delete 1 run").click().run()
    assert said(page) == [f"run: '{run_id}' is running; allowed: a run that has ended; cancel it first"]
    button(page, "Cancel").click().run()
    assert store.cancel_requested(run_id)


def test_deletion_asks_first_and_says_what_is_lost(open_page: OpenPage, store: Store) -> None:
    kept, other = add(store), add(store)
    store.pin(kept, True)
    store.describe(kept, name="*Mine*")
    assert results.of(kept).view.run_id == kept  # what pages hold of it
    page = select(open_page("runs"), 0, 1)
    button(page, "Delete").click().run()
    question = " ".join(found.value for found in page.markdown).replace("\\", "")
    assert all(words in question for words in ("*Mine*", other, "cannot be undone"))
    assert said(page) == ["One of them is kept."]
    button(page, "Do not delete").click().run()
    assert len(table(page)) == 2
    button(page, "Delete").click().run()
    button(page, "Delete 2 runs").click().run()
    assert not page.exception
    assert store.listing().total == 0
    assert not page.dataframe
    with pytest.raises(ParameterError, match="is unknown"):
        results.of(kept)


def test_a_run_deleted_elsewhere_is_told(open_page: OpenPage, store: Store) -> None:
    gone, left = add(store), add(store)
    page = select(open_page("runs"), 1)
    button(page, "Delete").click().run()
    store.delete(gone)  # another browser was quicker
    button(page, "Delete 1 run").click().run()
    assert not page.exception
    assert said(page) == [f"{gone} is not there any more: it was deleted elsewhere."]
    assert list(table(page)["Run"]) == [left]


def test_a_selection_does_not_pass_to_another_run(open_page: OpenPage, store: Store) -> None:
    chosen = add(store)
    page = select(open_page("runs"), 0)
    assert links(page)["Open"] == f"demo?run={chosen}"
    add(store)  # the list is one longer at its head: the chosen run is in the second place now
    page.run()
    assert links(page)["Open"] == f"demo?run={chosen}"


def test_an_experiment_page_tells_that_its_run_was_deleted(open_page: OpenPage, store: Store) -> None:
    run_id = add(store)
    page = open_page("demo", run=run_id)
    assert said(page) == []
    store.delete(run_id)
    page.run()
    assert not page.exception
    assert said(page) == [f"run: '{run_id}' is unknown; allowed: the id of a run of this lab"]


def test_other_runs_of_an_experiment_are_listed_by_their_names(open_page: OpenPage, store: Store) -> None:
    store.describe(add(store), name="baseline")
    page = open_page("demo")
    assert any(found.label.startswith("baseline · ") for found in page.button)
