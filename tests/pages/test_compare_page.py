"""The page "Compare" in Streamlit's test harness: runs of all three origins, good and bad addresses, the picker."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

import pytest
from streamlit.testing.v1 import AppTest

from lab import comparison_csv, export, recordings
from lab.comparison import DIFFERENT_WORDS
from lab.csv_format import read_table
from lab.imports import Imports
from lab.store import Store
from lab.ui import compare_data, server
from lab.workload import workload

LEARNING, SPEED = "recorded/activations/h200-learning", "recorded/activations/h200"
OTHER = "recorded/entropy_stopping/h200"

Open = Callable[..., AppTest]


def address(page: AppTest) -> str:
    several = page.query_params.get("runs", [""])
    return several[0] if isinstance(several, list) else several


def said(page: AppTest) -> str:
    """All text of the page, with what keeps Markdown from reading it taken away."""
    found = [*page.markdown, *page.caption, *page.warning, *page.error, *page.info]
    return "\n".join(element.value for element in found).replace("\\", "")


def press(page: AppTest, key: str) -> AppTest:
    return page.button(key=f"compare:{key}").click().run()


@pytest.fixture
def imported(store: Store) -> str:
    """A run of the recorded run's settings and results that somebody else made and sent."""
    view = recordings.recording(OTHER).view()
    return Imports(store.home).add(export.as_zip(dataclasses.replace(view, run_id="20260131-174502-a7k2m9")))


def local(until: Callable[[Callable[[], object]], None], **texts: str) -> str:
    """A run of this machine that has ended."""
    engine = server.engine()
    run_id = engine.submit("demo", workload("demo").plan("quick", "cpu", texts), device="cpu")
    until(lambda: not server.store().run(run_id).active)
    return run_id


def test_without_runs_the_page_offers_them(open_page: Open) -> None:
    page = open_page("compare")
    assert not page.exception
    assert address(page) == ""
    assert "Choose two to six runs" in said(page)
    labels = page.selectbox[0].options
    assert any(label.startswith("Recorded run: Activation speed") for label in labels)


def test_runs_are_added_reordered_and_removed(open_page: Open) -> None:
    page = open_page("compare")
    page.selectbox[0].set_value(SPEED).run()
    assert address(page) == SPEED
    # Only runs of the same experiment are offered from now on.
    assert all("Activation speed" in label for label in page.selectbox[0].options)
    page.selectbox[0].set_value(LEARNING).run()
    assert address(page) == f"{SPEED},{LEARNING}"
    assert [found.value for found in page.header] == ["What differs", "Verdicts side by side", "What moved", "Take away"]
    press(page, f"up {LEARNING}")
    assert address(page) == f"{LEARNING},{SPEED}"
    press(page, f"remove {LEARNING}")
    assert address(page) == SPEED
    assert not page.header


@pytest.mark.parametrize(
    ("runs", "words"),
    [
        (f"{SPEED},nothing", "run: 'nothing'"),
        (f"{SPEED},recorded/activations/../x", "is not recorded"),
        (f"{SPEED},imported/000000000000", "imported/000000000000"),
        (f"{SPEED},imported/../../etc/passwd", "imported/../../etc/passwd"),
        (f"{SPEED},{SPEED}", "is given twice"),
        (f"{SPEED},$\\LaTeX$ [a](http://b)", "[a](http://b)"),
    ],
)
def test_a_bad_address_is_one_line_and_keeps_the_rest(open_page: Open, runs: str, words: str) -> None:
    page = open_page("compare", runs=runs)
    assert not page.exception
    assert len(page.error) == 1
    # Foreign text is escaped, and an invisible joiner keeps an address in it from becoming a link.
    assert words.replace("\\", "") in page.error[0].value.replace("\\", "").replace("\u2060", "")
    assert address(page) == runs  # stays until the reader goes on
    assert not page.header
    press(page, "accept")
    assert not page.error
    assert address(page) == SPEED


def test_different_experiments_are_refused_with_the_reason(open_page: Open) -> None:
    page = open_page("compare", runs=f"{SPEED},{OTHER}")
    assert not page.exception
    assert "of different experiments, which share no measurement" in page.error[0].value
    assert not page.header
    press(page, f"remove {OTHER}")
    assert not page.error


def test_a_recorded_and_an_imported_run(open_page: Open, imported: str) -> None:
    page = open_page("compare", runs=f"{OTHER},{imported}")
    assert not page.exception
    text = said(page)
    assert "recorded run" in text
    assert "imported run" in text
    assert "All the same: Epochs" in text  # it is the very same run
    words = {row.word for pairing in compare_data.of((OTHER, imported)).pairings for row in pairing.rows}
    assert not words & set(DIFFERENT_WORDS)
    assert "equal" in words


def test_runs_of_this_machine_with_what_differs(open_page: Open, until: Callable[[Callable[[], object]], None]) -> None:
    first, second = local(until, repeats="6"), local(until, repeats="6", seed="3")
    page = open_page("compare", runs=f"{first},{second}")
    assert not page.exception
    table = page.table[0].value
    assert list(table.columns) == ["", "A", "B"]
    assert table.to_numpy().tolist() == [["Seed", "0", "3"]]
    text = said(page)
    assert "this machine" in text
    assert "Everything else is the same: N, Repeats" in text
    assert "A and B share" in text
    link = next(found.value for found in page.code)
    assert parse_qs(urlsplit(link).query) == {"runs": [f"{first},{second}"]}


def test_a_run_that_goes_on_is_not_compared_yet(open_page: Open) -> None:
    run_id = server.engine().submit("demo", workload("demo").plan("quick", "cpu", {"ending": "hang"}), device="cpu")
    page = open_page("compare", runs=run_id)
    assert "has not ended yet; allowed: runs that have ended" in page.error[0].value.replace("\\", "")


def test_the_file_holds_every_row_of_the_comparison(store: Store) -> None:
    references = (SPEED, LEARNING)
    found = compare_data.of(references)
    header, rows = read_table(compare_data.csv(references))
    assert header == list(comparison_csv.COLUMNS)
    pairing = found.pairings[0]
    assert len(rows) == len(pairing.rows) + len(pairing.only_first) + len(pairing.only_second)
