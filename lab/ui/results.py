"""What a run found, computed once for all browsers that watch it."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from lab import charts, collection, export
from lab import recordings as recorded_runs
from lab.calibration import with_limits
from lab.records import Chart, Estimate, RunView
from lab.summary import summarise
from lab.ui import server
from lab.verdicts import Evidence, Verdict, verdicts
from lab.workload import Workload

REFRESH_S = 1.0  # a live figure is drawn anew at most this often: oftener than a person can read it, it would only flicker
KEPT_RUNS = 32


@dataclass(frozen=True)
class Drawn:
    """A chart with its figure and its table."""

    chart: Chart
    figure: go.Figure
    table: pd.DataFrame


@dataclass(frozen=True)
class Results:
    """A run with everything a page derives from it; each part is computed when it is first asked for.

    ``reference`` is the run's name for :mod:`lab.collection`.
    """

    view: RunView
    reference: str

    @property
    def origin(self) -> collection.Origin:
        """Where the run lies: of this machine, recorded, or imported."""
        return collection.origin(self.reference)

    @property
    def workload(self) -> Workload:
        return self.view.workload

    @cached_property
    def estimates(self) -> list[Estimate]:
        return summarise(self.workload, self.view.plan, self.view.records)

    @cached_property
    def charts(self) -> list[Chart]:
        """The workload's charts that have a point to show."""
        return _shown(self.workload.charts(self.estimates, self.view.records), self.view.manifest)

    @cached_property
    def figures(self) -> list[Drawn]:
        """Each chart drawn: once, so that a rerun sends the browser the very same figure and nothing flickers."""
        return _drawn(self.workload, self.charts)

    @cached_property
    def verdicts(self) -> list[Verdict]:
        return verdicts(self.workload, self.estimates, Evidence.from_manifest(self.view.manifest))

    def prepare(self) -> None:
        """Compute what a page shows of it at once, so that the page can say what it is waiting for."""
        _ = self.verdicts, self.figures, self.files

    @cached_property
    def files(self) -> Mapping[str, bytes]:
        """What can be downloaded, by name: the four files, all of it as one JSON document, the four as one archive."""
        return {**export.bundle(self.view), "run.json": export.as_json(self.view), "run.zip": export.as_zip(self.view)}

    @cached_property
    def tables(self) -> Mapping[str, pd.DataFrame]:
        """The summary and the raw records as the files have them, by the title of the table."""
        named = {"Summary": "summary.csv", "Records": "records.csv"}
        return {title: pd.read_csv(io.BytesIO(self.files[file]), dtype=str, keep_default_na=False) for title, file in named.items()}


def drawn(declared: Workload, found: Sequence[Chart], manifest: Mapping[str, Any]) -> list[Drawn]:
    """Those of a workload's charts that have a point to show, with the limits that ``manifest`` knows, in the workload's styles."""
    return _drawn(declared, _shown(found, manifest))


def _drawn(declared: Workload, shown: Sequence[Chart]) -> list[Drawn]:
    before = _styles(declared.name)
    styles = charts.styles(shown, before)
    before.update(styles)
    return [Drawn(chart, charts.figure(chart, styles), charts.table(chart)) for chart in shown]


def _shown(found: Sequence[Chart], manifest: Mapping[str, Any]) -> list[Chart]:
    return [with_limits(chart, manifest) for chart in found if any(y is not None for series in chart.series for y in series.y)]


@st.cache_resource(show_spinner=False)
def _styles(workload_name: str) -> dict[str, charts.Style]:
    """The styles that series names last had in this workload, so that a live chart keeps its colours as series appear."""
    return {}


class _Live:
    """The results of one run as they grow: read again when there are new events, and not before ``REFRESH_S`` has passed."""

    def __init__(self, run_id: str) -> None:
        self._run_id = run_id
        self._lock = threading.Lock()
        self._results: Results | None = None
        self._state: tuple[int, str] = (-1, "")
        self._read_at = 0.0

    def results(self) -> Results:
        run = server.store().run(self._run_id)
        with self._lock:
            state = (run.last_seq, run.status)
            due = not run.active or time.monotonic() - self._read_at >= REFRESH_S
            if self._results is None or (state != self._state and due):
                self._results = Results(server.store().view(self._run_id), self._run_id)
                self._state, self._read_at = state, time.monotonic()
            return self._results


@st.cache_resource(show_spinner=False, max_entries=KEPT_RUNS)
def _live(run_id: str) -> _Live:
    return _Live(run_id)


def of(reference: str) -> Results:
    """The results of a run, so far. Raises ParameterError when there is no such run."""
    return _live(reference).results() if collection.origin(reference) == "local" else _settled(reference)


@st.cache_resource(show_spinner="Reading the run", max_entries=KEPT_RUNS)
def _settled(reference: str) -> Results:
    return Results(collection.view(server.store(), reference), reference)


def forget(reference: str) -> None:
    """Drop what is held of a run that was deleted."""
    _live.clear(reference)
    _settled.clear(reference)


def recordings(workload_name: str) -> Mapping[str, Results]:
    """The recorded runs of a workload by what tells them apart: their subject, after the GPU's name where there are several GPUs."""
    found = recorded_runs.recordings(workload_name)
    several = len({item.gpu for item in found}) > 1
    return {", ".join(filter(None, (item.gpu.upper() if several else "", item.subject))): of(item.reference) for item in found}
