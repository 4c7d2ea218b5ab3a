"""A worker process that waits for the next run with the heavy imports done, so that a click shows progress at once.

Who keeps one: the web server (a command line has one run, which starts cold). What a standby is, and is not:

- It is what a cold worker would be, started earlier: the same command, environment and code. Where one of these has changed since
  (an edited source file, an installed package), the run gets a cold worker instead.
- It has not initialised CUDA, so it takes no GPU memory, and the job can still choose the GPU or hide it.
- It never disturbs a measurement. It is started while no run is queued or running, and it imports under the lock of the host, which
  every run holds while it measures; once it waits, it holds no lock and uses no CPU time.
- A click while it is still importing goes to it as well: it says that the run started, and is ready no later than a cold worker.
- It ends with its server, however that ends (its stdin closes).

It takes the memory of its imports: with torch some 170 MB of its own.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import signal
import subprocess
import sysconfig
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import lab
from lab import device_lock
from lab.processes import reap, signal_group
from lab.worker import Job, command, environment
from lab.workload import workload, workloads

VARIABLE = "EFFICIENCY_LAB_STANDBY"  # "0" does without, for machines that are short of memory
LOOK_S = 0.5  # between two looks whether a successor is needed and may start
MAX_DEATHS = 3  # in a row; then there is none until the next run


def wanted() -> tuple[str, ...]:
    """The workloads that a server's standby worker imports ahead: all, or () where ``$EFFICIENCY_LAB_STANDBY`` is 0."""
    return () if os.environ.get(VARIABLE) == "0" else tuple(workloads())


class Standby:
    """Keeps one standby worker, from a thread of its own, until it is closed.

    ``folder``: where it waits. ``workloads``: names of those whose experiments it imports. ``threads`` and ``cache_dir`` as in
    :class:`lab.worker.Job`. ``idle()`` tells whether no run is queued or running.
    """

    def __init__(self, folder: Path, workloads: Sequence[str], threads: int, cache_dir: Path, idle: Callable[[], bool]) -> None:
        self._folder, self._workloads, self._idle = folder, tuple(workloads), idle
        self._threads, self._cache_dir = threads, str(cache_dir)
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._made_of: object = None
        self._deaths = 0
        self._thread = threading.Thread(target=self._keep, name="standby", daemon=True)
        self._thread.start()

    def claim(self, job: Job) -> subprocess.Popen[bytes] | None:
        """The standby process, which has the job now; None where there is none that would do the same as a cold worker."""
        with self._lock:
            process, self._process = self._process, None
            self._deaths = 0
            if process is None:
                return None
            assert process.stdin is not None
            with contextlib.suppress(OSError):  # it died since the last look
                if self._made_of == self._ingredients(job.threads, job.cache_dir):
                    process.stdin.write(job.to_line())
                    process.stdin.flush()
                    return process
            _end(process)
            return None

    @property
    def pid(self) -> int | None:
        """The id of the waiting process, None where there is none."""
        process = self._process
        return None if process is None else process.pid

    def close(self) -> None:
        """End the standby worker; can be called twice."""
        self._closing.set()
        self._thread.join()
        with self._lock:
            if self._process is not None:
                _end(self._process)
                self._process = None

    def _keep(self) -> None:
        while not self._closing.wait(LOOK_S):
            with self._lock:
                if self._process is not None and self._process.poll() is not None:
                    _end(self._process)
                    self._process = None
                    self._deaths += 1
                if self._process is None and self._deaths < MAX_DEATHS and self._idle():
                    try:
                        self._start()
                    except OSError:  # no memory for a process, no folder for locks: a cold worker will say what is wrong
                        self._deaths += 1

    def _start(self) -> None:
        with device_lock.hold_if_free(device_lock.HOST) as lock:
            if lock is None:
                return
            self._made_of = self._ingredients(self._threads, self._cache_dir)
            self._process = subprocess.Popen(
                command("--standby", str(lock), *self._workloads),
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,  # the run's own log once it has a run
                stderr=subprocess.DEVNULL,
                cwd=self._folder,
                env=environment(os.environ, self._threads, self._cache_dir),
                pass_fds=(lock,),  # it goes on holding the lock until the imports are done
                start_new_session=True,
            )

    def _ingredients(self, threads: int, cache_dir: str) -> tuple[Mapping[str, str], list[Any]]:
        """What a worker is made of: its environment, and every source file and installed package with its time of change."""
        packages = {str(Path(lab.__file__).parent)}
        for name in self._workloads:
            found = importlib.util.find_spec(workload(name).entry_point.partition(":")[0].rpartition(".")[0])
            if found is not None and found.origin is not None:
                packages.add(str(Path(found.origin).parent.parent))  # with what the workloads of a package share
        files = [path for package in sorted(packages) for path in sorted(Path(package).rglob("*.py"))]
        files += [Path(sysconfig.get_path(name)) for name in ("purelib", "platlib")]  # pip changes the folder itself
        return environment(os.environ, threads, cache_dir), [(str(path), path.stat().st_mtime_ns) for path in files if path.exists()]


def _end(process: subprocess.Popen[bytes]) -> None:
    signal_group(process.pid, signal.SIGKILL)
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError):  # something was still to be written
        process.stdin.close()
    reap(process)
