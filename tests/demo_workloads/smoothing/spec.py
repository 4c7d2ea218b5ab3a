"""The smoothing workload: the demo's observations, averaged over a window that a reader sets, beside a curve of the reader's own."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Self

import pydantic

from lab.csv_format import number_columns
from lab.explore import Explore, Upload
from lab.parameters import ParameterError, Parameters, parameter
from lab.records import Chart, Estimate, Series, StoredRecord
from tests.demo_workloads.demo import spec as demo


class Smoothing(Parameters):
    window: int = parameter(1, title="Window", help="Observations to average.", ge=1, le=3, group="main")
    first: int = parameter(0, title="First", help="Observation to begin with.", ge=0, le=100)

    @pydantic.model_validator(mode="after")
    def _begins_in_the_window(self) -> Self:
        if self.first > 10 * self.window:
            raise ParameterError("first", self.first, f"at most {10 * self.window} with this window")
        return self


def smoothed(
    params: Smoothing, summary: Sequence[Estimate], records: Sequence[StoredRecord], uploaded: Mapping[str, tuple[float, ...]] | None
) -> list[Chart]:
    values = [item.record.value or 0.0 for item in records if item.record.arm == "new"]
    means = [sum(values[i : i + params.window]) / params.window for i in range(params.first, len(values) - params.window + 1)]
    lines = [Series("smoothed", tuple(range(len(means))), tuple(means))]
    if uploaded:
        lines.append(Series("uploaded", uploaded["step"], uploaded["loss"], emphasis="baseline"))
    alt = f"Means over {params.window} observations."
    return [Chart("smoothed", "Smoothed", "line", "repeat", "latency", "s", tuple(lines), alt)]


WORKLOAD = dataclasses.replace(
    demo.WORKLOAD,
    name="smoothing",
    title="Smoothing",
    explore=Explore(
        title="Smooth the observations",
        text="Averages the stored observations again; nothing is measured.",
        parameters=Smoothing,
        charts=smoothed,
        upload=Upload(
            title="a curve of your own",
            columns={"step": "number of the step", "loss": "loss at that step"},
            parse=lambda data: number_columns(data, ("step", "loss"), min_rows=2),
            example="step,loss\n0,2.3\n1,2.1\n",
            max_bytes=1000,
        ),
    ),
)
