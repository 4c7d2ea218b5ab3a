"""Figures of table 6, figure 3 and the quality Q beside what the source prints, and the decision. Light."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lab.records import Chart, Estimate, Series
from workloads.spectral_sparse_attention import paper
from workloads.spectral_sparse_attention.decision import decide, threshold
from workloads.spectral_sparse_attention.drawing import grouped, line
from workloads.spectral_sparse_attention.findings import rows
from workloads.spectral_sparse_attention.series import DENSE, FIGURE3A, FIGURE3B, QUALITY, SSA, TABLE6

PRINTED = "as the source prints it"
LEVELS = {
    "output_cosine": ("Cosine of the outputs", {n: row.cosine for n, row in paper.TABLE6.items()}),
    "relative_error": ("Relative error", {n: row.error for n, row in paper.TABLE6.items()}),
    "norm_ratio": ("Norm of SSA's output over dense attention's", {n: row.norm_ratio for n, row in paper.TABLE6.items()}),
}


def charts(estimates: Sequence[Estimate]) -> list[Chart]:
    """Every figure of the source's own experiments that the summary has numbers for."""
    found = [_table6(estimates, metric) for metric in LEVELS]
    found += [_figure3(estimates, part, dimension, printed) for part, dimension, printed in FIGURE3]
    found += [_quality(estimates)]
    return [chart for chart in found if chart is not None]


def _printed(points: Mapping[int, float]) -> Series:
    return Series(PRINTED, tuple(points), tuple(points.values()), emphasis="baseline")


def _table6(estimates: Sequence[Estimate], metric: str) -> Chart | None:
    levels = rows(estimates, TABLE6, metric, arm=SSA)
    if not levels:
        return None
    lines = [_printed(LEVELS[metric][1])]
    for setting, points in grouped(levels, lambda e: str(e.dimensions["setting"])).items():
        searched = setting.startswith("searched: ")
        lines.append(line(f"{'searched' if searched else 'own settings'}: {setting.removeprefix('searched: ')}", points, "seq_len"))
    judged_on = sorted({int(e.dimensions["seq_len"]) for e in rows(estimates, TABLE6, "search_distance", "exact")})
    chosen = f"The searched settings were chosen at N = {' and '.join(map(str, judged_on))}; the other rows tell. " if judged_on else ""
    implied = "The printed norm ratio follows from the printed error and cosine. " if metric == "norm_ratio" else ""
    return Chart(
        key=f"table6_{metric}",
        title=f"Table 6 again: {LEVELS[metric][0].lower() if metric != 'norm_ratio' else 'norm ratio'}",
        kind="line",
        x_title="N",
        x_unit="tokens",
        y_title=LEVELS[metric][0],
        y_unit="",
        x_log=True,
        y_log=metric != "output_cosine",
        series=tuple(lines),
        alt=f"{LEVELS[metric][0]} of SSA against N: as the source prints it, at this run's settings and at searched settings.",
        takeaway=f"{implied}{chosen}k = s = √N, algorithm 2 to the letter.",
    )


FIGURE3 = ((FIGURE3A, "clusters", paper.FIGURE3A), (FIGURE3B, "samples", paper.FIGURE3B))


def _figure3(estimates: Sequence[Estimate], part: str, dimension: str, printed: Mapping[int, tuple[float, float]]) -> Chart | None:
    cosines = rows(estimates, part, "output_cosine", arm=SSA)
    speeds = rows(estimates, part, "latency_s", "ratio", SSA)
    if not cosines and not speeds:
        return None
    lines = [
        Series("cosine, " + PRINTED, tuple(printed), tuple(cosine for _, cosine in printed.values()), emphasis="baseline"),
        Series("speed, " + PRINTED, tuple(printed), tuple(speed for speed, _ in printed.values()), emphasis="baseline"),
    ]
    lines += [line(name, points, dimension) for name, points in (("cosine measured", cosines), ("speed measured", speeds)) if points]
    letter = "k" if dimension == "clusters" else "s"
    return Chart(
        key=part.replace(" ", "_"),
        title=f"Figure 3{part[-1]} again: the effect of {letter}",
        kind="line",
        x_title=letter,
        x_unit=dimension,
        y_title="Cosine; times as fast as naive dense attention",
        y_unit="",
        x_log=True,
        y_log=True,
        series=tuple(lines),
        alt=f"Cosine and speed of SSA at N = {paper.FIGURE3_N:,} against {letter}, as printed and as measured.",
        takeaway=f"N = {paper.FIGURE3_N:,}, {'s' if letter == 'k' else 'k'} = {paper.FIGURE3_FIXED}, both sides eager.",
    )


def _quality(estimates: Sequence[Estimate]) -> Chart | None:
    quality = {str(e.dimensions["setting"]): e for e in rows(estimates, QUALITY, "quality", arm=DENSE)}
    if not quality:
        return None

    def points(name: str, metric: str, statistic: str) -> Series | None:
        found = [
            e
            for e in rows(estimates, QUALITY, metric, statistic, SSA)
            if (beside := quality.get(str(e.dimensions["setting"]))) is not None and e.dimensions == beside.dimensions
        ]
        if not found:
            return None
        found.sort(key=lambda e: quality[str(e.dimensions["setting"])].mean or 0.0)
        q = [quality[str(e.dimensions["setting"])] for e in found]
        return Series(
            name,
            tuple(e.mean or 0.0 for e in q),
            tuple(e.mean for e in found),
            tuple(e.ci_low for e in found),
            tuple(e.ci_high for e in found),
            x_low=tuple(e.ci_low for e in q),
            x_high=tuple(e.ci_high for e in q),
            labels=tuple(str(e.dimensions["setting"]) for e in found),
        )

    drawn = [
        points("cosine of the outputs", "output_cosine", "mean"),
        points("times as fast as naive dense attention", "latency_s", "ratio"),
    ]
    decided = decide(estimates)
    words = ""
    if decided is not None:
        words = f"This run's data: Q = {decided.quality:.2f} at N = {decided.quality_n:,}. "
        words += f"The source advises {decided.by_source}. Measured here: {decided.measured}. "
    enough = threshold(estimates)
    words += f"Measured here, the cosine is at least 0.85 from Q = {enough:.2f} on." if enough is not None else ""
    return Chart(
        key="quality",
        title="What the quality Q foretells, and which attention to use",
        kind="scatter",
        x_title="Q = (λ_(k+1) − λ_k)/λ_N",
        y_title="Cosine; times as fast",
        y_unit="",
        series=tuple(s for s in drawn if s is not None),
        limits={"cosine promised for Q > 0.3": 0.85},
        marks={"Q = 0.1": paper.Q_MODERATE, "Q = 0.3": paper.Q_HIGH},
        alt="Cosine and speed of SSA for data sets of different cluster quality Q, with the source's thresholds at 0.1 and 0.3.",
        takeaway=words,
    )
