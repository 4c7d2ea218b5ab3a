"""The figures of the training diagnostics. Light: the web server imports this."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lab.records import Chart, Estimate, Series, StoredRecord
from lab.statistics import binomial_interval
from workloads.training_diagnostics.curve import stored
from workloads.training_diagnostics.findings import RULES, SCORE_TITLES, detections
from workloads.training_diagnostics.names import (
    ADDITION,
    CALIBRATED,
    CHANCE_HITS,
    CURVE,
    CURVES,
    DETRENDED,
    DRAWN,
    EMBEDDING,
    FALSE_ALARMS,
    FRAMES,
    GAP_SCORE,
    H0_TOTAL,
    H1_MAX,
    H1_TOTAL,
    HELD_OUT_ACCURACY,
    HITS,
    IMAGES,
    LABELS,
    P_VALUE,
    PEAK_FRAMES,
    PEAK_RATE,
    PEAKS,
    RANDOM_LABELS,
    RUNS,
    TRAIN_ACCURACY,
    TRANSITION_STEP,
    first_of,
    high,
    low,
)
from workloads.training_diagnostics.nulls import NOISE, NULLS, SHUFFLED
from workloads.training_diagnostics.takens import DIMENSIONS

Rows = Sequence[Estimate]


def charts(summary: Rows, records: Sequence[StoredRecord]) -> list[Chart]:
    """All figures that there are numbers for."""
    makers: tuple[Callable[[Rows, Sequence[StoredRecord]], list[Chart]], ...] = (
        _accuracies,
        _losses,
        _detection,
        _peak_rates,
        _p_values,
        _scores,
        _firsts,
    )
    return [chart for make in makers for chart in make(summary, records)]


def _rows(summary: Rows, part: str, metric: str, arm: str = "") -> list[Estimate]:
    return [e for e in summary if (e.dimensions["part"], e.metric) == (part, metric) and arm in ("", e.arm) and e.mean is not None]


def _first_cell(rows: list[Estimate]) -> list[Estimate]:
    return [e for e in rows if e.swept == rows[0].swept] if rows else []


def _transition(records: Sequence[StoredRecord]) -> dict[str, float]:
    for item in records:
        record = item.record
        if (record.dimensions["part"], record.arm, record.metric) == (CURVES, ADDITION, TRANSITION_STEP):
            return {} if record.value is None else {"transition": record.value}
    return {}


def _accuracies(summary: Rows, records: Sequence[StoredRecord]) -> list[Chart]:
    series = []
    wanted = (
        ("held-out pairs", ADDITION, HELD_OUT_ACCURACY),
        ("training pairs", ADDITION, TRAIN_ACCURACY),
        ("held-out pairs, random labels", RANDOM_LABELS, HELD_OUT_ACCURACY),
        ("training pairs, random labels", RANDOM_LABELS, TRAIN_ACCURACY),
    )
    for name, arm, metric in wanted:
        rows = sorted(_first_cell(_rows(summary, CURVES, metric, arm)), key=lambda e: int(e.dimensions["step"]))
        if rows:
            steps = tuple(int(e.dimensions["step"]) for e in rows)
            series.append(Series(name, steps, tuple(e.mean for e in rows), emphasis="technique" if arm == ADDITION else "baseline"))
    if not series:
        return []
    return [
        Chart(
            key="accuracy",
            title="A run with a transition, and its control",
            kind="line",
            x_title="step",
            y_title="accuracy",
            y_unit="%",
            series=tuple(series),
            alt="Accuracy over steps on training and held-out pairs, of one run on modular addition and of one on random labels.",
            y_range=(0.0, 100.0),
            marks=_transition(records),
        )
    ]


def _losses(summary: Rows, records: Sequence[StoredRecord]) -> list[Chart]:
    found = []
    for name, marks in ((ADDITION, _transition(records)), (IMAGES, {})):
        curve = stored(records, name)  # type: ignore[arg-type]
        if curve is None or len(curve.losses) < 2:
            continue
        positive = bool((curve.losses > 0).all())
        found.append(
            Chart(
                key=f"loss_{name}",
                title=f"Loss of each batch: {LABELS[name]}",
                kind="line",
                x_title="step",
                y_title="loss",
                y_unit=curve.unit if curve.unit != "1" else "",
                series=(Series(curve.title, tuple(curve.steps.tolist()), tuple(curve.losses.tolist())),),
                alt="The training loss of each batch over the steps of one run.",
                y_log=positive,
                marks=marks,
            )
        )
    return found


def _detection(summary: Rows, records: Sequence[StoredRecord]) -> list[Chart]:
    names = {
        HITS: "near the transition",
        CHANCE_HITS: "same steps, no transition",
        FALSE_ALARMS: "anywhere, no transition",
    }
    values: dict[str, list[tuple[str, float, float, float]]] = {metric: [] for metric in names}
    for rule, _ in RULES:
        for counts in detections(rule, summary)[:1]:
            runs = round(counts[RUNS].mean or 0)
            for metric in names:
                hits = round(counts[metric].mean or 0)
                if runs:
                    low, high = binomial_interval(hits, runs)
                    values[metric].append((LABELS[rule], 100 * hits / runs, 100 * low, 100 * high))
    series = tuple(
        Series(
            name,
            tuple(rule for rule, *_ in values[metric]),
            tuple(v for _, v, _, _ in values[metric]),
            tuple(v for _, _, v, _ in values[metric]),
            tuple(v for *_, v in values[metric]),
            emphasis="technique" if metric == HITS else "baseline",
        )
        for metric, name in names.items()
        if values[metric]
    )
    if not series:
        return []
    return [
        Chart(
            key="detection",
            title="Runs in which the filter raises an alarm",
            kind="bar",
            x_title="rule",
            y_title="runs with an alarm",
            y_unit="%",
            series=series,
            alt="Share of runs with an alarm near their transition, at the same steps of runs without one, and anywhere in these.",
            y_range=(0.0, 100.0),
            takeaway="A filter that detects transitions alarms near them and not at the same steps of runs that have none.",
        )
    ]


def _peak_rates(summary: Rows, records: Sequence[StoredRecord]) -> list[Chart]:
    series = []
    for arm in (CURVE, SHUFFLED):
        rows = _first_cell(_rows(summary, PEAKS, PEAK_RATE, arm))
        if rows:
            windows = tuple(str(e.dimensions["window"]) for e in rows)
            ends = tuple(e.ci_low for e in rows), tuple(e.ci_high for e in rows)
            emphasis = "technique" if arm == CURVE else "baseline"
            series.append(Series(LABELS[arm], windows, tuple(e.mean for e in rows), *ends, emphasis=emphasis))  # type: ignore[arg-type]
    frames = {e.dimensions["window"]: round(e.mean or 0) for e in _first_cell(_rows(summary, PEAKS, FRAMES, NOISE))}
    peaks = {e.dimensions["window"]: round(e.mean or 0) for e in _first_cell(_rows(summary, PEAKS, PEAK_FRAMES, NOISE))}
    both = [window for window in peaks if window in frames]
    if both:
        shares = [binomial_interval(peaks[window], frames[window]) for window in both]
        series.append(
            Series(
                LABELS[NOISE],
                tuple(str(window) for window in both),
                tuple(100 * peaks[window] / frames[window] for window in both),
                tuple(100 * low for low, _ in shares),
                tuple(100 * high for _, high in shares),
                emphasis="baseline",
            )
        )
    if not series:
        return []
    return [
        Chart(
            key="peak_rates",
            title="Frames with a peak by the published rule",
            kind="bar",
            x_title="window",
            y_title="frames with a peak",
            y_unit="%",
            series=tuple(series),
            alt="Share of frames with a peak by window: of the image runs' losses, of the same losses in random order, of white noise.",
            takeaway="What white noise reaches is the false-alarm rate of a single frame.",
        )
    ]


def _p_values(summary: Rows, records: Sequence[StoredRecord]) -> list[Chart]:
    series = []
    for rule in (CALIBRATED, DETRENDED):
        for null in (SHUFFLED, NOISE):
            points = sorted(
                (int(item.record.dimensions["window"]), item.record.value)
                for item in records
                if (item.record.dimensions["part"], item.record.arm, item.record.metric) == (PEAKS, rule, P_VALUE)
                and item.record.dimensions["null"] == null
                and item.record.value is not None
            )
            if points:
                series.append(Series(f"{LABELS[rule]}, {LABELS[null]}", tuple(x for x, _ in points), tuple(y for _, y in points)))
    if not series:
        return []
    return [
        Chart(
            key="p_values",
            title="Largest ratio of a run against null series",
            kind="scatter",
            x_title="window",
            y_title="p-value",
            y_unit="",
            series=tuple(series),
            alt="The p-value of each image run's largest ratio by window, against the same losses in random order and against noise.",
            limits={"5 %": 0.05},
            y_range=(0.0, 1.0),
        )
    ]


def _scores(summary: Rows, records: Sequence[StoredRecord]) -> list[Chart]:
    found = []
    data = list(dict.fromkeys(str(e.dimensions["data"]) for e in summary if e.dimensions["part"] == EMBEDDING))
    for place, name in enumerate(data):
        for score in (H1_TOTAL, H1_MAX, H0_TOTAL, GAP_SCORE):
            series = []
            for arm in (CURVE, *NULLS):
                rows = [e for e in _first_cell(_rows(summary, EMBEDDING, score, arm)) if e.dimensions["data"] == name]
                rows = sorted(rows, key=lambda e: DIMENSIONS.index(int(e.dimensions["dimension"])))
                if rows:
                    dimensions = tuple(int(e.dimensions["dimension"]) for e in rows)
                    ends = tuple(e.ci_low for e in rows), tuple(e.ci_high for e in rows)
                    if arm != CURVE:
                        ends = tuple(_means(summary, low(score), rows)), tuple(_means(summary, high(score), rows))
                    emphasis = "technique" if arm == CURVE else "baseline"
                    series.append(Series(LABELS[arm], dimensions, tuple(e.mean for e in rows), *ends, emphasis=emphasis))  # type: ignore[arg-type]
            if series:
                title = SCORE_TITLES[score]
                found.append(
                    Chart(
                        key=f"{score}_{place}",
                        title=f"{title[0].upper()}{title[1:]}: losses of {name.split(' (')[0]}",
                        kind="line",
                        x_title="dimension of the embedding",
                        y_title=title,
                        y_unit="%" if score == GAP_SCORE else "",
                        series=tuple(series),
                        interval="95 % interval of the mean (curve), range of 95 % of series (nulls)",
                        alt=f"The {title} by dimension, of the losses and of series that lack their order.",
                    )
                )
    return found


def _means(summary: Rows, metric: str, rows: Rows) -> list[float | None]:
    """The value of ``metric`` beside each of ``rows``."""
    found = {(e.arm, tuple(e.dimensions.items()), tuple(e.swept.items())): e.mean for e in summary if e.metric == metric}
    return [found.get((e.arm, tuple(e.dimensions.items()), tuple(e.swept.items()))) for e in rows]


def _firsts(summary: Rows, records: Sequence[StoredRecord]) -> list[Chart]:
    found = []
    data = list(dict.fromkeys(str(e.dimensions["data"]) for e in summary if e.dimensions["part"] == EMBEDDING))
    for place, name in enumerate(data):
        for score in DRAWN:
            series = []
            for arm in (CURVE, *NULLS):
                rows = [e for e in _first_cell(_rows(summary, EMBEDDING, first_of(score), arm)) if e.dimensions["data"] == name]
                if rows:
                    dimensions = tuple(str(e.dimensions["dimension"]) for e in rows)
                    emphasis = "technique" if arm == CURVE else "baseline"
                    series.append(Series(LABELS[arm], dimensions, tuple(e.mean for e in rows), emphasis=emphasis))  # type: ignore[arg-type]
            if series:
                found.append(
                    Chart(
                        key=f"{first_of(score)}_{place}",
                        title=f"Which dimension is first by {SCORE_TITLES[score]}: losses of {name.split(' (')[0]}",
                        kind="bar",
                        x_title="dimension of the embedding",
                        y_title="series in which it is first",
                        y_unit="%",
                        series=tuple(series),
                        alt=f"How often each dimension has the highest {SCORE_TITLES[score]}, of the losses and of null series.",
                        limits={"by chance": 100 / len(DIMENSIONS)},
                        y_range=(0.0, 100.0),
                    )
                )
    return found
