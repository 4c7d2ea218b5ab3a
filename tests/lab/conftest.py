"""An own home, own device locks and the demo workload for each test that runs the engine."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lab.jobs import Engine
from lab.store import Store
from lab.workload import workload

DEADLINE_S = 30.0  # far beyond what anything here takes: it ends a broken test, it measures nothing


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EFFICIENCY_LAB_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("EFFICIENCY_LAB_LOCK_DIR", str(tmp_path / "locks"))
    monkeypatch.setenv("EFFICIENCY_LAB_WORKLOADS", "tests.demo_workloads")
    return tmp_path / "home"


@pytest.fixture
def store(home: Path) -> Iterator[Store]:
    with Store() as opened:
        yield opened


@pytest.fixture
def engine(store: Store) -> Iterator[Engine]:
    with Engine(store) as started:
        yield started


@pytest.fixture
def submit(engine: Engine) -> Callable[..., str]:
    """Submit a demo run: ``submit(ending="hang", repeats="2")``."""

    def submit_demo(**texts: str) -> str:
        return engine.submit("demo", workload("demo").plan("quick", "cpu", texts), device="cpu")

    return submit_demo


@pytest.fixture
def until() -> Callable[[Callable[[], object]], None]:
    """Wait until a condition holds; fail when it never does."""

    def wait(condition: Callable[[], object]) -> None:
        limit_s = time.monotonic() + DEADLINE_S
        while not condition():
            assert time.monotonic() < limit_s, "the condition was never met"
            time.sleep(0.01)

    return wait
