"""Which cluster each token belongs to: random projection, k-means on projected queries, and tokens sorted by cluster.

    query ─ project(Φ) ─→ x [*, N, m] ─ kmeans ─→ labels [*, N] ─ clusters_of ─→ Clusters (order, offsets)

This is the reference that every faster clustering is judged by: k-means++ seeds and 25 Lloyd steps, over all tokens, batched over heads.
Leading dimensions ``*`` (batch, heads, …) are independent problems. The paper's algorithm 2 (phases 1 and 2) names k-means on projected
queries and leaves m, the seeds and the number of steps open.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from lab.parameters import ParameterError

LLOYD_STEPS = 25
PROJECTED_DIM = 16  # m where nothing else is asked for
DISTANCES_AT_ONCE = 2**26  # entries of the table tokens × clusters that are alive at a time


@dataclass(frozen=True)
class Clusters:
    """A partition of N tokens into k clusters (some may be empty), and the tokens sorted by it.

    ``labels`` [*, N]: each token's cluster, 0 to k − 1. ``order`` [*, N]: token positions sorted by cluster, ascending within a
    cluster. ``offsets`` [*, k + 1]: cluster c is ``order[offsets[c] : offsets[c + 1]]``. All of integer dtype.
    """

    labels: Tensor
    order: Tensor
    offsets: Tensor

    @property
    def n_clusters(self) -> int:
        return self.offsets.shape[-1] - 1

    @property
    def sizes(self) -> Tensor:
        """Tokens in each cluster [*, k]."""
        return self.offsets[..., 1:] - self.offsets[..., :-1]

    @property
    def places(self) -> Tensor:
        """Where each token stands in ``order`` [*, N]: ``order[places[i]] = i``."""
        places = torch.empty_like(self.order, dtype=torch.int64)
        return places.scatter_(-1, self.order.long(), torch.arange(self.order.shape[-1], device=self.order.device).expand_as(places))


def clusters_of(labels: Tensor, n_clusters: int) -> Clusters:
    """The clusters that ``labels`` [*, N] (0 to ``n_clusters`` − 1) say. Raises ValueError for a label outside."""
    labels = labels.long()
    if labels.numel() and (int(labels.min()) < 0 or int(labels.max()) >= n_clusters):
        raise ValueError(f"labels must lie between 0 and {n_clusters - 1}")
    sizes = torch.zeros((*labels.shape[:-1], n_clusters), dtype=torch.int64, device=labels.device)
    sizes.scatter_add_(-1, labels, torch.ones_like(labels))
    offsets = torch.nn.functional.pad(sizes.cumsum(-1), (1, 0))
    return Clusters(labels, torch.argsort(labels, dim=-1, stable=True), offsets)


def projection(m: int, head_dim: int, generator: torch.Generator) -> Tensor:
    """Φ [m, head_dim], float32, on the generator's device: entries ±1/√m with equal chance (a subgaussian projection, section 8.3).

    E ‖Φx‖² = ‖x‖². Signs, because a half-precision product with them rounds nothing but the tokens.
    """
    signs = torch.randint(0, 2, (m, head_dim), generator=generator, device=generator.device)
    return (signs * 2 - 1) / math.sqrt(m)


def check_cluster_count(n_clusters: int, n_tokens: int) -> None:
    """Raises ParameterError naming ``k`` unless 1 ≤ ``n_clusters`` ≤ ``n_tokens``."""
    if not 1 <= n_clusters <= n_tokens:
        raise ParameterError("k", n_clusters, f"1 to {n_tokens} clusters for {n_tokens} tokens", "clusters cannot be made")


def kmeans_plus_plus(x: Tensor, n_clusters: int, generator: torch.Generator) -> Tensor:
    """Seeds for k-means [B, k, m], drawn from ``x`` [B, N, m]: the first uniformly, each next one with probability ∝ D².

    D: a token's distance to the nearest seed so far (Arthur and Vassilvitskii, 2007). Where all D are 0 (duplicate tokens) the draw is
    uniform.
    """
    batch, n, _ = x.shape
    rows = torch.arange(batch, device=x.device)
    uniforms = torch.rand((n_clusters, batch, 1), generator=generator, device=x.device, dtype=torch.float64)
    nearest = torch.full((batch, n), torch.inf, dtype=x.dtype, device=x.device)
    weights = torch.ones((batch, n), dtype=torch.float64, device=x.device)
    seeds = []
    for uniform in uniforms:
        cumulative = weights.cumsum(-1)
        # The draw lies in [0, total): side "right" then never picks a token of weight 0.
        chosen = torch.searchsorted(cumulative, uniform * cumulative[:, -1:], right=True).squeeze(-1).clamp_(max=n - 1)
        seeds.append(x[rows, chosen])
        nearest = torch.minimum(nearest, (x - seeds[-1][:, None]).square().sum(-1))
        exhausted = (nearest.amax(-1, keepdim=True) == 0).expand_as(nearest)
        weights = nearest.double().masked_fill(exhausted, 1.0)
    return torch.stack(seeds, 1)


def nearest_centre(x: Tensor, centres: Tensor) -> Tensor:
    """For each token of ``x`` [B, N, m] the index of the nearest of ``centres`` [B, k, m] → [B, N]; the lowest index where several are."""
    offset = centres.square().sum(-1)[:, None]
    step = max(1, DISTANCES_AT_ONCE // max(1, centres.shape[0] * centres.shape[1]))
    chunks = [torch.baddbmm(offset, part, centres.mT, alpha=-2.0).argmin(-1) for part in x.split(step, dim=1)]
    return torch.cat(chunks, 1)


def mean_of_members(x: Tensor, labels: Tensor, centres: Tensor) -> Tensor:
    """The mean of each cluster's tokens [B, k, m]; an empty cluster keeps its centre of before."""
    sums = torch.zeros_like(centres).scatter_add_(1, labels[..., None].expand_as(x), x)
    counts = torch.zeros_like(centres[..., 0]).scatter_add_(1, labels, torch.ones_like(x[..., 0]))
    return torch.where(counts[..., None] > 0, sums / counts[..., None].clamp(min=1), centres)


def kmeans(x: Tensor, n_clusters: int, generator: torch.Generator, steps: int = LLOYD_STEPS) -> Tensor:
    """Lloyd's k-means from k-means++ seeds: labels [*, N], int64, of tokens ``x`` [*, N, m].

    ``steps`` updates of the centres (fewer where nothing changes any more) and a last assignment. Clusters may be empty. The generator must
    be on the device of ``x``. Raises ParameterError naming ``k`` unless 1 ≤ k ≤ N.
    """
    check_cluster_count(n_clusters, x.shape[-2])
    flat = x.detach().reshape(-1, *x.shape[-2:])
    flat = flat.float() if flat.dtype in (torch.float16, torch.bfloat16) else flat
    flat = flat - flat.mean(1, keepdim=True)  # distances lose no digits to where the tokens lie
    centres = kmeans_plus_plus(flat, n_clusters, generator)
    labels = nearest_centre(flat, centres)
    for _ in range(steps):
        centres = mean_of_members(flat, labels, centres)
        labels, before = nearest_centre(flat, centres), labels
        if torch.equal(labels, before):
            break
    return labels.view(x.shape[:-1])


def cluster(query: Tensor, n_clusters: int, *, m: int = PROJECTED_DIM, seed: int = 0, steps: int = LLOYD_STEPS) -> Clusters:
    """Phases 1 and 2 of algorithm 2: k-means on the queries [*, N, head_dim] projected by Φ [m, head_dim].

    One Φ for all heads. Raises ParameterError naming ``k`` unless 1 ≤ k ≤ N.
    """
    generator = torch.Generator(query.device).manual_seed(seed)
    phi = projection(m, query.shape[-1], generator)
    x = query.detach().to(torch.promote_types(query.dtype, torch.float32))
    return clusters_of(kmeans(x @ phi.to(x.dtype).mT, n_clusters, generator, steps), n_clusters)
