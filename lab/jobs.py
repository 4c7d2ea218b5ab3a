"""The engine: takes runs, waits for their turn, supervises each worker process and writes down how the run ended.

    submit → queued → (turn comes) → worker process → running → finished | cancelled | failed | interrupted

The process that submits a run supervises it; the store carries the queue, the wish to cancel and the events, so any process can
watch a run or cancel it. While a run is queued it costs nothing of its own: one dispatcher thread looks at the queue for all runs of
this process, at once after what the process itself has done and ``LOOK_S`` after anybody else, and gives a run a supervisor thread when
its turn has come. A process that dies takes its worker with it (the worker's stdin closes), and :meth:`Engine.recover` of any other
process writes down that the run was interrupted.
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
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lab import calibration, device_lock, environment
from lab.database import StoreBusy, StoreDamaged, StoreError, StoreFull
from lab.parameters import ParameterError, Plan
from lab.processes import TERMINATE_GRACE_S, alive, reap, signal_group, start_mark
from lab.standby import Standby
from lab.store import Run, Status, Store
from lab.worker import EXIT_DISK_FULL, LOG_FILE, WAIT, Job, command
from lab.worker import environment as worker_environment
from lab.workload import PRESETS, Workload, workload

POLL_S = 0.1
RETRY_S = 1.0  # to write what a locked store or a full disk did not take
LOOK_S = 0.25  # between two looks at a queue in which runs of this process wait, for what other processes have done
MAX_QUEUED = 200  # in the whole lab: what comes later would not get its turn today
MAX_SESSION_RUNS = 10  # queued or running at once, of one browser session: one reader must not keep the machine from all others
KILL_WAIT_S = 0.7  # after SIGKILL; a process stuck in the kernel longer than that is waited for without keeping the reader waiting
CLOSE_WAIT_S = TERMINATE_GRACE_S + KILL_WAIT_S + 3.0  # for the threads of an engine that is closed
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


class QueueFull(StoreError):
    """No more runs can be queued now; the same run can be later."""


@dataclass(frozen=True)
class _Task:
    """A run that this process has taken on and that has not ended."""

    declaration: Workload
    plan: Plan
    locks: tuple[str, ...]
    ended: threading.Event = field(default_factory=threading.Event)


class Engine:
    """Runs experiments of one store. Closing it (or the end of the process) ends the runs it supervises.

    ``standby`` names the workloads whose experiments a standby worker imports ahead; () for none (see :mod:`lab.standby`).
    """

    def __init__(self, store: Store, standby: Sequence[str] = ()) -> None:
        self.store = store
        self._pid = os.getpid()
        self._mark = start_mark(self._pid) or ""
        self._closing = threading.Event()
        self._tasks: dict[str, _Task] = {}  # in the order of submission
        self._supervisors: dict[str, threading.Thread] = {}  # of the tasks that had their turn
        self._lock = threading.Lock()
        self._news = threading.Event()  # this process has done what may change the queue
        atexit.register(self.close)
        self.recover()
        self._dispatcher = threading.Thread(target=self._dispatch, name="dispatcher", daemon=True)
        self._dispatcher.start()
        self._standby: Standby | None = None
        if standby:
            self._standby = Standby(store.home, standby, environment.cpu_threads(), store.cache_dir, self._idle)

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def submit(
        self,
        workload_name: str,
        plan: Plan,
        preset: str = CUSTOM,
        device: str = "auto",
        token: str | None = None,
        session: str = "",
    ) -> str:
        """Queue a run and return its id; it starts as soon as no run before it needs its devices.

        ``device`` is auto, cpu or cuda. Two calls with the same ``token`` (not None) are one run. ``session`` says which browser session
        asks, "" for none. Raises ParameterError for an unknown workload, a device that is not there, or a plan that cannot fit into
        memory, and QueueFull where ``MAX_QUEUED`` runs are queued or the session has ``MAX_SESSION_RUNS`` queued or running; then nothing
        is started or written. Raises StoreError when the run cannot be written down.
        """
        declaration = workload(workload_name)
        plan = Plan.from_json(declaration.parameters, plan.to_json())  # the caller may have made it for another workload
        if preset not in (*PRESETS, CUSTOM):
            raise ParameterError("preset", preset, "one of " + ", ".join((*PRESETS, CUSTOM)))
        facts = environment.device_facts()
        device = environment.resolve_device(device, facts)
        _refuse_what_cannot_fit(declaration, plan, device, facts, idle=self.store.has_active())
        locks = environment.device_locks(device, facts)
        device_lock.check_folder()
        with self._lock:
            if self._closing.is_set():
                raise StoreError("the engine is closed")
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
                    session=session,
                    admit=lambda: self._admit(session),
                )
            except (StoreFull, OSError) as error:
                raise StoreError(f"the run cannot be written to {self.store.home} ({error})") from error
            if new:
                self._tasks[run_id] = _Task(declaration, plan, locks)
        self._news.set()
        return run_id

    def _admit(self, session: str) -> None:
        """Raise QueueFull where one more run would be too many. The store calls it while nobody else can queue a run."""
        if session and self.store.n_active(session) >= MAX_SESSION_RUNS:
            raise QueueFull(
                f"{MAX_SESSION_RUNS} runs of this browser session are queued or running, and no more can be at once; "
                "wait until one has ended or cancel one on the page Runs, then press Run again"
            )
        if sum(item.status == "queued" for item in self.store.queue()) >= MAX_QUEUED:
            raise QueueFull(
                f"{MAX_QUEUED} runs are queued in this lab, and no more can be at once; "
                "wait until one has started or cancel one, then try again"
            )

    def cancel(self, run_id: str) -> None:
        """Ask for the end of a run, whichever process supervises it; it has ended within 2 s. Raises ParameterError if unknown."""
        if self.store.run(run_id).active:
            self.store.request_cancel(run_id)
            self._news.set()
            self.recover()

    def wait(self, run_id: str, timeout_s: float = math.inf) -> Run:
        """Wait for the end of a run, whichever process supervises it; returns how it stands then, or when the time is up."""
        limit_s = time.monotonic() + timeout_s
        with self._lock:
            task = self._tasks.get(run_id)
        if task is not None:  # ours: sleep instead of asking, which would take time from what is being measured
            task.ended.wait(None if timeout_s == math.inf else timeout_s)
        while (run := self.store.run(run_id)).active and time.monotonic() < limit_s:
            self.recover()
            time.sleep(POLL_S)
        return run

    def recover(self) -> None:
        """Write down as interrupted what a dead process left behind, ending its workers. Cheap: call it whenever a run is looked at."""
        ours = (self._pid, self._mark)
        dead = {owner for owner in self.store.owners() if owner != ours and not alive(*owner)}
        for left in self.store.active_processes() if dead else ():
            if (left.owner_pid, left.owner_start) not in dead:
                continue
            if left.worker_pid is not None and left.worker_start and alive(left.worker_pid, left.worker_start):
                signal_group(left.worker_pid, signal.SIGKILL)
                _wait_until_gone(left.worker_pid, left.worker_start, KILL_WAIT_S)
            with contextlib.suppress(StoreBusy, StoreFull):  # the next look tries again
                self._conclude(left.run_id, OWNER_DIED)

    def close(self) -> None:
        """End the runs this engine supervises and wait for their workers; can be called twice."""
        with self._lock:
            self._closing.set()
        self._news.set()
        if self._standby is not None:
            self._standby.close()
        self._dispatcher.join(CLOSE_WAIT_S)
        with self._lock:
            waiting_for = list(self._supervisors.values())
        for thread in waiting_for:
            thread.join(CLOSE_WAIT_S)
        atexit.unregister(self.close)

    # --- the queue, in the dispatcher thread ------------------------------------------------------------------------------

    def _dispatch(self) -> None:
        """Give each run of this process its turn, until the engine is closed; then end those that had none."""
        while not self._closing.is_set():
            self._news.wait(LOOK_S if self._waiting() else None)
            self._news.clear()
            try:
                self._look()
            except StoreError:  # busy, full or damaged: readers are told where they look; the next look tries again
                continue
            except Exception:  # no thread to be had, a process that cannot be looked at: later runs must not wait for ever
                traceback.print_exc()
        for run_id, task in self._waiting().items():
            with contextlib.suppress(sqlite3.Error):  # the store was closed before a lock of another program went
                self._supervise(run_id, task, CLOSED)

    def _waiting(self) -> dict[str, _Task]:
        with self._lock:
            return {run_id: task for run_id, task in self._tasks.items() if run_id not in self._supervisors}

    def _look(self) -> None:
        """Start what has its turn and end what is to be cancelled, in the order of the queue."""
        waiting = self._waiting()  # before the queue is read: each of them is in it
        if not waiting:
            return
        self.recover()  # a run before these may have lost its process
        taken: set[str] = set()
        for item in self.store.queue():
            task = waiting.pop(item.run_id, None)
            if task is not None and item.cancel_requested:
                self._supervise(item.run_id, task, CANCELLED)
                continue
            if task is not None and not taken & item.locks:
                thread = threading.Thread(target=self._supervise, args=(item.run_id, task), name=f"run-{item.run_id}", daemon=True)
                with self._lock:
                    self._supervisors[item.run_id] = thread
                thread.start()
            taken |= item.locks
        for run_id in waiting:  # another process took ours for dead and has ended them
            self._done(run_id)

    def _done(self, run_id: str) -> None:
        with self._lock:
            task = self._tasks.pop(run_id)
            self._supervisors.pop(run_id, None)
        task.ended.set()

    # --- one run, in its supervisor thread --------------------------------------------------------------------------------

    def _supervise(self, run_id: str, task: _Task, ending: Ending | None = None) -> None:
        """Work a run to its end and write that down; with an ``ending``, only the latter."""
        try:
            ending = ending or self._work(run_id, task.declaration, task.plan, task.locks)
        except StoreError as error:
            ending = Ending("failed", DISK_FULL if isinstance(error, StoreFull) else str(error))
        except Exception as error:  # a run must never stay "running" because its supervisor failed
            traceback.print_exc()
            ending = Ending("failed", f"the lab failed to run it: {type(error).__name__}: {error}")
        with contextlib.suppress(StoreDamaged):  # it cannot be written down any more; what was measured is in the run's folder
            self._patiently(lambda: self._conclude(run_id, ending), StoreBusy, StoreFull)
        self._news.set()
        if self._idle():  # it writes to the disk: not beside a measurement
            with contextlib.suppress(StoreError):  # the next run's end tries again
                self.store.remove_oldest()
        self._done(run_id)

    def _patiently(self, write: Callable[[], None], *passing: type[StoreError]) -> None:
        """Write to the store, again after each of the faults ``passing``; left to the next start when the engine is closed."""
        while True:
            try:
                return write()
            except passing:
                if self._closing.wait(RETRY_S):
                    return None

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
            self._patiently(lambda: self.store.start(run.id, process.pid, mark, started_at), StoreBusy)
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
            manifest |= {"calibration": calibration.known_limits(self.store, manifest)}
            self._patiently(lambda: self.store.set_manifest(run.id, manifest), StoreBusy)
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
            return not self.store.has_active()
        except (sqlite3.Error, StoreError):  # closed, or not usable: not the moment to start anything
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
            except StoreBusy:  # what the worker writes meanwhile waits in its file
                events, cancel_requested = [], False
            except StoreFull:
                return Ending("failed", DISK_FULL)
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
        with contextlib.suppress(StoreFull):  # what does not fit stays in the run's folder
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
        with contextlib.suppress(StoreFull):
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
