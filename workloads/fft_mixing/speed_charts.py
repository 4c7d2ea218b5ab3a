"""The figures of speed: ratios and times over N, exponents, crossovers, memory, joules, the training step. Light: no torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lab import formatting
from lab.energy import ENERGY, NET
from lab.records import Chart, Comparison, Estimate, Series
from workloads.fft_mixing import scaling
from workloads.fft_mixing.findings import AS_PUBLISHED, fastest_arm, ratio_of, side
from workloads.fft_mixing.names import ATTENTION, COPY, EAGER, FFT_MIX, FUSED, LABELS, LAYER, LIMITS, PEERS, PROJECTION, TRAINING_STEP
from workloads.fft_mixing.parameters import CLAIMED_SEQ_LENS
from workloads.fft_mixing.series import bars, lines, number, with_value

CLAIMED = dict(zip(CLAIMED_SEQ_LENS, (10.0, 20.0), strict=True))
CLAIMED_STEP = 3.06
FLOOR_NAMES = {EAGER: "FFT-Mix as published", FUSED: "FFT-Mix in one pass"}
PAIRS: dict[Comparison, str] = {
    "published": "as published: against the module returning its weights",
    "best": "best against best: against fused attention",
}


def charts(estimates: Sequence[Estimate]) -> list[Chart]:
    """All figures of speed that the summary has numbers for."""
    found = [
        _ratios(estimates),
        _time(estimates),
        _floor(estimates),
        _exponents(estimates),
        _training_step(estimates),
        _memory(estimates),
        _energy(estimates, ENERGY),
        _energy(estimates, NET),
        _device_time(estimates),
    ]
    return [chart for chart in found if chart is not None]


def cell_text(e: Estimate) -> str:
    """Which cell an estimate belongs to, in words, without N."""
    passes = str(e.dimensions["pass"]).replace("_", " + ")
    return f"d_model = {e.dimensions['d_model']}, {e.dtype}, {passes}, {'GPU' if e.device.startswith('cuda') else 'CPU'}"


def _cells(estimates: Sequence[Estimate], part: str = LAYER) -> dict[int, list[Estimate]]:
    """Estimates of one part by N."""
    cells: dict[int, list[Estimate]] = {}
    for e in estimates:
        if e.dimensions["part"] == part:
            cells.setdefault(number(e, "seq_len"), []).append(e)
    return dict(sorted(cells.items()))


def _axis(sizes: Sequence[int]) -> dict[str, Any]:
    """An axis of N: logarithmic, over exactly the N there are; nothing where there is only one."""
    if len(sizes) < 2:
        return {"kind": "bar"}
    return {"kind": "line", "x_log": True, "x_range": (float(min(sizes)), float(max(sizes)))}


def _ratios(estimates: Sequence[Estimate]) -> Chart | None:
    cells = _cells(estimates)
    found: list[Series] = []
    named: list[Estimate] = []
    for comparison, title in PAIRS.items():
        rows = [ratio for cell in cells.values() if (ratio := ratio_of(comparison, cell)) is not None]
        named += rows
        found += lines(rows, "seq_len", name=lambda _, title=title: title)  # type: ignore[misc]
    if not found:
        return None
    for peer in PEERS:
        rows = [e for e in with_value(estimates, "ratio", "latency_s", LAYER) if e.arm == peer and e.baseline_arm == ATTENTION]
        found += lines(rows, "seq_len", name=lambda e: f"{LABELS[e.arm]} against the fastest attention")
    sizes = sorted({int(x) for series in found for x in series.x})
    claimed = {n: value for n, value in CLAIMED.items() if min(sizes) <= n <= max(sizes)}
    if claimed:
        found.append(Series("claimed (estimated, never run)", tuple(claimed), tuple(claimed.values()), emphasis="baseline"))
    return Chart(
        key="speed_ratio",
        title="How many times as fast as attention, over N",
        x_title="N",
        x_unit="tokens",
        y_title="Times as fast as attention",
        y_unit="×",
        y_log=True,
        series=tuple(found),
        limits={"attention": 1.0},
        alt=f"Speed of a layer against attention over the sequence length, with 95 % intervals; {cell_text(named[0])}.",
        takeaway=_ratio_in_words(named) + " Above 1 is faster than attention.",
        **_axis(sizes),
    )


def _ratio_in_words(named: Sequence[Estimate]) -> str:
    """Both ratios at the largest N."""
    largest = max(number(e, "seq_len") for e in named)
    at = [e for e in named if number(e, "seq_len") == largest]
    words = [f"{formatting.number(e.mean or 0.0, 3)}× against {_key_name(_baseline(e))}" for e in at]
    return f"At N = {largest:,}, {cell_text(at[0])}: FFT-Mix {' and '.join(dict.fromkeys(words))}."


def _time(estimates: Sequence[Estimate]) -> Chart | None:
    """Time per sequence of every arm over N, with the limit and the crossovers."""
    rows = with_value(estimates, "mean", "latency_s", LAYER)
    if not rows:
        return None
    sizes = sorted({number(e, "seq_len") for e in rows})
    arms = [e for e in rows if e.arm not in LIMITS]
    found = list(lines(arms, "seq_len", value=lambda e, seconds: seconds / number(e, "batch_size")))
    found += _limit_line(rows)
    crossed = _crossovers(estimates)
    return Chart(
        key="time_per_sequence",
        title="Time of one layer per sequence",
        x_title="N",
        x_unit="tokens",
        y_title="Time per sequence",
        y_unit="s",
        y_log=True,
        series=tuple(found),
        marks={_crossover_name(c): c.seq_len for c in crossed},
        alt=f"Time of one layer per sequence over the sequence length by arm, with the limit; {cell_text(rows[0])}.",
        takeaway=f"At {cell_text(rows[0])}. {_crossovers_in_words(estimates, crossed)}",
        **_axis(sizes),
    )


def _limit_line(rows: Sequence[Estimate]) -> list[Series]:
    """What FFT-Mix cannot do without, per sequence: its projection and one pass over memory, both measured."""
    seconds: dict[int, dict[str, float]] = {}
    batch: dict[int, int] = {}
    for e in rows:
        if e.arm in LIMITS:
            seconds.setdefault(number(e, "seq_len"), {})[e.arm] = e.mean or 0.0
            batch[number(e, "seq_len")] = number(e, "batch_size")
    both = {n: parts[PROJECTION] + parts[COPY] for n, parts in sorted(seconds.items()) if len(parts) == len(LIMITS)}
    if not both:
        return []
    return [Series("limit: projection and one pass over memory", tuple(both), tuple(both[n] / batch[n] for n in both), emphasis="limit")]


def _pairs(found: dict[scaling.ArmKey, list[scaling.Point]]) -> list[tuple[scaling.ArmKey, scaling.ArmKey]]:
    """The pairs whose crossover is asked for: FFT-Mix against attention as published and best, peers against the best attention."""
    published = tuple((arm, AS_PUBLISHED[arm]) for arm in (FFT_MIX, ATTENTION))
    best = tuple(fastest_arm(arm, found) for arm in (FFT_MIX, ATTENTION))
    pairs = [pair for pair in (published, best) if None not in pair and all(key in found for key in pair)]
    if best[1] is not None:
        pairs += [(key, best[1]) for key in found if key[0] in PEERS]
    return list(dict.fromkeys(pairs))  # type: ignore[arg-type]


def _crossovers(estimates: Sequence[Estimate]) -> list[scaling.Crossover]:
    found = scaling.points(estimates)
    return [crossover for arm, other in _pairs(found) for crossover in scaling.crossovers(arm, other, found)]


def _key_name(key: scaling.ArmKey) -> str:
    return f"{LABELS[key[0]]} ({LABELS.get(key[1], key[1])})" if key[0] in (FFT_MIX, ATTENTION) else LABELS[key[0]]


def _baseline(e: Estimate) -> scaling.ArmKey:
    return e.baseline_arm, e.baseline_implementation


def _crossover_name(c: scaling.Crossover) -> str:
    """Short enough for a mark: whose crossover it is."""
    if c.arm[0] in PEERS:
        return f"{LABELS[c.arm[0]]} = attention"
    published = c.arm[1] == AS_PUBLISHED[c.arm[0]] and c.other[1] == AS_PUBLISHED[c.other[0]]
    return f"FFT-Mix = attention, {'as published' if published else 'best'}"


def _crossovers_in_words(estimates: Sequence[Estimate], crossed: Sequence[scaling.Crossover]) -> str:
    found = scaling.points(estimates)
    words = []
    for arm, other in _pairs(found):
        own = [c for c in crossed if (c.arm, c.other) == (arm, other)]
        names = f"{_key_name(arm)} and {_key_name(other)}"
        both = scaling.comparable(found[arm], found[other])
        if own:
            words += [
                f"{names} cross at N ≈ {round(c.seq_len):,} (between {c.below:,} and {c.above:,}); "
                f"{'beyond it the first is faster' if c.faster_beyond else 'beyond it the second is faster'}."
                for c in own
            ]
        elif len(both) > 1:
            first, second = both[-1]
            first_faster = first.sequence_s < second.sequence_s
            words.append(
                f"{names} do not cross between N = {both[0][0].seq_len:,} and {first.seq_len:,}: "
                f"{'the first' if first_faster else 'the second'} is faster throughout."
            )
    return " ".join(words)


def _floor(estimates: Sequence[Estimate]) -> Chart | None:
    """Each implementation of FFT-Mix beside the parts it cannot do without, at the largest N."""
    rows = with_value(estimates, "mean", "latency_s", LAYER)
    if not any(e.arm in LIMITS for e in rows):
        return None
    largest = max(number(e, "seq_len") for e in rows if e.arm in LIMITS)
    at = [e for e in rows if number(e, "seq_len") == largest]
    shown = [e for e in at if e.arm == FFT_MIX] + [e for e in at if e.arm in LIMITS]
    parts = {e.arm: e.mean or 0.0 for e in at if e.arm in LIMITS}
    limit = sum(parts.values())
    fastest = min((e.mean or 0.0 for e in at if e.arm == FFT_MIX), default=0.0)
    words = f"The fastest FFT-Mix reaches {100 * limit / fastest:.0f} % of the limit." if fastest else ""
    return Chart(
        key="floor",
        title=f"FFT-Mix and what it cannot do without, N = {largest:,}",
        kind="bar",
        x_title="Layer",
        y_title="Time per call",
        y_unit="s",
        series=bars({"time": shown}, lambda e: FLOOR_NAMES.get(e.implementation, e.implementation) if e.arm == FFT_MIX else LABELS[e.arm]),
        limits={"projection and one pass": limit},
        alt=f"Time per call of FFT-Mix in each implementation, of its projection alone and of one pass over memory, N = {largest:,}.",
        takeaway=words,
    )


def _exponents(estimates: Sequence[Estimate]) -> Chart | None:
    found = scaling.points(estimates)
    fitted = {key: scaling.exponent(points) for key, points in found.items() if key[0] not in LIMITS}
    fitted = {key: interval for key, interval in fitted.items() if interval.mean is not None and interval.low is not None}
    if not fitted:
        return None
    names = tuple(_key_name(key) for key in fitted)
    used = {key: [p for p in found[key] if not p.launch_bound] for key in fitted}
    spans = "; ".join(f"{_key_name(key)}: {len(points)} N from {points[0].seq_len:,}" for key, points in used.items())
    return Chart(
        key="exponents",
        title="How time per sequence grows with N",
        kind="bar",
        x_title="Layer",
        y_title="Exponent p of time ∝ N^p",
        y_unit="",
        series=(
            Series(
                "exponent",
                names,
                tuple(i.mean for i in fitted.values()),
                tuple(i.low for i in fitted.values()),
                tuple(i.high for i in fitted.values()),
            ),
        ),
        limits={"linear": 1.0, "n log n, claimed": 1.12, "n²": 2.0},
        y_range=(0.0, 2.4),
        alt="Exponents of time per sequence in the sequence length with 95 % intervals; lines at 1, 1.12 and 2.",
        takeaway="Fixed windows make FFT-Mix linear in N, not n log n. Attention is linear where its projections dominate and quadratic "
        f"beyond. Fitted to the N above the launch-bound region ({spans}).",
    )


def _training_step(estimates: Sequence[Estimate]) -> Chart | None:
    rows = with_value(estimates, "mean", "latency_s", TRAINING_STEP)
    if not rows:
        return None
    groups: dict[str, list[Estimate]] = {}
    for e in rows:
        how = "as published" if e.implementation == AS_PUBLISHED[e.arm] else "fast"
        groups.setdefault(f"{how}, {'GPU' if e.device.startswith('cuda') else 'CPU'}", []).append(e)
    on_cpu = [e for e in estimates if e.dimensions["part"] == TRAINING_STEP and e.protocol == "published"]
    words = []
    for comparison, title in PAIRS.items():
        ratio = ratio_of(comparison, on_cpu)
        if ratio is not None:
            words.append(f"{title.partition(':')[0]} {formatting.estimate(ratio.mean, ratio.ci_low, ratio.ci_high, '×')}")
    return Chart(
        key="training_step",
        title="Training step of the published models: 64 images of 28 tokens × 28 features",
        kind="bar",
        x_title="Mixer",
        y_title="Time per step",
        y_unit="s",
        y_log=len({e.device for e in rows}) > 1,
        series=bars(groups, lambda e: LABELS[e.arm]),
        alt="Time of one training step of the published models with FFT-Mix and with attention, by implementation and device.",
        takeaway=(f"FFT-Mix against attention on the CPU: {'; '.join(words)}. " if words else "")
        + f"The source states {CLAIMED_STEP}×. At 28 tokens neither mixer has much to compute.",
    )


def _memory(estimates: Sequence[Estimate]) -> Chart | None:
    rows = [e for e in with_value(estimates, "exact", "peak_memory_bytes", LAYER) if e.mean and e.arm not in LIMITS]
    if not rows:
        return None
    sizes = sorted({number(e, "seq_len") for e in rows})
    return Chart(
        key="memory",
        title="Peak memory of one layer per token, above its inputs",
        x_title="N",
        x_unit="tokens",
        y_title="Peak allocated per token",
        y_unit="B",
        y_log=True,
        series=lines(rows, "seq_len", value=lambda e, b: b / (number(e, "batch_size") * number(e, "seq_len"))),
        alt=f"Peak allocated bytes of one layer per token over the sequence length by arm; {cell_text(rows[0])}.",
        takeaway="Returning the attention weights means holding N numbers per token and head; fused attention never holds them.",
        **_axis(sizes),
    )


def _energy(estimates: Sequence[Estimate], metric: str) -> Chart | None:
    rows = with_value(estimates, "mean", metric, LAYER)
    if not rows:
        return None
    seq_len = max(number(e, "seq_len") for e in rows)
    rows = [e for e in rows if number(e, "seq_len") == seq_len]
    ratios = [
        e
        for e in with_value(estimates, "ratio", metric, LAYER)
        if e.baseline_arm == ATTENTION and e.arm == FFT_MIX and number(e, "seq_len") == seq_len
    ]
    words = "; ".join(
        f"{_key_name(_baseline(e))} needs {formatting.estimate(e.mean, e.ci_low, e.ci_high, '×')} the joules of {side(e)}" for e in ratios
    )
    title = "Energy of one call, all that the board draws" if metric == ENERGY else "Energy of one call above idle"
    return Chart(
        key=metric,
        title=f"{title}, N = {seq_len:,}",
        kind="bar",
        x_title="Layer",
        y_title="Energy per call",
        y_unit="J",
        series=bars(
            {
                "as published": [e for e in rows if e.implementation == AS_PUBLISHED[e.arm]],
                "fastest": [e for e in rows if e.implementation != AS_PUBLISHED[e.arm]],
            },
            lambda e: LABELS[e.arm],
        ),
        alt=f"{title} by layer with 95 % intervals at N = {seq_len:,}, {cell_text(rows[0])}.",
        takeaway=f"{words}." if words else "",
    )


def _device_time(estimates: Sequence[Estimate]) -> Chart | None:
    rows = with_value(estimates, "mean", "device_time_s", LAYER)
    if not rows:
        return None
    sizes = sorted({number(e, "seq_len") for e in rows})
    return Chart(
        key="device_time",
        title="Time per sequence on the device, where launching is not hidden (graph replay)",
        x_title="N",
        x_unit="tokens",
        y_title="Time per sequence",
        y_unit="s",
        y_log=True,
        series=lines(rows, "seq_len", value=lambda e, seconds: seconds / number(e, "batch_size")),
        alt=f"Time per sequence without launch overhead over the sequence length by arm; {cell_text(rows[0])}.",
        **_axis(sizes),
    )
