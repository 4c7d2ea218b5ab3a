"""From raw records to estimates: what each arm measures, and each technique against its baselines.

Definitions. Records belong together when cell, protocol, metric, device, dtype and dimensions agree: a *group*. In a group each
(arm, implementation) gets one row:

- ``exact``: one value without a repeat or a seed (a count, arithmetic). n = 1, no interval.
- ``mean``: the mean over repeats (in time order, with the looks of the metric) or, where there are no repeats, over seeds.

and each (technique, baseline) pair one more, if the metric is compared:

- ``ratio``, unit "x": baseline / technique where lower is better, technique / baseline where higher is; > 1 always favours the technique.
- ``difference``, in the metric's unit: technique − baseline.

Pairs use only the observations (repeats, else seeds) that both arms have. A missing value is a row without ``mean`` and with its reason;
values missing among others are counted in the reason. Intervals are those of ``lab.statistics``; the change of a ratio that counts as
drift is 1 % on a GPU and 5 % on a CPU, as for verdicts.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from lab.parameters import Plan, fields
from lab.records import Estimate, Protocol, Scalar, Statistic, StoredRecord
from lab.statistics import LOOKS, Interval, difference_interval, mean_interval, ratio_interval
from lab.workload import Metric, Workload

RATIO_UNIT = "x"
MAX_EXPONENT = 700.0  # of exp, before it overflows
DRIFT_MARGIN = {"cpu": 0.05, "cuda": 0.01}

ArmKey = tuple[str, str]  # arm, implementation


def _positive(interval: Interval) -> Interval:
    """The interval of a mean that cannot fall to 0 (a time, joules), where a few values spoil the rest so that the linear one does.

    It is then mean · exp(± half-width / mean), the delta method on the log scale.
    """
    if interval.mean is None or interval.low is None or interval.high is None or interval.low > 0:
        return interval
    relative = (interval.high - interval.low) / 2 / interval.mean
    return replace(interval, low=interval.mean * math.exp(-relative), high=interval.mean * math.exp(min(relative, MAX_EXPONENT)))


@dataclass
class _Arm:
    """What one arm of a group has recorded. ``values`` maps repeat, or seed where there are no repeats, to the value (None: missing)."""

    role: str
    unit: str
    repeated: bool = False
    sampled: bool = False
    values: dict[int | None, float | None] = field(default_factory=dict)
    reasons: list[str] = field(default_factory=list)
    conflicts: int = 0

    def add(self, repeat: int | None, seed: int | None, value: float | None, reason: str) -> None:
        self.repeated = self.repeated or repeat is not None
        self.sampled = self.sampled or repeat is not None or seed is not None
        key = repeat if repeat is not None else seed
        self.conflicts += key in self.values and self.values[key] != value
        self.values[key] = value
        if reason and reason not in self.reasons:
            self.reasons.append(reason)

    @property
    def present(self) -> dict[int | None, float]:
        return {key: value for key, value in self.values.items() if value is not None}


def summarise(workload: Workload, plan: Plan, records: Sequence[StoredRecord]) -> list[Estimate]:
    """Every estimate of a run, in the order in which its groups were first recorded: means and exact values, then the group's pairs.

    A pure function of its arguments; ``records`` may be those of an unfinished run.
    """
    groups: dict[tuple, dict[ArmKey, _Arm]] = {}
    for stored in records:
        record = stored.record
        dimensions = tuple(sorted(record.dimensions.items()))
        key = (stored.cell, record.protocol, record.metric, record.device, record.dtype, dimensions)
        arms = groups.setdefault(key, {})
        arm = arms.get((record.arm, record.implementation))
        if arm is None:
            arm = arms[(record.arm, record.implementation)] = _Arm(record.role, record.unit)
        arm.add(record.repeat, record.seed, record.value, record.reason)
    swept = _swept(plan)
    estimates: list[Estimate] = []
    for (cell, protocol, metric, device, dtype, dimensions), arms in groups.items():
        group = _Group(workload, protocol, metric, device, dtype, dict(dimensions), swept[cell] if cell >= 0 else {}, arms)
        means = [group.mean(name) for name in arms]
        estimates += means
        estimates += [group.pair(technique, baseline) for technique, baseline in group.pairs(means)]
    return estimates


@dataclass(frozen=True)
class _Group:
    """The arms that may be compared with one another, and what their estimates have in common."""

    workload: Workload
    protocol: Protocol
    metric: str
    device: str
    dtype: str
    dimensions: Mapping[str, Scalar]
    swept: Mapping[str, Scalar]
    arms: Mapping[ArmKey, _Arm]

    def mean(self, name: ArmKey) -> Estimate:
        arm = self.arms[name]
        present = list(arm.present.values())
        note = _note(arm)
        if arm.conflicts or not present:
            # An arm that could not run at all has neither repeat nor seed: what its neighbours are tells what it would have been.
            statistic: Statistic = "mean" if any(other.sampled for other in self.arms.values()) else "exact"
            return self.estimate(name, ("", ""), statistic, Interval(None, None, None, 0, note), arm.unit)
        if not arm.sampled:
            return self.estimate(name, ("", ""), "exact", Interval(present[0], None, None, 1, note), arm.unit)
        interval = mean_interval(present, looks=self.looks(arm), ordered=arm.repeated)
        metric = self.workload.metrics.get(self.metric)
        if metric is not None and metric.compare == "ratio" and min(present) > 0:
            interval = _positive(interval)
        return self.estimate(name, ("", ""), "mean", _noted(interval, note), arm.unit)

    def looks(self, arm: _Arm) -> int:
        """How often sampling could have stopped: as the metric says for repeats, once for seeds."""
        metric = self.workload.metrics.get(self.metric)
        return (metric.looks if metric else len(LOOKS)) if arm.repeated else 1

    def pairs(self, means: Sequence[Estimate]) -> list[tuple[ArmKey, ArmKey]]:
        """Which arms are compared: what the workload says, else each technique with each baseline of its implementation."""
        metric = self.workload.metrics.get(self.metric)
        if metric is None or metric.better == "neither" or metric.compare == "none":
            return []
        if self.workload.pairs is not None:
            return [((t.arm, t.implementation), (b.arm, b.implementation)) for t, b in self.workload.pairs(means)]
        return [
            (technique, baseline)
            for technique, arm in self.arms.items()
            for baseline, other in self.arms.items()
            if arm.role == "technique" and other.role == "baseline" and technique[1] == baseline[1]
        ]

    def pair(self, technique: ArmKey, baseline: ArmKey) -> Estimate:
        metric = self.workload.metrics[self.metric]
        statistic: Statistic = "difference" if metric.compare == "difference" else "ratio"
        unit = self.arms[technique].unit if statistic == "difference" else RATIO_UNIT
        return self.estimate(technique, baseline, statistic, self.compare(metric, technique, baseline), unit)

    def compare(self, metric: Metric, technique: ArmKey, baseline: ArmKey) -> Interval:
        arm, other = self.arms[technique], self.arms[baseline]
        notes = [f"{' '.join(name)}: {note}" for name, note in ((technique, _note(arm)), (baseline, _note(other))) if note]
        values, other_values = arm.present, other.present
        if arm.conflicts or other.conflicts or not values or not other_values:
            return Interval(None, None, None, 0, "; ".join(notes))
        if not arm.sampled and not other.sampled:
            return _noted(_exact(metric, values[None], other_values[None]), "; ".join(notes))
        if arm.repeated != other.repeated or arm.sampled != other.sampled:
            return Interval(None, None, None, 0, "repeats, seeds and exact values cannot be paired with one another")
        common = [key for key in values if key in other_values]
        first, second = [values[key] for key in common], [other_values[key] for key in common]
        if not common:
            return Interval(None, None, None, 0, "no observation that both arms have")
        looks, ordered = self.looks(arm), arm.repeated
        if metric.compare == "difference":
            interval = difference_interval(first, second, looks=looks, ordered=ordered)
        else:
            if metric.better == "higher":
                first, second = second, first
            margin = DRIFT_MARGIN["cpu" if self.device == "cpu" else "cuda"]
            interval = ratio_interval(first, second, looks=looks, ordered=ordered, drift_margin=margin)
        return _noted(interval, "; ".join(notes))

    def estimate(self, arm: ArmKey, baseline: ArmKey, statistic: Statistic, interval: Interval, unit: str) -> Estimate:
        return Estimate(
            workload=self.workload.name,
            protocol=self.protocol,
            arm=arm[0],
            implementation=arm[1],
            baseline_arm=baseline[0],
            baseline_implementation=baseline[1],
            metric=self.metric,
            statistic=statistic,
            mean=interval.mean,
            ci_low=interval.low,
            ci_high=interval.high,
            n=interval.n,
            unit=unit,
            reason=interval.reason,
            dimensions=self.dimensions,
            swept=self.swept,
            device=self.device,
            dtype=self.dtype,
        )


def best(
    estimates: Sequence[Estimate],
    arm: str,
    metric: str,
    better: Literal["lower", "higher"] = "lower",
    *,
    protocol: Protocol | None = None,
    device: str | None = None,
    dtype: str | None = None,
    swept: Mapping[str, Scalar] | None = None,
    dimensions: Mapping[str, Scalar] | None = None,
) -> Estimate | None:
    """The row of the implementation of ``arm`` with the best measured mean (or exact value), or None where none was measured.

    The arguments left None do not restrict; ``swept`` and ``dimensions`` restrict by the names they hold. Raises ValueError where what is
    left is not one cell (the same implementation twice): means of different cells do not rank implementations.
    """

    def fits(row: Estimate) -> bool:
        return (
            (row.arm, row.metric) == (arm, metric)
            and row.statistic in ("mean", "exact")
            and row.mean is not None
            and protocol in (None, row.protocol)
            and device in (None, row.device)
            and dtype in (None, row.dtype)
            and all(row.swept.get(name) == value for name, value in (swept or {}).items())
            and all(row.dimensions.get(name) == value for name, value in (dimensions or {}).items())
        )

    rows = [row for row in estimates if fits(row)]
    twice = [name for name, count in Counter(row.implementation for row in rows).items() if count > 1]
    if twice:
        raise ValueError(f"{arm} {twice[0]} has {metric} in several cells: say which")
    sign = 1 if better == "lower" else -1
    return min(rows, key=lambda row: sign * (row.mean or 0.0), default=None)


def _swept(plan: Plan) -> list[dict[str, Scalar]]:
    """For each cell of the plan, its values of the swept parameters (several choices as one text)."""
    known = fields(plan.model)
    cells: list[dict[str, Scalar]] = []
    for cell in plan.cells:
        values = {name: getattr(cell, name) for name in plan.swept}
        cells.append({name: known[name].text(value) if isinstance(value, tuple) else value for name, value in values.items()})
    return cells


def _exact(metric: Metric, technique: float, baseline: float) -> Interval:
    """Ratio or difference of two exact values: exact itself."""
    if metric.compare == "difference":
        return Interval(technique - baseline, None, None, 1)
    above, below = (technique, baseline) if metric.better == "higher" else (baseline, technique)
    if below == 0:
        return Interval(None, None, None, 1, "division by an exact 0: no ratio")
    return Interval(above / below, None, None, 1)


def _note(arm: _Arm) -> str:
    """What is wrong with an arm's values, in words."""
    if arm.conflicts:
        return "different values were recorded for one observation"
    missing = len(arm.values) - len(arm.present)
    reasons = "; ".join(arm.reasons)
    if missing and arm.present:
        return f"{missing} of {len(arm.values)} values missing" + (f" ({reasons})" if reasons else "")
    return reasons or ("missing without a reason" if missing else "")


def _noted(interval: Interval, note: str) -> Interval:
    """The interval with a further reason behind its own."""
    if not note:
        return interval
    return Interval(interval.mean, interval.low, interval.high, interval.n, "; ".join(filter(None, (interval.reason, note))))
