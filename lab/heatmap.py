"""Draws a heat map of :class:`lab.records.Chart`: its series are the rows, the colour of a cell is its value.

The colours are Cividis, made to read the same with and without a colour deficiency (Nuñez, Anderton and Renslow, 2018); its lightness
grows with the value, on a light and on a dark page alike. A missing cell stays empty.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd
import plotly.graph_objects as go

from lab import formatting
from lab.records import Chart, Scalar

COLOURS = "Cividis"
MAX_TABLE_CELLS = 4096  # a larger matrix is shown in part: nobody reads it, and the browser has to hold it
MAX_TABLE_COLUMNS = 64


def figure(chart: Chart, height: int) -> go.Figure:
    """The figure, ``height`` pixels high; the first series is the top row. The colour bar carries the unit, one SI prefix for all cells.

    Texts are those of :func:`lab.plot_text.literal`.
    """
    columns = _columns(chart)
    matrix = _matrix(chart, columns)
    factor, unit = formatting.prefix(_largest(chart, matrix), chart.y_unit) if not chart.y_log else (1.0, "")
    bar: dict[str, object] = {"title": {"text": f"{chart.y_title} ({unit})" if unit else chart.y_title, "side": "right"}, "thickness": 14}
    bounds = tuple(_colour(chart, bound, factor) for bound in chart.y_range) if chart.y_range else (None, None)
    if chart.y_log:
        bar |= _decades(chart, matrix)
    numeric = all(isinstance(x, int | float) and not isinstance(x, bool) for x in columns)
    result = go.Figure(
        go.Heatmap(
            x=columns if numeric else [str(x) for x in columns],
            y=[series.name for series in chart.series],
            z=[[_colour(chart, value, factor) for value in row] for row in matrix],
            hovertext=_hover(chart, columns, matrix),
            hoverinfo="text",
            colorscale=COLOURS,
            colorbar=bar,
            zmin=bounds[0],
            zmax=bounds[1],
            hoverongaps=False,
        )
    )
    result.update_layout(height=height, margin={"l": 8, "r": 8, "t": 8, "b": 8}, hoverlabel={"align": "left"}, dragmode=False)
    x_title = f"{chart.x_title} ({chart.x_unit})" if chart.x_unit else chart.x_title
    result.update_xaxes(title={"text": x_title}, automargin=True, showgrid=False, type="linear" if numeric else "category")
    return result.update_yaxes(title={"text": chart.rows_title}, automargin=True, showgrid=False, type="category", autorange="reversed")


def table(chart: Chart) -> pd.DataFrame:
    """The cells as text, one row per series and one column per x; of a large matrix evenly spaced rows and columns, the title says so."""
    columns = _columns(chart)
    matrix = _matrix(chart, columns)
    across = _spread(len(columns), MAX_TABLE_COLUMNS)
    down = _spread(len(matrix), MAX_TABLE_CELLS // max(len(across), 1))
    part = len(across) < len(columns) or len(down) < len(matrix)
    title = f"{chart.rows_title} \\ {chart.x_title}" + (f" (part of {len(matrix):,} × {len(columns):,})" if part else "")
    rows = [[chart.series[row].name, *(formatting.quantity(matrix[row][column], chart.y_unit) for column in across)] for row in down]
    names = [formatting.scalar(columns[column]) for column in across]
    if len({title, *names}) <= len(names):  # columns that read the same
        names = [f"{name} [{column}]" for name, column in zip(names, across, strict=True)]
    return pd.DataFrame(rows, columns=[title, *names])


def _columns(chart: Chart) -> list[Scalar]:
    return list(dict.fromkeys(x for series in chart.series for x in series.x))


def _matrix(chart: Chart, columns: Sequence[Scalar]) -> list[list[float | None]]:
    rows = [dict(zip(series.x, series.y, strict=True)) for series in chart.series]
    return [[row.get(x) for x in columns] for row in rows]


def _largest(chart: Chart, matrix: list[list[float | None]]) -> float:
    return max((abs(value) for row in (chart.y_range or (), *matrix) for value in row if value is not None), default=0.0)


def _colour(chart: Chart, value: float | None, factor: float) -> float | None:
    """Where a value stands on the colour scale; on a logarithmic one, zero and less stand nowhere."""
    if value is None or (chart.y_log and value <= 0):
        return None
    return math.log10(value) if chart.y_log else value / factor


def _decades(chart: Chart, matrix: list[list[float | None]]) -> dict[str, object]:
    """Ticks of a logarithmic colour bar: its powers of ten, or its ends where there are fewer than two."""
    positive = [value for row in (chart.y_range or (), *matrix) for value in row if value is not None and value > 0]
    if not positive:
        return {}
    low, high = min(positive), max(positive)
    ticks = [10.0**exponent for exponent in range(math.ceil(math.log10(low)), math.floor(math.log10(high)) + 1)]
    ticks = ticks if len(ticks) > 1 else [low, high]
    return {"tickvals": [math.log10(tick) for tick in ticks], "ticktext": [formatting.quantity(tick, chart.y_unit) for tick in ticks]}


def _hover(chart: Chart, columns: Sequence[Scalar], matrix: list[list[float | None]]) -> list[list[str]]:
    return [
        [
            f"{chart.rows_title}: <b>{series.name}</b><br>{chart.x_title}: {formatting.scalar(x)}<br>"
            f"{chart.y_title}: {formatting.quantity(value, chart.y_unit)}"
            for x, value in zip(columns, row, strict=True)
        ]
        for series, row in zip(chart.series, matrix, strict=True)
    ]


def _spread(count: int, most: int) -> list[int]:
    """At most ``most`` indices below ``count``, evenly spaced, first and last among them."""
    if count <= most:
        return list(range(count))
    return [round(place * (count - 1) / (most - 1)) for place in range(most)] if most > 1 else [0]
