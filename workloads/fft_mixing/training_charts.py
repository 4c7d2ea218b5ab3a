"""The figures of training: curves while it runs, accuracy against distance, accuracy by task, what a window sees. Light: no torch."""

from __future__ import annotations

from collections.abc import Sequence

from lab import formatting
from lab.records import Chart, Estimate, Series
from workloads.fft_mixing.names import (
    ACCURACY_GAIN,
    ATTENTION,
    CHANCE,
    COUNT,
    FFT_MIX,
    GAIN_HIGH,
    GAIN_LOW,
    LABELS,
    LONGEST_WINDOW,
    PARAMETER_COUNT,
    PUBLISHED_TRAINING,
    SOUND_TRAINING,
    TASKS,
    TEST_ACCURACY,
    TRAIN_LOSS,
    VALIDATION_ACCURACY,
)
from workloads.fft_mixing.parameters import PUBLISHED_WINDOWS
from workloads.fft_mixing.series import bars, lines, number, with_value

DISTANCE_TASKS = ("recall", "copy")
SIGHT = tuple(range(49))  # distances of the drawing of what a window sees
DISTANCE_TAKEAWAY = {
    "recall": "The answer has to be found by its content. Window mixing weighs tokens by place alone, and sees none beyond its window.",
    "copy": "The answer stands at a fixed place, so content does not matter: what fails here fails for lack of reach.",
}


def charts(estimates: Sequence[Estimate]) -> list[Chart]:
    """All figures of training that the summary has numbers for, and what a window sees, which needs no measurement."""
    found: list[Chart | None] = [_by_distance(estimates, task) for task in DISTANCE_TASKS]
    found.append(_gains(estimates))
    for task in TASKS:
        found += [_curve(estimates, SOUND_TRAINING, task, VALIDATION_ACCURACY), _curve(estimates, SOUND_TRAINING, task, TRAIN_LOSS)]
    found += [_curve(estimates, PUBLISHED_TRAINING, "images", metric) for metric in (VALIDATION_ACCURACY, TRAIN_LOSS)]
    found += [_counts(estimates), _sight()]
    return [chart for chart in found if chart is not None]


def _arm(e: Estimate) -> str:
    return LABELS[e.arm]


def _seeds(n: int) -> str:
    return f"{n} seed{'s' if n != 1 else ''}"


def _headed(title: str, after_words: bool) -> str:
    """A task's title as the beginning of a heading, unless words stand before it."""
    return title if after_words else title[0].upper() + title[1:]


def _of_task(estimates: Sequence[Estimate], metric: str, task: str, part: str = SOUND_TRAINING) -> list[Estimate]:
    return [
        e
        for e in estimates
        if (e.metric, e.dimensions["part"], e.dimensions["task"]) == (metric, part, task)
        and e.statistic in ("mean", "exact")
        and e.mean is not None
    ]


def _chance(estimates: Sequence[Estimate], task: str) -> dict[str, float]:
    """The accuracy of guessing, as a limit."""
    rows = _of_task(estimates, CHANCE, task)
    return {LABELS[CHANCE]: rows[0].mean or 0.0} if rows else {}


def _by_distance(estimates: Sequence[Estimate], task: str) -> Chart | None:
    rows = _of_task(estimates, TEST_ACCURACY, task)
    if not rows:
        return None
    distances = sorted({number(e, "distance") for e in rows})
    reach = int(_reach(estimates))
    seeds = int(rows[0].dimensions["seeds"])
    inside = {f"longest window, {reach}": float(reach)} if distances[0] <= reach <= distances[-1] else {}
    return Chart(
        key=f"distance_{task}",
        title=f"{_headed(TASKS[task], False)}: accuracy against distance",
        kind="line" if len(distances) > 1 else "bar",
        x_title="Distance of the answer from the question",
        x_unit="tokens",
        y_title="Test accuracy",
        y_unit="%",
        x_log=len(distances) > 1,
        x_range=(float(distances[0]), float(distances[-1])) if len(distances) > 1 else None,
        y_range=(0.0, 105.0),
        series=lines(rows, "distance", name=_arm),
        limits=_chance(estimates, task),
        marks=inside,
        alt=f"Test accuracy of {TASKS[task]} over the distance of the answer by mixer, mean over {_seeds(seeds)}; chance is a line.",
        takeaway=f"{DISTANCE_TAKEAWAY[task]} {_distance_in_words(rows, distances)}",
    )


def _distance_in_words(rows: Sequence[Estimate], distances: Sequence[int]) -> str:
    """Test accuracy at the shortest and longest distance."""
    words = []
    for arm in (FFT_MIX, ATTENTION):
        own = {number(e, "distance"): e.mean or 0.0 for e in rows if e.arm == arm}
        ends = [f"{own[d]:.0f} % at {d}" for d in dict.fromkeys((distances[0], distances[-1])) if d in own]
        if ends:
            words.append(f"{LABELS[arm]}: {', '.join(ends)}")
    return f"{'; '.join(words)}." if words else ""


def _reach(estimates: Sequence[Estimate]) -> float:
    """The longest window of the run."""
    return next((e.mean for e in estimates if e.metric == LONGEST_WINDOW and e.mean), float(PUBLISHED_WINDOWS[-1]))


def _gains(estimates: Sequence[Estimate]) -> Chart | None:
    """Points above attention, with the interval for other seeds and test items."""
    rows = with_value(estimates, "exact", ACCURACY_GAIN, SOUND_TRAINING)
    if not rows:
        return None

    def end(e: Estimate, metric: str) -> float | None:
        same = (e.arm, e.dimensions)
        return next((o.mean for o in estimates if o.metric == metric and (o.arm, o.dimensions) == same), None)

    arms = list(dict.fromkeys(e.arm for e in rows))
    series = []
    for arm in arms:
        own = [e for e in rows if e.arm == arm]
        series.append(
            Series(
                LABELS[arm],
                tuple(_task_name(e) for e in own),
                tuple(e.mean for e in own),
                tuple(end(e, GAIN_LOW) for e in own),
                tuple(end(e, GAIN_HIGH) for e in own),
                emphasis="technique" if arm == FFT_MIX else "baseline",
            )
        )
    seeds = int(rows[0].dimensions["seeds"])
    return Chart(
        key="accuracy_gain",
        title="Test accuracy above attention's",
        kind="bar",
        x_title="Task",
        y_title="Test accuracy − attention's",
        y_unit="points",
        series=tuple(series),
        limits={"attention": 0.0},
        alt="Difference of test accuracy to attention by task and mixer, with 95 % intervals for other seeds and test items.",
        takeaway=f"{_seeds(seeds)} of each, paired by seed and test item." + ("" if seeds >= 5 else " An interval needs at least 5."),
    )


def _task_name(e: Estimate) -> str:
    distance = e.dimensions["distance"]
    return TASKS[str(e.dimensions["task"])] + (f", {distance}" if distance else "")


def _curve(estimates: Sequence[Estimate], part: str, task: str, metric: str) -> Chart | None:
    """A metric over the steps (epochs) of training, one line for each mixer (and distance), bands over seeds."""
    rows = [e for e in _of_task(estimates, metric, task, part) if e.dimensions["step"] != ""]
    if not rows:
        return None
    steps = sorted({number(e, "step") for e in rows})
    published = part == PUBLISHED_TRAINING
    accuracy = metric == VALIDATION_ACCURACY
    data = rows[0].dimensions["data"]
    what = "Validation accuracy" if accuracy else "Training loss"

    def name(e: Estimate) -> str:
        distance = e.dimensions["distance"]
        return _arm(e) + (f", distance {distance}" if distance else "")

    return Chart(
        key=f"{metric}_{part}_{task}".replace(" ", "_"),
        title=f"{'Published protocol, ' if published else ''}{_headed(TASKS[task], published)}: {what.lower()} while training",
        kind="line" if len(steps) > 1 else "bar",
        x_title="Epoch" if published else "Step",
        y_title=what,
        y_unit="%" if accuracy else "nats",
        x_range=(0.0, float(max(steps[-1], 1))) if len(steps) > 1 else None,
        y_range=(0.0, 105.0) if accuracy else None,
        series=lines(rows, "step", name=name),
        limits=_chance(estimates, task) if accuracy and not published else {},
        alt=f"{what} on {data} over the {'epochs' if published else 'steps'} of training by mixer"
        + ("" if published else ", mean over seeds with its interval")
        + ".",
        takeaway=f"{data}. " + ("One seed: a difference says little." if published else ""),
    )


def _counts(estimates: Sequence[Estimate]) -> Chart | None:
    rows = with_value(estimates, "exact", PARAMETER_COUNT, COUNT)
    if not rows:
        return None
    groups: dict[str, list[Estimate]] = {"as the source states": [], "counted": []}
    for e in rows:
        groups["counted" if e.implementation == "counted" else "as the source states"].append(e)
    return Chart(
        key="parameter_counts",
        title="Parameters of the published models",
        kind="bar",
        x_title="Mixer",
        y_title="Parameters",
        y_unit="1",
        series=bars(groups, _arm),
        alt="Parameters of the two published models as the source states them and as counted.",
        takeaway=_counts_in_words(groups["counted"]),
    )


def _counts_in_words(counted: Sequence[Estimate]) -> str:
    counts = {e.arm: e.mean or 0.0 for e in counted}
    if not counts.get(ATTENTION) or FFT_MIX not in counts:
        return ""
    fewer = 100 * (1 - counts[FFT_MIX] / counts[ATTENTION])
    return (
        f"Counted: {formatting.count(int(counts[FFT_MIX]))} against {formatting.count(int(counts[ATTENTION]))}, {fewer:.1f} % fewer. "
        "The attention model is the stated one to the last parameter; the FFT-Mix model is not."
    )


def _sight() -> Chart:
    """The chance that two tokens at a distance share a window: max(0, 1 − distance / window)."""
    series = tuple(Series(f"window of {w}", tuple(SIGHT), tuple(max(0.0, 1 - d / int(w)) for d in SIGHT)) for w in PUBLISHED_WINDOWS)
    return Chart(
        key="sight",
        title="What a window sees",
        kind="line",
        x_title="Distance between two tokens",
        x_unit="tokens",
        y_title="Share of token pairs in one window",
        y_unit="",
        series=(*series, Series("attention", tuple(SIGHT), tuple(1.0 for _ in SIGHT), emphasis="baseline")),
        x_range=(0.0, float(SIGHT[-1])),
        y_range=(0.0, 1.05),
        alt="Share of token pairs that one window of 6, 12 or 24 tokens holds, by their distance; attention sees every pair.",
        takeaway="Windows are fixed blocks: tokens at distance d share one of length w with probability 1 − d/w, and never beyond w. "
        "Windows of 6, 12 and 24 lie within each other, so more layers reach no further.",
    )
