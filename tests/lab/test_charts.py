"""Figures and tables from charts-as-data."""

from __future__ import annotations

import dataclasses
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab import charts
from lab.records import Chart, Series

LINE = Chart(
    key="time",
    title="Time per call",
    kind="line",
    x_title="N",
    x_unit="elements",
    y_title="Time",
    y_unit="s",
    x_log=True,
    series=(
        Series("new", (1024, 4096, 16384), (1e-6, None, 4e-6), (0.9e-6, None, 3e-6), (1.1e-6, None, 6e-6)),
        Series("old", (1024, 4096, 16384), (2e-6, 4e-6, 8e-6), emphasis="baseline"),
    ),
    limits={"copy": 0.5e-6},
    alt="Time against N.",
)
BARS = Chart(
    key="ratio",
    title="Speed",
    kind="bar",
    x_title="Function",
    y_title="Times as fast",
    y_unit="×",
    series=(Series("eager", ("phi6", "zeta"), (2.0, 4.0), (1.0, 3.0), (3.0, 40.0)),),
    alt="Speed.",
)


def luminance(colour: str) -> float:
    """Relative luminance of "#rrggbb" as WCAG 2 defines it."""
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("colour", [*charts.COLOURS, charts.NEUTRAL])
@pytest.mark.parametrize("background", ["#FFFFFF", "#11161D"])  # .streamlit/config.toml
def test_every_colour_has_three_to_one_contrast_in_both_themes(colour: str, background: str) -> None:
    low, high = sorted((luminance(colour), luminance(background)))
    assert (high + 0.05) / (low + 0.05) >= 3


def test_a_linear_axis_takes_one_prefix() -> None:
    # the largest value is 8e-6 s, so the axis is in µs
    figure = charts.figure(LINE)
    assert figure.layout.yaxis.title.text == "Time (µs)"
    assert figure.data[1].y == pytest.approx((2.0, 4.0, 8.0))


def test_a_missing_value_is_a_gap_and_intervals_are_bars() -> None:
    new = charts.figure(LINE).data[0]
    assert new.y[1] is None
    assert new.connectgaps is False
    # 4 µs with the interval 3 to 6 µs: 2 up, 1 down
    assert new.error_y.array[2] == pytest.approx(2.0)
    assert new.error_y.arrayminus[2] == pytest.approx(1.0)


def test_hover_texts_are_words() -> None:
    new = charts.figure(LINE).data[0]
    assert new.hovertext[2] == "<b>new</b><br>N (elements): 16,384 (2¹⁴)<br>Time: 4 µs<br>95 % interval: 3 to 6 µs"
    assert "not measured" in new.hovertext[1]


def test_a_limit_is_a_line_with_its_value_in_the_legend() -> None:
    (limit,) = charts.figure(LINE).layout.shapes
    assert (limit.name, limit.showlegend, limit.xref) == ("copy: 500 ns", True, "paper")
    assert limit.y0 == limit.y1 == pytest.approx(0.5)


def test_a_logarithmic_x_axis_of_powers_of_two_has_binary_ticks() -> None:
    axis = charts.figure(LINE).layout.xaxis
    assert list(axis.ticktext) == ["1 Ki", "2 Ki", "4 Ki", "8 Ki", "16 Ki"]
    assert list(axis.tickvals) == [1024, 2048, 4096, 8192, 16384]


def test_a_logarithmic_y_axis_has_a_unit_on_each_tick_and_whole_decades() -> None:
    axis = charts.figure(dataclasses.replace(LINE, y_log=True)).layout.yaxis
    assert axis.title.text == "Time"
    # values from 0.5 µs to 8 µs: the decades from 100 ns to 10 µs, split 1-2-5
    assert list(axis.ticktext) == ["100 ns", "200 ns", "500 ns", "1 µs", "2 µs", "5 µs", "10 µs"]
    assert axis.range == pytest.approx((-7.05, -4.95))


def test_bars_start_at_zero_and_a_huge_interval_does_not_shrink_them() -> None:
    # highest bar 4, so an interval may add at most half: 4 + 2 = 6, and 5 % of margin: 6.3
    axis = charts.figure(BARS).layout.yaxis
    assert axis.range == pytest.approx((0.0, 6.3))


def test_bars_on_a_logarithmic_axis_are_points() -> None:
    (trace,) = charts.figure(dataclasses.replace(BARS, y_log=True)).data
    assert (trace.type, trace.mode) == ("scatter", "markers")


def test_given_ranges_are_kept() -> None:
    figure = charts.figure(dataclasses.replace(LINE, y_range=(0.0, 2e-5)))
    assert figure.layout.yaxis.range == pytest.approx((0.0, 20.0))


def test_the_height_does_not_depend_on_the_data() -> None:
    fewer = dataclasses.replace(LINE, series=tuple(Series(s.name, s.x[:1], s.y[:1]) for s in LINE.series))
    assert charts.figure(fewer).layout.height == charts.figure(LINE).layout.height


def test_an_empty_chart_can_be_drawn() -> None:
    empty = dataclasses.replace(LINE, series=(Series("new", (), ()),), limits={})
    assert charts.figure(empty).layout.height
    assert charts.table(empty).empty


def test_the_table_holds_every_point_with_its_interval() -> None:
    table = charts.table(LINE)
    assert list(table.columns) == ["N (elements)", "Series", "Time", "95 % interval"]
    assert table.iloc[0].tolist() == ["1,024 (2¹⁰)", "new", "1 µs", "0.900 to 1.10 µs"]
    assert table.iloc[1].tolist() == ["4,096 (2¹²)", "new", "not measured", "–"]
    assert table.iloc[-1].tolist() == ["any", "copy", "500 ns", "–"]
    assert len(table) == 7


def test_the_table_of_a_rate_says_what_share_of_each_limit_was_reached() -> None:
    series = (Series("fused", ("phi6", "zeta"), (3.8e12, None)),)
    rates = dataclasses.replace(BARS, y_title="Rate", y_unit="B/s", series=series, limits={"copy": 4e12})
    table = charts.table(rates)
    assert list(table.columns) == ["Function", "Series", "Rate", "95 % interval", "Share of copy"]
    assert table["Share of copy"].tolist() == ["95 %", "–", "100 %"]  # 3.8/4, nothing measured, the limit itself


def _chart(names: list[str]) -> Chart:
    return dataclasses.replace(LINE, series=tuple(Series(name, (1,), (1.0,)) for name in names), limits={})


NAMES = st.lists(st.sampled_from("abcdefghijkl"), min_size=1, max_size=12, unique=True)


@given(st.lists(NAMES, min_size=1, max_size=5))
def test_series_that_share_a_chart_differ_in_style(groups: list[list[str]]) -> None:
    drawn = charts.styles([_chart(names) for names in groups])
    for names in groups:
        assert len({drawn[name] for name in names}) == len(names)


@given(NAMES, NAMES)
def test_a_known_style_is_kept(first: list[str], second: list[str]) -> None:
    before = charts.styles([_chart(first)])
    after = charts.styles([_chart(first), _chart([*first, *(name for name in second if name not in first)])], before)
    assert {name: after[name] for name in first} == before


def test_few_series_are_not_hatched() -> None:
    drawn = charts.styles([_chart(list("abcde")), _chart(list("fghij"))])
    assert {style.pattern for style in drawn.values()} == {""}
    assert math.prod((len(charts.COLOURS), len(charts.MARKERS))) == 40
