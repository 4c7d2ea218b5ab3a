"""Takens' embedding of a loss curve, and the published score of it. NumPy only.

Embedding with delay τ in D dimensions: x_i = (l_i, l_(i+τ), …, l_(i+(D−1)τ)) (Takens 1981). Published score: of 500 points drawn at random,
the sorted pairwise distances; the share of gaps between neighbours in that order that exceed their mean by two standard deviations. It
looks at distances alone: it is no persistent homology, which :mod:`.homology` computes.
"""

from __future__ import annotations

import numpy as np

from lab.parameters import ParameterError
from lab.statistics import LEVEL, MIN_OBSERVATIONS, TOO_FEW, Interval, student_t_quantile

DIMENSIONS = (4, 5, 6, 7, 8, 10)
CLAIMED = 6
POINTS = 500
DEVIATIONS = 2.0  # standard deviations above the mean that make a gap a wide one


def embed(losses: np.ndarray, dimension: int, delay: int = 1) -> np.ndarray:
    """The embedded points: [n] → [n − (dimension − 1)·delay, dimension]. Raises ParameterError where fewer than three are left."""
    points = len(losses) - (dimension - 1) * delay
    if points < 3:
        most = (len(losses) - 3) // max(1, dimension - 1)
        allowed = (
            f"at most {most} for {len(losses)} losses in {dimension} dimensions" if most else f"a curve of more than {len(losses)} losses"
        )
        raise ParameterError("delay", delay, allowed, "leaves fewer than three points")
    return np.lib.stride_tricks.sliding_window_view(losses, (dimension - 1) * delay + 1)[:, ::delay]


def drawn(available: int, count: int, rng: np.random.Generator) -> np.ndarray:
    """``count`` of ``available`` places at random without repetition, all of them where there are fewer: [at most count]."""
    return np.arange(available) if available <= count else rng.choice(available, count, replace=False)


def distances(points: np.ndarray) -> np.ndarray:
    """Euclidean distances of all pairs: [n, D] → [n (n − 1)/2]."""
    rows, columns = np.triu_indices(len(points), 1)
    squares = np.zeros(len(rows))
    for axis in np.ascontiguousarray(points.T):  # differences, not products: those cancel where the cloud lies far from 0
        squares += (axis[rows] - axis[columns]) ** 2
    return np.sqrt(squares)


def gap_score(points: np.ndarray) -> float:
    """The published score: share (0 to 1) of the gaps in the sorted distances above their mean + 2 standard deviations."""
    gaps = np.diff(np.sort(distances(points)))
    return float((gaps > gaps.mean() + DEVIATIONS * gaps.std()).mean())


def rank_interval(table: np.ndarray, place: int) -> Interval:
    """The rank of column ``place`` by mean score, 1 for the highest, with its 95 % interval: scores [seeds, D].

    From 1 + the number of columns that are higher, to D − the number that are lower, where higher and lower are paired t tests over the
    seeds at 5 % shared by the D − 1 comparisons (Bonferroni). The interval covers every such rank at once (Mogstad et al. 2024, Review of
    Economic Studies 91). A tie counts as half a rank. No interval below 5 seeds.
    """
    seeds, columns = table.shape
    means = table.mean(0)
    above, equal = int((means > means[place]).sum()), int((means == means[place]).sum()) - 1
    rank = 1 + above + equal / 2
    if seeds < MIN_OBSERVATIONS:
        return Interval(rank, None, None, seeds, TOO_FEW)
    others = np.delete(table, place, 1) - table[:, [place]]
    half = student_t_quantile(1 - (1 - LEVEL) / (2 * (columns - 1)), seeds - 1) * others.std(0, ddof=1) / seeds**0.5
    higher, lower = int((others.mean(0) - half > 0).sum()), int((others.mean(0) + half < 0).sum())
    return Interval(rank, float(1 + higher), float(columns - lower), seeds)


def firsts(table: np.ndarray) -> np.ndarray:
    """Share (0 to 1) of rows in which each column is the highest, ties shared: [series, D] → [D]."""
    best = table == table.max(1, keepdims=True)
    return (best / best.sum(1, keepdims=True)).mean(0)
