"""The frame of every page: its title in the browser, the navigation, the foot of the sidebar.

Pages are found by Streamlit's discovery of ``pages/`` (a deep link works right after the server starts); the navigation is drawn here.
"""

from __future__ import annotations

from pathlib import Path

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from lab.ui import server
from lab.ui.text import plain
from lab.workload import Workload, workloads

NAME = "Efficiency Lab"
# Two of Streamlit's choices cannot be read by everybody (contrast below WCAG's 4.5): white on a primary button where the accent is light,
# and captions at 60 % of the text's strength.
STYLE = """<style>
[data-testid="stBaseButton-primary"]:not(:disabled) :is(p, span) { color: light-dark(#FFFFFF, #11161D); }
[data-testid="stCaptionContainer"] { opacity: 0.75; }
</style>"""


def frame(title: str = "") -> None:
    """Set up the page called ``title`` ("" for the overview) and draw the sidebar."""
    st.set_page_config(page_title=f"{title} · {NAME}" if title else NAME, page_icon="⚖️", layout="wide")
    st.html(STYLE)
    with st.sidebar:
        st.markdown(f"**{NAME}**")
        st.page_link("app.py", label="Overview", icon=":material/home:")
        for workload in with_page():
            st.page_link(page(workload), label=workload.title, icon=":material/experiment:")
        st.page_link("pages/device.py", label="Device", icon=":material/memory:")
        st.caption("Everything runs on this machine and stays on it.")
        for notice in filter(None, (server.store().notice, server.store().retention_notice())):
            st.warning(plain(notice), icon=":material/inventory_2:")


def with_page() -> list[Workload]:
    """The workloads that have a page in this app."""
    context = get_script_run_ctx()
    root = Path(context.main_script_path).parent if context else Path()
    return [workload for workload in workloads().values() if (root / page(workload)).is_file()]


def page(workload: Workload) -> str:
    """The path of a workload's page, from the folder of the start page."""
    return f"pages/{workload.name}.py"


def run_link(reference: str, workload: Workload) -> tuple[str, dict[str, str]]:
    """Page and query that show the run called ``reference`` (``lab.collection``), a run of ``workload``: for ``st.page_link``."""
    return ("pages/device.py" if workload.instrument else page(workload)), {"run": reference}
