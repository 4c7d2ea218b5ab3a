"""A comparison's data, computed once for all browsers: the runs that can be chosen, the comparison, its pictures and its file."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass

import plotly.graph_objects as go
import streamlit as st

from lab import collection, comparison_chart, comparison_csv, formatting, recordings
from lab.collection import Origin
from lab.comparison import ComparedRun, Comparison, Kind, Row, compare
from lab.imports import Imports
from lab.listing import Filter
from lab.parameters import ParameterError
from lab.store import ACTIVE
from lab.ui import results, server
from lab.workload import workloads

LISTED = 200  # runs of this machine that are offered, newest first: older ones are named in the address
ENDED = ("finished", "cancelled", "failed", "interrupted")
ORIGINS: dict[Origin, str] = {"local": "this machine", "recorded": "recorded run", "imported": "imported run"}
KEPT = 16


@dataclass(frozen=True)
class Choice:
    """A run that can be compared: its reference, its experiment, what readers call it and what they know it by."""

    reference: str
    workload: str
    title: str
    about: str

    @property
    def label(self) -> str:
        return f"{ORIGINS[collection.origin(self.reference)].capitalize()}: {self.title} ({self.about})"


def choices() -> list[Choice]:
    """Every run that has ended, of this machine first, then the recorded and the imported ones."""
    known = workloads()
    found = [
        Choice(
            run.id,
            run.workload,
            f"{known[run.workload].title}, {run.title}",
            ", ".join((run.preset, run.hardware or run.device, run.status)),
        )
        for run in server.store().listing(Filter(statuses=ENDED), limit=LISTED).rows
        if run.workload in known
    ]
    for recording in recordings.all_recordings():
        subject = f": {recording.subject}" if recording.subject else ""
        found.append(Choice(recording.reference, recording.workload, f"{known[recording.workload].title}{subject}", recording.gpu.upper()))
    for run in Imports(server.store().home).all():
        if run.workload in known and not run.problem:
            about = ", ".join((run.preset, run.hardware, formatting.date(run.measured_at)))
            found.append(Choice(run.reference, run.workload, f"{known[run.workload].title}, {run.run_id}", about))
    return found


def read(reference: str) -> results.Results:
    """The run of that name, ended. Raises ParameterError when there is none or it goes on."""
    if collection.origin(reference) == "local" and server.store().run(reference).status in ACTIVE:
        raise ParameterError("runs", reference, "runs that have ended", "has not ended yet")
    return results.of(reference)


def title(reference: str) -> str:
    """What readers call a run: the name they gave it, the experiment of a recorded one, else its id."""
    if collection.origin(reference) == "recorded":
        with contextlib.suppress(ParameterError):
            found = recordings.recording(reference)
            return f"{found.gpu.upper()}{f', {found.subject}' if found.subject else ''}"
    found_results = results.of(reference)
    if collection.origin(reference) == "local":
        return server.store().run(reference).name or reference
    return found_results.view.run_id


@st.cache_resource(show_spinner="Comparing", max_entries=KEPT)
def of(references: tuple[str, ...]) -> Comparison:
    """The comparison of runs that have ended. Raises ComparisonError, and ParameterError for an unknown run."""
    found = [read(reference) for reference in references]
    return compare([ComparedRun(one.reference, one.view, one.estimates, one.verdicts) for one in found])


@st.cache_resource(show_spinner=False, max_entries=KEPT)
def csv(references: tuple[str, ...]) -> bytes:
    """The comparison as CSV."""
    return comparison_csv.encode(of(references))


@dataclass(frozen=True)
class Picture:
    """A figure with what it shows in words."""

    figure: go.Figure
    alt: str


@st.cache_resource(show_spinner=False, max_entries=8 * KEPT)
def ratios(references: tuple[str, ...], place: int, metric: str, names: tuple[str, str]) -> Picture:
    """Both sides' within-run ratios of one metric."""
    found = of(references)
    pairing = found.pairings[place]
    rows = _of_metric(pairing.of("ratio"), metric)
    shown = sorted(rows, key=lambda row: row.word in ("", "not measured"))
    alt = f"How many times better than its baseline each technique was in {names[0]} and in {names[1]}: {len(rows)} ratios of one metric."
    return Picture(comparison_chart.ratios(found, pairing, shown, names), alt)


@st.cache_resource(show_spinner=False, max_entries=8 * KEPT)
def moves(references: tuple[str, ...], place: int, metric: str, names: tuple[str, str], kinds: tuple[Kind, ...]) -> Picture:
    """How far the measurements of one metric moved from one side to the other."""
    found = of(references)
    pairing = found.pairings[place]
    rows = comparison_chart.drawable(_of_metric(pairing.of(*kinds), metric))
    alt = f"{names[1]} divided by {names[0]} with 95 % intervals for {len(rows)} measurements of one metric."
    return Picture(comparison_chart.moves(found, pairing, rows, names), alt)


def _of_metric(rows: Sequence[Row], metric: str) -> list[Row]:
    return [row for row in rows if row.first.estimate.metric == metric]
