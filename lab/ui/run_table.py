"""Runs as the rows of a table: what a list says of each, whether it lies in the store, in the repository or in a bundle."""

from __future__ import annotations

import hashlib
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pandas as pd
import streamlit as st

from lab import formatting
from lab.listing import Listed
from lab.parameters import ParameterError
from lab.sparkline import sparkline, svg
from lab.store import ACTIVE
from lab.ui import server
from lab.ui.results import Results
from lab.ui.verdict_cards import counts
from lab.workload import workloads

KEPT_DIGESTS = 4000  # small ones: more than a store holds by default
ROW_HEIGHT = 66  # text wraps in rows above 64: three lines hold all verdict words of a run
HEADER_HEIGHT = 36
# A mark before the word, so that neither colour nor reading is needed to tell them apart.
STATUS_MARKS = {"queued": "◌", "running": "▶", "finished": "✓", "cancelled": "■", "failed": "✕", "interrupted": "▲"}
STATUS_COLOURS = {"queued": "gray", "running": "blue", "finished": "green", "cancelled": "gray", "failed": "red", "interrupted": "orange"}
PICTURE_HELP = (
    "The run in small. With a dashed line: how many times better the technique was in each observation, above the line better, below it "
    "worse; the scale of every run ends at four times, so that no difference looks flat. Without the line: a curve of the run on a scale "
    "of its own. The last column says what is drawn."
)


@dataclass(frozen=True)
class Digest:
    """What a list shows of a run's results: its verdicts, counted, its picture as an image's address, and what that shows."""

    verdicts: tuple[tuple[str, int], ...] = ()
    picture: str = ""
    words: str = ""


@dataclass(frozen=True)
class Row:
    """A run of any origin; ``reference`` as :mod:`lab.collection` has it. Times are seconds since 1970 UTC."""

    reference: str
    name: str  # what a reader calls it; "" for its own title
    title: str
    workload: str
    status: str
    preset: str
    hardware: str
    started_at: float | None
    ended_at: float | None
    digest: Digest
    kept: bool = False
    note: str = ""

    @property
    def active(self) -> bool:
        """Whether the run is queued or running."""
        return self.status in ACTIVE

    @property
    def experiment(self) -> str:
        """What readers call the workload."""
        return experiment(self.workload)


def experiment(name: str) -> str:
    """The title of a workload; its name where this lab has no such workload (any more)."""
    known = workloads()
    return known[name].title if name in known else name


def digest(found: Results) -> Digest:
    """The digest of a run's results."""
    picture = sparkline(found.view, found.estimates)
    if picture is None:
        return Digest(tuple(counts(found.verdicts)), words="Nothing was measured more than once.")
    return Digest(tuple(counts(found.verdicts)), svg(picture), picture.words)


def of_store(run: Listed) -> Row:
    """A run of this machine. That of an active one has no results yet."""
    return Row(
        reference=run.id,
        name=run.name,
        title=run.title,
        workload=run.workload,
        status=run.status,
        preset=run.preset,
        hardware=run.hardware,
        started_at=run.started_at,
        ended_at=run.ended_at,
        digest=Digest() if run.status in ACTIVE else _digest(run.id),
        kept=run.pinned,
        note=run.note,
    )


def of_results(found: Results, title: str) -> Row:
    """A run that does not change: recorded or imported."""
    manifest = found.view.manifest
    return Row(
        reference=found.reference,
        name="",
        title=title,
        workload=found.workload.name,
        status=found.view.status,
        preset=str(manifest.get("preset") or ""),
        hardware=str(manifest.get("hardware") or ""),
        started_at=_seconds(manifest.get("started_at")),
        ended_at=_seconds(manifest.get("ended_at")),
        digest=_settled_digest(found.reference, found),
    )


def table(
    rows: Sequence[Row], key: str, alt: str, selected: Sequence[str], on_select: Callable[[], None], without: Sequence[str] = ()
) -> list[str]:
    """Draw the rows, of which any number can be selected; returns the references of those that are.

    ``selected``: those that are when the table is drawn for the first time. ``on_select`` is called when the reader changes that.
    ``without`` names columns that would say nothing here.
    """
    references = [row.reference for row in rows]
    # A selection is kept by place: the table of other runs is another table, or it would pass on to a run that nobody selected. What the
    # rows say may change meanwhile.
    key = f"{key}:{hashlib.sha256(' '.join(references).encode()).hexdigest()[:16]}"
    event = st.dataframe(
        _frame(rows).drop(columns=list(without)),
        key=key,
        hide_index=True,
        row_height=ROW_HEIGHT,
        height=HEADER_HEIGHT + ROW_HEIGHT * len(rows) + 2,
        column_config=_columns(without),
        on_select=on_select,
        selection_mode="multi-row",
        selection_default={"selection": {"rows": [references.index(name) for name in selected if name in references]}},
        placeholder="",
        alt=alt,
    )
    return [references[index] for index in event["selection"]["rows"] if index < len(references)]


def _frame(rows: Sequence[Row]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "Run": [row.title for row in rows],
            "Experiment": [row.experiment for row in rows],
            "Status": [[_status(row.status)] for row in rows],
            "Verdicts": [" · ".join(f"{count} {word}" for word, count in row.digest.verdicts) for row in rows],
            "Picture": [row.digest.picture or None for row in rows],
            "Started (UTC)": pd.Series([_moment(row.started_at) for row in rows], dtype="datetime64[s, UTC]"),
            "Took": [_took(row) for row in rows],
            "Preset": [row.preset for row in rows],
            "Hardware": [row.hardware for row in rows],
            "Kept": [row.kept for row in rows],
            "Note": [" ".join(row.note.split()) for row in rows],
            "The picture shows": [row.digest.words for row in rows],
        }
    )


def _columns(without: Sequence[str]) -> dict[str, Any]:
    config = st.column_config
    return {
        "Run": config.TextColumn(width=175),
        "Experiment": config.TextColumn(width=115),
        "Status": config.MultiselectColumn(
            width=105, options=[_status(name) for name in STATUS_MARKS], color=[STATUS_COLOURS[name] for name in STATUS_MARKS]
        ),
        "Verdicts": config.TextColumn(
            width=285 if "Experiment" not in without else 415,
            help="How often each verdict was reached, over all claims that the run speaks of.",
        ),
        "Picture": config.ImageColumn(width=140, help=PICTURE_HELP),
        "Started (UTC)": config.DatetimeColumn(width=125, format="YYYY-MM-DD HH:mm"),
        "Took": config.TextColumn(width=100),
        "Preset": config.TextColumn(width=90),
        "Hardware": config.TextColumn(width=200),
        "Kept": config.CheckboxColumn(width=60, help="A run that is kept is never removed to make room for others."),
        "Note": config.TextColumn(width=250),
        "The picture shows": config.TextColumn(width=500),
    }


def _status(name: str) -> str:
    return f"{STATUS_MARKS.get(name, '?')} {name}"


def _took(row: Row) -> str:
    if row.started_at is None or row.ended_at is None:
        return ""
    return formatting.duration(max(0.0, row.ended_at - row.started_at))


def _moment(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).replace(microsecond=0)


def _seconds(text: object) -> float | None:
    try:
        return datetime.fromisoformat(str(text)).timestamp()
    except ValueError:
        return None


@st.cache_resource(show_spinner=False, max_entries=KEPT_DIGESTS)
def _digest(run_id: str) -> Digest:
    """Of a run that has ended: nothing of it changes any more, and its id is never given again."""
    try:
        return digest(Results(server.store().view(run_id), run_id))
    except ParameterError as error:  # deleted just now, or of an experiment that has changed since
        return Digest(words=f"This version of the lab cannot read the run: {error}")
    except Exception as error:  # one run that an older version wrote must not hide all others
        traceback.print_exc()
        return Digest(words=f"This version of the lab cannot read the run ({type(error).__name__})")


@st.cache_resource(show_spinner=False, max_entries=KEPT_DIGESTS)
def _settled_digest(reference: str, _found: Results) -> Digest:
    return digest(_found)
