"""What the activation experiment compares, and what a summary says of each claim. Light: the web server imports this."""

from __future__ import annotations

from collections.abc import Sequence

from lab.claims import Claim
from lab.energy import ENERGY
from lab.records import Comparison, Estimate, Measured, Protocol
from lab.shared_parameters import ITEM_BYTES
from workloads.activations.functions import FUNCTIONS
from workloads.activations.learning import findings as learning
from workloads.activations.learning.names import LABELS as LEARNING_LABELS
from workloads.activations.learning.names import PUBLISHED_LOSS
from workloads.activations.parameters import COPY, GELUS

COLD, PARTIAL, WARM = "cold", "partial", "warm"  # inputs rotate over 4× the cache; over less than that; the same input at every call
ROTATED = (COLD, PARTIAL)
FFN, FFN_WIDTHS = "ffn", "ffn_widths"  # passes: whole blocks with each activation; one activation at several widths
NO_ACTIVATION = "no_activation"  # the block's two products alone
LIMITS = (COPY, NO_ACTIVATION)  # what no activation can beat: compared with everything
STANDARD_WIDTH, EXACT_WIDTH = "width_4x", "width_exact"

COMPARISONS: tuple[Comparison, ...] = ("published", "best")
FRAMEWORK = "framework"  # PyTorch's CPU kernels, beside the published NumPy benchmark

SINGLE_KERNEL = ("compiled", "fused")  # implementations that make one pass over memory

LABELS = {
    **{name: function.title for name, function in FUNCTIONS.items()},
    "numpy": "NumPy, as published",
    "numpy_product": "NumPy, powers written as products",
    "framework": "PyTorch on the CPU",
    "eager": "PyTorch eager",
    "compiled": "torch.compile",
    "fused": "one own kernel",
    "literal": "expression as printed",
    "stated": "as the source states",
    NO_ACTIVATION: "no activation",
    STANDARD_WIDTH: "4× width",
    EXACT_WIDTH: "exact width",
    "width_64": "multiple of 64",
    "width_128": "multiple of 128",
    **LEARNING_LABELS,
}


def pairs(means: Sequence[Estimate]) -> list[tuple[Estimate, Estimate]]:
    """Which means of one cell are compared.

    Each function against each GELU of the same implementation and against the fastest GELU. Everything against the limit, which gives its
    share of it: a copy, or the block without activation, of the same implementation where there is one. In the published benchmark each
    function against every GELU, and each way of writing GELU against the published one, which takes the claimed ratio apart. Widths of a
    block against the standard width, and rounded ones against the exact one. Losses: ``workloads.activations.learning.findings``.
    """
    if any(mean.metric == PUBLISHED_LOSS for mean in means):
        return learning.pairs(means)
    timed = [mean for mean in means if mean.mean is not None]
    if any(mean.dimensions.get("pass") == FFN_WIDTHS for mean in timed):
        order = (STANDARD_WIDTH, EXACT_WIDTH)
        return [
            (mean, other) for other in timed if other.arm in order for mean in timed if mean.arm not in order[: order.index(other.arm) + 1]
        ]
    gelus = [mean for mean in timed if mean.arm in GELUS]
    limits = [mean for mean in timed if mean.arm in LIMITS]
    fastest = min(gelus, key=lambda mean: mean.mean or 0.0, default=None)
    chosen = []
    for mean in timed:
        if mean.arm in GELUS:
            chosen += [(mean, other) for other in gelus if other.implementation == "numpy" and mean.arm == other.arm and mean is not other]
        elif mean.arm not in LIMITS:
            chosen += [
                (mean, gelu)
                for gelu in gelus
                if gelu is fastest or gelu.implementation == mean.implementation or mean.protocol == "published"
            ]
        if mean.arm not in LIMITS:
            own = [limit for limit in limits if limit.implementation == mean.implementation]
            chosen += [(mean, limit) for limit in own or limits if own or limit.implementation == "eager"]
    return chosen


def _ratios(claim_arm: str, estimates: Sequence[Estimate], protocol: str) -> list[Estimate]:
    """Forward latency ratios of ``claim_arm`` against a GELU under ``protocol``, at the largest N (fp32 before narrower types).

    The published protocol is a NumPy benchmark: the framework's kernels, which it has beside it for comparison, are not part of it. The
    sound one rests on a cold cache, or the coldest that the machine allows: never on the same input at every call, nor on a whole FFN.
    """
    found = [
        e
        for e in estimates
        if (e.statistic, e.metric, e.protocol, e.arm) == ("ratio", "latency_s", protocol, claim_arm)
        and e.baseline_arm in GELUS
        and FRAMEWORK not in (e.implementation, e.baseline_implementation)
        and e.dimensions["pass"] == "forward"
        and (protocol == "published" or e.dimensions["cache"] in ROTATED)
        and e.mean is not None
    ]
    found = [e for e in found if e.dimensions["cache"] == COLD] or found
    if not found:
        return []
    largest = max(int(e.dimensions["elements"]) for e in found)
    found = [e for e in found if e.dimensions["elements"] == largest]
    dtype = min((e.dtype for e in found), key=list(ITEM_BYTES).index)
    return [e for e in found if e.dtype == dtype]


def same_cell(e: Estimate, like: Estimate) -> bool:
    """Whether two estimates were measured side by side."""
    return (e.protocol, e.device, e.dtype, e.dimensions, e.swept) == (like.protocol, like.device, like.dtype, like.dimensions, like.swept)


def _fastest(arms: tuple[str, ...], like: Estimate, estimates: Sequence[Estimate]) -> tuple[str, str]:
    """(arm, implementation) of the lowest mean forward latency among ``arms`` in the cell of ``like``."""
    means = [
        e
        for e in estimates
        if e.statistic == "mean"
        and e.metric == "latency_s"
        and e.arm in arms
        and e.implementation != FRAMEWORK
        and e.mean is not None
        and same_cell(e, like)
    ]
    best = min(means, key=lambda e: e.mean or 0.0)
    return best.arm, best.implementation


def _speed(claim: Claim, arm: str, estimates: Sequence[Estimate]) -> list[Measured]:
    measured = []
    for protocol in ("published", "sound"):
        ratios = _ratios(arm, estimates, protocol)
        if not ratios:
            reason = _why_no_ratio(arm, estimates) if protocol == "sound" else ""
            if reason:
                measured += [Measured(claim.id, "sound", comparison, "latency_s", None, reason=reason) for comparison in COMPARISONS]
            continue
        as_published = "numpy" if protocol == "published" else "eager"
        wanted = {"published": [e for e in ratios if (e.implementation, e.baseline_implementation) == (as_published, as_published)]}
        _, technique = _fastest((arm,), ratios[0], estimates)
        baseline = _fastest(GELUS, ratios[0], estimates)
        wanted["best"] = [e for e in ratios if e.implementation == technique and (e.baseline_arm, e.baseline_implementation) == baseline]
        for comparison, rows in wanted.items():
            missing = _left_out(arm, ratios[0], estimates) if (protocol, comparison) == ("sound", "best") else ""
            if missing:
                measured.append(Measured(claim.id, "sound", "best", "latency_s", None, reason=missing))
            elif rows:  # of two GELU forms the faster one is the baseline: the smallest ratio
                measured.append(_measured(claim, comparison, min(rows, key=lambda e: e.mean or 0.0), estimates))
    return measured


def _why_no_ratio(arm: str, estimates: Sequence[Estimate]) -> str:
    """Why the times that the run has of ``arm`` bear on no claim about the forward pass; "" where it has none."""
    timed = [e for e in estimates if (e.protocol, e.metric, e.arm) == ("sound", "latency_s", arm) and e.mean is not None]
    if any((e.dimensions["pass"], e.dimensions["cache"]) == ("forward", WARM) for e in timed):
        return "a verdict needs a cold cache, which this run leaves out"
    return "the claim speaks of the forward pass alone, which this run does not time" if timed else ""


def _left_out(arm: str, like: Estimate, estimates: Sequence[Estimate]) -> str:
    """Why the best of both sides in the cell of ``like`` is not known: neither side may be judged by its unfused expression alone."""
    for side in ((arm,), GELUS):
        rows = [e for e in estimates if (e.statistic, e.metric) == ("mean", "latency_s") and e.arm in side and same_cell(e, like)]
        single_kernels = [e for e in rows if e.implementation in SINGLE_KERNEL]
        if not any(e.mean is not None for e in single_kernels):
            why = "; ".join(dict.fromkeys(f"{LABELS[e.implementation]}: {e.reason}" for e in single_kernels)) or "this run leaves them out"
            return f"best against best needs a compiled or fused {LABELS[side[0]]} ({why})"
    return ""


def _joules(ratio: Estimate, estimates: Sequence[Estimate]) -> str:
    """The ratio of joules of the same pair in the same cell, in words; "" where they were not measured."""
    for e in estimates:
        pair = (e.arm, e.implementation, e.baseline_arm, e.baseline_implementation)
        if (e.statistic, e.metric) != ("ratio", ENERGY) or e.mean is None or e.ci_low is None or e.ci_high is None:
            continue
        if pair == (ratio.arm, ratio.implementation, ratio.baseline_arm, ratio.baseline_implementation) and same_cell(e, ratio):
            return f", energy ratio {e.mean:.3g} ({e.ci_low:.3g} to {e.ci_high:.3g})"
    return ""


def _measured(claim: Claim, comparison: str, ratio: Estimate, estimates: Sequence[Estimate]) -> Measured:
    on_gpu = ratio.device.startswith("cuda")
    return Measured(
        claim_id=claim.id,
        protocol=ratio.protocol,
        comparison=comparison,  # type: ignore[arg-type]
        metric=ratio.metric,
        value=ratio.mean,
        ci_low=ratio.ci_low,
        ci_high=ratio.ci_high,
        n=ratio.n,
        pair=f"{LABELS[ratio.arm]} ({LABELS[ratio.implementation]}) against {LABELS[ratio.baseline_arm]} "
        f"({LABELS[ratio.baseline_implementation]}), N = {ratio.dimensions['elements']:,}, {ratio.dtype}, {'GPU' if on_gpu else 'CPU'}"
        + (", the faster of the GELUs measured" if comparison == "best" else "")
        + (", interval widened for autocorrelation" if "autocorrelation" in ratio.reason else "")
        + (", inputs partly in the cache" if ratio.dimensions["cache"] == PARTIAL else "")
        + _joules(ratio, estimates),
        hardware_class="gpu" if on_gpu else "cpu",
        flaws=tuple(part for part in ratio.reason.split("; ") if part.startswith("drift")),
    )


def _exact(estimates: Sequence[Estimate], metric: str, arm: str, implementation: str) -> float | None:
    wanted = ("exact", metric, arm, implementation)
    return next((e.mean for e in estimates if (e.statistic, e.metric, e.arm, e.implementation) == wanted), None)


def _operations(claim: Claim, arm: str, estimates: Sequence[Estimate]) -> list[Measured]:
    """Reductions in percent: from the source's own counts, counted in the printed expressions, and leanest against leanest."""
    ways: tuple[tuple[Protocol, Comparison, str, tuple[str, ...], str], ...] = (
        ("published", "published", "stated", ("gelu_tanh",), "recomputed from the operations that the source states"),
        ("sound", "published", "literal", ("gelu_tanh",), "counted in the printed expressions"),
        ("sound", "best", "fewest", GELUS, "counted in the leanest expressions of both sides"),
    )
    measured = []
    for protocol, comparison, implementation, baselines, how in ways:
        technique = _exact(estimates, "operations_per_element", arm, implementation)
        counts = {name: _exact(estimates, "operations_per_element", name, implementation) for name in baselines}
        known = {name: value for name, value in counts.items() if value}
        if technique is None or not known:
            continue
        gelu = min(known, key=known.__getitem__)
        pair = f"{LABELS[arm]} {technique:g} against {LABELS[gelu]} {known[gelu]:g} per element ({how}; tanh, erf and exp count as one)"
        value = 100 * (1 - technique / known[gelu])
        measured.append(Measured(claim.id, protocol, comparison, "operations_per_element", value, n=1, exact=True, pair=pair))
    return measured


def _gating(claim: Claim, arm: str, estimates: Sequence[Estimate]) -> list[Measured]:
    metric = "minimum" if arm == "phi6" else "suppression"
    value = _exact(estimates, metric, arm, "literal")
    if value is None:
        return []
    pair = {
        "minimum": f"{LABELS[arm]}: smallest output over −6 ≤ x ≤ 6",
        "suppression": f"{LABELS[arm]}: 1 − (mean |output| over negative inputs / over positive ones), inputs standard normal",
    }[metric]
    return [Measured(claim.id, "sound", "published", metric, value, n=1, exact=True, pair=pair)]


def measure(claim: Claim, estimates: Sequence[Estimate]) -> list[Measured]:
    """What the summary of one run says of ``claim``."""
    match claim.id:
        case "act-speed-phi6":
            return _speed(claim, "phi6", estimates)
        case "act-speed-zeta":
            return _speed(claim, "zeta_ln2", estimates)
        case "act-flops-phi6":
            return _operations(claim, "phi6", estimates)
        case "act-flops-zeta":
            return _operations(claim, "zeta_ln2", estimates)
        case "act-gating-gelu":
            return _gating(claim, "gelu_erf", estimates)
        case "act-gating-zeta":
            return _gating(claim, "zeta_ln2", estimates)
        case "act-gating-phi6":
            return _gating(claim, "phi6", estimates)
        case "act-loss-phi6" | "act-loss-zeta" | "act-dropin":
            return learning.measure(claim, estimates)
        case _:
            return []
