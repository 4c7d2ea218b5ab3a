"""How estimates become bars, lines and their labels in the figures of the activation experiment. Light: the web server imports this."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Literal

from lab.records import Estimate, Scalar, Series
from workloads.activations.findings import LABELS, LIMITS, ROTATED
from workloads.activations.parameters import GELUS

ELEMENTWISE = ("forward", "forward_backward")
PASSES = {
    "forward": "forward",
    "forward_backward": "forward + backward",
    "derivative": "derivative",
    "ffn": "whole FFN",
    "ffn_widths": "whole FFN at several widths",
}


def rows_of(
    estimates: Sequence[Estimate], statistic: str, metric: str, passes: Iterable[str] = ELEMENTWISE, caches: Iterable[str] = ROTATED
) -> list[Estimate]:
    """The sound estimates of a metric that have a value, in the passes and caches wanted."""
    passes, caches = tuple(passes), tuple(caches)
    return [
        e
        for e in estimates
        if (e.protocol, e.statistic, e.metric) == ("sound", statistic, metric)
        and e.dimensions["pass"] in passes
        and e.dimensions["cache"] in caches
        and e.mean is not None
    ]


def largest(estimates: list[Estimate]) -> list[Estimate]:
    """The estimates of one cell: the most elements, of these the first data type, pass and swept values."""
    if not estimates:
        return []
    elements = max(int(e.dimensions["elements"]) for e in estimates)
    at_n = [e for e in estimates if e.dimensions["elements"] == elements]
    first = at_n[0]
    return [e for e in at_n if (e.dtype, e.dimensions["pass"], e.swept) == (first.dtype, first.dimensions["pass"], first.swept)]


def kind(e: Estimate) -> Literal["technique", "baseline", "limit"]:
    """How a line of this arm is drawn."""
    return "baseline" if e.arm in GELUS else "limit" if e.arm in LIMITS else "technique"


def label(e: Estimate) -> str:
    """Arm and implementation in a reader's words; a limit exists once."""
    return LABELS[e.arm] if e.arm in LIMITS else f"{LABELS[e.arm]}, {LABELS[e.implementation]}"


def cell_text(e: Estimate) -> str:
    """Which cell an estimate belongs to, in words."""
    return f"{int(e.dimensions['elements']):,} elements, {e.dtype}, {PASSES[str(e.dimensions['pass'])]}, {e.device}"


def by_implementation(estimates: Sequence[Estimate]) -> dict[str, list[Estimate]]:
    """Bar groups: one for each implementation, by its label."""
    groups: dict[str, list[Estimate]] = {}
    for e in estimates:
        groups.setdefault(LABELS[e.implementation], []).append(e)
    return groups


def bars(
    groups: dict[str, list[Estimate]],
    value: Callable[[float], float] = lambda value: value,
    category: Callable[[Estimate], Scalar] = lambda e: LABELS[e.arm],
) -> tuple[Series, ...]:
    """One bar group for each implementation. ``value`` converts mean and interval ends; where it falls with its argument they swap."""

    def ends(e: Estimate) -> tuple[float | None, float | None]:
        if e.ci_low is None or e.ci_high is None:
            return None, None
        low, high = sorted((value(e.ci_low), value(e.ci_high)))
        return low, high

    return tuple(
        Series(
            name,
            tuple(category(e) for e in rows),
            tuple(value(e.mean) if e.mean is not None else None for e in rows),
            tuple(ends(e)[0] for e in rows),
            tuple(ends(e)[1] for e in rows),
        )
        for name, rows in groups.items()
        if rows
    )
