"""What a calibration run says: the physical limits of a device, and how the lab's comparisons fared where the truth was known.

The run itself is the workload ``calibration``; this module names its metrics, reads its summary, and finds the latest one of a device.
A run carries the limits that were known when it started in its manifest, so that its charts can draw them wherever they are read.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from lab import formatting
from lab.claims import CPU_RATIO_MARGIN, GPU_RATIO_MARGIN
from lab.parameters import ParameterError
from lab.records import Chart, Estimate
from lab.statistics import Interval, binomial_interval
from lab.store import Run, Store
from lab.summary import summarise

WORKLOAD = "calibration"
NOT_CALIBRATED = "this device was not calibrated before the run"

# Metrics of the workload.
COPY_RATE, MATRIX_RATE, LAUNCH = "copy_bytes_per_s", "matrix_flop_per_s", "launch_s"
LATENCY = "latency_s"  # of one kernel by the lab's timer and by an independent one
TICK, IDLE_POWER = "energy_tick_s", "idle_power_w"
RATIO, RATIO_LOW, RATIO_HIGH, RATIO_ERROR = "speed_ratio", "ratio_low", "ratio_high", "ratio_error"
COMPARISONS, WITHIN_MARGIN, DIFFERENCE_SEEN, TRUTH_MISSED, RIGHT = (
    *("comparisons", "within_margin", "difference_seen", "truth_missed"),
    "right_verdicts",
)
BURST, SUSTAINED = "burst", "sustained"
WITHOUT_CONTEXT, WITH_CONTEXT = "without context", "with context"

SLOWER, NO_DIFFERENCE, FASTER, INCONCLUSIVE = "slower", "no difference", "faster", "inconclusive"
CONSIDERED = 50  # calibrations, newest first
BORDER_ROUNDING = 1e-9  # an effect this near to the margin lies on it


@dataclass(frozen=True)
class Limit:
    """A physical limit of a device: ``value`` in ``unit``, as readers call it."""

    title: str
    value: float
    unit: str


@dataclass(frozen=True)
class Trial:
    """Comparisons whose truth is known: an arm against one that does ``injected_percent`` more of the same work (0: against itself).

    ``within_margin``: estimates at most the margin from the truth. ``difference_seen``: 95 % intervals without 1. ``truth_missed``: 95 %
    intervals without the true ratio. ``right``: verdicts that are right (:func:`right_verdict`). ``bias``: mean of estimate / truth − 1.
    """

    injected_percent: int
    timer: str
    margin: float
    comparisons: int
    within_margin: int
    difference_seen: int
    truth_missed: int
    right: int
    bias: Estimate | None


def margin(device: str) -> float:
    """The practical margin of a ratio measured on ``device``: 1 % on a GPU, 5 % on a CPU."""
    return CPU_RATIO_MARGIN if device == "cpu" else GPU_RATIO_MARGIN


def true_ratio(injected_percent: int) -> float:
    """Speed of an arm that does ``injected_percent`` more of the same work, as a share of the plain arm's: 100 / (100 + percent)."""
    return 100 / (100 + injected_percent)


def verdict(interval: Interval, margin: float) -> str:
    """Whether an arm is slower, faster or no different: the region that holds the whole 95 % interval of its speed ratio.

    Borders at ± log(1 + margin). Inconclusive where the interval reaches into two regions, is missing, or drifts.
    """
    if interval.low is None or interval.high is None or interval.reason.startswith("drift"):
        return INCONCLUSIVE
    border = math.log1p(margin) + BORDER_ROUNDING
    low, high = math.log(interval.low), math.log(interval.high)
    if high < -border:
        return SLOWER
    if low > border:
        return FASTER
    return NO_DIFFERENCE if -border <= low and high <= border else INCONCLUSIVE


def right_verdict(injected_percent: int, margin: float) -> str:
    """The verdict that the truth asks for: the region the true ratio lies in; exactly on the border nothing may be decided."""
    distance = math.log1p(injected_percent / 100) - math.log1p(margin)
    if abs(distance) <= BORDER_ROUNDING:
        return INCONCLUSIVE
    return SLOWER if distance > 0 else NO_DIFFERENCE


# --- what a summary says ------------------------------------------------------------------------------------------------------


def limits(estimates: Sequence[Estimate]) -> dict[str, Limit]:
    """The physical limits that a calibration has measured, by name.

    ``copy_bandwidth`` (read + write), ``matrix_rate_burst`` and ``matrix_rate_sustained`` (each the best over shapes), ``launch_overhead``
    (eager) and ``launch_overhead_graph``.
    """
    found: dict[str, Limit] = {}
    for e in _measured(estimates, COPY_RATE):
        found["copy_bandwidth"] = Limit("copy bandwidth, calibrated", e.mean or 0.0, e.unit)
    for window in (BURST, SUSTAINED):
        best = best_shape(estimates, window)
        if best is not None:
            found[f"matrix_rate_{window}"] = Limit(f"{best.dtype} matrix rate, {window}, calibrated", best.mean or 0.0, best.unit)
    for e in _measured(estimates, LAUNCH):
        name, words = ("launch_overhead_graph", ", in a graph") if e.implementation == "graph" else ("launch_overhead", "")
        found[name] = Limit(f"cost of a launch{words}, calibrated", e.mean or 0.0, e.unit)
    return found


def best_shape(estimates: Sequence[Estimate], window: str) -> Estimate | None:
    """The fastest matrix product of a calibration (``dimensions["size"]`` names its shape), "burst" or "sustained"."""
    rows = [e for e in _measured(estimates, MATRIX_RATE) if e.dimensions["condition"] == window]
    return max(rows, key=lambda e: e.mean or 0.0, default=None)


def trials(estimates: Sequence[Estimate]) -> list[Trial]:
    """The comparisons with a known truth, arms against themselves first."""
    found = []
    for row in (e for e in estimates if e.metric == COMPARISONS and e.mean):

        def of(metric: str, row: Estimate = row) -> Estimate | None:
            return next((e for e in estimates if e.metric == metric and e.statistic != "ratio" and e.dimensions == row.dimensions), None)

        counts = [int(e.mean) for name in (WITHIN_MARGIN, DIFFERENCE_SEEN, TRUTH_MISSED, RIGHT) if (e := of(name)) and e.mean is not None]
        if len(counts) == 4:
            within, seen, missed, right = counts
            found.append(
                Trial(
                    injected_percent=int(row.dimensions["injected_percent"]),
                    timer=str(row.dimensions["timer"]),
                    margin=margin(row.device),
                    comparisons=int(row.mean or 0),
                    within_margin=within,
                    difference_seen=seen,
                    truth_missed=missed,
                    right=right,
                    bias=of(RATIO_ERROR),
                )
            )
    return sorted(found, key=lambda trial: trial.injected_percent)


def _measured(estimates: Sequence[Estimate], metric: str) -> list[Estimate]:
    return [e for e in estimates if e.metric == metric and e.statistic in ("mean", "exact") and e.mean is not None]


def findings(estimates: Sequence[Estimate]) -> list[tuple[str, str]]:
    """A calibration in words: what was measured and the figure with its 95 % interval, or why it was not measured."""
    rows = [
        (_title(e), formatting.estimate(e.mean, e.ci_low, e.ci_high, e.unit, e.reason) + _share_of_burst(e, estimates))
        for metric in _TITLES
        for e in estimates
        if e.metric == metric and e.statistic in ("mean", "exact")
    ]
    for trial in trials(estimates):
        rows += _trial_findings(trial)
    for e in estimates:
        if e.statistic == "ratio" and e.metric == LATENCY:
            words = f"{e.arm.replace('_', ' ')}: time by {e.baseline_implementation} / time by the lab"
            rows.append((words, formatting.estimate(e.mean, e.ci_low, e.ci_high, e.unit, e.reason)))
    return rows


def _share_of_burst(e: Estimate, estimates: Sequence[Estimate]) -> str:
    """Of a matrix rate: what share it is of the best one in a burst."""
    best = best_shape(estimates, BURST)
    if e.metric != MATRIX_RATE or not e.mean or best is None or not best.mean:
        return ""
    return f", {formatting.number(100 * e.mean / best.mean, 2)} % of the best burst"


_TITLES = {
    COPY_RATE: "copy bandwidth, read + write",
    MATRIX_RATE: "matrix product",
    LAUNCH: "one launch",
    TICK: "the energy counter moves every",
    IDLE_POWER: "idle power",
}


def _title(e: Estimate) -> str:
    parts = [_TITLES[e.metric], str(e.dimensions["size"]), e.dtype if e.metric == MATRIX_RATE else "", str(e.dimensions["condition"])]
    return ", ".join(part for part in (*parts, e.implementation if e.metric == LAUNCH else "") if part)


def _trial_findings(trial: Trial) -> list[tuple[str, str]]:
    timer = "" if trial.timer == LATENCY else f" ({trial.timer})"
    if trial.injected_percent == 0:
        within = f"within ±{formatting.number(100 * trial.margin)} %"
        return [
            (f"an arm against itself{timer}: {within}", share(trial.within_margin, trial.comparisons)),
            (f"an arm against itself{timer}: false alarms", share(trial.difference_seen, trial.comparisons)),
        ]
    name = f"{trial.injected_percent} % more work{timer}"
    bias = trial.bias
    wanted = right_verdict(trial.injected_percent, trial.margin)
    rows = [
        (f"{name}: difference seen", share(trial.difference_seen, trial.comparisons)),
        (f"{name}: right verdict ({wanted})", share(trial.right, trial.comparisons)),
    ]
    if bias is not None and bias.mean is not None:
        low, high = (None if end is None else 100 * end for end in (bias.ci_low, bias.ci_high))
        rows.append((f"{name}: mean error of the ratio", formatting.estimate(100 * bias.mean, low, high, "%")))
    return rows


def share(hits: int, trials: int) -> str:
    """ "98 of 100 (95 % interval 93.0 to 99.8 %)": a rate with its binomial interval."""
    low, high = binomial_interval(hits, trials)
    return f"{hits} of {trials} (95 % interval {formatting.interval(100 * low, 100 * high, '%')})"


# --- which calibration holds for a device -------------------------------------------------------------------------------------


def latest(store: Store, manifest: Mapping[str, Any]) -> Run | None:
    """The latest finished calibration of the very device that ``manifest`` speaks of, or None."""
    device = _device_key(manifest)
    for run in store.runs(limit=CONSIDERED, workload=WORKLOAD):
        if run.status == "finished" and _device_key(run.manifest) == device:
            return run
    return None


def known_limits(store: Store, manifest: Mapping[str, Any]) -> dict[str, Any]:
    """What the latest calibration of a run's device says, as plain JSON values for the run's own manifest; why not where there is none."""
    run = latest(store, manifest)
    if run is None:
        return {"limits": {}, "reason": NOT_CALIBRATED}
    try:
        view = store.view(run.id)
    except ParameterError as error:  # the calibration was made by a version with other parameters
        return {"limits": {}, "reason": f"the calibration of this device cannot be read: {error}"}
    found = limits(summarise(view.workload, view.plan, view.records))
    return {
        "run_id": run.id,
        "measured_at": run.manifest.get("started_at"),
        "preset": run.preset,
        "limits": {name: {"title": limit.title, "value": limit.value, "unit": limit.unit} for name, limit in found.items()},
        "reason": "",
    }


def with_limits(chart: Chart, manifest: Mapping[str, Any]) -> Chart:
    """The chart with the limits that it asks for and that the run's manifest holds in the chart's unit."""
    known = (manifest.get("calibration") or {}).get("limits", {})
    asked = [known[name] for name in chart.calibrated if name in known and known[name]["unit"] == chart.y_unit]
    return replace(chart, limits={**chart.limits, **{limit["title"]: limit["value"] for limit in asked}}) if asked else chart


def _device_key(manifest: Mapping[str, Any]) -> tuple[object, ...]:
    """What makes two runs runs of the same device: the GPU itself and its MIG mode, or the processor with its number of threads."""
    machine = manifest.get("machine", {})
    if manifest.get("device") != "cpu":
        gpu = (machine.get("gpus") or [{}])[0]
        return ("gpu", gpu.get("uuid"), gpu.get("mig"))
    return ("cpu", machine.get("cpu", {}).get("model"), manifest.get("threads"))
