"""The imported runs on the page of runs: bring one in, open it, remove it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from lab import formatting
from lab.bundle_check import ImportRefused
from lab.imports import Imported, Imports, part
from lab.parameters import ParameterError
from lab.ui import compare_query, results, server, shell
from lab.ui.text import plain
from lab.workload import Workload, workloads

SHOWN = 20  # imported runs at first; further ones are a click away
MAX_NAME = 60  # characters of a file's name in a message
COMPARE_PAGE = "pages/compare.py"
KEY = "imports"
ABOUT = (
    "A run that was exported on another machine: the zip of its page or report, or its manifest.json and records.csv together. "
    "It stands beside the runs of this machine, is never taken for one of them, and its verdicts follow from its records by this version "
    "of the lab. Nothing in it is executed, and nothing of it leaves this machine."
)
NOTHING = "Nothing is imported yet. Ask somebody for the zip that their page or report offers, and compare their machine with this one."


@dataclass(frozen=True)
class _Outcome:
    """What came of one import: the run and whether it had been there before, or why it was refused."""

    file: str
    reference: str = ""
    known: bool = False
    refusal: str = ""


def label(run: Imported) -> str:
    """Where an imported run comes from, in one sentence for every place that shows it."""
    return f"Imported; measured on {run.hardware} on {formatting.date(run.measured_at)}; not checked by this machine."


def section() -> None:
    """Draw the uploader, what came of the latest import, and the imported runs."""
    imports = Imports(server.store().home)
    _uploader(imports)
    for outcome in st.session_state.get(f"{KEY}:outcomes", []):
        _tell(imports, outcome)
    _list(imports)


def notices(reference: str) -> tuple[str, ...]:
    """What there is to say of an imported run beside what it shows; nothing where it was removed meanwhile."""
    try:
        return Imports(server.store().home).get(reference).notices
    except ParameterError:
        return ()


# --- bringing one in ------------------------------------------------------------------------------------------------------------


def _uploader(imports: Imports) -> None:
    with st.container(border=True):
        st.markdown(plain(ABOUT))
        turn = st.session_state.setdefault(f"{KEY}:turn", 0)  # a new key empties the uploader
        chosen = st.file_uploader(
            "Exported runs",
            type=["zip", "json", "csv"],
            accept_multiple_files=True,
            key=f"{KEY}:files:{turn}",
            max_upload_size=imports.limits.upload_bytes >> 20,
            help="Whole runs as zip or JSON, any number of them; or manifest.json and records.csv of one run.",
        )
        if st.button("Import", key=f"{KEY}:send", icon=":material/upload_file:", type="primary", disabled=not chosen):
            with st.spinner("Checking what the files hold"):
                st.session_state[f"{KEY}:outcomes"] = _import(imports, chosen)
            st.session_state[f"{KEY}:turn"] = turn + 1
            st.rerun()


def _import(imports: Imports, chosen: Sequence[UploadedFile]) -> list[_Outcome]:
    """Import each whole run, and the other files together as one run."""
    before = {run.reference for run in imports.all()}

    def outcome(names: str, add: Callable[[], str]) -> _Outcome:
        try:
            reference = add()
        except ImportRefused as error:
            return _Outcome(names, refusal=f"Not imported: {error}.")
        return _Outcome(names, reference, known=reference in before)

    parts = [(file.name, file.getvalue()) for file in chosen if part(file.name)]
    outcomes = [outcome(file.name, partial(imports.add, file.getvalue())) for file in chosen if not part(file.name)]
    if parts:
        outcomes.append(outcome(", ".join(name for name, _ in parts), partial(imports.add_files, parts)))
    return outcomes


def _tell(imports: Imports, outcome: _Outcome) -> None:
    if outcome.refusal:
        name = f"{outcome.file[:MAX_NAME]}: " if outcome.file else ""
        st.error(plain(f"{name}{outcome.refusal}"), icon=":material/error:")
        return
    try:
        run = imports.get(outcome.reference)
    except ParameterError:  # removed since
        return
    before = " It had been imported before, and stays once." if outcome.known else ""
    st.success(plain(f"{outcome.file[:MAX_NAME]}: {_title(run)}. {label(run)}{before}"), icon=":material/check:")


# --- what is there --------------------------------------------------------------------------------------------------------------


def _list(imports: Imports) -> None:
    runs = imports.all()
    if not runs:
        st.info(NOTHING, icon=":material/inventory_2:")
        return
    st.markdown(f"**{len(runs):,} imported {'run' if len(runs) == 1 else 'runs'}**, of at most {imports.limits.runs:,}")
    shown = st.session_state.setdefault(f"{KEY}:shown", SHOWN)
    for run in runs[:shown]:
        with st.container(border=True, key=f"{KEY}:run:{run.id}"):
            _run(imports, run)
    if len(runs) > shown:
        st.button(f"Show {min(SHOWN, len(runs) - shown)} more", key=f"{KEY}:more", on_click=_show_more)


def _run(imports: Imports, run: Imported) -> None:
    imported = f"imported {formatting.time_of_day(run.imported_at)}" if run.imported_at else "imported at an unknown time"
    if run.problem:
        st.markdown(f"**{plain(run.reference)}**")
        st.error(plain(f"This run {run.problem}."), icon=":material/error:")
    else:
        st.markdown(f"**{plain(_title(run))}** · {plain(label(run))}")
        early = "" if run.status == "finished" else f" · ended early ({run.status})"
        st.caption(plain(f"Run {run.run_id}, preset {run.preset}{early} · {imported} as {run.reference}"))
    for notice in run.notices:
        st.warning(plain(notice), icon=":material/difference:")
    with st.container(horizontal=True, vertical_alignment="center"):
        declared = workloads().get(run.workload)
        if declared is not None and not run.problem:
            _links(run, declared)
        with st.popover("Remove", icon=":material/delete:"):
            st.markdown("The run and its files go for good. Whoever exported it still has theirs.")
            st.button("Remove this run", key=f"{KEY}:remove:{run.id}", type="primary", on_click=_remove, args=(imports, run))


def _links(run: Imported, declared: Workload) -> None:
    page, query = shell.run_link(run.reference, declared)
    if shell.exists(page):
        st.page_link(page, label="Open", query_params=query, icon=":material/open_in_new:", help="The run with its charts and verdicts")
    if shell.exists(COMPARE_PAGE):
        query = compare_query.write([run.reference])
        st.page_link(COMPARE_PAGE, label="Compare", query_params=query, icon=":material/compare_arrows:", help="With a run of this machine")


def _title(run: Imported) -> str:
    declared = workloads().get(run.workload)
    return declared.title if declared is not None else run.workload


def _show_more() -> None:
    st.session_state[f"{KEY}:shown"] += SHOWN


def _remove(imports: Imports, run: Imported) -> None:
    st.session_state.pop(f"{KEY}:outcomes", None)
    try:
        imports.remove(run.id)
    except ParameterError:  # removed in another browser meanwhile
        pass
    except OSError as error:
        st.toast(plain(f"The run cannot be removed: {error.strerror}."), icon=":material/error:")
        return
    results.forget(run.reference)
