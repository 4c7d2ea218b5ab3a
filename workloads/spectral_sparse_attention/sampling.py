"""Which keys outside its cluster each query attends to: algorithm 2, phase 3.

Samples are drawn without replacement (an edge is there or not), uniformly from a *population*: the keys outside the query's cluster and,
when causal, not after it. They belong to *rows*: with :func:`per_query` every query has a row of its own, as the paper says; with
:func:`shared` consecutive queries of one cluster, in the order of ``Clusters.order``, share one, which is what a GPU can read fast. When
causal the population of a shared row ends at its last query, and its earlier queries see fewer of the samples.

A draw is a pseudo-random permutation of the population, cut off after s elements: a bijection of b-bit numbers, 2ᵇ⁻¹ < population ≤ 2ᵇ,
applied again while the result is outside the population. No table is needed and any row can be drawn alone: the GPU's kernel computes the
same integers.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from lab.parameters import ParameterError
from workloads.spectral_sparse_attention.clustering import Clusters

QUERIES_PER_ROW = 128  # queries that share samples, where nothing else is asked for
MULTIPLIERS = (0x2C1B3C6D, 0x297A2D39, 0x5BD1E995)  # odd: multiplying by them is a bijection of b-bit numbers
SEED_MULTIPLIER = 0x27D4EB2F
WORD = 0xFFFFFFFF


@dataclass(frozen=True)
class Samples:
    """Sampled keys of each row.

    ``keys`` [*, R, s]: positions of the sampled keys of each row; min(s, population) of them, then −1. ``population`` [*, R]: how many keys
    the row was drawn from. ``queries_per_row``: how many queries share a row; 0 where every query has its own (R = N).
    """

    keys: Tensor
    population: Tensor
    queries_per_row: int

    @property
    def log_weight(self) -> Tensor:
        """ln(population / drawn) of each row [*, R], float64: what re-weighting adds to a sampled edge's logit; 0 where nothing was drawn.

        So that, over the draws, the expected sum over the sampled keys is the sum over all keys of the population.
        """
        drawn = self.population.clamp(max=self.keys.shape[-1])
        return torch.where(drawn > 0, (self.population.double() / drawn.clamp(min=1)).log(), 0.0)

    def rows(self, clusters: Clusters) -> Tensor:
        """The row of each query [*, N], given the clusters that the samples were drawn for."""
        labels, offsets = clusters.labels.long(), clusters.offsets.long()
        if not self.queries_per_row:
            return torch.arange(labels.shape[-1], device=labels.device).expand_as(labels)
        within = clusters.places - offsets.gather(-1, labels)
        return row_starts(clusters, self.queries_per_row).gather(-1, labels) + within // self.queries_per_row


def check_sample_count(n_samples: int, n_tokens: int) -> None:
    """Raises ParameterError naming ``s`` unless 0 ≤ ``n_samples`` ≤ ``n_tokens``."""
    if not 0 <= n_samples <= n_tokens:
        raise ParameterError("s", n_samples, f"0 to {n_tokens} samples for {n_tokens} tokens", "samples cannot be drawn")


def row_count(n_tokens: int, n_clusters: int, queries_per_row: int) -> int:
    """Shared rows enough for any cluster sizes: ⌊N / queries_per_row⌋ + k (the last ones stay unused)."""
    return n_tokens // queries_per_row + n_clusters


def row_starts(clusters: Clusters, queries_per_row: int) -> Tensor:
    """The first shared row of each cluster [*, k + 1]: cluster c has ⌈|C_c| / queries_per_row⌉ rows."""
    rows = (clusters.sizes.long() + queries_per_row - 1) // queries_per_row
    return torch.nn.functional.pad(rows.cumsum(-1), (1, 0))


def hashed(x: Tensor) -> Tensor:
    """32 mixed bits of each 32-bit number in ``x`` (int64): xor-shifts and odd multipliers, a bijection."""
    for shift, multiplier in ((16, MULTIPLIERS[0]), (12, MULTIPLIERS[1]), (15, MULTIPLIERS[2])):
        x = ((x ^ (x >> shift)) * multiplier) & WORD
    return x ^ (x >> 16)


def permuted(index: Tensor, population: Tensor, key: Tensor) -> Tensor:
    """π(index) for a pseudo-random permutation π of 0 … population − 1, one for each ``key``; all int64, broadcast together.

    ``key``: 32 random bits. ``index`` must be below ``population``.
    """
    index, population, key = torch.broadcast_tensors(index, population, key)
    bits = torch.ones_like(population)
    for b in range(1, 31):
        bits += population > (1 << b)
    mask = (torch.ones_like(bits) << bits) - 1
    shift = (bits + 1) // 2

    def shuffled(x: Tensor) -> Tensor:
        k = key
        for multiplier in MULTIPLIERS:
            x = ((x ^ k) * multiplier) & mask
            x = x ^ (x >> shift)
            k = hashed(k)
        return x

    x = shuffled(index)
    while bool((x >= population).any()):
        x = torch.where(x >= population, shuffled(x), x)
    return x


def outside_position(rank: Tensor, cluster: Tensor, clusters: Clusters) -> Tensor:
    """The position of the ``rank``-th token outside ``cluster``, both [*, R, s], counted from 0 in order of position.

    Before a cluster's t-th member p_t lie p_t − t tokens of other clusters; the rank-th outsider follows all members with p_t − t ≤ rank.
    """
    n = clusters.order.shape[-1]
    order, offsets = clusters.order.long(), clusters.offsets.long()
    label = clusters.labels.long().gather(-1, order)
    before = order - (torch.arange(n, device=order.device) - offsets.gather(-1, label))
    # One ascending list for all clusters: cluster c's values lie in [c (N + 1), (c + 1) (N + 1)).
    ascending = label * (n + 1) + before
    wanted = cluster * (n + 1) + rank
    members = torch.searchsorted(ascending, wanted.flatten(-2), right=True).view_as(wanted) - offsets.gather(
        -1, cluster.flatten(-2)
    ).view_as(wanted)
    return rank + members


def _draw(clusters: Clusters, row_cluster: Tensor, population: Tensor, n_samples: int, seed: int) -> Tensor:
    """Positions [*, R, s] of what each row draws from the first ``population`` tokens outside ``row_cluster`` (both [*, R])."""
    n_rows = row_cluster.shape[-1]
    problems = row_cluster.numel() // n_rows
    device = row_cluster.device
    keys = torch.arange(problems * n_rows, device=device).view(row_cluster.shape)
    keys = hashed((keys * SEED_MULTIPLIER + (seed & WORD)) & WORD)[..., None]
    index = torch.arange(n_samples, device=device)
    there = index < population[..., None]
    rank = permuted(torch.where(there, index, 0), population[..., None].clamp(min=1), keys)
    position = outside_position(rank, row_cluster[..., None].expand_as(rank), clusters)
    return torch.where(there, position, -1)


def per_query(clusters: Clusters, n_samples: int, *, seed: int = 0, causal: bool = False) -> Samples:
    """s samples for every query [rows = N]: algorithm 2 to the letter. Raises ParameterError naming ``s`` unless 0 ≤ s ≤ N.

    A query with fewer than s keys to draw from gets each of them once. Memory: N · s positions for each head.
    """
    labels = clusters.labels.long()
    n = labels.shape[-1]
    check_sample_count(n_samples, n)
    positions = torch.arange(n, device=labels.device).expand_as(labels)
    if causal:
        within = clusters.places - clusters.offsets.long().gather(-1, labels)  # members of its cluster before it
        population = positions - within
    else:
        population = n - clusters.sizes.long().gather(-1, labels)
    return Samples(_draw(clusters, labels, population, n_samples, seed), population, 0)


def shared(clusters: Clusters, n_samples: int, *, queries_per_row: int = QUERIES_PER_ROW, seed: int = 0, causal: bool = False) -> Samples:
    """s samples for every ``queries_per_row`` consecutive queries of a cluster (in its ``order``) [rows = ⌊N / queries_per_row⌋ + k].

    Rows that no query uses have population 0. Raises ParameterError naming ``s`` unless 0 ≤ s ≤ N.
    """
    labels, order, offsets = clusters.labels.long(), clusters.order.long(), clusters.offsets.long()
    n = labels.shape[-1]
    check_sample_count(n_samples, n)
    starts = row_starts(clusters, queries_per_row)
    index = torch.arange(row_count(n, clusters.n_clusters, queries_per_row), device=labels.device)
    index = index.expand(*labels.shape[:-1], -1).contiguous()
    cluster = torch.searchsorted(starts[..., 1:].contiguous(), index, right=True)
    used = cluster < clusters.n_clusters
    cluster = cluster.clamp(max=clusters.n_clusters - 1)
    first = offsets.gather(-1, cluster)
    end = first + (index - starts.gather(-1, cluster) + 1) * queries_per_row  # one past the row's last query, in the sorted order
    end = torch.minimum(end, offsets.gather(-1, cluster + 1))
    size = offsets.gather(-1, cluster + 1) - first
    last = order.gather(-1, (end - 1).clamp(min=0))
    population = last + 1 - (end - first) if causal else n - size
    population = torch.where(used, population, 0)
    return Samples(_draw(clusters, cluster, population, n_samples, seed), population, queries_per_row)
