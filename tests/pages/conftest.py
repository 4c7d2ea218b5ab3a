"""An app with the demo page, an own home and fresh server-wide caches for each test."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from lab.store import Store
from lab.ui import server
from tests.pages.app_copy import app_with_demo_pages

DEADLINE_S = 60.0  # ends a broken test, measures nothing


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("EFFICIENCY_LAB_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("EFFICIENCY_LAB_LOCK_DIR", str(tmp_path / "locks"))
    monkeypatch.setenv("EFFICIENCY_LAB_WORKLOADS", "tests.demo_workloads")
    monkeypatch.setenv("EFFICIENCY_LAB_STANDBY", "0")  # it would import torch once more for each test
    st.cache_resource.clear()
    st.cache_data.clear()
    yield app_with_demo_pages(tmp_path / "app")
    server.engine().close()
    st.cache_resource.clear()


@pytest.fixture
def store(app: Path) -> Store:
    return server.store()


@pytest.fixture
def open_page(app: Path) -> Callable[..., AppTest]:
    """Open a page as a new browser would, with a query: ``open_page("demo", n="4096")``."""

    def open_one(page: str = "", **query: str | list[str]) -> AppTest:
        test = AppTest.from_file(str(app), default_timeout=DEADLINE_S)
        if page:
            test.switch_page(f"pages/{page}.py")
        for name, value in query.items():
            test.query_params[name] = value
        return test.run()

    return open_one


@pytest.fixture
def until() -> Callable[[Callable[[], object]], None]:
    """Wait until a condition holds; fail when it never does."""

    def wait(condition: Callable[[], object]) -> None:
        limit_s = time.monotonic() + DEADLINE_S
        while not condition():
            assert time.monotonic() < limit_s, "the condition was never met"
            time.sleep(0.02)

    return wait
