"""The figures of energy: joules of each function, against GELU's, and what the counter was checked against."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from lab.energy import DISAGREEMENT, ENERGY, MAX_DISAGREEMENT, NET
from lab.records import Chart, Estimate
from workloads.activations.findings import FFN, LABELS, LIMITS
from workloads.activations.parameters import GELUS
from workloads.activations.series import ELEMENTWISE, bars, by_implementation, cell_text, largest, rows_of

PASSES = (*ELEMENTWISE, FFN)
CACHES = ("cold", "partial", "warm")
TITLES = {ENERGY: "Energy, all that the board draws", NET: "Energy above idle"}


def charts(estimates: Sequence[Estimate]) -> list[Chart]:
    """All figures of energy that the summary has numbers for."""
    found = [_against_gelu(estimates), *(_joules(estimates, metric) for metric in TITLES), _check(estimates)]
    return [chart for chart in found if chart is not None]


def _rows(estimates: Sequence[Estimate], statistic: str, metric: str) -> list[Estimate]:
    return largest(rows_of(estimates, statistic, metric, PASSES, CACHES))


def _against_gelu(estimates: Sequence[Estimate]) -> Chart | None:
    gelus = [e for e in _rows(estimates, "mean", ENERGY) if e.arm in GELUS]
    if not gelus:
        return None
    least = min(gelus, key=lambda e: e.mean or 0.0)
    ratios = [
        e for e in _rows(estimates, "ratio", ENERGY) if (e.baseline_arm, e.baseline_implementation) == (least.arm, least.implementation)
    ]
    if not ratios:
        return None
    best = {e.arm: e for e in sorted(ratios, key=lambda e: e.mean or 0.0)}
    found = "; ".join(f"{LABELS[arm]} {e.mean:.3g}× [{e.ci_low:.3g}, {e.ci_high:.3g}]" for arm, e in best.items() if e.ci_low and e.ci_high)
    return Chart(
        key="energy_ratio",
        title="Joules: how many times fewer than GELU",
        kind="bar",
        x_title="Function",
        y_title="GELU's joules / the function's joules",
        y_unit="×",
        series=bars(by_implementation(ratios)),
        limits={"GELU": 1.0},
        alt=f"Ratio of joules to the GELU that needs fewest, with 95 % intervals, at {cell_text(least)}.",
        takeaway=f"Against {LABELS[least.arm]} ({LABELS[least.implementation]}); above 1 saves energy. {found}".strip(),
    )


def _joules(estimates: Sequence[Estimate], metric: str) -> Chart | None:
    """Joules per 10⁹ elements, or per block inside an FFN."""
    rows = _rows(estimates, "mean", metric)
    if not rows:
        return None
    block = rows[0].dimensions["pass"] == FFN
    per = 1.0 if block else 1e9 / int(rows[0].dimensions["elements"])
    limit = next((e for e in rows if e.arm in LIMITS), None)
    return Chart(
        key=metric,
        title=TITLES[metric] + (", per block" if block else ", per 10⁹ elements"),
        kind="bar",
        x_title="Function",
        y_title="Energy per block" if block else "Energy per 10⁹ elements",
        y_unit="J",
        series=bars(by_implementation([e for e in rows if e is not limit]), lambda joules: joules * per),
        limits={LABELS[limit.arm]: (limit.mean or 0.0) * per} if limit else {},
        alt=f"{TITLES[metric]}, by function and implementation, with 95 % intervals, at {cell_text(rows[0])}.",
        takeaway="Of one GPU board, in replayed graphs. Ratios on one GPU carry over better than joules."
        if metric == ENERGY
        else "What is left after the idle power with a live context, measured in the same run.",
    )


def _check(estimates: Sequence[Estimate]) -> Chart | None:
    rows = _rows(estimates, "mean", DISAGREEMENT)
    if not rows:
        return None
    percent = 100 * MAX_DISAGREEMENT
    chart = Chart(
        key="energy_check",
        title="Energy counter against integrated power",
        kind="bar",
        x_title="Function",
        y_title="Counter / integral − 1",
        y_unit="%",
        series=bars(by_implementation(rows), lambda share: 100 * share),
        limits={f"+{percent:.0f} %": percent, f"−{percent:.0f} %": -percent},
        alt="How far the energy counter and the integral of the board's power lie apart, by function.",
    )
    worst = max(abs(e.mean or 0.0) for e in rows)
    return replace(chart, takeaway=f"At most {100 * worst:.1f} % apart; both readings come from one sensor, so agreement is no proof.")
