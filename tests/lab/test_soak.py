"""SIGKILL of servers, workers and standby workers at random moments: nothing that was emitted is lost, nothing is left behind, and the
next run works.

The moments come from a fixed seed, so that a failure can be looked for again (the machine's own timing stays).
``$EFFICIENCY_LAB_SOAK_KILLS`` sets how many; 200 take some minutes: ``EFFICIENCY_LAB_SOAK_KILLS=200 pytest -s -m soak``.
"""

from __future__ import annotations

import collections
import contextlib
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from lab import device_lock
from lab.jobs import Engine
from lab.processes import alive, start_mark
from lab.store import Run, Store
from lab.worker import EVENTS_FILE

ROOT = Path(__file__).resolve().parents[2]
KILLS = int(os.environ.get("EFFICIENCY_LAB_SOAK_KILLS", "12"))
REPEATS = 20
RUN = f"repeats={REPEATS} interval_s=0.01"  # some 0.2 s, about as long as its start
LATEST_S = 0.6  # after the click, at which a kill comes: before, in and after the run
Until = Callable[[Callable[[], object]], None]

SERVER = """
import sys
import lab.standby
from lab.jobs import Engine
from lab.store import Store
from lab.workload import workload
lab.standby.LOOK_S = 0.05
engine = Engine(Store(), standby=["demo"])
for line in sys.stdin:
    plan = workload("demo").plan("quick", "cpu", dict(item.split("=") for item in line.split()))
    print(engine.submit("demo", plan, device="cpu"), flush=True)
"""


class Server:
    """A process with an engine and a standby worker, which takes runs from its input."""

    def __init__(self) -> None:
        self.process = subprocess.Popen([sys.executable, "-c", SERVER], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def submit(self, texts: str) -> str:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(texts + "\n")
        self.process.stdin.flush()
        run_id = self.process.stdout.readline().strip()
        assert run_id, "the server ended"
        return run_id

    def children(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children()

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def servers() -> Iterator[list[Server]]:
    started: list[Server] = []
    yield started
    for server in started:
        server.kill()


def emitted(store: Store, run_id: str) -> list[dict[str, Any]]:
    """The whole lines of the run's event log."""
    path = store.folder(run_id) / EVENTS_FILE
    data = path.read_bytes() if path.exists() else b""
    return [json.loads(line) for line in data[: data.rfind(b"\n") + 1].splitlines()]


def check_that_nothing_is_lost(store: Store, run: Run) -> bool:
    """Compare the store with the log; returns whether the worker said that it was done."""
    events = emitted(store, run.id)
    stored = store.events(run.id)
    assert [event.seq for event in stored] == [event["seq"] for event in events] == list(range(len(events)))
    assert [event.body["record"] for event in stored if event.kind == "record"] == [e["record"] for e in events if e["kind"] == "record"]
    return any(event["kind"] == "end" for event in events)


def host_is_free() -> bool:
    with device_lock.hold_if_free(device_lock.HOST) as lock:
        return lock is not None


@pytest.mark.soak
@pytest.mark.timeout(60 + 20 * KILLS)
def test_kills_at_random_moments(store: Store, until: Until, servers: list[Server]) -> None:
    rng = random.Random(2027)
    tally: collections.Counter[str] = collections.Counter()
    family: dict[int, str] = {}  # every process that was ever seen below a server, with the mark of its start
    records = 0
    with Engine(store) as watcher:  # another process's view of the same store
        servers.append(Server())
        for _ in range(KILLS):
            server = servers[-1]
            ids = [server.submit(RUN) for _ in range(rng.choice((1, 1, 2)))]  # two: the second waits for the first
            time.sleep(rng.uniform(0, LATEST_S))
            children = server.children()
            for child in children:
                family.setdefault(child.pid, start_mark(child.pid) or "")
            hit: int | None = None
            if children and rng.random() < 0.7:
                child = rng.choice(children)
                with contextlib.suppress(psutil.NoSuchProcess):  # it has just ended by itself: a kill that came too late
                    child.kill()
                hit = child.pid
            else:
                server.kill()
            tally["kills of a server" if hit is None else "kills of a worker or standby"] += 1

            for run_id in ids:
                run = watcher.wait(run_id, 60.0)
                worker = store._rows("SELECT worker_pid FROM runs WHERE id = ?", run_id)[0][0]
                done = check_that_nothing_is_lost(store, run)
                if done:
                    assert (run.status, run.reason, len(store.records(run_id))) == ("finished", "", 2 * REPEATS)
                elif hit is None:
                    assert run.status == "interrupted"
                    assert "ended before the run did" in run.reason
                else:
                    assert (run.status, worker) == ("failed", hit), run.reason
                    assert run.reason.startswith("the worker was killed by SIGKILL")
                assert run.manifest["status"] == run.status
                tally[run.status] += 1
                records += len(store.records(run_id))

            if hit is None:
                until(lambda: not any(alive(pid, mark) for pid, mark in family.items()))  # no orphan
                servers.append(Server())
            else:
                until(lambda server=server: all(child.status() != psutil.STATUS_ZOMBIE for child in server.children()))  # type: ignore[misc]
                assert not alive(hit, family[hit])
            until(host_is_free)
            following = servers[-1].submit("repeats=1")
            run = watcher.wait(following, 60.0)
            assert (run.status, len(store.records(following))) == ("finished", 2), run.reason

        servers[-1].kill()
        until(lambda: not any(alive(pid, mark) for pid, mark in family.items()))
        assert watcher.store.active_processes() == []
        assert store._rows("PRAGMA integrity_check")[0][0] == "ok"
    assert tally["kills of a server"] > 0
    assert tally["kills of a worker or standby"] > 0
    print(f"\n{KILLS} kills: {dict(tally)}; {records} records of these runs emitted and kept; {len(family)} processes, none left")
