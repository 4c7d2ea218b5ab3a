"""The pictures of a comparison."""

from __future__ import annotations

import math
from collections.abc import Callable

import plotly.graph_objects as go
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab import comparison_chart
from lab.comparison import compare
from lab.comparison_chart import _ticks
from tests.lab.compared_runs import around, run, times

NAMES = ("A", "B")


def compared(*, second: float = 0.5, n: int = 1, arm: str = "new"):
    def of(new: float) -> list:
        values = {("old", "x"): around(2.0), ("older", "x"): around(3.0)} | {(f"{arm}{i}", "x"): around(new + i) for i in range(n)}
        return times(values)

    return compare([run("a", of(1.0)), run("b", of(second))])


def test_both_sides_stand_in_one_line() -> None:
    found = compared()
    pairing = found.pairings[0]
    figure = comparison_chart.ratios(found, pairing, pairing.of("ratio"), NAMES)
    markers = [trace for trace in figure.data if trace.mode == "markers"]
    assert [trace.name for trace in markers] == ["A", "B"]
    assert [trace.x[0] for trace in markers] == [pytest.approx(2.0), pytest.approx(4.0)]
    assert markers[0].marker.symbol != markers[1].marker.symbol


def test_a_move_is_drawn_in_the_colour_of_its_word() -> None:
    found = compared()
    pairing = found.pairings[0]
    figure = comparison_chart.moves(found, pairing, pairing.of("raw", "control"), NAMES)
    markers = {trace.name: trace for trace in figure.data if trace.mode == "markers"}
    assert set(markers) == {"different", "unchanged baseline"}
    assert markers["different"].x == (pytest.approx(0.5),)
    assert "faster" in markers["different"].hovertext[0]


def test_the_largest_moves_come_first_and_a_picture_has_a_limit() -> None:
    found = compared(n=40, second=1.5)
    rows = comparison_chart.drawable(found.pairings[0].of("raw"))
    sizes = [abs(math.log(row.change or 1.0)) for row in rows]
    assert sizes == sorted(sizes, reverse=True)
    figure = comparison_chart.moves(found, found.pairings[0], rows, NAMES)
    assert len(figure.layout.annotations) == comparison_chart.MOST_LINES


def test_names_are_shown_as_they_are() -> None:
    found = compared(arm="<b>new</b>")
    figure = comparison_chart.moves(found, found.pairings[0], found.pairings[0].of("raw"), NAMES)
    assert "&lt;b&gt;new&lt;/b&gt;" in figure.layout.annotations[0].text


@pytest.mark.parametrize("picture", [comparison_chart.ratios, comparison_chart.moves])
def test_names_that_runs_were_given_are_no_markup(picture: Callable[..., go.Figure]) -> None:
    found = compared()
    pairing = found.pairings[0]
    figure = picture(found, pairing, pairing.of("ratio"), ("<i>one</i>", "<a href='https://example.org'>two</a>"))
    shown = [figure.layout.xaxis.title.text, *(text for trace in figure.data for text in (trace.name, *(trace.hovertext or ())) if text)]
    assert any("&lt;a href" in text for text in shown)
    assert not any("<" in text.replace("<br>", "") for text in shown)


@pytest.mark.parametrize(("first", "second"), [((1e-70, 1e70), (1e70, 1e-70)), ((1e70, 1e70), (1e-70, 1e-70)), ((0.0, 1.0), (1e70, 0.0))])
def test_sizes_that_no_run_has_are_compared_and_drawn_all_the_same(first: tuple[float, float], second: tuple[float, float]) -> None:
    def of(new: float, old: float) -> list:
        return times({("old", "x"): [old, old / 3, old], ("older", "x"): around(3.0), ("new", "x"): [new, new, new / 2]})

    found = compare([run("a", of(*first)), run("b", of(*second))])
    pairing = found.pairings[0]
    for kind in ("ratio", "raw", "control"):
        comparison_chart.ratios(found, pairing, pairing.of("ratio"), NAMES)
        comparison_chart.moves(found, pairing, pairing.of(kind), NAMES)
    changes = [change for row in pairing.rows for change in (row.change, row.low, row.high) if change is not None]
    assert all(map(math.isfinite, changes))


def test_nothing_to_draw_is_no_error() -> None:
    found = compared()
    assert len(comparison_chart.moves(found, found.pairings[0], [], NAMES).data) == 0


@given(st.floats(1e-6, 1.0), st.floats(1.0, 1e6))
def test_ticks_are_few_and_within_the_axis(low: float, high: float) -> None:
    if high / low < 1.005:
        return  # narrower than any axis
    ticks = _ticks(low, high)
    assert all(low <= tick <= high for tick in ticks)
    assert ticks == sorted(set(ticks))
    assert 1 <= len(ticks) <= 14
