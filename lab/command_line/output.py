"""Where a command writes: what ``--out`` may be, asked before anything is started, and the writing itself."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from lab import export
from lab.parameters import ParameterError
from lab.records import RunView


def folder(text: str) -> Path:
    """The folder of ``--out``. Raises ArgumentTypeError for an empty one, which would mean the current folder unasked."""
    if not text.strip():
        raise argparse.ArgumentTypeError("is empty; allowed: a folder that can be written")
    return Path(text)


def file(text: str) -> Path:
    """The file of ``--out``. Raises ArgumentTypeError for an empty one."""
    if not text.strip():
        raise argparse.ArgumentTypeError("is empty; allowed: a file that can be written")
    return Path(text)


def check_folder(path: Path) -> None:
    """Raise ParameterError unless our files can be written into ``path``; leaves nothing behind, the run may still be refused."""
    allowed = "a folder that can be written"
    try:
        _check_writable(path, path, allowed)
        taken = [name for name in export.FILES if (path / name).is_dir()]
    except OSError as error:
        raise ParameterError("out", str(path), allowed, f"cannot be written ({error.strerror})") from None
    if taken:
        raise ParameterError("out", str(path), allowed, f"holds a folder called {taken[0]}")


def check_file(path: Path, endings: Sequence[str]) -> None:
    """Raise ParameterError unless ``path`` ends in one of ``endings`` and can be written; leaves nothing behind."""
    allowed = f"a file that can be written, called …{' or …'.join(endings)}"
    try:
        if path.is_dir():
            raise ParameterError("out", str(path), allowed, "is a folder")
        if path.suffix.lower() not in endings:
            raise ParameterError("out", str(path), allowed, "has another ending")
        _check_writable(path.parent, path, allowed)
    except OSError as error:
        raise ParameterError("out", str(path), allowed, f"cannot be written ({error.strerror})") from None


def _check_writable(folder: Path, asked: Path, allowed: str) -> None:
    """Raise ParameterError or OSError unless ``folder`` is there or can be made, and written; ``asked`` is what the reader gave."""
    existing = folder.absolute()
    while not existing.exists() and existing != existing.parent:
        existing = existing.parent
    if not existing.is_dir():
        raise ParameterError("out", str(asked), allowed, f"cannot be written: {existing} is a file")
    with tempfile.TemporaryFile(dir=existing):  # permissions alone do not tell: a file system may be read-only or virtual
        pass


def write_files(path: Path, view: RunView) -> bool:
    """Write the four files of a run into the folder; whether that went well, told on stderr where it did not."""
    try:
        export.write(path, view)
    except OSError as error:
        print(f"out: {str(path)!r} cannot be written ({error.strerror})", file=sys.stderr)
        return False
    return True
