"""Takens' embedding of a loss curve, and the published score of it. NumPy only.

Embedding with delay τ in D dimensions: x_i = (l_i, l_(i+τ), …, l_(i+(D−1)τ)) (Takens 1981). Published score: of 500 points drawn at random,
the sorted pairwise distances; the share of gaps between neighbours in that order that exceed their mean by two standard deviations. It
looks at distances alone: it is no persistent homology, which :mod:`.homology` computes.
"""

from __future__ import annotations

import numpy as np

from lab.parameters import ParameterError

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


def drawn(cloud: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """``count`` of the points at random without repetition, all of them where there are fewer: [n, D] → [at most count, D]."""
    return cloud if len(cloud) <= count else cloud[rng.choice(len(cloud), count, replace=False)]


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


def ranks(values: np.ndarray) -> np.ndarray:
    """Rank of each value, 1 for the largest; equal ones share the mean of their ranks: [n] → [n]."""
    above = (values[None, :] > values[:, None]).sum(1)
    equal = (values[None, :] == values[:, None]).sum(1)
    return 1 + above + (equal - 1) / 2
