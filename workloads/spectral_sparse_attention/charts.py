"""The figures of the SSA experiment, as data, from a summary. Light: the web server imports this."""

from __future__ import annotations

from collections.abc import Sequence

from lab.records import Chart, Estimate, StoredRecord


def charts(estimates: Sequence[Estimate], records: Sequence[StoredRecord]) -> list[Chart]:
    """All figures that the summary has numbers for."""
    return []
