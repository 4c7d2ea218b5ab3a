"""What a person sees, in headless Chromium: deep links, permalinks, live runs in two browsers, cancel, refresh, download, both themes."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import pytest

from tests.browser.accessibility import problems
from tests.browser.conftest import Server
from tests.pages.app_copy import ROOT

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]
Until = Callable[[Callable[[], object]], None]
PAGES = {"": "Efficiency Lab", **{path.stem: "" for path in sorted((ROOT / "pages").glob("*.py"))}}
OBSERVATION = re.compile(r"observation \d+ of")
EXACT_N = "input[aria-label='N: exact values, separated by commas']"
ENDLESS = "repeats=100000&interval_s=0.2"


def settled(page: Page) -> None:
    """Wait until the script that draws the page has run to its end and the browser has loaded what draws its elements."""
    page.locator("h1").wait_for()
    page.locator("[data-testid=stApp][data-test-script-state=notRunning]").wait_for()
    page.wait_for_function("document.querySelector('[data-testid=stSkeleton]') === null")


def text(page: Page) -> str:
    return page.locator("[data-testid=stMainBlockContainer]").inner_text()


@pytest.mark.parametrize("name", PAGES)
def test_a_cold_deep_link_works_and_nothing_is_cut_off(
    cold_server: Server, new_browser: Callable[..., Page], tmp_path: Path, name: str
) -> None:
    """The first visit of all is a deep link, on a wide screen; the second is on a phone, in the dark."""
    page = new_browser()
    for width, theme in ((1440, "light"), (390, "dark")):
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme=theme)
        page.goto(f"{cold_server.address}/{name}")
        settled(page)
        assert page.locator("h1").count() == 1
        assert page.locator("[data-testid=stException]").count() == 0
        if width == 1440:  # a phone keeps the links in its menu
            for link in ("Overview", "Activation speed"):
                page.get_by_role("link", name=link).wait_for()
        assert cut_off(page) == []
        assert problems(page) == []
        if folder := os.environ.get("SCREENSHOTS"):
            photograph(page, Path(folder) / f"{name or 'overview'}-{theme}-{width}.png", width)


def cut_off(page: Page) -> list[str]:
    """Texts that reach beyond the right edge, and the page itself where it can be scrolled sideways."""
    main = "document.querySelector('[data-testid=stMainBlockContainer]')"
    cut = page.evaluate(
        "[...document.querySelectorAll('[data-testid=stMainBlockContainer] :is(h1, h2, h3, h4, p, button)')]"
        ".filter(e => e.offsetParent && e.getBoundingClientRect().right > innerWidth + 1).map(e => e.innerText)"
    )
    return cut if page.evaluate(f"{main}.scrollWidth <= {main}.clientWidth + 1") else [*cut, "the page"]


def photograph(page: Page, path: Path, width: int) -> None:
    """The whole page as a picture, for eyes."""
    height = page.evaluate("document.querySelector('[data-testid=stMainBlockContainer]').scrollHeight")
    page.set_viewport_size({"width": width, "height": min(int(height) + 100, 9000)})
    settled(page)
    path.parent.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=path)


def test_navigation_reaches_every_page(server: Server, new_browser: Callable[..., Page]) -> None:
    page = new_browser()
    page.goto(server.address)
    settled(page)
    page.get_by_role("link", name="Activation speed").click()
    page.get_by_role("heading", name="Activation speed", level=1).wait_for()
    page.get_by_role("link", name="Overview").click()
    page.get_by_role("heading", name="Efficiency Lab", level=1).wait_for()


def test_a_slider_moves_the_permalink_and_a_new_browser_opens_the_same_state(server: Server, new_browser: Callable[..., Page]) -> None:
    page = new_browser()
    page.goto(f"{server.address}/demo")
    settled(page)
    page.get_by_role("slider").last.focus()
    page.keyboard.press("ArrowRight")  # from 1024 to 2048
    page.keyboard.press("ArrowRight")  # and to 4096, before the answer to the first press
    page.wait_for_function("new URLSearchParams(location.search).get('n') === '1024,4096'")
    other = new_browser()
    other.goto(page.evaluate("location.href"))
    settled(other)
    other.wait_for_function(f"document.querySelector({EXACT_N!r}).value === '1024,4096'")
    assert other.evaluate("location.search") == page.evaluate("location.search")


def test_a_second_browser_sees_the_run_live_and_a_refresh_keeps_it(server: Server, new_browser: Callable[..., Page], until: Until) -> None:
    page = new_browser()
    page.goto(f"{server.address}/demo?{ENDLESS}")
    settled(page)
    page.get_by_role("button", name="Run", exact=True).click()
    page.wait_for_function("new URLSearchParams(location.search).has('run')")
    run_id = page.evaluate("new URLSearchParams(location.search).get('run')")
    other = new_browser()
    other.goto(page.evaluate("location.href"))
    for browser in (page, other):
        browser.get_by_text(OBSERVATION).wait_for()
    assert server.store.run(run_id).status == "running"
    other.wait_for_function(f"{MEASUREMENTS} > 0")
    seen = _measurements(other)
    other.wait_for_function(f"{MEASUREMENTS} > {seen}")  # it moves without a click, while the worker runs
    assert server.store.run(run_id).status == "running"
    other.wait_for_function("document.querySelectorAll('.js-plotly-plot').length === 1")
    page.reload()
    settled(page)
    page.get_by_text(OBSERVATION).wait_for()
    assert page.evaluate("new URLSearchParams(location.search).get('run')") == run_id
    page.get_by_role("button", name="Cancel").click()
    until(lambda: server.store.run(run_id).status == "cancelled")
    for browser in (page, other):
        browser.get_by_text("The run was cancelled.").wait_for()
    assert len(server.store.records(run_id)) > 0  # what was measured is kept


MEASUREMENTS = (
    "Number([...document.querySelectorAll('[data-testid=stMetric]')].find(e => e.innerText.includes('Measurements'))"
    "?.querySelector('[data-testid=stMetricValue]')?.innerText.replace(',', ''))"
)


def _measurements(page: Page) -> int:
    return int(page.evaluate(MEASUREMENTS))


def test_two_quick_presses_are_one_run(server: Server, new_browser: Callable[..., Page], until: Until) -> None:
    before = len(server.store.runs(workload="demo"))
    page = new_browser()
    page.goto(f"{server.address}/demo?{ENDLESS}&seed=2")
    settled(page)
    page.get_by_role("button", name="Run", exact=True).dblclick()
    page.wait_for_function("new URLSearchParams(location.search).has('run')")
    page.get_by_text(OBSERVATION).wait_for()
    assert len(server.store.runs(workload="demo")) == before + 1
    page.get_by_role("button", name="Cancel").click()
    until(lambda: not server.store.runs(workload="demo")[0].active)


def test_a_finished_run_can_be_downloaded(server: Server, new_browser: Callable[..., Page]) -> None:
    page = new_browser()
    page.goto(f"{server.address}/demo?repeats=4&seed=3")
    settled(page)
    page.get_by_role("button", name="Run", exact=True).click()
    page.get_by_text("Measured on").wait_for()
    with page.expect_download() as started:
        page.get_by_role("button", name="Raw records (CSV)").click()
    records = pd.read_csv(started.value.path())
    assert len(records) == 8  # 4 repeats of two arms
    assert set(records["arm"]) == {"new", "old"}
    assert records["p_seed"].unique().tolist() == [3]
    assert "run=" in text(page) or page.get_by_role("tab", name="Links and command line").count() == 1


def test_a_hostile_address_is_shown_as_text(server: Server, new_browser: Callable[..., Page]) -> None:
    page = new_browser()
    page.goto(f"{server.address}/demo?ending=%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E")
    settled(page)
    assert "<img src=x onerror=alert(1)>" in page.get_by_role("alert").first.inner_text()
    assert page.get_by_role("button", name="Run", exact=True).is_disabled()


def test_headings_come_in_order(server: Server, new_browser: Callable[..., Page]) -> None:
    page = new_browser()
    page.goto(f"{server.address}/demo?repeats=2&seed=4")
    settled(page)
    page.get_by_role("button", name="Run", exact=True).click()
    page.get_by_text("Measured on").wait_for()
    settled(page)
    levels = page.evaluate("[...document.querySelectorAll('[data-testid=stMain] :is(h1,h2,h3,h4,h5,h6)')].map(e => Number(e.tagName[1]))")
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels)), levels
