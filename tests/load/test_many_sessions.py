"""Twenty browser sessions at once on one server: each sees its own run wait, be measured and end, and the server stays as small."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

import psutil
import pytest

from lab.store import Store
from tests.app_server import AppServer
from tests.load.page_session import PageSession, page_session

SESSIONS = 20
REPEATS = 4
MAX_GROWTH_BYTES = 200e6  # of the server's memory; twenty sessions take a third of it
MAX_MORE_THREADS = 4
Until = Callable[[Callable[[], object]], None]


async def _run_pressed(session: PageSession) -> str:
    """Press Run as soon as the page is there; returns the id of the run that the address then names."""
    await session.until(lambda: session.offers("Run") and session.complete)
    await session.press("Run")
    await session.until(lambda: session.query.startswith("run="))
    return session.query.removeprefix("run=")


async def _twenty_sessions(server: AppServer, store: Store) -> list[PageSession]:
    """A run that hangs, twenty runs behind it, then the end of the first and so of all."""
    async with contextlib.AsyncExitStack() as stack:
        first = await stack.enter_async_context(page_session(server.address, "demo", "ending=hang"))
        blocking = await _run_pressed(first)
        queries = [f"repeats={REPEATS}&seed={seed}" for seed in range(1, SESSIONS + 1)]
        sessions = [await stack.enter_async_context(page_session(server.address, "demo", query)) for query in queries]
        ids = await asyncio.gather(*map(_run_pressed, sessions))
        assert len({blocking, *ids}) == SESSIONS + 1
        places = {run_id: store.run(run_id).queue_place for run_id in ids}
        assert sorted(places.values()) == list(range(1, SESSIONS + 1))  # type: ignore[type-var]
        words = [f"Queued\\: {places[run_id]} run" for run_id in ids]
        await asyncio.gather(*(session.until(lambda s=session, w=word: s.has(w)) for session, word in zip(sessions, words, strict=True)))
        await first.press("Cancel")
        await first.until(lambda: first.has("The run was cancelled."))
        await asyncio.gather(*(session.until(lambda s=session: s.has("Measured on")) for session in sessions))
        for run_id, seed in zip(ids, range(1, SESSIONS + 1), strict=True):
            run = store.run(run_id)
            assert (run.status, run.plan_json["seed"], len(store.records(run_id))) == ("finished", [seed], 2 * REPEATS)
        return sessions


@pytest.mark.timeout(300)
def test_twenty_sessions_each_see_their_run_queue_and_end(server: AppServer, store: Store, until: Until) -> None:
    async def look_once() -> None:
        async with page_session(server.address, "demo") as session:
            await session.until(lambda: session.complete)

    server.start()
    asyncio.run(look_once())  # what the first page imports stays
    process = psutil.Process(server.pid)
    memory, threads = process.memory_info().rss, process.num_threads()
    sessions = asyncio.run(_twenty_sessions(server, store))
    assert min(session.renewed for session in sessions) > 0
    until(lambda: process.num_threads() <= threads + MAX_MORE_THREADS)  # no thread of a run or a session stays
    assert process.memory_info().rss - memory < MAX_GROWTH_BYTES
    assert process.children() == []
    assert "Traceback" not in server.log.read_text()
    assert not store.has_active()
