"""The figures of the routing study: accuracy, entropies, load, the router's gradient. Light: the web server imports this."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from lab import formatting
from lab.records import Chart, Estimate, Series
from workloads.moe_routing.names import (
    CEILING,
    CHANCE,
    DROPPED,
    EXPERT_LOAD,
    GAIN,
    LABELS,
    LOAD_ENTROPY,
    RELATIVE_GAIN,
    ROUTER_GRADIENT,
    ROUTING,
    TEST_ACCURACY,
    TOKEN_ENTROPY,
    VALIDATION_ACCURACY,
    high,
    low,
)
from workloads.moe_routing.routings import EGYPTIAN, ROUTINGS

Study = tuple[str, str, str, int]  # protocol, data, device, experts


def charts(estimates: Sequence[Estimate]) -> list[Chart]:
    """All figures that the summary has numbers for: of each protocol the differences in accuracy, then study by study.

    What happens in training is drawn of the studies that were watched; what is known of the others is in the summary.
    """
    studies: dict[Study, list[Estimate]] = {}
    for e in estimates:
        if e.dimensions["part"] == ROUTING:
            key = (e.protocol, str(e.dimensions["data"]), e.device, int(e.dimensions["experts"]))
            studies.setdefault(key, []).append(e)
    alike: dict[tuple[str, str, int], dict[Study, list[Estimate]]] = {}
    for (protocol, data, device, experts), rows in studies.items():
        alike.setdefault((protocol, device, experts), {})[protocol, data, device, experts] = rows
    found: list[Chart | None] = []
    for group in alike.values():
        found.append(_differences(group))
        for study, rows in group.items():
            found += [make(study, rows) for make in (WATCHED if any(e.metric == TOKEN_ENTROPY for e in rows) else ())]
    return [chart for chart in found if chart is not None]


def _where(study: Study) -> str:
    protocol, data, _, experts = study
    return f"{protocol} protocol, {data}, {experts} experts"


def _key(study: Study, name: str) -> str:
    protocol, data, _, experts = study
    return f"{name}_{protocol}_{data.split(' (')[0].replace(' ', '_').replace(',', '')}_{experts}"


def _curves(rows: Sequence[Estimate], metric: str) -> tuple[Series, ...]:
    """One line per routing over the steps."""
    found = []
    for name, routing in ROUTINGS.items():
        points = sorted(
            (e for e in rows if (e.metric, e.arm, e.statistic) == (metric, name, "mean")), key=lambda e: int(e.dimensions["step"])
        )
        if points:
            found.append(
                Series(
                    routing.title,
                    tuple(int(e.dimensions["step"]) for e in points),
                    tuple(e.mean for e in points),
                    tuple(e.ci_low for e in points),
                    tuple(e.ci_high for e in points),
                    emphasis="technique" if name == EGYPTIAN else "baseline",
                )
            )
    return tuple(found)


def _level(rows: Sequence[Estimate], metric: str) -> float | None:
    return next((e.mean for e in rows if e.metric == metric), None)


def _accuracy(study: Study, rows: Sequence[Estimate]) -> Chart | None:
    metric = TEST_ACCURACY if study[0] == "published" else VALIDATION_ACCURACY
    series = _curves(rows, metric)
    if not series:
        return None
    ceiling, chance = _level(rows, CEILING), _level(rows, CHANCE)
    limits = {}
    takeaway = ""
    if ceiling is not None and ceiling < 99:
        limits["never naming an unseen class"] = ceiling
        takeaway = (
            f"The training data lack a class that makes up {100 - ceiling:.4g} % of the test data: a model that has learned what it was "
            f"shown scores at most {ceiling:.4g} %."
        )
    if chance:
        limits["always the most frequent class"] = chance
    what = "Test" if metric == TEST_ACCURACY else "Validation"
    return Chart(
        key=_key(study, "routing_accuracy"),
        title=f"{what} accuracy while training: {_where(study)}",
        kind="line",
        x_title="Training step",
        y_title=f"{what} accuracy",
        y_unit="%",
        series=series,
        limits=limits,
        alt=f"{what} accuracy of each routing over training steps with 95 % intervals over seeds, {_where(study)}.",
        takeaway=takeaway,
        interval="95 % interval over seeds",
        # Before training a model names one or two classes: its accuracy is anything, and the interval over seeds would squeeze the rest.
        y_range=(0.0, 100.0 if ceiling is None or ceiling >= 99 else 50.0),
    )


def _differences(group: Mapping[Study, Sequence[Estimate]]) -> Chart | None:
    """Absolute differences, in points, on all data of a protocol; the relative one of the claim in words."""
    series, said, ends = [], [], [0.0]
    for (_, data, _, _), rows in group.items():
        values = {(e.arm, e.metric): e.mean for e in rows if e.metric in (GAIN, low(GAIN), high(GAIN), RELATIVE_GAIN)}
        names = [name for name in ROUTINGS if values.get((name, GAIN)) is not None]
        if not names:
            continue
        means, lows, highs = (tuple(values.get((name, metric)) for name in names) for metric in (GAIN, low(GAIN), high(GAIN)))
        series.append(Series(data, tuple(LABELS[name] for name in names), means, lows, highs))
        ends += [value for value in (*means, *lows, *highs) if value is not None]
        relative = values.get((EGYPTIAN, RELATIVE_GAIN))
        if relative is not None:
            said.append(f"{formatting.signed(relative, 1)} % ({data})")
    if not series:
        return None
    protocol, data, _, experts = study = next(iter(group))
    where = _where(study) if len(series) == 1 else f"{protocol} protocol, {experts} experts"
    margin = 0.05 * (max(ends) - min(ends)) or 1.0
    relatively = f" The claim's 8.8 % is relative; relative to equal weights the Egyptian ones have {', '.join(said)}." if said else ""
    return Chart(
        key=f"routing_gain_{protocol}_{experts}",
        title=f"Test accuracy above that of equal weights: {where}",
        kind="bar",
        x_title="Routing",
        y_title="Difference from equal weights",
        y_unit="points",
        series=tuple(series),
        limits={"equal": 0.0},
        alt=f"Difference in test accuracy of each routing from equal weights in points, with 95 % intervals, {where}.",
        takeaway=f"In points of accuracy.{relatively}",
        interval="95 % interval for other seeds and test items",
        y_range=(min(ends) - margin, max(ends) + margin),
    )


def _gradient(study: Study, rows: Sequence[Estimate]) -> Chart | None:
    series = _curves(rows, ROUTER_GRADIENT)
    if not series:
        return None
    silent = [s.name for s in series if all(value == 0 for value in s.y)]
    takeaway = (
        f"Exactly zero for {', '.join(silent)}: constants placed by rank teach the router nothing, it stays random." if silent else ""
    )
    return Chart(
        key=_key(study, "router_gradient"),
        title=f"Gradient that reaches the router: {_where(study)}",
        kind="line",
        x_title="Training step",
        y_title="Norm of the gradient",
        y_unit="",
        series=series,
        alt=f"Norm of the loss's gradient by the router's parameters for each routing over training steps, {_where(study)}.",
        takeaway=takeaway,
        interval="95 % interval over seeds",
    )


def _load_entropy(study: Study, rows: Sequence[Estimate]) -> Chart | None:
    series = _curves(rows, LOAD_ENTROPY)
    if not series:
        return None
    return Chart(
        key=_key(study, "load_entropy"),
        title=f"Entropy of the mean load: {_where(study)}",
        kind="line",
        x_title="Training step",
        y_title="Entropy / ln E",
        y_unit="",
        series=series,
        limits={"all experts alike": 1.0},
        alt=f"Entropy of the mean expert load as a share of ln E for each routing over training steps, {_where(study)}.",
        takeaway="At step 0 every router is random and its load near even: a high entropy does not show that anything was learned.",
        interval="95 % interval over seeds",
    )


def _token_entropy(study: Study, rows: Sequence[Estimate]) -> Chart | None:
    series = _curves(rows, TOKEN_ENTROPY)
    if not series:
        return None
    return Chart(
        key=_key(study, "token_entropy"),
        title=f"Entropy of one token's weights: {_where(study)}",
        kind="line",
        x_title="Training step",
        y_title="Entropy / ln E",
        y_unit="",
        series=series,
        y_range=(0.0, 1.05),
        alt=f"Mean entropy of a token's expert weights as a share of ln E for each routing over training steps, {_where(study)}.",
        takeaway="How undecided routing is about a single token; with weights by rank it is a constant, whatever is learned.",
        interval="95 % interval over seeds",
    )


def _load(study: Study, rows: Sequence[Estimate]) -> Chart | None:
    """Load per expert over time: a row of the map for each expert of each routing."""
    found: dict[tuple[str, int], dict[int, float | None]] = {}
    for e in rows:
        if e.metric == EXPERT_LOAD:
            found.setdefault((e.arm, int(e.dimensions["expert"])), {})[int(e.dimensions["step"])] = e.mean
    if not found:
        return None
    steps = sorted({step for loads in found.values() for step in loads})
    order = sorted(found, key=lambda key: (list(ROUTINGS).index(key[0]), key[1]))
    return Chart(
        key=_key(study, "expert_load"),
        title=f"Load per expert over time, first seed: {_where(study)}",
        kind="heatmap",
        x_title="Training step",
        y_title="Share of the load",
        y_unit="",
        rows_title="Routing, expert",
        series=tuple(
            Series(
                f"{LABELS[name]}, {expert + 1}",
                tuple(steps),
                tuple(found[name, expert].get(step) for step in steps),
                emphasis="technique" if name == EGYPTIAN else "baseline",
            )
            for name, expert in order
        ),
        alt=f"Share of the load that each expert bears at each step for each routing, of the first seed, {_where(study)}.",
    )


def _dropped(study: Study, rows: Sequence[Estimate]) -> Chart | None:
    series = _curves(rows, DROPPED)
    if not series or not any(value for s in series for value in s.y):
        return None
    return Chart(
        key=_key(study, "dropped"),
        title=f"Tokens beyond capacity: {_where(study)}",
        kind="line",
        x_title="Training step",
        y_title="Share of assignments",
        y_unit="%",
        series=series,
        alt=f"Share of assignments that a limited capacity per expert would drop, for each routing over training steps, {_where(study)}.",
        interval="95 % interval over seeds",
    )


WATCHED: tuple[Callable[[Study, Sequence[Estimate]], Chart | None], ...] = (
    _accuracy,
    _gradient,
    _load_entropy,
    _token_entropy,
    _load,
    _dropped,
)
