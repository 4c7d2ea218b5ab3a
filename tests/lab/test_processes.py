"""A process is told from a later one with its id, and a group can be signalled whether it is there or not."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from lab.processes import alive, reap, signal_group, start_mark

Until = Callable[[Callable[[], object]], None]


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "600"], start_new_session=True) as process:
        yield process
        process.kill()


def test_signalling_a_group_that_is_gone_does_nothing(sleeper: subprocess.Popen[bytes]) -> None:
    signal_group(sleeper.pid, signal.SIGKILL)
    sleeper.wait()
    signal_group(sleeper.pid, signal.SIGTERM)
    assert start_mark(sleeper.pid) is None


def test_a_zombie_counts_as_ended(sleeper: subprocess.Popen[bytes], until: Until) -> None:
    mark = start_mark(sleeper.pid)
    assert mark is not None
    assert mark == start_mark(sleeper.pid)
    assert mark != start_mark(os.getpid())
    signal_group(sleeper.pid, signal.SIGKILL)
    until(lambda: start_mark(sleeper.pid) is None)
    assert psutil.Process(sleeper.pid).status() == psutil.STATUS_ZOMBIE  # nobody has waited for it


def test_reaping_waits_without_keeping_anybody_waiting(sleeper: subprocess.Popen[bytes], until: Until) -> None:
    assert reap(sleeper) is None  # still there: a thread waits for it
    signal_group(sleeper.pid, signal.SIGKILL)
    until(lambda: not psutil.pid_exists(sleeper.pid))  # no zombie
    assert reap(sleeper) == -signal.SIGKILL


def test_without_proc_the_start_time_is_the_mark(sleeper: subprocess.Popen[bytes], until: Until, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreadable(path: Path) -> str:
        raise FileNotFoundError(path)

    monkeypatch.setattr(Path, "read_text", unreadable)
    mark = start_mark(sleeper.pid)
    assert mark == f"{psutil.Process(sleeper.pid).create_time():.2f}"
    assert alive(sleeper.pid, mark)
    signal_group(sleeper.pid, signal.SIGKILL)
    until(lambda: start_mark(sleeper.pid) is None)
    sleeper.wait()
    assert start_mark(sleeper.pid) is None
