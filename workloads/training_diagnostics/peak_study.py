"""How often the losses of image runs, shuffled losses and white noise have a peak, and whether a run has more than its own nulls."""

from __future__ import annotations

from collections.abc import Generator

import numpy as np

from lab.records import Event, Progress, Protocol, Record, Role, Scalar
from workloads.training_diagnostics import rfilter
from workloads.training_diagnostics.names import (
    CALIBRATED,
    CURVE,
    DETRENDED,
    FRAMES,
    P_VALUE,
    PEAK_FRAMES,
    PEAK_RATE,
    PEAKS,
    dimensions_of,
)
from workloads.training_diagnostics.nulls import NOISE, SHUFFLED
from workloads.training_diagnostics.parameters import TrainingDiagnosticsParameters

NOISE_FRAMES = 20_000  # independent ones for each window: the rate is known to ± 0.4 points


def study(params: TrainingDiagnosticsParameters, losses: np.ndarray, label: str) -> Generator[Event, None, None]:
    """Peaks in the losses [steps, seeds] of the image runs. Raises ParameterError where a window is longer than they are."""
    for window in params.window_sizes:
        rfilter.checked_window(window, len(losses), "windows")
    rng = np.random.default_rng([params.seed, 1])
    for window in params.window_sizes:
        peaks, frames = rfilter.noise_rate(window, params.threshold, NOISE_FRAMES, rng)
        for metric, value in ((PEAK_FRAMES, peaks), (FRAMES, frames)):
            yield _record("published", NOISE, "baseline", metric, value, None, window=window)
    series = {NOISE: rfilter.white_noise(len(losses), params.nulls, rng)}
    seeds = params.run_image_seeds
    for place, seed in enumerate(seeds):
        curve = rfilter.checked_curve(losses[:, place], "image run")
        series[SHUFFLED] = rfilter.shuffled(curve, params.nulls, rng)
        for window in params.window_sizes:
            for arm, values in ((CURVE, curve), (SHUFFLED, series[SHUFFLED])):
                rate = 100 * float((rfilter.ratios(values, window) > params.threshold).mean())
                yield _record(
                    "published", arm, "technique" if arm == CURVE else "baseline", PEAK_RATE, rate, seed, data=label, window=window
                )
        for rule, detrend in ((CALIBRATED, False), (DETRENDED, True)):
            for null, copies in series.items():
                maxima = {window: rfilter.maxima(copies, window, detrend=detrend) for window in params.window_sizes}
                for result in rfilter.judge(curve, maxima, detrend=detrend):
                    yield _record("sound", rule, "technique", P_VALUE, result.p, seed, data=label, window=result.window, null=null)
        yield Progress((place + 1) / len(seeds), f"peaks, run {place + 1} of {len(seeds)}")


def _record(protocol: Protocol, arm: str, role: Role, metric: str, value: float, seed: int | None, **where: Scalar) -> Record:
    unit = "%" if metric == PEAK_RATE else "1"
    return Record(
        protocol, arm, role, "numpy", "cpu", "float64", metric, float(value), unit, seed=seed, dimensions=dimensions_of(PEAKS, **where)
    )
