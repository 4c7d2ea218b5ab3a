"""Tables of the report: short ones are written out, long ones are data of which the reader's browser shows a page at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lab.csv_format import read_table
from lab.report.text import shown

MAX_WRITTEN_ROWS = 100  # a browser lays out more of them slowly, and nobody reads on


@dataclass(frozen=True)
class Table:
    """Columns and rows of texts; ``same`` are columns that have one value in all rows, taken out as (column, value)."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    same: Sequence[tuple[str, str]] = ()

    @property
    def is_long(self) -> bool:
        """Whether it is shown a page at a time."""
        return len(self.rows) > MAX_WRITTEN_ROWS

    @property
    def data(self) -> dict[str, Sequence[object]]:
        """What the browser makes pages of."""
        return {"columns": self.columns, "rows": self.rows}


def of_csv(data: bytes) -> Table:
    """A table of an exported file. Columns that are the same in several rows stand beside it: a run has dozens of them."""
    header, rows = read_table(data)
    cells = [[shown(cell) for cell in row] for row in rows]
    columns = list(zip(*cells, strict=True))
    varying = [place for place in range(len(header)) if len(cells) < 2 or len(set(columns[place])) > 1]
    same = [(name, columns[place][0]) for place, name in enumerate(header) if place not in set(varying)]
    return Table([header[place] for place in varying], [[row[place] for place in varying] for row in cells], same)
