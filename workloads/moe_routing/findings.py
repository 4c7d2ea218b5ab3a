"""What the mixture-of-experts experiment compares, and what a summary says of each claim. Light: the web server imports this."""

from __future__ import annotations

from collections.abc import Sequence

from lab import formatting
from lab.claims import Claim, HardwareClass
from lab.records import Estimate, Measured, Protocol
from workloads.moe_routing.names import (
    ACTIVE,
    BLOCK_ACTIVE,
    COUNT,
    DENSE_ACTIVE,
    DENSE_ACTIVE_SMALL,
    DENSE_TOTAL,
    EAGER,
    EGYPTIAN_LAYER,
    FINAL_LOSS,
    GAIN,
    INACTIVE,
    LABELS,
    LOAD_ENTROPY,
    LOSS,
    LOSS_REDUCTION,
    MIXTURES,
    RELATIVE_GAIN,
    ROUTING,
    SMALL,
    SMALL_ALIGNED,
    STANDARD,
    TEST_ACCURACY,
    TEST_LOSS,
    TRAIN_LOSS,
    high,
    low,
)
from workloads.moe_routing.parameters import PUBLISHED_STEPS
from workloads.moe_routing.routings import EGYPTIAN, EQUAL, ROUTINGS

DENSE_OF = {STANDARD: DENSE_ACTIVE, SMALL: DENSE_ACTIVE_SMALL, SMALL_ALIGNED: DENSE_ACTIVE_SMALL}  # of the same active operations
NO_ROUTING = "this run was not asked to measure routing under this protocol"
NO_DATA = "counted, no data set"
NO_LOSS = "this run was not asked to train character models under this protocol"
PROTOCOLS: tuple[Protocol, ...] = ("published", "sound")


def pairs(means: Sequence[Estimate]) -> list[tuple[Estimate, Estimate]]:
    """Which means of one cell are compared.

    Every routing against equal weights. Of layers: each mixture against the dense FFN of its own active operations and against that of all
    parameters; small experts against standard ones of the same implementation, and a rounded width against the published one; each
    implementation against the loop over experts. Of losses: everything against the standard experts.
    """
    found = [mean for mean in means if mean.mean is not None]
    if any(mean.arm in ROUTINGS for mean in found):
        return [(mean, other) for other in found if other.arm == EQUAL for mean in found if mean.arm != EQUAL]
    if any(mean.dimensions["part"] == LOSS for mean in found):
        return [(mean, other) for other in found if other.arm == STANDARD for mean in found if mean.arm != STANDARD]
    return [(mean, other) for mean in found for other in found if _compared(mean, other)]


def _compared(mean: Estimate, other: Estimate) -> bool:
    """Whether one timed layer is compared with another."""
    if mean.arm not in MIXTURES or mean is other:
        return False
    if other.arm in (DENSE_OF[mean.arm], DENSE_TOTAL):
        return True
    if mean.arm == other.arm:
        return other.implementation == EAGER
    wanted = {SMALL: STANDARD, SMALL_ALIGNED: SMALL}
    return other.arm == wanted.get(mean.arm) and other.implementation == mean.implementation


def measure(claim: Claim, estimates: Sequence[Estimate]) -> list[Measured]:
    """What the summary of one run says of ``claim``."""
    match claim.id:
        case "moe-egyptian":
            return [m for protocol in PROTOCOLS for m in _egyptian(claim, protocol, estimates)]
        case "moe-entropy":
            return [m for protocol in PROTOCOLS for m in _entropy(claim, protocol, estimates)]
        case "moe-active":
            return _active(claim, estimates)
        case "moe-loss":
            return [m for protocol in PROTOCOLS for m in _loss(claim, protocol, estimates)]
        case "moe-inactive":
            return _inactive(claim, estimates)
        case _:
            return []


def _rows(estimates: Sequence[Estimate], part: str, protocol: str, metric: str, arm: str, statistic: str = "") -> list[Estimate]:
    return [
        e
        for e in estimates
        if (e.dimensions["part"], e.protocol, e.metric, e.arm) == (part, protocol, metric, arm) and statistic in ("", e.statistic)
    ]


def hardware(e: Estimate) -> HardwareClass:
    """The hardware class of an estimate's device."""
    return "gpu" if e.device.startswith("cuda") else "cpu"


def _with_ends(claim: Claim, row: Estimate, last: Estimate | None, pair: str, estimates: Sequence[Estimate]) -> Measured:
    """A value that the experiment recorded together with the ends of its interval; ``last``: what it was computed from, after training."""
    beside = {
        e.metric: e
        for e in estimates
        if (e.protocol, e.arm, e.dimensions, e.swept, e.device) == (row.protocol, row.arm, row.dimensions, row.swept, row.device)
    }
    ends = [beside[name].mean if name in beside else None for name in (low(row.metric), high(row.metric))]
    return Measured(
        claim.id,
        row.protocol,
        "published" if row.protocol == "published" else "best",
        row.metric,
        row.mean,
        ends[0],
        ends[1],
        n=last.n if last is not None else 0,
        pair=pair,
        hardware_class=hardware(row),
        data=str(row.dimensions["data"]),
        reason=row.reason,
        flaws=tuple(filter(None, (str(row.dimensions["flaw"]), _other_length(last)))),
    )


def _other_length(last: Estimate | None) -> str:
    """What is wrong with the length of a training that ended with ``last``: in the published protocol any other, else a shorter one."""
    steps = int(last.dimensions["step"] or 0) if last is not None else PUBLISHED_STEPS
    other = last is not None and last.protocol == "published" and steps != PUBLISHED_STEPS
    return f"models were trained {steps:,} steps, not the published {PUBLISHED_STEPS}" if other or steps < PUBLISHED_STEPS else ""


def _egyptian(claim: Claim, protocol: Protocol, estimates: Sequence[Estimate]) -> list[Measured]:
    """Egyptian against equal weights, relative (the claim's figure); the pair says the absolute difference too."""
    found = _rows(estimates, ROUTING, protocol, RELATIVE_GAIN, EGYPTIAN)
    if not found:
        return [Measured(claim.id, protocol, "published", RELATIVE_GAIN, None, reason=NO_ROUTING)]
    measured = []
    for row in found:
        points = next((e for e in _rows(estimates, ROUTING, protocol, GAIN, EGYPTIAN) if _same(e, row)), None)
        accuracies = [_last(estimates, row, arm) for arm in (EGYPTIAN, EQUAL)]
        said = f"{LABELS[EGYPTIAN]} against {LABELS[EQUAL]} weights, {row.dimensions['data']}, {row.dimensions['experts']} experts"
        if all(e is not None and e.mean is not None for e in accuracies):
            said += ", test accuracy " + " against ".join(f"{e.mean:.2f} %" for e in accuracies if e is not None and e.mean is not None)
        if points is not None and points.mean is not None:
            said += f", which is {formatting.signed(points.mean)} points"
        measured.append(_with_ends(claim, row, accuracies[0], said, estimates))
    return measured


def _same(e: Estimate, like: Estimate) -> bool:
    """Whether two estimates belong to the same study of the same data in the same cell."""
    keys = ("part", "data", "experts")
    return (e.protocol, e.swept, e.device) == (like.protocol, like.swept, like.device) and all(
        e.dimensions[key] == like.dimensions[key] for key in keys
    )


def _last(estimates: Sequence[Estimate], like: Estimate, arm: str, metric: str = TEST_ACCURACY) -> Estimate | None:
    """The mean of ``metric`` of ``arm`` after the last step of the study of ``like``."""
    rows = [e for e in _rows(estimates, str(like.dimensions["part"]), like.protocol, metric, arm, "mean") if _same(e, like)]
    return max(rows, key=lambda e: int(e.dimensions["step"] or 0), default=None)


def _entropy(claim: Claim, protocol: Protocol, estimates: Sequence[Estimate]) -> list[Measured]:
    """Entropy of the Egyptian mixture's mean load after training; the pair says what it was before any training."""
    found = _rows(estimates, ROUTING, protocol, LOAD_ENTROPY, EGYPTIAN, "mean")
    studies: dict[tuple[object, ...], list[Estimate]] = {}
    for row in found:
        studies.setdefault((row.dimensions["data"], row.dimensions["experts"], tuple(row.swept.items())), []).append(row)
    if not studies:
        return [Measured(claim.id, protocol, "published", LOAD_ENTROPY, None, reason=NO_ROUTING)]
    measured = []
    for rows in studies.values():
        first, last = (choose(rows, key=lambda e: int(e.dimensions["step"])) for choose in (min, max))
        where = f"{last.dimensions['data']}, {last.dimensions['experts']} experts"
        said = f"{LABELS[EGYPTIAN]} weights, {where}, after {last.dimensions['step']} steps"
        if first is not last and first.mean is not None:
            said += f"; before any training, with routers drawn at random, it was {first.mean:.3f}"
        measured.append(
            Measured(
                claim.id,
                protocol,
                "published",
                LOAD_ENTROPY,
                last.mean,
                last.ci_low,
                last.ci_high if last.ci_high is None else min(last.ci_high, 1.0),  # no entropy lies above its maximum
                n=last.n,
                pair=said,
                hardware_class=hardware(last),
                data=str(last.dimensions["data"]),
                reason=last.reason,
                flaws=tuple(filter(None, (_other_length(last),))),
            )
        )
    return measured


def _exact(estimates: Sequence[Estimate], protocol: str, metric: str, arm: str) -> float | None:
    return next((e.mean for e in _rows(estimates, COUNT, protocol, metric, arm, "exact")), None)


def _active(claim: Claim, estimates: Sequence[Estimate]) -> list[Measured]:
    """Active parameters of the published layers, as the source counts them; the pair says what is left of it in a whole block."""
    layer, block = ([_exact(estimates, "published", metric, arm) for arm in (SMALL, STANDARD)] for metric in (ACTIVE, BLOCK_ACTIVE))
    if layer[0] is None or not layer[1] or block[0] is None or not block[1]:
        return []
    pair = (
        f"{layer[0]:,.0f} against {layer[1]:,.0f} active parameters per token (experts and router; d_model 64, top-2); with the block's "
        f"attention counted too, {block[0]:,.0f} against {block[1]:,.0f}, {100 * (1 - block[0] / block[1]):.1f} % fewer"
    )
    value = 100 * (1 - layer[0] / layer[1])
    return [Measured(claim.id, protocol, "published", ACTIVE, value, n=1, exact=True, pair=pair, data=NO_DATA) for protocol in PROTOCOLS]


def _inactive(claim: Claim, estimates: Sequence[Estimate]) -> list[Measured]:
    value = _exact(estimates, "published", INACTIVE, EGYPTIAN_LAYER)
    reason = "With more than three experts the share is set by how many are chosen, 1 − 3/E of them: no figure of the technique"
    return [
        Measured(
            claim.id,
            "published",
            "published",
            INACTIVE,
            value,
            n=1,
            exact=True,
            pair="All three experts have a weight above 0, so all of them run for every token",
            data=NO_DATA,
            reason="" if value is not None else "not counted",
        ),
        Measured(claim.id, "sound", "best", INACTIVE, None, reason=reason, data=NO_DATA),
    ]


def _loss(claim: Claim, protocol: Protocol, estimates: Sequence[Estimate]) -> list[Measured]:
    """Loss of small experts below that of standard ones, relative: on the training text as published, on held-out text if sound."""
    found = _rows(estimates, LOSS, protocol, LOSS_REDUCTION, SMALL)
    if not found:
        return [Measured(claim.id, protocol, "published", LOSS_REDUCTION, None, reason=NO_LOSS)]
    told, metric, what = (TRAIN_LOSS, FINAL_LOSS, "final training") if protocol == "published" else (TEST_LOSS, TEST_LOSS, "test")
    measured = []
    for row in found:
        losses = [_last(estimates, row, arm, metric) for arm in (SMALL, STANDARD)]
        said = f"{LABELS[SMALL]} against {LABELS[STANDARD]}, {row.dimensions['data']}"
        if all(e is not None and e.mean is not None for e in losses):
            said += f", {what} loss " + " against ".join(f"{e.mean:.4f}" for e in losses if e is not None and e.mean is not None) + " nats"
        measured.append(_with_ends(claim, row, _last(estimates, row, SMALL, told), said, estimates))
    return measured
