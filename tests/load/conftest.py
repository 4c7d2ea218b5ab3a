"""A real server of the app with the demo pages, for many sessions and for kills."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lab.store import Store
from tests.app_server import DEADLINE_S, AppServer
from tests.pages.app_copy import app_with_demo_pages


@pytest.fixture
def server(tmp_path: Path) -> Iterator[AppServer]:
    """A server that has not been started; it is ended after the test."""
    made = AppServer(app_with_demo_pages(tmp_path / "app"), tmp_path, EFFICIENCY_LAB_STANDBY="0")
    yield made
    made.stop()


@pytest.fixture
def store(server: AppServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """The server's store, opened by another process: this one."""
    monkeypatch.setenv("EFFICIENCY_LAB_WORKLOADS", "tests.demo_workloads")
    with Store(server.home) as opened:
        yield opened


@pytest.fixture
def until() -> Callable[[Callable[[], object]], None]:
    """Wait until a condition holds; fail when it never does."""

    def wait(condition: Callable[[], object]) -> None:
        limit_s = time.monotonic() + DEADLINE_S
        while not condition():
            assert time.monotonic() < limit_s, "the condition was never met"
            time.sleep(0.02)

    return wait
