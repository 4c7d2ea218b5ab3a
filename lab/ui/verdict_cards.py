"""Verdict cards: for each claim what was claimed, what was measured, the verdict word and its reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Literal

import pandas as pd
import streamlit as st

from lab import formatting
from lab import verdicts as words
from lab.claims import Claim, claims
from lab.ui.text import plain
from lab.verdicts import Verdict

Colour = Literal["red", "orange", "blue", "green", "violet", "gray"]
COMPARISONS = {"published": "As published", "best": "Best against best", "": "Not measured"}
PROTOCOLS = {"published": "Published protocol.", "sound": "Sound protocol."}
_LOOK: dict[str, tuple[Colour, str]] = {
    words.CONTRADICTED: ("red", ":material/cancel:"),
    words.NO_DIFFERENCE: ("orange", ":material/drag_handle:"),
    words.SMALLER: ("orange", ":material/south_east:"),
    words.REPRODUCED: ("green", ":material/check_circle:"),
    words.LARGER: ("blue", ":material/north_east:"),
    words.INCONCLUSIVE: ("violet", ":material/help:"),
    words.NOT_MEASURED: ("gray", ":material/do_not_disturb_on:"),
    words.REPRODUCIBLE: ("green", ":material/rule_settings:"),
}


def look(verdict: str) -> tuple[Colour, str]:
    """Colour and icon of a verdict; always shown together with the word."""
    return next((found for word, found in _LOOK.items() if verdict.startswith(word)), ("gray", ":material/help:"))


def badge(verdict: str) -> None:
    """The verdict as a badge."""
    colour, icon = look(verdict)
    st.badge(plain(verdict), color=colour, icon=icon)


def counts(found: Sequence[Verdict]) -> list[tuple[str, int]]:
    """How often each verdict word occurs, in the order of the words, "reproducible with settings …" as one word."""
    tally = Counter(next((word for word in words.WORDS if verdict.verdict.startswith(word)), verdict.verdict) for verdict in found)
    return [(word, tally[word]) for word in words.WORDS if tally[word]]


def cards(found: Sequence[Verdict]) -> None:
    """One card for each claim, comparisons side by side, cells inside their table's card; what was not measured comes last, as a list."""
    by_claim: dict[str, list[Verdict]] = {}
    for verdict in found:
        by_claim.setdefault(verdict.claim_id, []).append(verdict)
    unmeasured = [claim_id for claim_id, rows in by_claim.items() if all(row.verdict == words.NOT_MEASURED for row in rows)]
    for claim_id, rows in by_claim.items():
        claim = claims()[claim_id]
        if claim_id not in unmeasured and claim.table not in by_claim:
            _card(claim, rows, [row for cell in claim.cells for row in by_claim.get(cell, ())])
    apart = [claim_id for claim_id in unmeasured if claims()[claim_id].table not in by_claim]
    if apart:
        with st.expander(f"{len(apart)} {'claim' if len(apart) == 1 else 'claims'} not measured in this run"):
            for claim_id in apart:
                claim = claims()[claim_id]
                reasons = dict.fromkeys(row.reason for row in by_claim[claim_id])
                st.markdown(f"**{plain(claim.statement)}** · claimed {plain(claim.claimed_text)}  \n:small[{plain(' '.join(reasons))}]")


def _card(claim: Claim, rows: Sequence[Verdict], cells: Sequence[Verdict]) -> None:
    with st.container(border=True):
        st.markdown(f"#### {plain(claim.statement)}")
        st.markdown(f"Claimed: **{plain(claim.claimed_text)}**  \n:small[:gray[{plain(claim.source)}]]")
        groups = [(name, [row for row in rows if row.comparison == name]) for name in COMPARISONS]
        shown = [(name, group) for name, group in groups if group]
        for column, (name, group) in zip(st.columns(len(shown), gap="medium"), shown, strict=True):
            with column:
                _comparison(COMPARISONS[name], claim, group)
        if cells:
            with st.expander(f"The {len({row.claim_id for row in cells})} cells of this table"):
                st.dataframe(_cell_table(cells), hide_index=True, alt=f"Verdict of each cell of: {claim.statement}")
        notes = [*([claim.note] if claim.note else []), "Evidence: " + " / ".join(dict.fromkeys(row.evidence for row in rows)) + "."]
        st.caption("  \n".join(plain(note) for note in notes))


def _comparison(title: str, claim: Claim, rows: Sequence[Verdict]) -> None:
    # The published protocol leads as published; best against best is led by the one the lab recommends.
    leads = "published" if rows[0].comparison == "published" else "sound"
    first, *others = sorted(rows, key=lambda row: (row.verdict == words.NOT_MEASURED, row.protocol != leads))
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        st.metric(title, "–" if first.measured is None else formatting.quantity(first.measured, claim.unit), width="content")
        badge(first.verdict)
    st.markdown(_explained(first))
    if others:
        with st.expander(f"{len(others)} more {'comparison' if len(others) == 1 else 'comparisons'}"):
            for row in others:
                badge(row.verdict)
                st.markdown(_explained(row))


def _explained(row: Verdict) -> str:
    """Why, after the protocol it holds for."""
    return f":gray[{PROTOCOLS[row.protocol]}] {plain(row.reason)}" if row.protocol else plain(row.reason)


def _cell_table(cells: Sequence[Verdict]) -> pd.DataFrame:
    rows = []
    for row in cells:
        claim = claims()[row.claim_id]
        measured = formatting.estimate(row.measured, row.ci_low, row.ci_high, claim.unit)
        rows.append((claim.label, COMPARISONS[row.comparison], claim.claimed_text, measured, row.verdict, row.reason))
    return pd.DataFrame(rows, columns=["Cell", "Comparison", "Claimed", "Measured", "Verdict", "Reason"])
