"""Recording anew, on the CPU: what a GPU changes is the device alone."""

from __future__ import annotations

import dataclasses
import json
import math
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import environment, export
from lab.__main__ import main
from lab.command_line.recording import record
from lab.jobs import Engine
from lab.recordings import Recording
from lab.rerecording import Batch, Task
from lab.store import Store
from lab.workload import workload


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    monkeypatch.setenv("EFFICIENCY_LAB_WORKLOADS", "tests.demo_workloads")
    monkeypatch.setenv("EFFICIENCY_LAB_LOCK_DIR", str(tmp_path / "locks"))
    with Store(tmp_path / "home") as store, Engine(store) as engine:
        yield engine


@pytest.fixture
def task(engine: Engine, tmp_path: Path) -> Task:
    """A recording of a short run, to be recorded anew in another folder."""
    declared = workload("demo")
    run = engine.wait(engine.submit("demo", declared.plan("quick", "cpu", {"n": "64"}), device="cpu"))
    source = Recording("demo", tmp_path / "recorded" / "h100")
    export.write(source.folder, engine.store.view(run.id))
    return Task(source, Recording("demo", tmp_path / "recorded" / "h200"))


def test_a_recording_is_repeated_with_its_parameters_and_the_changes_are_told(
    engine: Engine, task: Task, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    batch = Batch.open(tmp_path / "batch")
    assert record(engine, batch, [task], "cpu", threading.Event())
    before, after = task.source.view(), task.target.view()
    assert after.plan.texts() == before.plan.texts()
    assert after.run_id == batch.done[task.target.reference] != before.run_id
    told = capsys.readouterr().out
    assert f"{task.target.reference}: run {after.run_id}" in told
    assert "verdicts: 0 of" in told
    assert told.endswith("1 of 1 recorded\n")
    n_runs = len(engine.store.runs())
    assert record(engine, Batch.open(tmp_path / "batch"), [task], "cpu", threading.Event())  # interrupted after it: nothing is run again
    assert len(engine.store.runs()) == n_runs


def test_runs_of_several_commits_in_one_batch_are_told(
    engine: Engine, task: Task, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = Task(task.source, Recording("demo", tmp_path / "recorded" / "h200-other"))
    batch = Batch.open(tmp_path / "batch")
    view = task.source.view()
    for each, commit in ((task, "a" * 40), (other, "b" * 40)):
        batch.finish(each, dataclasses.replace(view, manifest={**view.manifest, "commit": commit}))
    assert record(engine, batch, [task, other], "cpu", threading.Event())
    told = capsys.readouterr().out
    assert "The lab's code changed while the batch was interrupted" in told
    assert f"  {'b' * 40}: recorded/demo/h200-other\n" in told


def test_a_recording_whose_parameters_are_there_no_more_is_named_and_the_others_go_on(
    engine: Engine, task: Task, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = Recording("demo", tmp_path / "recorded" / "h100-old")
    export.write(old.folder, task.source.view())
    manifest = json.loads((old.folder / export.MANIFEST).read_text())
    manifest["parameters"]["temperature"] = [1.0]
    (old.folder / export.MANIFEST).write_text(json.dumps(manifest))
    wanted = [Task(old, Recording("demo", tmp_path / "recorded" / "h200-old")), task]
    assert not record(engine, Batch.open(tmp_path / "batch"), wanted, "cpu", threading.Event())
    said = capsys.readouterr()
    assert "recorded/demo/h100-old cannot be read, so it cannot be repeated" in said.err
    assert "temperature" in said.err
    assert said.out.endswith("1 of 2 recorded\n")


def test_what_would_end_too_late_is_left(engine: Engine, task: Task, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert not record(engine, Batch.open(tmp_path / "batch"), [task], "cpu", threading.Event(), ends_at=-math.inf)
    said = capsys.readouterr()
    assert "left for another time" in said.err
    assert said.out == "0 of 1 recorded\n"
    assert not task.target.folder.exists()


def test_an_interrupted_batch_records_nothing_more(engine: Engine, task: Task, tmp_path: Path) -> None:
    stop = threading.Event()
    stop.set()
    n_runs = len(engine.store.runs())
    assert not record(engine, Batch.open(tmp_path / "batch"), [task], "cpu", stop)
    assert len(engine.store.runs()) == n_runs


def test_a_failed_run_leaves_the_recording_as_it_was(
    engine: Engine, task: Task, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    view = task.source.view()
    broken = workload("demo").plan("quick", "cpu", {"ending": "error"})
    monkeypatch.setattr(Recording, "view", lambda self: dataclasses.replace(view, plan=broken))
    assert not record(engine, Batch.open(tmp_path / "batch"), [task], "cpu", threading.Event())
    assert "failed: " in capsys.readouterr().err
    assert not task.target.folder.exists()


@pytest.mark.skipif(not environment.cuda_obstacle(environment.device_facts()), reason="there is a GPU to record on")
def test_without_a_gpu_nothing_can_be_recorded(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["record"]) == 2
    assert capsys.readouterr().err.startswith("device: 'cuda'")
