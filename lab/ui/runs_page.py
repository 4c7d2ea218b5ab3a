"""The page "Runs": every run that can be shown. Those of this machine, the recorded ones and the imported ones lie in tabs of their own."""

from __future__ import annotations

import math
from collections.abc import Sequence

import streamlit as st

from lab.listing import Filter, Listed, Listing
from lab.store import ACTIVE
from lab.ui import hints, importing, live, results, run_actions, run_table, server, shell, trouble
from lab.ui.run_filters import clear, filters
from lab.ui.run_query import TABS, Wanted
from lab.ui.runs_state import RunsState
from lab.ui.text import plain
from lab.ui.widgets import told, widget_key
from lab.workload import workloads

TITLE = "Runs"
TAB_LABELS = dict(zip(TABS, ("This machine", "Recorded", "Imported"), strict=True))
PAGE_ROWS = 20
POLL_S = 1.0
SHOWN_ACTIVE = 5  # active runs told of one by one

Seen = tuple[tuple[object, ...], ...]


@trouble.told()
def show() -> None:
    """Draw the page."""
    shell.frame(TITLE)
    st.title(TITLE)
    st.markdown("Every run that can be looked at, with what it found. Select runs to open, name, keep, compare or delete them.")
    hints.hint("runs", hints.RUNS)
    state = RunsState()
    state.read_address()
    state.write_address()
    labels = list(TAB_LABELS.values())
    key = widget_key(state.key("tab"), TAB_LABELS[state.wanted.tab])
    names = {label: name for name, label in TAB_LABELS.items()}
    local, recorded, imported = st.tabs(labels, key=key, on_change=told(key, lambda label: state.want(tab=names[label])))
    if state.problem:
        with local:
            st.error(plain(state.problem), icon=":material/error:")
    if local.open:
        with local:
            _local(state)
            run_actions.dialog(state)
    elif recorded.open:
        with recorded:
            _recorded(state)
    else:
        with imported:
            importing.section()


# --- of this machine ----------------------------------------------------------------------------------------------------------------


def _local(state: RunsState) -> None:
    server.engine().recover()  # a run of a process that died would else look active for ever
    if not server.store().listing(limit=1).total:
        _nothing_yet()
        return
    filters(state)
    wanted = state.wanted
    found, page = _listing(wanted)
    _standing(state, found.rows)
    if page < wanted.page:
        st.caption(f"The list has no page {wanted.page:,}: this is its last one.")
    for sentence in state.said:
        st.warning(plain(sentence), icon=":material/warning:")
    if not found.rows:
        _nothing_found(state)
        return
    above = st.container()
    with st.spinner("Reading what the runs found"):
        rows = [run_table.of_store(run) for run in found.rows]
    chosen = run_table.table(rows, state.key("table"), "Runs of this machine", state.selected, state.touched)
    state.select(chosen)
    selected = [row for row in rows if row.reference in chosen]
    with above:
        run_actions.toolbar(state, selected)
    _pages(state, page, found.total)


def _listing(wanted: Wanted) -> tuple[Listing, int]:
    """The wanted page of the list, or the last one where it has become shorter, and the number of that page."""
    store = server.store()
    found = store.listing(wanted.filter, wanted.order, PAGE_ROWS, (wanted.page - 1) * PAGE_ROWS)
    if found.rows or not found.total:
        return found, wanted.page
    last = math.ceil(found.total / PAGE_ROWS)
    return store.listing(wanted.filter, wanted.order, PAGE_ROWS, (last - 1) * PAGE_ROWS), last


def _nothing_yet() -> None:
    st.info(
        "Nothing has been run on this machine yet. Open an experiment and press Run: the run is kept and listed here. The tab Recorded "
        "shows runs that were made elsewhere.",
        icon=":material/science:",
    )
    st.page_link("app.py", label="Choose an experiment", icon=":material/arrow_forward:")


def _nothing_found(state: RunsState) -> None:
    st.info("No run matches these filters.", icon=":material/filter_alt_off:")
    st.button("Clear the filters", key=state.key("clear"), on_click=clear, args=(state,))


def _pages(state: RunsState, page: int, total: int) -> None:
    count = math.ceil(total / PAGE_ROWS)
    first = (page - 1) * PAGE_ROWS + 1
    last = min(first + PAGE_ROWS - 1, total)
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.caption(
            "1 run" if total == 1 else f"Runs {first:,} to {last:,} of {total:,}" if count > 1 else f"{total:,} runs", width="content"
        )
        if count > 1:
            key = widget_key(state.key("page"), page)
            st.pagination(count, key=key, on_change=told(key, lambda chosen: state.want(page=chosen)))


# --- while something is active ------------------------------------------------------------------------------------------------------


def _standing(state: RunsState, shown: Sequence[Listed]) -> None:
    """How the active runs stand, renewed while there are any; the list follows when one of them changes its status."""
    active = _active()
    every = POLL_S if active else None
    st.fragment(_renewed, run_every=every)(state, _seen(shown, active))


@trouble.told_in_part()
def _renewed(state: RunsState, seen: Seen) -> None:
    server.engine().recover()
    active = _active()
    now = _seen(_listing(state.wanted)[0].rows, active)
    if now != seen and state.dialog is None:
        # Rows must not move under the hand of somebody who selects.
        if not state.selected or {row[0] for row in now} == {row[0] for row in seen}:
            state.own_rerun()
            st.rerun()
        with st.container(horizontal=True, vertical_alignment="center"):
            st.caption("The list has changed.", width="content")
            if st.button("Show it as it is now", key=state.key("refresh"), icon=":material/refresh:"):
                state.own_rerun()
                st.rerun()
    for run in active[:SHOWN_ACTIVE]:
        how = server.store().run(run.id)
        words = f"{run.title} · {run_table.experiment(run.workload)} · {live.standing(how)}"
        st.progress(min(max(how.progress, 0.0), 1.0), text=plain(words))
    if len(active) > SHOWN_ACTIVE:
        st.caption(f"and {len(active) - SHOWN_ACTIVE:,} more that are queued or running")


def _active() -> Sequence[Listed]:
    """The active runs, in the order of the queue."""
    return server.store().listing(Filter(statuses=ACTIVE), "oldest", 1000).rows


def _seen(*lists: Sequence[Listed]) -> Seen:
    """What has to change for the list to be drawn anew."""
    return tuple((run.id, run.status, run.started_at, run.pinned, run.name, run.note) for runs in lists for run in runs)


# --- of others ----------------------------------------------------------------------------------------------------------------------


def _recorded(state: RunsState) -> None:
    st.markdown("Runs from the repository, measured by its authors on the hardware named, and never mixed with runs of this machine.")
    with st.spinner("Reading the recorded runs"):
        rows = [
            run_table.of_results(found, f"{workload.title}: {subject}" if subject else workload.title)
            for workload in workloads().values()
            for subject, found in results.recordings(workload.name).items()
        ]
    if not rows:
        st.info("No run is recorded in this copy of the lab.", icon=":material/inventory_2:")
        return
    above = st.container()
    chosen = run_table.table(
        rows, state.key("recorded"), "Recorded runs", state.selected, state.touched, without=("Experiment", "Kept", "Note")
    )
    state.select(chosen)
    with above:
        run_actions.foreign_toolbar(state, [row for row in rows if row.reference in chosen])
