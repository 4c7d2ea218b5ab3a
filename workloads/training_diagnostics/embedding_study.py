"""Which embedding dimension of a loss curve has the best score: the published one and persistent homology, beside null series."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence

import numpy as np

from lab.records import Event, Progress, Protocol, Record, Role, Scalar
from lab.statistics import LEVEL
from workloads.training_diagnostics import takens
from workloads.training_diagnostics.homology import persistence
from workloads.training_diagnostics.names import (
    CURVE,
    DRAWN,
    EMBEDDING,
    GAP_SCORE,
    H0_TOTAL,
    H1_EXCESS,
    H1_MAX,
    H1_TOTAL,
    RANKED,
    SCORES,
    dimensions_of,
    first_of,
    high,
    low,
    rank_of,
)
from workloads.training_diagnostics.nulls import NULLS, PHASES, surrogate
from workloads.training_diagnostics.parameters import TrainingDiagnosticsParameters

PUBLISHED_DELAY = 1
Scores = Mapping[str, np.ndarray]  # by name, each [dimensions]


def study(params: TrainingDiagnosticsParameters, curves: Mapping[int, np.ndarray], label: str) -> Generator[Event, None, None]:
    """Scores of all dimensions for the curve of each seed and its null series, which dimension is first, and the claimed one's rank."""
    found: dict[str, list[Scores]] = {arm: [] for arm in (CURVE, *NULLS)}
    for place, (seed, curve) in enumerate(curves.items()):
        rng = np.random.default_rng([params.seed, 2, seed])
        own = scores(curve, params, rng)
        nulls: dict[str, list[Scores]] = {}
        for done, kind in enumerate(NULLS, start=1):
            nulls[kind] = [scores(surrogate(kind, curve, rng), params, rng) for _ in range(params.surrogates)]
            yield Progress((place + done / len(NULLS)) / len(curves), f"embedding, run {place + 1} of {len(curves)}")
        own[H1_EXCESS] = 100 * (own[H1_TOTAL] / np.mean([scored[H1_TOTAL] for scored in nulls[PHASES]], axis=0) - 1)
        found[CURVE].append(own)
        for name, values in own.items():
            for dimension, value in zip(takens.DIMENSIONS, values, strict=True):
                yield _record(CURVE, name, name, float(f"{value:.6g}"), seed, data=label, dimension=dimension)
        for kind, scored in nulls.items():
            found[kind] += scored
    for kind in NULLS:
        yield from _band(kind, found[kind], label)
    for arm, scored in found.items():
        for name in RANKED:
            if scored and name in scored[0]:
                yield from _ranked(arm, name, np.stack([item[name] for item in scored]), label)


def scores(curve: np.ndarray, params: TrainingDiagnosticsParameters, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Every score of one series at every dimension.

    The published score draws its points anew for each dimension; persistence takes points at the same steps for all of them, so that
    dimensions differ by nothing else.
    """
    gaps, found = [], []
    kept = takens.drawn(len(takens.embed(curve, max(takens.DIMENSIONS), params.delay)), params.points, rng)
    for dimension in takens.DIMENSIONS:
        cloud = takens.embed(curve, dimension, PUBLISHED_DELAY)
        gaps.append(100 * takens.gap_score(cloud[takens.drawn(len(cloud), takens.POINTS, rng)]))
        found.append(persistence(takens.embed(curve, dimension, params.delay)[kept]))
    return {
        GAP_SCORE: np.array(gaps),
        H0_TOTAL: np.array([item.h0_total for item in found]),
        H1_TOTAL: np.array([item.h1_total for item in found]),
        H1_MAX: np.array([item.h1_max for item in found]),
    }


def _band(arm: str, found: Sequence[Scores], label: str) -> Generator[Record, None, None]:
    """Mean of each score over all null series of a kind, and the range that holds 95 % of them."""
    for name in SCORES if found else ():
        table = np.stack([scored[name] for scored in found])
        below, above = np.quantile(table, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
        for metric, values in ((name, table.mean(0)), (low(name), below), (high(name), above)):
            for dimension, value in zip(takens.DIMENSIONS, values, strict=True):
                yield _record(arm, name, metric, float(f"{value:.6g}"), None, data=label, dimension=dimension)


def _ranked(arm: str, name: str, table: np.ndarray, label: str) -> Generator[Record, None, None]:
    """How often each dimension is first by a score [series, D], and of the curves the claimed dimension's rank."""
    if name in DRAWN:
        for dimension, share in zip(takens.DIMENSIONS, takens.firsts(table), strict=True):
            yield _record(arm, name, first_of(name), 100 * float(share), None, data=label, dimension=dimension)
    if arm == CURVE:
        rank = takens.rank_interval(table, takens.DIMENSIONS.index(takens.CLAIMED))
        metrics = rank_of(name), low(rank_of(name)), high(rank_of(name))
        for metric, value in zip(metrics, (rank.mean, rank.low, rank.high), strict=True):
            yield _record(arm, name, metric, value, None, rank.reason, data=label, dimension=takens.CLAIMED)


def _record(arm: str, score: str, metric: str, value: float | None, seed: int | None, reason: str = "", **where: Scalar) -> Record:
    protocol: Protocol = "published" if score == GAP_SCORE else "sound"
    role: Role = "technique" if arm == CURVE else "baseline"
    implementation = "numpy" if score == GAP_SCORE else "gudhi"
    unit = "%" if (score in (GAP_SCORE, H1_EXCESS) and rank_of(score) not in metric) or metric == first_of(score) else "1"
    dimensions = dimensions_of(EMBEDDING, **where)
    return Record(
        protocol, arm, role, implementation, "cpu", "float64", metric, value, unit, seed=seed, reason=reason, dimensions=dimensions
    )
