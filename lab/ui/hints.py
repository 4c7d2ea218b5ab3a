"""A hint for somebody who opens a page for the first time: one or two sentences above the page's content, gone with a click.

A dismissed hint stays away in this browser session, on every page of its kind. Nothing is kept beyond it: a file on the machine would
hide hints from everybody who shares the lab. What the store knows serves instead: who has run something needs no hint how to.
"""

from __future__ import annotations

import streamlit as st

from lab.ui import server

EXPERIMENT = (
    "**New here?** The lines above say what a recorded run found. To measure it on this machine, leave the preset at Quick and press Run; "
    "verdicts, charts and files follow below. A question mark explains each setting."
)
OVERVIEW = (
    "**New here?** Claims shows every claim with its verdict in one table. An experiment's page shows the evidence behind it, and runs it "
    "on your own machine in about a minute."
)
DEVICE = "**New here?** This page says what this machine can measure. A calibration tells how far its figures can be trusted."


def hint(kind: str, text: str, *, about_running: bool = False) -> None:
    """Show ``text`` unless a hint of its ``kind`` was dismissed, or tells how to run something that has been run."""
    key = f"hint:{kind}"
    if st.session_state.get(f"{key}:dismissed") or (about_running and server.store().runs(1)):
        return
    with st.container(border=True, horizontal=True, vertical_alignment="center", key=key):
        st.markdown(text, width="stretch")
        st.button("Got it", key=f"{key}:dismiss", icon=":material/close:", type="tertiary", on_click=_dismiss, args=(key,))


def _dismiss(key: str) -> None:
    st.session_state[f"{key}:dismissed"] = True
