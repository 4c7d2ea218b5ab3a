"""The picture of the claims board: a forest plot of claimed against measured, a line for each claim, on one common axis.

Two axes are offered. ``effect`` is the measured effect as a multiple of the claimed one, ``effect(measured) / effect(claimed)`` of
:mod:`lab.verdicts` (on the log scale for ratios): 0 is no effect, 1 exactly as claimed, below 0 the opposite of what is claimed.
``times`` is the ratio itself, for claims of a ratio, on a log axis with the claimed ratio as a mark.

A shaded stretch of each line is where a measurement counts as reproduced. The range of the axis is fixed: what lies outside stands at
the edge as an arrow, with its true value in the hover text and in the table. Colours are those of :mod:`lab.charts`.
"""

from __future__ import annotations

import math
import textwrap
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pandas as pd
import plotly.graph_objects as go

from lab import formatting, verdicts
from lab.board import COMPARISON_TITLES, Row, Standing, adverse, single
from lab.board_query import Axis
from lab.charts import COLOURS, NEUTRAL
from lab.claims import Claim
from lab.plot_text import plot_text
from lab.verdicts import Verdict, borders, effect, value_of

ROW_HEIGHT = 22  # pixels of one line
FRAME_HEIGHT = 96  # pixels of legend and axis
RANGES: dict[Axis, tuple[float, float]] = {"effect": (-1.5, 2.5), "times": (0.001, 1000.0)}
TICKS: dict[Axis, tuple[float, ...]] = {"effect": (-1, 0, 1, 2), "times": (0.01, 0.1, 1, 10, 100)}
SYMBOLS = {"published": "circle", "best": "diamond"}
OFFSETS = {"published": -0.16, "best": 0.16}  # of a line's height, so that both comparisons can be told apart
_BLUE, _VERMILION, _GREEN, _PINK, _OCHRE = COLOURS
# Colour and whether the marker is filled; the word is in the legend and in every hover text.
LOOK: dict[str, tuple[str, bool]] = {
    verdicts.REPRODUCED: (_GREEN, True),
    verdicts.REPRODUCIBLE: (_GREEN, False),
    verdicts.LARGER: (_BLUE, True),
    verdicts.SMALLER: (_OCHRE, True),
    verdicts.NO_DIFFERENCE: (_OCHRE, False),
    verdicts.CONTRADICTED: (_VERMILION, True),
    verdicts.INCONCLUSIVE: (_PINK, True),
}
_SHADE = "rgba(0, 158, 115, 0.20)"  # the green of "reproduced"
EDGE = 0.025  # of the range: how far beyond it the arrows stand
_WRAP = 64  # characters of a line of a hover text


@dataclass(frozen=True)
class Point:
    """One measured finding on the axis. ``x``, ``low`` and ``high`` are its true places; ``low`` and ``high`` are None for exact values."""

    row: Row
    standing: Standing
    verdict: Verdict
    x: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Line:
    """One claim that is drawn: where it counts as reproduced, where the claim itself lies (None: it names no figure), its points."""

    row: Row
    claimed: float | None
    reproduced: tuple[float, float] | None
    points: tuple[Point, ...]


def lines(rows: Iterable[Row], axis: Axis) -> list[Line]:
    """A line for each measured claim that has a place on ``axis``; tables have none, their cells have."""
    return [line for line in (_line(row, axis) for row in single(rows) if row.measured) if line is not None]


def left_out(rows: Iterable[Row], axis: Axis) -> str:
    """Which measured claims have no place on ``axis`` and why, in a sentence; "" where all have one."""
    missing = [row.claim for row in single(rows) if row.measured and _line(row, axis) is None]
    if not missing:
        return ""
    why = Counter(_obstacle(claim, axis) for claim in missing)
    reasons = "; ".join(f"{count} {reason}" for reason, count in why.items())
    verb = "claim is" if len(missing) == 1 else "claims are"
    return f"{len(missing)} measured {verb} not drawn here and stand in the table: {reasons}."


def _obstacle(claim: Claim, axis: Axis) -> str:
    if axis == "times":
        return "not about a ratio"
    named = {"equivalence": "of equality, which claim no effect", "rank": "of a rank", "open": "without a claimed figure"}
    return named.get(claim.kind, "with a threshold at no effect")


def _line(row: Row, axis: Axis) -> Line | None:
    claim = row.claim
    if axis == "effect":
        c = effect(claim, claim.value) if claim.value is not None and claim.kind != "rank" else 0.0
        if c <= 0:
            return None
        claimed: float | None = 1.0
    else:
        if claim.unit != "×":
            return None
        claimed = claim.value if claim.value is not None else claim.null if claim.kind == "equivalence" else None
    points = []
    for standing in row.standings:
        if standing.lead is None or not standing.lead.measured or standing.lead.verdict.measured is None:
            continue
        found = standing.lead.verdict
        place = _place(claim, axis, found.measured)
        low, high = _place(claim, axis, found.ci_low), _place(claim, axis, found.ci_high)
        if place is None:
            continue
        ends = sorted((low, high)) if low is not None and high is not None else [None, None]
        points.append(Point(row, standing, found, place, ends[0], ends[1]))
    return Line(row, claimed, _reproduced(claim, axis), tuple(points)) if points else None


def _place(claim: Claim, axis: Axis, value: float | None) -> float | None:
    """Where a value of the claim's unit lies on the axis; −∞ to ∞."""
    if value is None or math.isnan(value):
        return None
    if axis == "times":
        return max(value, 0.0)
    assert claim.value is not None
    return effect(claim, value) / effect(claim, claim.value)


def _reproduced(claim: Claim, axis: Axis) -> tuple[float, float] | None:
    """From where to where a measurement counts as reproduced, on the axis."""
    if claim.kind == "open":
        return None
    edge = borders(claim)
    low = edge.low if claim.kind == "equivalence" else max(edge.low, edge.margin)
    if axis == "effect":
        assert claim.value is not None
        c = effect(claim, claim.value)
        return low / c, edge.high / c
    first, last = sorted((value_of(claim, low), value_of(claim, edge.high)))
    return first, last


# --- drawing --------------------------------------------------------------------------------------------------------------------


def figure(drawn: Sequence[Line], axis: Axis) -> go.Figure:
    """The figure, a line of ``ROW_HEIGHT`` pixels for each claim and for each heading of a technique."""
    places, headings, height = _layout(drawn)
    low, high = (_scaled(bound, axis) for bound in RANGES[axis])
    result = go.Figure()
    result.add_trace(_shading(drawn, places, axis))
    if axis == "times":
        result.add_trace(_claimed(drawn, places, axis))
    for name, (colour, filled) in LOOK.items():
        found = [point for line in drawn for point in line.points if point.standing.word == name]
        if found:
            result.add_traces(_points(found, places, axis, name, colour, filled))
    result.add_trace(_arrows(drawn, places, axis))
    for at in (0.0, 1.0) if axis == "effect" else (1.0,):
        x = _scaled(at, axis)
        dash = "solid" if axis == "effect" and at == 1.0 else "dot"
        result.add_shape(
            type="line", x0=x, x1=x, yref="paper", y0=0, y1=1, line={"color": NEUTRAL, "width": 1.5, "dash": dash}, layer="below"
        )
    for title, place in headings.items():
        text = f"<b>{plot_text(title)}</b>"
        result.add_annotation(x=0, xref="paper", xanchor="left", y=place, text=text, showarrow=False, font={"size": 13}, xshift=2)
    result.update_layout(
        height=height * ROW_HEIGHT + FRAME_HEIGHT,
        margin={"l": 8, "r": 8, "t": 8, "b": 8},
        legend={"orientation": "h", "yanchor": "bottom", "yref": "container", "y": 0.0, "x": 0, "xref": "container", "xanchor": "left"},
        hovermode="closest",
        hoverlabel={"align": "left"},
        dragmode=False,
        clickmode="event+select",
        barmode="overlay",
    )
    ticks = TICKS[axis]
    result.update_xaxes(
        side="top",
        tickangle=0,
        range=[low - 2 * EDGE * (high - low), high + 2 * EDGE * (high - low)],
        tickvals=[_scaled(tick, axis) for tick in ticks],
        ticktext=[_tick(tick, axis) for tick in ticks],
        zeroline=False,
        fixedrange=True,
    )
    return result.update_yaxes(
        tickvals=list(places.values()),
        ticktext=[plot_text(claim_id) for claim_id in places],
        tickfont={"size": 11},
        range=[height - 0.5, -0.5],
        showgrid=False,
        zeroline=False,
        automargin=True,
        fixedrange=True,
    )


def alt(drawn: Sequence[Line], axis: Axis) -> str:
    """What the picture shows, in words."""
    tally = Counter(point.standing.word for line in drawn for point in line.points)
    found = ", ".join(f"{tally[name]} {name}" for name in LOOK if tally[name])
    what = "as multiples of the claimed effects" if axis == "effect" else "as ratios beside the claimed ones"
    return f"Measured effects of {len(drawn)} claims with their intervals, {what}: {found or 'nothing is measured'}."


def table(drawn: Sequence[Line], axis: Axis) -> pd.DataFrame:
    """The numbers of the picture as text, one row for each point."""
    rows = [
        (
            line.row.claim.id,
            COMPARISON_TITLES[point.standing.comparison],
            point.standing.verdict,
            line.row.claim.claimed_text,
            _measured(point),
            _on_axis(point.x),
            f"{_on_axis(point.low)} to {_on_axis(point.high)}" if point.low is not None else "–",
        )
        for line in drawn
        for point in line.points
    ]
    named = "Multiple of the claimed effect" if axis == "effect" else "Ratio"
    return pd.DataFrame(rows, columns=["Claim", "Comparison", "Verdict", "Claimed", "Measured", named, "Interval of it"])


def _layout(drawn: Sequence[Line]) -> tuple[dict[str, int], dict[str, int], int]:
    """The place of each claim by its id, of each technique's heading, and how many lines there are."""
    places: dict[str, int] = {}
    headings: dict[str, int] = {}
    next_line = 0
    for line in drawn:
        if line.row.claim.technique_title not in headings:
            headings[line.row.claim.technique_title] = next_line
            next_line += 1
        places[line.row.claim.id] = next_line
        next_line += 1
    return places, headings, max(next_line, 1)


def _shading(drawn: Sequence[Line], places: dict[str, int], axis: Axis) -> go.Bar:
    bands = [(places[line.row.claim.id], line.reproduced) for line in drawn if line.reproduced is not None]
    ends = [(place, _clipped(low, axis), _clipped(high, axis)) for place, (low, high) in bands]
    return go.Bar(
        orientation="h",
        y=[place for place, _, _ in ends],
        base=[low for _, low, _ in ends],
        x=[high - low for _, low, high in ends],
        width=1.0,
        marker={"color": _SHADE, "line": {"width": 0}},
        name="counts as reproduced",
        hoverinfo="skip",
    )


def _claimed(drawn: Sequence[Line], places: dict[str, int], axis: Axis) -> go.Scatter:
    found = [(line.claimed, line.row.claim) for line in drawn if line.claimed is not None]
    return go.Scatter(
        x=[_clipped(x, axis) for x, _ in found],
        y=[places[claim.id] for _, claim in found],
        mode="markers",
        marker={"symbol": "line-ns", "size": 16, "line": {"width": 2.5, "color": NEUTRAL}},
        name="claimed",
        hovertext=[f"<b>{plot_text(claim.id)}</b><br>Claimed: {plot_text(claim.claimed_text)}" for _, claim in found],
        hoverinfo="text",
    )


def _points(found: Sequence[Point], places: dict[str, int], axis: Axis, name: str, colour: str, filled: bool) -> list[go.Scatter]:
    ys = [places[point.row.claim.id] + OFFSETS[point.standing.comparison] for point in found]
    bars_x: list[float | None] = []
    bars_y: list[float | None] = []
    for point, y in zip(found, ys, strict=True):
        if point.low is not None and point.high is not None:
            bars_x += [_clipped(point.low, axis), _clipped(point.high, axis), None]
            bars_y += [y, y, None]
    markers = go.Scatter(
        x=[_clipped(point.x, axis) for point in found],
        y=ys,
        mode="markers",
        marker={
            "symbol": [SYMBOLS[point.standing.comparison] + ("" if filled else "-open") for point in found],
            "size": 10,
            "color": colour,
            "line": {"width": 2 if not filled else 0, "color": colour},
        },
        name=name,
        legendgroup=name,
        customdata=[point.row.claim.id for point in found],
        hovertext=[_hover(point, axis) for point in found],
        hoverinfo="text",
        selected={"marker": {"opacity": 1}},
        unselected={"marker": {"opacity": 1}},
    )
    bars = go.Scatter(
        x=bars_x, y=bars_y, mode="lines", line={"color": colour, "width": 2}, legendgroup=name, showlegend=False, hoverinfo="skip"
    )
    return [bars, markers] if bars_x else [markers]


def _arrows(drawn: Sequence[Line], places: dict[str, int], axis: Axis) -> go.Scatter:
    """An arrow beyond the edge beside each marker or interval that lies, or reaches, outside the range."""
    low, high = RANGES[axis]
    first, last = _scaled(low, axis), _scaled(high, axis)
    out = EDGE * (last - first)
    found: list[tuple[float, float, str, str]] = []
    for point in (point for line in drawn for point in line.points):
        y = places[point.row.claim.id] + OFFSETS[point.standing.comparison]
        colour = LOOK[point.standing.word][0]
        if min(point.x, point.x if point.low is None else point.low) < low:
            found.append((first - out, y, "triangle-left", colour))
        if max(point.x, point.x if point.high is None else point.high) > high:
            found.append((last + out, y, "triangle-right", colour))
    return go.Scatter(
        x=[x for x, _, _, _ in found],
        y=[y for _, y, _, _ in found],
        mode="markers",
        marker={"symbol": [symbol for _, _, symbol, _ in found], "color": [colour for _, _, _, colour in found], "size": 8},
        hoverinfo="skip",
        showlegend=False,
    )


def _scaled(value: float, axis: Axis) -> float:
    """A place within the range in the figure's coordinates: the logarithm where the axis is logarithmic (so that bars can begin there)."""
    return value if axis == "effect" else math.log10(value)


def _clipped(value: float, axis: Axis) -> float:
    low, high = RANGES[axis]
    return _scaled(min(max(value, low), high), axis)


def _tick(value: float, axis: Axis) -> str:
    if axis == "times":
        return f"{formatting.number(value, 1)}×"
    return f"<b>{formatting.number(value)}</b>" if value in (0, 1) else formatting.number(value)


def _on_axis(value: float | None) -> str:
    if value is None:
        return "–"
    return formatting.quantity(value, "×") if math.isfinite(value) else formatting.number(value)


def _measured(point: Point) -> str:
    return formatting.estimate(point.verdict.measured, point.verdict.ci_low, point.verdict.ci_high, point.row.claim.unit)


def _hover(point: Point, axis: Axis) -> str:
    claim = point.row.claim
    title = COMPARISON_TITLES[point.standing.comparison]
    assert point.standing.lead is not None
    texts = [
        f"{claim.statement} ({claim.id})",
        f"{title[0].upper()}{title[1:]}: {point.standing.verdict}",
        f"Claimed: {claim.claimed_text}. Measured: {_measured(point)}",
    ]
    if axis == "effect":
        texts.append(f"{_on_axis(point.x)} the claimed effect{' (of the logarithms)' if claim.scale == 'log' else ''}")
    if adverse(claim):
        texts.append("More of this effect is worse for the technique.")
    texts += [f"Also: {said}" for said in [point.standing.dissent()] if said]
    texts.append(point.standing.lead.evidence)
    first, *others = [_wrapped(text) for text in texts]
    return "<br>".join([f"<b>{first}</b>", *others])


def _wrapped(text: str) -> str:
    """The text in short lines, with nothing in it that Plotly would take for its own."""
    return "<br>".join(plot_text(part) for part in textwrap.wrap(text, _WRAP))
