"""How estimates become lines, bars and points of the figures. Light: the web server imports this."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

from lab.records import Estimate, Scalar, Series
from workloads.spectral_sparse_attention.series import DENSE, LABELS, RIVALS

Emphasis = Literal["technique", "baseline", "limit"]


def emphasis(e: Estimate) -> Emphasis:
    """How an arm is drawn."""
    return "baseline" if e.arm == DENSE or e.arm in RIVALS else "technique"


def line(name: str, points: Sequence[Estimate], x: str, drawn: Emphasis | None = None) -> Series:
    """A line through estimates, ascending in their dimension ``x``."""
    ordered = sorted(points, key=lambda e: e.dimensions[x])
    return series(name, ordered, lambda e: e.dimensions[x], drawn)


def series(name: str, points: Sequence[Estimate], x: Callable[[Estimate], Scalar], drawn: Emphasis | None = None) -> Series:
    """A series through estimates in the order given."""
    return Series(
        name,
        tuple(x(e) for e in points),
        tuple(e.mean for e in points),
        tuple(e.ci_low for e in points),
        tuple(e.ci_high for e in points),
        emphasis=drawn or (emphasis(points[0]) if points else "technique"),
    )


def label(e: Estimate) -> str:
    """Arm and implementation in a reader's words."""
    return f"{LABELS.get(e.arm, e.arm)}, {LABELS.get(e.implementation, e.implementation)}"


def grouped(estimates: Sequence[Estimate], key: Callable[[Estimate], str]) -> dict[str, list[Estimate]]:
    """Estimates by a name, in the order in which the names appear."""
    groups: dict[str, list[Estimate]] = {}
    for e in estimates:
        groups.setdefault(key(e), []).append(e)
    return groups


def longest(estimates: Sequence[Estimate]) -> list[Estimate]:
    """The estimates at the largest N."""
    most = max((int(e.dimensions["seq_len"]) for e in estimates), default=0)
    return [e for e in estimates if e.dimensions["seq_len"] == most]


def sentence(text: str) -> str:
    """The text with a capital first letter."""
    return text[:1].upper() + text[1:]


def cell_text(e: Estimate) -> str:
    """Data, N, k and s of an estimate, in words."""
    d = e.dimensions
    return f"{DATA_LABELS.get(str(d['data']), d['data'])}, N = {d['seq_len']:,}, k = {d['clusters']:,}, s = {d['samples']:,}"


DATA_LABELS = {
    "planted": "planted clusters, q = k",
    "planted_qk": "planted clusters, q ≠ k",
    "unclustered": "unclustered data",
    "text": "real text",
}
