"""Every run that can be shown, by one kind of name, a *reference*, wherever the run lies.

20260131-174502-a7k2m9                a run of this machine, in the store
recorded/activations/h200-learning    a recorded run, in the repository
imported/3f9a0c12be7d                 a run from somebody else's bundle
"""

from __future__ import annotations

from typing import Literal

from lab import imports, recordings
from lab.imports import Imports
from lab.records import RunView
from lab.store import Store

Origin = Literal["local", "recorded", "imported"]


def origin(reference: str) -> Origin:
    """Where the run of this name would lie, whether or not there is one."""
    if reference.startswith(recordings.PREFIX):
        return "recorded"
    return "imported" if reference.startswith(imports.PREFIX) else "local"


def view(store: Store, reference: str) -> RunView:
    """The run called ``reference``. Raises ParameterError when there is none."""
    if origin(reference) == "recorded":
        return recordings.recording(reference).view()
    if origin(reference) == "imported":
        return Imports(store.home).view(reference)
    return store.view(reference)
