"""What the FFT-Mix experiment compares, and what a summary says of each claim. Light: the web server imports this."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from lab.claims import Claim
from lab.energy import ENERGY
from lab.records import Comparison, Estimate, Measured, Protocol
from workloads.fft_mixing import scaling
from workloads.fft_mixing.names import (
    ACCURACY_GAIN,
    ATTENTION,
    COUNT,
    EAGER,
    FFT_MIX,
    GAIN_HIGH,
    GAIN_LOW,
    GRID_FLAW,
    LABELS,
    LAYER,
    LIMITS,
    MODULE,
    PARAMETER_COUNT,
    PEERS,
    PUBLISHED_TRAINING,
    SOUND_TRAINING,
    TRAINING_STEP,
    UNTUNED_FLAW,
)
from workloads.fft_mixing.parameters import CLAIMED_SEQ_LENS

COMPARISONS: tuple[Comparison, ...] = ("published", "best")
AS_PUBLISHED = {FFT_MIX: EAGER, ATTENTION: MODULE}
PART_WORDS = {LAYER: "one layer", TRAINING_STEP: "one training step"}
NO_DATA, RANDOM = "no data", "random tokens"
NEVER_RUN = "the source estimated this figure from growth orders and never ran it: there is no published protocol to repeat"
NO_SPEED = "this run was not asked to measure speed"
NO_ACCURACY = "this run was not asked to measure accuracy"


def pairs(means: Sequence[Estimate]) -> list[tuple[Estimate, Estimate]]:
    """Which means of one cell are compared.

    FFT-Mix in each implementation against attention in each, and against its own published form; each peer against the fastest attention,
    and the fastest FFT-Mix against each peer; fused attention against the module that returns its weights, which is the part of a published
    ratio that no FFT-Mix is needed for.
    """
    timed = [mean for mean in means if mean.mean is not None and mean.arm not in LIMITS]
    own = [mean for mean in timed if mean.arm == FFT_MIX]
    attention = [mean for mean in timed if mean.arm == ATTENTION]
    peers = [mean for mean in timed if mean.arm in PEERS]
    chosen = [(mean, other) for mean in own for other in attention]
    chosen += [(mean, other) for mean in own for other in own if other.implementation == EAGER and mean is not other]
    chosen += [(mean, other) for mean in attention for other in attention if other.implementation == MODULE and mean is not other]
    # Of a metric that is better when higher (an accuracy) there is one implementation a side, so the lowest mean decides nothing.
    if attention:
        chosen += [(peer, min(attention, key=_mean)) for peer in peers]
    if own:
        chosen += [(min(own, key=_mean), peer) for peer in peers]
    return chosen


def _mean(e: Estimate) -> float:
    return e.mean or 0.0


def side(e: Estimate) -> str:
    """Arm and implementation in a reader's words."""
    return f"{LABELS[e.arm]} ({LABELS.get(e.implementation, e.implementation)})"


def same_cell(e: Estimate, like: Estimate) -> bool:
    """Whether two estimates were measured side by side."""
    return (e.protocol, e.device, e.dtype, e.dimensions, e.swept) == (like.protocol, like.device, like.dtype, like.dimensions, like.swept)


def ratio_of(comparison: Comparison, estimates: Sequence[Estimate], metric: str = "latency_s") -> Estimate | None:
    """The ratio of FFT-Mix against attention in one cell: as published, or the fastest of both sides by mean ``latency_s``."""
    ratios = [e for e in estimates if (e.statistic, e.metric, e.arm, e.baseline_arm) == ("ratio", metric, FFT_MIX, ATTENTION)]
    if comparison == "published":
        wanted = (AS_PUBLISHED[FFT_MIX], AS_PUBLISHED[ATTENTION])
    else:
        fastest = {arm: _fastest(arm, estimates) for arm in (FFT_MIX, ATTENTION)}
        wanted = (fastest[FFT_MIX], fastest[ATTENTION])
    return next((e for e in ratios if (e.implementation, e.baseline_implementation) == wanted and e.mean is not None), None)


def _fastest(arm: str, estimates: Sequence[Estimate]) -> str:
    rows = [e for e in estimates if (e.statistic, e.metric, e.arm) == ("mean", "latency_s", arm) and e.mean is not None]
    return min(rows, key=_mean).implementation if rows else ""


def measure(claim: Claim, estimates: Sequence[Estimate]) -> list[Measured]:
    """What the summary of one run says of ``claim``."""
    match claim.id:
        case "fft-acc":
            return _accuracy(claim, estimates)
        case "fft-params":
            return _parameters(claim, estimates)
        case "fft-speed":
            return _training_speed(claim, estimates)
        case "fft-speed-4096":
            return _layer_speed(claim, CLAIMED_SEQ_LENS[0], estimates)
        case "fft-speed-8192":
            return _layer_speed(claim, CLAIMED_SEQ_LENS[1], estimates)
        case "fft-order":
            return _order(claim, estimates)
        case _:
            return []


# --- speed ----------------------------------------------------------------------------------------------------------------------


def _training_speed(claim: Claim, estimates: Sequence[Estimate]) -> list[Measured]:
    steps = [e for e in estimates if e.dimensions["part"] == TRAINING_STEP]
    measured = []
    for protocol in ("published", "sound"):
        cell = [e for e in steps if e.protocol == protocol]
        for comparison in COMPARISONS:
            ratio = ratio_of(comparison, cell)
            if ratio is not None:
                measured.append(_of_ratio(claim, comparison, ratio, estimates))
            else:
                reason = _why(cell) if cell else (_why_no_sound_step(estimates) if steps else NO_SPEED)
                measured.append(Measured(claim.id, protocol, comparison, "latency_s", None, reason=reason))
    return measured


def _why_no_sound_step(estimates: Sequence[Estimate]) -> str:
    """Why there is a training step under the published protocol alone: the run was on a CPU, or left the GPU's step out."""
    if any(e.device.startswith("cuda") for e in estimates):
        return "this run leaves out the training step on the GPU: switch “Training step on the GPU” on"
    return "on a CPU the published protocol is this very training step"


def _why(cell: Sequence[Estimate]) -> str:
    reasons = dict.fromkeys(f"{side(e)}: {e.reason}" for e in cell if e.metric == "latency_s" and e.mean is None and e.reason)
    return "; ".join(reasons) or "a side of the comparison was not measured"


def _layer_speed(claim: Claim, seq_len: int, estimates: Sequence[Estimate]) -> list[Measured]:
    layers = [e for e in estimates if e.dimensions["part"] == LAYER]
    cell = [e for e in layers if e.dimensions["seq_len"] == seq_len]
    measured = [Measured(claim.id, "published", comparison, "latency_s", None, reason=NEVER_RUN) for comparison in COMPARISONS]
    for comparison in COMPARISONS:
        ratio = ratio_of(comparison, cell)
        if ratio is not None:
            measured.append(_of_ratio(claim, comparison, ratio, estimates))
        else:
            reason = _why(cell) if cell else (f"this run leaves out N = {seq_len:,}" if layers else NO_SPEED)
            measured.append(Measured(claim.id, "sound", comparison, "latency_s", None, reason=reason))
    return measured


def _of_ratio(claim: Claim, comparison: Comparison, ratio: Estimate, estimates: Sequence[Estimate]) -> Measured:
    on_gpu = ratio.device.startswith("cuda")
    d = ratio.dimensions
    where = f"N = {d['seq_len']:,}, {d['batch_size']} sequence{'s' if d['batch_size'] != 1 else ''}, d_model = {d['d_model']}"
    technique = replace(ratio, arm=ratio.arm)
    baseline = replace(ratio, arm=ratio.baseline_arm, implementation=ratio.baseline_implementation)
    return Measured(
        claim_id=claim.id,
        protocol=ratio.protocol,
        comparison=comparison,
        metric=ratio.metric,
        value=ratio.mean,
        ci_low=ratio.ci_low,
        ci_high=ratio.ci_high,
        n=ratio.n,
        pair=f"{side(technique)} against {side(baseline)}, {PART_WORDS[str(d['part'])]}, {d['pass'].replace('_', ' + ')}, "  # type: ignore[union-attr]
        f"{where}, {ratio.dtype}, {'GPU' if on_gpu else 'CPU'}"
        + (", the fastest of each side measured" if comparison == "best" else "")
        + (", interval widened for autocorrelation" if "autocorrelation" in ratio.reason else "")
        + _joules(ratio, estimates),
        hardware_class="gpu" if on_gpu else "cpu",
        data=RANDOM,
        flaws=tuple(part for part in ratio.reason.split("; ") if part.startswith("drift")),
    )


def _joules(ratio: Estimate, estimates: Sequence[Estimate]) -> str:
    """The ratio of joules of the same pair in the same cell, in words; "" where they were not measured."""
    for e in estimates:
        pair = (e.arm, e.implementation, e.baseline_arm, e.baseline_implementation)
        if (e.statistic, e.metric) != ("ratio", ENERGY) or e.mean is None or e.ci_low is None or e.ci_high is None:
            continue
        if pair == (ratio.arm, ratio.implementation, ratio.baseline_arm, ratio.baseline_implementation) and same_cell(e, ratio):
            return f", energy ratio {e.mean:.3g} ({e.ci_low:.3g} to {e.ci_high:.3g})"
    return ""


def _order(claim: Claim, estimates: Sequence[Estimate]) -> list[Measured]:
    """Exponents of time per sequence: as published, and the implementation that is the fastest at the largest N."""
    found = scaling.points(estimates)
    measured = [Measured(claim.id, "published", comparison, "exponent", None, reason=NEVER_RUN) for comparison in COMPARISONS]
    for comparison in COMPARISONS:
        own, other = (_arm_of(comparison, arm, found) for arm in (FFT_MIX, ATTENTION))
        if own is None:
            measured.append(Measured(claim.id, "sound", comparison, "exponent", None, reason=NO_SPEED))
            continue
        interval = scaling.exponent(found[own])
        used = [point for point in found[own] if not point.launch_bound]
        beside = scaling.exponent(found[other]) if other is not None else None
        pair = f"{LABELS[own[0]]} ({LABELS[own[1]]}), time per sequence at {len(used)} N"
        if len(used) > 1:
            ends = used[0].seq_len, used[-1].seq_len
            pair += f" from {ends[0]:,} to {ends[1]:,}, where linear is 1 and n log n {scaling.n_log_n_exponent(*ends):.2f}"
        if beside is not None and beside.mean is not None and other is not None:
            span = f" ({beside.low:.2f} to {beside.high:.2f})" if beside.low is not None and beside.high is not None else ""
            pair += f"; {LABELS[other[0]]} ({LABELS[other[1]]}): {beside.mean:.2f}{span}"
        measured.append(
            Measured(
                claim.id,
                "sound",
                comparison,
                "exponent",
                interval.mean,
                interval.low,
                interval.high,
                interval.n,
                pair=pair,
                data=RANDOM,
                reason=interval.reason if interval.mean is None else "",
            )
        )
    return measured


def _arm_of(comparison: Comparison, arm: str, found: dict[scaling.ArmKey, list[scaling.Point]]) -> scaling.ArmKey | None:
    keys = [key for key in found if key[0] == arm]
    if comparison == "published":
        return next((key for key in keys if key[1] == AS_PUBLISHED[arm]), None)
    return fastest_arm(arm, found)


def fastest_arm(arm: str, found: dict[scaling.ArmKey, list[scaling.Point]]) -> scaling.ArmKey | None:
    """The implementation of ``arm`` that was measured up to the largest N and is the fastest there."""
    keys = [key for key in found if key[0] == arm]
    if not keys:
        return None
    largest = max(found[key][-1].seq_len for key in keys)
    return min((key for key in keys if found[key][-1].seq_len == largest), key=lambda key: found[key][-1].sequence_s)


# --- parameters and accuracy --------------------------------------------------------------------------------------------------


def _parameters(claim: Claim, estimates: Sequence[Estimate]) -> list[Measured]:
    """Per cent fewer parameters, counted in the published architecture."""
    counts = {
        (e.arm, e.implementation): e.mean
        for e in estimates
        if (e.metric, e.statistic, e.dimensions["part"]) == (PARAMETER_COUNT, "exact", COUNT)
    }
    own, other = counts.get((FFT_MIX, "counted")), counts.get((ATTENTION, "counted"))
    stated, stated_other = counts.get((FFT_MIX, "stated")), counts.get((ATTENTION, "stated"))
    if own is None or not other:
        return []
    pair = f"{own:,.0f} against {other:,.0f} parameters, counted in the published architecture"
    if stated and other == stated_other:
        pair += f"; the source's {stated:,.0f} for FFT-Mix is not reached by it, while its count of the attention model is"
    value = 100 * (1 - own / other)
    return [Measured(claim.id, "published", "published", PARAMETER_COUNT, value, n=1, exact=True, pair=pair, data=NO_DATA)]


def _accuracy(claim: Claim, estimates: Sequence[Estimate]) -> list[Measured]:
    """Points of test accuracy on images: one seed as published; several and tuned learning rates in the sound protocol."""
    ways: tuple[tuple[Protocol, Comparison, str], ...] = (
        ("published", "published", PUBLISHED_TRAINING),
        ("sound", "best", SOUND_TRAINING),
    )
    measured = []
    for protocol, comparison, part in ways:
        gains = [e for e in _exact(estimates, ACCURACY_GAIN, part) if e.dimensions["task"] == "images"]
        if not gains:
            measured.append(Measured(claim.id, protocol, comparison, ACCURACY_GAIN, None, reason=_why_no_accuracy(part, estimates)))
        for gain in gains:
            ends = {
                name: next((e.mean for e in _exact(estimates, name, part) if e.dimensions == gain.dimensions), None)
                for name in (GAIN_LOW, GAIN_HIGH)
            }
            seeds, data = int(gain.dimensions["seeds"]), str(gain.dimensions["data"])
            measured.append(
                Measured(
                    claim.id,
                    protocol,
                    comparison,
                    ACCURACY_GAIN,
                    gain.mean,
                    ends[GAIN_LOW],
                    ends[GAIN_HIGH],
                    seeds,
                    pair=f"FFT-Mix against attention on {data}, {seeds} seed{'s' if seeds != 1 else ''} each",
                    data=data,
                    reason=gain.reason if gain.mean is None else "",
                    flaws=tuple(part for part in gain.reason.split("; ") if part.startswith((GRID_FLAW, UNTUNED_FLAW))),
                )
            )
    return measured


def _exact(estimates: Sequence[Estimate], metric: str, part: str) -> list[Estimate]:
    """The rows of FFT-Mix with this metric in one part of a run."""
    return [e for e in estimates if (e.statistic, e.metric, e.arm, e.dimensions["part"]) == ("exact", metric, FFT_MIX, part)]


def _why_no_accuracy(part: str, estimates: Sequence[Estimate]) -> str:
    if not any(e.dimensions["part"] in (PUBLISHED_TRAINING, SOUND_TRAINING) for e in estimates):
        return NO_ACCURACY
    if part == PUBLISHED_TRAINING:
        return "this run leaves the published training out (0 epochs)"
    return "this run trains on no images in the sound protocol: add the task “images”"
