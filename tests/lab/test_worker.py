"""The worker process as a supervisor meets it: a job line in, whole event lines out, and an end that says why."""

from __future__ import annotations

import dataclasses
import errno
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.parameters import ParameterError
from lab.worker import EXIT_DISK_FULL, EXIT_FAILED, EXIT_USAGE, EventLog, Job, failure
from tests.demo_workloads.demo.spec import WORKLOAD

ROOT = Path(__file__).resolve().parents[2]


class Worker:
    """A worker process with its job's folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "worker.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "lab.worker"], cwd=ROOT, stdin=subprocess.PIPE, stdout=log, stderr=log, start_new_session=True
            )

    def send(self, line: bytes) -> Worker:
        assert self.process.stdin is not None
        self.process.stdin.write(line)
        self.process.stdin.flush()
        return self

    def job(self, **changes: Any) -> Job:
        plan = WORKLOAD.plan("quick", "cpu", {name: text for name, text in changes.items() if name in WORKLOAD.parameters.model_fields})
        job = Job(
            run_id="run",
            workload="demo",
            plan=plan.to_json(),
            preset="quick",
            device="cpu",
            locks=("cpu",),
            threads=1,
            folder=str(self.folder),
            cache_dir=str(self.folder / "cache"),
        )
        return dataclasses.replace(job, **{name: value for name, value in changes.items() if name not in plan.values})

    def events(self) -> list[dict[str, Any]]:
        path = self.folder / "events.jsonl"
        text = path.read_text() if path.exists() else ""
        return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]

    def records(self) -> list[dict[str, Any]]:
        return [event["record"] for event in self.events() if event["kind"] == "record"]

    def end(self) -> dict[str, Any]:
        """The status and reason it gave at its end."""
        return {name: self.events()[-1][name] for name in ("kind", "status", "reason")}


@pytest.fixture
def worker(home: Path, tmp_path: Path) -> Iterator[Worker]:
    started = Worker(tmp_path)
    yield started
    assert started.process.stdin is not None
    started.process.stdin.close()
    if started.process.poll() is None:
        os.killpg(started.process.pid, signal.SIGKILL)
    started.process.wait()


def run(worker: Worker, **changes: Any) -> int:
    return worker.send(worker.job(**changes).to_line()).process.wait()


def test_a_run_tells_phases_facts_records_and_its_end(worker: Worker) -> None:
    assert run(worker, repeats="2", n="4,8") == 0
    events = worker.events()
    assert [event["seq"] for event in events] == list(range(len(events)))
    assert [event["kind"] for event in events[:4]] == ["phase", "phase", "facts", "phase"]
    assert [event["data"]["sizes"] for event in events if event["kind"] == "data"] == 2 * [{"train": 2, "validation": 1, "test": 1}]
    assert [event["name"] for event in events if event["kind"] == "phase"] == ["start", "load libraries", "measure", "measure"]
    # Two cells of two repeats with two arms; values 1 ms · (1 + repeat/100) for the new arm and twice that for the old one.
    assert [(event["cell"], event["record"]["arm"], event["record"]["value"]) for event in events if event["kind"] == "record"] == [
        (cell, arm, pytest.approx(value))
        for cell in (0, 1)
        for arm, value in [("new", 0.001), ("old", 0.002), ("new", 0.00101), ("old", 0.00202)]
    ]
    # First what is known beforehand, then what each cell says.
    assert [event["energy_method"] for event in events if event["kind"] == "facts"] == [
        "not measured: no energy counter is read on a CPU",
        "not measured: n = 4 draws nothing",
        "not measured: n = 8 draws nothing",
    ]
    assert worker.end() == {"kind": "end", "status": "finished", "reason": ""}


def test_the_share_done_counts_the_whole_sweep(worker: Worker) -> None:
    run(worker, repeats="1", n="4,8")
    shares = [(event["kind"], event["cell"], event["share"]) for event in worker.events() if event["kind"] in ("phase", "progress")]
    # Cell 0 of 2 done is one half of the run, cell 1 of 2 done is all of it.
    assert shares[2:] == [("phase", 0, 0.0), ("progress", 0, 0.5), ("phase", 1, 0.5), ("progress", 1, 1.0)]


def test_chatter_does_not_mix_with_events(worker: Worker) -> None:
    assert run(worker, repeats="3", chatter="true") == 0
    assert len(worker.records()) == 6
    log = worker.log.read_text()
    assert log.count("a C library warns") == 3
    assert '"chatter 2"' in log


@pytest.mark.parametrize(
    ("ending", "reason"),
    [
        ("memory_error", "out of memory: lower n"),
        ("cuda_out_of_memory", "out of memory: lower n (CUDA out of memory. Tried to allocate 20.00 GiB)"),
        ("invalid_value", "invalid input: n: '3' is not allowed; allowed: an even number"),
        ("error", "RuntimeError: first line of the error"),
        ("not_an_event", "TypeError: an experiment yields Phase, Progress, Fact, DataUsed or Record, not str"),
    ],
)
def test_an_error_ends_the_run_with_one_line_and_a_traceback_in_the_log(worker: Worker, ending: str, reason: str) -> None:
    assert run(worker, repeats="1", ending=ending) == EXIT_FAILED
    assert worker.end() == {"kind": "end", "status": "failed", "reason": reason}
    assert len(worker.records()) == 2
    assert "Traceback" in worker.log.read_text()


def test_a_value_that_is_not_finite_becomes_missing_with_a_reason(worker: Worker) -> None:
    assert run(worker, repeats="0", ending="not_finite") == 0
    assert [(record["value"], record["reason"]) for record in worker.records()] == [(None, "the measured value is nan")]


def test_a_full_disk_leaves_whole_lines(worker: Worker) -> None:
    assert run(worker, repeats="1000", ending="fill_disk") == EXIT_DISK_FULL
    content = (worker.folder / "events.jsonl").read_bytes()
    assert content.endswith(b"\n")
    assert len(worker.events()) == content.count(b"\n")
    assert 0 < len(worker.records()) < 2000


# --- hostile and broken jobs --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"\n", "not one line of JSON"),
        (b"not json\n", "not one line of JSON"),
        (b"[" * 100_000 + b"\n", "not one line of JSON"),
        (b"[]\n", "exactly the fields"),
        (b'{"run_id": "x"}\n', "exactly the fields"),
        (Job("x", "demo", {}, "quick", "cpu", (), True, "/tmp", "/tmp").to_line(), "threads of the job must be of type int"),
        (Job("x", "demo", [], "quick", "cpu", (), 1, "/tmp", "/tmp").to_line(), "plan of the job must be of type dict"),  # type: ignore[arg-type]
        (Job("x", "demo", {}, "quick", "cpu", (), 1, "/nowhere/at/all", "/tmp").to_line(), "No such file"),
    ],
)
def test_a_broken_job_is_refused_in_one_line(worker: Worker, line: bytes, said: str) -> None:
    assert worker.send(line).process.wait() == EXIT_USAGE
    (message,) = worker.log.read_text().splitlines()
    assert message.startswith("invalid worker input: ")
    assert said in message


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"workload": "os"}, "invalid input: workload: 'os' is unknown"),
        ({"plan": {"n": [0]}}, "invalid input: n: '0' is out of range; allowed: a whole number from 1 to"),
        ({"plan": {"n": [float("nan")]}}, "invalid input: n: 'nan' is not finite"),
        ({"plan": {"n": "4"}}, "invalid input: parameters:"),
        ({"plan": {"evil": [1]}}, "invalid input: evil: '[1]' belongs to no parameter"),
    ],
)
def test_parameters_are_validated_again(worker: Worker, changes: dict[str, Any], reason: str) -> None:
    assert run(worker, **changes) == EXIT_FAILED
    assert worker.end()["reason"].startswith(reason)
    assert worker.records() == []


def test_without_a_job_it_leaves(worker: Worker) -> None:
    assert worker.process.stdin is not None
    worker.process.stdin.close()
    assert worker.process.wait() == 0


# --- the end of the supervisor ------------------------------------------------------------------------------------------------


def test_the_end_of_stdin_ends_the_whole_group(worker: Worker, until: Callable[[Callable[[], object]], None]) -> None:
    worker.send(worker.job(ending="hang_with_child").to_line())
    until(lambda: "child " in worker.log.read_text() and worker.log.read_text().endswith("\n"))
    child = int(worker.log.read_text().split()[1])
    assert psutil.pid_exists(child)
    assert worker.process.stdin is not None
    worker.process.stdin.close()
    assert worker.process.wait() == -signal.SIGKILL
    until(lambda: not psutil.pid_exists(child) or psutil.Process(child).status() == psutil.STATUS_ZOMBIE)
    assert len(worker.records()) == 6


def test_sigterm_ends_it(worker: Worker, until: Callable[[Callable[[], object]], None]) -> None:
    worker.send(worker.job(ending="hang").to_line())
    until(lambda: len(worker.records()) == 6)
    os.killpg(worker.process.pid, signal.SIGTERM)
    assert worker.process.wait() == -signal.SIGTERM


# --- pieces -------------------------------------------------------------------------------------------------------------------


@given(st.dictionaries(st.text(), st.lists(st.integers() | st.text())), st.text(), st.integers(1, 512))
def test_a_job_line_reads_back(plan: dict[str, list[Any]], text: str, threads: int) -> None:
    job = Job(text, "demo", plan, text, "cpu", ("cpu",), threads, text, text)
    assert job.to_line().count(b"\n") == 1
    assert Job.from_line(job.to_line()) == job


def test_the_event_log_appends(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "events.jsonl")
    log.write("progress", share=0.5)
    log.write("end", status="finished")
    events = [json.loads(line) for line in (tmp_path / "events.jsonl").read_text().splitlines()]
    assert [(event["seq"], event["kind"]) for event in events] == [(0, "progress"), (1, "end")]


def test_the_event_log_goes_on_where_another_worker_died(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    EventLog(path).write("phase", name="start")
    with path.open("ab") as file:
        file.write(b'{"seq": 1, "kin')
    EventLog(path).write("phase", name="start")
    assert [json.loads(line)["seq"] for line in path.read_text().splitlines()] == [0, 1]


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ParameterError("n", 3, "an even number"), "invalid input: n: '3' is not allowed; allowed: an even number"),
        (MemoryError("Unable to allocate 8 GiB"), "out of memory: lower n (Unable to allocate 8 GiB)"),
        (
            RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried …"),
            "out of memory: lower n (DefaultCPUAllocator: can't allocate memory: you tried …)",
        ),
        (OSError(errno.ENOSPC, "No space left on device"), "the disk is full ([Errno 28] No space left on device)"),
        (OSError(errno.EACCES, "Permission denied"), "PermissionError: [Errno 13] Permission denied"),
        (KeyError(), "KeyError"),
        (SystemExit(3), "SystemExit: 3"),
    ],
)
def test_the_reason_of_a_failure(error: BaseException, reason: str) -> None:
    assert failure(error, "n") == reason
