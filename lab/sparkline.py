"""A run in small, for lists of runs: how often its technique was better, observation by observation.

What is drawn is the *headline comparison*: of the metrics that the workload compares, the first (in its own order) of which the run has
at least two paired observations, and of its pairs the first recorded of two different arms in the same implementation (where there is none,
of any). Each point is one observation of both arms, in the order in which they were made, over all cells of a sweep: the logarithm of how
many times better the technique is, on a scale from a quarter to four times that is the same for every run. So no difference is a flat line
in the middle, noise of a percent stays invisible, and what lies beyond is cut off at the edge. An interval would say more, and the verdicts
do.

A workload that compares no observations (a curve of a training, counts) shows its first metric's first series instead, on a scale of its
own without the middle line; the words beside the picture give its range.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from dataclasses import dataclass

from lab import formatting
from lab.records import Estimate, Record, RunView, StoredRecord
from lab.workload import Metric

FACTOR = 4.0  # the scale of comparisons ends at this many times better and worse
MAX_POINTS = 60  # more are thinned evenly: a picture this small could not show them
WIDTH, HEIGHT, EDGE = 128, 56, 3  # of the drawing
LINE, AXIS = "#2F8FD0", "#8792A0"  # both readable on the light and the dark background

Key = tuple[object, ...]


@dataclass(frozen=True)
class Sparkline:
    """``heights`` from 0 (bottom) to 1 (top), in time order; ``compared``: 0.5 means that both arms are equal. ``words`` say what it is."""

    heights: tuple[float, ...]
    compared: bool
    words: str


def sparkline(view: RunView, estimates: Sequence[Estimate]) -> Sparkline | None:
    """The picture of a run; None where nothing was measured more than once. ``estimates`` are the run's (``lab.summary``)."""
    pairs = [row for row in estimates if row.statistic in ("ratio", "difference") and row.mean is not None and row.n > 1]
    pairs.sort(key=lambda pair: (pair.arm == pair.baseline_arm, pair.implementation != pair.baseline_implementation))  # else as recorded
    for name, metric in view.workload.metrics.items():
        for pair in pairs:
            if pair.metric == name:
                ratios = _ratios(view.records, pair, metric)
                if len(ratios) > 1:
                    return _compared(view, pair, metric, ratios)
    for name, metric in view.workload.metrics.items():
        found = _first_series(view.records, name)
        if found is not None:
            return _alone(view, metric, *found)
    return None


def svg(picture: Sparkline) -> str:
    """The picture as an image's address that holds the whole drawing."""
    step = (WIDTH - 2 * EDGE) / (len(picture.heights) - 1)
    points = [(EDGE + step * index, _y(height)) for index, height in enumerate(picture.heights)]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    drawn = ""
    if picture.compared:
        middle = _y(0.5)
        drawn += f'<polygon points="{EDGE},{middle} {line} {WIDTH - EDGE},{middle}" fill="{LINE}" fill-opacity="0.3"/>'
        drawn += f'<path d="M{EDGE} {middle}H{WIDTH - EDGE}" stroke="{AXIS}" stroke-dasharray="3 3"/>'
    drawn += f'<polyline points="{line}" fill="none" stroke="{LINE}" stroke-width="2" stroke-linejoin="round"/>'
    text = f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}">{drawn}</svg>'
    return "data:image/svg+xml;base64," + base64.b64encode(text.encode()).decode()


def _y(height: float) -> float:
    return EDGE + (1 - height) * (HEIGHT - 2 * EDGE)


def _ratios(records: Sequence[StoredRecord], pair: Estimate, metric: Metric) -> list[float]:
    """How many times better the technique was in each paired observation of the same comparison, in any cell."""
    names = {(pair.arm, pair.implementation): 0, (pair.baseline_arm, pair.baseline_implementation): 1}
    halves: dict[Key, dict[int, float]] = {}
    ratios = []
    for stored in records:
        record = stored.record
        side = names.get((record.arm, record.implementation))
        if side is None or not _belongs(record, pair) or record.value is None or record.value <= 0:
            continue
        both = halves.setdefault((stored.cell, *sorted(record.dimensions.items()), record.repeat, record.seed), {})
        complete = len(both) == 2
        both[side] = record.value
        if len(both) == 2 and not complete:
            ratios.append(both[0] / both[1] if metric.better == "higher" else both[1] / both[0])
    return ratios


def _belongs(record: Record, pair: Estimate) -> bool:
    sampled = record.repeat is not None or record.seed is not None
    return sampled and (record.protocol, record.metric, record.device, record.dtype) == (
        pair.protocol,
        pair.metric,
        pair.device,
        pair.dtype,
    )


def _compared(view: RunView, pair: Estimate, metric: Metric, ratios: Sequence[float]) -> Sparkline:
    labels = view.workload.labels
    arm, baseline = formatting.labelled(pair.arm, labels), formatting.labelled(pair.baseline_arm, labels)
    implementation = formatting.labelled(pair.implementation, labels)
    against = formatting.labelled(pair.baseline_implementation, labels)
    if against != implementation:
        arm, baseline = f"{arm} {implementation}", f"{baseline} {against}"
    else:
        baseline = f"{baseline}, {implementation}"
    span = _span(min(ratios), max(ratios), "x")
    heights = tuple(0.5 + min(max(math.log(ratio, FACTOR), -1.0), 1.0) / 2 for ratio in _thinned(ratios))
    return Sparkline(heights, True, f"{metric.title}: {arm} against {baseline}, {span}")


def _first_series(records: Sequence[StoredRecord], metric: str) -> tuple[Record, list[float]] | None:
    """The first series of a metric that has at least two values: one arm with one seed in one cell, over its dimensions."""
    series: dict[Key, tuple[Record, list[float]]] = {}
    for stored in records:
        record = stored.record
        if record.metric == metric and record.value is not None:
            key = (stored.cell, record.protocol, record.arm, record.implementation, record.device, record.dtype, record.repeat, record.seed)
            series.setdefault(key, (record, []))[1].append(record.value)
    return next((found for found in series.values() if len(found[1]) > 1), None)


def _alone(view: RunView, metric: Metric, record: Record, values: Sequence[float]) -> Sparkline:
    low, high = min(values), max(values)
    heights = tuple((value - low) / (high - low) if high > low else 0.5 for value in _thinned(values))
    arm = formatting.labelled(record.arm, view.workload.labels)
    return Sparkline(heights, False, f"{metric.title}: {arm}, {_span(low, high, metric.unit)} (scale of its own)")


def _span(low: float, high: float, unit: str) -> str:
    return formatting.interval(low, high, unit) if high > low else formatting.quantity(low, unit)


def _thinned(values: Sequence[float]) -> list[float]:
    """At most ``MAX_POINTS`` of the values, evenly spaced, with the first and the last."""
    count = min(len(values), MAX_POINTS)
    return [values[round(index * (len(values) - 1) / (count - 1))] for index in range(count)]
