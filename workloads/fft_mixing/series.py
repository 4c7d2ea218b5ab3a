"""How estimates become lines and bars in the figures of the FFT-Mix experiment. Light: the web server imports this."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Literal

from lab.records import Estimate, Scalar, Series
from workloads.fft_mixing.names import ATTENTION, FFT_MIX, LABELS, LIMITS, SDPA, SDPA_BACKENDS

Emphasis = Literal["technique", "baseline", "limit"]
FUSED_ATTENTION = "attention (fused, the fastest backend)"


def emphasis(arm: str) -> Emphasis:
    """How a line of this arm is drawn."""
    return "technique" if arm == FFT_MIX else "limit" if arm in LIMITS else "baseline"


def line_name(e: Estimate) -> str:
    """Arm and implementation in a reader's words; the backends of fused attention share one line, as each N has its fastest."""
    if e.arm == ATTENTION and (e.implementation in SDPA_BACKENDS or e.implementation == SDPA):
        return FUSED_ATTENTION
    if e.arm in LIMITS or e.arm not in (FFT_MIX, ATTENTION):
        return LABELS[e.arm]
    return f"{LABELS[e.arm]} ({LABELS.get(e.implementation, e.implementation)})"


def number(e: Estimate, dimension: str) -> int:
    """A dimension that counts something."""
    return int(e.dimensions[dimension])


def lines(
    estimates: Iterable[Estimate],
    dimension: str,
    *,
    name: Callable[[Estimate], str] = line_name,
    value: Callable[[Estimate, float], float] = lambda _, value: value,
) -> tuple[Series, ...]:
    """One line for each name over a dimension; ``value`` converts mean and interval ends of an estimate."""
    groups: dict[str, list[Estimate]] = {}
    for e in estimates:
        if e.mean is not None:
            groups.setdefault(name(e), []).append(e)
    found = []
    for title, rows in groups.items():
        rows.sort(key=lambda e: number(e, dimension))
        found.append(
            Series(
                title,
                tuple(number(e, dimension) for e in rows),
                tuple(_converted(e, e.mean, value) for e in rows),
                tuple(_converted(e, e.ci_low, value) for e in rows),
                tuple(_converted(e, e.ci_high, value) for e in rows),
                emphasis=emphasis(rows[0].arm),
            )
        )
    return tuple(found)


def bars(
    groups: dict[str, list[Estimate]],
    category: Callable[[Estimate], Scalar],
    value: Callable[[Estimate, float], float] = lambda _, value: value,
) -> tuple[Series, ...]:
    """One group of bars for each name."""
    return tuple(
        Series(
            title,
            tuple(category(e) for e in rows),
            tuple(_converted(e, e.mean, value) for e in rows),
            tuple(_converted(e, e.ci_low, value) for e in rows),
            tuple(_converted(e, e.ci_high, value) for e in rows),
            emphasis=emphasis(rows[0].arm),
        )
        for title, rows in groups.items()
        if rows
    )


def _converted(e: Estimate, number: float | None, value: Callable[[Estimate, float], float]) -> float | None:
    return None if number is None else value(e, number)


def with_value(estimates: Sequence[Estimate], statistic: str, metric: str, part: str) -> list[Estimate]:
    """The estimates of one part of a run that have a value."""
    return [e for e in estimates if (e.statistic, e.metric, e.dimensions["part"]) == (statistic, metric, part) and e.mean is not None]
