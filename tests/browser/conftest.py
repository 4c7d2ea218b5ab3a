"""A server of the lab with the demo page, and headless Chromium to look at it."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from lab.store import Store
from tests.app_server import DEADLINE_S, AppServer
from tests.pages.app_copy import app_with_demo_pages

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
# Streamlit's client looks for its server below the page's own path first; that is its way of finding a base path.
HARMLESS = re.compile(r"/\w+/_stcore/(health|host-config)$")


@dataclass(frozen=True)
class Server:
    """A running server: its address and the store it writes."""

    address: str
    store: Store


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if not Path(CHROMIUM).exists():
        pytest.skip(f"no Chromium at {CHROMIUM}")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


def _serve(folder: Path, **environment: str) -> Iterator[Server]:
    server = AppServer(app_with_demo_pages(folder / "app"), folder, **environment)
    try:
        server.start()
        with Store(server.home) as store:
            yield Server(server.address, store)
    finally:
        server.stop()


@pytest.fixture(scope="session")
def shared_server(chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    yield from _serve(tmp_path_factory.mktemp("server"))


@pytest.fixture
def server(shared_server: Server) -> Iterator[Server]:
    """One server for most tests; a run that a test leaves behind is cancelled, or the next test's would queue behind it."""
    yield shared_server
    for run in shared_server.store.runs():
        if run.active:
            shared_server.store.request_cancel(run.id)


@pytest.fixture
def cold_server(chromium: Browser, tmp_path: Path) -> Iterator[Server]:
    """A server that nobody has visited. It has no standby worker: one for each of these would cost more than the visit."""
    yield from _serve(tmp_path, EFFICIENCY_LAB_STANDBY="0")


@pytest.fixture
def new_browser(chromium: Browser) -> Iterator[Callable[..., Page]]:
    """A page of a browser that shares nothing with the others; afterwards no error may have been logged and nothing fetched elsewhere."""
    contexts: list[BrowserContext] = []
    problems: list[str] = []

    def open_browser(**options: Any) -> Page:
        context = chromium.new_context(**options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(DEADLINE_S * 1000)

        def on_console(message: Any) -> None:
            if message.type == "error" and not HARMLESS.search(message.location.get("url", "")):
                problems.append(f"console: {message.text} ({message.location.get('url', '')})")

        def on_request(request: Any) -> None:
            if not request.url.startswith(("http://127.0.0.1", "ws://127.0.0.1", "data:", "blob:")):
                problems.append(f"fetched from elsewhere: {request.url}")

        page.on("console", on_console)
        page.on("pageerror", lambda error: problems.append(f"page: {error}"))
        page.on("request", on_request)
        return page

    yield open_browser
    for context in contexts:
        context.close()
    assert problems == []


@pytest.fixture
def until() -> Callable[[Callable[[], object]], None]:
    """Wait until a condition of the store holds; fail when it never does."""

    def wait(condition: Callable[[], object]) -> None:
        limit_s = time.monotonic() + DEADLINE_S
        while not condition():
            assert time.monotonic() < limit_s, "the condition was never met"
            time.sleep(0.05)

    return wait
