"""All figures of the early-stopping experiment. Light: the web server imports this."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from lab.formatting import sentence
from lab.records import Chart, Estimate, Series, StoredRecord
from workloads.entropy_stopping.cost_of_training import UnitCosts, in_epochs, measured
from workloads.entropy_stopping.names import (
    ACCURACY,
    CHANGE,
    COSINE,
    CURVE,
    ENTROPY,
    FIXED,
    FULL_BUDGET,
    LABELS,
    LEVEL,
    LOSS,
    MODELS,
    PATIENCE_ACCURACY,
    PATIENCE_LOSS,
    PICKED_ON_TEST,
    PICKED_ON_VALIDATION,
    PLATEAU,
    RULE,
    SMOOTHED,
    STOP_EPOCH,
    TEST,
    TRAIN,
    VALIDATION,
    WATCHING,
    high,
    low,
)
from workloads.entropy_stopping.wording import point_words, setting_words, signed

CLAIMED_SAVED, CLAIMED_CHANGE, CLAIMED_TIME_SAVED = 66.7, -0.20, 33.0  # TECS-L report; N6 issue
SPLITS = {TRAIN: "training data, dropout on", VALIDATION: "validation data", TEST: "test data"}
FRONTIER = {  # the series, few enough that no two share a colour
    LABELS[PLATEAU]: (PLATEAU,),
    LABELS[SMOOTHED]: (SMOOTHED,),
    "patience": (PATIENCE_LOSS, PATIENCE_ACCURACY),
    LABELS[FIXED]: (FIXED,),
    LABELS[COSINE]: (COSINE,),
}
CURVE_TITLES = {ENTROPY: ("Mean output entropy", "nats"), ACCURACY: ("Accuracy", "%"), LOSS: ("Loss", "nats")}
PROTOCOL_TITLES = {"published": "published protocol", "sound": "sound protocol"}
SEEDS_BAND = "95 % interval over seeds"


def charts(estimates: Sequence[Estimate], records: Sequence[StoredRecord]) -> list[Chart]:
    """Frontiers first, then what picking adds, then the curves; each for every kind of model, and only what has been measured."""
    found: list[Chart | None] = []
    for model in dict.fromkeys(str(e.dimensions["model"]) for e in estimates):
        own = [e for e in estimates if e.dimensions["model"] == model]
        sound = [e for e in own if e.protocol == "sound"]
        published = [e for e in own if e.protocol == "published"]
        found += [
            frontier(sound, model, next(iter(measured(sound, model)), in_epochs())),
            _picking(own, model),
            frontier(published, model, in_epochs()),
        ]
        for rows in (sound, published):
            found += [_curve(rows, model, metric) for metric in CURVE_TITLES]
    return [chart for chart in found if chart is not None]


# --- rules ----------------------------------------------------------------------------------------------------------------------


def _rules(rows: Sequence[Estimate], metric: str, against: str = "") -> dict[tuple[str, object], Estimate]:
    return {
        (e.arm, e.dimensions["setting"]): e
        for e in rows
        if e.metric == metric and e.dimensions["part"] == RULE and e.dimensions["against"] == against and e.mean is not None
    }


def _half(e: Estimate) -> float:
    return 0.0 if e.ci_low is None or e.ci_high is None else (e.ci_high - e.ci_low) / 2


def frontier(rows: Sequence[Estimate], model: str, cost: UnitCosts) -> Chart | None:
    """Test accuracy against cost of every rule of one protocol and kind of model; None before the test data were used."""
    levels, stops = _rules(rows, LEVEL), _rules(rows, STOP_EPOCH)
    ends = _rules(rows, low(LEVEL)), _rules(rows, high(LEVEL))
    if not levels:
        return None
    protocol = rows[0].protocol
    series = []
    for name, arms in FRONTIER.items():
        keys = [key for key in levels if key[0] in arms and key in stops and (protocol == "published" or not _is_picked(key[1]))]
        if not keys:
            continue
        watched = arms[0] in WATCHING
        xs = [cost.of(stops[key].mean or 0.0, watched=watched) for key in keys]
        errors = [cost.of(_half(stops[key]), watched=watched) for key in keys]
        series.append(
            Series(
                name,
                tuple(xs),
                tuple(levels[key].mean for key in keys),
                tuple(ends[0][key].mean if key in ends[0] else None for key in keys),
                tuple(ends[1][key].mean if key in ends[1] else None for key in keys),
                emphasis="technique" if arms[0] in (PLATEAU, SMOOTHED) else "baseline",
                x_low=tuple(x - error for x, error in zip(xs, errors, strict=True)),
                x_high=tuple(x + error for x, error in zip(xs, errors, strict=True)),
                labels=tuple(point_words(*key) for key in keys),
            )
        )
    n = max(e.n for e in stops.values())
    return Chart(
        key=f"frontier_{protocol}_{model}",
        title=f"Accuracy against cost, {MODELS[model]}, {PROTOCOL_TITLES[protocol]}",
        kind="scatter",
        x_title=cost.title,
        x_unit=cost.unit,
        y_title="Test accuracy",
        y_unit="%",
        series=tuple(series),
        alt=f"Test accuracy of each rule over the cost of training until it stops, mean of {n} seeds with intervals.",
        takeaway=_frontier_words(rows, levels, protocol, cost),
        interval="95 % interval over seeds and items",
    )


def _is_picked(setting: object) -> bool:
    return setting in (PICKED_ON_TEST, PICKED_ON_VALIDATION)


def _frontier_words(rows: Sequence[Estimate], levels: Mapping[tuple[str, object], Estimate], protocol: str, cost: UnitCosts) -> str:
    if protocol == "published":
        return "Here the rule looks at the very test data that its accuracy is reported on, and a picked threshold was picked by them."
    cosines = [e for (arm, _), e in levels.items() if arm == COSINE]
    if not cosines:
        return ""
    data = rows[0].dimensions["data"]
    shared = f" What a step costs is known to ± {100 * cost.unit_error:.1f} %, for all alike." if cost.unit_error else ""
    return f"Up and to the left is better. A rule is worth having where it lies above the shorter schedules. Data: {data}.{shared}"


def _picking(rows: Sequence[Estimate], model: str) -> Chart | None:
    """Epochs saved against accuracy lost: thresholds as they are, and picked before or after the test accuracies were known."""
    series, words = [], []
    for protocol in ("published", "sound"):
        own = [e for e in rows if e.protocol == protocol]
        budget = max((int(e.dimensions["epoch"]) for e in own if e.dimensions["part"] == CURVE and e.dimensions["epoch"]), default=0)
        changes, stops = _rules(own, CHANGE, FULL_BUDGET), _rules(own, STOP_EPOCH)
        ends = _rules(own, low(CHANGE), FULL_BUDGET), _rules(own, high(CHANGE), FULL_BUDGET)
        groups: dict[str, Callable[[object], bool]] = {
            "each threshold": lambda setting: not _is_picked(setting),
            PICKED_ON_VALIDATION: lambda setting: setting == PICKED_ON_VALIDATION,
            PICKED_ON_TEST: lambda setting: setting == PICKED_ON_TEST,
        }
        for name, belongs in groups.items():
            keys = [key for key in changes if key[0] == PLATEAU and belongs(key[1]) and key in stops]
            if not keys or not budget:
                continue
            saved = [100 * (1 - (stops[key].mean or 0.0) / budget) for key in keys]
            errors = [100 * _half(stops[key]) / budget for key in keys]
            series.append(
                Series(
                    f"{protocol}, {name}",
                    tuple(saved),
                    tuple(changes[key].mean for key in keys),
                    tuple(ends[0][key].mean if key in ends[0] else None for key in keys),
                    tuple(ends[1][key].mean if key in ends[1] else None for key in keys),
                    emphasis="technique",
                    x_low=tuple(s - e for s, e in zip(saved, errors, strict=True)),
                    x_high=tuple(s + e for s, e in zip(saved, errors, strict=True)),
                    labels=tuple(setting_words(*key) for key in keys),
                )
            )
            if name != "each threshold":
                words.append(f"{protocol}, {name}: {saved[0]:.0f} % saved at {signed(changes[keys[0]].mean or 0.0)} points")
    if not series:
        return None
    series.append(
        Series("claimed (TECS-L report)", (CLAIMED_SAVED,), (CLAIMED_CHANGE,), emphasis="baseline", labels=("66.7 %, −0.20 points",))
    )
    return Chart(
        key=f"picking_{model}",
        title=f"What picking the threshold afterwards adds, {MODELS[model]}",
        kind="scatter",
        x_title="Epochs saved",
        x_unit="%",
        y_title="Change of test accuracy",
        y_unit="points",
        series=tuple(series),
        marks={"N6 issue: 33 %": CLAIMED_TIME_SAVED},
        alt="Change of test accuracy over the share of epochs saved: each threshold, thresholds picked before and after the test "
        "accuracies were known, and the claims of both sources, which disagree.",
        takeaway="The two sources claim 66.7 % and 33 % for one rule. In the sound protocol only the data that the threshold is picked by "
        "differ, not the trainings. " + sentence("; ".join(words)),
        interval="95 % interval over seeds and items",
    )


# --- curves ---------------------------------------------------------------------------------------------------------------------


def _curve(rows: Sequence[Estimate], model: str, metric: str) -> Chart | None:
    own = [e for e in rows if e.metric == metric and e.dimensions["part"] == CURVE]
    if not any(e.mean is not None for e in own):
        return None
    series = []
    for split, name in SPLITS.items():
        points = sorted((e for e in own if e.dimensions["split"] == split), key=lambda e: int(e.dimensions["epoch"]))
        if points:
            series.append(
                Series(
                    name,
                    tuple(int(e.dimensions["epoch"]) for e in points),
                    tuple(e.mean for e in points),
                    tuple(e.ci_low for e in points),
                    tuple(e.ci_high for e in points),
                    emphasis="baseline" if split == TRAIN else "technique",
                )
            )
    title, unit = CURVE_TITLES[metric]
    protocol = rows[0].protocol
    return Chart(
        key=f"{metric}_{protocol}_{model}",
        title=f"{title}, {MODELS[model]}, {PROTOCOL_TITLES[protocol]}",
        kind="line",
        x_title="Epochs trained",
        y_title=title,
        y_unit=unit,
        series=tuple(series),
        marks=_marks(rows),
        alt=f"{title} after each epoch, mean of {max(e.n for e in own)} seeds with their interval, and where each rule stops.",
        interval=SEEDS_BAND,
        bands=True,
    )


def _marks(rows: Sequence[Estimate]) -> dict[str, float]:
    """Mean epoch at which each rule that watches stops; those that stop within half an epoch of each other share a line."""
    last = max((int(e.dimensions["epoch"]) for e in rows if e.dimensions["part"] == CURVE and e.dimensions["epoch"]), default=0)
    places: dict[int, list[tuple[str, float]]] = {}
    for (arm, setting), e in _rules(rows, STOP_EPOCH).items():
        if arm in WATCHING and not _is_picked(setting) and e.mean is not None and e.mean < last:
            name = str(setting) if arm == PLATEAU else LABELS[arm]
            places.setdefault(round(e.mean), []).append((name, e.mean))
    marks = {}
    for found in places.values():
        thresholds = [name for name, _ in found if name[0].isdigit()]
        words = ([f"entropy {', '.join(thresholds)}"] if thresholds else []) + [name for name, _ in found if not name[0].isdigit()]
        marks[", ".join(words)] = sum(epoch for _, epoch in found) / len(found)
    return marks
