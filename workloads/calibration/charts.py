"""The figures of a calibration, as data, from a summary. Light: the web server imports this."""

from __future__ import annotations

from collections.abc import Sequence

from lab import calibration
from lab.records import Chart, Estimate, Series, StoredRecord


def charts(estimates: Sequence[Estimate], records: Sequence[StoredRecord]) -> list[Chart]:
    """All figures that there are numbers for."""
    found = [_trials(records), _rates(estimates), _matrix(estimates)]
    return [chart for chart in found if chart is not None]


def _trials(records: Sequence[StoredRecord]) -> Chart | None:
    """The estimate of each comparison with its interval, in the order in which they were made, one series for each known effect."""
    series: dict[tuple[int, str], dict[str, dict[int, float | None]]] = {}
    device = ""
    for stored in records:
        record = stored.record
        if record.metric in (calibration.RATIO, calibration.RATIO_LOW, calibration.RATIO_HIGH) and record.repeat is not None:
            key = (int(record.dimensions["injected_percent"]), str(record.dimensions["timer"]))
            series.setdefault(key, {}).setdefault(record.metric, {})[record.repeat] = record.value
            device = record.device
    if not series:
        return None
    drawn = []
    for percent, timer in sorted(series):
        by_metric = series[(percent, timer)]
        values = by_metric.get(calibration.RATIO, {})
        name = "the same arm" if percent == 0 else f"{percent} % more work"
        drawn.append(
            Series(
                name if timer == calibration.LATENCY else f"{name}, {timer}",
                tuple(repeat + 1 for repeat in values),
                tuple(values.values()),
                tuple(by_metric.get(calibration.RATIO_LOW, {}).get(repeat) for repeat in values),
                tuple(by_metric.get(calibration.RATIO_HIGH, {}).get(repeat) for repeat in values),
                emphasis="baseline" if percent == 0 else "technique",
            )
        )
    wanted = {f"true ratio of {percent} % more work": calibration.true_ratio(percent) for percent, _ in sorted(series) if percent}
    margin = calibration.margin(device)
    return Chart(
        key="trials",
        title="Comparisons whose truth is known",
        kind="line",
        x_title="Comparison",
        y_title="Speed against the plain arm",
        y_unit="×",
        series=tuple(drawn),
        limits={"the same": 1.0, **wanted},
        y_range=(0.75, 1.15),
        alt="The estimate of each comparison with its 95 % interval: an arm against itself lies at 1, known effects at their true ratios.",
        takeaway=f"Differences within ±{100 * margin:g} % count as none on this kind of device.",
    )


def _rates(estimates: Sequence[Estimate]) -> Chart | None:
    """Bias of the estimate for each known effect."""
    rows = [trial for trial in calibration.trials(estimates) if trial.bias is not None and trial.bias.mean is not None]
    if not rows:
        return None

    def percent(value: float | None) -> float | None:
        return None if value is None else 100 * value

    names = tuple(("the same arm" if t.injected_percent == 0 else f"{t.injected_percent} % more work") + _timer(t.timer) for t in rows)
    biases = [trial.bias for trial in rows if trial.bias is not None]
    return Chart(
        key="bias",
        title="Mean error of the estimated ratio",
        kind="bar",
        x_title="True effect",
        y_title="Estimate / truth − 1",
        y_unit="%",
        series=(
            Series(
                "mean error",
                names,
                tuple(percent(bias.mean) for bias in biases),
                tuple(percent(bias.ci_low) for bias in biases),
                tuple(percent(bias.ci_high) for bias in biases),
            ),
        ),
        limits={"no error": 0.0},
        alt="Mean error of the estimated speed ratio for each known effect, with 95 % intervals.",
    )


def _timer(timer: str) -> str:
    return "" if timer == calibration.LATENCY else f", {timer}"


def _matrix(estimates: Sequence[Estimate]) -> Chart | None:
    rows = [e for e in estimates if e.metric == calibration.MATRIX_RATE and e.statistic == "mean" and e.mean is not None]
    if not rows:
        return None
    series = []
    for window in (calibration.BURST, calibration.SUSTAINED):
        of = [e for e in rows if e.dimensions["condition"] == window]
        if of:
            series.append(
                Series(
                    window,
                    tuple(str(e.dimensions["size"]) for e in of),
                    tuple(e.mean for e in of),
                    tuple(e.ci_low for e in of),
                    tuple(e.ci_high for e in of),
                )
            )
    best = calibration.best_shape(estimates, calibration.SUSTAINED)
    return Chart(
        key="matrix_rate",
        title=f"Rate of {rows[0].dtype} matrix products",
        kind="bar",
        x_title="Rows × columns × inner dimension",
        y_title="Operations per second",
        y_unit="FLOP/s",
        series=tuple(series),
        alt="Rate of matrix products of several shapes, in a burst after a pause and sustained.",
        takeaway=f"Sustained, the best shape is {best.dimensions['size']}." if best is not None else "",
    )
