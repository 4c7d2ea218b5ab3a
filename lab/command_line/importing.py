"""``python -m lab import``: keep a run that somebody else has measured."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from lab.bundle_check import ImportRefused
from lab.command_line.opening import opened
from lab.command_line.status import DONE
from lab.imports import Imports
from lab.parameters import ParameterError


def add(commands: Any) -> None:
    """Add the command to the parser."""
    command = commands.add_parser("import", help="keep a run that was exported on another machine", allow_abbrev=False)
    command.add_argument(
        "files", nargs="+", type=Path, metavar="FILE", help="a run's zip or JSON document, or its manifest.json and CSV files together"
    )
    command.set_defaults(command=_import)


def _import(options: argparse.Namespace) -> int:
    """Print the reference of the run as the last line of stdout, and what there is to say of it on stderr."""
    with opened() as store:
        imports = Imports(store.home)
    shown = ", ".join(path.name for path in options.files)
    try:
        files = [(path.name, _read(path, imports.limits.upload_bytes)) for path in options.files]
        reference = imports.add(files[0][1]) if len(files) == 1 else imports.add_files(files)
    except (ImportRefused, OSError) as error:
        problem = f"cannot be read ({error.strerror})" if isinstance(error, OSError) else str(error)
        raise ParameterError("import", shown, "", f"was not imported: {problem}") from error
    for notice in imports.get(reference).notices:
        print(notice, file=sys.stderr)
    print(reference)
    return DONE


def _read(path: Path, max_bytes: int) -> bytes:
    """The file, and not much more of it than is allowed, however large it is."""
    with path.open("rb") as file:
        return file.read(max_bytes + 1)
