"""``python -m lab run`` and ``calibrate``: run a workload, show how it stands, write its files."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from collections.abc import Sequence
from typing import Any

from lab import calibration, environment
from lab.command_line import output
from lab.command_line.opening import opened
from lab.command_line.status import CANCELLED, DONE, FAILED
from lab.jobs import CUSTOM, Engine
from lab.parameters import ParameterError, Plan
from lab.records import RunView
from lab.store import Run
from lab.summary import summarise
from lab.terminal import ProgressLine, columns, verdict_table
from lab.verdicts import Evidence, verdicts
from lab.workload import PRESETS, DeviceKind, Workload, workload

REFRESH_S = 0.2  # of the progress line


def add(commands: Any) -> None:
    """Add both commands to the parser."""
    command = commands.add_parser("run", help="run an experiment and wait for its end", allow_abbrev=False)
    command.add_argument("workload", metavar="WORKLOAD", help="a name that `list` shows")
    command.add_argument("--preset", default="quick", help=f"one of {', '.join(PRESETS)} (default: quick)")
    command.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="replace a value of the preset; commas sweep: n=1024,4096"
    )
    command.add_argument("--device", default="auto", help="one of auto, cpu, cuda (default: auto)")
    command.add_argument("--out", type=output.folder, metavar="DIR", help="write manifest.json and the CSV files there")
    command.set_defaults(command=_run)

    command = commands.add_parser("calibrate", help="measure this machine's limits and the lab's own errors", allow_abbrev=False)
    command.add_argument("--preset", default="quick", help="one of quick, thorough (default: quick)")
    command.add_argument("--device", default="auto", help="one of auto, cpu, cuda (default: auto)")
    command.add_argument("--out", type=output.folder, metavar="DIR", help="write manifest.json and the CSV files there")
    command.set_defaults(command=_run, workload=calibration.WORKLOAD, set=[])


def _run(options: argparse.Namespace) -> int:
    declaration = workload(options.workload)
    device = environment.resolve_device(options.device)
    kind = environment.device_kind(device)
    plan = declaration.plan(options.preset, kind, _settings(options.set))
    if options.out is not None:
        output.check_folder(options.out)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())  # a flag: an exception could strike in the middle of a write
    with opened() as store:
        if notice := store.retention_notice():
            print(notice, file=sys.stderr)
        with Engine(store) as engine:
            run = follow(engine, engine.submit(declaration.name, plan, preset_of(declaration, options.preset, plan, kind), kind), stop)
        view = store.view(run.id)
        written = options.out is None or output.write_files(options.out, view)
    _report(run, view)
    print(run.id)
    if run.status == "cancelled":
        return CANCELLED
    return DONE if run.status == "finished" and written else FAILED


def preset_of(declaration: Workload, preset: str, plan: Plan, kind: DeviceKind) -> str:
    """``preset`` where ``plan`` has its values on this kind of device, else "custom"."""
    known = preset in declaration.presets
    return preset if known and plan.values == declaration.plan(preset, kind).values else CUSTOM


def follow(engine: Engine, run_id: str, stop: threading.Event) -> Run:
    """Show the run until it has ended; cancel it when ``stop`` is set."""
    line = ProgressLine(sys.stderr)
    cancelling = False
    while (run := engine.store.run(run_id)).active:
        line.show(run)
        if stop.is_set() and not cancelling:
            engine.cancel(run_id)
            cancelling = True
        engine.wait(run_id, REFRESH_S)
    line.finish(run)
    return run


def _report(run: Run, view: RunView) -> None:
    if run.status != "finished":
        print(f"{run.status}: {run.reason}" if run.reason else run.status, file=sys.stderr)
    if view.records:
        summary = summarise(view.workload, view.plan, view.records)
        if view.workload.name == calibration.WORKLOAD:
            print(columns(calibration.findings(summary)), file=sys.stderr)
        found = verdicts(view.workload, summary, Evidence.from_manifest(view.manifest))
        if found:
            print(verdict_table(found), file=sys.stderr)


def _settings(texts: Sequence[str]) -> dict[str, str]:
    """``--set`` arguments by name. Raises ParameterError for one without "=" and for a name that is given twice."""
    settings: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise ParameterError("set", text, "NAME=VALUE", "is not of this form")
        if name in settings:
            raise ParameterError(name, value, f"one --set {name}=…; commas sweep", "is given twice")
        settings[name] = value
    return settings
