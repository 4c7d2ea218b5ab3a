"""The figures of a calibration, as data, from a summary. Light: the web server imports this."""

from __future__ import annotations

from collections.abc import Sequence

from lab import calibration
from lab.records import Chart, Estimate, Record, Series, StoredRecord


def charts(estimates: Sequence[Estimate], records: Sequence[StoredRecord]) -> list[Chart]:
    """All figures that there are numbers for."""
    found = [_trials(records), _bias(estimates), _matrix(estimates)]
    return [chart for chart in found if chart is not None]


def _trials(records: Sequence[StoredRecord]) -> Chart | None:
    """The estimate of each comparison in the order in which they were made, one series for each known effect.

    Without intervals: a hundred of them hide the points; how often they miss the truth is counted.
    """
    series: dict[tuple[int, str], list[Record]] = {}
    for stored in records:
        record = stored.record
        if record.metric == calibration.RATIO and record.repeat is not None:
            key = (int(record.dimensions["injected_percent"]), str(record.dimensions["timer"]))
            series.setdefault(key, []).append(record)
    if not series:
        return None
    drawn = [
        Series(
            _name(percent, timer),
            tuple((record.repeat or 0) + 1 for record in of),
            tuple(record.value for record in of),
            emphasis="baseline" if percent == 0 else "technique",
        )
        for (percent, timer), of in sorted(series.items())
    ]
    truths = {f"truth of {percent} % more work": calibration.true_ratio(percent) for percent, _ in sorted(series) if percent}
    margin = calibration.margin(next(iter(series.values()))[0].device)
    return Chart(
        key="trials",
        title="Comparisons whose truth is known",
        kind="line",
        x_title="Comparison",
        y_title="Speed against the plain arm",
        y_unit="×",
        series=tuple(drawn),
        limits={"truth of the same arm": 1.0, **truths},
        y_range=(0.75, 1.15),
        alt="The estimate of each comparison: an arm against itself belongs at 1, known effects at their true ratios.",
        takeaway=f"Differences within ±{100 * margin:g} % count as none on this kind of device.",
    )


def _bias(estimates: Sequence[Estimate]) -> Chart | None:
    """Bias of the estimate for each known effect."""
    rows = [trial for trial in calibration.trials(estimates) if trial.bias is not None and trial.bias.mean is not None]
    if not rows:
        return None

    def percent(value: float | None) -> float | None:
        return None if value is None else 100 * value

    names = tuple(_name(trial.injected_percent, trial.timer) for trial in rows)
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


def _name(percent: int, timer: str) -> str:
    name = "the same arm" if percent == 0 else f"{percent} % more work"
    return name if timer == calibration.LATENCY else f"{name}, {timer}"


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
