"""``python -m lab export``: the files of a run."""

from __future__ import annotations

import argparse
from typing import Any

from lab.command_line import output
from lab.command_line.opening import opened
from lab.command_line.status import DONE, FAILED
from lab.jobs import Engine


def add(commands: Any) -> None:
    """Add the command to the parser."""
    command = commands.add_parser("export", help="write manifest.json and the CSV files of a run", allow_abbrev=False)
    command.add_argument("run_id", metavar="RUN_ID", help="the last line that `run` printed, or ?run= of a page's address")
    command.add_argument("--out", type=output.folder, metavar="DIR", required=True, help="the folder to write to")
    command.set_defaults(command=_export)


def _export(options: argparse.Namespace) -> int:
    with opened() as store, Engine(store) as engine:
        run = store.run(options.run_id)
        output.check_folder(options.out)
        engine.recover()  # a run whose server died says so, here as at the next start
        store.ingest(run.id)  # what a full disk kept out before may fit now
        return DONE if output.write_files(options.out, store.view(run.id)) else FAILED
