"""A run gets the waiting worker where that is what a cold one would be; the standby never holds a lock, a GPU or a dead server's memory."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

import lab.standby
from lab import device_lock
from lab.environment import cpu_threads
from lab.jobs import Engine
from lab.processes import alive, start_mark
from lab.standby import MAX_DEATHS
from lab.store import Run, Store
from lab.worker import EXIT_UNFIT
from lab.workload import workload, workloads

ROOT = Path(__file__).resolve().parents[2]
Until = Callable[[Callable[[], object]], None]

SERVER = """
import sys
from lab.jobs import Engine
from lab.store import Store
engine = Engine(Store(), standby=["demo"])
print("up", flush=True)
sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def short_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lab.standby, "LOOK_S", 0.02)


@contextlib.contextmanager
def ready_engine(store: Store, until: Until) -> Iterator[Engine]:
    """An engine whose standby is done with its imports. No fixture: pytest changes the environment between a test's set-up and its call."""
    with Engine(store, standby=["demo"]) as engine:
        until(lambda: is_ready(engine))
        yield engine


def pid_of(engine: Engine) -> int | None:
    assert engine._standby is not None
    return engine._standby.pid


def is_ready(engine: Engine) -> bool:
    """Whether there is a standby that has given back the lock under which it imports."""
    return pid_of(engine) is not None and host_is_free()


def host_is_free() -> bool:
    with device_lock.hold_if_free(device_lock.HOST) as lock:
        return lock is not None


def run_demo(engine: Engine, **texts: str) -> tuple[Run, int]:
    """Run the demo to its end; with the id of the process that it ran in."""
    run_id = engine.submit("demo", workload("demo").plan("quick", "cpu", texts), device="cpu")
    run = engine.wait(run_id)
    return run, engine.store._rows("SELECT worker_pid FROM runs WHERE id = ?", run_id)[0][0]


def test_a_run_gets_the_waiting_process_and_a_successor_follows(store: Store, until: Until) -> None:
    with ready_engine(store, until) as engine:
        first = pid_of(engine)
        run, pid = run_demo(engine, chatter="true")
        assert (run.status, pid) == ("finished", first)
        assert len(engine.store.records(run.id)) == 6
        assert "a C library warns" in (engine.store.folder(run.id) / "worker.log").read_text()  # not lost: its log is the run's
        until(lambda: pid_of(engine) not in (None, first))


def test_what_it_imported_needs_no_import_any_more(store: Store, until: Until) -> None:
    with ready_engine(store, until) as engine:
        environment = Path(f"/proc/{pid_of(engine)}/environ")
        if environment.exists():  # the thread counts were there before the first import
            assert f"OMP_NUM_THREADS={cpu_threads()}".encode() in environment.read_bytes().split(b"\0")
        run, _ = run_demo(engine)
        assert [event.body["name"] for event in engine.store.events(run.id, kind="phase")] == ["start", "load libraries", "measure"]


@pytest.mark.parametrize("ending", ["crash", "hang"])
def test_it_ends_as_any_worker_does(store: Store, until: Until, ending: str) -> None:
    with ready_engine(store, until) as engine:
        plan = workload("demo").plan("quick", "cpu", {"ending": ending})
        run_id = engine.submit("demo", plan, device="cpu")
        until(lambda: len(engine.store.records(run_id)) == 6)
        if ending == "hang":
            engine.cancel(run_id)
        assert engine.wait(run_id).status == {"crash": "failed", "hang": "cancelled"}[ending]


def test_no_successor_while_a_run_is_active_or_holds_the_host(store: Store, until: Until) -> None:
    with ready_engine(store, until) as engine:
        run_id = engine.submit("demo", workload("demo").plan("quick", "cpu", {"ending": "hang"}), device="cpu")
        until(lambda: len(engine.store.records(run_id)) == 6)
        assert not engine._idle()
        assert pid_of(engine) is None
        with device_lock.hold([device_lock.HOST], lambda name: engine.cancel(run_id)):  # then a run of another lab has the host
            engine.wait(run_id)
            assert engine._idle()
            with engine._standby._lock:  # type: ignore[union-attr]  # as its thread does at each look
                engine._standby._start()  # type: ignore[union-attr]
                assert engine._standby._process is None  # type: ignore[union-attr]
        until(lambda: pid_of(engine) is not None)


def test_one_that_died_is_replaced_without_a_zombie(store: Store, until: Until) -> None:
    with ready_engine(store, until) as engine:
        pid = pid_of(engine)
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        until(lambda: pid_of(engine) not in (None, pid))
        assert not psutil.pid_exists(pid)
        assert run_demo(engine)[0].status == "finished"


def test_one_that_died_unnoticed_is_replaced_by_a_cold_worker(store: Store, until: Until) -> None:
    with ready_engine(store, until) as engine:
        pid = pid_of(engine)
        assert pid is not None
        with engine._standby._lock:  # type: ignore[union-attr]  # its thread cannot look
            os.kill(pid, signal.SIGKILL)
            until(lambda: start_mark(pid) is None)
            run_id = engine.submit("demo", workload("demo").plan(), device="cpu")
        run = engine.wait(run_id)
        assert run.status == "finished"
        assert len(engine.store.records(run_id)) == 6


def test_one_that_dies_with_the_job_in_its_hands_is_replaced_by_a_cold_worker(store: Store, until: Until) -> None:
    with ready_engine(store, until) as engine:
        pid = pid_of(engine)
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)  # it takes the job but can do nothing about it
        run_id = engine.submit("demo", workload("demo").plan(), device="cpu")
        until(lambda: engine.store.run(run_id).status == "running")
        os.kill(pid, signal.SIGKILL)
        run = engine.wait(run_id)
        assert (run.status, run.reason) == ("finished", "")
        assert [event.seq for event in engine.store.events(run_id)] == list(range(run.last_seq + 1))
        assert len(engine.store.records(run_id)) == 6


def test_one_of_another_environment_is_bypassed(store: Store, until: Until, monkeypatch: pytest.MonkeyPatch) -> None:
    with ready_engine(store, until) as engine:
        pid = pid_of(engine)
        monkeypatch.setenv("SOMETHING_A_LIBRARY_READS", "1")
        run, used = run_demo(engine)
        assert run.status == "finished"
        assert used != pid
        assert not psutil.pid_exists(pid or 0)


def test_one_of_older_code_is_bypassed(store: Store, until: Until, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "plugins" / "own_workloads"
    (package / "mine").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "mine" / "__init__.py").write_text("")
    (package / "mine" / "spec.py").write_text(
        "import dataclasses\nfrom tests.demo_workloads.demo.spec import WORKLOAD as DEMO\n"
        "WORKLOAD = dataclasses.replace(DEMO, name='mine', entry_point='own_workloads.mine.experiment:run')\n"
    )
    experiment = package / "mine" / "experiment.py"
    experiment.write_text("from tests.demo_workloads.demo.experiment import run\n")
    monkeypatch.syspath_prepend(package.parent)
    monkeypatch.setenv("PYTHONPATH", str(package.parent))
    monkeypatch.setenv("EFFICIENCY_LAB_WORKLOADS", "own_workloads")
    with Engine(store, standby=["mine"]) as engine:
        until(lambda: is_ready(engine))
        experiment.write_text("def run(params, context):\n    raise RuntimeError('the new code')\n")
        os.utime(experiment, ns=(1, 1))  # whatever the clock's resolution: another time than before
        plan = workload("mine").plan("quick", "cpu")
        assert engine.wait(engine.submit("mine", plan, device="cpu")).reason == "RuntimeError: the new code"


def test_after_several_deaths_it_waits_for_the_next_run(store: Store, until: Until, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[str] = []

    def command(*arguments: str) -> list[str]:
        started.append("")
        return [sys.executable, "-c", "raise SystemExit(75)"]

    monkeypatch.setattr(lab.standby, "command", command)
    with Engine(store, standby=["demo"]) as engine:
        until(lambda: engine._standby is not None and engine._standby._deaths == MAX_DEATHS)
        assert len(started) == MAX_DEATHS
        assert run_demo(engine)[0].status == "finished"
        until(lambda: len(started) > MAX_DEATHS)


def test_closing_the_engine_ends_it(store: Store, until: Until) -> None:
    with Engine(store, standby=["demo"]) as engine:
        until(lambda: pid_of(engine) is not None)
        pid = pid_of(engine)
    assert pid is not None
    assert not psutil.pid_exists(pid)


def test_it_ends_with_a_killed_server(home: Path, until: Until) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(SERVER)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as server:
        assert server.stdout is not None
        server.stdout.readline()
        until(psutil.Process(server.pid).children)
        (child,) = psutil.Process(server.pid).children()
        mark = start_mark(child.pid) or ""
        server.kill()
    until(lambda: not alive(child.pid, mark))
    until(host_is_free)


def test_a_server_wants_every_workload_unless_told_otherwise(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert set(lab.standby.wanted()) == set(workloads())
    monkeypatch.setenv(lab.standby.VARIABLE, "0")
    assert lab.standby.wanted() == ()


# --- the worker's side --------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def standby_process(*workloads: str, code: str = "") -> Iterator[subprocess.Popen[bytes]]:
    """``python -m lab.worker --standby`` with the host's lock, after some ``code``."""
    script = f"{textwrap.dedent(code)}\nimport sys\nfrom lab import worker\nsys.exit(worker.main(sys.argv[1:]))"
    with device_lock.hold_if_free(device_lock.HOST) as lock:
        assert lock is not None
        arguments = [sys.executable, "-c", script, "--standby", str(lock), *workloads]
        process = subprocess.Popen(arguments, cwd=ROOT, stdin=subprocess.PIPE, pass_fds=(lock,), start_new_session=True)
    with process:
        yield process
        process.kill()


def test_it_holds_the_host_while_it_imports_and_never_after(home: Path, until: Until) -> None:
    with standby_process("demo", code="import os; os.read(0, 1)") as process:
        assert not host_is_free()  # it has not begun yet
        assert process.stdin is not None
        process.stdin.write(b"x")
        process.stdin.flush()
        until(host_is_free)
        assert process.poll() is None


def test_a_gpu_that_was_used_makes_it_unfit(home: Path) -> None:
    torch = """
    import sys, types
    sys.modules["torch"] = types.SimpleNamespace(cuda=types.SimpleNamespace(is_initialized=lambda: True))
    """
    with standby_process("demo", code=torch) as process:
        assert process.wait() == EXIT_UNFIT


def test_the_activation_experiment_imports_without_cuda(home: Path, until: Until) -> None:
    with standby_process("activations") as process:
        until(lambda: host_is_free() or process.poll() is not None)
        assert process.poll() is None  # else it would have found that CUDA is initialised


@pytest.mark.gpu
def test_the_driver_reads_the_visible_devices_after_torch_is_imported() -> None:
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    script = """
    import os, sys
    import torch
    from lab.worker import _has_used_gpu
    import workloads.activations.experiment
    assert not torch.cuda.is_initialized() and not _has_used_gpu()
    os.environ["CUDA_VISIBLE_DEVICES"] = sys.argv[1]
    print(torch.cuda.is_available(), torch.cuda.device_count())
    if torch.cuda.is_available():
        torch.zeros(1, device="cuda:0")
    print(_has_used_gpu())
    """
    for visible, expected in (("", ["False 0", "False"]), ("0", ["True 1", "True"])):
        command = [sys.executable, "-c", textwrap.dedent(script), visible]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        assert done.stdout.splitlines() == expected


@pytest.mark.gpu
def test_a_waiting_standby_has_no_gpu_and_then_runs_on_it(store: Store, until: Until) -> None:
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    with Engine(store, standby=["activations"]) as engine:
        until(lambda: is_ready(engine))
        files = [str(path.readlink()) for path in Path(f"/proc/{pid_of(engine)}/fd").iterdir()]
        assert not any(name.startswith("/dev/nvidia") for name in files)
        for device in ("cuda", "cpu"):
            until(lambda: is_ready(engine))
            pid = pid_of(engine)
            plan = workload("activations").plan("quick", device, {"n": "1048576"})
            run_id = engine.submit("activations", plan, device=device)
            until(lambda run_id=run_id: not engine.store.run(run_id).active or engine.store.events(run_id, kind="facts"))
            assert store._rows("SELECT worker_pid FROM runs WHERE id = ?", run_id)[0][0] == pid
            facts, *_ = engine.store.events(run_id, kind="facts")
            assert ("gpu" in facts.body) == (device == "cuda")
            engine.cancel(run_id)
            assert engine.wait(run_id).status in ("cancelled", "finished")
