"""What is compared with what, and what a summary says of each claim. Light: the web server imports this."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

from lab.claims import Claim
from lab.energy import ENERGY
from lab.records import Comparison, Estimate, Measured, Protocol
from lab.statistics import power_law_exponent, student_t_quantile
from workloads.spectral_sparse_attention import paper
from workloads.spectral_sparse_attention.parameters import nearest_root
from workloads.spectral_sparse_attention.series import (
    BOUND,
    DENSE,
    EAGER,
    FAST,
    FIDELITY,
    FIGURE3A,
    FIGURE3B,
    LABELS,
    QUALITY,
    REWEIGHTED,
    RIVALS,
    SPECTRUM,
    SPEED,
    SSA,
    TABLE6,
    TEXT,
    TRUE_CLUSTERS,
    UNCLUSTERED,
)

PLANTED = ("planted", "planted_qk")
GENERATED = "generated tokens"
ROUNDING = 1e-9  # a bend below this is rounding
FITTED_LENGTHS = 5  # the longest sequences of a sweep, through which the exponent of time is fitted: short ones measure launches
WAYS: tuple[tuple[Protocol, Comparison], ...] = (("published", "published"), ("sound", "best"))


def pairs(means: Sequence[Estimate]) -> list[tuple[Estimate, Estimate]]:
    """Which means of one group are compared.

    Times: eager SSA against eager dense attention, as published; every fast SSA against every dense attention. Cosines and errors: SSA and
    its variants against each rival.
    """
    known = [mean for mean in means if mean.mean is not None]
    dense = [mean for mean in known if mean.arm == DENSE]
    if dense:
        return [(mean, other) for mean in known if mean.arm != DENSE for other in dense]
    rivals = [mean for mean in known if mean.arm in RIVALS]
    return [(mean, rival) for mean in known if mean.arm in (SSA, REWEIGHTED, TRUE_CLUSTERS) for rival in rivals]


# --- finding estimates --------------------------------------------------------------------------------------------------------


def rows(estimates: Sequence[Estimate], part: str, metric: str, statistic: str = "mean", arm: str = "", **where: Any) -> list[Estimate]:
    """The estimates of one part and metric that have a value; ``where`` restricts dimensions."""
    return [
        e
        for e in estimates
        if (e.metric, e.statistic, e.dimensions.get("part")) == (metric, statistic, part)
        and e.mean is not None
        and arm in ("", e.arm)
        and all(e.dimensions.get(name) == value for name, value in where.items())
    ]


def missing_reason(estimates: Sequence[Estimate], part: str, metric: str, **where: Any) -> str:
    """Why the part has no value of a metric, from the reasons recorded; "" where nothing was recorded."""
    found = [
        e.reason
        for e in estimates
        if (e.metric, e.dimensions.get("part")) == (metric, part)
        and e.mean is None
        and e.reason
        and all(e.dimensions.get(name) == value for name, value in where.items())
    ]
    return found[0] if found else ""


def as_advised(e: Estimate) -> bool:
    """Whether an estimate belongs to the claims' setting: planted clusters, k and s nearest √N, no departure such as a causal mask."""
    d, root = e.dimensions, nearest_root(int(e.dimensions["seq_len"]))
    return d["data"] in PLANTED and not d["setting"] and (d["clusters"], d["samples"]) == (root, root)


def protocol_of(e: Estimate, protocol: Protocol) -> Protocol:
    """The protocol of a level: the source had planted clusters only and no causal mask, so that nothing else is as published."""
    return protocol if e.dimensions["data"] in PLANTED and not e.dimensions["setting"] else "sound"


def hardware(e: Estimate) -> str:
    return "gpu" if e.device.startswith("cuda") else "cpu"


def named(arm: str, implementation: str) -> str:
    """An arm and its implementation in words: "SSA (fused)"."""
    return f"{LABELS.get(arm, arm)} ({LABELS.get(implementation, implementation)})"


def measured(claim: Claim, e: Estimate, protocol: Protocol, comparison: Comparison, pair: str, flaws: tuple[str, ...] = ()) -> Measured:
    """An estimate as what was measured of a claim."""
    # Values missing among others (a walk that does not mix, say) are not missing at random: the mean of the rest proves nothing.
    doubts = tuple(part for part in e.reason.split("; ") if part.startswith("drift") or "values missing" in part)
    pair = pair[:1].upper() + pair[1:] if pair[:1].isascii() else pair  # λ and δ are no words
    return Measured(
        claim.id,
        protocol,
        comparison,
        e.metric,
        e.mean,
        e.ci_low,
        e.ci_high,
        e.n,
        e.statistic == "exact",
        pair,
        "gpu" if hardware(e) == "gpu" else "cpu",
        flaws=doubts + flaws,
    )


def unmeasured(claim: Claim, metric: str, reason: str, ways: Sequence[tuple[Protocol, Comparison]] = WAYS) -> list[Measured]:
    return [Measured(claim.id, protocol, comparison, metric, None, reason=reason) for protocol, comparison in ways]


# --- speed ----------------------------------------------------------------------------------------------------------------------


def best_pair(estimates: Sequence[Estimate], metric: str, **where: Any) -> Estimate | None:
    """The ratio of the fastest SSA to the fastest dense attention in one cell, both by their mean latency; None where one is missing."""
    means = rows(estimates, SPEED, "latency_s", **where)
    ssa = min((e for e in means if e.arm == SSA), key=lambda e: e.mean or 0.0, default=None)
    if ssa is None:
        return None
    # Of several k or s at one N the cell of the fastest SSA; both sides come from it.
    beside = [e for e in means if e.arm == DENSE and (e.dimensions, e.swept) == (ssa.dimensions, ssa.swept)]
    dense = min(beside, key=lambda e: e.mean or 0.0, default=None)
    if dense is None:
        return None
    wanted = (ssa.implementation, dense.implementation, ssa.dimensions, ssa.swept)
    found = rows(estimates, SPEED, metric, "ratio", SSA, **where)
    return next((e for e in found if (e.implementation, e.baseline_implementation, e.dimensions, e.swept) == wanted), None)


def published_pair(estimates: Sequence[Estimate], metric: str, **where: Any) -> Estimate | None:
    """The ratio of eager SSA to naive dense attention in one cell."""
    found = rows(estimates, SPEED, metric, "ratio", SSA, **where)
    return next((e for e in found if (e.implementation, e.baseline_implementation) == (EAGER, EAGER)), None)


def speed_pair(e: Estimate) -> str:
    """The two sides and the cell of a ratio of times, in words."""
    d = e.dimensions
    return (
        f"{named(e.arm, e.implementation)} against {named(e.baseline_arm, e.baseline_implementation)}, N = {d['seq_len']:,}, "
        f"k = {d['clusters']}, s = {d['samples']}, {e.dtype}, {'GPU' if hardware(e) == 'gpu' else 'CPU'}"
    )


def _speed_at(claim: Claim, estimates: Sequence[Estimate], n: int) -> list[Measured]:
    here = [e for e in estimates if e.dimensions.get("seq_len") == n and e.dimensions.get("part") == SPEED and as_advised(e)]
    found = []
    for (protocol, comparison), pair in zip(WAYS, (published_pair, best_pair), strict=True):
        ratio = pair(here, "latency_s")
        if ratio is not None:
            found.append(measured(claim, ratio, protocol, comparison, speed_pair(ratio) + slow_down(claim)))
        else:
            why = f"no such pair of times at N = {n:,} with k = s = √N on planted clusters, not causal, samples as in algorithm 2"
            found += unmeasured(claim, "latency_s", why, ((protocol, comparison),))
    return found


def slow_down(claim: Claim) -> str:
    """What the words of a verdict mean where the source itself says that SSA is slower; "" elsewhere."""
    if claim.value is None or claim.value >= 1:
        return ""
    return "; the claim is a slow-down: “larger than claimed” means slower still, “contradicted” that SSA is faster than dense attention"


def _lengths(estimates: Sequence[Estimate]) -> list[int]:
    found = (e for e in estimates if e.dimensions.get("part") == SPEED and as_advised(e))
    return sorted({int(e.dimensions["seq_len"]) for e in found})


def crossover(points: Sequence[tuple[int, Estimate]]) -> tuple[float, int, int] | None:
    """Where a ratio of times passes 1 for good, as (N, last N clearly below 1, first N clearly above): interpolated on log scales.

    ``points``: (N, ratio) ascending. "Clearly": the whole interval lies on one side. None where the sweep does not hold both sides.
    """
    below = [n for n, e in points if e.ci_high is not None and e.ci_high < 1]
    if not below:
        return None
    last = max(below)
    above = [n for n, e in points if n > last and e.ci_low is not None and e.ci_low > 1]
    if not above:
        return None
    first = min(above)
    between = [(n, math.log(e.mean)) for n, e in points if last <= n <= first and e.mean]
    for (n, low), (following, high) in pairwise(between):
        if low < 0 <= high:
            share = -low / (high - low)
            return math.exp(math.log(n) + share * math.log(following / n)), last, first
    return None


def _crossover(claim: Claim, estimates: Sequence[Estimate]) -> list[Measured]:
    found: list[Measured] = []
    advised = [e for e in estimates if e.dimensions.get("part") == SPEED and as_advised(e)]
    for (protocol, comparison), pair in zip(WAYS, (published_pair, best_pair), strict=True):
        points = [(n, e) for n in _lengths(estimates) if (e := pair(advised, "latency_s", seq_len=n)) is not None]
        if not points:
            found += unmeasured(claim, "crossover", "a crossover needs times at several N (sweep N)", ((protocol, comparison),))
            continue
        which = f"{points[-1][1].implementation} SSA against {points[-1][1].baseline_implementation} dense attention"
        passed = crossover(points)
        if passed is None and (bound := _bounded(claim, points, which, protocol, comparison)):
            found.append(bound)
            continue
        if passed is None and len(points) < 2:
            found += unmeasured(claim, "crossover", "a crossover needs times at several N (sweep N)", ((protocol, comparison),))
            continue
        if passed is None:
            side = "above" if (points[0][1].mean or 0) > 1 else "below"
            where = f"from N = {points[0][0]:,} to {points[-1][0]:,}"
            reason = f"no crossover {where}: the speed of {which} begins {side} 1 and does not pass it clearly"
            found += unmeasured(claim, "crossover", reason, ((protocol, comparison),))
            continue
        n, last, first = passed
        pair_text = (
            f"{which}: still slower at N = {last:,}, faster from {first:,} on (these two are the interval), {hardware(points[0][1])}"
        )
        count = min(e.n for _, e in points)
        found.append(
            Measured(
                claim.id,
                protocol,
                comparison,
                "crossover",
                n,
                float(last),
                float(first),
                count,
                pair=pair_text,
                hardware_class="gpu" if hardware(points[0][1]) == "gpu" else "cpu",
            )
        )
    return found


def _bounded(
    claim: Claim, points: Sequence[tuple[int, Estimate]], which: str, protocol: Protocol, comparison: Comparison
) -> Measured | None:
    """A bound on the crossover where the sweep holds one side of it only, if the bound alone decides; else None.

    Clearly slower at an N beyond all that would count as the claimed crossover: it lies further still, or nowhere. Clearly faster at
    every N from one before all those: it lies at that N at most.
    """
    assert claim.value is not None
    slower = [n for n, e in points if e.ci_high is not None and e.ci_high < 1]
    faster = [n for n, e in points if e.ci_low is not None and e.ci_low > 1]
    if slower and max(slower) > claim.value * (1 + claim.tolerance):
        n, said = max(slower), f"still slower at N = {max(slower):,}, the crossover lies further or nowhere: a lower bound"
    elif faster and len(faster) == len(points) and min(faster) < claim.value * (1 - claim.tolerance):
        n, said = min(faster), f"faster already at N = {min(faster):,}, the shortest measured: an upper bound"
    else:
        return None
    where = hardware(points[0][1])
    return Measured(
        claim.id,
        protocol,
        comparison,
        "crossover",
        float(n),
        float(n),
        float(n),
        min(e.n for _, e in points),
        pair=f"{which}: {said}, {where}",
        hardware_class="gpu" if where == "gpu" else "cpu",
    )


def _order(claim: Claim, estimates: Sequence[Estimate]) -> list[Measured]:
    """Exponent of SSA's time in N, over the longest sequences of the sweep."""
    found: list[Measured] = []
    means = [e for e in rows(estimates, SPEED, "latency_s", arm=SSA) if as_advised(e)]
    for protocol, comparison in WAYS:
        implementation = EAGER if comparison == "published" else FAST
        points = sorted((int(e.dimensions["seq_len"]), e) for e in means if e.implementation == implementation)[-FITTED_LENGTHS:]
        if len(points) < FITTED_LENGTHS:
            reason = f"{named(SSA, implementation)}: {len(points)} lengths, {FITTED_LENGTHS} are needed for an exponent"
            found += unmeasured(claim, "time_exponent", reason, ((protocol, comparison),))
            continue
        fit = power_law_exponent([n for n, _ in points], [e.mean or 0.0 for _, e in points])
        e = points[-1][1]
        pair = f"{named(SSA, implementation)}, N = {points[0][0]:,} to {points[-1][0]:,}, {e.dtype}, {hardware(e)}"
        flaws: tuple[str, ...] = ()
        bend = curvature([(n, e.mean or 0.0) for n, e in points])
        # A bend towards the side on which the fit already lies could only make its verdict stronger.
        if bend is not None and fit.mean is not None and (fit.mean < claim.null if bend > 0 else fit.mean > (claim.value or 0.0)):
            (before, short), (last, long) = points[-2:]
            local = math.log((long.mean or 1.0) / (short.mean or 1.0)) / math.log(last / before)
            way = "rises" if bend > 0 else "falls"
            flaws = (f"the times follow no single power law: the exponent {way} with N, to {local:.2f} between the last two lengths",)
        found.append(
            Measured(
                claim.id,
                protocol,
                comparison,
                "time_exponent",
                fit.mean,
                fit.low,
                fit.high,
                fit.n,
                pair=pair,
                hardware_class="gpu" if hardware(e) == "gpu" else "cpu",
                flaws=flaws,
            )
        )
    return found


def curvature(points: Sequence[tuple[int, float]]) -> float | None:
    """By how much the exponent of y in x changes over a factor e of x, where that differs from 0 with 95 % confidence; else None.

    Twice the quadratic coefficient of the least-squares parabola through (ln x, ln y); t test on n − 3 degrees of freedom. It is found by
    fitting what a straight line leaves of ln y to what a straight line leaves of (ln x)² (Frisch, Waugh and Lovell).
    """
    if len(points) < 4:
        return None
    x, y = [math.log(n) for n, _ in points], [math.log(value) for _, value in points]

    def beside_a_line(values: Sequence[float]) -> list[float]:
        mean_x, mean = sum(x) / len(x), sum(values) / len(values)
        slope = sum((a - mean_x) * (b - mean) for a, b in zip(x, values, strict=True)) / sum((a - mean_x) ** 2 for a in x)
        return [b - mean - slope * (a - mean_x) for a, b in zip(x, values, strict=True)]

    bent, left = beside_a_line([a * a for a in x]), beside_a_line(y)
    squares = sum(a * a for a in bent)
    coefficient = sum(a * b for a, b in zip(bent, left, strict=True)) / squares
    rest = sum((b - coefficient * a) ** 2 for a, b in zip(bent, left, strict=True))
    error = math.sqrt(rest / (len(points) - 3) / squares)
    half = student_t_quantile(0.975, len(points) - 3) * error
    return 2 * coefficient if abs(coefficient) > max(half, ROUNDING) else None


def _flash(claim: Claim, estimates: Sequence[Estimate]) -> list[Measured]:
    """(speed of both together) / (speed of SSA alone × speed of fusing alone), each against naive dense attention; 1: they multiply."""
    advised = [e for e in estimates if e.dimensions.get("part") == SPEED and as_advised(e)]
    for n in reversed(_lengths(estimates)):
        both = best_pair(advised, "latency_s", seq_len=n)  # t(fused dense) / t(fused SSA)
        alone = published_pair(advised, "latency_s", seq_len=n)  # t(naive dense) / t(eager SSA)
        if both is None or alone is None or EAGER in (both.implementation, both.baseline_implementation):
            continue
        if not both.mean or not alone.mean:
            continue
        value = both.mean / alone.mean
        ends = [side for e in (both, alone) for side in (e.ci_low, e.ci_high)]
        if None in ends:
            continue
        low, high = (both.ci_low or 0.0) / (alone.ci_high or 1.0), (both.ci_high or 0.0) / (alone.ci_low or 1.0)
        pair = (
            f"{speed_pair(both)} ({both.mean:.3g}×), over eager SSA against naive dense attention ({alone.mean:.3g}×): "
            "1 would mean that the gains multiply, more that eager SSA loses by its own slowness what it leaves out"
        )
        found = Measured(claim.id, "sound", "best", "latency_s", value, low, high, min(both.n, alone.n), pair=pair)
        return [replace(found, hardware_class="gpu" if hardware(both) == "gpu" else "cpu")]
    return unmeasured(claim, "latency_s", "needs the fast SSA, eager SSA and both dense attentions at one N", WAYS[1:])


def _savings(claim: Claim, estimates: Sequence[Estimate]) -> list[Measured]:
    if claim.id.endswith("-model"):
        return unmeasured(claim, ENERGY, "a whole 70B model is not run here; the attention layer is measured beside it", WAYS[1:])
    n = 1 << 15 if claim.id.endswith("-32k") else 1 << 17
    here = [e for e in estimates if e.dimensions.get("seq_len") == n and e.dimensions.get("part") == SPEED and as_advised(e)]
    ratio = best_pair(here, ENERGY)
    if ratio is None or ratio.mean is None:
        why = missing_reason(here, SPEED, ENERGY) or f"joules are measured on a GPU with a counter, in a run with energy and N = {n:,}"
        return unmeasured(claim, ENERGY, why, WAYS[1:])
    pair = speed_pair(ratio) + "; naive dense attention cannot store its N × N matrix at this length"
    if claim.unit == "×":
        return [measured(claim, ratio, "sound", "best", pair)]
    value, low, high = (None if times is None else 100 * (1 - 1 / times) for times in (ratio.mean, ratio.ci_low, ratio.ci_high))
    return [Measured(claim.id, "sound", "best", ENERGY, value, low, high, n=ratio.n, pair=pair, hardware_class="gpu")]


# --- fidelity and spectra -------------------------------------------------------------------------------------------------------


def _level(
    claim: Claim,
    estimates: Sequence[Estimate],
    part: str,
    metric: str,
    pair: Callable[[Estimate], str],
    **where: Any,
) -> list[Measured]:
    """A level of SSA as algorithm 2 has it (published) and with re-weighted samples (sound)."""
    found: list[Measured] = []
    for (protocol, comparison), arm in zip(WAYS, (SSA, REWEIGHTED), strict=True):
        levels = rows(estimates, part, metric, arm=arm, **where)
        if levels:
            e = max(levels, key=lambda e: int(e.dimensions["seq_len"]))
            found.append(measured(claim, e, protocol_of(e, protocol), comparison, pair(e)))
        else:
            why = missing_reason([e for e in estimates if e.arm == arm], part, metric, **where) or f"this run leaves out the part “{part}”"
            found += unmeasured(claim, metric, why, ((protocol, comparison),))
    return found


def setting_text(e: Estimate) -> str:
    """Arm and cell of a level in words."""
    d = e.dimensions
    extra = f", {d['setting']}" if d["setting"] else ""
    return f"{LABELS[e.arm]}, {d['data']} data, N = {d['seq_len']:,}, k = {d['clusters']}, s = {d['samples']}{extra}"


def _gradient(claim: Claim, estimates: Sequence[Estimate]) -> list[Measured]:
    """The smallest of the three mean cosines of the gradients with respect to Q, K and V, at the longest sequence that has them."""
    found: list[Measured] = []
    metrics = ("gradient_cosine_q", "gradient_cosine_k", "gradient_cosine_v")
    for (protocol, comparison), arm in zip(WAYS, (SSA, REWEIGHTED), strict=True):
        levels = [e for metric in metrics for e in rows(estimates, FIDELITY, metric, arm=arm)]
        if not levels:
            why = missing_reason(estimates, FIDELITY, metrics[0]) or "this run leaves out fidelity"
            found += unmeasured(claim, "gradient_cosine", why, ((protocol, comparison),))
            continue
        longest = max(int(e.dimensions["seq_len"]) for e in levels)
        there = [e for e in levels if e.dimensions["seq_len"] == longest]
        worst = min(there, key=lambda e: e.mean or 0.0)
        each = ", ".join(f"{e.metric[-1].upper()} {e.mean:.3f}" for e in there)
        found.append(
            measured(claim, worst, protocol_of(worst, protocol), comparison, f"{setting_text(worst)}; smallest of the cosines of {each}")
        )
    return found


def _exponent(claim: Claim, estimates: Sequence[Estimate]) -> list[Measured]:
    def pair(e: Estimate) -> str:
        how = "clusters by k-means, samples as in algorithm 2" if e.arm == SSA else "the planted clusters, samples re-weighted"
        bounds = [b.mean or 0.0 for b in rows(estimates, BOUND, "sine_bound", arm=e.arm)]
        vacuous = sum(b >= 1 for b in bounds)
        said = f"; {vacuous} of its {len(bounds)} sin Θ bounds are vacuous (1 or more)" if bounds else ""
        return f"exponent of ‖sin Θ‖ in s, fitted for each data set; N = {e.dimensions['seq_len']:,}, symmetrised graph, {how}{said}"

    return _level(claim, estimates, BOUND, "sine_exponent", pair)


def _spectral(claim: Claim, estimates: Sequence[Estimate], metric: str, what: str) -> list[Measured]:
    return _level(claim, estimates, SPECTRUM, metric, lambda e: f"{what}; {setting_text(e)}, symmetrised graph")


# --- table 6, figure 3, quality --------------------------------------------------------------------------------------------------


def _table6(claim: Claim, estimates: Sequence[Estimate], metric: str) -> list[Measured]:
    """A cell of table 6: at the run's own settings, and at the settings that a search on other cells found."""
    n = int(claim.id.rpartition("-")[2])
    chosen = rows(estimates, TABLE6, "search_distance", "exact")
    # What the search itself found wrong with its choice: a setting on the edge of its grid.
    edge = tuple(dict.fromkeys(e.reason for e in chosen if e.reason))
    better = "; a smaller error than printed is the better result" if metric == "relative_error" else ""
    found: list[Measured] = []
    for e in rows(estimates, TABLE6, metric, arm=SSA, seq_len=n):
        setting = str(e.dimensions["setting"])
        if setting.startswith("searched"):
            shown = setting.partition(": ")[2]
            searched_on = [int(other.dimensions["seq_len"]) for other in chosen]
            if n in searched_on:
                reason = f"this cell was used to choose the settings ({shown})"
                found.append(Measured(claim.id, "published", "published", metric, None, reason=reason))
            else:
                pair = f"algorithm 2, settings chosen at N = {' and '.join(map(str, sorted(searched_on)))}: {shown}{better}"
                found.append(measured(claim, e, "published", "published", pair, flaws=(f"settings searched: {shown}", *edge)))
        else:
            found.append(measured(claim, e, "sound", "published", f"algorithm 2 at the run's settings: {setting}{better}"))
    return found or unmeasured(claim, metric, "this run leaves out table 6", WAYS[:1])


def _ablation(claim: Claim, estimates: Sequence[Estimate], part: str) -> list[Measured]:
    what, value = claim.id.rpartition("-")[0].rpartition("-")[2], int(claim.id.rpartition("-")[2])
    where: dict[str, Any] = {"clusters": value} if part == FIGURE3A else {"samples": value}
    return _part_cell(claim, estimates, part, what, where, "this run leaves out figure 3")


def _part_cell(claim: Claim, estimates: Sequence[Estimate], part: str, what: str, where: dict[str, Any], absent: str) -> list[Measured]:
    """Speed (eager against naive dense) or cosine of one cell of a part of its own."""
    if what == "speedup":
        ratios = rows(estimates, part, "latency_s", "ratio", SSA, **where)
        if ratios:
            return [measured(claim, ratios[0], "published", "published", speed_pair(ratios[0]) + slow_down(claim))]
        return unmeasured(claim, "latency_s", missing_reason(estimates, part, "latency_s", **where) or absent, WAYS[:1])
    levels = rows(estimates, part, "output_cosine", arm=SSA, **where)
    if levels:
        return [measured(claim, levels[0], "published", "published", f"algorithm 2, {setting_text(levels[0])}")]
    return unmeasured(claim, "output_cosine", missing_reason(estimates, part, "output_cosine", **where) or absent, WAYS[:1])


def band(q: float) -> str:
    """Which of the source's bands of Q a value falls into: "high", "mid" or "low"."""
    return "high" if q > paper.Q_HIGH else "low" if q < paper.Q_MODERATE else "mid"


def _quality(claim: Claim, estimates: Sequence[Estimate]) -> list[Measured]:
    """Speed or cosine at the data set of the claim's band of Q that bears the claim out least: the source makes it of every such one."""
    _, _, wanted, what = claim.id.split("-")
    levels = rows(estimates, QUALITY, "quality", arm=DENSE)
    if not levels:
        return unmeasured(claim, what, "this run leaves out the part “quality”", WAYS[:1])
    inside = [e for e in levels if e.ci_low is not None and e.ci_high is not None and band(e.ci_low) == band(e.ci_high) == wanted]
    if not inside:
        seen = ", ".join(f"{e.mean:.2f}" for e in levels)
        return unmeasured(claim, what, f"none of the data sets of this run has a Q clearly in this band (Q = {seen})", WAYS[:1])
    absent = (
        f"speeds at a given Q are timed with figure 3, at N = {paper.FIGURE3_N:,}; this run has none where it has Q, "
        f"at N = {inside[0].dimensions['seq_len']:,}"
    )
    found: list[Measured] = []
    for e in inside:
        # Q changes with N and k: only what was measured at the same ones belongs to it.
        cell = {name: e.dimensions[name] for name in ("seq_len", "clusters", "samples", "setting")}
        here = [replace(m, pair=f"{m.pair}; Q = {e.mean:.3f}") for m in _part_cell(claim, estimates, QUALITY, what, cell, absent)]
        if here[0].value is None:
            return here
        found += here
    least = min(found, key=lambda m: _support(claim, m.value or 0.0))
    several = f", of {len(found)} data sets in this band the one that bears the claim out least" if len(found) > 1 else ""
    return [replace(least, pair=least.pair + several)]


def _support(claim: Claim, value: float) -> float:
    """How well a value bears a claim out: further beyond a threshold, or nearer to the middle of a band, is more."""
    assert claim.value is not None
    beyond = math.log(value / claim.value) if claim.scale == "log" and value > 0 else value - claim.value
    return beyond if claim.bound == "at_least" else -beyond if claim.bound == "at_most" else -abs(beyond)


def measure(claim: Claim, estimates: Sequence[Estimate]) -> list[Measured]:
    """What the summary of one run says of ``claim``, and on which data."""
    # The text model's own part bears on no claim; where nothing else used text, a text among the run's data is no evidence.
    on_text = any(e.dimensions.get("data") == TEXT and e.dimensions.get("part") != TEXT for e in estimates)
    found = _measured_of(claim, estimates)
    return found if on_text else [replace(m, data=m.data or GENERATED) for m in found]


def _measured_of(claim: Claim, estimates: Sequence[Estimate]) -> list[Measured]:
    match claim.id.split("-"):
        case ["ssa", "speedup", n]:
            return _speed_at(claim, estimates, int(n))
        case ["ssa", "error", _]:
            return _table6(claim, estimates, "relative_error")
        case ["ssa", "cosine", _]:
            return _table6(claim, estimates, "output_cosine")
        case ["ssa", "crossover"]:
            return _crossover(claim, estimates)
        case ["ssa", "order"]:
            return _order(claim, estimates)
        case ["ssa", "eigen"]:
            return _spectral(claim, estimates, "eigenvalue_error", "largest relative error of λ₂ … λ_k")
        case ["ssa", "gap"]:
            return _spectral(claim, estimates, "gap_ratio", "δ_k of SSA over δ_k of dense attention")
        case ["ssa", "bound"]:
            return _exponent(claim, estimates)
        case ["ssa", "mixing"]:
            what = "mixing time of SSA's directed walk over dense attention's"
            return _level(claim, estimates, SPECTRUM, "mixing_ratio", lambda e: f"{what}; {setting_text(e)}")
        case ["ssa", "ablate", "k", *_]:
            return _ablation(claim, estimates, FIGURE3A)
        case ["ssa", "ablate", "s", *_]:
            return _ablation(claim, estimates, FIGURE3B)
        case ["ssa", "random", what]:
            return _part_cell(claim, estimates, UNCLUSTERED, what, {}, "this run leaves out figure 3 and the unclustered data")
        case ["ssa", "gradient"]:
            return _gradient(claim, estimates)
        case ["ssa", "quality", _, _]:
            return _quality(claim, estimates)
        case ["ssa", "flash"]:
            return _flash(claim, estimates)
        case ["ssa", "savings", *_]:
            return _savings(claim, estimates)
        case _:
            return []
