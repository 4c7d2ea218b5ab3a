"""The section of a page that evaluates stored records anew."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from streamlit.testing.v1 import AppTest

from lab.store import Store
from lab.ui import results

WINDOW = "smoothing:explore:widget:window#0"


def charts(page: AppTest) -> list[str]:
    """The captions of the section's chart and of the others."""
    return [found.value for found in page.caption if found.value.startswith(("Means over", "Latency of"))]


@pytest.fixture
def finished(open_page: Callable[..., AppTest], store: Store, until: Callable[[Callable[[], object]], None]) -> AppTest:
    """The page with a finished run of three observations."""
    page = open_page("smoothing")
    next(found for found in page.button if found.label == "Run").click().run()
    until(lambda: not store.runs()[0].active)
    return page.run()


def numbers(page: AppTest, shown: str) -> list[list[str]]:
    """The table under the section's chart on the run called ``shown``, opened, without its last column (the interval)."""
    page.session_state[f"smoothing:explore:{shown}:smoothed:numbers"] = True
    page.run()
    return next(found.value for found in page.dataframe if "smoothed" in set(found.value["Series"])).iloc[:, :-1].values.tolist()


def test_a_widget_evaluates_the_stored_records_at_once(finished: AppTest, store: Store) -> None:
    # The demo measures 1, 1.01 and 1.02 ms.
    assert numbers(finished, store.runs()[0].id) == [["0", "smoothed", "1 ms"], ["1", "smoothed", "1.01 ms"], ["2", "smoothed", "1.02 ms"]]
    finished.slider(key=WINDOW).set_value(2).run()
    assert charts(finished)[0] == "Means over 2 observations."
    assert numbers(finished, store.runs()[0].id) == [["0", "smoothed", "1.00 ms"], ["1", "smoothed", "1.01 ms"]]  # means 1.005 and 1.015
    assert len(store.runs()) == 1  # nothing was run
    assert store.runs()[0].id in finished.query_params["run"]  # and the page shows the same run


def test_values_of_the_section_survive_another_run_and_another_page(finished: AppTest) -> None:
    finished.slider(key=WINDOW).set_value(3).run()
    finished.number_input(key="smoothing:widget:seed#0").set_value(
        1
    ).run()  # the run is dropped, and the section with it still takes a file
    assert finished.slider(key=WINDOW).value == 3
    finished.switch_page("pages/device.py").run()
    finished.switch_page("pages/smoothing.py").run()
    assert finished.slider(key=WINDOW).value == 3


def test_a_recorded_run_is_evaluated_in_the_same_way(
    finished: AppTest, open_page: Callable[..., AppTest], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(results, "recordings", lambda name: {"": results.of(store.runs()[0].id)})
    page = open_page("smoothing")
    assert "Recorded run" in [found.value for found in page.header]
    page.slider(key=WINDOW).set_value(3).run()
    assert numbers(page, store.runs()[0].id) == [["0", "smoothed", "1.01 ms"]]  # the mean of 1, 1.01 and 1.02 ms


def test_a_recorded_run_that_was_ended_early_says_so(
    finished: AppTest, open_page: Callable[..., AppTest], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = results.of(store.runs()[0].id)
    assert whole is not None
    for status, said in (("finished", False), ("cancelled", True)):
        recorded = results.Results(replace(whole.view, status=status), "recorded/smoothing/h200")
        monkeypatch.setattr(results, "recordings", lambda name, recorded=recorded: {"": recorded})
        page = open_page("smoothing")
        (label,) = [found.value for found in page.info if "Recorded on" in found.value]
        assert ("ended early" in label) is said


def test_values_that_do_not_fit_together_are_one_line_in_place_of_the_charts(finished: AppTest) -> None:
    finished.number_input(key="smoothing:explore:widget:first#0").set_value(20).run()
    (said,) = [found.value.replace("\\", "") for found in finished.error]
    assert said == "first: '20' is not allowed; allowed: at most 10 with this window"
    assert charts(finished) == ["Latency of new and old over 3 observations."]
    finished.number_input(key="smoothing:explore:widget:first#0").set_value(5).run()  # beyond the last observation
    assert "Nothing to draw for these settings." in [found.value for found in finished.caption]


def test_a_file_is_drawn_without_any_run(open_page: Callable[..., AppTest]) -> None:
    page = open_page("smoothing")
    page.file_uploader[0].set_value(("curve.csv", b"step,loss\n0,2.5\n10,1.5\n", "text/csv")).run()
    assert not page.error
    page.session_state["smoothing:explore:no run:smoothed:numbers"] = True  # opens the table
    table = page.run().dataframe[0].value
    assert table["Series"].tolist() == ["uploaded", "uploaded"]
    assert table["repeat"].tolist() == ["0", "10"]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"step,loss\n0,2.5\n1,oops\n", "curve.csv: row 3, column 'loss': 'oops' is not a finite number"),
        (b"<script>alert(1)</script>", "curve.csv: has no column 'step'; its columns are <script>alert(1)</script>"),
        (b"\x00\xff" * 100, "curve.csv: is not UTF-8 CSV"),
        (b"step,loss\n" + b"0,1\n" * 300, "curve.csv: has 1.21 kB; allowed: at most 1 kB"),
    ],
)
def test_a_file_that_cannot_be_read_says_why_in_one_line(open_page: Callable[..., AppTest], data: bytes, words: str) -> None:
    page = open_page("smoothing")
    page.file_uploader[0].set_value(("curve.csv", data, "text/csv")).run()
    (said,) = [found.value.replace("\\", "") for found in page.error]
    assert said.startswith(words)
    assert not page.exception
