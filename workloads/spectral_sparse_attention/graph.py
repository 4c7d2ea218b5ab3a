"""The weighted graphs of dense attention and of SSA on the same tokens, as N × N tables of logarithms, for spectra.

Dense: ln W_ij = q_i·k_j/√d. SSA: the same on the edges that algorithm 2 keeps, −∞ elsewhere; re-weighted, a sampled edge counts
(N − |C|)/s times. Logarithms, because exp of a score can overflow and every quantity below is a ratio of weights. With q ≠ k, and for every
graph with sampled edges, W is not symmetric. Where theory needs symmetry the graph is symmetrised, (W + Wᵀ)/2: a departure from the
source, whose algorithm 2 samples directed edges.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from workloads.spectral_sparse_attention import reference
from workloads.spectral_sparse_attention.clustering import Clusters
from workloads.spectral_sparse_attention.sampling import Samples


def dense_logits(query: Tensor, key: Tensor, *, causal: bool = False) -> Tensor:
    """ln W [N, N] in float64 of dense attention. ``query``, ``key`` [N, d]."""
    table = query.double() @ key.double().mT / math.sqrt(query.shape[-1])
    return table.masked_fill(torch.ones_like(table, dtype=torch.bool).triu_(1), -torch.inf) if causal else table


def sparse_logits(
    query: Tensor, key: Tensor, clusters: Clusters, samples: Samples, *, weighted: bool = False, causal: bool = False
) -> Tensor:
    """ln W̃ [N, N] in float64 of SSA, −∞ where there is no edge. ``query``, ``key`` [N, d]; clusters and samples of this one problem."""
    return reference.logits(query.double(), key.double(), clusters, samples, weighted=weighted, causal=causal)


def symmetrised(logits: Tensor) -> Tensor:
    """ln((W + Wᵀ)/2)."""
    return torch.logaddexp(logits, logits.mT) - math.log(2)


def normalised(logits: Tensor) -> Tensor:
    """D^−½ W D^−½ of a symmetric W: 1 minus its eigenvalues are those of the symmetric normalised Laplacian.

    Raises ValueError where a token has no edge at all.
    """
    degrees = logits.logsumexp(1)
    if not bool(degrees.isfinite().all()):
        raise ValueError("a token has no edge: its row of the Laplacian is not defined")
    return (logits - (degrees[:, None] + degrees[None, :]) / 2).exp()


def transition(logits: Tensor) -> Tensor:
    """P = D⁻¹ W, the attention matrix itself: rows sum to 1."""
    return logits.softmax(1)


def rarest(logits: Tensor) -> float:
    """ln π_min of the walk on a symmetric graph, whose stationary distribution is proportional to the degrees."""
    degrees = logits.logsumexp(1)
    return float(degrees.min() - degrees.logsumexp(0))


def density(logits: Tensor) -> float:
    """Share of the N² edges that are kept."""
    return float(logits.isfinite().double().mean())
