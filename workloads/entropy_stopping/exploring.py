"""The rules evaluated anew on stored curves, with a reader's own settings. Light: the web server imports this."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from lab.explore import Explore
from lab.formatting import sentence
from lab.parameters import ParameterError, Parameters, parameter
from lab.records import Chart, Estimate, Series, StoredRecord
from lab.statistics import LEVEL as CONFIDENCE
from lab.statistics import MIN_OBSERVATIONS, Interval, student_t_quantile
from workloads.entropy_stopping.cost_of_training import UnitCosts, in_epochs, measured
from workloads.entropy_stopping.names import LABELS, MODELS
from workloads.entropy_stopping.rules import FixedBudget, PatienceOnAccuracy, PatienceOnLoss, Plateau, Rule, SmoothedPlateau, Stop
from workloads.entropy_stopping.stored_curves import Stored, read
from workloads.entropy_stopping.wording import signed

TITLE = "Where would it have stopped?"
TEXT = (
    "Every rule is evaluated again on the stored curves; nothing is trained. Moving a slider until the result looks good is exactly what "
    "the published protocol did: what you then see is no evidence for that setting. Intervals here assume that all seeds err on the same "
    "test items, so they are at least as wide as those of the verdicts."
)


class RuleSettings(Parameters):
    """What a reader sets; nothing of it belongs to a run."""

    threshold: float = parameter(
        0.01, title="Threshold", help="Of both entropy rules.", unit="nats", ge=0.001, le=0.2, step=0.001, group="main"
    )
    window: int = parameter(
        3, title="Window", help="Epochs in a row with a small change.", unit="epochs", ge=1, le=50, step=1, group="main"
    )
    patience: int = parameter(
        3, title="Patience", help="Epochs without a better loss or accuracy.", unit="epochs", ge=1, le=50, step=1, group="main"
    )
    epochs: int = parameter(
        200,
        title="Maximum epochs",
        help="The full budget: at most the epochs that were trained.",
        ge=2,
        le=200,
        step=1,
        group="main",
    )
    protocol: Literal["sound", "published"] = parameter(
        "sound",
        title="Protocol",
        help="Whose curves: sound ones of validation data, or published ones of the test data.",
        labels={"sound": "Sound", "published": "Published"},
    )


def rules(params: RuleSettings, epochs: int) -> list[Rule]:
    """The rules with the reader's settings, for a full budget of ``epochs``."""
    for name in ("window", "patience"):
        if getattr(params, name) >= epochs:
            raise ParameterError(name, getattr(params, name), f"below the {epochs} epochs of the run", "is too long")
    return [
        Plateau(params.threshold, params.window),
        SmoothedPlateau(params.threshold),
        PatienceOnLoss(params.patience),
        PatienceOnAccuracy(params.patience),
        FixedBudget(epochs),
    ]


def charts(params: RuleSettings, summary: Sequence[Estimate], records: Sequence[StoredRecord], uploaded: Any) -> list[Chart]:
    """Where each rule stops on the stored curves, and its test accuracy against its cost, for each kind of model."""
    found: list[Chart] = []
    for key, stored in read(records).items():
        if key.protocol != params.protocol or stored.epochs < 2:
            continue
        epochs = min(params.epochs, stored.epochs)
        stops = {rule: stored.stops(rule, epochs) for rule in rules(params, epochs)}
        found.append(_stops(stored, stops, epochs))
        costs = measured(summary, key.model) if key.protocol == "sound" else []
        accuracy = _frontier(stored, stops, costs[0] if costs else in_epochs(), epochs)
        if accuracy is not None:
            found.append(accuracy)
    return found


def _stops(stored: Stored, stops: Mapping[Rule, Mapping[int, Stop | None]], epochs: int) -> Chart:
    """Each seed's entropy with the mean stop of each rule."""
    series = tuple(
        Series(f"seed {seed}", tuple(range(1, epochs + 1)), tuple(_present(value) for value in curves.entropy[:epochs]))
        for seed, curves in stored.curves.items()
    )
    marks: dict[str, float] = {}
    words = []
    for rule, found in stops.items():
        ends = [stop.epoch for stop in found.values() if stop is not None]
        if not ends:
            words.append(f"{LABELS[rule.name]}: every model diverged")
            continue
        mean = sum(ends) / len(ends)
        fired = sum(stop is not None and stop.fired for stop in found.values())
        if rule.watches:
            marks[LABELS[rule.name]] = mean
            span = f"{min(ends)} to {max(ends)}" if min(ends) < max(ends) else f"{min(ends)}"
            words.append(f"{LABELS[rule.name]} stops {fired} of {len(found)} seeds, after {span} epochs")
    return Chart(
        key=f"explored_stops_{stored.key.model}",
        title=f"Output entropy of each seed, {MODELS[stored.key.model]}",
        kind="line",
        x_title="Epochs trained",
        y_title="Mean output entropy",
        y_unit="nats",
        series=series,
        marks=marks,
        alt=f"Mean output entropy of each of {len(series)} seeds after each epoch, and the mean epoch at which each rule stops.",
        takeaway=sentence("; ".join(words)),
    )


def _frontier(stored: Stored, stops: Mapping[Rule, Mapping[int, Stop | None]], cost: UnitCosts, epochs: int) -> Chart | None:
    """Test accuracy against cost at the stops; None while the test data have not been used."""
    if not stored.test_items or any(len(values) < epochs for values in stored.test_accuracy.values()):
        return None
    series, words = [], []
    for rule, found in stops.items():
        kept = [(stop.epoch, stored.test_accuracy[seed][stop.kept - 1]) for seed, stop in found.items() if stop is not None]
        if not kept:
            continue
        ends = over_seeds([float(epoch) for epoch, _ in kept])
        level = over_seeds_and_items([accuracy for _, accuracy in kept], stored.test_items)
        mean, half = ends.mean or 0.0, (ends.high - ends.low) / 2 if ends.low is not None and ends.high is not None else 0.0
        x, error = cost.of(mean, watched=rule.watches), cost.of(half, watched=rule.watches)
        series.append(
            Series(
                LABELS[rule.name],
                (x,),
                (level.mean,),
                (level.low,),
                (level.high,),
                emphasis="technique" if rule.name in (Plateau.name, SmoothedPlateau.name) else "baseline",
                x_low=(x - error,),
                x_high=(x + error,),
            )
        )
        if rule.name == Plateau.name:
            full = sum(stored.test_accuracy[seed][epochs - 1] for seed in found) / len(found)
            saved = cost.saved_percent(mean / epochs, watched=True)
            what = {"J": "energy", "s": "time"}.get(cost.unit, "epochs")
            words.append(
                f"The entropy plateau saves {saved:.0f} % of the {what} at {signed((level.mean or 0.0) - full)} points of test accuracy."
            )
    return Chart(
        key=f"explored_frontier_{stored.key.model}",
        title=f"Accuracy against cost with these settings, {MODELS[stored.key.model]}",
        kind="scatter",
        x_title=cost.title,
        x_unit=cost.unit,
        y_title="Test accuracy",
        y_unit="%",
        series=tuple(series),
        alt="Test accuracy of each rule over the cost of training until it stops, with the settings above.",
        takeaway=" ".join(words),
        interval="95 % interval, at least",
    )


def over_seeds(values: Sequence[float]) -> Interval:
    """Student's t interval of a mean over seeds."""
    n, mean = len(values), sum(values) / len(values)
    if n < MIN_OBSERVATIONS:
        return Interval(mean, None, None, n)
    error = math.sqrt(sum((value - mean) ** 2 for value in values) / (n - 1) / n)
    half = student_t_quantile(1 - (1 - CONFIDENCE) / 2, n - 1) * error
    return Interval(mean, mean - half, mean + half, n)


def over_seeds_and_items(percents: Sequence[float], items: int) -> Interval:
    """An interval of a mean accuracy in % for other seeds and other items, from each seed's accuracy on the same ``items`` items.

    The variance between seeds, plus that between items at its largest: all seeds err on the same items, so that averaging over seeds takes
    nothing of it away, (mean over seeds of √(p(1 − p)))²/items. Student's t with seeds − 1 degrees of freedom for both: never narrower than
    with the degrees of freedom that both together have. Cut at 0 and 100 %.
    """
    seeds = over_seeds(percents)
    if seeds.mean is None or seeds.low is None or seeds.high is None or any(not math.isfinite(p) for p in percents):
        return seeds
    t = student_t_quantile(1 - (1 - CONFIDENCE) / 2, len(percents) - 1)
    spread = sum(math.sqrt(p * (100 - p)) for p in percents) / len(percents)
    half = math.hypot((seeds.high - seeds.low) / 2, t * spread / math.sqrt(items))
    return Interval(seeds.mean, max(0.0, seeds.mean - half), min(100.0, seeds.mean + half), seeds.n)


def _present(value: float) -> float | None:
    return value if math.isfinite(value) else None


EXPLORE = Explore(title=TITLE, text=TEXT, parameters=RuleSettings, charts=charts)
