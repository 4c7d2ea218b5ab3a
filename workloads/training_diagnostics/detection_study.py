"""Whether the R-filter finds the transition of runs that have one, and how often it alarms in runs that have none."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lab.records import Event, Progress, Protocol, Record
from workloads.training_diagnostics import rfilter
from workloads.training_diagnostics.detection import LEARNED, Alarms, first_step
from workloads.training_diagnostics.grok import Runs
from workloads.training_diagnostics.names import (
    ADDITION,
    ALARM_SHARE,
    ALARMS,
    AVERAGED,
    CALIBRATED,
    CHANCE_HITS,
    DELAY,
    DETECTION,
    DETRENDED,
    FALSE_ALARMS,
    HITS,
    LEARNED_STEP,
    PUBLISHED_RULE,
    RUNS,
    TRANSITION_STEP,
    dimensions_of,
    high,
    low,
)
from workloads.training_diagnostics.parameters import ALPHA, TrainingDiagnosticsParameters

RULES: tuple[tuple[str, Protocol], ...] = (
    (PUBLISHED_RULE, "published"),
    (CALIBRATED, "sound"),
    (DETRENDED, "sound"),
    (AVERAGED, "sound"),
)


@dataclass(frozen=True)
class Truth:
    """One run: the step from which alarms count (None: never learned, or diverged) and the step of its transition (None: none)."""

    learned: int | None
    transition: int | None


def truths(params: TrainingDiagnosticsParameters, runs: Runs) -> list[Truth]:
    """The ground truth of every run, addition first, then controls."""
    train, held_out = np.array(runs.train_accuracy), np.array(runs.held_out_accuracy)
    return [
        Truth(first_step(runs.steps, train[:, place], LEARNED), first_step(runs.steps, held_out[:, place], params.transition_accuracy))
        if runs.diverged_at[place] < 0
        else Truth(None, None)
        for place in range(train.shape[1])
    ]


def alarms_of(
    params: TrainingDiagnosticsParameters, losses: np.ndarray, learned: int, rng: np.random.Generator
) -> Mapping[str, Alarms] | None:
    """The alarms of every rule on the losses [steps] of a run after step ``learned``; None where no window fits or nothing moves.

    Windows longer than the curve are left out.
    """
    curve = losses[learned:]
    means = curve[: len(curve) // params.average * params.average].reshape(-1, params.average).mean(1)
    if len(means) < min(params.window_sizes) or np.ptp(means) == 0:
        return None
    windows = [window for window in params.window_sizes if window <= len(curve)]
    peaks = [(window, rfilter.starts(len(curve), window)[rfilter.ratios(curve, window) > params.threshold]) for window in windows]
    found = {PUBLISHED_RULE: Alarms.of(peaks, learned)}
    for rule, series, detrend, per_point in (
        (CALIBRATED, curve, False, 1),
        (DETRENDED, curve, True, 1),
        (AVERAGED, means, False, params.average),
    ):
        copies = rfilter.shuffled(series, params.nulls, rng)
        nulls = {window: rfilter.maxima(copies, window, detrend=detrend) for window in params.window_sizes if window <= len(series)}
        results = rfilter.judge(series, nulls, detrend=detrend, alpha=ALPHA)
        found[rule] = Alarms.of([(result.window, result.starts[result.alarms]) for result in results], learned, per_point)
    return found


def study(params: TrainingDiagnosticsParameters, runs: Runs, label: str) -> Generator[Event, None, None]:
    """Hits, delays and false alarms of every rule over the pairs of a run with a transition and its control."""
    seeds, known = runs.seeds, truths(params, runs)
    n_steps, losses = runs.steps[-1], runs.losses
    rng = np.random.default_rng([params.seed, 3])
    counts = {rule: dict.fromkeys((RUNS, HITS, CHANCE_HITS, FALSE_ALARMS, ALARMS), 0) for rule, _ in RULES}
    delays: dict[str, list[int]] = {rule: [] for rule, _ in RULES}
    covered: dict[str, list[float]] = {rule: [] for rule, _ in RULES}
    for place in range(len(seeds)):
        own, control = known[place], known[place + len(seeds)]
        if own.learned is None or own.transition is None or control.learned is None or control.transition is not None:
            continue
        found = alarms_of(params, losses[:, place], own.learned, rng)
        chance = alarms_of(params, losses[:, place + len(seeds)], control.learned, rng)
        if found is None or chance is None:
            continue
        low, high = max(own.transition - params.tolerance, own.learned, control.learned), own.transition + params.tolerance
        for rule, _ in RULES:
            raised = found[rule].raised(low, high)
            counts[rule][RUNS] += 1
            counts[rule][HITS] += raised.size > 0
            counts[rule][CHANCE_HITS] += chance[rule].raised(low, high).size > 0
            counts[rule][FALSE_ALARMS] += chance[rule].last.size > 0
            if raised.size:
                delays[rule].append(int(raised[0]) - own.transition)
            counts[rule][ALARMS] += chance[rule].episodes()
            covered[rule].append(chance[rule].covered(control.learned + 1, n_steps))
        yield Progress((place + 1) / len(seeds), f"detection, run {place + 1} of {len(seeds)}")
    yield from _quartiles("sound", ADDITION, LEARNED_STEP, [truth.learned for truth in known[: len(seeds)]], label)
    yield from _quartiles("sound", ADDITION, TRANSITION_STEP, [truth.transition for truth in known[: len(seeds)]], label)
    for rule, protocol in RULES:
        for metric, value in counts[rule].items():
            yield _record(protocol, rule, metric, float(value), "1", label)
        if covered[rule]:
            yield _record(protocol, rule, ALARM_SHARE, 100 * float(np.mean(covered[rule])), "%", label)
        yield from _quartiles(protocol, rule, DELAY, delays[rule], label)


def _quartiles(protocol: Protocol, arm: str, metric: str, values: Sequence[int | None], label: str) -> Iterator[Record]:
    """Median and quartiles of what is there: so many seeds need no more records than a few."""
    present = [value for value in values if value is not None]
    ends = np.quantile(present, [0.5, 0.25, 0.75]).tolist() if present else [None] * 3
    for name, value in zip((metric, low(metric), high(metric)), ends, strict=True):
        yield _record(protocol, arm, name, value, "steps", label, "" if present else "no run reached it")


def _record(protocol: Protocol, arm: str, metric: str, value: float | None, unit: str, label: str, reason: str = "") -> Record:
    where = dimensions_of(DETECTION, data=label)
    return Record(protocol, arm, "technique", "numpy", "cpu", "float64", metric, value, unit, reason=reason, dimensions=where)
