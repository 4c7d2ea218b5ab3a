"""Verdicts on a page: what a run says in a line, then of each claim what was claimed, what was measured, the verdict and its reason."""

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

NEW_LINE = "  \n"  # in Markdown
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
    """The verdict as a badge of its own."""
    st.markdown(badge_text(verdict))


def badge_text(verdict: str, count: int | None = None) -> str:
    """The verdict as a badge within a line of Markdown, with how many there are of it."""
    colour, icon = look(verdict)
    counted = "" if count is None else f"{count:,} "
    return f":{colour}-badge[{icon} {counted}{plain(verdict)}]"


def counts(found: Sequence[Verdict]) -> list[tuple[str, int]]:
    """How often each verdict word occurs, in the order of the words, "reproducible with settings …" as one word.

    A table counts as its cells: its own row only sums them up.
    """
    tables = {claims()[verdict.claim_id].table for verdict in found}
    counted = [verdict for verdict in found if verdict.claim_id not in tables]
    tally = Counter(next((word for word in words.WORDS if verdict.verdict.startswith(word)), verdict.verdict) for verdict in counted)
    return [(word, tally[word]) for word in words.WORDS if tally[word]]


def answer(found: Sequence[Verdict], where: str) -> None:
    """What a run says in two lines: its leading claim with its verdicts, and how many verdicts of each word there are.

    ``where``: what was measured on and when, in words.
    """
    tally = " ".join(badge_text(word, count) for word, count in counts(found))
    by_claim = _by_claim(found)
    leading = next((claim_id for claim_id, rows in by_claim.items() if _judged(rows) and claims()[claim_id].table not in by_claim), "")
    if leading:
        found_out = _in_a_line(claims()[leading], by_claim[leading])
        said = f"**{plain(claims()[leading].statement)}**, {_claimed(claims()[leading])}.{NEW_LINE}{found_out[0].upper()}{found_out[1:]}"
    else:
        said = f"**No claim could be judged.** {plain(found[0].reason)}"
    total = sum(count for _, count in counts(found))
    st.markdown(f"{said}{NEW_LINE}:small[{plain(where)}, {total:,} {'verdict' if total == 1 else 'verdicts'}:] {tally}")


def cards(found: Sequence[Verdict], key: str) -> None:
    """One line for each claim, which opens to what it rests on; what was not measured comes last, as a list.

    A claim that stands alone is open. Comparisons stand side by side, cells inside their table. ``key`` tells those of one run from
    another's.
    """
    st.fragment(_cards)(found, key)  # a fragment: opening a line draws the lines again, not the page


def _cards(found: Sequence[Verdict], key: str) -> None:
    by_claim = _by_claim(found)
    unmeasured = [claim_id for claim_id, rows in by_claim.items() if not _judged(rows)]
    shown = [claim_id for claim_id in by_claim if claim_id not in unmeasured and claims()[claim_id].table not in by_claim]
    for claim_id in shown:
        claim, rows = claims()[claim_id], by_claim[claim_id]
        line = f"**{plain(claim.statement)}**, {_claimed(claim)} · {_in_a_line(claim, rows)}"
        with st.expander(line, expanded=len(shown) == 1, key=f"{key}:{claim_id}", on_change="rerun") as opened:
            if opened.open:
                _card(claim, rows, [row for cell in claim.cells for row in by_claim.get(cell, ())])
    apart = [claim_id for claim_id in unmeasured if claims()[claim_id].table not in by_claim]
    if apart:
        with st.expander(f"{len(apart)} {'claim' if len(apart) == 1 else 'claims'} not measured in this run", expanded=not shown):
            for claim_id in apart:
                claim = claims()[claim_id]
                reasons = NEW_LINE.join(f":small[{plain(reason)}]" for reason in words.reasons(by_claim[claim_id]))
                st.markdown(f"**{plain(claim.statement)}** · claimed {plain(claim.claimed_text)}{NEW_LINE}{reasons}")


def _by_claim(found: Sequence[Verdict]) -> dict[str, list[Verdict]]:
    by_claim: dict[str, list[Verdict]] = {}
    for verdict in found:
        by_claim.setdefault(verdict.claim_id, []).append(verdict)
    return by_claim


def _judged(rows: Sequence[Verdict]) -> bool:
    """Whether there is a verdict besides "not measured"."""
    return any(row.verdict != words.NOT_MEASURED for row in rows)


def _claimed(claim: Claim) -> str:
    return f"claimed {plain(claim.claimed_text)}"


def _in_a_line(claim: Claim, rows: Sequence[Verdict]) -> str:
    """Of each comparison what was measured and its first verdict."""
    parts = []
    for name, group in _comparisons(rows):
        first = min(group, key=words.precedence)
        measured = "" if first.measured is None else f" {plain(formatting.quantity(first.measured, claim.unit))}"
        parts.append(f"{COMPARISONS[name].lower()}{measured} {badge_text(first.verdict)}")
    return " · ".join(parts)


def _comparisons(rows: Sequence[Verdict]) -> list[tuple[str, list[Verdict]]]:
    groups = [(name, [row for row in rows if row.comparison == name]) for name in COMPARISONS]
    return [(name, group) for name, group in groups if group]


def _card(claim: Claim, rows: Sequence[Verdict], cells: Sequence[Verdict]) -> None:
    st.markdown(f"Claimed: **{plain(claim.claimed_text)}**  \n:small[:gray[{plain(claim.source)}]]")
    shown = _comparisons(rows)
    for column, (name, group) in zip(st.columns(len(shown), gap="medium"), shown, strict=True):
        with column:
            _comparison(COMPARISONS[name], claim, group)
    if cells:
        st.markdown(f"**The {len({row.claim_id for row in cells})} cells of this table**")
        st.dataframe(_cell_table(cells), hide_index=True, alt=f"Verdict of each cell of: {claim.statement}")
    notes = [*([claim.note] if claim.note else []), "Evidence: " + " / ".join(dict.fromkeys(row.evidence for row in rows)) + "."]
    st.caption("  \n".join(plain(note) for note in notes))


def _comparison(title: str, claim: Claim, rows: Sequence[Verdict]) -> None:
    first, *others = sorted(rows, key=words.precedence)
    # A table has verdicts, not one figure.
    measured = "" if first.measured is None else f"**{plain(formatting.quantity(first.measured, claim.unit))}** "
    st.markdown(f":small[{title}]  \n{measured}{badge_text(first.verdict)}")
    st.markdown(_explained(first))
    for row in others:
        st.markdown(f"{badge_text(row.verdict)} {_explained(row)}")


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
