"""Clustering on a GPU without waiting for it: k-means++ on a subset, Lloyd steps on fresh subsets, one assignment of all tokens.

The same projection and the same aim as ``clustering.cluster``, with less work. Seeds come from a random subset of ``n_seeds`` tokens. Most
Lloyd steps look at a fresh random subset and go ``step_length`` > 1 of the way to the means, which converges in fewer steps and, by the
subsets' noise, leaves poor optima; the last ones look at all tokens. Labels differ from the reference's; what is compared is the
attention that follows. The kernels give the same clusters for the same tokens and seed every time.
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
    from workloads.spectral_sparse_attention import clustering_kernels as kernels

SORT_TILE = 128
SEED_MASK = 0x7FFFFFFF


class Effort(NamedTuple):
    """How hard to try.

    ``n_seeds``: tokens that seeds are drawn from, at least 2 k. ``seed_steps``: Lloyd steps on as many fresh tokens, by the program that
    drew the seeds (no launch of their own, but one program for each head). ``subset_steps``: launches on ``tokens_per_cluster`` · k tokens,
    at least n_seeds. ``full_steps``: launches on all tokens. ``step_length``: how far steps go, but the last two.
    """

    n_seeds: int
    seed_steps: int
    subset_steps: int
    full_steps: int
    tokens_per_cluster: int = 22
    step_length: float = 1.5

    @property
    def steps(self) -> int:
        """Lloyd steps with a launch of their own."""
        return self.subset_steps + self.full_steps

    def wanted(self, step: int, n: int, n_clusters: int) -> int:
        """About how many of ``n`` tokens step ``step`` of :attr:`steps` looks at."""
        return n if step >= self.subset_steps else max(self.n_seeds, self.tokens_per_cluster * n_clusters)

    def length(self, step: int) -> float:
        """How far step ``step`` of :attr:`steps` goes."""
        return 1.0 if step >= self.steps - 2 else self.step_length


SHORT = Effort(n_seeds=1024, seed_steps=6, subset_steps=0, full_steps=2, step_length=1.5)
LONG = Effort(n_seeds=8192, seed_steps=0, subset_steps=16, full_steps=1, tokens_per_cluster=22, step_length=1.5)
LONG_LENGTH = 32768  # from here on, one program for each head takes longer over steps than launches do


def usual_effort(n: int) -> Effort:
    """The effort for sequences of ``n`` tokens where nothing else is asked for: few launches for short ones, fidelity for long ones."""
    return SHORT if n < LONG_LENGTH else LONG


class Launch(NamedTuple):
    """How the kernels are launched."""

    seed_block: int = 1024
    seed_warps: int = 8
    candidates: int = 32
    seed_tokens: int = 256
    lloyd_block: int = 128
    lloyd_warps: int = 4
    block_k: int = 32
    sum_k: int = 64
    programs: int = 512


LAUNCH = Launch()


def subset(n: int, wanted: int) -> tuple[int, int]:
    """(tokens, stride) of a subset of about ``wanted`` of ``n`` tokens: one of each stretch of ``stride`` tokens."""
    stride = max(1, n // wanted)
    return n // stride, stride


def fixed_point(n: int) -> float:
    """The power of two by which numbers up to 32 are multiplied, so that the sum of ``n`` of them stays below 2³¹."""
    return float(2 ** max(0, 31 - 5 - math.ceil(math.log2(n + 1))))


class Centres(NamedTuple):
    """Centres of P problems and the last Lloyd step, which whoever reads them takes first (``kernels.moved_centres``).

    ``centres`` [P, k, M] float16; ``sums`` [P, k, M] and ``counts`` [P, k] int32: what the last step's members add up to, in multiples of
    1/``fixed``, and how many they are. ``mean`` [P, M] and ``inverse`` [P]: what tokens are centred and scaled with.
    """

    centres: Tensor
    sums: Tensor
    counts: Tensor
    fixed: float
    step_length: float
    is_moved: bool
    mean: Tensor
    inverse: Tensor


def tokens_per_program(n_subset: int, problems: int, launch: Launch) -> int:
    """Tokens for each program of a Lloyd step: many, so that few sums are added up, but enough programs to fill the device."""
    wanted = max(1, n_subset * problems // launch.programs)
    return min(16, fused.power_of_two(-(-wanted // launch.lloyd_block))) * launch.lloyd_block


def tile(tokens: int, x: Tensor) -> int:
    """How many tokens of ``x`` a tile holds: ``tokens``, fewer where one has more than 128 bytes, to fit into shared memory."""
    row_bytes = fused.power_of_two(x.shape[-1]) * x.element_size()
    return max(16, tokens * 128 // max(128, row_bytes))


def fit(x: Tensor, n_clusters: int, phi: Tensor, seed: int, effort: Effort, launch: Launch) -> Centres:
    """Centres of tokens [P, N, head_dim] projected by the padded Φ [M, head_dim]."""
    problems, n, head_dim = x.shape
    m = phi.shape[0]
    n_seeds, stride = subset(n, max(effort.n_seeds, 2 * n_clusters))
    n_subsets = [subset(n, effort.wanted(step, n, n_clusters))[0] for step in range(effort.steps)]
    most = max(n_seeds, *n_subsets, 0)
    seeds, other = (x.new_empty((problems, n_clusters, m), dtype=torch.float16) for _ in range(2))
    mean = x.new_empty((problems, m), dtype=torch.float32)
    inverse = x.new_empty((problems,), dtype=torch.float32)
    half = x.new_empty((problems * most * m,), dtype=torch.float16)
    labels = x.new_empty((problems * most,), dtype=torch.int32)
    shape = {
        "HEAD_DIM": head_dim,
        "BLOCK_D": max(16, fused.power_of_two(head_dim)),
        "M": m,
        "BLOCK_K": launch.block_k,
        "SUM_K": launch.sum_k,
    }
    kernels.seed_kernel[(problems,)](
        x,
        phi,
        mean.new_empty((problems, n_seeds, m)),
        half,
        mean.new_empty((problems, n_seeds)),
        labels,
        mean,
        inverse,
        seeds,
        *x.stride()[:2],
        n,
        n_seeds,
        stride,
        n_clusters,
        effort.seed_steps,
        effort.step_length,
        seed & SEED_MASK,
        **shape,
        CANDIDATES=launch.candidates,
        BLOCK=max(launch.candidates, launch.seed_block * 16 // m),
        BLOCK_X=tile(launch.seed_tokens, x),
        num_warps=launch.seed_warps,
        num_stages=2,
    )
    # One fill for every step's sums and counts; after the seeds' launch, whose time hides the host's.
    zeros = x.new_zeros((effort.steps, problems * n_clusters * (m + 1)), dtype=torch.int32)
    # Before the first step nothing was added up: the centres stand in where nothing is read.
    found = Centres(seeds, seeds, seeds, 1.0, 1.0, False, mean, inverse)
    for step in range(effort.steps):
        n_subset, stride = subset(n, effort.wanted(step, n, n_clusters))
        sums = zeros[step, : problems * n_clusters * m].view(problems, n_clusters, m)
        counts = zeros[step, problems * n_clusters * m :].view(problems, n_clusters)
        moved = seeds if step % 2 else other
        fixed, tokens = fixed_point(n_subset), tokens_per_program(n_subset, problems, launch)
        kernels.lloyd_kernel[(-(-n_subset // tokens), problems)](
            x,
            phi,
            mean,
            inverse,
            found.centres,
            found.sums,
            found.counts,
            moved,
            sums,
            counts,
            half,
            labels,
            *x.stride()[:2],
            n,
            n_clusters,
            n_subset,
            stride,
            (seed + 0x3779 * (effort.seed_steps + step + 1)) & SEED_MASK,
            tokens,
            found.fixed,
            found.step_length,
            fixed,
            **shape,
            MOVED=found.is_moved,
            BLOCK=tile(launch.lloyd_block, x),
            num_warps=launch.lloyd_warps,
            num_stages=2,
        )
        found = Centres(moved, sums, counts, fixed, effort.length(step), True, mean, inverse)
    return found


def assign(x: Tensor, phi: Tensor, found: Centres, queries_per_row: int, launch: Launch) -> tuple[Tensor, fused.Schedule]:
    """(labels [P, N] int32, the schedule of tokens sorted by label) of tokens [P, N, head_dim], given what :func:`fit` found."""
    problems, n, head_dim = x.shape
    n_clusters, m = found.centres.shape[1:]
    n_tiles = -(-n // SORT_TILE)
    labels = x.new_empty((problems, n), dtype=torch.int32)
    ranks = x.new_empty((problems, n), dtype=torch.uint8)
    counts = x.new_empty((problems, n_tiles, n_clusters), dtype=torch.int32)
    sizes = x.new_empty((problems, n_clusters), dtype=torch.int32)
    kernels.assign_kernel[(n_tiles, problems)](
        x,
        phi,
        found.mean,
        found.inverse,
        found.centres,
        found.sums,
        found.counts,
        labels,
        ranks,
        counts,
        *x.stride()[:2],
        n,
        n_clusters,
        found.fixed,
        found.step_length,
        MOVED=found.is_moved,
        HEAD_DIM=head_dim,
        BLOCK_D=max(16, fused.power_of_two(head_dim)),
        M=m,
        BLOCK=SORT_TILE,
        BLOCK_K=launch.block_k,
        BINS=fused.power_of_two(n_clusters + 1),
        num_warps=4,
    )
    kernels.count_kernel[(-(-n_clusters // 32), problems)](counts, sizes, n_tiles, n_clusters, BLOCK_T=64, BLOCK_K=32)
    order = torch.empty_like(labels)
    plan = fused.schedule_of_sizes(order, sizes, queries_per_row)
    kernels.order_kernel[(n_tiles, problems)](labels, ranks, counts, plan.offsets, order, n, n_clusters, BLOCK=SORT_TILE)
    return labels, plan


def padded_projection(phi: Tensor) -> Tensor:
    """Φ [m, head_dim] with rows of zeros up to a power of two, at least 16; contiguous float32."""
    rows = max(16, fused.power_of_two(phi.shape[0]))
    missing = rows - phi.shape[0]
    return (torch.nn.functional.pad(phi.float(), (0, 0, 0, missing)) if missing else phi.float()).contiguous()


def cluster(
    query: Tensor,
    n_clusters: int,
    *,
    phi: Tensor,
    seed: int = 0,
    queries_per_row: int = QUERIES_PER_ROW,
    effort: Effort | None = None,
    launch: Launch = LAUNCH,
) -> Clusters:
    """Clusters of the queries [*, N, head_dim] projected by ``phi`` [m, head_dim], by kernels; integers are int32.

    Raises ParameterError naming ``k`` unless 1 ≤ k ≤ N. Never waits for the device.
    """
    check_cluster_count(n_clusters, query.shape[-2])
    x = fused.problems_of(query.detach())
    with fused.launching_on(x):
        labels, plan = clustered(x, n_clusters, padded_projection(phi), seed, queries_per_row, effort or usual_effort(x.shape[1]), launch)
    leading = query.shape[:-2]
    return Clusters(labels.view(*leading, -1), plan.order.view(*leading, -1), plan.offsets.view(*leading, -1))


def cluster_eagerly(query: Tensor, n_clusters: int, *, phi: Tensor, seed: int = 0, effort: Effort | None = None) -> Clusters:
    """What :func:`cluster` does, with the framework's operations (other random numbers, so other clusters of the same quality)."""
    n = query.shape[-2]
    check_cluster_count(n_clusters, n)
    effort = effort or usual_effort(n)
    generator = torch.Generator(query.device).manual_seed(seed)
    x = (query.detach().to(phi.dtype) @ phi.mT).reshape(-1, n, phi.shape[0])
    x = x - x.mean(1, keepdim=True)
    n_seeds = max(effort.n_seeds, 2 * n_clusters)
    centres = kmeans_plus_plus(some(x, n_seeds, generator), n_clusters, generator)
    steps = [(n_seeds, effort.step_length)] * effort.seed_steps
    steps += [(effort.wanted(step, n, n_clusters), effort.length(step)) for step in range(effort.steps)]
    for wanted, length in steps:
        part = some(x, wanted, generator) if wanted < n else x
        means = mean_of_members(part, nearest_centre(part, centres), centres)
        centres = centres + (means - centres) * length
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
    return assign(x, phi, fit(x, n_clusters, phi, seed, effort, launch), queries_per_row, launch)
