"""What a reader can do with stored records without a new run: settings that are evaluated on them at once, and an own file beside them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lab.parameters import Parameters, fields
from lab.records import Chart, Estimate, StoredRecord

MAX_UPLOAD_BYTES = 1 << 20


@dataclass(frozen=True)
class Upload:
    """A file that a reader may add: what it is, what its columns hold, and what reads it.

    ``columns`` maps each column's name to what it means; ``example`` is a small file of that kind. ``parse`` turns at most ``max_bytes``
    untrusted bytes into the value that ``Explore.charts`` gets. It is pure and raises ValueError, saying in one line what is wrong.
    """

    title: str
    columns: Mapping[str, str]
    parse: Callable[[bytes], Any]
    example: str
    max_bytes: int = MAX_UPLOAD_BYTES

    def __post_init__(self) -> None:
        if not 0 < self.max_bytes <= MAX_UPLOAD_BYTES:
            raise ValueError(f"max_bytes is {self.max_bytes}; allowed: 1 to {MAX_UPLOAD_BYTES}")


@dataclass(frozen=True)
class Explore:
    """A section of a workload's page that evaluates its stored records anew whenever one of its own widgets moves.

    ``charts(params, summary, records, uploaded)`` is pure and quick (a tenth of a second): ``params`` is a validated instance of
    ``parameters``, of which none can be swept; ``uploaded`` is what ``upload`` has read (None while there is no file); ``summary`` and
    ``records`` are empty where there is no run yet, which only a page with an ``upload`` asks for. A ParameterError that it raises is
    shown in place of the charts.
    """

    title: str
    text: str  # markdown: what can be found out here
    parameters: type[Parameters]
    charts: Callable[[Any, Sequence[Estimate], Sequence[StoredRecord], Any], list[Chart]]
    upload: Upload | None = None

    def __post_init__(self) -> None:
        if swept := [name for name, info in fields(self.parameters).items() if info.sweep]:
            raise TypeError(f"{', '.join(swept)} cannot be swept: an exploration shows one setting")
