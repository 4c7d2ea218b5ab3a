"""Clustering on a GPU without waiting for it: k-means++ on a subset, Lloyd steps on fresh subsets, one assignment of all tokens.

The same projection and the same aim as ``clustering.cluster``, with less work: seeds come from a random subset of at most ``n_seeds``
tokens; each Lloyd step but the last looks at another random subset of about ``tokens_per_cluster`` · k tokens and goes ``step_length``
> 1 of the way to the means, which converges in fewer steps; the last one goes to the means of all tokens. Labels differ from the
reference's; what is compared is the attention that follows. The kernels give the same clusters for the same tokens and seed every time.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from workloads.spectral_sparse_attention import fused
from workloads.spectral_sparse_attention.clustering import (
    Clusters,
    check_cluster_count,
    clusters_of,
    kmeans_plus_plus,
    mean_of_members,
    nearest_centre,
)
from workloads.spectral_sparse_attention.sampling import QUERIES_PER_ROW

if not fused.TRITON_MISSING:
    import triton

    from workloads.spectral_sparse_attention import clustering_kernels as kernels

SORT_TILE = 128
SEED_MASK = 0x7FFFFFFF


class Effort(NamedTuple):
    """How hard to try: tokens for seeds, Lloyd steps, how many tokens a step looks at for each cluster, and how far it goes."""

    n_seeds: int = 4096
    steps: int = 12
    tokens_per_cluster: int = 32
    step_length: float = 1.6


EFFORT = Effort()


class Launch(NamedTuple):
    """How the kernels are launched."""

    seed_block: int = 1024
    seed_warps: int = 16
    candidates: int = 16
    lloyd_block: int = 128
    lloyd_warps: int = 4
    block_k: int = 64


LAUNCH = Launch()


def subset(n: int, wanted: int) -> tuple[int, int]:
    """(tokens, stride) of a subset of about ``wanted`` of ``n`` tokens: one of each stretch of ``stride`` tokens."""
    stride = max(1, n // wanted)
    return n // stride, stride


def fixed_point(n: int) -> float:
    """The power of two by which numbers up to 32 are multiplied, so that the sum of ``n`` of them stays below 2³¹."""
    return float(2 ** max(0, 31 - 5 - math.ceil(math.log2(n + 1))))


def fit(x: Tensor, n_clusters: int, phi: Tensor, seed: int, effort: Effort, launch: Launch) -> tuple[Tensor, Tensor, Tensor]:
    """(centres [P, k, M] in half precision, mean [P, M], inverse scale [P]) of tokens [P, N, head_dim] and padded Φ [M, head_dim]."""
    problems, n, head_dim = x.shape
    m = phi.shape[0]
    n_seeds, stride = subset(n, max(effort.n_seeds, 2 * n_clusters))
    centres = x.new_empty((problems, n_clusters, m), dtype=torch.float16)
    sums = x.new_empty((problems, n_clusters, m), dtype=torch.int32)
    counts = x.new_empty((problems, n_clusters), dtype=torch.int32)
    tickets = x.new_empty((problems,), dtype=torch.int32)
    mean = x.new_empty((problems, m), dtype=torch.float32)
    inverse = x.new_empty((problems,), dtype=torch.float32)
    sample = x.new_empty((problems, n_seeds, m), dtype=torch.float32)
    shape = {"HEAD_DIM": head_dim, "BLOCK_D": max(16, triton.next_power_of_2(head_dim)), "M": m}
    kernels.project_kernel[(triton.cdiv(n_seeds, launch.lloyd_block), problems)](
        x, phi, sample, *x.stride()[:2], n, n_seeds, stride, seed & SEED_MASK, **shape, BLOCK=launch.lloyd_block, num_warps=4
    )
    kernels.seed_kernel[(problems,)](
        sample,
        torch.empty_like(sample, dtype=torch.float16),
        sample.new_empty((problems, n_seeds)),
        mean,
        inverse,
        centres,
        sums,
        counts,
        tickets,
        n_seeds,
        n_clusters,
        seed & SEED_MASK,
        M=m,
        CANDIDATES=launch.candidates,
        BLOCK=max(launch.candidates, launch.seed_block * 16 // m),
        num_warps=launch.seed_warps,
    )
    for step in range(effort.steps):
        is_last = step == effort.steps - 1
        n_subset, stride = subset(n, n if is_last else max(effort.n_seeds, effort.tokens_per_cluster * n_clusters))
        kernels.lloyd_kernel[(triton.cdiv(n_subset, launch.lloyd_block), problems)](
            x,
            phi,
            mean,
            inverse,
            centres,
            sums,
            counts,
            tickets,
            *x.stride()[:2],
            n,
            n_clusters,
            n_subset,
            stride,
            (seed + 0x3779 * (step + 1)) & SEED_MASK,
            fixed_point(n_subset),
            1.0 if step >= effort.steps - 2 else effort.step_length,
            **shape,
            BLOCK=launch.lloyd_block,
            BLOCK_K=launch.block_k,
            num_warps=launch.lloyd_warps,
        )
    return centres, mean, inverse


def assign(
    x: Tensor, phi: Tensor, centres: Tensor, mean: Tensor, inverse: Tensor, queries_per_row: int, launch: Launch
) -> tuple[Tensor, fused.Schedule]:
    """(labels [P, N] int32, the schedule of tokens sorted by label) of tokens [P, N, head_dim], given what :func:`fit` found."""
    problems, n, head_dim = x.shape
    n_clusters, m = centres.shape[1:]
    n_tiles = triton.cdiv(n, SORT_TILE)
    labels = x.new_empty((problems, n), dtype=torch.int32)
    ranks = x.new_empty((problems, n), dtype=torch.uint8)
    counts = x.new_empty((problems, n_tiles, n_clusters), dtype=torch.int32)
    sizes = x.new_empty((problems, n_clusters), dtype=torch.int32)
    kernels.assign_kernel[(n_tiles, problems)](
        x,
        phi,
        mean,
        inverse,
        centres,
        labels,
        ranks,
        counts,
        *x.stride()[:2],
        n,
        n_clusters,
        HEAD_DIM=head_dim,
        BLOCK_D=max(16, triton.next_power_of_2(head_dim)),
        M=m,
        BLOCK=SORT_TILE,
        BLOCK_K=launch.block_k,
        BINS=triton.next_power_of_2(n_clusters + 1),
        num_warps=4,
    )
    kernels.count_kernel[(triton.cdiv(n_clusters, 32), problems)](counts, sizes, n_tiles, n_clusters, BLOCK_T=64, BLOCK_K=32)
    order = torch.empty_like(labels)
    plan = fused.schedule_of_sizes(order, sizes, queries_per_row)
    kernels.order_kernel[(n_tiles, problems)](labels, ranks, counts, plan.offsets, order, n, n_clusters, BLOCK=SORT_TILE)
    return labels, plan


def padded_projection(phi: Tensor) -> Tensor:
    """Φ [m, head_dim] with rows of zeros up to a power of two, at least 16; contiguous float32."""
    rows = max(16, triton.next_power_of_2(phi.shape[0]))
    return torch.nn.functional.pad(phi.float(), (0, 0, 0, rows - phi.shape[0])).contiguous()


def cluster(
    query: Tensor,
    n_clusters: int,
    *,
    phi: Tensor,
    seed: int = 0,
    queries_per_row: int = QUERIES_PER_ROW,
    effort: Effort = EFFORT,
    launch: Launch = LAUNCH,
) -> Clusters:
    """Clusters of the queries [*, N, head_dim] projected by ``phi`` [m, head_dim], by kernels; integers are int32.

    Raises ParameterError naming ``k`` unless 1 ≤ k ≤ N. Never waits for the device.
    """
    check_cluster_count(n_clusters, query.shape[-2])
    x = fused.problems_of(query.detach())
    with fused.launching_on(x):
        labels, plan = clustered(x, n_clusters, padded_projection(phi), seed, queries_per_row, effort, launch)
    leading = query.shape[:-2]
    return Clusters(labels.view(*leading, -1), plan.order.view(*leading, -1), plan.offsets.view(*leading, -1))


def cluster_eagerly(query: Tensor, n_clusters: int, *, phi: Tensor, seed: int = 0, effort: Effort = EFFORT) -> Clusters:
    """What :func:`cluster` does, with the framework's operations (other random numbers, so other clusters of the same quality)."""
    n = query.shape[-2]
    check_cluster_count(n_clusters, n)
    generator = torch.Generator(query.device).manual_seed(seed)
    x = (query.detach().to(phi.dtype) @ phi.mT).reshape(-1, n, phi.shape[0])
    x = x - x.mean(1, keepdim=True)
    centres = kmeans_plus_plus(some(x, max(effort.n_seeds, 2 * n_clusters), generator), n_clusters, generator)
    for step in range(effort.steps):
        is_last = step == effort.steps - 1
        part = x if is_last else some(x, max(effort.n_seeds, effort.tokens_per_cluster * n_clusters), generator)
        means = mean_of_members(part, nearest_centre(part, centres), centres)
        centres = centres + (means - centres) * (1.0 if step >= effort.steps - 2 else effort.step_length)
    return clusters_of(nearest_centre(x, centres).view(query.shape[:-1]), n_clusters)


def some(x: Tensor, wanted: int, generator: torch.Generator) -> Tensor:
    """One random token of each stretch of tokens, about ``wanted`` of ``x`` [P, N, m]."""
    n_subset, stride = subset(x.shape[1], wanted)
    jitter = torch.randint(stride, (n_subset,), generator=generator, device=x.device)
    return x[:, torch.arange(n_subset, device=x.device) * stride + jitter]


def clustered(
    x: Tensor, n_clusters: int, phi: Tensor, seed: int, queries_per_row: int, effort: Effort, launch: Launch
) -> tuple[Tensor, fused.Schedule]:
    """(labels, schedule) of tokens [P, N, head_dim], padded Φ given."""
    return assign(x, phi, *fit(x, n_clusters, phi, seed, effort, launch), queries_per_row, launch)
