"""The figures of the routing study: no more of them than there is to see, differences in points and in per cent kept apart."""

from __future__ import annotations

import math

from lab.records import Record, StoredRecord
from lab.summary import summarise
from workloads.moe_routing.names import (
    BATCHED,
    GAIN,
    RELATIVE_GAIN,
    ROUTER_GRADIENT,
    ROUTING,
    TOKEN_ENTROPY,
    VALIDATION_ACCURACY,
    dimensions_of,
    high,
    low,
)
from workloads.moe_routing.routing_charts import charts
from workloads.moe_routing.spec import WORKLOAD


def study(data, steps, gain):
    """Records of the sound study of one data set, routers watched at ``steps``; Egyptian: ``gain`` points above 50 %."""

    def record(metric, value, unit, arm="egyptian", **at):
        dimensions = dimensions_of(ROUTING, data=data, experts=3, **at)
        role = "technique" if arm == "egyptian" else "baseline"
        return Record("sound", arm, role, BATCHED, "cpu", "float32", metric, value, unit, seed=42, dimensions=dimensions)

    yield record(VALIDATION_ACCURACY, 50.0, "%", step=500)
    for step in steps:
        yield record(TOKEN_ENTROPY, 0.9, "1", step=step)
        yield record(ROUTER_GRADIENT, 0.0, "1", step=step)
    for name, points in ((GAIN, gain), (low(GAIN), gain - 1), (high(GAIN), gain + 1)):
        yield record(name, points, "points")
    yield record(RELATIVE_GAIN, 2 * gain, "%")  # of 50 %


def test_data_sets_share_a_figure_and_routers_are_drawn_where_they_were_watched():
    records = [*study("spiral", (0, 250, 500), 1.5), *study("digits", (), -0.25)]
    found = charts(summarise(WORKLOAD, WORKLOAD.plan("quick", "cpu"), [StoredRecord(i, 0, one) for i, one in enumerate(records)]))
    titles = [chart.title.split(":")[0] for chart in found]
    assert titles == [
        "Test accuracy above that of equal weights",
        "Validation accuracy while training",
        "Gradient that reaches the router",
        "Entropy of one token's weights",
    ]
    both = found[0]
    assert [(series.name, series.y) for series in both.series] == [("spiral", (1.5,)), ("digits", (-0.25,))]
    assert "+3.0 % (spiral), −0.5 % (digits)" in both.takeaway
    assert "-" not in both.takeaway
    assert both.y_range is not None
    assert math.isclose(both.y_range[0], -1.25 - 0.05 * 3.75)  # ends reach from −1.25 to 2.5
    assert len({chart.key for chart in found}) == len(found)
