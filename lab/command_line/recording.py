"""``python -m lab record``: record the recorded runs of the repository anew on this machine's GPU, and tell what has changed."""

from __future__ import annotations

import argparse
import math
import signal
import sys
import threading
import time
from collections.abc import Sequence
from typing import Any

from lab import environment, export, formatting, recording_changes
from lab.command_line.opening import opened
from lab.command_line.running import follow, preset_of
from lab.command_line.status import CANCELLED, DONE, FAILED
from lab.jobs import Engine
from lab.parameters import ParameterError
from lab.rerecording import Batch, Task, gpu_folder, tasks
from lab.store import StoreError
from lab.workload import DeviceKind

BATCH_FOLDER = "recording"  # below the lab's home


def add(commands: Any) -> None:
    """Add the command to the parser."""
    command = commands.add_parser(
        "record",
        help="record the repository's recorded runs anew on this GPU; goes on where it was interrupted",
        allow_abbrev=False,
    )
    command.add_argument(
        "names", nargs="*", metavar="NAME", help="a workload, or a recorded run as recorded/WORKLOAD/FOLDER (default: all)"
    )
    command.add_argument("--minutes", default="", help="start nothing that would, by its last recording, end later than this")
    command.add_argument("--fresh", action="store_true", help="forget an interrupted batch and begin anew")
    command.set_defaults(command=_record)


def _record(options: argparse.Namespace) -> int:
    environment.resolve_device("cuda")
    gpu = gpu_folder(environment.device_facts().gpus[0].name)
    wanted = tasks(gpu, options.names)
    ends_at = time.monotonic() + 60 * _minutes(options.minutes)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with opened() as store, Engine(store) as engine:
        try:
            batch = Batch.open(store.home / BATCH_FOLDER, fresh=options.fresh)
        except OSError as error:
            raise StoreError(f"{store.home / BATCH_FOLDER} cannot be used to keep the batch ({error.strerror})") from error
        complete = record(engine, batch, wanted, "cuda", stop, ends_at)
        if stop.is_set():
            return CANCELLED
        if complete and batch.done.keys() <= {task.target.reference for task in wanted}:
            batch.close()  # the next one begins anew
    return DONE if complete else FAILED


def record(
    engine: Engine, batch: Batch, wanted: Sequence[Task], device: DeviceKind, stop: threading.Event, ends_at: float = math.inf
) -> bool:
    """Record what the batch has not recorded yet, tell on stdout what changed, and whether everything wanted is recorded now.

    ``ends_at``: the monotonic time by which all must have ended, as far as the last recordings tell. ``stop`` ends it, and the run under
    way, when it is set.
    """
    for place, task in enumerate(wanted, 1):
        name = task.target.reference
        if stop.is_set():
            break
        if batch.has(task):
            _say(place, len(wanted), name, f"recorded already, as run {batch.done[name]}")
            continue
        try:
            took = f"took {formatting.duration(task.last_s)} when it was last recorded"
        except export.RecordedError as error:  # its parameters are there no more, say
            _say(place, len(wanted), name, f"not recorded: {task.source.reference} cannot be read, so it cannot be repeated ({error})")
            continue
        if time.monotonic() + task.last_s > ends_at:
            _say(place, len(wanted), name, f"left for another time: it {took}")
        else:
            _say(place, len(wanted), name, took)
            _repeat(engine, batch, task, device, stop)
    recorded = [task for task in wanted if batch.has(task)]
    commits: dict[str, list[str]] = {}
    for task in recorded:
        name = task.target.reference
        print(f"{name}: run {batch.done[name]}, against the run recorded before")
        before, after = (export.load_recorded(folder) for folder in (batch.before(task), task.target.folder))
        print(recording_changes.text(recording_changes.changes(before, after)))
        commits.setdefault(str(after.manifest.get("commit") or "an unknown commit"), []).append(name)
    if len(commits) > 1:
        print("The lab's code changed while the batch was interrupted: --fresh records all with one commit.")
        for commit, names in commits.items():
            print(f"  {commit}: {', '.join(names)}")
    print(f"{len(recorded)} of {len(wanted)} recorded")
    return len(recorded) == len(wanted)


def _repeat(engine: Engine, batch: Batch, task: Task, device: DeviceKind, stop: threading.Event) -> None:
    """Run the task and put its files in place; why not is told where that went wrong, and the others go on."""
    source = task.source.view()
    preset = preset_of(source.workload, str(source.manifest.get("preset")), source.plan, device)
    try:
        run_id = engine.submit(source.workload.name, source.plan, preset, device)
    except (ParameterError, StoreError) as error:  # it does not fit this GPU, say
        print(f"not recorded: {error}", file=sys.stderr)
        return
    run = follow(engine, run_id, stop)
    if run.status != "finished":
        print(f"{run.status}: {run.reason or 'no reason told'}. What it measured is kept as run {run_id}.", file=sys.stderr)
        return
    try:
        batch.finish(task, engine.store.view(run_id))
    except (export.RecordedError, OSError) as error:
        print(f"not put into the repository: {error}. It is kept as run {run_id}.", file=sys.stderr)


def _minutes(text: str) -> float:
    try:
        minutes = float(text or "inf")
    except ValueError:
        minutes = -1.0
    if not minutes > 0:
        raise ParameterError("minutes", text, "a number above 0")
    return minutes


def _say(place: int, of: int, name: str, what: str) -> None:
    print(f"[{place} of {of}] {name}: {what}", file=sys.stderr)
