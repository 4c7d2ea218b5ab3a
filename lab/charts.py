"""Draws :class:`lab.records.Chart`: a Plotly figure in the lab's style, and the same numbers as a table.

Colours come from Okabe and Ito's palette, two of them darkened so that every colour keeps at least 3:1 contrast on the light and on
the dark background (``.streamlit/config.toml``): one figure serves both themes. Series differ in marker, and baselines in dash, as
well as in colour; bars beyond the first five are hatched. Text and grid lines are left to the theme. Heat maps are drawn by
:mod:`lab.heatmap`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd
import plotly.graph_objects as go

from lab import formatting, heatmap
from lab.plot_text import literal
from lab.records import Chart, Scalar, Series

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#C46A9E", "#B57B00")
NEUTRAL = "#7B7F8A"  # limits and reference lines
MARKERS = ("circle", "square", "diamond", "triangle-up", "x", "triangle-down", "cross", "star")
DEPTH_MARKERS = ("circle", "square", "diamond", "cross", "x")  # what Plotly draws in three dimensions
PATTERNS = ("", "/", "x", ".")  # of bars: the next one each time the colours begin anew
DASHES = {"technique": "solid", "baseline": "dash", "limit": "dot"}
HEIGHT = 400  # pixels of the plot with its axes; fixed, so that nothing below moves while a run is live
LEGEND_ROW = 22
LEGEND_ROWS = 5  # a longer legend scrolls
CONFIG = {"displaylogo": False, "modeBarButtons": [["toImage", "resetScale2d"]], "scrollZoom": False}
RATES = frozenset({"B/s", "FLOP/s", "elements/s", "tokens/s"})  # units in which a limit is something to reach
MAX_MARKED_POINTS = 40  # a denser series is a curve: markers and bars on every point would hide its shape
MAX_LARGE_POINTS = 200  # of a scatter; more of them are drawn small, or they would cover each other
DEPTH_HEIGHT = 120  # pixels more for a chart of three dimensions


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
    names = [[series.name for series in chart.series] for chart in charts if chart.kind != "heatmap"]  # whose rows have no style
    for name in dict.fromkeys(name for chart in names for name in chart):
        taken = {found[other] for chart in names if name in chart for other in chart if other in found}
        before = (known or {}).get(name)
        free = (style for style in _ALL_STYLES if style not in taken)
        found[name] = before if before is not None and before not in taken else next(free, _ALL_STYLES[len(found) % len(_ALL_STYLES)])
    return found


def figure(chart: Chart, known: Mapping[str, Style] | None = None) -> go.Figure:
    """The figure of ``chart`` in the ``known`` styles of its series (chosen anew where there are none).

    On a linear y axis values are divided by one SI prefix, named in the axis title; on a logarithmic one each tick carries its
    own prefix. A missing value leaves a gap. Hover texts give value and interval in words. Texts are shown as they are, whatever they hold.
    """
    if chart.kind == "heatmap":
        return heatmap.figure(literal(chart), HEIGHT)
    named = known if known is not None else styles([chart])
    looks = [named[series.name] for series in chart.series]
    chart = literal(chart)
    drawn = list(zip(chart.series, looks, strict=True))
    x_factor, x_unit = _x_scale(chart)
    factor, unit = _y_scale(chart)
    result = go.Figure()
    if chart.kind == "scatter3d":
        result.add_traces([_points(chart, series, style) for series, style in drawn])
    else:
        for series, style in drawn:
            result.add_traces(_traces(chart, series, style, x_factor, factor))
        for name, value in chart.limits.items():
            result.add_shape(**_limit(f"{name}: {formatting.quantity(value, chart.y_unit)}", value / factor))
        for name, value in chart.marks.items():
            result.add_shape(**_mark(name, value / x_factor))
    entries = len(chart.series) + len(chart.limits)
    result.update_layout(
        height=HEIGHT + (DEPTH_HEIGHT if chart.kind == "scatter3d" else 0) + LEGEND_ROW * min(math.ceil(entries / 3), LEGEND_ROWS),
        margin={"l": 8, "r": 8, "t": 8, "b": 8},
        barmode="group",
        scattermode="group" if chart.kind == "bar" else "overlay",
        showlegend=entries > 1,
        legend={"orientation": "h", "yanchor": "bottom", "y": 1.02, "x": 0, "xanchor": "left", "maxheight": LEGEND_ROW * LEGEND_ROWS},
        hovermode="closest",
        hoverlabel={"align": "left"},
        dragmode=False,  # on a phone a drag scrolls the page
    )
    if chart.kind == "scatter3d":
        return result.update_layout(scene=_scene(chart))
    result.update_xaxes(title={"text": _with_unit(chart.x_title, x_unit)}, automargin=True, **_x_axis(chart, x_factor))
    result.update_yaxes(title={"text": _with_unit(chart.y_title, unit)}, automargin=True, **_y_axis(chart, factor))
    return result


def table(chart: Chart) -> pd.DataFrame:
    """The numbers of ``chart`` as text: one row per point with its value and its interval, then one per limit and per mark.

    Of a rate also the share of each limit that was reached. Of a heat map the matrix of its cells.
    """
    if chart.kind == "heatmap":
        return heatmap.table(chart)
    limits = chart.limits if chart.y_unit in RATES else {}
    rows = [_row(chart, series, place) for series in chart.series for place in range(len(series.x))]
    x_title = _with_unit(chart.x_title, chart.x_unit)
    for name, value in chart.limits.items():
        rows.append({x_title: "any", "Series": name, chart.y_title: formatting.quantity(value, chart.y_unit)})
        rows[-1] |= {f"Share of {limit}": _share(value, of) for limit, of in limits.items()}
    rows += [{x_title: _x_text(chart, value), "Series": name} for name, value in chart.marks.items()]
    columns = [x_title, "Series", chart.y_title, _headline(chart.interval), *(f"Share of {name}" for name in limits)]
    if any(series.z for series in chart.series):
        columns[3:3] = [chart.z_title]
    if any(series.x_low for series in chart.series):
        columns[1:1] = [f"{_headline(chart.interval)} of {chart.x_title}"]
    if any(series.labels for series in chart.series):
        columns[:0] = ["Point"]
    if chart.kind == "scatter3d":
        columns.remove(_headline(chart.interval))
    return pd.DataFrame([{column: row.get(column, "–") for column in columns} for row in rows], columns=columns)


def _row(chart: Chart, series: Series, place: int) -> dict[str, str]:
    y = series.y[place]
    row = {
        _with_unit(chart.x_title, chart.x_unit): _x_text(chart, series.x[place]),
        "Series": series.name,
        chart.y_title: formatting.quantity(y, chart.y_unit),
        _headline(chart.interval): formatting.interval(*_bounds(series, place), chart.y_unit) or "–",
        **{f"Share of {name}": _share(y, limit) for name, limit in chart.limits.items()},
    }
    if series.x_low:
        row[f"{_headline(chart.interval)} of {chart.x_title}"] = formatting.interval(*_x_bounds(series, place), chart.x_unit) or "–"
    if series.z:
        row[chart.z_title] = formatting.quantity(series.z[place], "")
    if series.labels:
        row["Point"] = series.labels[place]
    return row


def _share(value: float | None, limit: float) -> str:
    return "–" if value is None or limit <= 0 else formatting.quantity(100 * value / limit, "%")


def _traces(chart: Chart, series: Series, style: Style, x_factor: float, factor: float) -> list[go.Scatter | go.Bar]:
    points = sum(y is not None for y in series.y)
    shown = [None if y is None else y / factor for y in series.y]
    hover = [_hover(chart, series, place) for place in range(len(series.y))]
    colour = NEUTRAL if series.emphasis == "limit" else style.colour
    xs = [x / x_factor if isinstance(x, float | int) and chart.kind == "scatter" else x for x in _x_values(chart, series.x)]
    bars = _error_bars(series.y, series.low, series.high, factor, colour)
    common = {"x": xs, "y": shown, "name": series.name, "hovertext": hover, "hoverinfo": "text"}
    if chart.kind == "bar" and not chart.y_log:
        # Pale inside, so that the lower half of an interval shows on its own bar.
        marker = {"color": _pale(colour), "pattern": {"shape": style.pattern, "fgcolor": colour}, "line": {"color": colour, "width": 1.5}}
        return [go.Bar(**common, error_y=bars, marker=marker)]
    if chart.kind == "bar":  # a bar's length means nothing on a logarithmic axis, which has no zero: points
        points_only = {"color": colour, "symbol": style.marker, "size": 11}
        return [go.Scatter(**common, error_y=bars, mode="markers", marker=points_only, offsetgroup=series.name)]
    if chart.kind == "scatter":
        small = {"color": colour, "symbol": style.marker, "size": 9 if points <= MAX_LARGE_POINTS else 4}
        x_bars = _error_bars([x if isinstance(x, int | float) else None for x in series.x], series.x_low, series.x_high, x_factor, colour)
        return [go.Scatter(**common, error_x=x_bars, error_y=bars, mode="markers", marker=small)]
    dense = chart.bands or points > MAX_MARKED_POINTS
    line = go.Scatter(
        **common,
        error_y=None if dense else bars,
        mode="lines" if dense or series.emphasis == "limit" else "lines+markers",
        line={"color": colour, "dash": DASHES[series.emphasis], "width": 2.5 if series.emphasis == "technique" else 2},
        marker={"color": colour, "symbol": style.marker, "size": 8},
        connectgaps=False,
        legendgroup=series.name,
    )
    return [_band(series, xs, factor, colour), line] if dense and bars else [line]


def _points(chart: Chart, series: Series, style: Style) -> go.Scatter3d:
    hover = [_hover(chart, series, place) for place in range(len(series.y))]
    marker = {"color": style.colour, "symbol": DEPTH_MARKERS[MARKERS.index(style.marker) % len(DEPTH_MARKERS)], "size": 3}
    return go.Scatter3d(
        x=series.x, y=series.y, z=series.z, name=series.name, hovertext=hover, hoverinfo="text", mode="markers", marker=marker
    )


def _scene(chart: Chart) -> dict[str, object]:
    """Axes of three dimensions on the page's own background, turned by dragging."""
    titles = {"xaxis": _with_unit(chart.x_title, chart.x_unit), "yaxis": _with_unit(chart.y_title, chart.y_unit), "zaxis": chart.z_title}
    axis = {"backgroundcolor": "rgba(0, 0, 0, 0)", "gridcolor": NEUTRAL, "zerolinecolor": NEUTRAL}
    # Not along the diagonal, as Plotly would look: delayed copies of a slow series lie on it, and would all fall on one spot.
    camera = {"eye": {"x": 1.7, "y": -1.4, "z": 0.6}}
    named = {name: {**axis, "title": {"text": title}} for name, title in titles.items()}
    return {**named, "camera": camera, "dragmode": "orbit", "aspectmode": "cube"}


def _error_bars(
    values: Sequence[float | None], low: Sequence[float | None], high: Sequence[float | None], factor: float, colour: str
) -> dict[str, object] | None:
    """The error bars of ``values``, if each of them that is there has an interval."""
    ends = list(zip(low, high, strict=True)) if low and high else [(None, None)] * len(values)
    present = [end for value, end in zip(values, ends, strict=True) if value is not None]
    if not present or (None, None) in present:
        return None
    return {
        "type": "data",
        "symmetric": False,
        "array": [0 if v is None or top is None else (top - v) / factor for v, (_, top) in zip(values, ends, strict=True)],
        "arrayminus": [0 if v is None or bottom is None else (v - bottom) / factor for v, (bottom, _) in zip(values, ends, strict=True)],
        "color": colour,
        "thickness": 1.5,
        "width": 4,
    }


def _band(series: Series, xs: Sequence[Scalar], factor: float, colour: str) -> go.Scatter:
    """The intervals of a curve as a translucent band, interrupted where a value is missing."""
    outline_x: list[Scalar | None] = []
    outline_y: list[float | None] = []
    stretch: list[tuple[Scalar, float, float]] = []
    for place in range(len(series.y) + 1):
        low, high = _bounds(series, place) if place < len(series.y) else (None, None)
        if low is not None and high is not None and series.y[place] is not None:
            stretch.append((xs[place], low / factor, high / factor))
        elif stretch:  # around the stretch: there along its upper end, back along its lower one
            outline_x += [*(x for x, _, _ in stretch), *(x for x, _, _ in reversed(stretch)), None]
            outline_y += [*(top for _, _, top in stretch), *(bottom for _, bottom, _ in reversed(stretch)), None]
            stretch = []
    return go.Scatter(
        x=outline_x,
        y=outline_y,
        mode="lines",
        line={"width": 0},
        fill="toself",
        fillcolor=_pale(colour, 0.2),
        name=series.name,
        legendgroup=series.name,
        showlegend=False,
        hoverinfo="skip",
    )


def _pale(colour: str, opacity: float = 0.45) -> str:
    red, green, blue = (int(colour[place : place + 2], 16) for place in (1, 3, 5))
    return f"rgba({red}, {green}, {blue}, {opacity})"


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


def _mark(text: str, x: float) -> dict[str, object]:
    """An event: a vertical line across the whole plot with its name along it."""
    label = {"text": text, "textposition": "end", "xanchor": "right", "font": {"color": NEUTRAL, "size": 12}, "padding": 4}
    line = {"color": NEUTRAL, "dash": "dashdot", "width": 1.5}
    return {"type": "line", "xref": "x", "x0": x, "x1": x, "yref": "paper", "y0": 0, "y1": 1, "line": line, "label": label}


def _x_axis(chart: Chart, factor: float) -> dict[str, object]:
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
        axis["range"] = [bound / factor for bound in chart.x_range]
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


def _x_scale(chart: Chart) -> tuple[float, str]:
    """The divisor and the unit of the x axis: a prefix where x is measured too (a scatter) and the axis linear."""
    if chart.kind != "scatter" or chart.x_log:
        return 1.0, chart.x_unit
    numbers = [abs(x) for series in chart.series for x in series.x if isinstance(x, int | float)]
    return formatting.prefix(max((abs(x) for x in chart.x_range or numbers), default=0.0), chart.x_unit)


def _y_scale(chart: Chart) -> tuple[float, str]:
    """The divisor and the unit of the y axis: one prefix on a linear axis, none on a logarithmic one."""
    if chart.y_log:
        return 1.0, ""
    if chart.kind == "scatter3d":
        return 1.0, chart.y_unit
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


def _x_bounds(series: Series, place: int) -> tuple[float | None, float | None]:
    return (series.x_low[place] if series.x_low else None, series.x_high[place] if series.x_high else None)


def _x_values(chart: Chart, xs: Sequence[Scalar]) -> list[Scalar]:
    return [_x_text(chart, x) for x in xs] if chart.kind == "bar" else list(xs)


def _x_text(chart: Chart, x: Scalar) -> str:
    if isinstance(x, bool) or not isinstance(x, int | float):
        return str(x)
    if chart.kind == "scatter":
        return formatting.quantity(x, chart.x_unit)
    return formatting.count(x) if isinstance(x, int) else formatting.number(x)


def _hover(chart: Chart, series: Series, place: int) -> str:
    lines = [f"<b>{series.name}</b>"]
    if series.labels:
        lines.append(series.labels[place])
    lines.append(f"{_with_unit(chart.x_title, '' if chart.kind == 'scatter' else chart.x_unit)}: {_x_text(chart, series.x[place])}")
    if span := formatting.interval(*_x_bounds(series, place), chart.x_unit):
        lines.append(f"{chart.interval}: {span}")
    lines.append(f"{chart.y_title}: {formatting.quantity(series.y[place], chart.y_unit)}")
    if span := formatting.interval(*_bounds(series, place), chart.y_unit):
        lines.append(f"{chart.interval}: {span}")
    if series.z:
        lines.append(f"{chart.z_title}: {formatting.quantity(series.z[place], '')}")
    return "<br>".join(lines)


def _headline(text: str) -> str:
    return text[:1].upper() + text[1:]


def _with_unit(title: str, unit: str) -> str:
    return f"{title} ({unit})" if unit else title
