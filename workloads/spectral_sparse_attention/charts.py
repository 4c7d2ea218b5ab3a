"""The figures of the SSA experiment, as data, from a summary. Light: the web server imports this."""

from __future__ import annotations

from collections.abc import Sequence

from lab.energy import ENERGY
from lab.records import Chart, Estimate, Series, StoredRecord
from workloads.spectral_sparse_attention import paper, spectrum_charts, table_charts, text_charts
from workloads.spectral_sparse_attention.drawing import cell_text, emphasis, grouped, label, line, longest, sentence, series
from workloads.spectral_sparse_attention.findings import best_pair, crossover, published_pair, rows
from workloads.spectral_sparse_attention.series import DENSE, FIDELITY, LABELS, RIVALS, SPEED, SPLIT, SSA, STEPS

GRADIENTS = {"gradient_cosine_q": "to the queries", "gradient_cosine_k": "to the keys", "gradient_cosine_v": "to the values"}


def charts(estimates: Sequence[Estimate], records: Sequence[StoredRecord]) -> list[Chart]:
    """All figures that the summary has numbers for."""
    found: list[Chart | None] = [_ratios(estimates), *spectrum_charts.charts(estimates)[:1]]
    found += [_times(estimates, metric) for metric in TIMES]
    found += [_cosines(estimates), _gradients(estimates)]
    found += spectrum_charts.charts(estimates)[1:]
    found += [*table_charts.charts(estimates), *text_charts.charts(estimates)]
    found += [_split(estimates), _memory(estimates), _joules(estimates)]
    return [chart for chart in found if chart is not None]


TIMES = {"latency_s": "Time per call, clustering included", "device_time_s": "Time per call on the device (graph replay)"}


def _times(estimates: Sequence[Estimate], metric: str) -> Chart | None:
    times = [e for e in rows(estimates, SPEED, metric) if e.arm in (SSA, DENSE)]
    lengths = sorted({int(e.dimensions["seq_len"]) for e in times})
    if not times or (metric == "device_time_s" and len(lengths) < 2):
        return None
    return Chart(
        key=metric,
        title=TIMES[metric],
        kind="line" if len(lengths) > 1 else "bar",
        x_title="N",
        x_unit="tokens",
        y_title="Time per call",
        y_unit="s",
        x_log=len(lengths) > 1,
        y_log=True,
        series=tuple(line(name, points, "seq_len") for name, points in grouped(times, label).items()),
        alt="Time per call of SSA and of dense attention against the sequence length, one line per implementation.",
        takeaway=f"In {times[0].dtype} on {times[0].device}. Dense attention grows as N²; what is left out at an N was too large or too "
        "slow "
        "there "
        "(raw data).",
    )


def _ratios(estimates: Sequence[Estimate]) -> Chart | None:
    """Speed as published and best against best, over N."""
    lengths = sorted({int(e.dimensions["seq_len"]) for e in rows(estimates, SPEED, "latency_s", "ratio")})
    drawn: list[Series] = []
    said = []
    for name, pair in (("as published: eager against naive", published_pair), ("best against best", best_pair)):
        points = [(n, e) for n in lengths if (e := pair(estimates, "latency_s", seq_len=n)) is not None]
        if not points:
            continue
        drawn.append(series(name, [e for _, e in points], lambda e: e.dimensions["seq_len"]))
        passed = crossover(points)
        at, last = points[-1]
        said.append(f"{name}, {last.mean:.3g}× at N = {at:,}" + (f", faster from about N = {passed[0]:,.0f} on" if passed else ""))
    if not drawn:
        return None
    published = {n: row.dense_s / row.ssa_s for n, row in paper.TABLE6.items()}
    drawn.append(Series("table 6 of the source", tuple(published), tuple(published.values()), emphasis="baseline"))
    return Chart(
        key="speed_ratio",
        title="Speed against dense attention",
        kind="line",
        x_title="N",
        x_unit="tokens",
        y_title="Times as fast as dense attention",
        y_unit="×",
        x_log=True,
        y_log=True,
        series=tuple(drawn),
        limits={"dense attention": 1.0},
        marks={"claimed crossover": paper.MIN_N},
        alt="How many times as fast as dense attention SSA is against N: as published, best against best, and the source's table.",
        takeaway=sentence(f"{'; '.join(said)}.") if said else "",
    )


def _cosines(estimates: Sequence[Estimate]) -> Chart | None:
    levels = _with_rivals([e for e in rows(estimates, FIDELITY, "output_cosine") if e.implementation == "reference"])
    if not levels:
        return None
    own = [e for e in levels if e.arm not in RIVALS]
    rivals = [e for e in levels if e.arm in RIVALS]
    groups = {"SSA": own, "rivals of equal density": rivals}
    density = rows(estimates, FIDELITY, "density", seq_len=levels[0].dimensions["seq_len"])
    kept = f" SSA keeps {100 * (density[0].mean or 0.0):.3g} % of the edges." if density else ""
    return Chart(
        key="fidelity",
        title="Cosine with the output of dense attention",
        kind="bar",
        x_title="Approximation",
        y_title="Cosine of the outputs",
        y_unit="",
        series=tuple(series(name, points, lambda e: LABELS[e.arm]) for name, points in groups.items() if points),
        limits={"claimed": 0.76},
        alt=f"Cosine of the outputs of SSA, its variants and its rivals with dense attention's, {cell_text(levels[0])}.",
        takeaway=f"{sentence(cell_text(levels[0]))}.{kept} Where a rival of equal density comes as near, the clusters add nothing.",
    )


def _with_rivals(levels: list[Estimate]) -> list[Estimate]:
    """Those at the longest sequence that has rivals; before there are any, at the longest."""
    lengths = {e.dimensions["seq_len"] for e in levels if e.arm in RIVALS}
    return longest([e for e in levels if e.dimensions["seq_len"] in lengths] or levels)


def _gradients(estimates: Sequence[Estimate]) -> Chart | None:
    levels = longest([e for metric in GRADIENTS for e in rows(estimates, FIDELITY, metric)])
    if not levels:
        return None
    lowest = min(e.ci_low if e.ci_low is not None else e.mean or 0.0 for e in levels)
    return Chart(
        key="gradients",
        title="Cosine of the true gradient",
        kind="bar",
        x_title="Gradient",
        y_title="Cosine with dense attention's gradient",
        y_unit="",
        series=tuple(
            series(name, points, lambda e: GRADIENTS[e.metric]) for name, points in grouped(levels, lambda e: LABELS[e.arm]).items()
        ),
        limits={"claimed": 0.76},
        y_range=(min(0.0, lowest), 1.0),
        alt="Cosine of the gradients to queries, keys and values of SSA with those of dense attention, for a random cotangent.",
        takeaway=f"{sentence(cell_text(levels[0]))}. The source calls the cosine of the outputs “gradient direction preservation”; this "
        "is the "
        "gradient.",
    )


def _split(estimates: Sequence[Estimate]) -> Chart | None:
    """What SSA's time is spent on, at the longest sequence of each implementation."""
    parts = [e for e in rows(estimates, SPLIT, "latency_s") if e.arm in STEPS]
    if not parts:
        return None
    groups = {}
    for implementation, points in grouped(parts, lambda e: e.implementation).items():
        at = longest(points)
        name = f"{LABELS.get(implementation, implementation)}, N = {int(at[0].dimensions['seq_len']):,}"
        groups[name] = sorted(at, key=lambda e: STEPS.index(e.arm))
    return Chart(
        key="split",
        title="What the time of SSA is spent on",
        kind="bar",
        x_title="Step",
        y_title="Time",
        y_unit="s",
        y_log=True,
        series=tuple(series(name, points, lambda e: e.arm, "technique") for name, points in groups.items()),
        alt="Time of projection, clustering, gathering of samples and attention, each alone.",
        takeaway="Each step timed alone on what the step before it gave; together they can take longer than the whole call.",
    )


def _memory(estimates: Sequence[Estimate]) -> Chart | None:
    peaks = [e for e in rows(estimates, SPEED, "peak_memory_bytes", "exact") if e.arm in (SSA, DENSE) and (e.mean or 0) > 0]
    lengths = {e.dimensions["seq_len"] for e in peaks}
    if not peaks:
        return None
    return Chart(
        key="peak_memory",
        title="Peak memory of one call, above its inputs",
        kind="line" if len(lengths) > 1 else "bar",
        x_title="N",
        x_unit="tokens",
        y_title="Peak allocated",
        y_unit="B",
        x_log=len(lengths) > 1,
        y_log=True,
        series=tuple(line(name, points, "seq_len") for name, points in grouped(peaks, label).items()),
        alt="Peak allocated bytes of one call of SSA and of dense attention against N.",
        takeaway="Naive attention stores N × N weights; fused attention and fused SSA hold memory in proportion to N.",
    )


def _joules(estimates: Sequence[Estimate]) -> Chart | None:
    joules = [e for e in rows(estimates, SPEED, ENERGY) if e.arm in (SSA, DENSE)]
    if not joules:
        return None
    ratios = [
        f"{e.mean:.3g}× ({e.ci_low:.3g} to {e.ci_high:.3g}) at N = {e.dimensions['seq_len']:,}"
        for e in rows(estimates, SPEED, ENERGY, "ratio", SSA)
        if e.ci_low is not None and e.ci_high is not None
    ]
    return Chart(
        key="energy",
        title="Energy of one call",
        kind="bar",
        x_title="N",
        y_title="Energy",
        y_unit="J",
        y_log=True,
        series=tuple(
            series(name, points, lambda e: f"{int(e.dimensions['seq_len']):,}", emphasis(points[0]))
            for name, points in grouped(joules, label).items()
        ),
        alt="Joules of one call of fused SSA and of the fastest dense attention.",
        takeaway=f"Less energy than dense attention: {'; '.join(ratios)}. Claimed at 131,072: 350×." if ratios else "",
    )
