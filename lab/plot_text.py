"""Text that Plotly shows as it is. Its texts are a small HTML with bold and links, and the names in a run may come from anywhere."""

from __future__ import annotations

import dataclasses

from lab.hidden_text import visible
from lab.records import Chart, Scalar, Series


def plot_text(text: str) -> str:
    """``text`` as Plotly shows it literally; what cannot be seen but does something is "�", line breaks and tabs stay."""
    return visible(text, "\n\t").replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def literal(chart: Chart) -> Chart:
    """The chart with all texts that a figure shows as :func:`plot_text`."""
    return dataclasses.replace(
        chart,
        x_title=plot_text(chart.x_title),
        x_unit=plot_text(chart.x_unit),
        y_title=plot_text(chart.y_title),
        y_unit=plot_text(chart.y_unit),
        z_title=plot_text(chart.z_title),
        rows_title=plot_text(chart.rows_title),
        interval=plot_text(chart.interval),
        series=tuple(_literal_series(series) for series in chart.series),
        limits={plot_text(name): value for name, value in chart.limits.items()},
        marks={plot_text(name): value for name, value in chart.marks.items()},
    )


def _literal_series(series: Series) -> Series:
    xs: tuple[Scalar, ...] = tuple(plot_text(x) if isinstance(x, str) else x for x in series.x)
    return dataclasses.replace(series, name=plot_text(series.name), x=xs, labels=tuple(map(plot_text, series.labels)))
