"""The overview: what the lab answers, which claims hold, what it runs on, and every experiment with its recorded result."""

from __future__ import annotations

import streamlit as st

from lab import formatting
from lab.ui import board_data, hints, results, server, shell, trouble
from lab.ui.claims_page import summary
from lab.ui.text import plain
from lab.ui.verdict_cards import counts, look
from lab.workload import Workload

ANSWER = (
    "Efficiency Lab puts AI-energy-efficiency claims to the test on the machine in front of you. Each experiment runs a technique "
    "against its baseline, as published and best against best, and ends in verdicts: claimed, measured with its interval, and why."
)


@trouble.told()
def show() -> None:
    """Draw the overview."""
    shell.frame()
    st.title(shell.NAME)
    st.markdown(ANSWER)
    hints.hint("overview", hints.OVERVIEW)
    st.header("Which claims hold", divider="gray")
    summary(board_data.of("recorded").rows)
    st.page_link("pages/claims.py", label="Every claim, claimed against measured", icon=":material/balance:")
    st.info(plain(server.device_sentence()), icon=":material/memory:")
    st.header("Experiments", divider="gray")
    experiments = shell.with_page()
    if not experiments:
        st.caption("No experiment is installed.")
    for start in range(0, len(experiments), 2):
        for column, declared in zip(st.columns(2), experiments[start : start + 2], strict=False):
            with column:
                _card(declared)


def _card(declared: Workload) -> None:
    with st.container(border=True):
        st.markdown(f"### {plain(declared.title)}")
        st.markdown(plain(declared.question))
        st.caption(f"Source: {plain(declared.source)}")
        recordings = results.recordings(declared.name)
        if not recordings:
            st.caption("No recorded run yet: run it here.")
        for subject, recorded in recordings.items():
            if subject:
                st.markdown(f"**{plain(subject.capitalize())}**")
            manifest = recorded.view.manifest
            with st.container(horizontal=True):
                for word, count in counts(recorded.verdicts):
                    colour, icon = look(word)
                    st.badge(f"{count} {word}", color=colour, icon=icon)
            date = formatting.date(str(manifest.get("started_at", "")))
            st.caption(plain(f"Recorded on {manifest.get('hardware', 'unknown hardware')}, {date}"))
        st.page_link(shell.page(declared), label="Open the experiment", icon=":material/arrow_forward:")
