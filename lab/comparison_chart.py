"""The pictures of a comparison: the within-run ratios of both sides on one axis, and how much each measurement moved.

A measurement is two lines high: its name, and under it the markers with their intervals. The name stands inside the plot, so that a phone
has the whole width for the values. Colours, markers and their meaning are those of :mod:`lab.charts`; what a colour says a word says too.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

from lab import formatting
from lab.charts import COLOURS, MARKERS, NEUTRAL
from lab.comparison import (
    DIFFERENT_WORDS,
    NO_DIFFERENCE,
    NOT_DECIDED,
    NOT_SHOWN,
    Comparison,
    Pairing,
    Row,
    common,
    what,
    where,
)
from lab.plot_text import plot_text

MOST_LINES = 30  # of one picture; the table has them all
TEXT_HEIGHT, MARK_HEIGHT = 14, 22  # pixels
FRAME_HEIGHT = 96  # pixels of legend and axis
WRAP = 50  # characters of a line of a name: what a phone has room for
BEYOND = 4.0  # an interval is drawn at most this many times beyond the outermost markers
_BLUE, _VERMILION, _GREEN, _PINK, _OCHRE = COLOURS
LOOK = {NO_DIFFERENCE: (_GREEN, "diamond"), NOT_SHOWN: (NEUTRAL, "diamond-open"), NOT_DECIDED: (NEUTRAL, "circle-open")}
DIFFERENT = (_VERMILION, "circle")


@dataclass(frozen=True)
class _Mark:
    """A marker with its interval: what series it belongs to, and what it says when pointed at."""

    series: str
    colour: str
    symbol: str
    x: float
    low: float | None
    high: float | None
    hover: str
    offset: float = 0.0  # pixels downwards, where a line has several


@dataclass(frozen=True)
class _Line:
    name: str
    marks: tuple[_Mark, ...]


def ratios(comparison: Comparison, pairing: Pairing, rows: Sequence[Row], names: tuple[str, str]) -> go.Figure:
    """The ratio of technique to baseline of both sides, for rows of kind ``ratio``; whatever may be concluded, both can be seen."""
    lines = []
    shared = common(rows)
    for row in rows[:MOST_LINES]:
        marks = []
        for place, (value, name) in enumerate(zip(row.values, names, strict=True)):
            if value.mean is not None and value.mean > 0:
                hover = f"{plot_text(name)}: {formatting.estimate(value.mean, value.low, value.high, '×')}"
                marks.append(_Mark(name, COLOURS[place], MARKERS[place], value.mean, value.low, value.high, hover, 8.0 * place - 4.0))
        if marks:
            lines.append(_Line(_name(comparison, pairing, row, shared), tuple(marks)))
    return _figure(lines, "Times better than its baseline, within each run (×)")


def moves(comparison: Comparison, pairing: Pairing, rows: Sequence[Row], names: tuple[str, str]) -> go.Figure:
    """How many times the first side's value the second side's is, with its interval, for rows that have such a change."""
    lines = []
    shared = common(rows)
    for row in rows[:MOST_LINES]:
        if row.scale != "ratio" or row.change is None or row.change <= 0:
            continue
        colour, symbol = LOOK.get(row.word, DIFFERENT if row.word in DIFFERENT_WORDS else (_BLUE, "square-open"))
        series = row.word if row.word not in DIFFERENT_WORDS else "different"
        change = formatting.estimate(row.change, row.low, row.high, "×")
        hover = f"{plot_text(names[1])} / {plot_text(names[0])}: {change}<br>{plot_text(row.word)}"
        mark = _Mark(series or "unchanged baseline", colour, symbol, row.change, row.low, row.high, hover)
        lines.append(_Line(_name(comparison, pairing, row, shared), (mark,)))
    return _figure(lines, f"{names[1]} / {names[0]} (×)")


def drawable(rows: Sequence[Row]) -> list[Row]:
    """Rows with a change on the ratio scale, the largest first."""
    found = [row for row in rows if row.scale == "ratio" and row.change is not None and row.change > 0]
    return sorted(found, key=lambda row: -abs(math.log(row.change or 1.0)))


def _name(comparison: Comparison, pairing: Pairing, row: Row, shared: Sequence[str]) -> str:
    """What is measured and where, without what all lines share."""
    view = comparison.runs[pairing.first[0]].view
    return " · ".join(filter(None, (what(row.first, view), where(row.first, row.second, shared))))


def _figure(lines: Sequence[_Line], title: str) -> go.Figure:
    result = go.Figure()
    y = 0.0
    marks: list[tuple[_Mark, float]] = []
    for line in lines:
        wrapped = textwrap.wrap(line.name, WRAP)
        text = "<br>".join(map(plot_text, wrapped))
        result.add_annotation(
            x=0, xref="paper", xanchor="left", y=y, yanchor="top", text=text, align="left", showarrow=False, font={"size": 11}, borderpad=0
        )
        y += TEXT_HEIGHT * len(wrapped) + MARK_HEIGHT / 2
        marks += [(mark, y + mark.offset) for mark in line.marks]
        y += MARK_HEIGHT / 2 + 6
    low, high = _range([mark for mark, _ in marks])
    for series in dict.fromkeys(mark.series for mark, _ in marks):
        found = [(mark, place) for mark, place in marks if mark.series == series]
        bars_x: list[float | None] = []
        bars_y: list[float | None] = []
        for mark, place in found:
            if mark.low is not None and mark.high is not None:
                bars_x += [max(mark.low, low), min(mark.high, high), None]
                bars_y += [place, place, None]
        colour = found[0][0].colour
        if bars_x:
            lined = {"color": colour, "width": 2}
            result.add_trace(
                go.Scatter(x=bars_x, y=bars_y, mode="lines", line=lined, legendgroup=series, showlegend=False, hoverinfo="skip")
            )
        result.add_trace(
            go.Scatter(
                x=[mark.x for mark, _ in found],
                y=[place for _, place in found],
                mode="markers",
                marker={"color": colour, "symbol": found[0][0].symbol, "size": 9, "line": {"color": colour, "width": 1.5}},
                name=plot_text(series),
                legendgroup=series,
                showlegend=True,
                hovertext=[mark.hover for mark, _ in found],
                hoverinfo="text",
            )
        )
    result.add_shape(type="line", x0=1, x1=1, yref="paper", y0=0, y1=1, line={"color": NEUTRAL, "width": 1.5, "dash": "dot"}, layer="below")
    result.update_layout(
        height=round(y) + FRAME_HEIGHT,
        margin={"l": 8, "r": 8, "t": 8, "b": 8},
        legend={"orientation": "h", "yanchor": "bottom", "yref": "container", "y": 0.0, "x": 0, "xref": "container", "xanchor": "left"},
        hovermode="closest",
        hoverlabel={"align": "left"},
        dragmode=False,
    )
    ticks = _ticks(low, high)
    result.update_xaxes(
        type="log",
        side="top",
        title={"text": plot_text(title)},
        tickvals=ticks,
        ticktext=[f"{tick:,g}" for tick in ticks],
        tickangle=0,
        range=[math.log10(low), math.log10(high)],
        fixedrange=True,
    )
    return result.update_yaxes(range=[y, -4], showticklabels=False, showgrid=False, zeroline=False, fixedrange=True)


def _range(marks: Sequence[_Mark]) -> tuple[float, float]:
    """The ends of the axis: every marker, 1, and of the intervals what lies near them."""
    middles = [1.0, *(mark.x for mark in marks)]
    least, most = min(middles) / BEYOND, max(middles) * BEYOND
    low = min([min(middles), *(max(mark.low, least) for mark in marks if mark.low is not None)])
    high = max([max(middles), *(min(mark.high, most) for mark in marks if mark.high is not None)])
    pad = max((high / low) ** 0.04, 1.002)
    return low / pad, high * pad


def _ticks(low: float, high: float) -> list[float]:
    """Round numbers within the range, about five of them, 1 among them."""
    if high / low > 3:
        steps = (1.0,) if high / low > 1e3 else (1.0, 3.0) if high / low > 30 else (1.0, 2.0, 5.0)
        first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
        ticks = [step * 10.0**exponent for exponent in range(first, last + 1) for step in steps]
        every = max(1, math.ceil(len(ticks) / 24))
        return [tick for tick in ticks[::every] if low <= tick <= high]
    rough = (high - low) / 4
    unit = 10.0 ** math.floor(math.log10(rough))
    step = next(unit * factor for factor in (1, 2, 5, 10) if unit * factor >= rough)
    before = math.floor((1 - low) / step)
    count = math.floor((high - low) / step) + 2
    ticks = [1 + (place - before) * step for place in range(count)]
    return [round(tick, 12) for tick in ticks if low <= tick <= high]
