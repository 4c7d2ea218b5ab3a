"""What Spectral Sparse Attention must beat at equal density: no samples, random clusters, a sliding window, and the mean of the values.

No samples is ``sampling.shared(clusters, 0)``; random clusters are :func:`random_clusters` with the same samples. The sliding window has as
many edges as the clusters and samples it is compared with (:func:`edges_per_query`).
"""

from __future__ import annotations

import torch
from torch import Tensor

from workloads.spectral_sparse_attention.clustering import Clusters, check_cluster_count, clusters_of
from workloads.spectral_sparse_attention.reference import softmax_scale
from workloads.spectral_sparse_attention.sampling import Samples

QUERIES_AT_ONCE = 256


def random_clusters(like: Clusters, n_clusters: int | None = None, *, seed: int = 0) -> Clusters:
    """As many clusters as ``like`` has (or ``n_clusters``), of equal sizes up to one token, of tokens drawn at random."""
    shape, device = like.labels.shape, like.labels.device
    n_clusters = like.n_clusters if n_clusters is None else n_clusters
    check_cluster_count(n_clusters, shape[-1])
    generator = torch.Generator(device).manual_seed(seed)
    shuffle = torch.rand(shape, generator=generator, device=device).argsort(-1)
    return clusters_of(shuffle % n_clusters, n_clusters)


def edges_per_query(clusters: Clusters, samples: Samples, *, causal: bool = False) -> float:
    """Mean number of keys that a query attends to, over all queries and problems."""
    n = clusters.labels.shape[-1]
    sizes = clusters.sizes.double()
    inside = (sizes * (sizes + 1) / 2 if causal else sizes.square()).sum(-1) / n
    rows = samples.rows(clusters)
    keys = samples.keys.long()
    if not causal:
        drawn = (keys >= 0).sum(-1).gather(-1, rows)
        return float((inside + drawn.double().mean(-1)).mean())
    positions = torch.arange(n, device=keys.device)
    seen = torch.zeros_like(inside)
    for part in positions.split(QUERIES_AT_ONCE):
        mine = keys.gather(-2, rows[..., part, None].expand(*rows.shape[:-1], len(part), keys.shape[-1]))
        seen += ((mine >= 0) & (mine <= part[:, None])).sum((-1, -2))
    return float((inside + seen / n).mean())


def sliding_window(
    query: Tensor, key: Tensor, value: Tensor, keys_per_query: float, *, causal: bool = False, scale: float | None = None
) -> Tensor:
    """Attention to the nearest positions: [*, N, head_dim] → [*, N, head_dim].

    Position i sees i − b to i + a with a + b + 1 = ``keys_per_query`` rounded; a = 0 when causal. At the ends of the sequence the window
    keeps its width and leans inwards, when causal it is cut off.
    """
    n = query.shape[-2]
    width = min(n, max(1, round(keys_per_query)))
    factor = softmax_scale(query.shape[-1], scale)
    parts = []
    for first in range(0, n, QUERIES_AT_ONCE):
        positions = torch.arange(first, min(n, first + QUERIES_AT_ONCE), device=query.device)
        start = positions - (width - 1) if causal else (positions - width // 2).clamp(min=0, max=n - width)
        low, high = max(0, int(start[0])), min(n, int(start[-1]) + width)
        seen = torch.arange(low, high, device=query.device)
        hidden = (seen < start[:, None]) | (seen >= start[:, None] + width)
        logits = query[..., positions, :] @ key[..., low:high, :].mT * factor
        parts.append(logits.masked_fill(hidden, -torch.inf).softmax(-1) @ value[..., low:high, :])
    return torch.cat(parts, -2)


def mean_of_values(value: Tensor, *, causal: bool = False) -> Tensor:
    """Every query's output is the mean of all values, when causal of those up to it: [*, N, head_dim] → [*, N, head_dim]."""
    if not causal:
        return value.mean(-2, keepdim=True).expand_as(value)
    wide = value.to(torch.promote_types(value.dtype, torch.float32))
    counts = torch.arange(1, value.shape[-2] + 1, device=value.device, dtype=wide.dtype)[:, None]
    return (wide.cumsum(-2) / counts).to(value.dtype)
