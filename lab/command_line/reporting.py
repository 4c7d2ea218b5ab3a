"""``python -m lab report``: one HTML file on one or several runs."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from lab import collection
from lab.command_line import output
from lab.command_line.opening import opened
from lab.command_line.status import DONE, FAILED
from lab.jobs import Engine


def add(commands: Any) -> None:
    """Add the command to the parser."""
    command = commands.add_parser("report", help="write one HTML file on one or several runs, to read, print or attach", allow_abbrev=False)
    command.add_argument(
        "runs", metavar="RUN_ID", nargs="+", help="the last line that `run` printed, or ?run= of a page's address (recorded/…, imported/…)"
    )
    command.add_argument(
        "--out", type=output.file, metavar="FILE.html", required=True, help="the file to write; one that is there is replaced"
    )
    command.set_defaults(command=_report)


def _report(options: argparse.Namespace) -> int:
    from lab import report  # drawing takes a second to import, and packages that measuring does without

    report.check(options.runs)
    output.check_file(options.out, report.ENDINGS)
    with opened() as store, Engine(store) as engine:
        engine.recover()  # a run whose server died says so, here as at the next start
        for run_id in (reference for reference in options.runs if collection.origin(reference) == "local"):
            store.ingest(store.run(run_id).id)  # what a full disk kept out before may fit now
        subjects = [report.Subject.of(store, reference) for reference in options.runs]
    try:
        report.write(options.out, subjects)
    except OSError as error:
        print(f"out: {str(options.out)!r} cannot be written ({error.strerror})", file=sys.stderr)
        return FAILED
    return DONE
