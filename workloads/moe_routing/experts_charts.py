"""The figures of small experts against large ones: parameters, loss, time, memory, joules. Light: the web server imports this."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lab.energy import ENERGY
from lab.records import Chart, Estimate, Series
from workloads.moe_routing.findings import DENSE_OF
from workloads.moe_routing.names import (
    ACTIVE,
    COUNT,
    DENSE_TOTAL,
    LABELS,
    LAYER,
    LOSS,
    LOSS_REDUCTION,
    MIXTURES,
    SMALL,
    TEST_LOSS,
    TOTAL,
    TRAIN_LOSS,
    VALIDATION_LOSS,
    WIDTH,
    high,
    low,
)


def charts(estimates: Sequence[Estimate]) -> list[Chart]:
    """All figures that the summary has numbers for."""
    makers: tuple[Callable[[Sequence[Estimate]], Chart | None], ...] = (_parameters, _ratio, _time, _memory, _joules)
    found = [make(estimates) for make in makers]
    for protocol, metric in (("published", TRAIN_LOSS), ("sound", VALIDATION_LOSS), ("sound", TEST_LOSS)):
        found.append(_loss(estimates, protocol, metric))
    found += [_reduction(estimates, protocol) for protocol in ("published", "sound")]
    return [chart for chart in found if chart is not None]


def _of(estimates: Sequence[Estimate], part: str, metric: str, statistic: str) -> list[Estimate]:
    return [e for e in estimates if (e.dimensions["part"], e.metric, e.statistic) == (part, metric, statistic) and e.mean is not None]


def _parameters(estimates: Sequence[Estimate]) -> Chart | None:
    found = {metric: [e for e in _of(estimates, COUNT, metric, "exact") if e.protocol == "published"] for metric in (ACTIVE, TOTAL)}
    if not found[ACTIVE]:
        return None

    def name(e: Estimate) -> str:
        return f"{LABELS[e.arm]}, {e.dimensions['experts']} × {e.dimensions['d_ff']}"

    return Chart(
        key="moe_parameters",
        title="Parameters of one layer, d_model 64",
        kind="bar",
        x_title="Layer",
        y_title="Parameters",
        y_unit="",
        series=tuple(
            Series(title, tuple(name(e) for e in found[metric]), tuple(e.mean for e in found[metric]))
            for metric, title in ((ACTIVE, "active for a token"), (TOTAL, "in total"))
        ),
        alt="Active and total parameters of the published layers: standard experts, small experts, a dense FFN.",
        takeaway="Fewer active parameters come from smaller experts: two of 24 are a twelfth of the layer, two of 8 a quarter.",
    )


def _implementations(rows: Sequence[Estimate], value: Callable[[float], float] = lambda v: v) -> tuple[Series, ...]:
    """One bar group per implementation."""
    groups: dict[str, list[Estimate]] = {}
    for e in rows:
        groups.setdefault(LABELS.get(e.implementation, e.implementation), []).append(e)

    def ends(e: Estimate) -> tuple[float | None, float | None]:
        if e.ci_low is None or e.ci_high is None:
            return None, None
        first, last = sorted((value(e.ci_low), value(e.ci_high)))
        return first, last

    return tuple(
        Series(
            name,
            tuple(LABELS[e.arm] for e in own),
            tuple(value(e.mean) if e.mean is not None else None for e in own),
            tuple(ends(e)[0] for e in own),
            tuple(ends(e)[1] for e in own),
        )
        for name, own in groups.items()
    )


def _timer(estimates: Sequence[Estimate], statistic: str) -> list[Estimate]:
    """The latency of the layers."""
    return _of(estimates, LAYER, "latency_s", statistic)


def _where(rows: Sequence[Estimate]) -> str:
    return f"{rows[0].dtype}, {rows[0].device}"


def _ratio(estimates: Sequence[Estimate]) -> Chart | None:
    rows = [e for e in _timer(estimates, "ratio") if e.arm in MIXTURES and e.baseline_arm == DENSE_OF[e.arm]]
    if not rows:
        return None
    return Chart(
        key="moe_layer_ratio",
        title="Time against a dense FFN of the same active operations",
        kind="bar",
        x_title="Layer",
        y_title="Times as long as the dense FFN",
        y_unit="×",
        # A ratio is dense / mixture, above 1 where the mixture is faster: its inverse is how much longer the mixture takes.
        series=_implementations(rows, lambda ratio: 1 / ratio),
        limits={"dense FFN": 1.0},
        alt=f"Time of each mixture layer as a multiple of a dense FFN with the same active operations, {_where(rows)}.",
        takeaway="What a parameter that works for a token costs more in a mixture: routing, sorting, copying rows, and products over "
        "uneven groups.",
    )


def _widths(estimates: Sequence[Estimate]) -> str:
    widths = {e.arm: int(e.mean) for e in _of(estimates, LAYER, WIDTH, "exact") if e.mean}
    named = [f"{LABELS[arm]} {width:,}" for arm, width in widths.items() if arm in MIXTURES]
    odd = " An odd width is not what grouped products take: it is padded with zeros." if widths.get(SMALL, 0) % 2 else ""
    return f"Widths: {'; '.join(named)}.{odd}" if named else ""


def _time(estimates: Sequence[Estimate]) -> Chart | None:
    rows = _timer(estimates, "mean")
    if not rows:
        return None
    return Chart(
        key="moe_layer_time",
        title="Time of one layer, routing and permutation included",
        kind="bar",
        x_title="Layer",
        y_title="Time per call",
        y_unit="s",
        series=_implementations(rows),
        alt=f"Time per call of mixtures and dense FFNs by implementation, with 95 % intervals, {_where(rows)}.",
        takeaway=_widths(estimates),
    )


def _memory(estimates: Sequence[Estimate]) -> Chart | None:
    rows = _of(estimates, LAYER, "peak_memory_bytes", "exact")
    if not rows:
        return None
    return Chart(
        key="moe_layer_memory",
        title="Peak memory of one call, above inputs and weights",
        kind="bar",
        x_title="Layer",
        y_title="Peak allocated",
        y_unit="B",
        series=_implementations(rows),
        alt=f"Peak allocated bytes of one call of each layer by implementation, {_where(rows)}.",
        takeaway="A mixture holds k copies of every token; its weights, which all have to be there, are not in these bars.",
    )


def _joules(estimates: Sequence[Estimate]) -> Chart | None:
    rows = _of(estimates, LAYER, ENERGY, "mean")
    if not rows:
        return None
    ratios = [e for e in _of(estimates, LAYER, ENERGY, "ratio") if e.arm in MIXTURES and e.baseline_arm in (DENSE_OF[e.arm], DENSE_TOTAL)]
    said = "; ".join(
        f"{LABELS[e.arm]} {1 / e.mean:.2f} times those of the dense FFN of its active operations"
        for e in ratios
        if e.mean and e.baseline_arm == DENSE_OF[e.arm]
    )
    return Chart(
        key="moe_layer_energy",
        title="Joules of one layer",
        kind="bar",
        x_title="Layer",
        y_title="Energy per call",
        y_unit="J",
        series=_implementations(rows),
        alt=f"Joules per call of mixtures and dense FFNs, with 95 % intervals, {_where(rows)}.",
        takeaway=f"{said}." if said else "",
    )


def _loss(estimates: Sequence[Estimate], protocol: str, metric: str) -> Chart | None:
    rows = [e for e in _of(estimates, LOSS, metric, "mean") if e.protocol == protocol]
    if not rows:
        return None
    arms = list(dict.fromkeys(e.arm for e in rows))
    data = rows[0].dimensions["data"]
    if metric == TEST_LOSS:
        series = tuple(
            Series(LABELS[e.arm], (LABELS[e.arm],), (e.mean,), (e.ci_low,), (e.ci_high,), "technique" if e.arm == SMALL else "baseline")
            for e in rows
        )
        return Chart(
            key=f"moe_{metric}_{protocol}",
            title=f"Test loss: {data}",
            kind="bar",
            x_title="Feed-forward block",
            y_title="Test loss",
            y_unit="nats",
            series=series,
            alt=f"Test loss of character models by feed-forward block with 95 % intervals over seeds, {data}.",
            interval="95 % interval over seeds",
        )
    lines = []
    for arm in arms:
        own = sorted((e for e in rows if e.arm == arm), key=lambda e: int(e.dimensions["step"]))
        lines.append(
            Series(
                LABELS[arm],
                tuple(int(e.dimensions["step"]) for e in own),
                tuple(e.mean for e in own),
                tuple(e.ci_low for e in own),
                tuple(e.ci_high for e in own),
                "technique" if arm == SMALL else "baseline",
            )
        )
    what = "Training" if metric == TRAIN_LOSS else "Validation"
    return Chart(
        key=f"moe_{metric}_{protocol}",
        title=f"{what} loss while training: {data}",
        kind="line",
        x_title="Training step",
        y_title=f"{what} loss",
        y_unit="nats",
        series=tuple(lines),
        alt=f"{what} loss of character models by feed-forward block over training steps, {data}.",
        takeaway="Means of the steps since the last point. The text repeats itself: the loss measures how fast it is memorised."
        if metric == TRAIN_LOSS
        else "",
        interval="95 % interval over seeds",
    )


def _reduction(estimates: Sequence[Estimate], protocol: str) -> Chart | None:
    values = {(e.arm, e.metric): e.mean for e in estimates if e.dimensions["part"] == LOSS and e.protocol == protocol}
    arms = [arm for arm, metric in values if metric == LOSS_REDUCTION and values[arm, metric] is not None]
    if not arms:
        return None
    what = "Training" if protocol == "published" else "Test"
    return Chart(
        key=f"moe_loss_reduction_{protocol}",
        title=f"{what} loss below that of the standard experts, {protocol} protocol",
        kind="bar",
        x_title="Feed-forward block",
        y_title="Lower loss",
        y_unit="%",
        series=(
            Series(
                "relative difference",
                tuple(LABELS[arm] for arm in arms),
                tuple(values.get((arm, LOSS_REDUCTION)) for arm in arms),
                tuple(values.get((arm, low(LOSS_REDUCTION))) for arm in arms),
                tuple(values.get((arm, high(LOSS_REDUCTION))) for arm in arms),
            ),
        ),
        limits={"standard experts": 0.0, "claimed of the small ones": 1.76},
        alt=f"{what} loss of each feed-forward block relative to standard experts, with 95 % intervals.",
    )
