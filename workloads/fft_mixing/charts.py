"""The figures of the FFT-Mix experiment, as data, from a summary. Light: the web server imports this."""

from __future__ import annotations

from collections.abc import Sequence

from lab.records import Chart, Estimate, StoredRecord
from workloads.fft_mixing import speed_charts, training_charts


def charts(estimates: Sequence[Estimate], records: Sequence[StoredRecord]) -> list[Chart]:
    """All figures that the summary has numbers for."""
    return [*speed_charts.charts(estimates), *training_charts.charts(estimates)]
