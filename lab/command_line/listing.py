"""``python -m lab list``: the experiments and their parameters."""

from __future__ import annotations

import argparse
import json
from typing import Any

from lab.command_line.status import DONE
from lab.parameters import fields
from lab.terminal import columns
from lab.workload import Workload, experiments


def add(commands: Any) -> None:
    """Add the command to the parser."""
    command = commands.add_parser("list", help="show the experiments and their parameters", allow_abbrev=False)
    command.add_argument("--json", action="store_true", help="as JSON")
    command.set_defaults(command=_list)


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
