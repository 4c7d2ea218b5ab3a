"""Verdict cards: for each claim what was claimed, what was measured, the verdict word and its reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Literal

import streamlit as st

from lab import formatting
from lab import verdicts as words
from lab.claims import Claim, claims
from lab.ui.text import plain
from lab.verdicts import Verdict

Colour = Literal["red", "orange", "blue", "green", "violet", "gray"]
COMPARISONS = {"published": "As published", "best": "Best against best", "": "Not measured"}
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
    """One card for each claim, in the order given, its comparisons side by side; claims nothing was measured for come last, as a list."""
    by_claim: dict[str, list[Verdict]] = {}
    for verdict in found:
        by_claim.setdefault(verdict.claim_id, []).append(verdict)
    unmeasured = {claim_id: rows for claim_id, rows in by_claim.items() if all(row.verdict == words.NOT_MEASURED for row in rows)}
    for claim_id, rows in by_claim.items():
        if claim_id not in unmeasured:
            _card(claims()[claim_id], rows)
    if unmeasured:
        with st.expander(f"{len(unmeasured)} more {'claim' if len(unmeasured) == 1 else 'claims'}: not measured in this run"):
            for claim_id, rows in unmeasured.items():
                claim = claims()[claim_id]
                st.markdown(f"**{plain(claim.statement)}** · claimed {plain(claim.claimed_text)}")
                for reason in dict.fromkeys(row.reason for row in rows):
                    st.caption(plain(reason))


def _card(claim: Claim, rows: Sequence[Verdict]) -> None:
    with st.container(border=True):
        st.markdown(f"#### {plain(claim.statement)}")
        st.caption(f"Claimed: **{plain(claim.claimed_text)}** · {plain(claim.source)}")
        groups = [(name, [row for row in rows if row.comparison == name]) for name in COMPARISONS]
        shown = [(name, group) for name, group in groups if group]
        for column, (name, group) in zip(st.columns(max(2, len(shown)), gap="large"), shown, strict=False):
            with column:
                _comparison(COMPARISONS[name], claim, group)
        if claim.note:
            st.caption(f":material/info: {plain(claim.note)}")


def _comparison(title: str, claim: Claim, rows: Sequence[Verdict]) -> None:
    first, *others = sorted(rows, key=lambda row: row.verdict == words.NOT_MEASURED)
    st.markdown(f"**{title}**")
    badge(first.verdict)
    if first.measured is not None:
        span = formatting.interval(first.ci_low, first.ci_high, claim.unit)
        st.metric("Measured", formatting.quantity(first.measured, claim.unit))
        st.caption(f"95 % interval {plain(span)}" if span else "Counted exactly: no interval")
    st.markdown(plain(first.reason))
    st.caption(plain(first.evidence))
    if others:
        with st.expander(f"{len(others)} more {'comparison' if len(others) == 1 else 'comparisons'}"):
            for row in others:
                badge(row.verdict)
                st.markdown(plain(row.reason))
