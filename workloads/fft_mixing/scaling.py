"""What times over N say: exponents above the launch-bound region, where two lines cross, the floor of a layer. Light; no torch.

Definitions. **Time per sequence** is the time of a call over the sequences in its batch. The **exponent** p of time ∝ N^p is the slope of
the least-squares line through (log N, log time per sequence). A point counts as **launch-bound**, and is left out, where the call takes
less than three times what the same arm takes for one short sequence, as then launching operations and not N decides. The **crossover** of
two arms is the N where the line between two neighbouring measured points, straight in log N and log time per sequence, meets the other's.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from lab.records import Estimate
from lab.statistics import Interval, power_law_exponent
from workloads.fft_mixing.names import LAYER, SDPA, SDPA_BACKENDS, SMALLEST_CALL

LAUNCH_FACTOR = 3.0  # times the smallest call
DEVICE_TIME, LATENCY = "device_time_s", "latency_s"
ArmKey = tuple[str, str]


@dataclass(frozen=True)
class Point:
    """One arm at one N: seconds per call and per sequence, by which timer."""

    seq_len: int
    call_s: float
    sequence_s: float
    launch_bound: bool
    metric: str = LATENCY


@dataclass(frozen=True)
class Crossover:
    """Where ``arm`` becomes as fast as ``other``: ``seq_len`` interpolated between the neighbours ``below`` and ``above``.

    ``faster_beyond`` tells whether ``arm`` is the faster one beyond it.
    """

    arm: ArmKey
    other: ArmKey
    seq_len: float
    below: int
    above: int
    faster_beyond: bool


def layer_rows(estimates: Sequence[Estimate], statistic: str, metric: str) -> list[Estimate]:
    """The estimates of layers that have a value, by N."""
    rows = [e for e in estimates if (e.statistic, e.metric, e.dimensions["part"]) == (statistic, metric, LAYER) and e.mean is not None]
    return sorted(rows, key=lambda e: int(e.dimensions["seq_len"]))


def points(estimates: Sequence[Estimate]) -> dict[ArmKey, list[Point]]:
    """For each arm its points by N: time on the device where it was measured, else time per call.

    On a CPU, and where a call is so long that launching it is hidden, the two are the same. The backends of fused attention are one arm,
    as at each N the fastest of them was timed.
    """
    smallest = {(_key(e), int(e.dimensions["seq_len"])): e.mean for e in estimates if e.metric == SMALLEST_CALL and e.mean}
    times: dict[tuple[ArmKey, int], Estimate] = {}
    for metric in (LATENCY, DEVICE_TIME):  # the second replaces the first
        for e in layer_rows(estimates, "mean", metric):
            times[_key(e), int(e.dimensions["seq_len"])] = e
    found: dict[ArmKey, list[Point]] = {}
    for (key, seq_len), e in sorted(times.items(), key=lambda item: item[0][1]):
        call_s = e.mean or 0.0
        bound = e.metric == LATENCY and call_s < LAUNCH_FACTOR * (smallest.get((key, seq_len)) or 0.0)
        found.setdefault(key, []).append(Point(seq_len, call_s, call_s / int(e.dimensions["batch_size"]), bound, e.metric))
    return found


def _key(e: Estimate) -> ArmKey:
    return (e.arm, SDPA if e.implementation in SDPA_BACKENDS else e.implementation)


def exponent(arm: Sequence[Point]) -> Interval:
    """The exponent of time per sequence in N over the points that are not launch-bound; no interval below five of them."""
    used = [point for point in arm if not point.launch_bound]
    if len(used) < 2:
        return Interval(None, None, None, len(used), f"{len(used)} N above the launch-bound region: no exponent")
    return power_law_exponent([point.seq_len for point in used], [point.sequence_s for point in used])


def n_log_n_exponent(shortest: int, longest: int) -> float:
    """With which exponent n log n grows between two N: 1 + ln(ln b / ln a) / ln(b / a)."""
    return 1 + math.log(math.log(longest) / math.log(shortest)) / math.log(longest / shortest)


def comparable(first: Sequence[Point], second: Sequence[Point]) -> list[tuple[Point, Point]]:
    """The points of two arms at the N where their times mean the same: both by one timer, or the time per call not launch-bound."""
    others = {point.seq_len: point for point in second}
    pairs = [(point, others[point.seq_len]) for point in sorted(first, key=lambda point: point.seq_len) if point.seq_len in others]
    return [(a, b) for a, b in pairs if a.metric == b.metric or not (a.launch_bound or b.launch_bound)]


def crossovers(arm: ArmKey, other: ArmKey, found: dict[ArmKey, list[Point]]) -> list[Crossover]:
    """Every crossover of ``arm`` and ``other`` over the N at which both can be compared, shortest N first."""
    both = comparable(found.get(arm, ()), found.get(other, ()))
    common = [first.seq_len for first, _ in both]
    gains = [math.log(second.sequence_s / first.sequence_s) for first, second in both]  # > 0 where ``arm`` is the faster one
    crossed = []
    for (below, before), (above, after) in zip(zip(common, gains, strict=True), list(zip(common, gains, strict=True))[1:], strict=False):
        if (before < 0) != (after < 0):
            share = before / (before - after)
            seq_len = math.exp(math.log(below) + share * math.log(above / below))
            crossed.append(Crossover(arm, other, seq_len, below, above, after >= 0))
    return crossed
