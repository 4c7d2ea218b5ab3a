"""What a summary says of the claims: how well the filter detects, and which dimension ranks first. Light: the web server imports this."""

from __future__ import annotations

from collections.abc import Sequence

from lab import formatting
from lab.claims import Claim
from lab.records import Comparison, Estimate, Measured, Protocol
from lab.statistics import Interval
from workloads.training_diagnostics.detection import youden
from workloads.training_diagnostics.names import (
    AVERAGED,
    CALIBRATED,
    CHANCE_HITS,
    CURVE,
    DELAY,
    DETECTION,
    DETRENDED,
    EMBEDDING,
    FALSE_ALARMS,
    GAP_SCORE,
    H0_TOTAL,
    H1_EXCESS,
    H1_MAX,
    H1_TOTAL,
    HITS,
    LABELS,
    PUBLISHED_RULE,
    RUNS,
    high,
    low,
    rank_of,
)
from workloads.training_diagnostics.takens import CLAIMED

RULES: tuple[tuple[str, Protocol], ...] = (
    (PUBLISHED_RULE, "published"),
    (CALIBRATED, "sound"),
    (DETRENDED, "sound"),
    (AVERAGED, "sound"),
)
SCORES: tuple[tuple[str, Protocol], ...] = ((GAP_SCORE, "published"), (H1_TOTAL, "sound"), (H1_MAX, "sound"), (H1_EXCESS, "sound"))
SCORE_TITLES = {
    GAP_SCORE: "share of wide gaps between distances",
    H1_TOTAL: "total lifetime of loops",
    H1_MAX: "longest lifetime of a loop",
    H1_EXCESS: "total lifetime of loops above series with random phases",
    H0_TOTAL: "total lifetime of components",
}
NO_TRANSITION = "this run trained no model with a transition"
NO_EMBEDDING = "this run embedded no losses"
COMPARISON: dict[Protocol, Comparison] = {"published": "published", "sound": "best"}


def measure(claim: Claim, estimates: Sequence[Estimate]) -> list[Measured]:
    """What the summary of one run says of ``claim``."""
    match claim.id:
        case "rfilter":
            return [m for rule, protocol in RULES for m in _detection(claim, rule, protocol, estimates)]
        case "takens":
            return [m for score, protocol in SCORES for m in _rank(claim, score, protocol, estimates)]
        case _:
            return []


def detections(rule: str, estimates: Sequence[Estimate]) -> list[dict[str, Estimate]]:
    """The counts of ``rule`` by metric, once for each cell and data set where they are complete."""
    cells: dict[tuple[object, ...], dict[str, Estimate]] = {}
    for e in estimates:
        if e.dimensions["part"] == DETECTION and e.arm == rule and e.metric in (RUNS, HITS, CHANCE_HITS, FALSE_ALARMS):
            cells.setdefault((e.dimensions["data"], tuple(e.swept.items())), {})[e.metric] = e
    return [counts for counts in cells.values() if len(counts) == 4]


def j_of(counts: dict[str, Estimate]) -> Interval:
    """Youden's J of one rule from its counts."""
    hits, chance_hits, runs = (round(counts[name].mean or 0) for name in (HITS, CHANCE_HITS, RUNS))
    return youden(hits, chance_hits, runs)


def _detection(claim: Claim, rule: str, protocol: Protocol, estimates: Sequence[Estimate]) -> list[Measured]:
    found = detections(rule, estimates)
    if not found:
        return [Measured(claim.id, protocol, COMPARISON[protocol], "youden_j", None, reason=NO_TRANSITION)] if rule != DETRENDED else []
    results = []
    for counts in found:
        interval = j_of(counts)
        runs = round(counts[RUNS].mean or 0)
        alarmed = round(counts[FALSE_ALARMS].mean or 0)
        hits, chance_hits = round(counts[HITS].mean or 0), round(counts[CHANCE_HITS].mean or 0)
        delay = next((e.mean for e in estimates if (e.metric, e.arm, e.swept) == (DELAY, rule, counts[RUNS].swept)), None)
        late = "" if delay is None else f", the first at a median of {abs(delay):.0f} steps {'before' if delay < 0 else 'after'} it"
        where = f"{_swept(counts[RUNS])}{counts[RUNS].dimensions['data']}"
        pair = (
            f"{formatting.sentence(LABELS[rule]).rstrip('.')}, {where}: alarms near the transition in {hits} of {runs} runs{late}, "
            f"at the same steps without one in {chance_hits}, anywhere without one in {alarmed}"
        )
        results.append(
            Measured(
                claim.id,
                protocol,
                COMPARISON[protocol],
                "youden_j",
                interval.mean,
                interval.low,
                interval.high,
                n=interval.n,
                pair=pair,
                data=str(counts[RUNS].dimensions["data"]),
                reason=interval.reason,
            )
        )
    return results


def _rank(claim: Claim, score: str, protocol: Protocol, estimates: Sequence[Estimate]) -> list[Measured]:
    own = [e for e in estimates if (e.dimensions["part"], e.arm, e.dimensions["dimension"]) == (EMBEDDING, CURVE, CLAIMED)]
    rows = [e for e in own if e.metric == rank_of(score)]

    def beside(row: Estimate, metric: str) -> Estimate | None:
        return next((e for e in own if (e.metric, e.dimensions, e.swept) == (metric, row.dimensions, row.swept)), None)

    def end(row: Estimate, metric: str) -> float | None:
        found = beside(row, metric)
        return None if found is None else found.mean

    def seeds(row: Estimate) -> int:
        found = beside(row, score)  # whose mean is over the seeds
        return 0 if found is None else found.n

    if not rows:
        return [Measured(claim.id, protocol, COMPARISON[protocol], rank_of(score), None, reason=NO_EMBEDDING)] if score != H1_MAX else []
    return [
        Measured(
            claim.id,
            protocol,
            COMPARISON[protocol],
            row.metric,
            row.mean,
            end(row, low(row.metric)),
            end(row, high(row.metric)),
            n=seeds(row),
            pair=f"Rank by {SCORE_TITLES[score]}, {_swept(row)}losses of {row.dimensions['data']}",
            data=str(row.dimensions["data"]),
            reason=row.reason,
        )
        for row in rows
    ]


def _swept(e: Estimate) -> str:
    return "".join(f"{name} {value}, " for name, value in e.swept.items())
