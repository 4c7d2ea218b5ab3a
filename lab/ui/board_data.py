"""The claims board's data, computed once for all browsers: runs with their verdicts, the rows, the picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from lab import board, board_csv, collection, forest, recordings
from lab.board import JudgedRun, Row
from lab.board_query import BoardQuery, EvidenceKind
from lab.export import RecordedError
from lab.imports import Imports
from lab.listing import Filter
from lab.parameters import ParameterError
from lab.summary import summarise
from lab.ui import results, server
from lab.verdicts import Evidence, verdicts
from lab.workload import experiments

LATEST_RUNS = 20  # of this machine, and as many imported ones, that are asked: further ones stand on the page "Runs"
ENDED = ("finished", "cancelled", "failed", "interrupted")
KEPT_RUNS = 256  # verdicts take little room


@dataclass(frozen=True, eq=False)
class Board:
    """The board over some evidence: the runs, the rows, and the runs that are not asked with the reasons."""

    runs: tuple[JudgedRun, ...]
    rows: tuple[Row, ...]
    problems: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Picture:
    """The forest plot of some rows with its words, its numbers and what is not in it."""

    figure: go.Figure
    alt: str
    table: pd.DataFrame
    left_out: str
    n_lines: int


def of(kind: EvidenceKind) -> Board:
    """The board over recorded runs, over the latest ended runs of this machine, or over all that can be had."""
    references, unasked = _references(kind)
    found = _board(references)
    return replace(found, problems=(*found.problems, *unasked))


def picture(shown: Board, query: BoardQuery) -> Picture:
    """The forest plot of the rows that ``query`` lets through."""
    return _picture(tuple(run.reference for run in shown.runs), replace(query, claim=""), shown)


def csv(shown: Board, query: BoardQuery) -> bytes:
    """The rows that ``query`` lets through as CSV."""
    return _csv(tuple(run.reference for run in shown.runs), replace(query, claim="", axis="effect"), shown)


def _references(kind: EvidenceKind) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The runs that are asked, and a line for those that are not."""
    found: list[str] = []
    unasked: list[str] = []
    if kind != "local":
        found += [item.reference for item in recordings.all_recordings() if item.workload in experiments()]
    if kind != "recorded":
        listing = server.store().listing(Filter(workloads=tuple(experiments()), statuses=ENDED), limit=LATEST_RUNS)
        found += [run.id for run in listing.rows]
        unasked += _older(listing.total - len(listing.rows), "of this machine")
    if kind == "all":
        everything = Imports(server.store().home).all()
        imported = [run for run in everything if not run.problem and run.workload in experiments()]
        found += [run.reference for run in sorted(imported, key=lambda run: run.imported_at, reverse=True)[:LATEST_RUNS]]
        unasked += [f"{run.reference}: {run.problem}" for run in everything if run.problem]
        unasked += _older(len(imported) - LATEST_RUNS, "that were imported")
    return tuple(found), tuple(unasked)


def _older(count: int, which: str) -> list[str]:
    """Says that older runs are left out: one of them might disagree."""
    if count <= 0:
        return []
    runs = "1 older run" if count == 1 else f"{count:,} older runs"
    return [f"{runs} {which}, beyond the latest {LATEST_RUNS}; the page Runs has all."]


@st.cache_resource(show_spinner="Judging the runs: the first time this takes a few seconds", max_entries=8)
def _board(references: tuple[str, ...]) -> Board:
    runs: dict[str, JudgedRun] = {}  # by run id: a copy is no further evidence
    problems: list[str] = []
    for reference in references:
        try:
            judged = _judged(reference)
            first = runs.setdefault(judged.run_id, judged)
            if first is not judged:
                problems.append(f"{reference}: the same run as {first.reference}, which counts once.")
        except (ParameterError, RecordedError) as error:
            problems.append(f"{reference}: {error}")
    several = tuple(runs.values())
    return Board(several, tuple(board.board(several, experiments().values())), tuple(problems))


@st.cache_resource(show_spinner=False, max_entries=KEPT_RUNS)
def _judged(reference: str) -> JudgedRun:
    if collection.origin(reference) == "recorded":
        found = results.of(reference)
        return JudgedRun.of(reference, found.view, found.verdicts)
    # Not through lab.ui.results, which keeps all records of a run and would lose those of the runs that are being watched.
    view = collection.view(server.store(), reference)
    judged = verdicts(view.workload, summarise(view.workload, view.plan, view.records), Evidence.from_manifest(view.manifest))
    return JudgedRun.of(reference, view, judged)


@st.cache_resource(show_spinner=False, max_entries=64)
def _picture(references: Sequence[str], query: BoardQuery, _board: Board) -> Picture:
    rows = query.rows(_board.rows)
    drawn = forest.lines(rows, query.axis)
    figure, text = forest.figure(drawn, query.axis), forest.alt(drawn, query.axis)
    return Picture(figure, text, forest.table(drawn, query.axis), forest.left_out(rows, query.axis), len(drawn))


@st.cache_resource(show_spinner=False, max_entries=64)
def _csv(references: Sequence[str], query: BoardQuery, _board: Board) -> bytes:
    return board_csv.encode(query.rows(_board.rows))
