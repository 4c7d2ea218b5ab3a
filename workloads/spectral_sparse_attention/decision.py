"""Which attention to use for a measured quality Q, by the source's thresholds and by what this run measured. Light."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lab.records import Estimate
from workloads.spectral_sparse_attention import paper
from workloads.spectral_sparse_attention.findings import best_pair, rows
from workloads.spectral_sparse_attention.series import DENSE, FIDELITY, QUALITY, SPECTRUM, SPEED, SSA

GOOD_COSINE = 0.85  # what the source promises of a well-clustered sequence


@dataclass(frozen=True)
class Decision:
    """What each advises: ``by_source`` and ``measured``, with the reason.

    ``quality``: Q of the run's data, measured at ``quality_n`` tokens. ``n``: the longest sequence, which is decided for.
    """

    quality: float
    quality_n: int
    n: int
    by_source: str
    measured: str


def by_source(q: float, n: int) -> str:
    """What the source's decision tree says (section 11.6.1, figure 4)."""
    if n <= paper.MIN_N:
        return f"dense attention, because N ≤ {paper.MIN_N:,}"
    if q > paper.Q_HIGH:
        return f"SSA with full sparsification, because Q > {paper.Q_HIGH}"
    if q < paper.Q_MODERATE:
        return f"dense attention, because Q < {paper.Q_MODERATE}"
    return f"a hybrid with less sparsification, because Q lies between {paper.Q_MODERATE} and {paper.Q_HIGH}"


def threshold(estimates: Sequence[Estimate]) -> float | None:
    """The smallest measured Q from which on every data set's cosine is at least 0.85; None where none is, or too little was measured."""
    quality = {e.dimensions["setting"]: e.mean or 0.0 for e in rows(estimates, QUALITY, "quality", arm=DENSE)}
    cosine = {e.dimensions["setting"]: e.mean or 0.0 for e in rows(estimates, QUALITY, "output_cosine", arm=SSA)}
    points = sorted((q, cosine[setting]) for setting, q in quality.items() if setting in cosine)
    good = None
    for q, c in reversed(points):
        if c < GOOD_COSINE:
            break
        good = q
    return good if len(points) > 1 else None


def decide(estimates: Sequence[Estimate]) -> Decision | None:
    """The decision for the run's own data, at its longest sequence; None before Q is measured."""
    levels = rows(estimates, SPECTRUM, "quality", arm=DENSE)
    if not levels:
        return None
    q = levels[0].mean or 0.0
    lengths = [int(e.dimensions["seq_len"]) for e in estimates if e.dimensions.get("part") == SPEED]
    n = max(lengths, default=int(levels[0].dimensions["seq_len"]))
    return Decision(q, int(levels[0].dimensions["seq_len"]), n, by_source(q, n), _measured(estimates, n))


def _measured(estimates: Sequence[Estimate], n: int) -> str:
    """SSA only where the fastest SSA is clearly faster than the fastest dense attention and its output is near enough."""
    ratio = best_pair(estimates, "latency_s", seq_len=n)
    cosines = rows(estimates, FIDELITY, "output_cosine", arm=SSA)
    if ratio is None or ratio.mean is None:
        return "nothing yet: the times of SSA and of dense attention are not measured"
    speed = f"the fastest SSA measured is {ratio.mean:.2g}× as fast as the fastest dense attention at N = {n:,}"
    if ratio.ci_low is None or ratio.ci_low <= 1:
        return f"dense attention, because {speed}"
    if not cosines:
        return f"SSA for speed ({speed}); its fidelity is not measured"
    nearest = max(cosines, key=lambda e: int(e.dimensions["seq_len"]))
    fidelity = f"the cosine of its output is {nearest.mean:.2f} at N = {nearest.dimensions['seq_len']:,}"
    if (nearest.mean or 0.0) < GOOD_COSINE:
        return f"dense attention, because {fidelity}, below {GOOD_COSINE}, although {speed}"
    return f"SSA, because {speed} and {fidelity}"
