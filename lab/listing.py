"""Lists of stored runs: which ones are wanted, in which order, and what a list says of each. ``lab.store`` answers them in SQL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

Order = Literal["newest", "oldest", "longest"]
# What follows ORDER BY: the queue's order, whatever the clock says; of runs equally long the newest first, those without a duration last.
ORDERS: Mapping[Order, str] = MappingProxyType(
    {"newest": "ticket DESC", "oldest": "ticket", "longest": "ended_at - started_at DESC NULLS LAST, ticket DESC"}
)


@dataclass(frozen=True)
class Filter:
    """Which runs are wanted: those that meet every condition given; the default wants all.

    ``workloads``, ``statuses`` and ``presets`` name what is allowed (empty: anything). ``device`` is found in the device's or the
    hardware's name, ``text`` in the id, the reader's name of the run or the note, both whatever the case. ``since`` ≤ time of
    submission < ``until``, in seconds since 1970 UTC. ``pinned``: only runs that are kept for good, or only others.
    """

    workloads: Sequence[str] = ()
    statuses: Sequence[str] = ()
    presets: Sequence[str] = ()
    device: str = ""
    text: str = ""
    since: float | None = None
    until: float | None = None
    pinned: bool | None = None

    def where(self) -> tuple[str, list[object]]:
        """The condition in SQL, over the columns of the table of runs, and the values of its question marks.

        Needs the SQL function ``casefold``: SQLite's own comparison knows the case of ASCII letters only.
        """
        terms: list[tuple[str, Sequence[object]]] = []
        for column, allowed in (("workload", self.workloads), ("status", self.statuses), ("preset", self.presets)):
            if allowed:
                terms.append((f"{column} IN ({', '.join('?' * len(allowed))})", allowed))
        for wanted, columns in ((self.device, ("device", "hardware")), (self.text, ("id", "name", "note"))):
            if wanted:
                found = " OR ".join(f"instr(casefold({column}), ?)" for column in columns)
                terms.append((f"({found})", [wanted.casefold()] * len(columns)))
        if self.since is not None:
            terms.append(("created_at >= ?", [self.since]))
        if self.until is not None:
            terms.append(("created_at < ?", [self.until]))
        if self.pinned is not None:
            terms.append(("pinned = ?", [int(self.pinned)]))
        return " AND ".join(term for term, _ in terms) or "1", [value for _, values in terms for value in values]


@dataclass(frozen=True)
class Listed:
    """What a list says of one run; reading it costs a row of one table. Times are seconds since 1970 UTC."""

    id: str
    workload: str
    preset: str
    device: str
    hardware: str
    status: str
    reason: str
    created_at: float
    started_at: float | None
    ended_at: float | None
    pinned: bool
    name: str
    note: str

    @property
    def title(self) -> str:
        """The reader's name of the run, or its id."""
        return self.name or self.id


@dataclass(frozen=True)
class Listing:
    """A part of a list: its rows, and how many there are in ``total``."""

    rows: Sequence[Listed]
    total: int
