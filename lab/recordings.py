"""The recorded runs of the repository: real runs in export format that every page can show, whatever machine it is opened on.

workloads/<name>/recorded/<gpu>/            one of the experiment as a whole
workloads/<name>/recorded/<gpu>-<subject>/  one of a part of it
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from lab import export
from lab.parameters import ParameterError
from lab.records import RunView
from lab.workload import workload, workloads

PREFIX = "recorded/"


@dataclass(frozen=True)
class Recording:
    """A recorded run by the name of its workload and its folder."""

    workload: str
    folder: Path

    @property
    def reference(self) -> str:
        """Its name wherever a run can be named: "recorded/activations/h200-learning"."""
        return f"{PREFIX}{self.workload}/{self.folder.name}"

    @property
    def gpu(self) -> str:
        """The GPU as the folder has it: "h200"."""
        return self.folder.name.partition("-")[0]

    @property
    def subject(self) -> str:
        """Which part of the experiment it is of; "" for the experiment as a whole."""
        return self.folder.name.partition("-")[2]

    def view(self) -> RunView:
        """The run itself, read once. Raises lab.export.RecordedError when the files are not what they must be."""
        return _view(self.folder)


@cache
def _view(folder: Path) -> RunView:
    return export.load_recorded(folder)


def package_folders(workload_name: str) -> list[Path]:
    """The folders of a workload's package (one, unless it is a namespace package). Raises ParameterError for an unknown workload."""
    package = workload(workload_name).entry_point.partition(":")[0].rpartition(".")[0]
    found = find_spec(package)
    return [Path(place) for place in (found.submodule_search_locations or ())] if found else []


def recordings(workload_name: str) -> list[Recording]:
    """The recorded runs of a workload, in the order of their folders. Raises ParameterError for an unknown workload."""
    return [
        Recording(workload_name, path.parent)
        for place in package_folders(workload_name)
        for path in sorted(place.glob("recorded/*/manifest.json"))
    ]


def all_recordings() -> list[Recording]:
    """The recorded runs of all workloads."""
    return [found for name in workloads() for found in recordings(name)]


def recording(reference: str) -> Recording:
    """The recorded run called ``reference``. Raises ParameterError when there is none."""
    known = {found.reference: found for found in all_recordings()}
    if reference not in known:
        raise ParameterError("run", reference, "one of " + ", ".join(known) if known else "none is recorded here", "is not recorded")
    return known[reference]
