"""What a calibration says: verdicts of known effects, limits, rates, and which calibration holds for a device."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab import calibration, environment
from lab.jobs import Engine
from lab.records import Chart, Estimate, Series
from lab.statistics import Interval
from lab.store import Store
from tests.lab.stored_calibration import calibrated

GPU = {"device": "cuda:0", "machine": {"gpus": [{"uuid": "GPU-1", "mig": False}]}, "threads": 8}
CPU = {"device": "cpu", "machine": {"gpus": [], "cpu": {"model": "A processor"}}, "threads": 2}


def interval(low: float, high: float, reason: str = "") -> Interval:
    return Interval(math.sqrt(low * high), low, high, 10, reason)


# --- verdicts where the truth is known ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("found", "word"),
    [
        (interval(0.97, 0.98), "slower"),  # wholly below 1/1.01 = 0.990
        (interval(1.02, 1.03), "faster"),
        (interval(0.995, 1.005), "no difference"),
        (interval(1 / 1.01, 1.01), "no difference"),  # both ends on the border
        (interval(0.985, 0.995), "inconclusive"),  # 0.990 lies inside
        (interval(0.97, 0.98, "drift: …"), "inconclusive"),
        (interval(0.97, 0.98, "autocorrelation: the interval is wider for it"), "slower"),
        (Interval(0.98, None, None, 3, "fewer than 5 observations"), "inconclusive"),
    ],
)
def test_the_verdict_is_the_region_that_holds_the_whole_interval(found: Interval, word: str) -> None:
    assert calibration.verdict(found, margin=0.01) == word


@pytest.mark.parametrize(
    ("percent", "margin", "word"),
    [
        (0, 0.01, "no difference"),
        (1, 0.01, "inconclusive"),  # the truth lies on the border: nothing may be decided
        (5, 0.01, "slower"),
        (20, 0.01, "slower"),
        (1, 0.05, "no difference"),
        (5, 0.05, "inconclusive"),
        (20, 0.05, "slower"),
    ],
)
def test_what_the_truth_asks_for(percent: int, margin: float, word: str) -> None:
    assert calibration.right_verdict(percent, margin) == word


def test_more_work_is_a_lower_speed() -> None:
    assert calibration.true_ratio(0) == 1
    assert calibration.true_ratio(20) == pytest.approx(100 / 120)
    assert (calibration.margin("cpu"), calibration.margin("cuda:0")) == (0.05, 0.01)


@given(st.integers(0, 50), st.sampled_from([0.01, 0.05]), st.floats(1e-6, 1e-4))
def test_a_narrow_interval_around_the_truth_gets_the_right_verdict(percent: int, margin: float, half: float) -> None:
    truth = calibration.true_ratio(percent)
    found = interval(truth * math.exp(-half), truth * math.exp(half))
    assert calibration.verdict(found, margin) == calibration.right_verdict(percent, margin)


# --- what a summary says ------------------------------------------------------------------------------------------------------


def estimate(
    metric: str, mean: float | None, unit: str = "1", *, implementation: str = "eager", dtype: str = "", **dimensions: object
) -> Estimate:
    where = {"condition": "", "size": "", "timer": "", "injected_percent": 0} | dimensions
    reason = "" if mean is not None else "no such thing"
    return Estimate(
        *("calibration", "sound", "arm", implementation, "", "", metric, "mean", mean, None, None, 1, unit, reason),
        dimensions=where,
        device="cpu",
        dtype=dtype,
    )


SUMMARY = [
    estimate("copy_bytes_per_s", 4e12, "B/s"),
    estimate("matrix_flop_per_s", 7e14, "FLOP/s", dtype="bfloat16", condition="burst", size="8 × 8 × 8"),
    estimate("matrix_flop_per_s", 6e14, "FLOP/s", dtype="bfloat16", condition="sustained", size="8 × 8 × 8"),
    estimate("matrix_flop_per_s", 8e14, "FLOP/s", dtype="bfloat16", condition="burst", size="4 × 4 × 4"),
    estimate("matrix_flop_per_s", 5e14, "FLOP/s", dtype="bfloat16", condition="sustained", size="4 × 4 × 4"),
    estimate("launch_s", 5e-6, "s"),
    estimate("launch_s", None, "s", implementation="graph"),
    estimate("idle_power_w", 85.0, "W", condition="with context"),
    estimate("comparisons", 100, timer="latency_s"),
    estimate("within_margin", 99, timer="latency_s"),
    estimate("difference_seen", 4, timer="latency_s"),
    estimate("truth_missed", 4, timer="latency_s"),
    estimate("right_verdicts", 98, timer="latency_s"),
    estimate("ratio_error", 0.001, timer="latency_s"),
    estimate("comparisons", 15, timer="latency_s", injected_percent=20),  # its counts are not there yet
]


def test_limits_are_the_best_that_was_measured() -> None:
    found = calibration.limits(SUMMARY)
    assert {name: limit.value for name, limit in found.items()} == {
        "copy_bandwidth": 4e12,
        "matrix_rate_burst": 8e14,
        "matrix_rate_sustained": 6e14,
        "launch_overhead": 5e-6,
    }
    assert found["matrix_rate_burst"].title == "bfloat16 matrix rate, burst, calibrated"
    best = calibration.best_shape(SUMMARY, "sustained")
    assert best is not None
    assert best.dimensions["size"] == "8 × 8 × 8"
    assert calibration.limits([]) == {}


def test_trials_need_all_their_counts() -> None:
    (trial,) = calibration.trials(SUMMARY)
    assert (trial.injected_percent, trial.timer, trial.margin) == (0, "latency_s", 0.05)
    assert (trial.comparisons, trial.within_margin, trial.difference_seen, trial.truth_missed, trial.right) == (100, 99, 4, 4, 98)
    assert trial.bias is not None
    assert trial.bias.mean == 0.001


def test_findings_in_words() -> None:
    found = dict(calibration.findings(SUMMARY))
    assert found["copy bandwidth, read + write"] == "4 TB/s"
    assert found["matrix product, 8 × 8 × 8, bfloat16, sustained"] == "600 TFLOP/s, 75 % of the best burst"  # 6e14 / 8e14
    assert found["one launch, graph"] == "not measured: no such thing"
    assert found["idle power, with context"] == "85 W"
    # Clopper and Pearson for 99 of 100: 94.6 to 99.97 %; for 4 of 100: 1.10 to 9.93 %
    assert found["an arm against itself: within ±5 %"] == "99 of 100 (95 % interval 94.6 to 100 %)"
    assert found["an arm against itself: false alarms"] == "4 of 100 (95 % interval 1.10 to 9.93 %)"


# --- which calibration holds --------------------------------------------------------------------------------------------------


def test_the_latest_finished_calibration_of_the_very_device_holds(store: Store) -> None:
    assert calibration.latest(store, GPU) is None
    calibrated(store, GPU, 1e12)
    wanted = calibrated(store, GPU, 2e12)
    calibrated(store, GPU, 3e12, status="cancelled")
    calibrated(store, CPU, 4e12)
    calibrated(store, {**GPU, "machine": {"gpus": [{"uuid": "GPU-2", "mig": False}]}}, 5e12)
    calibrated(store, {**GPU, "machine": {"gpus": [{"uuid": "GPU-1", "mig": True}]}}, 6e12)
    found = calibration.latest(store, GPU)
    assert found is not None
    assert found.id == wanted
    known = calibration.known_limits(store, GPU)
    assert known["run_id"] == wanted
    assert known["measured_at"] == "2026-11-22T01:02:03Z"
    assert known["limits"] == {"copy_bandwidth": {"title": "copy bandwidth, calibrated", "value": 2e12, "unit": "B/s"}}
    assert calibration.latest(store, {**CPU, "threads": 4}) is None  # fewer or more threads: another limit


def test_a_run_on_a_device_that_was_not_calibrated_says_so(store: Store) -> None:
    assert calibration.known_limits(store, CPU) == {"limits": {}, "reason": "this device was not calibrated before the run"}


def test_a_chart_gets_the_limits_it_asks_for_in_its_own_unit() -> None:
    chart = Chart(
        key="k",
        title="t",
        kind="bar",
        x_title="x",
        y_title="y",
        y_unit="B/s",
        alt="a",
        series=(Series("s", ("a",), (1.0,)),),
        limits={"own": 3.0},
        calibrated=("copy_bandwidth", "launch_overhead", "matrix_rate_burst"),
    )
    limits = {
        "copy_bandwidth": {"title": "copy bandwidth, calibrated", "value": 2e12, "unit": "B/s"},
        "launch_overhead": {"title": "cost of a launch, calibrated", "value": 5e-6, "unit": "s"},
    }
    assert calibration.with_limits(chart, {"calibration": {"limits": limits}}).limits == {"own": 3.0, "copy bandwidth, calibrated": 2e12}
    for manifest in ({}, {"calibration": None}, {"calibration": {"limits": {}, "reason": "…"}}):
        assert calibration.with_limits(chart, manifest) == chart


def test_a_run_carries_the_limits_that_were_known_when_it_started(engine: Engine, store: Store, submit: Callable[..., str]) -> None:
    facts = environment.device_facts()
    machine = {"device": "cpu", "machine": dataclasses.asdict(facts), "threads": facts.cpu.threads}
    first = submit()
    assert engine.wait(first).manifest["calibration"] == {"limits": {}, "reason": calibration.NOT_CALIBRATED}
    known = calibrated(store, machine, 5e9)
    second = engine.wait(submit())
    assert second.manifest["calibration"]["run_id"] == known
    assert second.manifest["calibration"]["limits"]["copy_bandwidth"]["value"] == 5e9
