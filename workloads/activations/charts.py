"""The figures of the activation experiment, as data, from a summary. Light: the web server imports this."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lab.records import Chart, Estimate, Series, StoredRecord
from workloads.activations import energy_charts, ffn_charts
from workloads.activations.costs import bytes_per_element
from workloads.activations.findings import LABELS, ROTATED, SINGLE_KERNEL, WARM
from workloads.activations.functions import FUNCTIONS, suppression
from workloads.activations.learning import charts as learning_charts
from workloads.activations.parameters import COPY, GELUS
from workloads.activations.series import bars, by_implementation, cell_text, kind, label, largest, rows_of

CURVE_X = np.linspace(-4.0, 4.0, 161)
TIMERS = {"latency_s": "Time per call, as a user feels it", "device_time_s": "Time per call on the device (graph replay)"}


def charts(estimates: Sequence[Estimate], records: Sequence[StoredRecord]) -> list[Chart]:
    """All figures that the summary has numbers for; the two of the functions themselves need no measurement."""
    found: list[Chart | None] = [*ffn_charts.charts(estimates), _ratios(estimates), *energy_charts.charts(estimates)]
    found += [_published_apart(estimates), _throughput(estimates)]
    found += [_time(estimates, metric) for metric in TIMERS]
    found += [_warm_against_cold(estimates)]
    found += [_counts_against_time(estimates), _peak_memory(estimates), *learning_charts.charts(estimates)]
    found += [_curves("value"), _curves("derivative"), _suppression()]
    return [chart for chart in found if chart is not None]


def _ratios(estimates: Sequence[Estimate]) -> Chart | None:
    ratios = largest([e for e in rows_of(estimates, "ratio", "latency_s") if e.baseline_arm in GELUS])
    ratios = [e for e in ratios if e.implementation == e.baseline_implementation]
    if not ratios:
        return None
    gelu = "gelu_tanh" if any(e.baseline_arm == "gelu_tanh" for e in ratios) else "gelu_erf"
    ratios = [e for e in ratios if e.baseline_arm == gelu]
    best = max(ratios, key=lambda e: e.mean or 0.0)
    return Chart(
        key="speed_ratio",
        title=f"Speed against {LABELS[gelu]}, each implementation against its own",
        kind="bar",
        x_title="Function",
        y_title="Times as fast as GELU",
        y_unit="×",
        series=bars(by_implementation(ratios)),
        limits={"GELU": 1.0, "claimed for Phi6Simple": 8.1},
        y_range=(0.0, max(9.0, 1.1 * (best.mean or 0.0))),
        alt=f"Speed ratio to {LABELS[gelu]} with 95 % intervals at {cell_text(best)}; the claim of 8.1 is drawn as a line.",
        takeaway=f"At {cell_text(best)}. Above 1 is faster than GELU in the same implementation.",
    )


def _published_apart(estimates: Sequence[Estimate]) -> Chart | None:
    times = [
        e
        for e in estimates
        if (e.protocol, e.statistic, e.metric) == ("published", "mean", "latency_s")
        and e.mean is not None
        and e.dimensions["pass"] == "forward"
    ]
    if not times:
        return None
    return Chart(
        key="published_apart",
        title="The published benchmark taken apart",
        kind="bar",
        x_title="Function",
        y_title="Time per call",
        y_unit="s",
        y_log=True,
        series=bars(by_implementation(times)),
        alt="Time per call of the published NumPy benchmark by function, as published, with powers written as products, and with PyTorch.",
        takeaway="One million fp32 numbers on the CPU. " + _cube_in_words(times),
    )


def _cube_in_words(times: Sequence[Estimate]) -> str:
    """What writing the cube as a product changes, from the measured means."""
    gelu = {e.implementation: e.mean for e in times if e.arm == "gelu_tanh"}
    power, product = gelu.get("numpy"), gelu.get("numpy_product")
    if not power or not product:
        return "NumPy evaluates the cube x**3 of GELU with a general power function."
    return f"GELU with its cube written x**3 took {power / product:.3g} times as long as written x·x·x, on this machine."


def rate(e: Estimate, seconds: float | None) -> float | None:
    """Effective throughput [B/s]: the fewest bytes that the cell of ``e`` must move, over ``seconds``."""
    moved = bytes_per_element(str(e.dimensions["pass"]), e.dtype) * int(e.dimensions["elements"])
    return moved / seconds if seconds and seconds > 0 else None


def _throughput(estimates: Sequence[Estimate]) -> Chart | None:
    times = largest(rows_of(estimates, "mean", "latency_s"))
    if not times:
        return None

    groups = by_implementation([e for e in times if e.arm != COPY])
    copy = next((e for e in times if e.arm == COPY), None)
    series = tuple(
        Series(
            name,
            tuple(LABELS[e.arm] for e in rows),
            tuple(rate(e, e.mean) for e in rows),
            tuple(rate(e, e.ci_high) for e in rows),
            tuple(rate(e, e.ci_low) for e in rows),
        )
        for name, rows in groups.items()
    )
    limits = {"copy of the same bytes": rate(copy, copy.mean) or 0.0} if copy else {}
    return Chart(
        key="throughput",
        title="Effective memory throughput",
        kind="bar",
        x_title="Function",
        y_title="Fewest bytes needed / time",
        y_unit="B/s",
        series=series,
        limits=limits,
        calibrated=("copy_bandwidth",),
        alt=f"Effective throughput at {cell_text(times[0])}, with the rate of a plain copy as the physical limit.",
        takeaway="A function that reaches the copy's rate cannot be made faster by needing fewer operations.",
    )


def _time(estimates: Sequence[Estimate], metric: str) -> Chart | None:
    times = rows_of(estimates, "mean", metric)
    sizes = sorted({int(e.dimensions["elements"]) for e in times})
    if len(sizes) < 2:
        times = largest(times)
        if not times or metric == "device_time_s":
            return None
        copy = next((e.mean for e in times if e.arm == COPY), None)
        limit = {"copy of the same bytes": copy} if copy else {}
        return Chart(
            key=metric,
            title=TIMERS[metric],
            kind="bar",
            x_title="Function",
            y_title="Time per call",
            y_unit="s",
            series=bars(by_implementation([e for e in times if e.arm != COPY])),
            limits=limit,
            alt=f"Time per call at {cell_text(times[0])}.",
        )
    dtype = times[0].dtype
    lines: dict[str, list[Estimate]] = {}
    for e in times:
        if e.dtype == dtype:
            lines.setdefault(label(e), []).append(e)
    for rows in lines.values():
        rows.sort(key=lambda e: int(e.dimensions["elements"]))
    series = tuple(
        Series(
            name,
            tuple(int(e.dimensions["elements"]) for e in rows),
            tuple(e.mean for e in rows),
            tuple(e.ci_low for e in rows),
            tuple(e.ci_high for e in rows),
            emphasis=kind(rows[0]),
        )
        for name, rows in lines.items()
    )
    return Chart(
        key=metric,
        title=TIMERS[metric] + f", {dtype}",
        kind="line",
        x_title="N",
        x_unit="elements",
        y_title="Time per call",
        y_unit="s",
        x_log=True,
        y_log=True,
        x_range=(float(sizes[0]), float(sizes[-1])),
        series=series,
        calibrated=("launch_overhead" if metric == "latency_s" else "launch_overhead_graph",),
        alt=f"Time per call against the number of elements, from {sizes[0]:,} to {sizes[-1]:,}, one line per function and implementation.",
        takeaway="Flat on the left: the cost of launching a call. Rising on the right: the cost of moving the bytes.",
    )


def _warm_against_cold(estimates: Sequence[Estimate]) -> Chart | None:
    """Throughput over N with warm and with rotating inputs: the copy, and the fastest kernel of a GELU and of Phi6Simple."""
    for metric in ("device_time_s", "latency_s"):
        times = rows_of(estimates, "mean", metric, caches=(*ROTATED, WARM))
        if {e.dimensions["cache"] == WARM for e in times} != {True, False}:
            continue
        shown = [e for arms in ((COPY,), GELUS, ("phi6",)) if (e := _fastest_at_largest(times, arms)) is not None]
        lines: dict[str, list[Estimate]] = {}
        for chosen in shown:
            for warm in (False, True):
                name = f"{label(chosen)}, {'same input' if warm else 'rotating inputs'}"
                rows = [e for e in times if (e.arm, e.implementation, e.dtype) == (chosen.arm, chosen.implementation, chosen.dtype)]
                rows = [e for e in rows if (e.dimensions["cache"] == WARM) == warm]
                lines[name] = sorted(rows, key=lambda e: int(e.dimensions["elements"]))
        sizes = sorted({int(e.dimensions["elements"]) for rows in lines.values() for e in rows})
        return Chart(
            key="warm_against_cold",
            title=f"Warm against cold cache: {TIMERS[metric][0].lower() + TIMERS[metric][1:]}",
            kind="line" if len(sizes) > 1 else "bar",
            x_title="N",
            x_unit="elements",
            y_title="Fewest bytes needed / time",
            y_unit="B/s",
            x_log=len(sizes) > 1,
            y_log=True,
            x_range=(float(sizes[0]), float(sizes[-1])) if len(sizes) > 1 else None,
            series=tuple(
                Series(
                    name,
                    tuple(int(e.dimensions["elements"]) for e in rows),
                    tuple(rate(e, e.mean) for e in rows),
                    tuple(rate(e, e.ci_high) for e in rows),
                    tuple(rate(e, e.ci_low) for e in rows),
                    emphasis=kind(rows[0]),
                )
                for name, rows in lines.items()
                if rows
            ),
            calibrated=("copy_bandwidth",),
            alt="Effective throughput against the number of elements, with the same input at every call and with inputs that rotate "
            "through four times the cache.",
            takeaway="Where the two part, the tensor fits the cache and a repeated call never waits for memory. In a model the input comes "
            "from other work, so verdicts rest on the rotating inputs.",
        )
    return None


def _fastest_at_largest(times: Sequence[Estimate], arms: tuple[str, ...]) -> Estimate | None:
    rotated = largest([e for e in times if e.dimensions["cache"] != WARM])
    return min((e for e in rotated if e.arm in arms), key=lambda e: e.mean or 0.0, default=None)


def _counts_against_time(estimates: Sequence[Estimate]) -> Chart | None:
    """Operations, bytes and best measured time of each function as a share of GELU's: what '71 % fewer FLOPs' buys."""
    times = largest(rows_of(estimates, "mean", "latency_s"))
    best: dict[str, Estimate] = {}
    for e in times:
        if e.arm not in best or (e.mean or 0.0) < (best[e.arm].mean or 0.0):
            best[e.arm] = e
    arms = [arm for arm in best if arm not in (*GELUS, COPY)]
    gelu = min((e for e in best.values() if e.arm in GELUS), key=lambda e: e.mean or 0.0, default=None)
    if gelu is None or not arms:
        return None
    names = tuple(LABELS[arm] for arm in arms)
    fused = all(best[arm].implementation in SINGLE_KERNEL for arm in arms)

    def share(implementation: str) -> tuple[float | None, ...]:
        wanted = ("operations_per_element", implementation)
        counts = {e.arm: e.mean for e in estimates if (e.metric, e.implementation) == wanted}
        base = counts.get("gelu_tanh")  # the form whose operations the sources count
        return tuple(100 * count / base if base and (count := counts.get(arm)) is not None else None for arm in arms)

    return Chart(
        key="counts_against_time",
        title="Operations, bytes and time, as a share of GELU's",
        kind="bar",
        x_title="Function",
        y_title="Share of GELU",
        y_unit="%",
        series=(
            Series("operations, as the source states", names, share("stated")),
            Series("operations, counted", names, share("literal")),
            Series("fewest bytes any form must move", names, tuple(100.0 for _ in arms), emphasis="limit"),
            Series(
                f"time, {'fastest of each side' if fused else 'unfused expressions'}",
                names,
                tuple(100 * (best[arm].mean or 0.0) / (gelu.mean or 1.0) for arm in arms),
            ),
        ),
        limits={"GELU": 100.0},
        alt=f"For each function its operations, bytes and measured time relative to GELU at {cell_text(times[0])}.",
        takeaway=f"At {cell_text(times[0])}. Every elementwise function must read and write the same bytes; where memory is the "
        "limit, fewer operations save no time.",
    )


def _peak_memory(estimates: Sequence[Estimate]) -> Chart | None:
    peaks = largest(rows_of(estimates, "exact", "peak_memory_bytes", caches=(*ROTATED, WARM)))
    if not peaks:
        return None
    return Chart(
        key="peak_memory",
        title="Peak memory of one call, above its inputs",
        kind="bar",
        x_title="Function",
        y_title="Peak allocated",
        y_unit="B",
        series=bars(by_implementation(peaks)),
        alt=f"Peak allocated bytes of one call at {cell_text(peaks[0])}.",
        takeaway="An expression written as several tensor operations holds its intermediate results; one kernel does not.",
    )


def _curves(what: str) -> Chart:
    shown = [f for name, f in FUNCTIONS.items() if name in ("gelu_erf", "relu", "phi6", "zeta_ln2")]
    x = tuple(float(v) for v in CURVE_X)
    series = tuple(
        Series(
            f.title,
            x,
            tuple(float(v) for v in (f.value if what == "value" else f.derivative)(CURVE_X)),
            emphasis="baseline" if f.name in ("gelu_erf", "relu") else "technique",
        )
        for f in shown
    )
    return Chart(
        key=f"curve_{what}",
        title="The functions" if what == "value" else "Their derivatives",
        kind="line",
        x_title="x",
        y_title="f(x)" if what == "value" else "f′(x)",
        y_unit="",
        series=series,
        x_range=(-4.0, 4.0),
        y_range=(-1.0, 5.0) if what == "value" else (-6.0, 6.0),
        alt="GELU and ReLU go to zero for negative inputs; Phi6Simple never falls below 0.75 and ZetaLn2 rises again left of its zero."
        if what == "value"
        else "The derivatives of GELU and ReLU vanish for negative inputs; those of Phi6Simple and ZetaLn2 are negative there.",
        takeaway="A gate stays near zero over negative inputs; touching zero at one point is not enough." if what == "value" else "",
    )


def _suppression() -> Chart:
    names = [name for name in FUNCTIONS if name != COPY]
    return Chart(
        key="suppression",
        title="How far each function closes for negative inputs",
        kind="bar",
        x_title="Function",
        y_title="Suppression of negative inputs",
        y_unit="",
        series=(Series("suppression", tuple(LABELS[n] for n in names), tuple(suppression(n) for n in names)),),
        limits={"perfect gate": 1.0, "no gate": 0.0},
        alt="Suppression of negative inputs: near 1 for ReLU, GELU and SiLU, below 0 for the quadratic functions.",
        takeaway="1 − mean |f(x)| over negative inputs / over positive ones, inputs standard normal: 1 closes, 0 passes both signs alike, "
        "below 0 passes negative inputs more.",
    )
