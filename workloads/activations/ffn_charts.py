"""The figures of mode "inside an FFN": what an activation can save in a whole block, and what an odd width costs."""

from __future__ import annotations

from collections.abc import Sequence

from lab.records import Chart, Estimate, Series
from workloads.activations.findings import EXACT_WIDTH, FFN, FFN_WIDTHS, LABELS, NO_ACTIVATION, STANDARD_WIDTH
from workloads.activations.parameters import GELUS
from workloads.activations.series import bars, by_implementation, cell_text, largest, rows_of


def charts(estimates: Sequence[Estimate]) -> list[Chart]:
    """All figures of the block that the summary has numbers for."""
    found = [_share(estimates), _best_ratio(estimates), _time(estimates), _widths(estimates), _peak_memory(estimates)]
    return [chart for chart in found if chart is not None]


def best_blocks(estimates: Sequence[Estimate], metric: str = "latency_s") -> list[Estimate]:
    """Ratios of each function's fastest block against the fastest GELU block of the same cell, with their intervals."""
    means = largest(rows_of(estimates, "mean", metric, [FFN]))
    fastest: dict[str, Estimate] = {}
    for e in means:
        if e.arm not in fastest or (e.mean or 0.0) < (fastest[e.arm].mean or 0.0):
            fastest[e.arm] = e
    gelus = [e for arm, e in fastest.items() if arm in GELUS]
    if not gelus:
        return []
    gelu = min(gelus, key=lambda e: e.mean or 0.0)
    return [
        e
        for e in largest(rows_of(estimates, "ratio", metric, [FFN]))
        if (e.baseline_arm, e.baseline_implementation) == (gelu.arm, gelu.implementation)
        and e.arm in fastest
        and e.implementation == fastest[e.arm].implementation
    ]


def _share(estimates: Sequence[Estimate]) -> Chart | None:
    ratios = largest([e for e in rows_of(estimates, "ratio", "latency_s", [FFN]) if e.baseline_arm == NO_ACTIVATION])
    if not ratios:
        return None
    return Chart(
        key="ffn_share",
        title="Share of the block's time that the activation takes",
        kind="bar",
        x_title="Function",
        y_title="Share of the block's time",
        y_unit="%",
        # A ratio to the block without activation is (time without) / (time with): the rest is the activation's.
        series=bars(by_implementation(ratios), lambda ratio: 100 * (1 - ratio)),
        limits={"no activation": 0.0},
        alt=f"Share of a feed-forward block's time above that of its two products alone, by function, at {cell_text(ratios[0])}.",
        takeaway=_share_in_words(ratios),
    )


def _share_in_words(ratios: Sequence[Estimate]) -> str:
    """What the best GELU's share allows to be said, by its interval and not by its estimate alone."""
    gelus = [e for e in ratios if e.arm in GELUS and e.mean and e.ci_low and e.ci_high]
    if not gelus:
        return ""
    best = max(gelus, key=lambda e: e.mean or 0.0)
    share, low, high = (100 * (1 - (ratio or 0.0)) for ratio in (best.mean, best.ci_high, best.ci_low))
    found = f"{share:.1f} % of the block (95 % interval {low:.1f} to {high:.1f})"
    if low <= 0:
        return f"The best GELU takes {found}: in this run that cannot be told from nothing."
    return f"The best GELU takes {found}: no activation, however cheap, can save more."


def _best_ratio(estimates: Sequence[Estimate]) -> Chart | None:
    ratios = best_blocks(estimates)
    if not ratios:
        return None
    gelu = f"{LABELS[ratios[0].baseline_arm]} ({LABELS[ratios[0].baseline_implementation]})"
    return Chart(
        key="ffn_ratio",
        title="Whole block, best against best",
        kind="bar",
        x_title="Function",
        y_title="Times as fast as the block with GELU",
        y_unit="×",
        series=bars(by_implementation(ratios)),
        limits={"GELU": 1.0},
        alt=f"Speed of each function's fastest block against the fastest with GELU, with 95 % intervals, at {cell_text(ratios[0])}.",
        takeaway=f"Against {gelu}, at {cell_text(ratios[0])}. Above 1 the whole block is faster than with GELU.",
    )


def _time(estimates: Sequence[Estimate]) -> Chart | None:
    times = largest(rows_of(estimates, "mean", "latency_s", [FFN]))
    if not times:
        return None
    products = min((e.mean for e in times if e.arm == NO_ACTIVATION and e.mean), default=None)
    return Chart(
        key="ffn_time",
        title="Time of the whole block",
        kind="bar",
        x_title="Function",
        y_title="Time per call",
        y_unit="s",
        series=bars(by_implementation([e for e in times if e.arm != NO_ACTIVATION])),
        limits={"the two products alone": products} if products else {},
        alt=f"Time of a feed-forward block by function and implementation at {cell_text(times[0])}.",
    )


def _widths(estimates: Sequence[Estimate]) -> Chart | None:
    """Time, operations and, where measured, joules of each width as a share of the standard width's."""

    def exact(metric: str) -> dict[str, float]:
        return {e.arm: e.mean for e in largest(rows_of(estimates, "exact", metric, [FFN_WIDTHS])) if e.mean}

    width, flop = exact("ffn_width"), exact("flop_per_call")
    if STANDARD_WIDTH not in flop:
        return None
    names = {arm: f"{LABELS[arm]}: {int(value):,}" for arm, value in width.items() if arm in flop}
    series = [
        Series(
            "operations",
            tuple(names.values()),
            tuple(100 * flop[arm] / flop[STANDARD_WIDTH] for arm in names),
            emphasis="limit",
        )
    ]
    for metric, title in (("latency_s", "time"), ("energy_j", "energy")):
        ratios = largest([e for e in rows_of(estimates, "ratio", metric, [FFN_WIDTHS]) if e.baseline_arm == STANDARD_WIDTH])
        ratios = [e for e in ratios if e.arm in names]
        if ratios:
            # The ratio is standard / width: the share of the standard's time is its inverse.
            series += bars({title: ratios}, lambda ratio: 100 / ratio, lambda e: names[e.arm])
    if len(series) == 1:
        return None
    odd = EXACT_WIDTH in width and int(width[EXACT_WIDTH]) % 2 == 1
    return Chart(
        key="ffn_widths",
        title="What a narrower hidden layer costs",
        kind="bar",
        x_title="Width of the hidden layer",
        y_title="Share of the standard 4× width",
        y_unit="%",
        series=tuple(series),
        limits={"4× width": 100.0},
        alt="Operations, time and energy of a feed-forward block at several widths as a share of the standard width's.",
        takeaway=("The exact width is odd. " if odd else "")
        + "Where time exceeds operations, the width does not suit the device's matrix units: operations saved are not time saved.",
    )


def _peak_memory(estimates: Sequence[Estimate]) -> Chart | None:
    peaks = largest(rows_of(estimates, "exact", "peak_memory_bytes", [FFN]))
    if not peaks:
        return None
    return Chart(
        key="ffn_memory",
        title="Peak memory of one block, above its inputs and weights",
        kind="bar",
        x_title="Function",
        y_title="Peak allocated",
        y_unit="B",
        series=bars(by_implementation(peaks)),
        alt=f"Peak allocated bytes of one feed-forward block at {cell_text(peaks[0])}.",
    )
