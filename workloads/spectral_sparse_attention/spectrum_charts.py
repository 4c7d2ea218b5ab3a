"""Figures of the spectra: eigenvalues while Lanczos converges, angles and their bound, mixing, attention in cluster order. Light."""

from __future__ import annotations

from collections.abc import Sequence

from lab.records import Chart, Estimate, Series
from workloads.spectral_sparse_attention.drawing import cell_text, grouped, line, sentence
from workloads.spectral_sparse_attention.findings import rows
from workloads.spectral_sparse_attention.series import BOUND, CONVERGENCE, DENSE, LABELS, MAP, REWEIGHTED, SPECTRUM, SSA

ARMS = (DENSE, SSA, REWEIGHTED)
LEAST_SHOWN = 1e-7  # an eigenvalue below is 0 within rounding: a logarithmic axis has no place for it


def charts(estimates: Sequence[Estimate]) -> list[Chart]:
    """Every figure of the spectra that the summary has numbers for."""
    found = [
        _eigenvalues(estimates),
        _convergence(estimates),
        _angles(estimates),
        _mixing(estimates),
        _directed(estimates),
        _map(estimates, DENSE),
        _map(estimates, SSA),
    ]
    return [chart for chart in found if chart is not None]


def _eigenvalues(estimates: Sequence[Estimate]) -> Chart | None:
    """λ_i against i: the means over data sets where there are any, before that the Ritz values of the latest Lanczos step."""
    drawn, first, live = [], None, False
    for arm in ARMS:
        points = [e for e in rows(estimates, SPECTRUM, "eigenvalue", arm=arm) if (e.mean or 0.0) > LEAST_SHOWN]
        name = LABELS[arm]
        if not points:
            ritz = rows(estimates, CONVERGENCE, "ritz_value", "exact", arm)
            last = max((int(e.dimensions["step"]) for e in ritz), default=0)
            points = [e for e in ritz if e.dimensions["step"] == last and (e.mean or 0.0) > LEAST_SHOWN]
            name, live = f"{LABELS[arm]}, Lanczos converging", live or bool(points)
        if points:
            first = first or points[0]
            drawn.append(line(name, points, "index"))
    if first is None:
        return None
    k = int(first.dimensions["clusters"])
    return Chart(
        key="eigenspectrum",
        title="Eigenspectrum of the symmetric normalised Laplacian",
        kind="line",
        x_title="i",
        y_title="λ_i",
        y_unit="",
        x_log=True,
        y_log=True,
        series=tuple(drawn),
        marks={f"k = {k}": float(k)},
        alt="Eigenvalues of the Laplacians of dense attention and of SSA against their index, on logarithmic axes, with k marked.",
        takeaway=f"{sentence(cell_text(first))}. λ₁ = 0 is not drawn. The graphs are symmetrised, (W + Wᵀ)/2, which algorithm 2 does not "
        "do. "
        "Not re-weighted, a sampled edge stands for itself alone: clusters held together by many weak edges come loose, λ₂ … λ_k fall.",
    )


def _convergence(estimates: Sequence[Estimate]) -> Chart | None:
    lines = [line(LABELS[arm], points, "step") for arm in ARMS if (points := rows(estimates, CONVERGENCE, "residual", "exact", arm))]
    if not lines:
        return None
    return Chart(
        key="lanczos",
        title="Block Lanczos converging on the leading eigenvalues",
        kind="line",
        x_title="Block step",
        y_title="Largest residual norm",
        y_unit="",
        y_log=True,
        series=tuple(lines),
        alt="The largest residual norm of the wanted Ritz values against the step of block Lanczos, for dense attention and SSA.",
        takeaway="Each Ritz value lies within its residual of an eigenvalue. The block is as wide as there are clusters, because the "
        "leading eigenvalues nearly coincide.",
    )


def _angles(estimates: Sequence[Estimate]) -> Chart | None:
    """sin Θ against s with the Davis–Kahan bound, for algorithm 2 and for true clusters with re-weighted samples."""
    drawn, exponents, vacuous, shown = [], [], [], 0
    for arm, how in ((SSA, "as published"), (REWEIGHTED, "true clusters")):
        points = rows(estimates, BOUND, "largest_sine", arm=arm)
        bounds = rows(estimates, BOUND, "sine_bound", arm=arm)
        if not points:
            continue
        drawn += [line(f"sine, {how}", points, "samples"), line(f"bound, {how}", bounds, "samples", "limit")]
        vacuous += [e for e in bounds if (e.mean or 0.0) >= 1]
        shown += len(bounds)
        fit = rows(estimates, BOUND, "sine_exponent", arm=arm)
        if fit and fit[0].ci_low is not None and fit[0].ci_high is not None:
            exponents.append(f"{how} {fit[0].mean:.2f} ({fit[0].ci_low:.2f} to {fit[0].ci_high:.2f})".replace("-", "−"))
    if not drawn:
        return None
    said = f"{len(vacuous)} of {shown} bounds are vacuous: 1 or more, which no sine exceeds. " if vacuous else ""
    return Chart(
        key="angles",
        title="Angle between the leading eigenspaces",
        kind="line",
        x_title="s",
        x_unit="samples",
        y_title="Sine, and its bound",
        y_unit="",
        x_log=True,
        y_log=True,
        series=tuple(drawn),
        limits={"vacuous from here": 1.0},
        alt="The sine of the angle between the leading eigenspaces of dense attention and SSA, and the Davis–Kahan bound, against s.",
        takeaway=f"{said}The sine is that of the largest angle, its bound 2‖E‖₂/δ_k; true clusters: the planted ones, samples re-weighted; "
        f"both graphs symmetrised. Fitted exponents of ‖sin Θ‖ (Frobenius) in s: {'; '.join(exponents)}. Claimed: −0.5."
        if exponents
        else said,
    )


def _mixing(estimates: Sequence[Estimate]) -> Chart | None:
    steps = rows(estimates, SPECTRUM, "mixing_time")
    bounds = rows(estimates, SPECTRUM, "mixing_bound")
    if not steps and not bounds:
        return None

    def bars(name: str, points: list[Estimate]) -> Series:
        return Series(
            name,
            tuple(LABELS[e.arm] for e in points),
            tuple(e.mean for e in points),
            tuple(e.ci_low if (e.ci_low or 0) > 0 else None for e in points),
            tuple(e.ci_high if (e.ci_low or 0) > 0 else None for e in points),
        )

    return Chart(
        key="mixing",
        title="Mixing time of the attention walk",
        kind="bar",
        x_title="Graph",
        y_title="Steps",
        y_unit="",
        y_log=True,
        series=tuple(bars(name, points) for name, points in (("the walk itself", steps), ("bound from λ₂", bounds)) if points),
        alt="Steps until the random walk of attention has mixed, for dense attention, SSA and SSA with re-weighted samples.",
        takeaway="Steps until the walk from the worst token is within 1 % of its stationary distribution: the directed walk itself, "
        "nothing "
        "symmetrised. The source says that SSA keeps it.",
    )


def _directed(estimates: Sequence[Estimate]) -> Chart | None:
    real = {int(e.dimensions["index"]): e.mean for e in rows(estimates, SPECTRUM, "directed_real", "exact")}
    imaginary = {int(e.dimensions["index"]): e.mean for e in rows(estimates, SPECTRUM, "directed_imaginary", "exact")}
    shown = [i for i in real if i in imaginary]
    if not shown:
        return None
    share = rows(estimates, SPECTRUM, "complex_share", "exact")
    bulk = f" Of all its eigenvalues {100 * (share[0].mean or 0.0):.0f} % are complex." if share else ""
    return Chart(
        key="directed",
        title="Eigenvalues of algorithm 2's own, directed graph",
        kind="scatter",
        x_title="Real part of λ",
        y_title="Imaginary part of λ",
        y_unit="",
        series=(
            Series(
                "SSA, directed",
                tuple(real[i] or 0.0 for i in shown),
                tuple(imaginary[i] for i in shown),
                labels=tuple(f"λ{i}" for i in shown),
            ),
        ),
        alt="Eigenvalues of the random-walk Laplacian of SSA's directed graph in the complex plane.",
        takeaway=f"Sampled edges go one way, so this Laplacian is not symmetric: the source's theorems do not speak of it.{bulk}",
    )


def _map(estimates: Sequence[Estimate], arm: str) -> Chart | None:
    cells = rows(estimates, MAP, "relative_attention", "exact", arm)
    if not cells:
        return None
    lines = []
    for row, points in sorted(grouped(cells, lambda e: f"{int(e.dimensions['index']):03d}").items()):
        ordered = sorted(points, key=lambda e: int(e.dimensions["step"]))
        lines.append(
            Series(str(int(row) + 1), tuple(int(e.dimensions["step"]) + 1 for e in ordered), tuple(e.mean or None for e in ordered))
        )
    return Chart(
        key=f"attention_map_{arm}",
        title=f"Attention in cluster order: {LABELS[arm]}",
        kind="heatmap",
        x_title="Keys, in cluster order",
        rows_title="Queries, in cluster order",
        y_title="Attention / uniform",
        y_unit="",
        y_log=True,
        series=tuple(lines),
        alt=f"Mean attention between {len(lines)} blocks of queries and keys in cluster order, as a multiple of uniform attention, "
        f"for {LABELS[arm]}.",
        takeaway=f"{sentence(cell_text(cells[0]))}; tokens sorted by their k-means cluster, first data set.",
    )
