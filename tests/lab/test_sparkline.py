"""A run in small: which comparison is drawn, in which order, on which scale."""

from __future__ import annotations

import base64
import dataclasses
from collections.abc import Sequence
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.records import Record, RunView, StoredRecord
from lab.sparkline import MAX_POINTS, Sparkline, sparkline, svg
from lab.summary import summarise
from lab.workload import Metric
from tests.demo_workloads.demo.spec import WORKLOAD

METRICS = {
    "loss": Metric("Loss", "nats", compare="none"),
    "latency_s": Metric("Latency", "s"),
    "accuracy": Metric("Accuracy", "%", "higher", compare="difference"),
}
DECLARED = dataclasses.replace(WORKLOAD, metrics=METRICS, labels={"new": "New one"})


def record(arm: str, value: float | None, repeat: int | None = 0, **more: Any) -> StoredRecord:
    cell = more.pop("cell", 0)
    fields = {
        "protocol": "sound",
        "role": "baseline" if arm == "old" else "technique",
        "implementation": "eager",
        "device": "cpu",
        "dtype": "float64",
        "metric": "latency_s",
        "unit": "s",
        **more,
    }
    return StoredRecord(0, cell, Record(arm=arm, value=value, repeat=repeat, **fields))


def drawn(records: Sequence[StoredRecord]) -> Sparkline | None:
    plan = DECLARED.plan(texts={"n": "4,8"})
    view = RunView("run", DECLARED, plan, {}, records, "finished")
    return sparkline(view, summarise(DECLARED, plan, records))


def test_each_paired_observation_is_one_point_in_the_order_of_its_completion() -> None:
    # Old takes twice as long (log 2 / log 4 = 1/2: three quarters up), then equally long (the middle), then half (a quarter up).
    records = [record("new", 1.0, 0), record("old", 2.0, 0), record("old", 3.0, 1), record("new", 3.0, 1)]
    records += [record("new", 4.0, 0, cell=1), record("old", 2.0, 0, cell=1)]
    found = drawn([*records, record("new", 1.0, 2), record("old", None, 2, reason="lost"), record("new", 1.0, 1, cell=1)])
    assert found is not None
    assert found.heights == pytest.approx((0.75, 0.5, 0.25))
    assert found.compared
    assert found.words == "Latency: New one against old, eager, 0.500 to 2×"


def test_where_higher_is_better_the_technique_stands_above() -> None:
    more = {"metric": "accuracy", "unit": "%"}
    found = drawn([record(arm, value, repeat, **more) for repeat in (0, 1) for arm, value in (("new", 80.0), ("old", 40.0))])
    assert found is not None
    assert found.heights == pytest.approx((0.75, 0.75))


def test_what_lies_beyond_the_scale_is_cut_off_and_named() -> None:
    found = drawn([record(arm, value, repeat) for repeat in (0, 1) for arm, value in (("new", 1.0), ("old", 100.0 ** (1 - 2 * repeat)))])
    assert found is not None
    assert found.heights == (1.0, 0.0)
    assert "0.0100 to 100×" in found.words


def test_two_arms_in_one_implementation_come_before_other_pairs() -> None:
    def both(first: str, second: str, times: float) -> list[StoredRecord]:
        more = [{"implementation": first}, {"implementation": second}]
        return [record(arm, value, repeat, **more[arm == "old"]) for repeat in (0, 1) for arm, value in (("new", 1.0), ("old", times))]

    declared = dataclasses.replace(
        DECLARED, pairs=lambda means: [(t, b) for t in means for b in means if t.arm == "new" and b.arm == "old"]
    )
    records = [*both("eager", "fused", 4.0), *both("compiled", "compiled", 1.0)]
    plan = declared.plan()
    found = sparkline(RunView("run", declared, plan, {}, records, "finished"), summarise(declared, plan, records))
    assert found is not None
    assert found.words == "Latency: New one against old, compiled, 1×"


def test_one_observation_is_no_picture() -> None:
    assert drawn([record("new", 1.0), record("old", 2.0)]) is None
    assert drawn([]) is None


def test_without_a_comparison_the_first_series_is_drawn_on_its_own_scale() -> None:
    records = [record("new", value, None, metric="loss", unit="nats", seed=seed) for value in (3.0, 1.0, 2.0) for seed in (7, 8)]
    found = drawn(records)
    assert found is not None
    assert found.heights == pytest.approx((1.0, 0.0, 0.5))  # one seed's, not both in turn
    assert not found.compared
    assert found.words == "Loss: New one, 1 to 3 nats (scale of its own)"


def test_a_series_that_stands_still_is_a_line_in_the_middle() -> None:
    found = drawn([record("new", 2.0, None, metric="loss", unit="nats", seed=7) for _ in range(3)])
    assert found is not None
    assert found.heights == (0.5, 0.5, 0.5)
    assert found.words == "Loss: New one, 2 nats (scale of its own)"


@given(st.integers(2, 500))
def test_long_runs_are_thinned_evenly_with_both_ends(count: int) -> None:
    found = drawn([record("new", float(value), None, metric="loss", unit="nats", seed=7) for value in range(count)])
    assert found is not None
    assert len(found.heights) == min(count, MAX_POINTS)
    assert (found.heights[0], found.heights[-1]) == (0.0, 1.0)
    steps = [later - earlier for earlier, later in zip(found.heights, found.heights[1:], strict=False)]
    assert min(steps) > 0
    assert max(steps) <= 2 * min(steps) + 1e-9


@pytest.mark.parametrize("compared", [True, False])
def test_the_picture_is_a_drawing_with_a_middle_line_only_where_it_means_something(compared: bool) -> None:
    kind, _, data = svg(Sparkline((0.0, 1.0), compared, "")).partition(",")
    assert kind == "data:image/svg+xml;base64"
    names = [element.tag.partition("}")[2] for element in ElementTree.fromstring(base64.b64decode(data))]
    assert names == (["polygon", "path", "polyline"] if compared else ["polyline"])
