"""Draws :class:`lab.records.Chart`: a Plotly figure in the lab's style, and the same numbers as a table.

Colours come from Okabe and Ito's palette, two of them darkened so that every colour keeps at least 3:1 contrast on the light and on
the dark background (``.streamlit/config.toml``): one figure serves both themes. Series differ in marker, and baselines in dash, as
well as in colour; bars beyond the first five are hatched. Text and grid lines are left to the theme.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd
import plotly.graph_objects as go

from lab import formatting
from lab.records import Chart, Scalar, Series

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#C46A9E", "#B57B00")
NEUTRAL = "#7B7F8A"  # limits and reference lines
MARKERS = ("circle", "square", "diamond", "triangle-up", "x", "triangle-down", "cross", "star")
PATTERNS = ("", "/", "x", ".")  # of bars: the next one each time the colours begin anew
DASHES = {"technique": "solid", "baseline": "dash", "limit": "dot"}
HEIGHT = 400  # pixels of the plot with its axes; fixed, so that nothing below moves while a run is live
LEGEND_ROW = 22
LEGEND_ROWS = 5  # a longer legend scrolls
CONFIG = {"displaylogo": False, "modeBarButtons": [["toImage", "resetScale2d"]], "scrollZoom": False}
RATES = frozenset({"B/s", "FLOP/s", "elements/s", "tokens/s"})  # units in which a limit is something to reach
MAX_MARKED_POINTS = 40  # a denser series is a curve: markers on every point would hide its shape


@dataclass(frozen=True)
class Style:
    """How one series name is drawn, the same in every chart of a page."""

    colour: str
    marker: str
    pattern: str


_ALL_STYLES = tuple(
    Style(COLOURS[place % len(COLOURS)], MARKERS[place % len(MARKERS)], PATTERNS[place // len(COLOURS) % len(PATTERNS)])
    for place in range(len(COLOURS) * len(MARKERS))
)


def styles(charts: Sequence[Chart], known: Mapping[str, Style] | None = None) -> dict[str, Style]:
    """One style for each series name, the same in all ``charts`` and different within each; ``known`` ones are kept where possible.

    A name takes the first style that no name takes which it shares a chart with: few colours, little hatching. 5 colours × 8 markers
    give 40 styles; a chart with more series than that repeats them.
    """
    found: dict[str, Style] = {}
    names = [[series.name for series in chart.series] for chart in charts]
    for name in dict.fromkeys(name for chart in names for name in chart):
        taken = {found[other] for chart in names if name in chart for other in chart if other in found}
        before = (known or {}).get(name)
        free = (style for style in _ALL_STYLES if style not in taken)
        found[name] = before if before is not None and before not in taken else next(free, _ALL_STYLES[len(found) % len(_ALL_STYLES)])
    return found


def figure(chart: Chart, known: Mapping[str, Style] | None = None) -> go.Figure:
    """The figure of ``chart`` in the ``known`` styles of its series (chosen anew where there are none).

    On a linear y axis values are divided by one SI prefix, named in the axis title; on a logarithmic one each tick carries its
    own prefix. A missing value leaves a gap. Hover texts give value and interval in words.
    """
    drawn = known if known is not None else styles([chart])
    factor, unit = _y_scale(chart)
    result = go.Figure()
    for series in chart.series:
        result.add_trace(_trace(chart, series, drawn[series.name], factor))
    for name, value in chart.limits.items():
        result.add_shape(**_limit(f"{name}: {formatting.quantity(value, chart.y_unit)}", value / factor))
    entries = len(chart.series) + len(chart.limits)
    result.update_layout(
        height=HEIGHT + LEGEND_ROW * min(math.ceil(entries / 3), LEGEND_ROWS),
        margin={"l": 8, "r": 8, "t": 8, "b": 8},
        barmode="group",
        scattermode="group" if chart.kind == "bar" else "overlay",
        showlegend=entries > 1,
        legend={"orientation": "h", "yanchor": "bottom", "y": 1.02, "x": 0, "xanchor": "left", "maxheight": LEGEND_ROW * LEGEND_ROWS},
        hovermode="closest",
        hoverlabel={"align": "left"},
        dragmode=False,  # on a phone a drag scrolls the page
    )
    result.update_xaxes(title={"text": _with_unit(chart.x_title, chart.x_unit)}, automargin=True, **_x_axis(chart))
    result.update_yaxes(title={"text": _with_unit(chart.y_title, unit)}, automargin=True, **_y_axis(chart, factor))
    return result


def table(chart: Chart) -> pd.DataFrame:
    """The numbers of ``chart`` as text: one row per point with its value and its 95 % interval, then one per limit.

    Of a rate also the share of each limit that was reached.
    """
    unit = chart.y_unit
    x_title = _with_unit(chart.x_title, chart.x_unit)
    limits = chart.limits if unit in RATES else {}
    rows = []
    for series in chart.series:
        for place, (x, y) in enumerate(zip(series.x, series.y, strict=True)):
            low, high = _bounds(series, place)
            shares = [_share(y, limit) for limit in limits.values()]
            rows.append((_x_text(x), series.name, formatting.quantity(y, unit), formatting.interval(low, high, unit) or "–", *shares))
    rows += [
        ("any", name, formatting.quantity(value, unit), "–", *(_share(value, limit) for limit in limits.values()))
        for name, value in chart.limits.items()
    ]
    return pd.DataFrame(rows, columns=[x_title, "Series", chart.y_title, "95 % interval", *(f"Share of {name}" for name in limits)])


def _share(value: float | None, limit: float) -> str:
    return "–" if value is None or limit <= 0 else formatting.quantity(100 * value / limit, "%")


def _trace(chart: Chart, series: Series, style: Style, factor: float) -> go.Scatter | go.Bar:
    points = [place for place, y in enumerate(series.y) if y is not None]
    shown = [None if y is None else y / factor for y in series.y]
    hover = [_hover(chart, series, place) for place in range(len(series.y))]
    colour = NEUTRAL if series.emphasis == "limit" else style.colour
    bars = None
    if points and all(_bounds(series, place) != (None, None) for place in points):
        bounds = [_bounds(series, place) for place in range(len(series.y))]
        bars = {
            "type": "data",
            "symmetric": False,
            "array": [0 if y is None or high is None else (high - y) / factor for y, (_, high) in zip(series.y, bounds, strict=True)],
            "arrayminus": [0 if y is None or low is None else (y - low) / factor for y, (low, _) in zip(series.y, bounds, strict=True)],
            "color": colour,
            "thickness": 1.5,
            "width": 4,
        }
    common = {"x": _x_values(chart, series.x), "y": shown, "name": series.name, "hovertext": hover, "hoverinfo": "text", "error_y": bars}
    if chart.kind == "bar" and not chart.y_log:
        # Pale inside, so that the lower half of an interval shows on its own bar.
        marker = {"color": _pale(colour), "pattern": {"shape": style.pattern, "fgcolor": colour}, "line": {"color": colour, "width": 1.5}}
        return go.Bar(**common, marker=marker)
    if chart.kind == "bar":  # a bar's length means nothing on a logarithmic axis, which has no zero: points
        return go.Scatter(**common, mode="markers", marker={"color": colour, "symbol": style.marker, "size": 11}, offsetgroup=series.name)
    dense = len(points) > MAX_MARKED_POINTS
    return go.Scatter(
        **common,
        mode="lines" if dense or series.emphasis == "limit" else "lines+markers",
        line={"color": colour, "dash": DASHES[series.emphasis], "width": 2.5 if series.emphasis == "technique" else 2},
        marker={"color": colour, "symbol": style.marker, "size": 8},
        connectgaps=False,
    )


def _pale(colour: str) -> str:
    red, green, blue = (int(colour[place : place + 2], 16) for place in (1, 3, 5))
    return f"rgba({red}, {green}, {blue}, 0.45)"


def _limit(text: str, y: float) -> dict[str, object]:
    """A physical limit: a dotted line across the whole plot with its name and value in the legend."""
    line = {"color": NEUTRAL, "dash": "dot", "width": 2}
    return {
        "type": "line",
        "xref": "paper",
        "x0": 0,
        "x1": 1,
        "yref": "y",
        "y0": y,
        "y1": y,
        "line": line,
        "name": text,
        "showlegend": True,
    }


def _x_axis(chart: Chart) -> dict[str, object]:
    numbers = sorted({float(x) for series in chart.series for x in series.x if isinstance(x, int | float)})
    if chart.kind == "bar" or not numbers:
        return {"type": "category"}
    axis: dict[str, object] = {"type": "log" if chart.x_log else "linear"}
    if chart.x_log and numbers[0] > 0:
        ticks = _log_ticks(numbers, chart.x_range)
        axis |= {"tickvals": ticks, "ticktext": [formatting.tick(value) for value in ticks]}
        low, high = chart.x_range or (numbers[0], numbers[-1])
        margin = 0.04 * (math.log10(high / low) or 1)
        axis["range"] = [math.log10(low) - margin, math.log10(high) + margin]
    elif chart.x_range is not None:
        axis["range"] = list(chart.x_range)
    return axis


def _y_axis(chart: Chart, factor: float) -> dict[str, object]:
    values = [v for v in _y_values(chart) if v > 0]
    if not chart.y_log or not values:
        axis: dict[str, object] = {"type": "linear"}
        if chart.y_range is not None:
            axis["range"] = [bound / factor for bound in chart.y_range]
        elif chart.kind == "bar":
            axis["range"] = [bound / factor for bound in _bar_range(chart)]
        return axis
    low, high = chart.y_range or (min(values), max(values))
    ticks = _decades(low, high)
    axis = {"type": "log", "tickvals": ticks, "ticktext": [formatting.quantity(value, chart.y_unit) for value in ticks]}
    # Whole decades when the range is not given: a live value moves the axis only when it leaves its decade.
    bounds = (math.log10(low), math.log10(high)) if chart.y_range else (math.floor(math.log10(low)), math.ceil(math.log10(high)))
    axis["range"] = [bounds[0] - 0.05, max(bounds[1], bounds[0] + 1) + 0.05]
    return axis


def _bar_range(chart: Chart) -> tuple[float, float]:
    """From zero to the highest value with its interval; one longer than half of that is cut, or bars would shrink to nothing."""
    values = _y_values(chart)
    ends = [end for series in chart.series for end in (*series.low, *series.high) if end is not None]
    top, bottom = max([*values, 0.0]), min([*values, 0.0])
    reach = 0.5 * (top - bottom)
    high = max(top, min(max([*ends, top]), top + reach))
    low = min(bottom, max(min([*ends, bottom]), bottom - reach)) if bottom < 0 else 0.0
    margin = 0.05 * (high - low)
    return (low - margin if low < 0 else 0.0), high + margin or 1.0


def _y_scale(chart: Chart) -> tuple[float, str]:
    """The divisor and the unit of the y axis: one prefix on a linear axis, none on a logarithmic one."""
    if chart.y_log:
        return 1.0, ""
    largest = max((abs(v) for v in (chart.y_range or _y_values(chart))), default=0.0)
    return formatting.prefix(largest, chart.y_unit)


def _y_values(chart: Chart) -> list[float]:
    drawn = [y for series in chart.series for y in series.y if y is not None]
    return drawn + list(chart.limits.values())


def _log_ticks(numbers: Sequence[float], given: tuple[float, float] | None) -> list[float]:
    low, high = given or (numbers[0], numbers[-1])
    if not all(value.is_integer() and int(value) & (int(value) - 1) == 0 for value in numbers):
        return _decades(low, high)
    first, last = math.ceil(math.log2(low)), math.floor(math.log2(high))
    step = max(1, math.ceil((last - first) / 7))  # eight labels fit a phone
    return [2.0**exponent for exponent in range(first, last + 1, step)]


def _decades(low: float, high: float) -> list[float]:
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    steps = (1, 2, 5) if last - first <= 2 else (1,)
    return [m * 10.0**e for e in range(first, last + 1) for m in steps if m == 1 or e < last]


def _bounds(series: Series, place: int) -> tuple[float | None, float | None]:
    return (series.low[place] if series.low else None, series.high[place] if series.high else None)


def _x_values(chart: Chart, xs: Sequence[Scalar]) -> list[Scalar]:
    return [_x_text(x) for x in xs] if chart.kind == "bar" else list(xs)


def _x_text(x: Scalar) -> str:
    if isinstance(x, bool) or not isinstance(x, int | float):
        return str(x)
    return formatting.count(x) if isinstance(x, int) else formatting.number(x)


def _hover(chart: Chart, series: Series, place: int) -> str:
    low, high = _bounds(series, place)
    value = formatting.quantity(series.y[place], chart.y_unit)
    span = formatting.interval(low, high, chart.y_unit)
    lines = [f"<b>{series.name}</b>", f"{_with_unit(chart.x_title, chart.x_unit)}: {_x_text(series.x[place])}", f"{chart.y_title}: {value}"]
    if span:
        lines.append(f"95 % interval: {span}")
    return "<br>".join(lines)


def _with_unit(title: str, unit: str) -> str:
    return f"{title} ({unit})" if unit else title
