"""Triton kernels of the fast clustering: seeds, Lloyd steps, assignment and a stable counting sort.

    fast_clustering.py ─→ seed_kernel      a random subset of tokens: mean, scale, k-means++, Lloyd steps  (one program per problem)
                       ├→ lloyd_kernel     one Lloyd step on a random subset or on all tokens              (once per step)
                       ├→ assign_kernel    every token's nearest centre, ranks and counts within tiles
                       ├→ count_kernel     tiles' counts → places of tiles, sizes of clusters
                       └→ order_kernel     token positions sorted by cluster

Tokens are projected anew in every pass (Φ is small, the tokens must be read anyway), then centred and scaled to half precision:
distances are products of half-precision numbers on tensor cores, and members are summed by products with rows of ones and zeros. What
several programs add together are whole numbers, so that the order of additions does not matter and equal inputs give equal clusters. No
program reads what another program of the same launch writes: a step only adds up members, and whoever reads the centres next moves them
(:func:`moved_centres`).
"""

from __future__ import annotations

import triton
import triton.language as tl

from workloads.spectral_sparse_attention.kernels import hashed
from workloads.spectral_sparse_attention.relaunch import Relaunched

LIMIT = tl.constexpr(32.0)  # standard deviations: outliers beyond are moved to here, so that half precision and sums cannot overflow
FAR = tl.constexpr(3.0e38)


@triton.jit
def projected(query_ptr, phi_ptr, position, there, token_stride, HEAD_DIM: tl.constexpr, BLOCK_D: tl.constexpr, M: tl.constexpr):
    """Φ q of the tokens at ``position`` [BLOCK] → float32 [BLOCK, M]."""
    d = tl.arange(0, BLOCK_D)
    d_there = d < HEAD_DIM
    query = tl.load(
        query_ptr + position.to(tl.int64)[:, None] * token_stride + d[None, :], mask=there[:, None] & d_there[None, :], other=0.0
    )
    phi = tl.load(phi_ptr + tl.arange(0, M)[:, None] * HEAD_DIM + d[None, :], mask=d_there[None, :], other=0.0)
    return tl.dot(query, tl.trans(phi.to(query.dtype)))


@triton.jit
def jittered(index, stride, n, salt):
    """One token from each stretch of ``stride`` tokens, at a pseudo-random place in it: a subset without a period."""
    bits = hashed((index.to(tl.uint32) * 0x9E3779B1) ^ salt.to(tl.uint32))
    return tl.minimum(index * stride + ((bits >> 1).to(tl.int32) % stride), n - 1)


@Relaunched
@triton.jit(do_not_specialize=["n", "n_seeds", "stride", "n_clusters", "steps", "seed"])
def seed_kernel(
    query_ptr,
    phi_ptr,
    x_ptr,
    half_ptr,
    nearest_ptr,
    labels_ptr,
    mean_ptr,
    inverse_ptr,
    centres_ptr,
    problem_stride,
    token_stride,
    n,
    n_seeds,
    stride,
    n_clusters,
    steps,
    step_length,
    seed,
    HEAD_DIM: tl.constexpr,
    BLOCK_D: tl.constexpr,
    M: tl.constexpr,
    CANDIDATES: tl.constexpr,
    BLOCK: tl.constexpr,
    BLOCK_X: tl.constexpr,
    BLOCK_K: tl.constexpr,
    SUM_K: tl.constexpr,
):
    """Mean and scale of one token of each stretch of ``stride``, k-means++ seeds among them, and ``steps`` Lloyd steps on fresh ones.

    k-means++ draws one seed at a time with probability ∝ D². Here CANDIDATES are drawn at once from D² of before and taken one after the
    other, each with probability D²/D²_before, where D² counts the ones already taken: rejection sampling of the same distribution, in
    fewer passes over the tokens. The first of a round is always taken. Scratch: ``x`` (float32) and ``half`` [P, n_seeds, M], ``nearest``
    and ``labels`` [P, n_seeds].
    """
    problem = tl.program_id(0).to(tl.int64)
    query_ptr += problem * problem_stride
    x_ptr += problem * n_seeds * M
    half_ptr += problem * n_seeds * M
    nearest_ptr += problem * n_seeds
    labels_ptr += problem * n_seeds
    centres_ptr += problem * n_clusters * M
    m = tl.arange(0, M)
    within = tl.arange(0, BLOCK)

    for first in range(0, n_seeds, BLOCK_X):
        index = first + tl.arange(0, BLOCK_X)
        there = index < n_seeds
        x = projected(query_ptr, phi_ptr, jittered(index, stride, n, seed), there, token_stride, HEAD_DIM, BLOCK_D, M)
        tl.store(x_ptr + index[:, None] * M + m[None, :], x, mask=there[:, None])
    tl.debug_barrier()
    mean = tl.zeros([M], tl.float32)
    for first in range(0, n_seeds, BLOCK):
        index = first + within
        mean += tl.sum(tl.load(x_ptr + index[:, None] * M + m[None, :], mask=(index < n_seeds)[:, None], other=0.0), 0) / n_seeds
    square = tl.zeros([M], tl.float32)
    for first in range(0, n_seeds, BLOCK):
        index = first + within
        x = tl.load(x_ptr + index[:, None] * M + m[None, :], mask=(index < n_seeds)[:, None], other=0.0)
        x = tl.where((index < n_seeds)[:, None], x - mean[None, :], 0.0)
        square += tl.sum(x * x, 0) / n_seeds
    variance = tl.sum(square, 0) / M
    inverse = tl.where(variance > 0, 1.0 / tl.sqrt(tl.maximum(variance, 1e-37)), 0.0)
    tl.store(mean_ptr + problem * M + m, mean)
    tl.store(inverse_ptr + problem, inverse)
    for first in range(0, n_seeds, BLOCK):
        index = first + within
        x = tl.load(x_ptr + index[:, None] * M + m[None, :], mask=(index < n_seeds)[:, None], other=0.0)
        x = normalised(x, mean, inverse)
        tl.store(half_ptr + index[:, None] * M + m[None, :], x, mask=(index < n_seeds)[:, None])
        tl.store(nearest_ptr + index, tl.full([BLOCK], FAR, tl.float32), mask=index < n_seeds)
    tl.debug_barrier()

    place = tl.arange(0, CANDIDATES)
    stream = seed + problem.to(tl.int32)
    start = (tl.sum(tl.where(place == 0, tl.rand(stream, place), 0.0), 0) * n_seeds).to(tl.int32) % n_seeds
    candidate = tl.load(half_ptr + (place * 0 + start)[:, None] * M + m[None, :])
    taken = tl.where(place == 0, 1, 0)
    tl.store(centres_ptr + place[:, None] * M + m[None, :], candidate, mask=(taken > 0)[:, None])
    n_chosen = 1
    draws = CANDIDATES
    while n_chosen < n_clusters:
        # D² with the candidates that were taken.
        candidate_wide = candidate.to(tl.float32)
        candidate_square = tl.sum(candidate_wide * candidate_wide, 1)
        offset = tl.where(taken > 0, candidate_square, FAR)
        total = 0.0
        for first in range(0, n_seeds, BLOCK):
            index = first + within
            x = tl.load(half_ptr + index[:, None] * M + m[None, :], mask=(index < n_seeds)[:, None], other=0.0)
            wide = x.to(tl.float32)
            distance = tl.min(offset[None, :] - 2.0 * tl.dot(x, tl.trans(candidate)), 1) + tl.sum(wide * wide, 1)
            before = tl.load(nearest_ptr + index, mask=index < n_seeds, other=0.0)
            nearest = tl.minimum(before, tl.maximum(distance, 0.0))
            tl.store(nearest_ptr + index, nearest, mask=index < n_seeds)
            total += tl.sum(nearest, 0)
        tl.debug_barrier()

        threshold = tl.rand(stream, draws + place) * total
        chosen = tl.zeros([CANDIDATES], tl.int32)
        reached = 0.0
        for first in range(0, n_seeds, BLOCK):
            index = first + within
            nearest = tl.load(nearest_ptr + index, mask=index < n_seeds, other=0.0)
            cumulative = reached + tl.cumsum(nearest, 0)
            chosen += tl.sum(((cumulative[:, None] <= threshold[None, :]) & (index < n_seeds)[:, None]).to(tl.int32), 0)
            reached += tl.sum(nearest, 0)
        chosen = tl.minimum(chosen, n_seeds - 1)

        candidate = tl.load(half_ptr + chosen[:, None] * M + m[None, :])
        candidate_wide = candidate.to(tl.float32)
        candidate_square = tl.sum(candidate_wide * candidate_wide, 1)
        apart = candidate_square[:, None] + candidate_square[None, :] - 2.0 * tl.dot(candidate, tl.trans(candidate))
        apart = tl.maximum(apart, 0.0)
        bound = tl.load(nearest_ptr + chosen) * tl.rand(stream, draws + CANDIDATES + place)
        current = tl.load(nearest_ptr + chosen)
        tl.debug_barrier()  # every thread has read D² before the next round writes it
        draws += 2 * CANDIDATES
        taken = tl.zeros([CANDIDATES], tl.int32)
        n_before = n_chosen
        for j in range(CANDIDATES):
            this = place == j
            # The first passes even where D² is no number: otherwise the loop would not end.
            passed = tl.sum(tl.where(this & ((bound <= current) | (place == 0)), 1, 0), 0)
            passed = tl.where(n_chosen < n_clusters, passed, 0)
            shortened = tl.minimum(current, tl.sum(tl.where(this[:, None], apart, 0.0), 0))
            current = tl.where(passed > 0, shortened, current)
            taken += tl.where(this, passed, 0)
            n_chosen += passed
        target = n_before + tl.cumsum(taken, 0) - 1
        tl.store(centres_ptr + target[:, None] * M + m[None, :], candidate, mask=(taken > 0)[:, None])
    tl.debug_barrier()

    within_k = tl.arange(0, SUM_K)
    for step in range(steps):
        salt = seed + 0x3779 * (step + 1)
        for first in range(0, n_seeds, BLOCK_X):
            index = first + tl.arange(0, BLOCK_X)
            there = index < n_seeds
            x = projected(query_ptr, phi_ptr, jittered(index, stride, n, salt), there, token_stride, HEAD_DIM, BLOCK_D, M)
            x = normalised(x, mean, inverse)
            label = nearest_centre(x, centres_ptr, centres_ptr, centres_ptr, n_clusters, 0.0, 0.0, False, M, BLOCK_X, BLOCK_K)
            tl.store(half_ptr + index[:, None] * M + m[None, :], x, mask=there[:, None])
            tl.store(labels_ptr + index, label, mask=there)
        tl.debug_barrier()
        for first in range(0, n_clusters, SUM_K):
            cluster = first + within_k
            sums, counts = member_sums(half_ptr, labels_ptr, cluster, 0, n_seeds, M, BLOCK_X, SUM_K)
            cells = cluster[:, None] * M + m[None, :]
            centre = tl.load(centres_ptr + cells, mask=(cluster < n_clusters)[:, None], other=0.0)
            moved = towards(centre, sums / tl.maximum(counts, 1.0)[:, None], counts, step_length)
            tl.debug_barrier()  # every thread has read the centres before one is written
            tl.store(centres_ptr + cells, moved, mask=(cluster < n_clusters)[:, None])
        tl.debug_barrier()


@triton.jit
def normalised(x, mean, inverse):
    """Projected tokens [BLOCK, M], centred and scaled, in half precision."""
    return tl.clamp((x - mean[None, :]) * inverse, -LIMIT, LIMIT).to(tl.float16)


@triton.jit
def towards(centre, mean, counts, step_length):
    """``centre`` [BLOCK_K, M] moved ``step_length`` of the way to ``mean``; one without members (``counts`` [BLOCK_K]) stays."""
    wide = centre.to(tl.float32)
    moved = tl.clamp(wide + (mean - wide) * step_length, -2.0 * LIMIT, 2.0 * LIMIT)
    return tl.where((counts > 0)[:, None], moved, wide).to(tl.float16)


@triton.jit
def moved_centres(centres_ptr, sums_ptr, counts_ptr, cluster, n_clusters, fixed, step_length, MOVED: tl.constexpr, M: tl.constexpr):
    """Centres of ``cluster`` [BLOCK_K] after the step that added up ``sums`` (in multiples of 1/``fixed``) and ``counts``.

    As they stand where not MOVED. Zeros beyond the last cluster.
    """
    real = cluster < n_clusters
    cells = cluster[:, None] * M + tl.arange(0, M)[None, :]
    centre = tl.load(centres_ptr + cells, mask=real[:, None], other=0.0)
    if MOVED:
        sums = tl.load(sums_ptr + cells, mask=real[:, None], other=0)
        counts = tl.load(counts_ptr + cluster, mask=real, other=0)
        mean = sums.to(tl.float32) / (tl.maximum(counts, 1).to(tl.float32) * fixed)[:, None]
        centre = towards(centre, mean, counts, step_length)
    return centre


@triton.jit
def nearest_centre(
    x,
    centres_ptr,
    sums_ptr,
    counts_ptr,
    n_clusters,
    fixed,
    step_length,
    MOVED: tl.constexpr,
    M: tl.constexpr,
    BLOCK: tl.constexpr,
    BLOCK_K: tl.constexpr,
):
    """For each token of ``x`` [BLOCK, M] the index of the nearest of :func:`moved_centres`: the largest x·c − |c|²/2."""
    within = tl.arange(0, BLOCK_K)
    best = tl.full([BLOCK, BLOCK_K], -FAR, tl.float32)
    found = tl.zeros([BLOCK, BLOCK_K], tl.int32)
    for first in range(0, n_clusters, BLOCK_K):
        index = first + within
        centre = moved_centres(centres_ptr, sums_ptr, counts_ptr, index, n_clusters, fixed, step_length, MOVED, M)
        wide = centre.to(tl.float32)
        offset = tl.where(index < n_clusters, tl.sum(wide * wide, 1) * -0.5, -FAR)
        score = tl.dot(x, tl.trans(centre)) + offset[None, :]
        better = score > best
        best = tl.where(better, score, best)
        found = tl.where(better, first, found)
    winner = tl.max(best, 1)
    candidates = tl.where(best == winner[:, None], found + within[None, :], n_clusters)
    return tl.minimum(tl.min(candidates, 1), n_clusters - 1)


@triton.jit
def member_sums(x_ptr, labels_ptr, cluster, begin, end, M: tl.constexpr, BLOCK: tl.constexpr, BLOCK_K: tl.constexpr):
    """(sums [BLOCK_K, M], counts [BLOCK_K]), float32, of the tokens ``begin`` to ``end`` whose label is ``cluster`` [BLOCK_K].

    Rows of ones and zeros times the tokens, on tensor cores. Counts are products with ones: whole numbers below 2²⁴ are exact.
    """
    m = tl.arange(0, M)
    within = tl.arange(0, BLOCK)
    sums = tl.zeros([BLOCK_K, M], tl.float32)
    counts = tl.zeros([BLOCK_K, M], tl.float32)
    ones = tl.full([BLOCK, M], 1.0, tl.float16)
    for first in range(begin, end, BLOCK):
        index = first + within
        label = tl.load(labels_ptr + index, mask=index < end, other=-1)
        x = tl.load(x_ptr + index[:, None] * M + m[None, :], mask=(index < end)[:, None], other=0.0)
        member = (label[None, :] == cluster[:, None]).to(tl.float16)
        sums = tl.dot(member, x, sums)
        counts = tl.dot(member, ones, counts)
    return sums, tl.max(counts, 1)


@Relaunched
@triton.jit(do_not_specialize=["n", "n_clusters", "n_subset", "stride", "salt", "tokens"])
def lloyd_kernel(
    query_ptr,
    phi_ptr,
    mean_ptr,
    inverse_ptr,
    centres_ptr,
    sums_ptr,
    counts_ptr,
    moved_ptr,
    new_sums_ptr,
    new_counts_ptr,
    half_ptr,
    labels_ptr,
    problem_stride,
    token_stride,
    n,
    n_clusters,
    n_subset,
    stride,
    salt,
    tokens,
    fixed,
    step_length,
    new_fixed,
    MOVED: tl.constexpr,
    HEAD_DIM: tl.constexpr,
    BLOCK_D: tl.constexpr,
    M: tl.constexpr,
    BLOCK: tl.constexpr,
    BLOCK_K: tl.constexpr,
    SUM_K: tl.constexpr,
):
    """One Lloyd step on one token of each stretch of ``stride``: members of each centre are added to ``new_sums`` and ``new_counts``.

    A program takes ``tokens`` consecutive tokens of the subset. It compares them with the centres as the previous step's sums move them
    (:func:`moved_centres`); the first program of a problem writes those to ``moved``, which the next step starts from. ``new_sums``: whole
    multiples of 1/``new_fixed``, 0 before. Scratch: ``half`` [P, n_subset, M] and ``labels`` [P, n_subset].
    """
    problem = tl.program_id(1).to(tl.int64)
    query_ptr += problem * problem_stride
    centres_ptr += problem * n_clusters * M
    sums_ptr += problem * n_clusters * M
    counts_ptr += problem * n_clusters
    half_ptr += problem * n_subset * M
    labels_ptr += problem * n_subset
    m = tl.arange(0, M)
    mean = tl.load(mean_ptr + problem * M + m)
    inverse = tl.load(inverse_ptr + problem)
    begin = tl.program_id(0) * tokens
    end = tl.minimum(begin + tokens, n_subset)
    for first in range(begin, end, BLOCK):
        index = first + tl.arange(0, BLOCK)
        there = index < end
        x = projected(query_ptr, phi_ptr, jittered(index, stride, n, salt), there, token_stride, HEAD_DIM, BLOCK_D, M)
        x = normalised(x, mean, inverse)
        label = nearest_centre(x, centres_ptr, sums_ptr, counts_ptr, n_clusters, fixed, step_length, MOVED, M, BLOCK, BLOCK_K)
        tl.store(half_ptr + index[:, None] * M + m[None, :], x, mask=there[:, None])
        tl.store(labels_ptr + index, label, mask=there)
    tl.debug_barrier()
    for first in range(0, n_clusters, SUM_K):
        cluster = first + tl.arange(0, SUM_K)
        sums, counts = member_sums(half_ptr, labels_ptr, cluster, begin, end, M, BLOCK, SUM_K)
        some = (counts > 0) & (cluster < n_clusters)
        cells = (problem * n_clusters + cluster)[:, None] * M + m[None, :]
        tl.atomic_add(new_sums_ptr + cells, tl.floor(sums * new_fixed + 0.5).to(tl.int32), mask=some[:, None], sem="relaxed")
        tl.atomic_add(new_counts_ptr + problem * n_clusters + cluster, counts.to(tl.int32), mask=some, sem="relaxed")
        if begin == 0:
            centre = moved_centres(centres_ptr, sums_ptr, counts_ptr, cluster, n_clusters, fixed, step_length, MOVED, M)
            tl.store(moved_ptr + cells, centre, mask=(cluster < n_clusters)[:, None])


@Relaunched
@triton.jit(do_not_specialize=["n", "n_clusters"])
def assign_kernel(
    query_ptr,
    phi_ptr,
    mean_ptr,
    inverse_ptr,
    centres_ptr,
    sums_ptr,
    member_counts_ptr,
    labels_ptr,
    ranks_ptr,
    counts_ptr,
    problem_stride,
    token_stride,
    n,
    n_clusters,
    fixed,
    step_length,
    MOVED: tl.constexpr,
    HEAD_DIM: tl.constexpr,
    BLOCK_D: tl.constexpr,
    M: tl.constexpr,
    BLOCK: tl.constexpr,
    BLOCK_K: tl.constexpr,
    BINS: tl.constexpr,
):
    """Each token's nearest of the centres as the last step moves them, its rank among equal labels of its tile, and the tile's counts.

    ``labels`` [P, N] int32, ``ranks`` [P, N] uint8, ``counts`` [P, T, k] int32 for tiles of BLOCK ≤ 256 tokens. BINS: a power of two
    above k.
    """
    tile = tl.program_id(0)
    problem = tl.program_id(1).to(tl.int64)
    m = tl.arange(0, M)
    within = tl.arange(0, BLOCK)
    index = tile * BLOCK + within
    there = index < n
    x = projected(query_ptr + problem * problem_stride, phi_ptr, index, there, token_stride, HEAD_DIM, BLOCK_D, M)
    x = normalised(x, tl.load(mean_ptr + problem * M + m), tl.load(inverse_ptr + problem))
    centres_ptr += problem * n_clusters * M
    sums_ptr += problem * n_clusters * M
    member_counts_ptr += problem * n_clusters
    label = nearest_centre(x, centres_ptr, sums_ptr, member_counts_ptr, n_clusters, fixed, step_length, MOVED, M, BLOCK, BLOCK_K)
    label = tl.where(there, label, n_clusters)
    earlier = (label[:, None] == label[None, :]) & (within[None, :] < within[:, None])
    rank = tl.sum(earlier.to(tl.int32), 1)
    tl.store(labels_ptr + problem * n + index, label, mask=there)
    tl.store(ranks_ptr + problem * n + index, rank.to(tl.uint8), mask=there)
    bins = tl.arange(0, BINS)
    counts_ptr += (problem * tl.num_programs(0) + tile) * n_clusters
    tl.store(counts_ptr + bins, tl.histogram(label, BINS), mask=bins < n_clusters)


@Relaunched
@triton.jit(do_not_specialize=["n_tiles", "n_clusters"])
def count_kernel(counts_ptr, sizes_ptr, n_tiles, n_clusters, BLOCK_T: tl.constexpr, BLOCK_K: tl.constexpr):
    """``counts`` [P, T, k] become, in place, how many tokens of a cluster earlier tiles hold; ``sizes`` [P, k] how many there are."""
    problem = tl.program_id(1).to(tl.int64)
    cluster = tl.program_id(0) * BLOCK_K + tl.arange(0, BLOCK_K)
    real = cluster < n_clusters
    counts_ptr += problem * n_tiles * n_clusters
    reached = tl.zeros([BLOCK_K], tl.int32)
    for first in range(0, n_tiles, BLOCK_T):
        tile = first + tl.arange(0, BLOCK_T)
        cells = counts_ptr + tile.to(tl.int64)[:, None] * n_clusters + cluster[None, :]
        mask = (tile < n_tiles)[:, None] & real[None, :]
        counts = tl.load(cells, mask=mask, other=0)
        tl.store(cells, reached[None, :] + tl.cumsum(counts, 0) - counts, mask=mask)
        reached += tl.sum(counts, 0)
    tl.store(sizes_ptr + problem * n_clusters + cluster, reached, mask=real)


@Relaunched
@triton.jit(do_not_specialize=["n", "n_clusters"])
def order_kernel(labels_ptr, ranks_ptr, counts_ptr, offsets_ptr, order_ptr, n, n_clusters, BLOCK: tl.constexpr):
    """``order`` [P, N]: each token goes to its cluster's offset + tokens of earlier tiles + its rank in its tile."""
    tile = tl.program_id(0)
    problem = tl.program_id(1).to(tl.int64)
    index = tile * BLOCK + tl.arange(0, BLOCK)
    there = index < n
    label = tl.load(labels_ptr + problem * n + index, mask=there, other=0)
    rank = tl.load(ranks_ptr + problem * n + index, mask=there, other=0).to(tl.int32)
    earlier = tl.load(counts_ptr + (problem * tl.num_programs(0) + tile) * n_clusters + label, mask=there, other=0)
    offset = tl.load(offsets_ptr + problem * (n_clusters + 1) + label, mask=there, other=0)
    tl.store(order_ptr + problem * n + offset + earlier + rank, index, mask=there)
