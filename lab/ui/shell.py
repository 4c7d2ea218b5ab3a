"""The frame of every page: its title in the browser, the navigation, the foot of the sidebar.

Pages are found by Streamlit's discovery of ``pages/`` (a deep link works right after the server starts); the navigation is drawn here.
"""

from __future__ import annotations

from pathlib import Path

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from lab.ui import server, trouble
from lab.ui.text import plain
from lab.workload import Workload, workloads

NAME = "Efficiency Lab"
GLOSSARY = "pages/glossary.py"
# What the theme (.streamlit/config.toml) cannot say. Some of Streamlit's colours cannot be read by everybody (contrast below WCAG's 4.5 for
# text, 3 for the edge of a field and the ring of the focus): white on a primary button where the accent is light, captions at 60 % of the
# text's strength, the axes of charts, edges, the ring. The anchors of headings would double the stops of whoever goes by keyboard, and lead
# nowhere new. A table's own download writes cells that a spreadsheet would execute; the files that pages offer guard them.
STYLE = """<style>
[data-testid="stBaseButton-primary"]:not(:disabled) :is(p, span) { color: light-dark(#FFFFFF, #11161D); }
[data-testid="stCaptionContainer"] { opacity: 0.75; }
[data-testid="stPlotlyChart"] :is(.xtick, .ytick, .cbaxis, .shape-label) text,
[data-testid="stPlotlyChart"] :is(.xtitle, .ytitle, .cbtitle, .annotation-text) { fill: light-dark(#4A5663, #C3CCD6) !important; }
:is([data-testid="stTextInputRootElement"], [data-testid="stNumberInputContainer"]):not(:focus-within) {
  border-color: light-dark(#808D9A, #75828F);
}
:is(a, button, summary, [role="tab"], [role="tabpanel"]):focus-visible {
  outline: 2px solid light-dark(#005A8F, #6CB8EC) !important; outline-offset: 2px;
}
[data-testid="stMain"]:focus-visible { outline: 2px solid light-dark(#005A8F, #6CB8EC); outline-offset: -2px; }
[data-testid="stHeaderActionElements"],
[data-testid="stBaseButton-elementToolbar"][aria-label^="Download as CSV"] { display: none; }
[data-testid="stMainBlockContainer"] { padding-top: 4rem; }
@media (prefers-reduced-motion: reduce) {
  *, *::before, *::after {
    animation-duration: 1ms !important; animation-iteration-count: 1 !important; transition-duration: 1ms !important;
  }
}
</style>"""


def frame(title: str = "") -> None:
    """Set up the page called ``title`` ("" for the overview) and draw the sidebar."""
    st.set_page_config(page_title=f"{title} · {NAME}" if title else NAME, page_icon="⚖️", layout="wide")
    st.html(STYLE)
    with st.sidebar:
        st.markdown(f"**{NAME}**")
        _links((("app.py", "Overview", "home"), ("pages/claims.py", "Claims", "balance")))
        st.caption("Experiments")
        _links(tuple((page(workload), workload.title, "experiment") for workload in with_page()))
        st.caption("Runs")
        _links((("pages/runs.py", "Runs", "history"), ("pages/compare.py", "Compare", "compare_arrows")))
        st.caption("Reference")
        _links((("pages/device.py", "Device", "memory"), (GLOSSARY, "Glossary", "menu_book")))
        st.caption("Everything runs on this machine and stays on it.")
        notice = server.store().retention_notice()
        if notice:
            st.warning(plain(notice), icon=":material/inventory_2:")
    trouble.notices()


def _links(targets: tuple[tuple[str, str, str], ...]) -> None:
    """A link to each page (path, label, icon) that this app has."""
    for path, label, icon in targets:
        if exists(path):
            st.page_link(path, label=label, icon=f":material/{icon}:")


def exists(path: str) -> bool:
    """Whether this app has the page ``path``, from the folder of the start page."""
    context = get_script_run_ctx()
    return ((Path(context.main_script_path).parent if context else Path()) / path).is_file()


def with_page() -> list[Workload]:
    """The workloads that have a page in this app."""
    return [workload for workload in workloads().values() if exists(page(workload))]


def glossary_link(label: str, words: str) -> None:
    """A link to the glossary, at ``words``."""
    if exists(GLOSSARY):
        st.page_link(GLOSSARY, label=label, icon=":material/menu_book:", query_params={"find": words})


def page(workload: Workload) -> str:
    """The path of a workload's page, from the folder of the start page."""
    return f"pages/{workload.name}.py"


def run_link(reference: str, workload: Workload) -> tuple[str, dict[str, str]]:
    """Page and query that show the run called ``reference`` (``lab.collection``), a run of ``workload``: for ``st.page_link``."""
    return ("pages/device.py" if workload.instrument else page(workload)), {"run": reference}
