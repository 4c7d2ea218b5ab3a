"""A run by keyboard alone, and that what looks for faults of a page finds them. Every page is searched by the test of cold deep links."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from tests.browser.accessibility import problems
from tests.browser.conftest import Server
from tests.browser.test_browser import settled

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]
MOST_STOPS = 80
FOCUSED = """() => {
  if (document.activeElement === document.body) return ['', true];  // beyond the last stop
  const e = document.activeElement, ring = getComputedStyle(e), copy = e.cloneNode(true);
  copy.querySelectorAll('[data-testid=stIconMaterial]').forEach(icon => icon.remove());  // drawn from its name by a font
  const names = [e.getAttribute('aria-label'), copy.textContent, ...[...(e.labels || [])].map(label => label.innerText)];
  // A table draws the focus of its cell itself, a field in its frame.
  const ringed = (ring.outlineStyle !== 'none' && parseFloat(ring.outlineWidth) > 0) || ring.boxShadow !== 'none';
  const visible = ringed || e.closest('canvas, input') !== null;
  return [(names.find(name => name?.trim()) ?? '').trim(), visible];
}"""


def go_to(page: Page, name: str) -> list[str]:
    """Press Tab until the focus is on the control called ``name``; the names on the way. Every stop must be seen."""
    stops: list[str] = []
    while len(stops) < MOST_STOPS:
        page.keyboard.press("Tab")
        stop, visible = page.evaluate(FOCUSED)
        assert visible, f"{stop}: the focus cannot be seen"
        stops.append(stop)
        if stop.endswith(name):  # an expander's sign stands before its name
            return stops
    raise AssertionError(f"{name} is not among {stops}")


def test_a_run_is_started_cancelled_and_downloaded_by_keyboard(
    server: Server, new_browser: Callable[..., Page], until: Callable[[Callable[[], object]], None]
) -> None:
    page = new_browser(viewport={"width": 1440, "height": 900})
    page.goto(f"{server.address}/demo?repeats=100000&interval_s=0.2&seed=9")
    settled(page)
    stops = go_to(page, "Run")
    assert stops[0] == "Skip to main content"
    in_order = [stops.index(name) for name in ("Overview", "Glossary", "Help for Device", "Help for N", "Run")]
    assert in_order == sorted(in_order)
    page.keyboard.press("Enter")
    page.wait_for_function("new URLSearchParams(location.search).has('run')")
    page.wait_for_function("document.querySelectorAll('.js-plotly-plot').length === 1")  # something to see was measured
    go_to(page, "Cancel")
    page.keyboard.press("Enter")
    page.get_by_text("The run was cancelled.").wait_for()
    until(lambda: not server.store.runs(workload="demo")[0].active)
    settled(page)
    go_to(page, "The numbers of this chart")
    page.keyboard.press("Enter")
    page.get_by_test_id("stDataFrame").wait_for()
    go_to(page, "Raw records (CSV)")
    with page.expect_download() as started:
        page.keyboard.press("Enter")
    assert started.value.suggested_filename.endswith("-records.csv")


def test_faults_are_found(new_browser: Callable[..., Page]) -> None:
    page = new_browser()
    page.set_content(
        """<main data-testid="stMain" style="background: white"><h1>One</h1><h3>Three</h3><button></button>
        <img src="data:image/gif;base64,R0lGODlhAQABAAAAACwAAAAAAQABAAA=" width="9" height="9">
        <div data-testid="stDataFrame">table</div>
        <p style="color: #777777">4.48 to 1</p><p style="color: #767676">4.54 to 1</p><p style="color: #767676; opacity: 0.9">weaker</p>
        <h3 style="color: #949494; font-size: 24px">large</h3><button disabled style="color: #EEEEEE">disabled</button></main>"""
    )
    found = problems(page)
    wanted = [
        "the page names no language",
        "heading 3 after 1: Three",
        "image without alt",
        "stDataFrame without alt",
        "control without a name",
        "contrast 4.5 in stMain: 4.48 to 1",
        "contrast 3.8 in stMain: weaker",
    ]
    assert [line for line in wanted if not any(said.startswith(line) for said in found)] == []
    assert len(found) == len(wanted)
