"""Algorithm 2 of the paper, read literally: softmax over the edges within a cluster and the sampled ones.

    logits [*, N, N]: q·k · scale on an edge (+ ln of its weight where sampled edges are re-weighted), −∞ elsewhere
    output = softmax(logits) · V

Every variant is here, in any floating dtype, differentiable: sampled edges re-weighted or not (``weighted``), samples of each query's
own or shared by a row of queries (whatever ``Samples`` says), causal or not. It makes the dense table in parts of a few rows, so that it
needs time N² but not memory N², and serves as the truth for the faster versions.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from workloads.spectral_sparse_attention.clustering import Clusters
from workloads.spectral_sparse_attention.sampling import Samples

ENTRIES_AT_ONCE = 2**24  # of the table of logits


@dataclass(frozen=True)
class Attended:
    """What attention gives: ``output`` [*, N, value_dim] and ``log_sum_exp`` [*, N] of each query's logits (natural logarithm)."""

    output: Tensor
    log_sum_exp: Tensor


def softmax_scale(head_dim: int, scale: float | None) -> float:
    """``scale``, or 1/√head_dim where it is None."""
    return 1.0 / math.sqrt(head_dim) if scale is None else scale


def edge_bias(clusters: Clusters, samples: Samples, first: int, last: int, *, weighted: bool, causal: bool) -> Tensor:
    """What is added to the logits of queries ``first`` to ``last`` − 1: [*, last − first, N], float64.

    0 within the query's cluster, on a sampled edge ln(population / drawn) where ``weighted`` and else 0, −∞ where there is no edge.
    """
    labels = clusters.labels.long()
    n = labels.shape[-1]
    bias = torch.full((*labels.shape[:-1], last - first, n), -torch.inf, dtype=torch.float64, device=labels.device)
    rows = samples.rows(clusters)[..., first:last]
    keys = samples.keys.long().gather(-2, rows[..., None].expand(*rows.shape, samples.keys.shape[-1]))
    weight = samples.log_weight.gather(-1, rows) if weighted else torch.zeros(rows.shape, dtype=torch.float64, device=labels.device)
    # Places without a sample (−1) write into a column of their own, which is cut off.
    bias = torch.cat([bias, bias[..., :1]], -1)
    bias.scatter_(-1, torch.where(keys >= 0, keys, n), weight[..., None].expand_as(keys))
    bias = bias[..., :n].masked_fill_(labels[..., first:last, None] == labels[..., None, :], 0.0)
    if causal:
        positions = torch.arange(n, device=labels.device)
        bias.masked_fill_(positions > positions[first:last, None], -torch.inf)
    return bias


def logits(
    query: Tensor,
    key: Tensor,
    clusters: Clusters,
    samples: Samples,
    *,
    weighted: bool = False,
    causal: bool = False,
    scale: float | None = None,
    first: int = 0,
    last: int | None = None,
) -> Tensor:
    """The table of logits [*, last − first, N] of queries ``first`` to ``last`` − 1 (all where left out).

    W̃ of the paper is its exponential. Only for an N whose table fits into memory.
    """
    last = query.shape[-2] if last is None else last
    bias = edge_bias(clusters, samples, first, last, weighted=weighted, causal=causal)
    return query[..., first:last, :] @ key.mT * softmax_scale(query.shape[-1], scale) + bias.to(query.dtype)


def attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    clusters: Clusters,
    samples: Samples,
    *,
    weighted: bool = False,
    causal: bool = False,
    scale: float | None = None,
) -> Attended:
    """Algorithm 2, phase 4, at given clusters and samples.

    ``query``, ``key`` [*, N, head_dim], ``value`` [*, N, value_dim] of one floating dtype; ``clusters`` and ``samples`` with the same
    leading dimensions. ``weighted``: sampled edges count population / drawn times, (N − |C|)/s where not causal. ``causal``: no edge to a
    later position. ``scale``: of the dot products, 1/√head_dim where None. A query always has its own key, so that no row is empty.
    """
    n = query.shape[-2]
    step = max(1, ENTRIES_AT_ONCE // (n * max(1, clusters.labels[..., 0].numel())))
    outputs, normalisers = [], []
    for first in range(0, n, step):
        last = min(n, first + step)
        table = logits(query, key, clusters, samples, weighted=weighted, causal=causal, scale=scale, first=first, last=last)
        outputs.append(table.softmax(-1) @ value)
        normalisers.append(table.logsumexp(-1))
    return Attended(torch.cat(outputs, -2), torch.cat(normalisers, -1))
