"""Every ending of a run, with real processes and signals: how it is told, that its records stay, and that the next run works."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

import lab.database
import lab.jobs
from lab.database import StoreBusy, StoreDamaged, StoreError
from lab.environment import HostMemory
from lab.jobs import DISK_FULL, MAX_QUEUED, MAX_SESSION_RUNS, Engine, QueueFull
from lab.parameters import ParameterError
from lab.processes import alive, start_mark
from lab.store import Store
from lab.workload import workload

ROOT = Path(__file__).resolve().parents[2]
Until = Callable[[Callable[[], object]], None]
Submit = Callable[..., str]

SERVER = """
import sys
from lab.jobs import Engine
from lab.store import Store
from lab.workload import workload
engine = Engine(Store())
for text in sys.argv[1:]:
    texts = dict(item.split("=") for item in text.split())
    print(engine.submit("demo", workload("demo").plan("quick", "cpu", texts), device="cpu"), flush=True)
sys.stdin.read()
"""


@contextlib.contextmanager
def server(*runs: str, **environment: str) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    """Another process with an engine of its own, which submits ``runs`` ("ending=hang repeats=2"); with their ids."""
    command = [sys.executable, "-c", textwrap.dedent(SERVER), *runs]
    with subprocess.Popen(
        command, cwd=ROOT, env={**os.environ, **environment}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            yield process, [process.stdout.readline().strip() for _ in runs]
        finally:
            process.kill()


def worker_of(store: Store, run_id: str) -> tuple[int, str]:
    (found,) = [left for left in store.active_processes() if left.run_id == run_id]
    assert found.worker_pid is not None
    assert found.worker_start is not None
    return found.worker_pid, found.worker_start


def emitted(store: Store, run_id: str) -> Callable[[], bool]:
    """Whether the run has emitted all records of the demo (3 repeats of 2 arms)."""
    return lambda: len(store.records(run_id)) == 6


# --- endings ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ending", "status", "reason"),
    [
        ("finish", "finished", ""),
        ("crash", "failed", "the worker crashed with exit status 7"),
        ("kill_itself", "failed", "the worker was killed by SIGKILL; the system may have run out of memory"),
        ("out_of_memory", "failed", "out of memory: lower n"),
        ("leave_silently", "failed", "the worker was lost: it ended without saying how the run went"),
        ("cuda_out_of_memory", "failed", "out of memory: lower n (CUDA out of memory. Tried to allocate 20.00 GiB)"),
        ("invalid_value", "failed", "invalid input: n: '3' is not allowed; allowed: an even number"),
    ],
)
def test_a_run_ends_with_its_reason_and_keeps_its_records(engine: Engine, submit: Submit, ending: str, status: str, reason: str) -> None:
    run_id = submit(ending=ending)
    run = engine.wait(run_id)
    assert (run.status, run.reason) == (status, reason)
    assert len(engine.store.records(run_id)) == 6
    assert (run.manifest["status"], run.manifest["reason"], run.manifest["protocols"]) == (status, reason, ["sound"])
    assert run.manifest["energy_method"] == "not measured: n = 1024 draws nothing"  # the last fact of that name
    assert [used["label"] for used in run.manifest["data"]] == ["made-up 0f0f"]  # also of a run that failed
    assert engine.wait(submit()).status == "finished"  # the next run works


def test_data_that_each_cell_used_is_listed_once(engine: Engine, submit: Submit) -> None:
    run = engine.wait(submit(n="4,8", repeats="1"))
    assert [used["name"] for used in run.manifest["data"]] == ["made_up"]
    assert len(engine.store.events(run.id, kind="data")) == 2


def test_the_last_words_of_a_crash_are_told(engine: Engine, submit: Submit) -> None:
    reason = engine.wait(submit(ending="crash", chatter="true")).reason
    assert reason == "the worker crashed with exit status 7; the last line of its log: a C library warns"


def test_a_full_disk_in_the_worker_ends_the_run(engine: Engine, submit: Submit) -> None:
    run_id = submit(ending="fill_disk", repeats="1000")
    run = engine.wait(run_id)
    assert run.status == "failed"
    assert "the disk is full" in run.reason
    assert 0 < len(engine.store.records(run_id)) < 2000


def test_a_full_database_ends_the_run(engine: Engine, submit: Submit, until: Until) -> None:
    run_id = submit(repeats="100000", interval_s="0.001")
    until(lambda: engine.store.records(run_id))
    worker, mark = worker_of(engine.store, run_id)
    pages = engine.store._db.execute("PRAGMA page_count").fetchone()[0]
    engine.store._db.execute(f"PRAGMA max_page_count = {pages}")
    run = engine.wait(run_id)
    assert (run.status, run.reason) == ("failed", DISK_FULL)
    assert not alive(worker, mark)
    assert engine.store.records(run_id)

    def fill_the_last_page() -> None:
        for _ in range(100):
            engine.wait(submit(repeats="0"))

    with pytest.raises(StoreError, match="the run cannot be written"):
        fill_the_last_page()
    engine.store._db.execute("PRAGMA max_page_count = 1000000")
    assert engine.wait(submit()).status == "finished"


def test_a_hung_worker_is_ended_at_its_deadline(engine: Engine, submit: Submit, until: Until, monkeypatch: pytest.MonkeyPatch) -> None:
    run_id = submit(ending="hang")
    until(emitted(engine.store, run_id))
    clock = lab.jobs.time.monotonic
    monkeypatch.setattr(lab.jobs.time, "monotonic", lambda: clock() + 1e6)
    run = engine.wait(run_id)
    assert (run.status, run.reason) == ("failed", "timeout: not done after 120 s")  # the demo's deadline
    assert len(engine.store.records(run_id)) == 6


def test_a_clock_set_back_changes_no_ending(engine: Engine, submit: Submit, monkeypatch: pytest.MonkeyPatch) -> None:
    backwards = itertools.count(2_000_000_000, -86_400)
    monkeypatch.setattr("time.time", lambda: float(next(backwards)))
    first, second = submit(), submit()
    assert [engine.wait(run_id).status for run_id in (first, second)] == ["finished", "finished"]


def test_a_worker_that_cannot_start_is_told(engine: Engine, submit: Submit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    run = engine.wait(submit())
    assert run.status == "failed"
    assert "No such file or directory" in run.reason


def test_the_end_of_a_run_makes_room_for_it(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EFFICIENCY_LAB_MAX_RUNS", "2")
    plan = workload("demo").plan("quick", "cpu", {"repeats": "1"})
    with Store() as store, Engine(store) as engine:
        ids = []
        for _ in range(4):
            ids.append(engine.submit("demo", plan, device="cpu"))
            assert engine.wait(ids[-1]).status == "finished"
        assert [run.id for run in store.runs()] == [ids[3], ids[2]]
        assert not store.folder(ids[0]).exists()


# --- cancel -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["hang", "hang_ignoring_sigterm", "hang_with_child"])
def test_cancel_ends_the_whole_process_group(engine: Engine, submit: Submit, until: Until, ending: str) -> None:
    run_id = submit(ending=ending)
    log = engine.store.folder(run_id) / "worker.log"
    until(emitted(engine.store, run_id))
    until(lambda: ending != "hang_with_child" or log.read_text().endswith("\n"))
    worker, mark = worker_of(engine.store, run_id)
    family = [worker, *(int(word) for word in log.read_text().split()[1:2])]
    engine.cancel(run_id)
    run = engine.wait(run_id)
    assert (run.status, run.reason, run.cancel_requested) == ("cancelled", "", True)
    assert not alive(worker, mark)
    until(lambda: all(start_mark(pid) is None for pid in family))
    assert len(engine.store.records(run_id)) == 6


def test_a_queued_run_is_cancelled_without_a_worker(engine: Engine, submit: Submit, until: Until) -> None:
    running = submit(ending="hang")
    until(emitted(engine.store, running))
    queued = submit()
    assert engine.store.run(queued).queue_place == 1
    engine.cancel(queued)
    run = engine.wait(queued)
    assert (run.status, run.started_at, run.manifest["run_id"]) == ("cancelled", None, queued)
    assert engine.store.run(running).status == "running"


def test_cancelling_an_ended_or_unknown_run(engine: Engine, submit: Submit) -> None:
    run_id = submit()
    engine.wait(run_id)
    engine.cancel(run_id)
    assert engine.store.run(run_id).status == "finished"
    with pytest.raises(ParameterError, match="is unknown"):
        engine.cancel("nothing")


def test_a_run_of_another_process_can_be_watched_and_cancelled(engine: Engine, until: Until) -> None:
    with server("ending=hang") as (_, [run_id]):
        until(emitted(engine.store, run_id))
        assert engine.store.run(run_id).status == "running"
        engine.cancel(run_id)
        assert engine.wait(run_id).status == "cancelled"


# --- queue --------------------------------------------------------------------------------------------------------------------


def test_one_run_at_a_time_in_the_order_of_submission(engine: Engine, submit: Submit, until: Until) -> None:
    first, second, third = submit(ending="hang"), submit(ending="hang"), submit()
    until(emitted(engine.store, first))
    assert [engine.store.run(run_id).queue_place for run_id in (first, second, third)] == [0, 1, 2]
    assert engine.store.records(second) == []
    engine.cancel(first)
    until(emitted(engine.store, second))
    assert [engine.store.run(run_id).queue_place for run_id in (first, second, third)] == [None, 0, 1]
    engine.cancel(second)
    assert engine.wait(third).status == "finished"


def test_two_processes_share_one_queue(engine: Engine, submit: Submit, until: Until) -> None:
    with server("ending=hang") as (_, [theirs]):
        until(emitted(engine.store, theirs))
        ours = submit()
        assert engine.store.run(ours).queue_place == 1
        engine.cancel(theirs)
        assert engine.wait(ours).status == "finished"


def test_two_servers_that_submit_at_once_run_one_after_the_other(engine: Engine) -> None:
    runs = ["repeats=10 interval_s=0.01"] * 4
    with server(*runs) as (_, first), server(*runs) as (_, second):
        found = [engine.wait(run_id) for run_id in (*first, *second)]
    assert {run.status for run in found} == {"finished"}
    assert {len(engine.store.records(run.id)) for run in found} == {20}
    spans = sorted((run.started_at or 0.0, run.ended_at or 0.0) for run in found)
    assert all(end <= start for (_, end), (start, _) in itertools.pairwise(spans))


def test_a_run_behind_a_dead_process_gets_its_turn(engine: Engine, submit: Submit, until: Until) -> None:
    with server("ending=hang") as (process, [theirs]):
        until(emitted(engine.store, theirs))
        ours = submit()
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert engine.wait(ours).status == "finished"
    assert engine.store.run(theirs).status == "interrupted"


def test_the_device_is_shared_with_labs_of_other_homes(engine: Engine, submit: Submit, until: Until, tmp_path: Path) -> None:
    with server("ending=hang", EFFICIENCY_LAB_HOME=str(tmp_path / "other")) as (process, [theirs]):
        with Store(tmp_path / "other") as other:
            until(emitted(other, theirs))
        ours = submit()
        until(lambda: engine.store.run(ours).phase == "wait for the device")
        assert engine.store.run(ours).phase_detail == "another run has cpu"
        process.send_signal(signal.SIGKILL)  # its worker ends with it, and so its lock
        assert engine.wait(ours).status == "finished"


def test_a_run_that_waits_for_the_device_can_be_cancelled(engine: Engine, submit: Submit, until: Until, tmp_path: Path) -> None:
    with server("ending=hang", EFFICIENCY_LAB_HOME=str(tmp_path / "other")) as (_, [theirs]), Store(tmp_path / "other") as other:
        until(emitted(other, theirs))
        ours = submit()
        until(lambda: engine.store.run(ours).phase == "wait for the device")
        engine.cancel(ours)
        assert engine.wait(ours).status == "cancelled"
        assert other.run(theirs).status == "running"


def test_waiting_for_the_device_does_not_count_towards_the_deadline(
    engine: Engine, submit: Submit, until: Until, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # While its worker waits, the supervisor's clock jumps far ahead: if waiting counted, the run would be ended at once.
    with server("ending=hang", EFFICIENCY_LAB_HOME=str(tmp_path / "other")) as (process, [theirs]):
        with Store(tmp_path / "other") as other:
            until(emitted(other, theirs))
        ours = submit()
        until(lambda: engine.store.run(ours).phase == "wait for the device")
        clock = lab.jobs.time.monotonic
        monkeypatch.setattr(lab.jobs.time, "monotonic", lambda: clock() + 1e6)
        process.send_signal(signal.SIGKILL)
        assert engine.wait(ours).status == "finished"


def test_a_queued_run_is_cancelled_by_another_process(engine: Engine, until: Until) -> None:
    with server("ending=hang", "ending=finish") as (_, [running, queued]):
        until(emitted(engine.store, running))
        engine.cancel(queued)
        assert engine.wait(queued).status == "cancelled"
        assert engine.store.run(running).status == "running"


def test_runs_that_wait_cost_two_statements_a_look_and_no_thread(engine: Engine, submit: Submit, until: Until) -> None:
    until(emitted(engine.store, submit(ending="hang")))
    threads = threading.active_count()
    for _ in range(30):
        submit()
    assert threading.active_count() <= threads
    asked: list[str] = []
    engine.store._db.set_trace_callback(asked.append)
    until(lambda: sum("SELECT id, status, locks" in statement for statement in asked) >= 3)
    engine.store._db.set_trace_callback(None)
    of_the_queue = [statement for statement in asked if "status IN ('queued', 'running')" in statement]
    looks = sum("SELECT id, status, locks" in statement for statement in asked)
    assert len(of_the_queue) <= 2 * looks + 1  # who owns the runs, then the queue
    # The rest is the running run's own supervisor, which asks for that run alone.
    assert all("id = '" in statement for statement in asked if statement not in of_the_queue)


def test_a_run_that_somebody_else_has_ended_is_waited_for_no_longer(engine: Engine, submit: Submit, until: Until) -> None:
    until(emitted(engine.store, submit(ending="hang")))
    queued = submit()
    engine.store.end(queued, "interrupted", "taken for dead", 1.0)
    assert engine.wait(queued).reason == "taken for dead"
    until(lambda: queued not in engine._tasks)


# --- a queue that is full -------------------------------------------------------------------------------------------------------


def test_a_browser_session_has_at_most_ten_runs_at_once(engine: Engine, until: Until) -> None:
    def press(session: str, token: str | None = None) -> str:
        return engine.submit("demo", workload("demo").plan("quick", "cpu", {"ending": "hang"}), device="cpu", token=token, session=session)

    first = press("a", "the first press")
    ids = [press("a") for _ in range(MAX_SESSION_RUNS - 1)]
    with pytest.raises(QueueFull, match=r"^10 runs of this browser session are queued or running, .*; wait until one has ended or cancel"):
        press("a")
    assert press("a", "the first press") == first  # the same run is not one more
    press("b")
    press("")  # the command line has no session
    engine.cancel(ids[-1])
    engine.wait(ids[-1])
    press("a")
    assert engine.store.n_active("a") == MAX_SESSION_RUNS


def test_the_two_hundred_and_first_queued_run_is_refused(engine: Engine, submit: Submit, until: Until) -> None:
    running = submit(ending="hang")
    until(emitted(engine.store, running))
    queued = [submit() for _ in range(MAX_QUEUED)]
    with pytest.raises(QueueFull, match=r"^200 runs are queued in this lab, .*; wait until one has started or cancel one, then try again$"):
        submit()
    done = subprocess.run(
        [sys.executable, "-m", "lab", "run", "demo", "--device", "cpu"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("200 runs are queued in this lab")
    assert done.stderr.count("\n") == 1
    assert len(engine.store.queue()) == MAX_QUEUED + 1  # nothing was written of those that were refused
    assert engine.store.run(queued[-1]).queue_place == MAX_QUEUED
    engine.cancel(queued[0])
    engine.wait(queued[0])
    submit()


def test_two_processes_that_submit_at_once_share_the_limits(engine: Engine, home: Path) -> None:
    with Store(home) as theirs, Engine(theirs) as other:
        outcomes: list[str] = []

        def press(at: Engine) -> None:
            try:
                at.submit("demo", workload("demo").plan("quick", "cpu", {"ending": "hang"}), device="cpu", session="one")
                outcomes.append("taken")
            except QueueFull:
                outcomes.append("refused")

        threads = [threading.Thread(target=press, args=(at,)) for at in (engine, other) * MAX_SESSION_RUNS]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert (outcomes.count("taken"), outcomes.count("refused")) == (MAX_SESSION_RUNS, MAX_SESSION_RUNS)


# --- a store that cannot be used ------------------------------------------------------------------------------------------------


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A lock is given up soon, and tried again soon."""
    monkeypatch.setattr(lab.database, "BUSY_TIMEOUT_S", 0.05)
    monkeypatch.setattr(lab.jobs, "RETRY_S", 0.02)


@pytest.mark.usefixtures("impatient")
def test_a_run_outlasts_a_lock_of_the_store(engine: Engine, submit: Submit, until: Until, home: Path) -> None:
    run_id = submit(repeats="40", interval_s="0.01")
    log = engine.store.folder(run_id) / "events.jsonl"
    until(lambda: engine.store.records(run_id))
    other = sqlite3.connect(home / "runs.sqlite", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    until(lambda: b'"kind": "end"' in log.read_bytes())  # the worker is done, and nobody could write that down
    assert engine.store.run(run_id).status == "running"
    with pytest.raises(StoreBusy, match="is locked by another program"):
        submit()
    other.execute("ROLLBACK")
    other.close()
    assert engine.wait(run_id).status == "finished"
    assert len(engine.store.records(run_id)) == 80
    assert engine.wait(submit()).status == "finished"


@pytest.mark.usefixtures("impatient")
def test_a_run_whose_turn_comes_while_the_store_is_locked_starts_later(engine: Engine, submit: Submit, until: Until, home: Path) -> None:
    first = submit(repeats="10", interval_s="0.01")
    second = submit()
    until(lambda: engine.store.records(first))
    other = sqlite3.connect(home / "runs.sqlite", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    until(lambda: b'"kind": "end"' in (engine.store.folder(first) / "events.jsonl").read_bytes())
    other.close()
    assert [engine.wait(run_id).status for run_id in (first, second)] == ["finished", "finished"]


def test_a_removed_store_ends_the_runs_and_lets_the_engine_close(engine: Engine, submit: Submit, until: Until, home: Path) -> None:
    running, queued = submit(ending="hang"), submit()
    until(emitted(engine.store, running))
    worker, mark = worker_of(engine.store, running)
    (home / "runs.sqlite").unlink()
    until(lambda: not alive(worker, mark))  # its supervisor cannot write down any more what it measures
    with pytest.raises(StoreDamaged, match="was removed while the lab had it open"):
        submit()
    engine.close()
    assert engine._tasks == {}
    assert (engine.store.folder(running) / "events.jsonl").stat().st_size > 0  # what it measured is kept
    assert engine.store.folder(queued).is_dir()
    with Store(home, engine.store.fault) as fresh, Engine(fresh) as next_engine:
        assert "A new one was started." in fresh.notice
        plan = workload("demo").plan()
        assert next_engine.wait(next_engine.submit("demo", plan, device="cpu")).status == "finished"


# --- the end of the server ----------------------------------------------------------------------------------------------------


def test_a_killed_server_takes_its_worker_with_it(engine: Engine, submit: Submit, until: Until) -> None:
    with server("ending=hang_with_child", "ending=finish") as (process, [running, queued]):
        until(emitted(engine.store, running))
        worker, mark = worker_of(engine.store, running)
        process.send_signal(signal.SIGKILL)
        process.wait()
        until(lambda: not alive(worker, mark))
    with Engine(engine.store) as restarted:
        runs = [restarted.store.run(run_id) for run_id in (running, queued)]
    assert [run.status for run in runs] == ["interrupted", "interrupted"]
    assert "ended before the run did" in runs[0].reason
    assert len(engine.store.records(running)) == 6
    assert engine.wait(submit()).status == "finished"


def test_records_that_a_dead_server_had_not_read_are_taken_in(engine: Engine, until: Until) -> None:
    with server("ending=hang") as (process, [run_id]):
        events = engine.store.folder(run_id) / "events.jsonl"
        until(lambda: events.exists() and events.read_bytes().count(b'"record"') == 12)  # kind and body of 6 records
        process.send_signal(signal.SIGKILL)
        process.wait()
    engine.recover()
    assert len(engine.store.records(run_id)) == 6


def add_left_behind(store: Store, worker: subprocess.Popen[bytes], mark: str) -> str:
    """A run whose server is dead and whose worker is the given process."""
    run_id, _ = store.add(
        workload="demo",
        preset="quick",
        plan_json=workload("demo").plan().to_json(),
        device="cpu",
        locks=("cpu",),
        manifest=lambda run_id, created_at: {"run_id": run_id, "device": "cpu", "threads": 1, "versions": {}, "clocks": {}},
        owner_pid=os.getpid(),
        owner_start="the mark of an earlier process with our id",
    )
    store.start(run_id, worker.pid, mark, 0.0)
    return run_id


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "600"], start_new_session=True) as process:
        yield process
        process.kill()


def test_a_surviving_worker_of_a_dead_server_is_ended(engine: Engine, sleeper: subprocess.Popen[bytes]) -> None:
    run_id = add_left_behind(engine.store, sleeper, start_mark(sleeper.pid) or "")
    engine.recover()
    assert engine.store.run(run_id).status == "interrupted"
    assert sleeper.wait() == -signal.SIGKILL


def test_another_process_with_the_workers_id_is_left_alone(engine: Engine, sleeper: subprocess.Popen[bytes]) -> None:
    run_id = add_left_behind(engine.store, sleeper, "the mark of an earlier process with its id")
    engine.recover()
    assert engine.store.run(run_id).status == "interrupted"
    assert sleeper.poll() is None


def test_closing_ends_runs_and_leaves_no_process(store: Store, home: Path, until: Until) -> None:
    before = set(psutil.Process().children(recursive=True))
    engine = Engine(store)
    plan = workload("demo").plan("quick", "cpu", {"ending": "hang_with_child"})
    running, queued = (engine.submit("demo", plan, device="cpu") for _ in range(2))
    until(emitted(store, running))
    engine.close()
    engine.close()
    assert [(store.run(run_id).status, store.run(run_id).reason) for run_id in (running, queued)] == [
        ("interrupted", "the lab was closed")
    ] * 2
    assert set(psutil.Process().children(recursive=True)) <= before  # no zombies either
    with pytest.raises(RuntimeError, match="closed"):
        engine.submit("demo", plan, device="cpu")


def test_a_server_that_leaves_by_itself_ends_its_runs(engine: Engine, until: Until) -> None:
    with server("ending=hang") as (process, [run_id]):
        until(emitted(engine.store, run_id))
        process.communicate("")  # it reads the end of its input and exits, as a server does on SIGINT
        run = engine.store.run(run_id)
    assert (run.status, run.reason) == ("interrupted", "the lab was closed")


# --- submit -------------------------------------------------------------------------------------------------------------------


def test_what_cannot_fit_is_refused_before_launch(engine: Engine) -> None:
    # 2^50 elements of 8 bytes are 9.01 PB: no machine has them.
    plan = workload("demo").plan("quick", "cpu", {"n": f"1024,{2**50}"})
    with pytest.raises(ParameterError, match=r"^n: '1125899906842624' needs 9\.01 PB of main memory, there are .*; allowed: a smaller n$"):
        engine.submit("demo", plan, device="cpu")
    assert engine.store.runs() == []


@pytest.mark.parametrize(
    ("arguments", "field"),
    [({"workload_name": "nothing"}, "workload"), ({"preset": "best"}, "preset"), ({"device": "tpu"}, "device")],
)
def test_unknown_names_are_refused(engine: Engine, arguments: dict[str, str], field: str) -> None:
    with pytest.raises(ParameterError, match=f"^{field}: "):
        engine.submit(**{"workload_name": "demo", "plan": workload("demo").plan(), "device": "cpu", **arguments})  # type: ignore[arg-type]
    assert engine.store.runs() == []


def test_memory_that_another_run_holds_is_looked_at_when_the_turn_comes(
    engine: Engine, submit: Submit, until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    def memory(total: int, available: int) -> None:
        monkeypatch.setattr(lab.jobs.environment, "host_memory", lambda: HostMemory(total, available))

    running = submit(ending="hang")
    until(emitted(engine.store, running))
    memory(1_000_000, 10_000)
    waiting = submit(n="4096")  # 8 · 4096 = 32 768 bytes: more than is free, less than there is
    refused = submit(n="8192")
    memory(1_000_000, 40_000)
    engine.cancel(running)
    assert engine.wait(waiting).status == "finished"
    run = engine.wait(refused)  # 65 536 bytes still do not fit into 40 000
    assert (run.status, run.started_at) == ("failed", None)
    assert run.reason == "out of memory: n: '8192' needs 65.5 kB of main memory, there are 40 kB; allowed: a smaller n"


def test_pressing_run_twice_with_one_token_is_one_run(engine: Engine) -> None:
    plan = workload("demo").plan()
    ids: list[str] = []

    def press() -> None:
        ids.append(engine.submit("demo", plan, device="cpu", token="click"))

    threads = [threading.Thread(target=press) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(ids) == 5
    assert len(set(ids)) == 1
    assert engine.wait(ids[0]).status == "finished"
    assert len(engine.store.records(ids[0])) == 6


def test_the_first_event_comes_before_anything_heavy(engine: Engine, submit: Submit) -> None:
    run_id = submit()
    engine.wait(run_id)
    first, *_ = engine.store.events(run_id)
    assert (first.seq, first.kind, first.body["name"]) == (0, "phase", "start")
