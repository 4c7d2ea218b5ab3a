"""SIGKILL of the web server in the middle of a run, and a new server on the same store, ten times: nothing is lost, nothing is left behind.

The page of this server only queues two runs: what it takes to draw a real one would come ten times. Kills at random moments, also of
workers, are in tests/lab/test_soak.py.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from lab.processes import alive, start_mark
from lab.store import Store
from lab.worker import EVENTS_FILE
from tests.app_server import AppServer
from tests.load.page_session import page_session

KILLS = 10
PAGE = """
import streamlit as st
from lab.ui import server
from lab.workload import workload

plan = workload("demo").plan("quick", "cpu", {"repeats": "100000", "interval_s": "0.005"})
for _ in range(2):
    st.markdown(server.engine().submit("demo", plan, device="cpu"))
"""
Until = Callable[[Callable[[], object]], None]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[AppServer]:
    """A server whose only page queues two runs that never end."""
    page = tmp_path / "app" / "app.py"
    page.parent.mkdir()
    page.write_text(PAGE)
    made = AppServer(page, tmp_path, EFFICIENCY_LAB_STANDBY="0")
    yield made
    made.stop()


async def _two_runs(server: AppServer) -> list[str]:
    async with page_session(server.address, "") as session:
        await session.until(lambda: session.complete and len(session.said) == 2)
        return session.said


def check_that_nothing_is_lost(store: Store, running: str, queued: str, least: int) -> None:
    """What became of two runs of a server that was killed: all that the worker had written of the one, nothing of the other."""
    logged = (store.folder(running) / EVENTS_FILE).read_bytes()
    events = [json.loads(line) for line in logged[: logged.rfind(b"\n") + 1].splitlines()]
    stored = store.events(running)
    assert [event.seq for event in stored] == [event["seq"] for event in events] == list(range(len(events)))
    assert [event.body["record"] for event in stored if event.kind == "record"] == [e["record"] for e in events if e["kind"] == "record"]
    assert len(store.records(running)) > least
    assert store.events(queued) == []
    for run_id in (running, queued):
        run = store.run(run_id)
        assert (run.status, run.manifest["status"]) == ("interrupted", "interrupted")
        assert "ended before the run did" in run.reason


@pytest.mark.timeout(300)
def test_ten_kills_lose_nothing(server: AppServer, store: Store, until: Until) -> None:
    killed: list[tuple[str, str]] = []
    kept: dict[str, int] = {}  # run → its records, of all servers that were killed
    for place in range(KILLS + 1):
        server.start()
        running, queued = asyncio.run(_two_runs(server))  # its first page takes in what was left
        for before in killed[-1:]:
            check_that_nothing_is_lost(store, *before, least=7 * (place - 1))
            kept |= {run_id: len(store.records(run_id)) for run_id in before}
        assert {run_id: len(store.records(run_id)) for run_id in kept} == kept
        until(lambda run_id=running, least=7 * place: len(store.records(run_id)) > least)  # type: ignore[misc]  # earlier and later
        assert store.run(queued).queue_place == 1
        (worker,) = psutil.Process(server.pid).children(recursive=True)
        mark = start_mark(worker.pid) or ""
        server.kill()
        until(lambda pid=worker.pid, mark=mark: not alive(pid, mark))  # type: ignore[misc]
        killed.append((running, queued))
    assert len(kept) == 2 * KILLS
    assert store._rows("PRAGMA integrity_check")[0][0] == "ok"
