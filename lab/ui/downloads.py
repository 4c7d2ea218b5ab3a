"""What a reader takes away: the report, the four files, one archive of them, the links, the command that repeats the run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import urlencode

import streamlit as st

from lab import environment, report
from lab.collection import Origin
from lab.ui import server
from lab.ui.page_state import PageState
from lab.ui.results import Results

MIME = {"csv": "text/csv", "json": "application/json", "zip": "application/zip"}
WHAT = {
    "run.zip": "All files",
    "verdicts.csv": "Verdicts",
    "summary.csv": "Summary",
    "records.csv": "Raw records",
    "manifest.json": "Manifest",
    "run.json": "Everything",
}
REPORT_HELP = (
    "One file with verdicts, charts that zoom, method, environment and all data, to read offline, print or attach to a review. "
    f"It holds at most {report.MAX_RUNS} runs."
)
ORIGINS: Mapping[Origin, str] = {
    "local": "This run, on this machine",
    "imported": "This imported run, on this machine",
    "recorded": "This recorded run, on any machine",
}


def downloads(found: Results, key: str) -> None:
    """A button for each file; ``key`` tells those of one run from another's."""
    with st.container(horizontal=True):
        report_button([found.reference], key, primary=True)
        for file, label in WHAT.items():
            ending = file.rpartition(".")[2]
            st.download_button(
                f"{label} ({ending.upper()})",
                found.files[file],
                f"{found.view.run_id}-{file}" if not file.startswith("run.") else f"{found.view.run_id}.{ending}",
                MIME[ending],
                key=f"{key}:{file}",
                on_click="ignore",  # a download changes nothing on the page
                icon=":material/download:",
            )


def report_button(references: Sequence[str], key: str, *, primary: bool = False) -> None:
    """A button for one HTML report on one or several runs that have ended; it is made when the button is pressed."""
    store = server.store()

    def make() -> bytes:
        return report.document([report.Subject.of(store, reference) for reference in references])

    several = len(references) > 1
    name = f"{len(references)}-runs" if several else "".join(references).replace("/", "-")
    st.download_button(
        f"Report on {len(references)} runs (HTML)" if several else "Report (HTML)",
        make,
        f"efficiency-lab-{name}.html",
        "text/html",
        key=f"{key}:report",
        help=REPORT_HELP,
        on_click="ignore",
        type="primary" if primary else "secondary",
        icon=":material/description:",
        disabled=not 1 <= len(references) <= report.MAX_RUNS,
    )


def links(state: PageState, found: Results | None) -> None:
    """Permalinks of the run and of the settings, and the command that does the same without a browser."""
    address = st.context.url or ""
    settings = urlencode(state.choice.settings_query(state.workload, state.kind))
    if found is not None:
        st.caption(ORIGINS[found.origin])
        st.code(f"{address}?{urlencode({'run': found.reference}, safe='/')}", language=None, wrap_lines=True)
    st.caption("These settings, on any machine")
    st.code(f"{address}?{settings}", language=None, wrap_lines=True)
    st.caption("The same from the command line")
    own = found is not None and found.reference == state.choice.run
    command = found.view.manifest.get("command", "") if found is not None and own else ""
    st.code(command or _command(state), language=None, wrap_lines=True)


def _command(state: PageState) -> str:
    device = environment.device_kind(state.kind)
    preset = state.choice.preset(state.workload, state.kind)
    return environment.reproducing_command(state.workload.name, preset, dict(state.choice.texts), device)
