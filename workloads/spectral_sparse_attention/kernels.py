"""Triton kernels of attention at given clusters and samples: forward, and backward to query, key and value.

    fused.py (shapes, strides, autograd) ─→ schedule_kernel    clusters' sizes  → which program does which queries
                                         ├→ sample_kernel      a row's sampled keys, the integers of sampling.py
                                         ├→ attention_kernel   one program per row of queries: its cluster's keys, then its samples
                                         ├→ query_gradient_kernel   the same walk; sampled keys' gradients by atomic additions
                                         └→ key_gradient_kernel     one program per row of keys: its cluster's queries

A *row* is a block of BLOCK_M consecutive tokens of one cluster in sorted order (``sampling.shared``). Keys are gathered through
their positions: nothing is copied into sorted order, and neither N × s nor N × N is stored. Logits are kept in base 2. One bias per key
stands for masks and weights: 0 in the cluster, log2(weight) for a sample, −∞ for a place without a key. The kernels use ``tl``
operations only, so that Triton's interpreter can run them on a CPU.
"""

from __future__ import annotations

import triton
import triton.language as tl

from workloads.spectral_sparse_attention import sampling
from workloads.spectral_sparse_attention.relaunch import Relaunched

MULTIPLIER_0 = tl.constexpr(sampling.MULTIPLIERS[0])
MULTIPLIER_1 = tl.constexpr(sampling.MULTIPLIERS[1])
MULTIPLIER_2 = tl.constexpr(sampling.MULTIPLIERS[2])
SEED_MULTIPLIER = tl.constexpr(sampling.SEED_MULTIPLIER)
LOG2_E = tl.constexpr(1.4426950408889634)
PRECISION = tl.constexpr("ieee")  # of float32 products; half-precision ones are exact before they are added
LN_2 = tl.constexpr(0.6931471805599453)
SIZES = ["n", "n_clusters", "n_rows"]  # one compilation serves every size: no access gets wider by knowing their divisors


@Relaunched
@triton.jit(do_not_specialize=["n_clusters", "n_rows"])
def schedule_kernel(sizes_ptr, offsets_ptr, row_starts_ptr, row_cluster_ptr, n_clusters, n_rows, ROW: tl.constexpr, BLOCK: tl.constexpr):
    """From clusters' sizes [P, k]: ``offsets`` and ``row_starts`` [P, k + 1], and each row's cluster [P, R], −1 where unused.

    One program per problem; ``ROW`` queries in a row. Clusters are taken BLOCK at a time.
    """
    problem = tl.program_id(0).to(tl.int64)
    sizes_ptr += problem * n_clusters
    offsets_ptr += problem * (n_clusters + 1)
    row_starts_ptr += problem * (n_clusters + 1)
    row_cluster_ptr += problem * n_rows
    within = tl.arange(0, BLOCK)
    tokens = 0
    rows = 0
    for first in range(0, n_clusters, BLOCK):
        index = first + within
        size = tl.load(sizes_ptr + index, mask=index < n_clusters, other=0)
        count = (size + ROW - 1) // ROW
        start = rows + tl.cumsum(count, 0) - count
        tl.store(offsets_ptr + index, tokens + tl.cumsum(size, 0) - size, mask=index < n_clusters)
        tl.store(row_starts_ptr + index, start, mask=index < n_clusters)
        for i in range(tl.max(count, 0)):
            tl.store(row_cluster_ptr + start + i, index, mask=i < count)
        tokens += tl.sum(size, 0)
        rows += tl.sum(count, 0)
    tl.store(offsets_ptr + n_clusters, tokens)
    tl.store(row_starts_ptr + n_clusters, rows)
    for first in range(0, n_rows, BLOCK):
        index = first + within
        tl.store(row_cluster_ptr + index, tl.full([BLOCK], -1, tl.int32), mask=(index >= rows) & (index < n_rows))


@triton.jit
def hashed(x):
    """``sampling.hashed`` of uint32 x."""
    x = (x ^ (x >> 16)) * MULTIPLIER_0
    x = (x ^ (x >> 12)) * MULTIPLIER_1
    x = (x ^ (x >> 15)) * MULTIPLIER_2
    return x ^ (x >> 16)


@triton.jit
def shuffled(x, key, mask, shift):
    """One application of the bijection of ``sampling.permuted``; uint32."""
    x = ((x ^ key) * MULTIPLIER_0) & mask
    x = x ^ (x >> shift)
    key = hashed(key)
    x = ((x ^ key) * MULTIPLIER_1) & mask
    x = x ^ (x >> shift)
    key = hashed(key)
    x = ((x ^ key) * MULTIPLIER_2) & mask
    return x ^ (x >> shift)


@Relaunched
@triton.jit(do_not_specialize=[*SIZES, "n_samples", "seed"])
def sample_kernel(
    order_ptr,
    offsets_ptr,
    row_starts_ptr,
    row_cluster_ptr,
    keys_ptr,
    population_ptr,
    n,
    n_clusters,
    n_rows,
    n_samples,
    seed,
    CAUSAL: tl.constexpr,
    ROW: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """``keys`` [P, R, s] and ``population`` [P, R] of ``sampling.shared``: one program per row, BLOCK samples at a time."""
    row = tl.program_id(0)
    problem = tl.program_id(1).to(tl.int64)
    row_index = problem * n_rows + row
    within = tl.arange(0, BLOCK)
    cluster = tl.load(row_cluster_ptr + row_index)
    keys_ptr += row_index * n_samples
    if cluster < 0:
        tl.store(population_ptr + row_index, 0)
        for first in range(0, n_samples, BLOCK):
            tl.store(keys_ptr + first + within, tl.full([BLOCK], -1, tl.int32), mask=first + within < n_samples)
    else:
        order_ptr += problem * n
        offsets_ptr += problem * (n_clusters + 1) + cluster
        begin = tl.load(offsets_ptr)
        cluster_end = tl.load(offsets_ptr + 1)
        size = cluster_end - begin
        population = n - size
        if CAUSAL:
            end = begin + (row - tl.load(row_starts_ptr + problem * (n_clusters + 1) + cluster) + 1) * ROW
            end = tl.minimum(end, cluster_end)
            population = tl.load(order_ptr + end - 1) + 1 - (end - begin)
        tl.store(population_ptr + row_index, population)

        key = hashed((row_index.to(tl.uint32) * SEED_MULTIPLIER + seed.to(tl.uint32)).to(tl.uint32))
        power = 2
        shift = 1
        bits = 1
        while power < population:
            power *= 2
            bits += 1
            shift = (bits + 1) // 2
        mask = tl.cast(power - 1, tl.uint32)
        shift = tl.cast(shift, tl.uint32)
        for first in range(0, n_samples, BLOCK):
            index = first + within
            there = (index < n_samples) & (index < population)
            rank = shuffled(tl.where(there, index, 0).to(tl.uint32), key, mask, shift)
            outside = there & (rank >= population)
            while tl.max(outside.to(tl.int32), 0) > 0:
                rank = tl.where(outside, shuffled(rank, key, mask, shift), rank)
                outside = there & (rank >= population)
            rank = rank.to(tl.int32)
            # How many members of the cluster come before the rank-th outsider: the first t with order[begin + t] − t > rank.
            low = tl.zeros([BLOCK], tl.int32)
            high = low + size
            span = size
            while span > 0:
                middle = (low + high) // 2
                open_ = low < high
                before = tl.load(order_ptr + begin + middle, mask=there & open_, other=0) - middle
                low = tl.where(open_ & (before <= rank), middle + 1, low)
                high = tl.where(open_ & (before > rank), middle, high)
                span = span // 2
            tl.store(keys_ptr + index, tl.where(there, rank + low, -1), mask=index < n_samples)


@triton.jit
def row_of(row_cluster_ptr, row_starts_ptr, offsets_ptr, problem, row, n_clusters, n_rows, ROW: tl.constexpr):
    """(cluster, its first place, the row's first place, the cluster's end) of ``row``; the cluster is −1 where the row is unused."""
    cluster = tl.load(row_cluster_ptr + problem * n_rows + row)
    base = problem * (n_clusters + 1) + tl.maximum(cluster, 0)
    first = tl.load(offsets_ptr + base)
    end = tl.load(offsets_ptr + base + 1)
    begin = first + (row - tl.load(row_starts_ptr + base)) * ROW
    return cluster, first, begin, end


@Relaunched
@triton.jit(do_not_specialize=[*SIZES, "n_samples"])
def attention_kernel(
    query_ptr,
    key_ptr,
    value_ptr,
    output_ptr,
    log_sum_exp_ptr,
    order_ptr,
    offsets_ptr,
    row_starts_ptr,
    row_cluster_ptr,
    samples_ptr,
    population_ptr,
    query_problem_stride,
    query_token_stride,
    key_problem_stride,
    key_token_stride,
    value_problem_stride,
    value_token_stride,
    n,
    n_clusters,
    n_rows,
    n_samples,
    scale,
    WEIGHTED: tl.constexpr,
    CAUSAL: tl.constexpr,
    HEAD_DIM: tl.constexpr,
    BLOCK_D: tl.constexpr,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
):
    """One row of queries: softmax over its cluster's keys and its samples, with the running maximum and sum of online softmax.

    One loop does both kinds of keys, so that loads of the next tile run ahead across the border: only where positions are read differs.
    """
    row = tl.program_id(0)
    problem = tl.program_id(1).to(tl.int64)
    cluster, first, begin, end = row_of(row_cluster_ptr, row_starts_ptr, offsets_ptr, problem, row, n_clusters, n_rows, BLOCK_M)
    if cluster >= 0:
        order_ptr += problem * n
        samples_ptr += (problem * n_rows + row) * n_samples
        d = tl.arange(0, BLOCK_D)
        place = begin + tl.arange(0, BLOCK_M)
        query_there = place < end
        query_position = tl.load(order_ptr + place, mask=query_there, other=0)
        query_ptrs = query_ptr + problem * query_problem_stride + query_position.to(tl.int64)[:, None] * query_token_stride + d[None, :]
        d_there = d[None, :] < HEAD_DIM
        q = tl.load(query_ptrs, mask=query_there[:, None] & d_there, other=0.0)
        key_ptr += problem * key_problem_stride
        value_ptr += problem * value_problem_stride

        log_weight = 0.0
        if WEIGHTED:
            population = tl.load(population_ptr + problem * n_rows + row)
            drawn = tl.maximum(tl.minimum(population, n_samples), 1)
            log_weight = tl.log2(tl.maximum(population, 1).to(tl.float32) / drawn.to(tl.float32))
        last = end
        if CAUSAL:
            last = tl.minimum(end, begin + BLOCK_M)
        cluster_tiles = (last - first + BLOCK_N - 1) // BLOCK_N
        tiles = cluster_tiles + (n_samples + BLOCK_N - 1) // BLOCK_N

        maximum = tl.full([BLOCK_M], -float("inf"), tl.float32)
        total = tl.zeros([BLOCK_M], tl.float32)
        accumulated = tl.zeros([BLOCK_M, BLOCK_D], tl.float32)
        for tile in range(tiles):
            sampled = tile >= cluster_tiles
            positions_ptr = tl.where(sampled, samples_ptr, order_ptr + first)
            start = tl.where(sampled, tile - cluster_tiles, tile) * BLOCK_N
            limit = tl.where(sampled, n_samples, last - first)
            index = start + tl.arange(0, BLOCK_N)
            position = tl.load(positions_ptr + index, mask=index < limit, other=-1)
            there = position >= 0
            gathered = position.to(tl.int64)[:, None]
            loaded = there[:, None] & d_there
            keys = tl.load(key_ptr + gathered * key_token_stride + d[None, :], mask=loaded, other=0.0)
            values = tl.load(value_ptr + gathered * value_token_stride + d[None, :], mask=loaded, other=0.0)
            bias = tl.where(there, tl.where(sampled, log_weight, 0.0), -float("inf"))
            logits = tl.dot(q, tl.trans(keys), input_precision=PRECISION) * (scale * LOG2_E) + bias[None, :]
            if CAUSAL:
                logits = tl.where(position[None, :] <= query_position[:, None], logits, -float("inf"))
            new_maximum = tl.maximum(maximum, tl.max(logits, 1))
            # Until a query has seen a key, its maximum is −∞, and −∞ − −∞ would be NaN.
            safe = tl.where(new_maximum == -float("inf"), 0.0, new_maximum)
            weights = tl.exp2(logits - safe[:, None])
            correction = tl.exp2(maximum - safe)
            total = total * correction + tl.sum(weights, 1)
            accumulated = accumulated * correction[:, None]
            accumulated = tl.dot(weights.to(values.dtype), values, accumulated, input_precision=PRECISION)
            maximum = new_maximum

        output_ptrs = output_ptr + (problem * n + query_position)[:, None] * HEAD_DIM + d[None, :]
        tl.store(output_ptrs, (accumulated / total[:, None]).to(output_ptr.dtype.element_ty), mask=query_there[:, None] & d_there)
        tl.store(log_sum_exp_ptr + problem * n + query_position, (maximum + tl.log2(total)) * LN_2, mask=query_there)


@Relaunched
@triton.jit(do_not_specialize=[*SIZES, "n_samples"])
def query_gradient_kernel(
    query_ptr,
    key_ptr,
    value_ptr,
    output_ptr,
    output_gradient_ptr,
    log_sum_exp_ptr,
    delta_ptr,
    query_gradient_ptr,
    key_sums_ptr,
    value_sums_ptr,
    order_ptr,
    offsets_ptr,
    row_starts_ptr,
    row_cluster_ptr,
    samples_ptr,
    population_ptr,
    query_problem_stride,
    query_token_stride,
    key_problem_stride,
    key_token_stride,
    value_problem_stride,
    value_token_stride,
    n,
    n_clusters,
    n_rows,
    n_samples,
    scale,
    WEIGHTED: tl.constexpr,
    CAUSAL: tl.constexpr,
    HEAD_DIM: tl.constexpr,
    BLOCK_D: tl.constexpr,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
):
    """One row of queries: dQ, and what its sampled keys and values receive, added atomically to float32 sums [P, N, HEAD_DIM].

    With P the weights, dS = P ∘ (dO Vᵀ − δ) and δ = Σ O ∘ dO for each query (stored for the keys' kernel): dQ = scale · dS K.
    """
    row = tl.program_id(0)
    problem = tl.program_id(1).to(tl.int64)
    cluster, first, begin, end = row_of(row_cluster_ptr, row_starts_ptr, offsets_ptr, problem, row, n_clusters, n_rows, BLOCK_M)
    if cluster >= 0:
        order_ptr += problem * n
        samples_ptr += (problem * n_rows + row) * n_samples
        d = tl.arange(0, BLOCK_D)
        place = begin + tl.arange(0, BLOCK_M)
        query_there = place < end
        query_position = tl.load(order_ptr + place, mask=query_there, other=0)
        d_there = d[None, :] < HEAD_DIM
        query_loaded = query_there[:, None] & d_there
        query_ptrs = query_ptr + problem * query_problem_stride + query_position.to(tl.int64)[:, None] * query_token_stride + d[None, :]
        q = tl.load(query_ptrs, mask=query_loaded, other=0.0)
        result_offsets = (problem * n + query_position)[:, None] * HEAD_DIM + d[None, :]
        output_gradient = tl.load(output_gradient_ptr + result_offsets, mask=query_loaded, other=0.0)
        output = tl.load(output_ptr + result_offsets, mask=query_loaded, other=0.0)
        delta = tl.sum(output.to(tl.float32) * output_gradient.to(tl.float32), 1)
        tl.store(delta_ptr + problem * n + query_position, delta, mask=query_there)
        # A place without a query has +∞ here, so that its weights are 0.
        normaliser = tl.load(log_sum_exp_ptr + problem * n + query_position, mask=query_there, other=float("inf")) * LOG2_E
        key_ptr += problem * key_problem_stride
        value_ptr += problem * value_problem_stride
        key_sums_ptr += problem * n * HEAD_DIM
        value_sums_ptr += problem * n * HEAD_DIM

        log_weight = 0.0
        if WEIGHTED:
            population = tl.load(population_ptr + problem * n_rows + row)
            drawn = tl.maximum(tl.minimum(population, n_samples), 1)
            log_weight = tl.log2(tl.maximum(population, 1).to(tl.float32) / drawn.to(tl.float32))
        last = end
        if CAUSAL:
            last = tl.minimum(end, begin + BLOCK_M)

        gradient = tl.zeros([BLOCK_M, BLOCK_D], tl.float32)
        for start in range(first, last, BLOCK_N):
            index = start + tl.arange(0, BLOCK_N)
            there = index < last
            position = tl.load(order_ptr + index, mask=there, other=0)
            gathered = position.to(tl.int64)[:, None]
            loaded = there[:, None] & d_there
            keys = tl.load(key_ptr + gathered * key_token_stride + d[None, :], mask=loaded, other=0.0)
            values = tl.load(value_ptr + gathered * value_token_stride + d[None, :], mask=loaded, other=0.0)
            bias = tl.where(there, 0.0, -float("inf"))
            weights = tl.exp2(tl.dot(q, tl.trans(keys), input_precision=PRECISION) * (scale * LOG2_E) + bias[None, :] - normaliser[:, None])
            if CAUSAL:
                weights = tl.where(position[None, :] <= query_position[:, None], weights, 0.0)
            slopes = weights * (tl.dot(output_gradient, tl.trans(values), input_precision=PRECISION) - delta[:, None])
            gradient = tl.dot(slopes.to(keys.dtype), keys, gradient, input_precision=PRECISION)

        for start in range(0, n_samples, BLOCK_N):
            index = start + tl.arange(0, BLOCK_N)
            position = tl.load(samples_ptr + index, mask=index < n_samples, other=-1)
            there = position >= 0
            gathered = position.to(tl.int64)[:, None]
            loaded = there[:, None] & d_there
            keys = tl.load(key_ptr + gathered * key_token_stride + d[None, :], mask=loaded, other=0.0)
            values = tl.load(value_ptr + gathered * value_token_stride + d[None, :], mask=loaded, other=0.0)
            bias = tl.where(there, log_weight, -float("inf"))
            weights = tl.exp2(tl.dot(q, tl.trans(keys), input_precision=PRECISION) * (scale * LOG2_E) + bias[None, :] - normaliser[:, None])
            if CAUSAL:
                weights = tl.where(position[None, :] <= query_position[:, None], weights, 0.0)
            slopes = weights * (tl.dot(output_gradient, tl.trans(values), input_precision=PRECISION) - delta[:, None])
            gradient = tl.dot(slopes.to(keys.dtype), keys, gradient, input_precision=PRECISION)
            key_part = tl.dot(tl.trans(slopes.to(q.dtype)), q, input_precision=PRECISION) * scale
            value_part = tl.dot(tl.trans(weights.to(output_gradient.dtype)), output_gradient, input_precision=PRECISION)
            tl.atomic_add(key_sums_ptr + gathered * HEAD_DIM + d[None, :], key_part, mask=loaded, sem="relaxed")
            tl.atomic_add(value_sums_ptr + gathered * HEAD_DIM + d[None, :], value_part, mask=loaded, sem="relaxed")

        tl.store(query_gradient_ptr + result_offsets, (gradient * scale).to(query_gradient_ptr.dtype.element_ty), mask=query_loaded)


@Relaunched
@triton.jit(do_not_specialize=SIZES)
def key_gradient_kernel(
    query_ptr,
    key_ptr,
    value_ptr,
    output_gradient_ptr,
    log_sum_exp_ptr,
    delta_ptr,
    key_gradient_ptr,
    value_gradient_ptr,
    key_sums_ptr,
    value_sums_ptr,
    order_ptr,
    offsets_ptr,
    row_starts_ptr,
    row_cluster_ptr,
    query_problem_stride,
    query_token_stride,
    key_problem_stride,
    key_token_stride,
    value_problem_stride,
    value_token_stride,
    n,
    n_clusters,
    n_rows,
    scale,
    CAUSAL: tl.constexpr,
    HEAD_DIM: tl.constexpr,
    BLOCK_D: tl.constexpr,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
):
    """One row of keys (BLOCK_M of them): dK and dV from the queries of its cluster, BLOCK_N at a time, plus the sums of sampled edges.

    dK = scale · dSᵀ Q and dV = Pᵀ dO; the names are those of :func:`query_gradient_kernel`, which must have run.
    """
    row = tl.program_id(0)
    problem = tl.program_id(1).to(tl.int64)
    cluster, first, begin, end = row_of(row_cluster_ptr, row_starts_ptr, offsets_ptr, problem, row, n_clusters, n_rows, BLOCK_M)
    if cluster >= 0:
        order_ptr += problem * n
        log_sum_exp_ptr += problem * n
        delta_ptr += problem * n
        query_ptr += problem * query_problem_stride
        output_gradient_ptr += problem * n * HEAD_DIM
        d = tl.arange(0, BLOCK_D)
        d_there = d[None, :] < HEAD_DIM
        place = begin + tl.arange(0, BLOCK_M)
        key_there = place < end
        key_position = tl.load(order_ptr + place, mask=key_there, other=0)
        key_loaded = key_there[:, None] & d_there
        gathered = key_position.to(tl.int64)[:, None]
        keys = tl.load(key_ptr + problem * key_problem_stride + gathered * key_token_stride + d[None, :], mask=key_loaded, other=0.0)
        values = tl.load(
            value_ptr + problem * value_problem_stride + gathered * value_token_stride + d[None, :], mask=key_loaded, other=0.0
        )
        result_offsets = (problem * n + key_position)[:, None] * HEAD_DIM + d[None, :]
        key_gradient = tl.zeros([BLOCK_M, BLOCK_D], tl.float32)
        value_gradient = tl.zeros([BLOCK_M, BLOCK_D], tl.float32)
        earliest = first
        if CAUSAL:
            earliest = begin
        for start in range(earliest, end, BLOCK_N):
            index = start + tl.arange(0, BLOCK_N)
            there = index < end
            position = tl.load(order_ptr + index, mask=there, other=0)
            loaded = there[:, None] & d_there
            query_offsets = position.to(tl.int64)[:, None]
            q = tl.load(query_ptr + query_offsets * query_token_stride + d[None, :], mask=loaded, other=0.0)
            output_gradient = tl.load(output_gradient_ptr + query_offsets * HEAD_DIM + d[None, :], mask=loaded, other=0.0)
            normaliser = tl.load(log_sum_exp_ptr + position, mask=there, other=float("inf")) * LOG2_E
            delta = tl.load(delta_ptr + position, mask=there, other=0.0)
            weights = tl.exp2(
                tl.dot(keys, tl.trans(q), input_precision=PRECISION) * (scale * LOG2_E) - normaliser[None, :]
            )  # [keys, queries]
            if CAUSAL:
                weights = tl.where(key_position[:, None] <= position[None, :], weights, 0.0)
            value_gradient = tl.dot(weights.to(output_gradient.dtype), output_gradient, value_gradient, input_precision=PRECISION)
            slopes = weights * (tl.dot(values, tl.trans(output_gradient), input_precision=PRECISION) - delta[None, :])
            key_gradient = tl.dot(slopes.to(q.dtype), q, key_gradient, input_precision=PRECISION)

        key_gradient = key_gradient * scale + tl.load(key_sums_ptr + result_offsets, mask=key_loaded, other=0.0)
        value_gradient += tl.load(value_sums_ptr + result_offsets, mask=key_loaded, other=0.0)
        tl.store(key_gradient_ptr + result_offsets, key_gradient.to(key_gradient_ptr.dtype.element_ty), mask=key_loaded)
        tl.store(value_gradient_ptr + result_offsets, value_gradient.to(value_gradient_ptr.dtype.element_ty), mask=key_loaded)
