"""From records to estimates: groups, means, pairs, missing values, the best implementation."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from lab.parameters import Parameters, Plan, parameter
from lab.records import Estimate, Record, StoredRecord
from lab.statistics import TOO_FEW
from lab.summary import best, summarise
from lab.workload import MemoryNeed, Metric, Workload


class Settings(Parameters):
    n: int = parameter(1, title="n", help="elements", ge=1, le=100, sweep=True)
    shapes: tuple[Literal["a", "b", "c"], ...] = parameter(("a",), title="shapes", help="shapes", sweep=True)


METRICS = {
    "latency_s": Metric("time", "s"),
    "rate": Metric("rate", "1/s", better="higher"),
    "accuracy": Metric("accuracy", "1", better="higher", compare="difference"),
    "loss": Metric("loss", "nat", compare="difference"),
    "flops": Metric("operations", "1"),
    "gating": Metric("share near zero", "1", better="neither"),
    "noise": Metric("noise", "1", compare="none"),
    "energy_j": Metric("energy", "J", looks=1),
}
WORKLOAD = Workload(
    name="toy",
    title="Toy",
    question="?",
    source="none",
    parameters=Settings,
    preset=lambda name, device: {},
    dimensions=("step",),
    metrics=METRICS,
    entry_point="toy:run",
    claims=(),
    duration_s=lambda plan, device: 1.0,
    memory=lambda cell, device: MemoryNeed(0, 0),
    memory_parameter="n",
    measure=lambda claim, summary: [],
    charts=lambda summary, records: [],
)
ONE = Plan.of(Settings)


def record(arm: str, value: float | None, repeat: int | None = None, **changes) -> Record:
    made = Record(
        protocol="sound",
        arm=arm,
        role="baseline" if arm.startswith("base") else "technique",
        implementation="eager",
        device="cpu",
        dtype="float32",
        metric="latency_s",
        value=value,
        unit="s",
        repeat=repeat,
    )
    return replace(made, **changes)


def summary(
    records: Sequence[Record], plan: Plan = ONE, workload: Workload = WORKLOAD, cells: Sequence[int] | None = None
) -> list[Estimate]:
    cells = cells or [0] * len(records)
    return summarise(workload, plan, [StoredRecord(seq, cell, item) for seq, (cell, item) in enumerate(zip(cells, records, strict=True))])


def series(arm: str, values: Sequence[float | None], **changes) -> list[Record]:
    return [record(arm, value, repeat, **changes) for repeat, value in enumerate(values)]


class TestMeans:
    def test_mean_over_repeats_with_three_looks(self) -> None:
        # 3, 1, 5, 2, 4: mean 3, standard error √0.5; three looks: t(1 − 0.05/6, 4).
        (row,) = summary(series("a", [3, 1, 5, 2, 4]))
        half = stats.t.ppf(1 - 0.05 / 6, 4) * math.sqrt(0.5)
        assert (row.statistic, row.mean, row.n, row.unit, row.baseline_arm, row.reason) == ("mean", 3.0, 5, "s", "", "")
        assert (row.ci_low, row.ci_high) == (pytest.approx(3 - half), pytest.approx(3 + half))
        assert (row.workload, row.protocol, row.arm, row.implementation, row.device, row.dtype) == (
            "toy",
            "sound",
            "a",
            "eager",
            "cpu",
            "float32",
        )

    def test_the_interval_of_a_time_stays_above_zero(self) -> None:
        # 1, 1, 1, 1, 96: mean 20, standard error 19, t(1 − 0.05/6, 4) = 3.961, half-width 75.26: 20 · exp(± 3.763).
        (row,) = summary(series("a", [1.0, 1.0, 1.0, 1.0, 96.0]))
        assert row.ci_low == pytest.approx(20 * math.exp(-19 * 3.960786 / 20), rel=1e-5)
        assert row.ci_high == pytest.approx(20 * math.exp(19 * 3.960786 / 20), rel=1e-5)

    def test_a_fixed_number_of_repeats_is_one_look(self) -> None:
        # The same values; t(0.975, 4) = 2.776 instead of t(1 − 0.05/6, 4) = 3.961. The pair's log ratios are those of the values to a
        # baseline of 1: as wide as their own.
        technique, baseline = [3.0, 1.0, 5.0, 2.0, 4.0], [1.0] * 5
        rows = summary([*series("a", technique, metric="energy_j", unit="J"), *series("base", baseline, metric="energy_j", unit="J")])
        assert rows[0].ci_high == pytest.approx(3 + stats.t.ppf(0.975, 4) * math.sqrt(0.5))
        logs = [-math.log(value) for value in technique]
        mean = sum(logs) / 5
        error = math.sqrt(sum((value - mean) ** 2 for value in logs) / 4 / 5)
        assert rows[2].statistic == "ratio"
        assert rows[2].ci_high == pytest.approx(math.exp(mean + stats.t.ppf(0.975, 4) * error))

    def test_seeds_are_one_look_without_an_order(self) -> None:
        # In the order 1 … 5 the values trend; seeds have no order, so nothing is said of it and the interval is the plain one.
        rows = summary([record("a", v, seed=s) for s, v in enumerate([1.0, 2.0, 3.0, 4.0, 5.0])])
        half = stats.t.ppf(0.975, 4) * math.sqrt(0.5)
        assert [(r.statistic, r.n, r.reason) for r in rows] == [("mean", 5, "")]
        assert rows[0].ci_high == pytest.approx(3 + half)

    def test_one_value_without_repeat_or_seed_is_exact(self) -> None:
        (row,) = summary([record("a", 14.0, metric="flops", unit="1")])
        assert (row.statistic, row.mean, row.ci_low, row.ci_high, row.n, row.reason) == ("exact", 14.0, None, None, 1, "")

    def test_one_seed_is_a_sample_and_not_exact(self) -> None:
        (row,) = summary([record("a", 0.9, seed=0, metric="accuracy", unit="1")])
        assert (row.statistic, row.mean, row.n, row.reason) == ("mean", 0.9, 1, TOO_FEW)

    def test_missing_values_are_counted_with_their_reason(self) -> None:
        records = series("a", [1.0, 1.0, 1.0, 1.0, 1.0])
        records.append(record("a", None, 5, reason="counter stopped"))
        (row,) = summary(records)
        assert (row.mean, row.n, row.reason) == (1.0, 5, "1 of 6 values missing (counter stopped)")

    def test_nothing_but_missing_is_a_row_with_the_reason(self) -> None:
        rows = summary([record("a", None, reason="no compiler"), *series("b", [1.0] * 5)])
        assert [(r.arm, r.statistic, r.mean, r.n, r.reason) for r in rows] == [
            ("a", "mean", None, 0, "no compiler"),
            ("b", "mean", 1.0, 5, ""),
        ]
        (row,) = summary([record("a", None)])
        assert (row.mean, row.reason) == (None, "missing without a reason")

    def test_contradicting_values_of_one_observation_are_not_averaged(self) -> None:
        rows = summary([record("a", 1.0, metric="flops"), record("a", 2.0, metric="flops")])
        assert [(r.mean, r.reason) for r in rows] == [(None, "different values were recorded for one observation")]
        (same,) = summary([record("a", 1.0, metric="flops"), record("a", 1.0, metric="flops")])
        assert (same.mean, same.n) == (1.0, 1)

    def test_not_finite_values_are_said(self) -> None:
        (row,) = summary(series("a", [1.0, math.inf, 1.0, 1.0, 1.0]))
        assert (row.mean, row.reason) == (None, "1 of 5 values is not finite")

    def test_reasons_beside_values_are_kept_once(self) -> None:
        (row,) = summary(series("a", [1.0] * 5, reason="warm cache: 8 inputs"))
        assert (row.mean, row.reason) == (1.0, "warm cache: 8 inputs")


class TestGroups:
    def test_cells_protocols_metrics_devices_types_and_dimensions_stay_apart(self) -> None:
        base = series("a", [1.0] * 5)
        variants = [
            {},
            {"protocol": "published"},
            {"metric": "rate"},
            {"device": "cuda:0"},
            {"dtype": "bfloat16"},
            {"dimensions": {"step": 1}},
            {"dimensions": {"step": 2}},
        ]
        rows = summary([replace(item, **variant) for variant in variants for item in base])
        assert [(r.protocol, r.metric, r.device, r.dtype, dict(r.dimensions)) for r in rows] == [
            ("sound", "latency_s", "cpu", "float32", {}),
            ("published", "latency_s", "cpu", "float32", {}),
            ("sound", "rate", "cpu", "float32", {}),
            ("sound", "latency_s", "cuda:0", "float32", {}),
            ("sound", "latency_s", "cpu", "bfloat16", {}),
            ("sound", "latency_s", "cpu", "float32", {"step": 1}),
            ("sound", "latency_s", "cpu", "float32", {"step": 2}),
        ]

    def test_the_order_in_which_dimensions_are_written_means_nothing(self) -> None:
        first = [record("a", 1.0, r, dimensions={"step": 1, "expert": 2}) for r in range(3)]
        second = [record("a", 1.0, r, dimensions={"expert": 2, "step": 1}) for r in range(3, 5)]
        assert [r.n for r in summary(first + second)] == [5]

    def test_swept_values_name_the_cell(self) -> None:
        plan = Plan.of(Settings, {"n": [4, 8], "shapes": [("a",), ("b", "c")]})
        rows = summary([record("a", 1.0, metric="flops")] * 4, plan, cells=[0, 1, 2, 3])
        assert [dict(r.swept) for r in rows] == [
            {"n": 4, "shapes": "a"},
            {"n": 4, "shapes": "b,c"},
            {"n": 8, "shapes": "a"},
            {"n": 8, "shapes": "b,c"},
        ]

    def test_nothing_swept_leaves_no_column(self) -> None:
        assert summary([record("a", 1.0, metric="flops")])[0].swept == {}

    def test_no_records_no_rows(self) -> None:
        assert summary([]) == []


class TestPairs:
    def pair(self, records: Sequence[Record], workload: Workload = WORKLOAD) -> Estimate:
        (row,) = [row for row in summary(records, workload=workload) if row.baseline_arm]
        return row

    def test_ratio_is_baseline_over_technique_where_lower_is_better(self) -> None:
        row = self.pair(series("a", [1.0, 2.0, 1.0, 2.0, 1.0]) + series("base", [3.0, 6.0, 3.0, 6.0, 3.0]))
        assert (row.arm, row.baseline_arm, row.statistic, row.unit, row.n) == ("a", "base", "ratio", "x", 5)
        assert row.mean == pytest.approx(3.0)
        assert row.ci_low == pytest.approx(3.0)  # the pairs' ratio is the same each time, whatever the machine did

    def test_ratio_is_technique_over_baseline_where_higher_is_better(self) -> None:
        row = self.pair(series("a", [6.0] * 5, metric="rate") + series("base", [2.0] * 5, metric="rate"))
        assert row.mean == pytest.approx(3.0)

    def test_difference_is_technique_minus_baseline_whatever_is_better(self) -> None:
        for metric in ("accuracy", "loss"):
            row = self.pair(series("a", [0.75] * 5, metric=metric, unit="1") + series("base", [0.5] * 5, metric=metric, unit="1"))
            assert (row.statistic, row.mean, row.ci_low, row.unit) == ("difference", 0.25, 0.25, "1")

    def test_only_observations_that_both_have(self) -> None:
        # Repeat 5 has only the technique, repeat 0 only the baseline: 1 … 4 and so on remain, five of them.
        technique = [record("a", 1.0, repeat) for repeat in (1, 2, 3, 4, 6, 5)]
        baseline = [record("base", 2.0, repeat) for repeat in (0, 1, 2, 3, 4, 6)]
        assert (self.pair(technique + baseline).n, self.pair(technique + baseline).mean) == (5, pytest.approx(2.0))

    def test_observations_in_common_are_paired_by_number_not_by_arrival(self) -> None:
        values = {0: 1.0, 1: 2.0, 2: 4.0, 3: 8.0, 4: 16.0}
        technique = [record("a", v, r) for r, v in values.items()]
        baseline = [record("base", 2 * v, r) for r, v in reversed(values.items())]
        row = self.pair(technique + baseline)
        assert (row.mean, row.ci_low, row.ci_high) == (pytest.approx(2.0), pytest.approx(2.0), pytest.approx(2.0))

    def test_seeds_pair(self) -> None:
        technique = [record("a", s + 1.5, seed=s, metric="loss") for s in (4, 3, 2, 1, 0)]
        baseline = [record("base", s + 1.0, seed=s, metric="loss") for s in range(5)]
        row = self.pair(technique + baseline)
        assert (row.mean, row.ci_low, row.ci_high, row.n) == (0.5, 0.5, 0.5, 5)

    def test_no_common_observation(self) -> None:
        row = self.pair([record("a", 1.0, 0), record("base", 1.0, 1)])
        assert (row.mean, row.reason) == (None, "no observation that both arms have")

    def test_repeats_do_not_pair_with_seeds_or_exact_values(self) -> None:
        for other in (record("base", 1.0, seed=0), record("base", 1.0)):
            assert self.pair([record("a", 1.0, 0), other]).reason == "repeats, seeds and exact values cannot be paired with one another"

    def test_exact_values_have_exact_ratios(self) -> None:
        # 14 operations against 4: 3.5 times fewer.
        row = self.pair([record("a", 4.0, metric="flops"), record("base", 14.0, metric="flops")])
        assert (row.statistic, row.mean, row.ci_low, row.ci_high, row.n, row.reason) == ("ratio", 3.5, None, None, 1, "")
        assert (
            self.pair([record("a", 0.0, metric="flops"), record("base", 14.0, metric="flops")]).reason == "division by an exact 0: no ratio"
        )

    def test_an_arm_that_is_missing_says_so_in_the_pair(self) -> None:
        row = self.pair([record("a", None, reason="no compiler"), *series("base", [1.0] * 5)])
        assert (row.mean, row.n, row.reason) == (None, 0, "a eager: no compiler")

    def test_metrics_that_are_not_compared(self) -> None:
        for metric in ("gating", "noise", "unknown"):
            assert len(summary(series("a", [1.0] * 5, metric=metric) + series("base", [1.0] * 5, metric=metric))) == 2

    def test_default_pairs_share_the_implementation(self) -> None:
        records = [
            item
            for arm, implementation in itertools.product(("a", "b", "base1", "base2"), ("eager", "fused"))
            for item in series(arm, [1.0] * 5, implementation=implementation)
        ]
        pairs = [(r.arm, r.implementation, r.baseline_arm, r.baseline_implementation) for r in summary(records) if r.baseline_arm]
        expected = {(a, i, b, i) for a in ("a", "b") for b in ("base1", "base2") for i in ("eager", "fused")}
        assert set(pairs) == expected
        assert len(pairs) == 8

    def test_the_workload_can_choose_its_pairs(self) -> None:
        def best_against_best(means: Sequence[Estimate]) -> list[tuple[Estimate, Estimate]]:
            found = best(means, "a", "latency_s"), best(means, "base", "latency_s")
            return [found] if all(found) else []

        workload = replace(WORKLOAD, pairs=best_against_best)
        records = [
            *series("a", [2.0] * 5),
            *series("a", [1.0] * 5, implementation="fused"),
            *series("base", [4.0] * 5),
            *series("base", [8.0] * 5, implementation="compiled"),
        ]
        row = self.pair(records, workload)
        assert (row.implementation, row.baseline_implementation, row.mean) == ("fused", "eager", pytest.approx(4.0))

    @pytest.mark.parametrize(("device", "drifts"), [("cpu", False), ("cuda:0", True)])
    def test_drift_counts_from_one_percent_on_a_gpu_and_five_on_a_cpu(self, device: str, drifts: bool) -> None:
        # +3 % over ten observations.
        baseline = [math.exp(0.03 * i / 9 + 1e-5 * (-1) ** i) for i in range(10)]
        row = self.pair(series("a", [1.0] * 10, device=device) + series("base", baseline, device=device))
        assert row.reason.startswith("drift: the ratio changed by +3.0 %") == drifts

    @given(st.lists(st.tuples(st.floats(1e-6, 1e3), st.floats(1e-6, 1e3)), min_size=1, max_size=12), st.randoms(use_true_random=False))
    def test_order_of_arms_does_not_matter(self, pairs: list[tuple[float, float]], shuffle: random.Random) -> None:
        technique, baseline = series("a", [p[0] for p in pairs]), series("base", [p[1] for p in pairs])
        mixed = [item for both in zip(technique, baseline, strict=True) for item in shuffle.sample(both, 2)]
        assert self.pair(mixed) == self.pair(technique + baseline)


class TestBest:
    ROWS = summary(
        [
            *series("a", [2.0] * 5),
            *series("a", [1.0] * 5, implementation="fused"),
            record("a", None, implementation="compiled", reason="no compiler"),
            *series("base", [0.5] * 5),
            *series("a", [2.0] * 5, metric="rate"),
            *series("a", [1.0] * 5, metric="rate", implementation="fused"),
            *series("a", [9.0] * 5, dtype="bfloat16"),
        ]
    )

    def test_lowest_or_highest_mean(self) -> None:
        assert best(self.ROWS, "a", "latency_s", dtype="float32").implementation == "fused"
        assert best(self.ROWS, "a", "rate", "higher").implementation == "eager"

    def test_nothing_measured_is_none(self) -> None:
        assert best(self.ROWS, "b", "latency_s") is None
        assert best(self.ROWS, "a", "latency_s", device="cuda:0") is None

    def test_several_cells_must_be_told_apart(self) -> None:
        with pytest.raises(ValueError, match="a eager has latency_s in several cells"):
            best(self.ROWS, "a", "latency_s")

    def test_by_swept_value_and_dimension(self) -> None:
        plan = Plan.of(Settings, {"n": [4, 8]})
        rows = summary(
            [record("a", cell + step, metric="flops", dimensions={"step": step}) for cell in (10, 20) for step in (1, 2)],
            plan,
            cells=[0, 0, 1, 1],
        )
        assert best(rows, "a", "flops", swept={"n": 8}, dimensions={"step": 1}).mean == 21
