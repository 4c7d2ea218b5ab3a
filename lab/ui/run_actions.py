"""What can be done with selected runs: open, name, keep, cancel, compare, delete."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import streamlit as st

from lab import formatting
from lab.comparison import MAX_RUNS
from lab.parameters import ParameterError
from lab.store import MAX_NAME, MAX_NOTE, StoreError, UnknownRun
from lab.ui import compare_query, results, server, shell
from lab.ui.downloads import report_button
from lab.ui.run_table import Row
from lab.ui.runs_state import Dialog, RunsState
from lab.ui.text import plain
from lab.workload import workloads

ELSEWHERE, COMPARE_PAGE = "app.py", "pages/compare.py"  # the first: where a link leads that is disabled
COMPARE_HELP = f"Select 2 to {MAX_RUNS} runs of one experiment."
NAMED = 8  # runs that a question names; more are counted
KEEP_HELP = "The store holds a limited number of runs and removes the oldest first; a run that is kept is never removed."


def toolbar(state: RunsState, rows: Sequence[Row]) -> None:
    """What can be done with the selected ``rows`` of this machine. Every button is always there, so that nothing jumps."""
    none, one = not rows, len(rows) == 1
    active = [row for row in rows if row.active]
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        _look(state, rows)
        _button(state, "Name and note", "edit", not one, lambda: state.open(Dialog("describe", tuple(rows))))
        if rows and all(row.kept for row in rows):
            _button(state, "Keep no longer", "keep_off", none, lambda: _keep(state, rows, False), KEEP_HELP)
        else:
            _button(state, "Keep", "keep", none, lambda: _keep(state, rows, True), KEEP_HELP)
        _button(state, "Cancel", "stop", not active, lambda: _cancel(state, active))
        _button(state, "Delete", "delete", none, lambda: state.open(Dialog("delete", tuple(rows))))
    st.caption(_selected(rows))


def foreign_toolbar(state: RunsState, rows: Sequence[Row]) -> None:
    """What can be done with selected runs that are not of this machine."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        _look(state, rows)
    st.caption(_selected(rows))


def _look(state: RunsState, rows: Sequence[Row]) -> None:
    """Open the one, compare the several, report on any."""
    page, query = _page(rows[0]) if len(rows) == 1 else ("", {})
    st.page_link(page or ELSEWHERE, label="Open", icon=":material/open_in_new:", query_params=query, disabled=not page)
    if shell.exists(COMPARE_PAGE):
        comparable = 2 <= len(rows) <= MAX_RUNS and len({row.workload for row in rows}) == 1
        query = compare_query.write(_references(rows)) if comparable else {}
        label, icon = "Compare", ":material/compare_arrows:"
        st.page_link(COMPARE_PAGE, label=label, icon=icon, query_params=query, disabled=not comparable, help=COMPARE_HELP)
    report_button([row.reference for row in rows if not row.active], state.key("selected"))


def _page(row: Row) -> tuple[str, dict[str, str]]:
    """Page and query that show the run; ("", {}) where this app has no such page."""
    known = workloads()
    if row.workload not in known:
        return "", {}
    page, query = shell.run_link(row.reference, known[row.workload])
    return (page, query) if shell.exists(page) else ("", {})


def dialog(state: RunsState) -> None:
    """Draw the dialog that is open, if one is."""
    opened = state.dialog
    if opened is None:
        return
    title, content = ("Name and note", _describe) if opened.purpose == "describe" else (f"Delete {_runs(len(opened.rows))}?", _delete)
    st.dialog(title, on_dismiss=state.close)(content)(state, opened)


def _delete(state: RunsState, opened: Dialog) -> None:
    rows = opened.rows
    st.markdown("\n".join(f"- **{plain(row.title)}**: {plain(_what(row))}" for row in rows[:NAMED]))
    if len(rows) > NAMED:
        st.markdown(f"and {_runs(len(rows) - NAMED)} more")
    kept = sum(row.kept for row in rows)
    if kept:
        st.warning(f"{'One of them is' if kept == 1 and len(rows) > 1 else 'This is' if len(rows) == 1 else f'{kept} of them are'} kept.")
    st.markdown(
        "Measurements, verdicts, logs, name and note go with it, and links to it will find nothing. This cannot be undone: "
        "download what you want to keep from its page first."
    )
    with st.container(horizontal=True):
        pressed = st.button(f"Delete {_runs(len(rows))}", icon=":material/delete:", key=state.key("really delete"))
        if st.button("Do not delete", key=state.key("do not delete")):
            state.close()
            st.rerun()
    # A second, quick press may come when the first has been answered: the dialog is closed then.
    if pressed and state.dialog == opened:
        _each(state, rows, _delete_one)
        state.close()
        st.rerun()


def _describe(state: RunsState, opened: Dialog) -> None:
    (row,) = opened.rows
    with st.form(state.key("description"), border=False):
        name = st.text_input(
            "Name", row.name, max_chars=MAX_NAME, placeholder=row.reference, help="Instead of the id, wherever runs are listed."
        )
        note = st.text_area("Note", row.note, max_chars=MAX_NOTE, height=150)
        saved = st.form_submit_button("Save", icon=":material/save:")
    if not saved or state.dialog != opened:
        return
    try:
        server.store().describe(row.reference, name=name, note=note)
    except UnknownRun:
        st.error("The run is not there any more: it was deleted elsewhere.", icon=":material/error:")
        return
    except (ParameterError, StoreError) as error:  # what was typed stays
        st.error(plain(str(error)), icon=":material/error:")
        return
    state.close()
    st.rerun()


def _keep(state: RunsState, rows: Sequence[Row], kept: bool) -> None:
    state.touched()
    _each(state, rows, lambda row: server.store().pin(row.reference, kept))


def _cancel(state: RunsState, rows: Sequence[Row]) -> None:
    state.touched()
    _each(state, rows, lambda row: server.engine().cancel(row.reference))


def _delete_one(row: Row) -> None:
    server.store().delete(row.reference)
    results.forget(row.reference)


def _each(state: RunsState, rows: Sequence[Row], action: Callable[[Row], None]) -> None:
    """Do it with every run, whatever happens with one of them, and say what did not work."""
    said = []
    for row in rows:
        try:
            action(row)
        except UnknownRun:
            results.forget(row.reference)
            said.append(f"{row.title} is not there any more: it was deleted elsewhere.")
        except (ParameterError, StoreError) as error:
            said.append(str(error))
    state.say(said)


def _button(state: RunsState, label: str, icon: str, disabled: bool, action: Callable[[], None], help: str | None = None) -> None:
    st.button(label, key=state.key(f"do {label}"), icon=f":material/{icon}:", disabled=disabled, on_click=action, help=help)


def _references(rows: Sequence[Row]) -> list[str]:
    return [row.reference for row in rows]


def _selected(rows: Sequence[Row]) -> str:
    if not rows:
        return "Select runs in the first column."
    apart = len({row.workload for row in rows}) > 1
    return f"{_runs(len(rows))} selected" + (", of several experiments: only runs of one can be compared" if apart else "")


def _what(row: Row) -> str:
    started = formatting.moment(row.started_at) if row.started_at is not None else "never started"
    return f"{row.experiment}, {started}, {row.status}"


def _runs(count: int) -> str:
    return "1 run" if count == 1 else f"{count:,} runs"
