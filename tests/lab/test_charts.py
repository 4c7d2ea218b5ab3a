"""Figures and tables from charts-as-data."""

from __future__ import annotations

import dataclasses
import math
from typing import Literal

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


CURVE = dataclasses.replace(
    LINE,
    x_log=False,
    x_unit="",
    y_title="Loss",
    y_unit="",
    series=(
        Series("mean", tuple(range(50)), (1.0,) * 10 + (None,) + (1.0,) * 39, (0.5,) * 50, (2.0,) * 50),
        Series("other", (0, 49), (3.0, 1.0)),
    ),
    limits={},
    marks={"stopped": 20.0},
    interval="range over 5 seeds",
)


def test_the_intervals_of_a_dense_curve_are_a_band_that_ends_where_a_value_is_missing() -> None:
    band, line, other = charts.figure(CURVE).data
    assert (band.fill, band.showlegend, band.hoverinfo, line.error_y.array) == ("toself", False, "skip", None)
    # Points 0 to 9 there and back, a break, points 11 to 49 there and back, a break: 20 + 1 + 78 + 1.
    assert len(band.x) == len(band.y) == 100
    assert band.x[:11] == (*range(10), 9)
    assert (band.y[0], band.y[19], band.y[20]) == (2.0, 0.5, None)
    assert band.legendgroup == line.legendgroup != other.legendgroup


def test_a_mark_is_a_vertical_line_with_its_name() -> None:
    (mark,) = charts.figure(CURVE).layout.shapes
    assert (mark.x0, mark.x1, mark.yref, mark.label.text) == (20.0, 20.0, "paper", "stopped")
    assert charts.table(CURVE).iloc[-1].tolist() == ["20", "stopped", "–", "–"]


def test_the_table_says_what_the_interval_is() -> None:
    assert list(charts.table(CURVE).columns) == ["N", "Series", "Loss", "Range over 5 seeds"]
    assert "range over 5 seeds: 0.500 to 2" in charts.figure(CURVE).data[1].hovertext[0]


FRONTIER = Chart(
    key="frontier",
    title="Accuracy against energy",
    kind="scatter",
    x_title="Energy",
    x_unit="J",
    y_title="Test accuracy",
    y_unit="%",
    series=(
        Series(
            "entropy",
            (2000.0, 4000.0),
            (97.0, 98.0),
            (96.0, 97.5),
            (97.5, 98.5),
            x_low=(1900.0, 3500.0),
            x_high=(2300.0, 4100.0),
            labels=("threshold 0.05", "threshold 0.01"),
        ),
        Series("patience", (3000.0,), (98.1,), emphasis="baseline"),
    ),
    alt="Accuracy against energy.",
)


def test_a_scatter_has_intervals_both_ways_and_a_prefix_on_each_axis() -> None:
    figure = charts.figure(FRONTIER)
    points, alone = figure.data
    assert figure.layout.xaxis.title.text == "Energy (kJ)"
    assert (points.mode, points.x, alone.x) == ("markers", (2.0, 4.0), (3.0,))
    # In kJ: 2 with 1.9 to 2.3, 4 with 3.5 to 4.1. In points: 97 with 96 to 97.5, 98 with 97.5 to 98.5.
    assert points.error_x.array == pytest.approx((0.3, 0.1))
    assert points.error_x.arrayminus == pytest.approx((0.1, 0.5))
    assert points.error_y.array == pytest.approx((0.5, 0.5))
    assert alone.error_x.array is None
    assert points.hovertext[0] == (
        "<b>entropy</b><br>threshold 0.05<br>Energy: 2 kJ<br>95 % interval: 1.90 to 2.30 kJ<br>"
        "Test accuracy: 97 %<br>95 % interval: 96 to 97.5 %"
    )


def test_the_table_of_a_scatter_names_its_points() -> None:
    table = charts.table(FRONTIER)
    assert list(table.columns) == ["Point", "Energy (J)", "95 % interval of Energy", "Series", "Test accuracy", "95 % interval"]
    assert table.iloc[0].tolist() == ["threshold 0.05", "2 kJ", "1.90 to 2.30 kJ", "entropy", "97 %", "96 to 97.5 %"]
    assert table.iloc[2].tolist() == ["–", "3 kJ", "–", "patience", "98.1 %", "–"]


def test_bands_can_be_asked_for_however_few_the_points() -> None:
    line = Series("loss", (1, 2), (2.0, 3.0), (1.0, 2.5), (2.5, 4.0))
    few = dataclasses.replace(FRONTIER, kind="line", x_unit="", series=(line,))
    assert [trace.fill for trace in charts.figure(few).data] == [None]
    band, curve = charts.figure(dataclasses.replace(few, bands=True)).data
    assert (band.fill, curve.mode, curve.error_y.array) == ("toself", "lines", None)


def test_points_in_three_dimensions_have_three_named_axes() -> None:
    series = (Series("loss", (1.0, 2.0), (2.0, 3.0), z=(3.0, 4.0)),)
    chart = dataclasses.replace(FRONTIER, kind="scatter3d", x_title="a", x_unit="", y_title="b", y_unit="", z_title="c", series=series)
    figure = charts.figure(chart)
    assert (figure.data[0].type, figure.data[0].z) == ("scatter3d", (3.0, 4.0))
    scene = figure.layout.scene
    assert [axis.title.text for axis in (scene.xaxis, scene.yaxis, scene.zaxis)] == ["a", "b", "c"]
    assert charts.table(chart).to_dict("list") == {"a": ["1", "2"], "Series": ["loss", "loss"], "b": ["2", "3"], "c": ["3", "4"]}


LOAD = Chart(
    key="load",
    title="Load",
    kind="heatmap",
    x_title="step",
    y_title="Share of tokens",
    y_unit="%",
    rows_title="expert",
    series=(Series("expert 1", (0, 100), (50.0, 20.0)), Series("expert 2", (100, 200), (80.0, None))),
    alt="Share of the tokens that each expert gets over training.",
)


def test_a_heat_map_has_one_row_per_series_and_empty_cells_where_there_is_no_value() -> None:
    figure = charts.figure(LOAD)
    (cells,) = figure.data
    assert (cells.x, cells.y) == ((0, 100, 200), ("expert 1", "expert 2"))
    assert [list(row) for row in cells.z] == [[50.0, 20.0, None], [None, 80.0, None]]
    assert cells.hovertext[0][1] == "expert: <b>expert 1</b><br>step: 100<br>Share of tokens: 20 %"
    assert (cells.colorbar.title.text, figure.layout.yaxis.autorange) == ("Share of tokens (%)", "reversed")


def test_a_logarithmic_heat_map_colours_by_decades() -> None:
    chart = dataclasses.replace(LOAD, y_unit="", y_log=True, series=(Series("row", ("a", "b", "c"), (0.01, 10.0, 0.0)),))
    (cells,) = charts.figure(chart).data
    assert list(cells.z[0]) == [pytest.approx(-2), pytest.approx(1), None]  # zero has no logarithm
    assert list(cells.colorbar.ticktext) == ["0.0100", "0.100", "1", "10"]


def test_the_table_of_a_heat_map_is_its_matrix() -> None:
    assert charts.table(LOAD).to_dict("split")["data"] == [
        ["expert 1", "50 %", "20 %", "not measured"],
        ["expert 2", "not measured", "80 %", "not measured"],
    ]
    assert list(charts.table(LOAD).columns) == ["expert \\ step", "0", "100", "200"]


def test_the_table_of_a_large_heat_map_is_a_part_of_it_and_says_so() -> None:
    rows = tuple(Series(str(row), tuple(range(200)), (float(row),) * 200) for row in range(100))
    table = charts.table(dataclasses.replace(LOAD, series=rows))
    assert table.shape == (64, 65)  # 64 of 200 columns, so 4096 / 64 = 64 of 100 rows, and the column with their names
    assert table.columns[0] == "expert \\ step (part of 100 × 200)"
    assert (table.columns[-1], table.iloc[-1, 0]) == ("199", "99")


def test_rows_of_a_heat_map_take_no_style_from_series() -> None:
    assert set(charts.styles([LOAD, LINE])) == {"new", "old"}


@pytest.mark.parametrize("kind", ["line", "bar", "scatter", "scatter3d", "heatmap"])
@pytest.mark.parametrize("series", [(), (Series("empty", (), ()),), (Series("missing", (1.0,), (None,), z=(None,)),)])
def test_every_kind_can_be_drawn_without_a_value(kind: Literal["line"], series: tuple[Series, ...]) -> None:
    chart = dataclasses.replace(LINE, kind=kind, series=series, limits={})
    assert charts.figure(chart).layout.height
    assert len(charts.table(chart)) <= 1


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
