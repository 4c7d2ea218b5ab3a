from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab import export, rerecording
from lab.parameters import ParameterError
from lab.recordings import all_recordings
from lab.rerecording import Batch, Task, gpu_folder, tasks


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("NVIDIA H200", "h200"),
        ("NVIDIA H100 80GB HBM3", "h100"),
        ("NVIDIA A100-SXM4-80GB", "a100"),
        ("NVIDIA H100 PCIe", "h100pcie"),
        ("NVIDIA H200 NVL", "h200nvl"),
        ("NVIDIA GeForce RTX 4090", "rtx4090"),
        ("NVIDIA GeForce RTX 4090 Laptop GPU", "rtx4090laptop"),
        ("NVIDIA GH200 480GB", "gh200"),
        ("NVIDIA", "gpu"),
    ],
)
def test_a_gpu_has_one_folder_name(name: str, folder: str) -> None:
    assert gpu_folder(name) == folder


@given(st.text())
def test_a_folder_name_never_looks_like_a_subject_or_a_path(name: str) -> None:
    found = gpu_folder(name)
    assert found.isascii()
    assert found.isalnum()


def test_every_recording_is_recorded_anew_in_a_folder_of_this_gpu() -> None:
    found = tasks("rtx4090")
    assert {task.source.reference for task in found} == {item.reference for item in all_recordings()}
    assert found[0].source.workload == "calibration"  # the others' charts draw its limits
    learning = next(task for task in found if task.source.subject == "learning")
    assert learning.target.reference == "recorded/activations/rtx4090-learning"
    assert learning.target.folder.parent == learning.source.folder.parent
    same = next(task for task in tasks("h200") if task.source.reference == learning.source.reference)
    assert same.target == same.source


def test_tasks_can_be_chosen_by_workload_and_by_reference() -> None:
    assert {task.source.workload for task in tasks("h200", ["activations"])} == {"activations"}
    assert [task.source.reference for task in tasks("h200", ["recorded/activations/h200-learning"])] == [
        "recorded/activations/h200-learning"
    ]
    with pytest.raises(ParameterError, match="name: 'activation' is not recorded; allowed: one of activations, "):
        tasks("h200", ["activation"])


@pytest.fixture
def task(tmp_path: Path) -> Task:
    """A recording in a folder of the test's own."""
    found = next(item for item in all_recordings() if item.workload == "calibration")
    folder = tmp_path / "workloads" / "calibration" / "recorded" / "h200"
    export.write(folder, found.view())
    own = dataclasses.replace(found, folder=folder)
    return Task(own, own)


def test_a_batch_goes_on_where_it_stopped_and_keeps_what_was_there_before(tmp_path: Path, task: Task) -> None:
    before = (task.source.folder / export.MANIFEST).read_bytes()
    view = task.source.view()
    anew = dataclasses.replace(view, run_id="20260131-174502-a7k2m9")
    Batch.open(tmp_path / "recording").finish(task, dataclasses.replace(anew, records=[]))
    again = Batch.open(tmp_path / "recording")
    assert again.done == {"recorded/calibration/h200": "20260131-174502-a7k2m9"}
    assert json.loads((task.target.folder / export.MANIFEST).read_text())["run_id"] == "20260131-174502-a7k2m9"
    again.finish(task, view)  # recorded once more in the same batch: what was there before the batch stays what is reported
    assert (again.before(task) / export.MANIFEST).read_bytes() == before
    again.close()
    assert Batch.open(tmp_path / "recording").done == {}


def test_files_that_were_put_back_are_recorded_again(tmp_path: Path, task: Task) -> None:
    view = task.source.view()
    batch = Batch.open(tmp_path / "recording")
    assert not batch.has(task)
    batch.finish(task, dataclasses.replace(view, run_id="20260131-174502-a7k2m9"))
    assert batch.has(task)
    export.write(task.target.folder, view)
    assert not batch.has(task)


def test_a_copy_that_was_cut_off_is_not_what_was_there_before(tmp_path: Path, task: Task) -> None:
    batch = Batch.open(tmp_path / "recording")
    part = batch.before(task).with_name(f".{batch.before(task).name}")
    part.mkdir(parents=True)
    (part / export.MANIFEST).write_text("{")
    batch.keep_before(task)
    assert export.load_recorded(batch.before(task)).run_id == task.source.view().run_id
    assert not part.exists()


def test_a_run_too_large_for_the_repository_replaces_nothing(tmp_path: Path, task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    before = (task.target.folder / export.RECORDS).read_bytes()
    view = task.source.view()
    monkeypatch.setattr(export, "MAX_RECORDED_BYTES", 1000)
    batch = Batch.open(tmp_path / "recording")
    with pytest.raises(export.RecordedError, match="at most 1,000 are allowed"):
        batch.finish(task, view)
    assert batch.done == {}
    assert (task.target.folder / export.RECORDS).read_bytes() == before


@pytest.mark.parametrize("text", ["", "{", "[]", '{"done": 3}', '{"done": [1]}'])
def test_a_damaged_journal_begins_anew(tmp_path: Path, text: str) -> None:
    (tmp_path / rerecording.JOURNAL).write_text(text)
    assert Batch.open(tmp_path).done == {}


def test_a_run_of_another_gpu_is_not_replaced(tmp_path: Path, task: Task) -> None:
    view = task.source.view()
    larger = dataclasses.replace(view, manifest={**view.manifest, "gpu": "NVIDIA H200 282GB"})
    batch = Batch.open(tmp_path / "recording")
    with pytest.raises(export.RecordedError, match=r"holds a run of another GPU \(NVIDIA H200\)"):
        batch.finish(task, larger)
    assert batch.done == {}
