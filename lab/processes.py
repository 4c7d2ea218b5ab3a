"""Telling a process from a later one with the same id, and ending a process or its group without leaving a zombie."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from pathlib import Path

import psutil

TERMINATE_GRACE_S = 1.0  # between SIGTERM and SIGKILL
REAP_S = 0.1  # that an ended process may take to be waited for


def start_mark(pid: int) -> str | None:
    """A text that stays the same for the life of process ``pid`` and differs for a later one; None when it has ended.

    On Linux: this boot and the clock ticks from boot to the start of the process, so that setting the clock changes nothing.
    Elsewhere: the start time. A process that has ended but was not yet waited for (a zombie) counts as ended.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        try:
            process = psutil.Process(pid)
            return None if process.status() == psutil.STATUS_ZOMBIE else f"{process.create_time():.2f}"
        except psutil.Error:
            return None
    fields = stat.rpartition(")")[2].split()  # the command's name, in parentheses, may hold anything
    state, start_ticks = fields[0], fields[19]
    return None if state in "ZX" else f"{boot}:{start_ticks}"


def alive(pid: int, mark: str) -> bool:
    """Whether the process that had this mark is still there."""
    return start_mark(pid) == mark


def signal_group(pid: int, number: signal.Signals) -> None:
    """Send a signal to the process group that ``pid`` leads; nothing happens when it is gone."""
    with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS says "not permitted" for a group of zombies
        os.killpg(pid, number)


def reap(process: subprocess.Popen[bytes]) -> int | None:
    """The exit status; None for a process that even SIGKILL does not end at once (stuck in a driver): a thread waits for it."""
    try:
        return process.wait(REAP_S)
    except subprocess.TimeoutExpired:
        threading.Thread(target=process.wait, name=f"reap-{process.pid}", daemon=True).start()
        return None
