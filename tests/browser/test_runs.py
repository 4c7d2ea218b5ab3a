"""The page of runs in headless Chromium: a selection made by hand, and a hurried deletion."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from lab.parameters import ParameterError
from lab.store import Store
from lab.ui.run_table import HEADER_HEIGHT, ROW_HEIGHT
from tests.browser.conftest import Server
from tests.browser.test_browser import settled
from tests.demo_workloads.demo.spec import WORKLOAD

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]


def add_ended(store: Store, name: str) -> str:
    run_id, _ = store.add(
        workload="demo",
        preset="quick",
        plan_json=WORKLOAD.plan().to_json(),
        device="cpu",
        locks=("cpu",),
        manifest=lambda run_id, created_at: {"run_id": run_id},
        owner_pid=os.getpid(),
        owner_start="ended before it began",
    )
    store.end(run_id, "finished", "", 1.0)
    store.describe(run_id, name=name)
    return run_id


def there(store: Store, run_id: str) -> bool:
    try:
        return store.run(run_id).id == run_id
    except ParameterError:
        return False


def test_the_selected_run_is_deleted_once_however_often_delete_is_pressed(
    server: Server, new_browser: Callable[..., Page], until: Callable[[Callable[[], object]], None]
) -> None:
    ids = [add_ended(server.store, f"hurried {number}") for number in range(3)]
    page = new_browser(viewport={"width": 1440, "height": 1000})
    page.goto(f"{server.address}/runs?text=hurried")
    settled(page)
    rows = page.locator("[data-testid=stDataFrame] .dvn-scroller")
    rows.click(position={"x": 16, "y": HEADER_HEIGHT + 1.5 * ROW_HEIGHT})  # the second row, newest first: "hurried 1"
    page.get_by_text("1 run selected").wait_for()
    page.get_by_role("button", name="Delete").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_text("hurried 1").wait_for()
    dialog.get_by_role("button", name="Delete 1 run").dblclick()
    until(lambda: not there(server.store, ids[1]))
    dialog.wait_for(state="detached")
    page.get_by_text("2 runs", exact=True).wait_for()
    settled(page)
    assert page.locator("[data-testid=stException], [data-testid=stAlert]").count() == 0
    assert [there(server.store, run_id) for run_id in ids] == [True, False, True]
