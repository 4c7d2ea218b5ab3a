"""A hint for somebody who opens a page for the first time: one or two sentences above the page's content, gone with a click.

A dismissed hint stays away in this browser session, on every page of its kind. Nothing is kept beyond it: a file on the machine would
hide hints from everybody who shares the lab. What the store knows serves instead: who has run something needs no hint how to.
"""

from __future__ import annotations

import streamlit as st

from lab.ui import server

EXPERIMENT = (
    "**New here?** The lines above say what was found; the evidence follows below the settings. Press Run to measure it on this machine. "
    "Each question mark explains a setting."
)
OVERVIEW = (
    "**New here?** Claims lists every claim with its verdicts. The page of an experiment shows the evidence behind them, and measures it "
    "on your own machine in about a minute."
)
CLAIMS = (
    "**New here?** Every claim is judged twice: as published, and best against best. Press a marker of the picture or select a row of the "
    "table for the evidence behind it."
)
RUNS = "**New here?** Tick the box at the left of a run to open, name, keep or delete it; tick two of one experiment to compare them."
COMPARE = "**New here?** The first run is the reference; the others are held against it. Start with what differs: it explains what moved."
DEVICE = "**New here?** This page says what this machine can measure. A calibration tells how far its figures can be trusted."


def hint(kind: str, text: str, *, about_running: bool = False) -> None:
    """Show ``text`` unless a hint of its ``kind`` was dismissed, or tells how to run something that has been run."""
    key = f"hint:{kind}"
    if st.session_state.get(f"{key}:dismissed") or (about_running and server.store().runs(1)):
        return
    with st.container(border=True):
        said, button = st.columns([7, 1], vertical_alignment="center")
        said.markdown(text)
        button.button("Got it", key=f"{key}:dismiss", icon=":material/close:", type="tertiary", on_click=_dismiss, args=(key,))


def _dismiss(key: str) -> None:
    st.session_state[f"{key}:dismissed"] = True
