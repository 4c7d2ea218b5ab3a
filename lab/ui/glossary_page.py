"""The page "Glossary": the lab's words, and every figure that its files hold."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from lab import glossary
from lab.glossary import GROUPS, Term
from lab.ui import shell, trouble
from lab.ui.text import plain
from lab.ui.verdict_cards import NEW_LINE, badge_text
from lab.ui.widgets import told, widget_key
from lab.verdicts import WORDS
from lab.workload import Metric, Workload, workloads

TITLE = "Glossary"
QUERY = "find"  # ?find=Holm opens the page at that word
MAX_WORDS = 100  # characters of a search
BETTER = {"lower": "less is better", "higher": "more is better", "neither": ""}
COMPARED = {"ratio": "ratio", "difference": "difference", "none": ""}


@trouble.told()
def show() -> None:
    """Draw the page."""
    shell.frame(TITLE)
    st.title(TITLE)
    st.markdown("What the lab's words mean: on its pages, in its verdicts, and in the files it exports.")
    words = _searched()
    terms = glossary.found(words)
    for group in GROUPS:
        _group(group, [term for term in terms if term.group == group])
    metrics = _metrics(words)
    if metrics:
        st.header("Figures in the files", divider="gray")
        st.markdown("Every `metric` of records.csv and summary.csv, by experiment.")
    for declared, rows in metrics:
        st.fragment(_figures)(declared, rows, bool(words))
    if not terms and not metrics:
        st.info(f"No word here contains “{plain(words)}”. Clear the search to see all.", icon=":material/search_off:")


def _searched() -> str:
    """The words that are looked for: those of the address until others are typed."""
    words = " ".join(st.query_params.get(QUERY, "").split())[:MAX_WORDS]
    key = widget_key("glossary:find", words)
    return st.text_input(
        "Find a word",
        key=key,
        max_chars=MAX_WORDS,
        placeholder="drift, Holm, latency_s …",
        icon=":material/search:",
        on_change=told(key, _search),
    ).strip()


def _search(words: str) -> None:
    """Make the address say what is looked for, so that it can be passed on."""
    if words.strip():
        st.query_params[QUERY] = words.strip()
    else:
        st.query_params.pop(QUERY, None)


def _group(title: str, terms: list[Term]) -> None:
    if not terms:
        return
    st.header(title, divider="gray")
    st.markdown("\n\n".join(map(_explained, terms)))  # as one text: a browser takes long over a hundred small ones


def _explained(term: Term) -> str:
    name = badge_text(term.name) if term.name in WORDS else f"**{plain(term.name)}**"
    also = f" :small[(also: {plain(', '.join(term.also))})]" if term.also else ""
    return f"{name}{also}{NEW_LINE}{plain(term.meaning)}"


def _figures(declared: Workload, rows: pd.DataFrame, expanded: bool) -> None:
    """The table of one experiment, drawn when it is opened: a browser takes long over hundreds of rows."""
    key = f"glossary:{declared.name}:{'found' if expanded else 'all'}"
    with st.expander(f"{plain(declared.title)}: {len(rows)} figures", expanded=expanded, key=key, on_change="rerun") as figures:
        if figures.open:
            st.table(rows, border="horizontal", hide_index=True, alt=f"Figures that {declared.title} measures")


def _metrics(words: str) -> list[tuple[Workload, pd.DataFrame]]:
    """Of each workload the metrics whose name or title contains ``words``, with its table."""
    wanted = words.casefold()
    tables = []
    for declared in workloads().values():
        rows = [_row(name, metric) for name, metric in declared.metrics.items() if wanted in f"{name} {metric.title}".casefold()]
        if rows:
            tables.append((declared, pd.DataFrame(rows, columns=["metric", "What it is", "Unit", "Better", "Compared as"])))
    return tables


def _row(name: str, metric: Metric) -> tuple[str, ...]:
    unit = "" if metric.unit == "1" else metric.unit
    return plain(name), plain(metric.title), plain(unit), BETTER[metric.better], COMPARED[metric.compare]
