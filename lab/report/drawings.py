"""The charts of a run as data for Plotly.js, in the look of the report, each with its numbers as a table."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lab import charts
from lab.calibration import with_limits
from lab.records import Chart, Estimate, RunView
from lab.report.tables import Table
from lab.report.text import shown

# Text and grid lines are coloured by the style sheet, for both themes and for paper; these are what a saved picture has.
TEMPLATE: dict[str, Any] = {
    "layout": {
        "font": {"family": "system-ui, sans-serif", "size": 13, "color": "#17202B"},
        "paper_bgcolor": "#FFFFFF",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "legend": {"bgcolor": "rgba(0,0,0,0)"},
        "xaxis": {"gridcolor": "#DDE3EA", "zerolinecolor": "#CBD3DC", "linecolor": "#CBD3DC"},
        "yaxis": {"gridcolor": "#DDE3EA", "zerolinecolor": "#CBD3DC", "linecolor": "#CBD3DC", "title": {"standoff": 12}},
    }
}
CONFIG: dict[str, Any] = {"displayModeBar": False, "responsive": True, "scrollZoom": False, "showTips": False}


@dataclass(frozen=True)
class Drawing:
    """A chart with what draws it and its numbers. ``height`` is in pixels."""

    chart: Chart
    figure: dict[str, Any]
    height: int
    table: Table


def drawings(view: RunView, estimates: Sequence[Estimate]) -> list[Drawing]:
    """The charts of the run that have a point to show, in the order of its workload; a name has one style in all of them."""
    drawn = [
        with_limits(chart, view.manifest)
        for chart in view.workload.charts(estimates, view.records)
        if any(y is not None for series in chart.series for y in series.y)
    ]
    styles = charts.styles(drawn)
    return [_drawing(chart, charts.figure(chart, styles)) for chart in drawn]


def _drawing(chart: Chart, figure: Any) -> Drawing:
    described = json.loads(figure.to_json(engine="json"))
    described["layout"].pop("template", None)
    numbers = charts.table(chart)
    rows = [[shown(str(cell)) for cell in row] for row in numbers.to_numpy().tolist()]
    return Drawing(chart, described, int(described["layout"]["height"]), Table([shown(str(name)) for name in numbers.columns], rows))
