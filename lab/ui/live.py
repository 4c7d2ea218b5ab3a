"""The live panel: how the run stands, its key numbers and charts, renewed twice a second while it is active."""

from __future__ import annotations

import time

import streamlit as st

from lab import formatting
from lab.records import Estimate
from lab.relevance import distinct_cells
from lab.store import Run, UnknownRun
from lab.ui import results, server, trouble
from lab.ui.figures import figures
from lab.ui.page_state import PageState
from lab.ui.text import plain

POLL_S = 0.5
MAX_RATIOS = 4  # shown beside the progress while a run is live


def panel(state: PageState) -> None:
    """The panel of the active run of the page; it reruns the page once when the run ends."""
    st.fragment(_panel, run_every=POLL_S)(state)


@trouble.told_in_part()
def _panel(state: PageState) -> None:
    server.engine().recover()  # a run of a process that died would else look active for ever
    try:
        run = server.store().run(state.choice.run)
    except UnknownRun:  # ended and deleted elsewhere since the last look: the page says so
        st.rerun()
    if not run.active:
        state.own_rerun()
        st.rerun()
    st.progress(min(max(run.progress, 0.0), 1.0), text=plain(standing(run)))
    found = results.of(run.id)
    ratios = [e for e in found.estimates if e.statistic == "ratio" and e.mean is not None and e.implementation == e.baseline_implementation]
    with st.container(horizontal=True):
        st.metric("Elapsed", elapsed(run), border=True, width=150, height="stretch")
        if _sweeps(run):
            place = f"{min(run.cell + 1, run.n_cells)} of {run.n_cells}"
            st.metric("Combination", place, border=True, width=150, height="stretch", help="Of the values that are swept.")
        st.metric("Measurements", f"{len(found.view.records):,}", border=True, width=150, height="stretch")
        for estimate in ratios[-MAX_RATIOS:]:
            _ratio(found, estimate)
    figures(found.figures, run.id)


def _ratio(found: results.Results, estimate: Estimate) -> None:
    labels = found.workload.labels
    metric = found.workload.metrics[estimate.metric].title
    cell = formatting.cell({**estimate.dimensions, **estimate.swept})
    st.metric(
        f"{formatting.labelled(estimate.arm, labels)} against {formatting.labelled(estimate.baseline_arm, labels)}",
        formatting.quantity(estimate.mean, estimate.unit),
        formatting.labelled(estimate.implementation, labels),
        delta_color="off",
        delta_arrow="off",
        help=plain(f"{metric}, {cell}. Above 1 favours the technique."),
        border=True,
        width=250,
    )


def standing(run: Run) -> str:
    """How an active run stands, in one line: queue place, or phase and what is being done."""
    if run.cancel_requested:
        return "Cancelling"
    if run.status == "queued":
        place = run.queue_place or 0
        return f"Queued: {place} {'run' if place == 1 else 'runs'} before this one on the device" if place else "Starting"
    phase = run.phase.capitalize() or "Starting"
    words = [f"{phase}: {run.phase_detail}" if run.phase_detail else phase]
    if _sweeps(run):
        words.append(f"combination {run.cell + 1} of {run.n_cells}")
    if run.message:
        words.append(run.message)
    return " · ".join(words)


def _sweeps(run: Run) -> bool:
    """Whether the run measures several combinations: a sweep of what changes nothing is none."""
    return run.n_cells > 1 and distinct_cells(run.plan) > 1


def elapsed(run: Run) -> str:
    """How long the run has been measured, or took."""
    if run.started_at is None:
        return "–"
    return formatting.duration(max(0.0, (run.ended_at or time.time()) - run.started_at))
