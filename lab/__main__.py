"""The command line: ``python -m lab list | run | calibrate | export``. The same engine and store as the pages, without Streamlit.

Exit status: 0 done (whatever the verdicts), 1 failed, 2 invalid input (one line on stderr, nothing started), 130 cancelled.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from lab import calibration, environment, export
from lab.jobs import CUSTOM, Engine
from lab.parameters import ParameterError, fields
from lab.records import RunView
from lab.store import Run, Store, StoreError
from lab.summary import summarise
from lab.terminal import ProgressLine, columns, verdict_table
from lab.verdicts import Evidence, verdicts
from lab.workload import PRESETS, Workload, experiments, workload

REFRESH_S = 0.2  # of the progress line
DONE, FAILED, INVALID, CANCELLED = 0, 1, 2, 130


class _Parser(argparse.ArgumentParser):
    """One line and exit status 2 on wrong usage, as for every other invalid input."""

    def error(self, message: str) -> NoReturn:
        self.exit(INVALID, f"{' '.join(message.split())}; see python -m lab --help\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")  # type: ignore[union-attr]  # a terminal that knows no "²" must not end the program
    options = _parser().parse_args(arguments)
    try:
        return options.command(options)
    except ParameterError as error:
        print(error, file=sys.stderr)
        return INVALID
    except StoreError as error:
        print(error, file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        return CANCELLED
    except BrokenPipeError:  # the reader of our output left (`… | head`)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="python -m lab", description="Put AI-energy-efficiency claims to the test on this machine.", allow_abbrev=False)
    commands = parser.add_subparsers(required=True, metavar="COMMAND", parser_class=_Parser)

    command = commands.add_parser("list", help="show the experiments and their parameters", allow_abbrev=False)
    command.add_argument("--json", action="store_true", help="as JSON")
    command.set_defaults(command=_list)

    command = commands.add_parser("run", help="run an experiment and wait for its end", allow_abbrev=False)
    command.add_argument("workload", metavar="WORKLOAD", help="a name that `list` shows")
    command.add_argument("--preset", default="quick", help=f"one of {', '.join(PRESETS)} (default: quick)")
    command.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="replace a value of the preset; commas sweep: n=1024,4096"
    )
    command.add_argument("--device", default="auto", help="one of auto, cpu, cuda (default: auto)")
    command.add_argument("--out", type=_folder, metavar="DIR", help="write manifest.json and the CSV files there")
    command.set_defaults(command=_run)

    command = commands.add_parser("calibrate", help="measure this machine's limits and the lab's own errors", allow_abbrev=False)
    command.add_argument("--preset", default="quick", help="one of quick, thorough (default: quick)")
    command.add_argument("--device", default="auto", help="one of auto, cpu, cuda (default: auto)")
    command.add_argument("--out", type=_folder, metavar="DIR", help="write manifest.json and the CSV files there")
    command.set_defaults(command=_run, workload=calibration.WORKLOAD, set=[])

    command = commands.add_parser("export", help="write manifest.json and the CSV files of a run", allow_abbrev=False)
    command.add_argument("run_id", metavar="RUN_ID", help="the last line that `run` printed, or ?run= of a page's address")
    command.add_argument("--out", type=_folder, metavar="DIR", required=True, help="the folder to write to")
    command.set_defaults(command=_export)
    return parser


def _list(options: argparse.Namespace) -> int:
    found = experiments().values()
    if options.json:
        print(json.dumps([_described(item) for item in found], indent=2, ensure_ascii=False))
        return DONE
    for item in found:
        print(f"{item.name}: {item.title}\n  {item.question}")
        rows = [(f"  --set {name}={field.text(field.default)}", field.allowed) for name, field in fields(item.parameters).items()]
        print(columns(rows), end="\n\n")
    return DONE


def _described(item: Workload) -> dict[str, Any]:
    return {
        "name": item.name,
        "title": item.title,
        "question": item.question,
        "source": item.source,
        "presets": list(item.presets),
        "claims": list(item.claims),
        "parameters": [
            {
                "name": field.name,
                "title": field.title,
                "help": field.help,
                "unit": field.unit,
                "default": field.text(field.default),
                "allowed": field.allowed,
                "sweep": field.sweep,
            }
            for field in fields(item.parameters).values()
        ],
    }


def _run(options: argparse.Namespace) -> int:
    declaration = workload(options.workload)
    device = environment.resolve_device(options.device)
    kind = environment.device_kind(device)
    plan = declaration.plan(options.preset, kind, _settings(options.set))
    preset = options.preset if plan.values == declaration.plan(options.preset, kind).values else CUSTOM
    if options.out is not None:
        _check_folder(options.out)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())  # a flag: an exception could strike in the middle of a write
    with Store() as store:
        for notice in filter(None, (store.notice, store.retention_notice())):
            print(notice, file=sys.stderr)
        with Engine(store) as engine:
            run = _follow(engine, engine.submit(declaration.name, plan, preset, kind), stop)
        view = store.view(run.id)
        written = options.out is None or _write(options.out, view)
    _report(run, view)
    print(run.id)
    if run.status == "cancelled":
        return CANCELLED
    return DONE if run.status == "finished" and written else FAILED


def _follow(engine: Engine, run_id: str, stop: threading.Event) -> Run:
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


def _export(options: argparse.Namespace) -> int:
    with Store() as store, Engine(store) as engine:
        run = store.run(options.run_id)
        _check_folder(options.out)
        engine.recover()  # a run whose server died says so, here as at the next start
        store.ingest(run.id)  # what a full disk kept out before may fit now
        return DONE if _write(options.out, store.view(run.id)) else FAILED


def _write(folder: Path, view: RunView) -> bool:
    try:
        export.write(folder, view)
    except OSError as error:
        print(f"out: {str(folder)!r} cannot be written ({error.strerror})", file=sys.stderr)
        return False
    return True


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


def _folder(text: str) -> Path:
    """The folder of ``--out``. Raises ArgumentTypeError for an empty one, which would mean the current folder unasked."""
    if not text.strip():
        raise argparse.ArgumentTypeError("is empty; allowed: a folder that can be written")
    return Path(text)


def _check_folder(path: Path) -> None:
    """Raise ParameterError unless our files can be written into ``path``; leaves nothing behind, the run may still be refused."""
    allowed = "a folder that can be written"
    try:
        existing = path.absolute()
        while not existing.exists() and existing != existing.parent:
            existing = existing.parent
        if not existing.is_dir():
            raise ParameterError("out", str(path), "a folder", f"cannot be a folder: {existing} is a file")
        with tempfile.TemporaryFile(dir=existing):  # permissions alone do not tell: a file system may be read-only or virtual
            pass
        taken = [name for name in export.FILES if (path / name).is_dir()]
    except OSError as error:
        raise ParameterError("out", str(path), allowed, f"cannot be written ({error.strerror})") from None
    if taken:
        raise ParameterError("out", str(path), allowed, f"holds a folder called {taken[0]}")


if __name__ == "__main__":
    sys.exit(main())
