"""Text from elsewhere in figures: shown as it is, whatever it holds."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab import charts
from lab.plot_text import plot_text
from lab.records import Chart, Series

LINK = "<a href='https://example.org'>x</a>"
OWN_MARKUP = ("<b>", "</b>", "<br>")  # what our hover texts put around names


@pytest.mark.parametrize(
    ("text", "shown"),
    [("a < b & c > d", "a &lt; b &amp; c &gt; d"), ("&lt;", "&amp;lt;"), ("one\u202etwo\x1b", "one�two�"), ("α × 4", "α × 4")],
)
def test_what_plotly_would_obey_is_escaped(text: str, shown: str) -> None:
    assert plot_text(text) == shown


@given(st.text(max_size=20))
@settings(max_examples=50)
def test_nothing_is_left_to_obey(text: str) -> None:
    assert not set("<>") & set(plot_text(text))


def texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        yield from (text for item in value.values() for text in texts(item))
    elif isinstance(value, list):
        yield from (text for item in value for text in texts(item))
    elif isinstance(value, str):
        yield value


@pytest.mark.parametrize("kind", ["line", "bar", "scatter", "scatter3d", "heatmap"])
@pytest.mark.parametrize("y_log", [False, True])
def test_no_text_of_a_chart_is_markup(kind: Literal["line"], y_log: bool) -> None:
    numbers: Any = (1.0, 2.0)
    names: Any = (f"{LINK}1", f"{LINK}2")
    hostile = Chart(
        key="hostile",
        title="Hostile",
        kind=kind,
        x_title=f"x {LINK}",
        x_unit=LINK,
        y_title=f"y {LINK}",
        y_unit=LINK,
        z_title=f"z {LINK}",
        rows_title=f"rows {LINK}",
        interval=f"interval {LINK}",
        y_log=y_log,
        series=(
            Series(
                f"series {LINK}",
                numbers if kind in ("scatter", "scatter3d") else names,
                (3.0, 4.0),
                (2.0, 3.0),
                (4.0, 5.0),
                z=(1.0, 1.0) if kind == "scatter3d" else (),
                labels=names,
            ),
        ),
        limits={f"limit {LINK}": 2.0},
        marks={f"mark {LINK}": 1.5} if kind == "scatter" else {},
        alt="Hostile.",
    )
    figure = json.loads(charts.figure(hostile).to_json())
    shown = list(texts({"data": figure["data"], "layout": {**figure["layout"], "template": None}}))
    assert any("&lt;a href" in text for text in shown)
    for text in shown:
        for own in OWN_MARKUP:
            text = text.replace(own, "")
        assert "<" not in text, text
