"""What the page of runs shows, as a plain value, and the query of the URL that says the same. No Streamlit in here."""

from __future__ import annotations

import datetime
import typing
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields

from lab.listing import ORDERS, Filter, Order
from lab.parameters import ParameterError
from lab.store import Status
from lab.ui.choice import CUSTOM
from lab.workload import PRESETS

TABS = ("local", "recorded", "imported")
KEPT = ("yes", "no")
STATUSES: tuple[str, ...] = typing.get_args(Status)
FIRST_DAY, LAST_DAY = datetime.date(2020, 1, 1), datetime.date(2099, 12, 31)
MAX_SEARCH = 100  # characters
MAX_PAGE = 100_000
_SEVERAL = ("workload", "status", "preset")  # names that may hold a list, separated by commas


@dataclass(frozen=True)
class Wanted:
    """One state of the page. Of runs of this machine, empty values want everything; days are UTC and ``until`` is the last one wanted."""

    tab: str = TABS[0]
    text: str = ""
    workload: tuple[str, ...] = ()
    status: tuple[str, ...] = ()
    preset: tuple[str, ...] = ()
    device: str = ""
    since: datetime.date | None = None
    until: datetime.date | None = None
    kept: str = ""
    order: Order = "newest"
    page: int = 1

    @property
    def filter(self) -> Filter:
        """The same for the store."""
        return Filter(
            workloads=self.workload,
            statuses=self.status,
            presets=self.preset,
            device=self.device,
            text=self.text,
            since=_midnight(self.since) if self.since else None,
            until=_midnight(self.until + datetime.timedelta(days=1)) if self.until else None,
            pinned=self.kept == "yes" if self.kept else None,
        )

    @property
    def problem(self) -> str:
        """Why nothing can be found at all; "" where something may."""
        if self.since and self.until and self.since > self.until:
            return str(
                ParameterError("since", str(self.since), f"a day up to {self.until}, the last one wanted", "comes after the last day")
            )
        return ""

    @property
    def query(self) -> dict[str, str]:
        """The URL query: every value that is not the default."""
        default = Wanted()
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {
            name: ",".join(value) if name in _SEVERAL else str(value) for name, value in values.items() if value != getattr(default, name)
        }


def read(query: Mapping[str, Sequence[str]], workloads: Iterable[str]) -> tuple[Wanted, ParameterError | None]:
    """What a raw URL query asks for, and the first thing wrong with it; what is wrong is left at its default.

    ``query`` maps each name to all values given for it; ``workloads`` are the names there are.
    """
    known = tuple(field.name for field in fields(Wanted))
    allowed = {
        "tab": TABS,
        "workload": tuple(workloads),
        "status": STATUSES,
        "preset": (*PRESETS, CUSTOM),
        "kept": KEPT,
        "order": tuple(ORDERS),
    }
    values: dict[str, typing.Any] = {}
    problem: ParameterError | None = None
    for name, given in query.items():
        try:
            if name not in known:
                raise ParameterError(name, given[0], "the names " + ", ".join(known), "is no filter of runs")
            if len(given) > 1:
                raise ParameterError(name, ", ".join(given), "each name once", "is given several times")
            values[name] = _value(name, given[0], allowed.get(name))
        except ParameterError as error:
            problem = problem or error
    return Wanted(**values), problem


def _value(name: str, text: str, allowed: Sequence[str] | None) -> object:
    if name in _SEVERAL:
        return tuple(dict.fromkeys(_one_of(name, item, allowed or ()) for item in text.split(",") if item))
    if allowed is not None:
        return _one_of(name, text, allowed)
    if name in ("since", "until"):
        return _day(name, text)
    if name == "page":
        if not (text.isascii() and text.isdigit() and len(text) <= 6 and 1 <= int(text) <= MAX_PAGE):
            raise ParameterError(name, text, f"a whole number from 1 to {MAX_PAGE:,}")
        return int(text)
    if len(text) > MAX_SEARCH or not text.isprintable():
        raise ParameterError(name, text, f"at most {MAX_SEARCH} characters, no control characters")
    return text.strip()


def _one_of(name: str, text: str, allowed: Sequence[str]) -> str:
    if text not in allowed:
        raise ParameterError(name, text, "one of " + ", ".join(allowed))
    return text


def _day(name: str, text: str) -> datetime.date:
    try:
        day = datetime.date.fromisoformat(text)
    except ValueError:
        day = None
    if day is None or not FIRST_DAY <= day <= LAST_DAY:
        raise ParameterError(name, text, f"a day from {FIRST_DAY} to {LAST_DAY}")
    return day


def _midnight(day: datetime.date) -> float:
    return datetime.datetime.combine(day, datetime.time(), datetime.UTC).timestamp()
