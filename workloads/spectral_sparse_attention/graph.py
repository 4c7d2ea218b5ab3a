"""The weighted graphs of dense attention and of SSA on the same tokens, stored as N × N matrices, for spectra.

Dense: W_ij = exp(q_i·k_j/√d − c), with one constant c for the whole graph, which leaves every normalised Laplacian as it is and keeps exp
from overflowing. SSA: the same weights on the edges that algorithm 2 keeps, 0 elsewhere; re-weighted, sampled edges count (N − |C|)/s
times. With q ≠ k, and for every graph with sampled edges, W is not symmetric. Where theory needs symmetry the graph is symmetrised,
(W + Wᵀ)/2: a departure from the source, whose algorithm 2 samples directed edges.
"""

from __future__ import annotations

import math

from torch import Tensor

from workloads.spectral_sparse_attention import reference
from workloads.spectral_sparse_attention.clustering import Clusters
from workloads.spectral_sparse_attention.sampling import Samples


def dense_weights(query: Tensor, key: Tensor, *, causal: bool = False) -> Tensor:
    """W [N, N] in float64 of dense attention, the largest weight 1. ``query``, ``key`` [N, d]."""
    scores = query.double() @ key.double().mT / math.sqrt(query.shape[-1])
    weights = (scores - scores.max()).exp_()
    return weights.tril_() if causal else weights


def sparse_weights(
    query: Tensor, key: Tensor, clusters: Clusters, samples: Samples, *, weighted: bool = False, causal: bool = False
) -> Tensor:
    """W̃ [N, N] in float64 of SSA: kept edges only. ``query``, ``key`` [N, d]; clusters and samples of this one problem."""
    table = reference.logits(query.double(), key.double(), clusters, samples, weighted=weighted, causal=causal)
    return (table - table.max()).exp_()


def symmetrised(weights: Tensor) -> Tensor:
    """(W + Wᵀ)/2."""
    return (weights + weights.mT) / 2


def normalised(weights: Tensor) -> Tensor:
    """D^−½ W D^−½ of a symmetric W: 1 minus its eigenvalues are those of the symmetric normalised Laplacian.

    Raises ValueError where a token has no edge at all.
    """
    degrees = weights.sum(1)
    if not bool((degrees > 0).all()):
        raise ValueError("a token has no edge: its row of the Laplacian is not defined")
    root = degrees.rsqrt()
    return weights * root[:, None] * root[None, :]


def transition(weights: Tensor) -> Tensor:
    """P = D⁻¹ W, the attention matrix itself: rows sum to 1."""
    return weights / weights.sum(1, keepdim=True)


def density(weights: Tensor) -> float:
    """Share of the N² edges that are kept."""
    return float((weights > 0).double().mean())
