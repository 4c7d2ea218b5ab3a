"""The command line: ``python -m lab COMMAND``. The same engine and store as the pages, without Streamlit.

Exit status: 0 done (whatever the verdicts), 1 failed, 2 invalid input (one line on stderr, nothing started), 130 cancelled.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from lab.command_line import exporting, importing, listing, recording, reporting, running
from lab.command_line.status import CANCELLED, FAILED, INVALID
from lab.parameters import ParameterError
from lab.store import StoreError

COMMANDS = (listing, running, exporting, importing, reporting, recording)  # in the order of --help


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
    for module in COMMANDS:
        module.add(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
