"""The claims board in headless Chromium: what a unit test cannot press, the marker, the row's link, the drawer."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from tests.browser.conftest import Server

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]
# Places inside the table: beside the first row's box, and on its link (widths as in lab/ui/claims_page.py).
BOX_PX, HEADER_PX = 36, 36
LINK_X = BOX_PX + 290 + 90 + 245 + 245 + 24
FIRST_ROW_Y = HEADER_PX + 18


def test_a_marker_opens_the_evidence_and_a_row_opens_the_page_that_produced_it(server: Server, new_browser: Callable[..., Page]) -> None:
    page = new_browser(viewport={"width": 1440, "height": 1000})
    page.goto(f"{server.address}/claims?technique=activations&published=larger+than+claimed")
    drawer = page.get_by_role("dialog")

    page.locator(".js-plotly-plot .scatterlayer .points path").first.click(force=True)  # an overlay takes the pointer for Plotly
    page.wait_for_function("new URLSearchParams(location.search).get('claim') !== null")
    drawer.get_by_text("All evidence").wait_for()
    page.keyboard.press("Escape")
    page.wait_for_function("new URLSearchParams(location.search).get('claim') === null")
    drawer.wait_for(state="detached")

    table = page.locator("[data-testid=stDataFrame]").last
    table.locator("canvas").first.wait_for()
    table.scroll_into_view_if_needed()
    table.hover(position={"x": LINK_X - 4, "y": FIRST_ROW_Y})
    page.locator("button[aria-label^='Search: Every claim']").wait_for()
    unguarded = page.locator("button[aria-label^='Download as CSV']")  # its cells are such as a spreadsheet would execute
    assert unguarded.count()
    assert not any(button.is_visible() for button in unguarded.all())
    with page.context.expect_page() as opened:
        table.click(position={"x": LINK_X, "y": FIRST_ROW_Y})
    assert opened.value.url == f"{server.address}/activations?run=recorded%2Factivations%2Fh200"

    table.click(position={"x": BOX_PX // 2, "y": FIRST_ROW_Y})
    drawer.get_by_role("link", name="Open the recorded run").click()
    page.get_by_role("heading", name="Activation speed", level=1).wait_for()
    page.wait_for_function("new URLSearchParams(location.search).get('run') === 'recorded/activations/h200'")
    page.get_by_text("Recorded on NVIDIA H200").first.wait_for()
