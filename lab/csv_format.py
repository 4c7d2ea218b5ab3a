"""CSV cells and tables that read back exactly and that a spreadsheet does not execute.

Numbers are written as ``repr`` writes them, so floats come back bit for bit. Text that a spreadsheet would take for a formula gets a
leading apostrophe: text that begins, after white space, control characters and apostrophes, with = + - @, their full-width forms, a tab
or a line break. A number written as text stays as it is, a minus sign included. Reading takes that one
apostrophe away again. Rows end in \\n, the encoding is UTF-8.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterable, Sequence

from lab.records import Scalar

MAX_ROWS = 100_000  # of a table that a reader brings

_QUOTED = re.compile(r'[,"\r\n]')
_FORMULA = re.compile(r"'*[\s\x00-\x1f\x7f\ufeff\u200b-\u200f]*[=+\-@＝＋－＠\t\r\n]")
_NUMBER = re.compile(r"-?[0-9]+(?:\.[0-9]+)?(?:e[+-]?[0-9]+)?")


class CsvError(ValueError):
    """A table cannot be read; the message says where and why."""


def number_cell(value: float | None) -> str:
    """A number as its shortest exact text; None and values that are not finite give an empty cell."""
    if value is None or not math.isfinite(value):
        return ""
    return repr(int(value)) if isinstance(value, int) else repr(float(value))


def text_cell(text: str) -> str:
    """Text with an apostrophe in front where a spreadsheet would execute it."""
    return f"'{text}" if _FORMULA.match(text) and not _NUMBER.fullmatch(text) else text


def scalar_cell(value: Scalar | None) -> str:
    """A dimension's value: truth values as true and false, numbers exact, text guarded, None empty."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return number_cell(value) if isinstance(value, int | float) else text_cell(value)


def parse_text(cell: str) -> str:
    """Inverse of :func:`text_cell`."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell


def parse_number(cell: str) -> int | float | None:
    """Inverse of :func:`number_cell`: an int where it is written as one, None for an empty cell. Raises CsvError for anything else."""
    if not cell:
        return None
    number = _number(cell)
    if number is None:
        raise CsvError(f"{cell[:40]!r} is not a finite number")
    return number


def _number(cell: str) -> int | float | None:
    """The number that :func:`number_cell` writes as ``cell``, None where there is none."""
    try:
        number: int | float = int(cell) if cell.lstrip("-").isdecimal() else float(cell)
        return number if math.isfinite(number) and repr(number) == cell else None
    except (ValueError, OverflowError):  # no number; a whole one beyond all floats
        return None


def parse_scalars(column: Sequence[str]) -> list[Scalar | None]:
    """A column that :func:`scalar_cell` wrote, in the type that all its cells have; text where they do not agree. None for empty cells.

    Text that looks like a number comes back as one; the same cells are written again either way.
    """
    present = {cell for cell in column if cell}
    if present <= {"true", "false"}:
        return [cell == "true" if cell else None for cell in column]
    numbers = {cell: _number(cell) for cell in present}
    if None not in numbers.values() and len(set(numbers.values())) == len(numbers):  # "1" and "1.0" side by side are text
        return [numbers[cell] if cell else None for cell in column]
    return [parse_text(cell) if cell else None for cell in column]


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> bytes:
    """The table as UTF-8; a character that has no UTF-8 form (half a surrogate pair) becomes a question mark."""
    lines = [
        ",".join(f'"{cell.replace(chr(34), chr(34) * 2)}"' if _QUOTED.search(cell) else cell for cell in row) for row in (header, *rows)
    ]
    return ("\n".join(lines) + "\n").encode("utf-8", "replace")


def read_table(data: bytes, max_rows: int | None = None) -> tuple[list[str], list[list[str]]]:
    """Header and rows of a table.

    Raises CsvError unless it is UTF-8 CSV in which every row is as wide as the header, and as soon as it has more than ``max_rows`` rows.
    """
    rows: list[list[str]] = []
    known: dict[str, str] = {}  # most cells repeat: each text is kept once
    try:
        lines = csv.reader(io.TextIOWrapper(io.BytesIO(data), "utf-8", newline=""), strict=True)
        header = next(lines, None)
        if header is None:
            raise CsvError("has no header")
        for number, row in enumerate(lines, start=2):
            if len(row) != len(header):
                raise CsvError(f"row {number} has {len(row)} cells, the header {len(header)}")
            if max_rows is not None and len(rows) == max_rows:
                raise CsvError(f"has more than {max_rows:,} rows")
            rows.append([known.setdefault(cell, cell) for cell in row])
    except (UnicodeDecodeError, csv.Error) as error:
        raise CsvError(f"is not UTF-8 CSV ({error})") from error
    return header, rows


def number_columns(data: bytes, names: Sequence[str], min_rows: int = 1, max_rows: int = MAX_ROWS) -> dict[str, tuple[float, ...]]:
    """The columns ``names`` of a table that anybody may have written, as finite numbers; further columns are left out.

    Names count without case and surrounding spaces. Raises CsvError naming the column that is missing, or row and column of what is no
    finite number.
    """
    header, rows = read_table(data.removeprefix(b"\xef\xbb\xbf"))
    found = [name.strip().casefold() for name in header]
    for name in names:
        if found.count(name.casefold()) != 1:
            there = ", ".join(cell.strip()[:40] for cell in header[:10])
            raise CsvError(f"has {'several columns' if name.casefold() in found else 'no column'} {name!r}; its columns are {there}")
    if not min_rows <= len(rows) <= max_rows:
        raise CsvError(f"has {len(rows):,} rows; allowed: {min_rows:,} to {max_rows:,}")
    return {name: tuple(_any_number(row[found.index(name.casefold())], name, i) for i, row in enumerate(rows, start=2)) for name in names}


def _any_number(cell: str, column: str, row: int) -> float:
    try:
        number = float(cell) if "_" not in cell else math.nan
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise CsvError(f"row {row}, column {column!r}: {cell[:40]!r} is not a finite number")
    return number
