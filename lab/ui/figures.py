"""Charts on a page: what a figure shows in one sentence, the figure, its numbers as a table."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from lab import charts
from lab.ui.results import Drawn
from lab.ui.text import plain

DRAWN_AT_ONCE = 3  # of a run's charts; a browser needs some tenths of a second for each, and nobody reads twenty


def figures(found: Sequence[Drawn], key: str) -> None:
    """All charts: the first across the page, the next four in two columns (one on a phone), the others as lines that open.

    ``key`` tells those of one run from another's.
    """
    for drawn in found[:1]:
        _headed(drawn, key)
    for start in range(1, min(len(found), DRAWN_AT_ONCE), 2):
        for column, drawn in zip(st.columns(2, gap="large"), found[start : min(start + 2, DRAWN_AT_ONCE)], strict=False):
            with column:
                _headed(drawn, key)
    others = found[DRAWN_AT_ONCE:]
    if others:
        st.markdown(f"#### {len(others)} more {'chart' if len(others) == 1 else 'charts'}")
    for drawn in others:
        st.fragment(_in_a_line)(drawn, f"{key}:{drawn.chart.key}")


def _headed(drawn: Drawn, key: str) -> None:
    st.markdown(f"#### {plain(drawn.chart.title)}")
    _figure(drawn, f"{key}:{drawn.chart.key}")
    st.fragment(_numbers)(drawn, f"{key}:{drawn.chart.key}")


def _in_a_line(drawn: Drawn, key: str) -> None:
    """The chart's title, which opens to the chart and its numbers."""
    with st.expander(plain(drawn.chart.title), key=f"{key}:line", on_change="rerun") as line:
        if line.open:
            _figure(drawn, key)
            _table(drawn)


def _figure(drawn: Drawn, key: str) -> None:
    chart = drawn.chart
    if chart.takeaway:
        st.markdown(plain(chart.takeaway))
    st.plotly_chart(drawn.figure, key=key, config=charts.CONFIG, alt=chart.alt)
    st.caption(plain(chart.alt))


def _numbers(drawn: Drawn, key: str) -> None:
    """The chart's table, drawn when it is opened: those of all charts would be most of a page's work."""
    with st.expander("The numbers of this chart", key=f"{key}:numbers", on_change="rerun") as numbers:
        if numbers.open:
            _table(drawn)


def _table(drawn: Drawn) -> None:
    st.dataframe(drawn.table, hide_index=True, alt=f"The numbers of the chart “{drawn.chart.title}”")
