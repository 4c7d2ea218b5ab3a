"""One loss curve to look at: from the records of a run, or from a reader's file. Light: the web server imports this."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from lab.csv_format import number_columns
from lab.records import StoredRecord
from workloads.training_diagnostics.names import ADDITION, CURVES, IMAGES, LOSS
from workloads.training_diagnostics.rfilter import MIN_WINDOW

CurveName = Literal["addition", "images"]
MAX_UPLOADED = 20_000  # losses: what the server evaluates in a tenth of a second
MIN_UPLOADED = 2 * MIN_WINDOW


@dataclass(frozen=True, eq=False)
class Curve:
    """``losses`` [n] at ``steps`` [n]; ``title`` says whose."""

    title: str
    steps: np.ndarray
    losses: np.ndarray
    unit: str = ""


def uploaded(data: bytes) -> Curve:
    """A file with the columns step and loss. Raises ValueError (CsvError) where it cannot be read, or its steps do not rise."""
    columns = number_columns(data, ("step", "loss"), min_rows=MIN_UPLOADED, max_rows=MAX_UPLOADED)
    steps, losses = np.array(columns["step"]), np.array(columns["loss"])
    falling = np.flatnonzero(np.diff(steps) <= 0)
    if falling.size:
        raise ValueError(f"row {falling[0] + 3}: step {steps[falling[0] + 1]:g} does not come after step {steps[falling[0]]:g}")
    return Curve("your curve", steps, losses)


def stored(records: Sequence[StoredRecord], name: CurveName) -> Curve | None:
    """The stored losses of the first cell that has any, in the order of their steps; None where there are none."""
    rows = [item for item in records if item.record.dimensions["part"] == CURVES and (item.record.metric, item.record.arm) == (LOSS, name)]
    if not rows:
        return None
    rows = [item for item in rows if item.cell == rows[0].cell]
    points = sorted((item.record.repeat or 0, item.record.value) for item in rows if item.record.value is not None)
    places = np.array([place for place, _ in points])
    losses = np.array([loss for _, loss in points], dtype=np.float64)
    title = {ADDITION: "modular addition", IMAGES: "images"}[name]
    return Curve(f"{title} ({rows[0].record.dimensions['data']})", places + 1, losses, rows[0].record.unit)


def averaged(curve: Curve, count: int) -> Curve:
    """Means of ``count`` losses after one another, at the last of their steps; what is left at the end is left out."""
    if count == 1:
        return curve
    kept = len(curve.losses) // count * count
    means = curve.losses[:kept].reshape(-1, count).mean(1)
    return Curve(f"{curve.title}, means of {count}", curve.steps[count - 1 : kept : count], means, curve.unit)
