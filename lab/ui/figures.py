"""Charts on a page: what a figure shows in one sentence, the figure, its numbers as a table."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from lab import charts
from lab.ui.results import Drawn
from lab.ui.text import plain


def figures(found: Sequence[Drawn], key: str) -> None:
    """All charts: the first across the page, the others in two columns (one on a phone). ``key`` tells those of one run from another's."""
    for drawn in found[:1]:
        _figure(drawn, key)
    for start in range(1, len(found), 2):
        for column, drawn in zip(st.columns(2, gap="large"), found[start : start + 2], strict=False):
            with column:
                _figure(drawn, key)


def _figure(drawn: Drawn, key: str) -> None:
    chart = drawn.chart
    st.markdown(f"#### {plain(chart.title)}")
    if chart.takeaway:
        st.markdown(plain(chart.takeaway))
    st.plotly_chart(drawn.figure, key=f"{key}:{chart.key}", config=charts.CONFIG, alt=chart.alt)
    st.caption(plain(chart.alt))
    with st.expander("The numbers of this chart"):
        st.dataframe(drawn.table, hide_index=True, alt=f"The numbers of the chart “{chart.title}”")
