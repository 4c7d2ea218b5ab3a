"""Which embedding dimension of a loss curve has the best score: the published one and persistent homology, beside null series."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence

import numpy as np

from lab.records import Event, Progress, Protocol, Record, Role
from workloads.training_diagnostics import takens
from workloads.training_diagnostics.homology import persistence
from workloads.training_diagnostics.names import (
    CURVE,
    EMBEDDING,
    GAP_SCORE,
    H0_TOTAL,
    H1_EXCESS,
    H1_MAX,
    H1_TOTAL,
    RANKED,
    dimensions_of,
    rank_of,
)
from workloads.training_diagnostics.nulls import NULLS, PHASES, surrogate
from workloads.training_diagnostics.parameters import TrainingDiagnosticsParameters

PUBLISHED_DELAY = 1
Scores = Mapping[str, np.ndarray]  # by name, each [dimensions]


def study(params: TrainingDiagnosticsParameters, curves: Mapping[int, np.ndarray], label: str) -> Generator[Event, None, None]:
    """Scores and ranks of all dimensions for the curve of each seed, and the means of them over its null series."""
    for place, (seed, curve) in enumerate(curves.items()):
        rng = np.random.default_rng([params.seed, 2, seed])
        own = scores(curve, params, rng)
        nulls = {}
        for kind in NULLS:
            nulls[kind] = [scores(surrogate(kind, curve, rng), params, rng) for _ in range(params.surrogates)]
            yield Progress((place + (NULLS.index(kind) + 1) / len(NULLS)) / len(curves), f"embedding, run {place + 1} of {len(curves)}")
        yield from _told(CURVE, [{**own, H1_EXCESS: excess(own[H1_TOTAL], [null[H1_TOTAL] for null in nulls[PHASES]])}], seed, label)
        for kind, found in nulls.items():
            yield from _told(kind, found, seed, label)


def scores(curve: np.ndarray, params: TrainingDiagnosticsParameters, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Every score of one series at every dimension, from points drawn anew for each."""
    gaps, found = [], []
    for dimension in takens.DIMENSIONS:
        gaps.append(takens.gap_score(takens.drawn(takens.embed(curve, dimension, PUBLISHED_DELAY), takens.POINTS, rng)))
        found.append(persistence(takens.drawn(takens.embed(curve, dimension, params.delay), params.points, rng)))
    return {
        GAP_SCORE: np.array(gaps),
        H0_TOTAL: np.array([item.h0_total for item in found]),
        H1_TOTAL: np.array([item.h1_total for item in found]),
        H1_MAX: np.array([item.h1_max for item in found]),
    }


def excess(own: np.ndarray, nulls: Sequence[np.ndarray]) -> np.ndarray:
    """(score − mean of the nulls)/standard deviation of the nulls at each dimension: [D], n × [D] → [D]."""
    table = np.stack(nulls)
    return (own - table.mean(0)) / table.std(0, ddof=1)


def _told(arm: str, found: Sequence[Scores], seed: int, label: str) -> Generator[Record, None, None]:
    """The means over series of each score, and of each dimension's rank by it."""
    for name in found[0]:
        table = np.stack([scored[name] for scored in found])
        tables = {name: table} | ({rank_of(name): np.stack([takens.ranks(row) for row in table])} if name in RANKED else {})
        for metric, values in tables.items():
            for dimension, value in zip(takens.DIMENSIONS, values.mean(0), strict=True):
                if arm == CURVE or metric == name or dimension == takens.CLAIMED:
                    yield _record(arm, name, metric, float(value), seed, data=label, dimension=dimension)


def _record(arm: str, score: str, metric: str, value: float, seed: int, **where) -> Record:  # type: ignore[no-untyped-def]
    protocol: Protocol = "published" if score == GAP_SCORE else "sound"
    role: Role = "technique" if arm == CURVE else "baseline"
    implementation = "numpy" if score == GAP_SCORE else "gudhi"
    unit = "%" if metric == GAP_SCORE else "1"
    shown = 100 * value if metric == GAP_SCORE else value
    return Record(
        protocol, arm, role, implementation, "cpu", "float64", metric, shown, unit, seed=seed, dimensions=dimensions_of(EMBEDDING, **where)
    )
