"""The figures of the mixture-of-experts experiment, from its summary. Light: the web server imports this."""

from __future__ import annotations

from collections.abc import Sequence

from lab.records import Chart, Estimate, StoredRecord
from workloads.moe_routing import experts_charts, routing_charts


def charts(estimates: Sequence[Estimate], records: Sequence[StoredRecord]) -> list[Chart]:
    """All figures that the summary has numbers for, in the page's order."""
    return [*routing_charts.charts(estimates), *experts_charts.charts(estimates)]
