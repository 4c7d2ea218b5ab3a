"""A server of the lab with the demo page, and headless Chromium to look at it."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from lab.store import Store
from tests.pages.app_copy import ROOT, app_with_demo_pages

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
DEADLINE_S = 90.0  # ends a broken test, measures nothing
# Streamlit's client looks for its server below the page's own path first; that is its way of finding a base path.
HARMLESS = re.compile(r"/\w+/_stcore/(health|host-config)$")


@dataclass(frozen=True)
class Server:
    """A running server: its address and the store it writes."""

    address: str
    store: Store


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if not Path(CHROMIUM).exists():
        pytest.skip(f"no Chromium at {CHROMIUM}")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


def _serve(folder: Path) -> Iterator[Server]:
    start = app_with_demo_pages(folder / "app")
    port = _free_port()
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "EFFICIENCY_LAB_HOME": str(folder / "home"),
        "EFFICIENCY_LAB_LOCK_DIR": str(folder / "locks"),
        "EFFICIENCY_LAB_WORKLOADS": "tests.demo_workloads",
    }
    options = ["--server.headless", "true", "--server.port", str(port), "--server.address", "127.0.0.1"]
    with (folder / "server.log").open("w") as log:
        command = [sys.executable, "-m", "streamlit", "run", str(start), *options]
        process = subprocess.Popen(command, cwd=start.parent, env=environment, stdout=log, stderr=log)
        try:
            limit_s = time.monotonic() + DEADLINE_S
            while not _healthy(port):
                assert process.poll() is None, (folder / "server.log").read_text()
                assert time.monotonic() < limit_s, "the server never answered"
                time.sleep(0.1)
            with Store(folder / "home") as store:
                yield Server(f"http://127.0.0.1:{port}", store)
        finally:
            process.terminate()
            process.wait(DEADLINE_S)


def _healthy(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=5) as answer:
            return answer.status == 200
    except OSError:
        return False


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
    """A server that nobody has visited."""
    yield from _serve(tmp_path)


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
