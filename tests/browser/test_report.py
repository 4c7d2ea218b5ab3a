"""A report as somebody opens it who has nothing but the file: no server, no network, no error."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from lab import export, recordings, report
from tests.browser.conftest import DEADLINE_S

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

PAPER_WIDTH = 660

pytestmark = pytest.mark.browser


def range_of(page: Page, axis: str) -> list[float]:
    found: list[float] = page.evaluate(f"document.querySelector('.plot').layout.{axis}.range")
    return found


def widths(page: Page) -> set[int]:
    return set(page.evaluate("[...document.querySelectorAll('.plot .main-svg')].map((svg) => Number(svg.getAttribute('width')))"))


def test_a_report_works_from_its_file_alone(chromium: Browser, tmp_path: Path) -> None:
    recorded = "recorded/calibration/h200"  # three charts, and records for several pages
    view = recordings.recording(recorded).view()
    subjects = [report.Subject(recorded, view), report.Subject("imported/0123456789ab", dataclasses.replace(view, run_id="the other"))]
    path = tmp_path / "report.html"
    report.write(path, subjects)
    problems: list[str] = []
    context = chromium.new_context(offline=True, viewport={"width": 1000, "height": 900}, accept_downloads=True)
    page = context.new_page()
    page.set_default_timeout(DEADLINE_S * 1000)

    def on_request(request: Any) -> None:
        if request.url != path.as_uri() and not request.url.startswith(("data:", "blob:")):
            problems.append(f"asked for {request.url}")

    page.on("console", lambda message: problems.append(f"console: {message.text}"))
    page.on("pageerror", lambda error: problems.append(f"page: {error}"))
    page.on("request", on_request)
    page.goto(path.as_uri())

    # Every chart is drawn.
    page.locator("html[data-drawn=all]").wait_for(state="attached")
    plots = page.locator(".plot")
    assert plots.count() == page.locator("figure").count() == 6
    assert page.locator(".plot .main-svg").count() >= plots.count()

    # A drag zooms, and all of it comes back.
    before = range_of(page, "xaxis"), range_of(page, "yaxis")
    plots.first.scroll_into_view_if_needed()
    box = page.locator(".plot .nsewdrag").first.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * 0.3, box["y"] + box["height"] * 0.3)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.7, box["y"] + box["height"] * 0.7, steps=5)
    page.mouse.up()
    page.wait_for_function("(high) => document.querySelector('.plot').layout.xaxis.range[1] < high", arg=before[0][1])
    tools = page.locator("figure").first.locator(".tools")
    tools.get_by_role("button", name="Show all").press("Enter")  # the keyboard does it, too
    page.wait_for_function("(high) => document.querySelector('.plot').layout.xaxis.range[1] === high", arg=before[0][1])
    assert (range_of(page, "xaxis"), range_of(page, "yaxis")) == before
    tools.get_by_role("button", name="Zoom in").click()
    low, high = before[0]
    assert range_of(page, "xaxis") == pytest.approx([low + (high - low) / 4, high - (high - low) / 4])  # half as wide about the middle

    # On paper no chart is wider than the sheet, and afterwards all is as before.
    on_screen = widths(page)
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert widths(page) == {PAPER_WIDTH}
    assert page.locator("details[data-print]:not([open])").count() == 0
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert widths(page) == on_screen != {PAPER_WIDTH}

    # Long tables a page at a time, with a search.
    records = len(subjects[1].view.records)
    page.locator("#run-2-data ~ details summary", has_text="records.csv").first.click()
    table = page.locator("[data-rows='run-2-records.csv']")
    assert table.locator("tbody tr").count() == 100
    assert table.get_by_role("status").inner_text() == f"Rows 1 to 100 of {records:,}"
    table.get_by_role("button", name="Next").click()
    assert table.get_by_role("status").inner_text() == f"Rows 101 to 200 of {records:,}"
    table.get_by_role("searchbox").fill("no such text")
    assert table.get_by_role("status").inner_text() == "No such row"

    # The archive is the export, byte for byte.
    for subject in subjects:
        with page.expect_download() as saved:
            page.get_by_role("button", name=f"Save {subject.view.run_id}.zip").click()
        assert saved.value.suggested_filename == f"{subject.view.run_id}.zip"
        assert Path(saved.value.path()).read_bytes() == export.as_zip(subject.view)
    with page.expect_download() as picture:
        tools.get_by_role("button", name="Save PNG").click()
    assert Path(picture.value.path()).read_bytes().startswith(b"\x89PNG")
    assert problems == []

    # No other script runs in it, whoever brings one.
    page.evaluate("document.body.append(Object.assign(document.createElement('script'), {textContent: 'window.ran = true'}))")
    assert page.evaluate("window.ran") is None
    assert any("Content Security Policy" in problem for problem in problems)
    context.close()
