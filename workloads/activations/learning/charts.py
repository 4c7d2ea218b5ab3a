"""The figures of the learning study, as data, from a summary. Light: the web server imports this."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Literal

from lab.records import Chart, Estimate, Scalar, Series
from workloads.activations.functions import FUNCTIONS
from workloads.activations.learning import toy
from workloads.activations.learning.findings import MARGIN_PERCENT
from workloads.activations.learning.names import (
    AGAINST_GELU,
    AS_PUBLISHED,
    BY_HAND,
    DEPTH_TASKS,
    GELU_RATE,
    HELD_OUT_LOSS,
    LABELS,
    LONGER,
    OWN_RATE,
    PERMUTATION,
    PUBLISHED_LOSS,
    SAME_START,
    SHOWN_PERMUTATION,
    TASK_TITLES,
    TRAINING_LOSS,
    TUNING_LOSS,
    VALIDATION_LOSS,
    WRONG_SHARE,
    XOR,
    XOR3,
)
from workloads.activations.parameters import GELUS

UNIT = "nats"
Emphasis = Literal["technique", "baseline", "limit"]


def charts(estimates: Sequence[Estimate]) -> list[Chart]:
    """All figures that the summary has numbers for, the drop-in comparison first."""
    found: list[Chart | None] = []
    for task in DEPTH_TASKS:
        found += [_multiples(estimates, task), _depths(estimates, task), _curves(estimates, task)]
        found += [_rates(estimates, "sound", task, depth) for depth in _ends(estimates, task)]
    found += [_published_toy(estimates), _longer(estimates), _rates(estimates, "published", PERMUTATION, 1)]
    found += [_published_xor(estimates), _rates(estimates, "published", XOR, 1), _fair_tasks(estimates)]
    return [chart for chart in found if chart is not None]


def _rows(estimates: Iterable[Estimate], metric: str, task: str, statistic: str = "mean", protocol: str = "sound") -> list[Estimate]:
    wanted = (metric, statistic, protocol)
    return [e for e in estimates if (e.metric, e.statistic, e.protocol) == wanted and e.dimensions["task"] == task]


def _name(e: Estimate) -> str:
    return f"{FUNCTIONS[e.arm].title}, {LABELS[e.implementation]}"


def _emphasis(e: Estimate) -> Emphasis:
    return "baseline" if e.arm in GELUS else "technique"


def _lines(rows: Sequence[Estimate], x: str, name: Callable[[Estimate], str] = _name) -> tuple[Series, ...]:
    """One line for each arm over the dimension ``x``. A mean from which diverged seeds are missing says nothing: a gap."""
    lines: dict[str, list[Estimate]] = {}
    for e in rows:
        lines.setdefault(name(e), []).append(e)
    series = []
    for title, points in lines.items():
        points.sort(key=lambda e: float(e.dimensions[x]))
        whole = [e if "missing" not in e.reason else None for e in points]
        series.append(
            Series(
                title,
                tuple(_number(e.dimensions[x]) for e in points),
                tuple(e.mean if e else None for e in whole),
                tuple(e.ci_low if e and (e.ci_low or 0.0) > 0 else None for e in whole),
                tuple(e.ci_high if e and (e.ci_low or 0.0) > 0 else None for e in whole),
                emphasis=_emphasis(points[0]),
            )
        )
    return tuple(series)


def _number(value: Scalar) -> float:
    return int(value) if float(value).is_integer() else float(value)


def _ends(estimates: Sequence[Estimate], task: str) -> tuple[int, ...]:
    """The least and the greatest depth at which rates were tried."""
    depths = sorted({int(e.dimensions["depth"]) for e in _rows(estimates, TUNING_LOSS, task, "exact")})
    return tuple(dict.fromkeys((*depths[:1], *depths[-1:])))


def _multiples(estimates: Sequence[Estimate], task: str) -> Chart | None:
    """Held-out loss as a multiple of GELU's, over depth."""
    value, low, high = (_rows(estimates, metric, task, "exact") for metric in AGAINST_GELU)
    value = [e for e in value if e.mean is not None]
    if not value:
        return None

    def key(e: Estimate) -> tuple[str, str, Scalar]:
        return e.arm, e.implementation, e.dimensions["depth"]

    ends = [{key(e): e.mean for e in rows} for rows in (low, high)]

    def multiple(percent: float | None) -> float | None:
        return None if percent is None or percent <= -100 else 1 + percent / 100

    lines: dict[str, list[Estimate]] = {}
    for e in value:
        lines.setdefault(_name(e), []).append(e)
    series = tuple(
        Series(
            name,
            tuple(_number(e.dimensions["depth"]) for e in points),
            tuple(multiple(e.mean) for e in points),
            tuple(multiple(ends[0].get(key(e))) for e in points),
            tuple(multiple(ends[1].get(key(e))) for e in points),
        )
        for name, points in ((name, sorted(points, key=lambda e: float(e.dimensions["depth"]))) for name, points in lines.items())
    )
    phi6 = [e for e in value if (e.arm, e.implementation) == ("phi6", GELU_RATE)]
    worst = max(phi6, key=lambda e: e.mean or 0.0, default=None)
    found = ""
    if worst is not None and worst.mean is not None:
        times = f"{1 + worst.mean / 100:.3g} times GELU's loss"
        found = f" At GELU's learning rate, Phi6Simple ends at up to {times} (depth {worst.dimensions['depth']})."
    return Chart(
        key=f"loss_multiple_{task}",
        title=f"Held-out loss as a multiple of GELU's: {TASK_TITLES[task]}",
        kind="line",
        x_title="Depth",
        y_title="Held-out loss / GELU's",
        y_unit="×",
        x_log=True,
        y_log=True,
        series=series,
        limits={"GELU": 1.0, f"margin of a drop-in replacement (+{MARGIN_PERCENT:g} %)": 1 + MARGIN_PERCENT / 100},
        alt="Held-out loss relative to GELU's against depth, at each function's own learning rate and at GELU's, with 95 % intervals.",
        takeaway="A drop-in replacement stays at or below the line at every depth." + found,
    )


def _depths(estimates: Sequence[Estimate], task: str) -> Chart | None:
    rows = _rows(estimates, HELD_OUT_LOSS, task)
    if not rows:
        return None
    return Chart(
        key=f"loss_over_depth_{task}",
        title=f"Held-out loss over depth: {TASK_TITLES[task]}",
        kind="line",
        x_title="Depth",
        y_title="Held-out loss",
        y_unit=UNIT,
        x_log=True,
        y_log=True,
        series=_lines(rows, "depth"),
        alt="Held-out loss against depth for every function, at its own learning rate and at GELU's, with 95 % intervals over seeds.",
        takeaway="A seed that diverged counts with the loss of guessing.",
    )


def _curves(estimates: Sequence[Estimate], task: str) -> Chart | None:
    """Validation loss over the steps at the deepest model trained so far."""
    rows = _rows(estimates, VALIDATION_LOSS, task)
    if not rows:
        return None
    depth = max(int(e.dimensions["depth"]) for e in rows)
    rows = [e for e in rows if int(e.dimensions["depth"]) == depth]
    return Chart(
        key=f"curves_{task}",
        title=f"While it trains: {TASK_TITLES[task]}, depth {depth}",
        kind="line",
        x_title="Step",
        y_title="Validation loss",
        y_unit=UNIT,
        y_log=True,
        series=_lines(rows, "step"),
        alt=f"Validation loss against training step at depth {depth}, mean and 95 % interval over the reported seeds.",
        takeaway="Mean over the reported seeds; a curve ends where a seed diverged.",
    )


def _rates(estimates: Sequence[Estimate], protocol: str, task: str, depth: int) -> Chart | None:
    rows = [e for e in _rows(estimates, TUNING_LOSS, task, "exact", protocol) if int(e.dimensions["depth"]) == depth and e.mean is not None]
    if not rows:
        return None
    published = protocol == "published"
    return Chart(
        key=f"rates_{protocol}_{task}_{depth}",
        title=f"Loss against learning rate: {TASK_TITLES[task]}" + (", plain gradient descent" if published else f", depth {depth}"),
        kind="line",
        x_title="Learning rate",
        y_title="Loss on fresh data" if published else "Validation loss",
        y_unit=UNIT,
        x_log=True,
        y_log=True,
        series=_lines(rows, "learning_rate", lambda e: FUNCTIONS[e.arm].title),
        limits={"irreducible": toy.irreducible_nats()} if task == PERMUTATION else {},
        alt="Loss after the last step against the learning rate, one line per function; rates at which a seed diverged are left out.",
        takeaway="Each function has a best rate of its own; a comparison at one rate compares rates as much as functions."
        + (" The published rate is 0.01." if published else ""),
    )


def _published_toy(estimates: Sequence[Estimate]) -> Chart | None:
    limits = {"irreducible: the input does not show the permutation": toy.irreducible_nats()}
    return _published(
        estimates,
        PERMUTATION,
        "The published toy taken apart",
        "The published loss is the mean of the last 50 training losses after 500 steps at rate 0.01. " + _orders(estimates),
        limits,
    )


def _orders(estimates: Sequence[Estimate]) -> str:
    """The measured order of the functions as published and at their own rates, best first, in words."""
    words = []
    for recipe in (AS_PUBLISHED, OWN_RATE):
        rows = [e for e in _rows(estimates, PUBLISHED_LOSS, PERMUTATION, protocol="published") if e.implementation == recipe]
        rows = sorted((e for e in rows if e.mean is not None), key=lambda e: e.mean or 0.0)
        if rows:
            words.append(f"{LABELS[recipe]}: {', '.join(FUNCTIONS[e.arm].title for e in rows)}")
    return f"Order, lowest loss first, {'; '.join(words)}." if words else ""


def _published_xor(estimates: Sequence[Estimate]) -> Chart | None:
    wrong = [e.mean for e in estimates if (e.metric, e.implementation) == (WRONG_SHARE, BY_HAND) and e.mean is not None]
    by_hand = ""
    if wrong:
        by_hand = f" Two hidden quadratic units with weights set by hand get {100 * max(wrong):.3g} % of fresh points wrong."
    return _published(
        estimates,
        XOR,
        "The published XOR taken apart",
        "The label is the sign of a product of two, which a quadratic represents exactly." + by_hand,
        {},
    )


def _published(estimates: Sequence[Estimate], task: str, title: str, takeaway: str, limits: dict[str, float]) -> Chart | None:
    rows = _rows(estimates, PUBLISHED_LOSS, task, protocol="published")
    rows = [e for e in rows if e.mean is not None and "missing" not in e.reason]
    if not rows:
        return None
    groups = {recipe: [e for e in rows if e.implementation == recipe] for recipe in (AS_PUBLISHED, SAME_START, OWN_RATE)}
    return Chart(
        key=f"published_{task}",
        title=title,
        kind="bar",
        x_title="Function",
        y_title="Training loss",
        y_unit=UNIT,
        series=tuple(_bars(LABELS[recipe], rows) for recipe, rows in groups.items() if rows),
        limits=limits,
        alt=f"Training loss of {TASK_TITLES[task]} by function: as published, from the same weights, and at each function's own rate.",
        takeaway=takeaway,
    )


def _bars(name: str, rows: Sequence[Estimate]) -> Series:
    return Series(
        name,
        tuple(FUNCTIONS[e.arm].title for e in rows),
        tuple(e.mean for e in rows),
        tuple(e.ci_low for e in rows),
        tuple(e.ci_high for e in rows),
    )


def _longer(estimates: Sequence[Estimate]) -> Chart | None:
    rows = [e for e in _rows(estimates, TRAINING_LOSS, PERMUTATION, protocol="published") if e.implementation == LONGER]
    if not rows:
        return None
    return Chart(
        key="published_longer",
        title="The published toy trained on",
        kind="line",
        x_title="Step",
        y_title="Training loss",
        y_unit=UNIT,
        series=_lines(rows, "step", lambda e: FUNCTIONS[e.arm].title),
        limits={"irreducible": toy.irreducible_nats(), "guessing": math.log(toy.CLASSES)},
        marks={"published: 500 steps": float(toy.STEPS)},
        alt="Training loss of the published toy at the published rate over many more steps than the published 500.",
        takeaway=_early(rows),
    )


def _early(rows: Sequence[Estimate]) -> str:
    """How far the functions had come at the published number of steps and at the last point, in words."""
    words = []
    last = max(int(e.dimensions["step"]) for e in rows)
    for step in dict.fromkeys((toy.STEPS, last)):
        losses = [e.mean for e in rows if int(e.dimensions["step"]) == step and e.mean is not None]
        if losses:
            words.append(f"{min(losses):.3g} to {max(losses):.3g} nats after {step:,} steps")
    return f"At the published rate the losses are {', '.join(words)}: an order so far from the limit is one of early speed."


def _fair_tasks(estimates: Sequence[Estimate]) -> Chart | None:
    tasks = (PERMUTATION, SHOWN_PERMUTATION, XOR, XOR3)
    rows = [e for task in tasks for e in _rows(estimates, HELD_OUT_LOSS, task) if e.implementation == OWN_RATE and e.mean is not None]
    if not rows:
        return None
    lines: dict[str, list[Estimate]] = {}
    for e in rows:
        lines.setdefault(FUNCTIONS[e.arm].title, []).append(e)
    return Chart(
        key="fair_tasks",
        title="The published tasks, fairly compared",
        kind="bar",
        x_title="Task",
        y_title="Held-out loss",
        y_unit=UNIT,
        y_log=True,
        series=tuple(
            Series(
                name,
                tuple(TASK_TITLES[str(e.dimensions["task"])] for e in found),
                tuple(e.mean for e in found),
                tuple(e.ci_low if (e.ci_low or 0.0) > 0 else None for e in found),
                tuple(e.ci_high if (e.ci_low or 0.0) > 0 else None for e in found),
            )
            for name, found in lines.items()
        ),
        alt="Held-out loss of each function, tuned for itself, on the published toy, the toy made fair, XOR and its control.",
        takeaway="A quadratic represents the sign of a product of two exactly; the sign of a product of three is its control.",
    )
