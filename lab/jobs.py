"""The engine: takes runs, waits for their turn, supervises each worker process and writes down how the run ended.

    submit → queued → (turn comes) → worker process → running → finished | cancelled | failed | interrupted

The process that submits a run supervises it, in a thread of its own; the store carries the queue, the wish to cancel and the
events, so any process can watch a run or cancel it. A supervisor that dies takes its worker with it (the worker's stdin closes),
and :meth:`Engine.recover` of any other process writes down that the run was interrupted.
"""

from __future__ import annotations

import atexit
import contextlib
import math
import os
import signal
import sqlite3
import subprocess
import threading
import time
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from lab import calibration, device_lock, environment
from lab.parameters import ParameterError, Plan
from lab.processes import TERMINATE_GRACE_S, alive, reap, signal_group, start_mark
from lab.standby import Standby
from lab.store import Run, Status, Store, StoreError
from lab.worker import EXIT_DISK_FULL, LOG_FILE, WAIT, Job, command
from lab.worker import environment as worker_environment
from lab.workload import PRESETS, Workload, workload

POLL_S = 0.1
KILL_WAIT_S = 0.7  # after SIGKILL; a process stuck in the kernel longer than that is waited for without keeping the reader waiting
EXIT_GRACE_S = 5.0  # for a worker that said how the run ended but does not leave
DISK_FULL = "the disk is full; what was measured before is kept"


@dataclass(frozen=True)
class Ending:
    """How a run ended, in the store's words."""

    status: Status
    reason: str = ""


CUSTOM = "custom"  # the preset of a run whose values are no preset's
CANCELLED = Ending("cancelled")
CLOSED = Ending("interrupted", "the lab was closed")
OWNER_DIED = Ending("interrupted", "the process that ran it (page server or command line) ended before the run did")


class Engine:
    """Runs experiments of one store. Closing it (or the end of the process) ends the runs it supervises.

    ``standby`` names the workloads whose experiments a standby worker imports ahead; () for none (see :mod:`lab.standby`).
    """

    def __init__(self, store: Store, standby: Sequence[str] = ()) -> None:
        self.store = store
        self._pid = os.getpid()
        self._mark = start_mark(self._pid) or ""
        self._closing = threading.Event()
        self._supervisors: dict[str, threading.Thread] = {}
        self._lock = threading.Lock()
        atexit.register(self.close)
        self.recover()
        self._standby: Standby | None = None
        if standby:
            self._standby = Standby(store.home, standby, environment.cpu_threads(), store.cache_dir, self._idle)

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def submit(self, workload_name: str, plan: Plan, preset: str = CUSTOM, device: str = "auto", token: str | None = None) -> str:
        """Queue a run and return its id; it starts as soon as no run before it needs its devices.

        ``device`` is auto, cpu or cuda. Two calls with the same ``token`` (not None) are one run. Raises ParameterError for an unknown
        workload, a device that is not there, or a plan that cannot fit into memory; then nothing is started or written.
        Raises StoreError when the run cannot be written down.
        """
        declaration = workload(workload_name)
        plan = Plan.from_json(declaration.parameters, plan.to_json())  # the caller may have made it for another workload
        if preset not in (*PRESETS, CUSTOM):
            raise ParameterError("preset", preset, "one of " + ", ".join((*PRESETS, CUSTOM)))
        facts = environment.device_facts()
        device = environment.resolve_device(device, facts)
        _refuse_what_cannot_fit(declaration, plan, device, facts, idle=bool(self.store.active_processes()))
        locks = environment.device_locks(device, facts)
        device_lock.check_folder()
        with self._lock:
            if self._closing.is_set():
                raise RuntimeError("the engine is closed")
            try:
                run_id, new = self.store.add(
                    workload=declaration.name,
                    preset=preset,
                    plan_json=plan.to_json(),
                    device=device,
                    locks=locks,
                    manifest=lambda run_id, created_at: environment.manifest(
                        run_id=run_id, workload=declaration, plan=plan, preset=preset, device=device, facts=facts, created_at=created_at
                    ),
                    owner_pid=self._pid,
                    owner_start=self._mark,
                    token=token,
                )
            except (sqlite3.OperationalError, OSError) as error:
                raise StoreError(f"the run cannot be written to {self.store.home} ({error})") from error
            if new:
                thread = threading.Thread(
                    target=self._supervise, args=(run_id, declaration, plan, locks), name=f"run-{run_id}", daemon=True
                )
                self._supervisors[run_id] = thread
                thread.start()
        return run_id

    def cancel(self, run_id: str) -> None:
        """Ask for the end of a run, whichever process supervises it; it has ended within 2 s. Raises ParameterError if unknown."""
        if self.store.run(run_id).active:
            self.store.request_cancel(run_id)
            self.recover()

    def wait(self, run_id: str, timeout_s: float = math.inf) -> Run:
        """Wait for the end of a run, whichever process supervises it; returns how it stands then, or when the time is up."""
        limit_s = time.monotonic() + timeout_s
        with self._lock:
            supervisor = self._supervisors.get(run_id)
        if supervisor is not None:  # ours: sleep instead of asking, which would take time from what is being measured
            supervisor.join(None if timeout_s == math.inf else timeout_s)
        while (run := self.store.run(run_id)).active and time.monotonic() < limit_s:
            self.recover()
            time.sleep(POLL_S)
        return run

    def recover(self) -> None:
        """Write down as interrupted what a dead process left behind, ending its workers. Cheap: call it whenever a run is looked at."""
        for left in self.store.active_processes():
            if alive(left.owner_pid, left.owner_start):
                continue
            if left.worker_pid is not None and left.worker_start and alive(left.worker_pid, left.worker_start):
                signal_group(left.worker_pid, signal.SIGKILL)
                _wait_until_gone(left.worker_pid, left.worker_start, KILL_WAIT_S)
            with contextlib.suppress(sqlite3.OperationalError):  # a full disk; the next look tries again
                self._conclude(left.run_id, OWNER_DIED)

    def close(self) -> None:
        """End the runs this engine supervises and wait for their workers; can be called twice."""
        with self._lock:
            self._closing.set()
            waiting_for = list(self._supervisors.values())
        if self._standby is not None:
            self._standby.close()
        for thread in waiting_for:
            thread.join(TERMINATE_GRACE_S + KILL_WAIT_S + 3.0)
        atexit.unregister(self.close)

    # --- one run, in its supervisor thread --------------------------------------------------------------------------------

    def _supervise(self, run_id: str, declaration: Workload, plan: Plan, locks: tuple[str, ...]) -> None:
        try:
            ending = self._wait_for_turn(run_id) or self._work(run_id, declaration, plan, locks)
        except Exception as error:  # a run must never stay "running" because its supervisor failed
            traceback.print_exc()
            ending = Ending("failed", DISK_FULL if _is_full(error) else f"the lab failed to run it: {type(error).__name__}: {error}")
        while True:
            try:
                self._conclude(run_id, ending)
                break
            except sqlite3.OperationalError:  # not even that fits on the disk: try until it does, or leave it to the next start
                if self._closing.wait(1.0):
                    break
        if self._idle():  # it writes to the disk: not beside a measurement
            with contextlib.suppress(sqlite3.OperationalError):  # the next run's end tries again
                self.store.remove_oldest()
        with self._lock:
            del self._supervisors[run_id]

    def _wait_for_turn(self, run_id: str) -> Ending | None:
        while True:
            if self.store.cancel_requested(run_id):
                return CANCELLED
            if self._closing.is_set():
                return CLOSED
            if self.store.run(run_id).queue_place == 0:
                return None
            self.recover()  # a run before this one may have lost its process
            self._closing.wait(POLL_S)

    def _work(self, run_id: str, declaration: Workload, plan: Plan, locks: tuple[str, ...]) -> Ending:
        run = self.store.run(run_id)
        folder = self.store.folder(run_id)
        facts = environment.device_facts()
        try:  # again: what was free when it was submitted may be taken, and a run that waited was only compared with all there is
            _refuse_what_cannot_fit(declaration, plan, run.device, facts)
        except ParameterError as error:
            return Ending("failed", f"out of memory: {error}")
        job = Job(
            run_id=run_id,
            workload=run.workload,
            plan=plan.to_json(),
            preset=run.preset,
            device=run.device,
            locks=locks,
            threads=facts.cpu.threads,
            folder=str(folder),
            cache_dir=str(self.store.cache_dir),
        )
        process = self._standby.claim(job) if self._standby is not None else None
        if process is not None:
            stopped, status = self._attend(run, process, declaration, plan, facts)
            if stopped is not None or self.store.run(run_id).last_seq > 0:
                return stopped or _ending_of(status, folder / LOG_FILE)
            # It died before the run began: that is the standby's death, not the run's.
        process = _launch(job)
        assert process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it died at once; the watch will say how
            process.stdin.write(job.to_line())
            process.stdin.flush()
        stopped, status = self._attend(run, process, declaration, plan, facts)
        return stopped or _ending_of(status, folder / LOG_FILE)

    def _attend(
        self, run: Run, process: subprocess.Popen[bytes], declaration: Workload, plan: Plan, facts: environment.DeviceFacts
    ) -> tuple[Ending | None, int | None]:
        """Watch a worker that has its job until it has ended: why it was stopped (None: it was not), and its exit status."""
        mark = start_mark(process.pid) or ""
        assert process.stdin is not None
        try:
            started_at = time.time()
            self.store.start(run.id, process.pid, mark, started_at)
            manifest = environment.manifest(
                run_id=run.id,
                workload=declaration,
                plan=plan,
                preset=run.preset,
                device=run.device,
                facts=facts,
                created_at=run.created_at,
                started_at=started_at,
            )
            self.store.set_manifest(run.id, {**manifest, "calibration": calibration.known_limits(self.store, manifest)})
            stopped = self._watch(run.id, process.pid, mark, declaration.deadline_s)
            if stopped is not None:
                signal_group(process.pid, signal.SIGTERM)
                _wait_until_gone(process.pid, mark, TERMINATE_GRACE_S)
        finally:
            # Before the process is waited for: until then its id, and so its group's, cannot belong to anybody else.
            signal_group(process.pid, signal.SIGKILL)
            _wait_until_gone(process.pid, mark, KILL_WAIT_S)
            with contextlib.suppress(BrokenPipeError):
                process.stdin.close()
            status = reap(process)
        return stopped, status

    def _idle(self) -> bool:
        try:
            return not self.store.active_processes()
        except sqlite3.Error:  # busy, full or closed: not the moment to start anything
            return False

    def _watch(self, run_id: str, pid: int, mark: str, deadline_s: float) -> Ending | None:
        """Take in events until the worker is gone (None) or has to be stopped (why)."""
        seen = -1
        limit_s = time.monotonic() + deadline_s  # the monotonic clock: setting the time of day must not end a run
        leave_by_s = math.inf
        while True:
            gone = not alive(pid, mark)  # asked first, so that the reading below is of everything it wrote
            try:
                self.store.ingest(run_id)
                events = self.store.events(run_id, seen)
                cancel_requested = self.store.cancel_requested(run_id)
            except sqlite3.OperationalError as error:
                if _is_busy(error):
                    continue
                if _is_full(error):
                    return Ending("failed", DISK_FULL)
                raise
            for event in events:
                seen = event.seq
                if event.kind == "phase" and event.body["name"] == WAIT:
                    limit_s = math.inf  # waiting for another lab's run is not hanging
                elif event.kind == "phase" and limit_s == math.inf:
                    limit_s = time.monotonic() + deadline_s
                elif event.kind == "end":
                    leave_by_s = time.monotonic() + EXIT_GRACE_S
            if gone or time.monotonic() > leave_by_s:
                return None
            if cancel_requested:
                return CANCELLED
            if self._closing.is_set():
                return CLOSED
            if time.monotonic() > limit_s:
                return Ending("failed", f"timeout: not done after {deadline_s:g} s")
            self._closing.wait(POLL_S)

    def _conclude(self, run_id: str, ending: Ending) -> None:
        """Take in what is left of the events, complete the manifest, end the run. What the worker itself said of the end counts first."""
        with _unless_full():  # what does not fit stays in the run's folder
            self.store.ingest(run_id)
        for event in self.store.events(run_id, kind="end"):
            ending = Ending(event.body["status"], event.body["reason"])
        run = self.store.run(run_id)
        if not run.active:
            return
        ended_at = time.time()
        worker_facts = {name: value for event in self.store.events(run_id, kind="facts") for name, value in event.body.items()}
        # Each cell of a sweep may tell of the same data again.
        data = {(told["name"], told["sha256"]): told for event in self.store.events(run_id, kind="data") for told in (event.body["data"],)}
        manifest = environment.completed(
            run.manifest,
            worker_facts=worker_facts,
            data=data.values(),
            protocols=[item.record.protocol for item in self.store.records(run_id)],
            status=ending.status,
            reason=ending.reason,
            ended_at=ended_at,
        )
        with _unless_full():
            self.store.set_manifest(run_id, manifest)
        self.store.end(run_id, ending.status, ending.reason, ended_at)


def _refuse_what_cannot_fit(declaration: Workload, plan: Plan, device: str, facts: environment.DeviceFacts, *, idle: bool = False) -> None:
    for cell in plan.cells:
        need = declaration.memory(cell, environment.device_kind(device))
        obstacle = environment.memory_obstacle(need, device, facts, idle=idle)
        if obstacle:
            name = need.parameter or declaration.memory_parameter
            raise ParameterError(name, getattr(cell, name), f"a smaller {name}", obstacle)


def _launch(job: Job) -> subprocess.Popen[bytes]:
    with Path(job.folder, LOG_FILE).open("ab") as log:
        return subprocess.Popen(
            command(),
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            cwd=job.folder,  # so that what a library leaves in its working folder stays with the run
            env=worker_environment(os.environ, job.threads, job.cache_dir),
            start_new_session=True,
        )


def _wait_until_gone(pid: int, mark: str, limit_s: float) -> None:
    limit_s += time.monotonic()
    while alive(pid, mark) and time.monotonic() < limit_s:
        time.sleep(0.02)


def _ending_of(status: int | None, log: Path) -> Ending:
    """How a worker failed that did not say so itself."""
    if status == EXIT_DISK_FULL:
        return Ending("failed", DISK_FULL)
    if status is None or status == 0:
        return Ending("failed", "the worker was lost: it ended without saying how the run went")
    if status < 0:
        try:
            name = signal.Signals(-status).name
        except ValueError:  # a real-time signal has no name
            name = f"signal {-status}"
        hint = "; the system may have run out of memory" if -status == signal.SIGKILL else ""
        return Ending("failed", f"the worker was killed by {name}{hint}")
    return Ending("failed", f"the worker crashed with exit status {status}" + _last_words(log))


def _last_words(log: Path) -> str:
    with contextlib.suppress(OSError), log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 4096))
        lines = file.read().decode(errors="replace").splitlines()
        if lines and lines[-1].strip():
            return f"; the last line of its log: {lines[-1].strip()[:200]}"
    return ""


@contextlib.contextmanager
def _unless_full() -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:
        if not _is_full(error):
            raise


def _is_busy(error: Exception) -> bool:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY


def _is_full(error: Exception) -> bool:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_FULL
