"""Records the recorded runs of the repository anew, on this machine's GPU, and tells what has changed.

A *batch* repeats every recorded run with the parameters in its manifest. Each one that finishes replaces the files of its folder (those of
another GPU's run stay, and the new one gets a folder of its own). A batch that was interrupted goes on where it stopped:

    <home>/recording/batch.json                       what is to be recorded, and which run each one has become
    <home>/recording/before/<workload>/<folder>/      the files it replaces, for the report
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from lab import export
from lab.parameters import ParameterError
from lab.recordings import Recording, all_recordings, package_folders
from lab.records import RunView
from lab.workload import workload

JOURNAL, BEFORE = "batch.json", "before"
# What a GPU's name has besides its model: the maker, the usual form it is built in, the memory it has.
_NOT_THE_MODEL = re.compile(r"nvidia|geforce|tesla|graphics|gpu|sxm\d?|hbm\w*|\d+ ?gi?b", re.IGNORECASE)


def gpu_folder(name: str) -> str:
    """A GPU's name as folders have it: "h100" for "NVIDIA H100 80GB HBM3", "rtx4090" for "NVIDIA GeForce RTX 4090"."""
    return re.sub(r"[^a-z0-9]", "", _NOT_THE_MODEL.sub(" ", name).lower()) or "gpu"


@dataclass(frozen=True)
class Task:
    """One run to record: the recording it repeats, and the folder the new one gets."""

    source: Recording
    target: Recording

    @property
    def last_s(self) -> float:
        """How long the recording it repeats took, in seconds; 0 where its manifest does not say.

        Raises RecordedError for a recording that this version of the lab cannot read, as its parameters are others.
        """
        manifest = self.source.view().manifest
        try:
            begun, ended = (datetime.fromisoformat(str(manifest.get(name))) for name in ("started_at", "ended_at"))
        except ValueError:
            return 0.0
        return (ended - begun).total_seconds()


def tasks(gpu: str, wanted: Sequence[str] = ()) -> list[Task]:
    """What a batch on ``gpu`` (:func:`gpu_folder`) records: one task for each workload and subject, or for those ``wanted``.

    ``wanted`` names workloads and references. Where several GPUs' runs are recorded the one of this GPU is repeated, else the first.
    Raises ParameterError for a name that nothing is recorded under.
    """
    found: dict[tuple[str, str], Recording] = {}
    for item in all_recordings():
        if (item.workload, item.subject) not in found or item.gpu == gpu:
            found[item.workload, item.subject] = item
    known = {name for item in found.values() for name in (item.workload, item.reference)}
    for name in wanted:
        if name not in known:
            raise ParameterError("name", name, "one of " + ", ".join(sorted(known)), "is not recorded")
    chosen = [item for item in found.values() if not wanted or item.workload in wanted or item.reference in wanted]
    # The machine is calibrated first: the others' charts draw its limits.
    chosen.sort(key=lambda item: not workload(item.workload).instrument)
    return [Task(item, _target(item, gpu)) for item in chosen]


def _target(item: Recording, gpu: str) -> Recording:
    name = f"{gpu}-{item.subject}" if item.subject else gpu
    return Recording(item.workload, package_folders(item.workload)[0] / "recorded" / name)


@dataclass
class Batch:
    """What is recorded already, kept in ``folder`` so that an interrupted batch can go on.

    ``done`` maps the reference of each task's target to the id of the run it has become.
    """

    folder: Path
    done: dict[str, str] = field(default_factory=dict)

    @classmethod
    def open(cls, folder: Path, *, fresh: bool = False) -> Batch:
        """The batch in ``folder``: the one that was interrupted, or a new one. Raises OSError when the folder cannot be written."""
        if fresh:
            shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True, exist_ok=True)
        try:
            done = dict(json.loads((folder / JOURNAL).read_text(encoding="utf-8"))["done"])
        except (FileNotFoundError, ValueError, KeyError, TypeError):  # a journal that cannot be read is no reason to record nothing
            done = {}
        return cls(folder, done)

    def has(self, task: Task) -> bool:
        """Whether the task is done and its folder still holds that run: the files may have been put back since."""
        try:
            manifest = json.loads((task.target.folder / export.MANIFEST).read_text(encoding="utf-8"))
            return manifest["run_id"] == self.done[task.target.reference]
        except (OSError, ValueError, KeyError, TypeError):
            return False

    def keep_before(self, task: Task) -> None:
        """Keep the files that will be replaced, once: what an interrupted attempt left is not what was there before."""
        kept = self.before(task)
        if not kept.exists():
            part = kept.with_name(f".{kept.name}")  # a copy that was cut off must not be taken for the whole
            shutil.rmtree(part, ignore_errors=True)
            shutil.copytree(task.source.folder, part)
            part.replace(kept)

    def before(self, task: Task) -> Path:
        """Where the files are kept that the task replaces."""
        return self.folder / BEFORE / task.target.workload / task.target.folder.name

    def finish(self, task: Task, view: RunView) -> None:
        """Put the run into the task's folder.

        Raises RecordedError when it is too large for the repository or the folder holds a run of another GPU (of which one with more
        memory has the same short name), OSError when it cannot be written.
        """
        size = sum(map(len, export.bundle(view).values()))
        if size > export.MAX_RECORDED_BYTES:
            raise export.RecordedError(f"the files take {size:,} bytes, at most {export.MAX_RECORDED_BYTES:,} are allowed")
        there = _gpu_of(task.target.folder)
        if there not in ("", view.manifest.get("gpu")):
            raise export.RecordedError(f"{task.target.reference} holds a run of another GPU ({there}); give that folder another name")
        self.keep_before(task)
        export.write(task.target.folder, view)
        self.done[task.target.reference] = view.run_id
        self._save()

    def close(self) -> None:
        """The batch is complete: the next one begins anew."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _save(self) -> None:
        new = self.folder / f".{JOURNAL}"
        new.write_text(json.dumps({"done": self.done}, indent=2), encoding="utf-8")
        new.replace(self.folder / JOURNAL)


def _gpu_of(folder: Path) -> str:
    """The GPU that the recorded run in ``folder`` names; "" where there is none that can be read."""
    try:
        return str(json.loads((folder / export.MANIFEST).read_text(encoding="utf-8"))["gpu"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""
