"""Triton kernels around the grouped products of a mixture layer: routing, counting sort, gather, combine.

T tokens in blocks of BLOCK_T, E experts (padded to E_PAD, a power of two of at least 16 as the matrix unit wants), K experts a token
(padded to K_PAD). A token's k assignments are sorted by expert without comparing keys: every block counts its assignments per expert, a
scan over blocks tells where each block's begin, and within a block a running count places them. All of it is deterministic, and
nothing waits for the host, so a layer can be captured in a CUDA graph.
"""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def route_kernel(
    x_ptr,
    router_ptr,
    experts_ptr,
    weights_ptr,
    counts_ptr,
    n_tokens,
    n_blocks,
    D: tl.constexpr,
    E: tl.constexpr,
    E_PAD: tl.constexpr,
    K: tl.constexpr,
    K_PAD: tl.constexpr,
    BLOCK_T: tl.constexpr,
    BLOCK_D: tl.constexpr,
):
    """Scores of a block of tokens, its k best experts [T, K], the softmax of their scores, and how many go to each expert [E, n_blocks]."""
    block = tl.program_id(0)
    tokens = block * BLOCK_T + tl.arange(0, BLOCK_T)
    inside = tokens < n_tokens
    columns = tl.arange(0, E_PAD)
    scores = tl.zeros((BLOCK_T, E_PAD), dtype=tl.float32)
    for first in range(0, D, BLOCK_D):
        features = first + tl.arange(0, BLOCK_D)
        x = tl.load(x_ptr + tokens[:, None].to(tl.int64) * D + features[None, :], mask=inside[:, None] & (features < D)[None, :], other=0.0)
        router = tl.load(
            router_ptr + columns[None, :] * D + features[:, None], mask=(columns < E)[None, :] & (features < D)[:, None], other=0.0
        )
        scores += tl.dot(x, router, input_precision="ieee")
    scores = tl.where((columns < E)[None, :], scores, float("-inf"))
    places = tl.arange(0, K_PAD)
    chosen = tl.zeros((BLOCK_T, K_PAD), dtype=tl.int32)
    best = tl.full((BLOCK_T, K_PAD), float("-inf"), dtype=tl.float32)
    counts = tl.zeros((E_PAD,), dtype=tl.int32)
    for k in tl.static_range(K):
        top = tl.max(scores, axis=1)
        # The first of the best ones; a row of NaN has none, and must still name an expert that exists.
        expert = tl.min(tl.where(scores == top[:, None], columns[None, :], E_PAD), axis=1)
        expert = tl.where(expert < E, expert, k)
        taken = columns[None, :] == expert[:, None]
        counts += tl.sum((taken & inside[:, None]).to(tl.int32), axis=0)
        chosen = tl.where(places[None, :] == k, expert[:, None], chosen)
        best = tl.where(places[None, :] == k, top[:, None], best)
        scores = tl.where(taken, float("-inf"), scores)
    exponentials = tl.exp(best - tl.max(best, axis=1)[:, None])
    weights = exponentials / tl.sum(exponentials, axis=1)[:, None]
    at = tokens[:, None] * K + places[None, :]
    kept = inside[:, None] & (places < K)[None, :]
    tl.store(experts_ptr + at, chosen, mask=kept)
    tl.store(weights_ptr + at, weights, mask=kept)
    tl.store(counts_ptr + columns * n_blocks + block, counts, mask=columns < E)


@triton.jit
def offsets_kernel(counts_ptr, first_ptr, ends_ptr, n_blocks, E: tl.constexpr, E_PAD: tl.constexpr, CHUNK: tl.constexpr):
    """Program e: where each block's assignments to expert e begin, [E, n_blocks], and where the expert's segment ends, [E]."""
    expert = tl.program_id(0)
    rows = tl.arange(0, E_PAD)
    before = tl.zeros((E_PAD,), dtype=tl.int32)
    for start in range(0, n_blocks, CHUNK):
        blocks = start + tl.arange(0, CHUNK)
        tile = tl.load(
            counts_ptr + rows[:, None] * n_blocks + blocks[None, :], mask=(rows < expert)[:, None] & (blocks < n_blocks)[None, :], other=0
        )
        before += tl.sum(tile, axis=1)
    position = tl.sum(before, axis=0)
    for start in range(0, n_blocks, CHUNK):
        blocks = start + tl.arange(0, CHUNK)
        counts = tl.load(counts_ptr + expert * n_blocks + blocks, mask=blocks < n_blocks, other=0)
        tl.store(first_ptr + expert * n_blocks + blocks, position + tl.cumsum(counts, axis=0) - counts, mask=blocks < n_blocks)
        position += tl.sum(counts, axis=0)
    tl.store(ends_ptr + expert, position)


@triton.jit
def place_kernel(
    experts_ptr,
    first_ptr,
    places_ptr,
    n_tokens,
    n_blocks,
    E: tl.constexpr,
    E_PAD: tl.constexpr,
    K: tl.constexpr,
    BLOCK_T: tl.constexpr,
):
    """The row of each assignment among those sorted by expert, [T, K]; the same blocks of tokens as ``route_kernel``."""
    block = tl.program_id(0)
    tokens = block * BLOCK_T + tl.arange(0, BLOCK_T)
    inside = tokens < n_tokens
    columns = tl.arange(0, E_PAD)
    following = tl.load(first_ptr + columns * n_blocks + block, mask=columns < E, other=0)
    for k in tl.static_range(K):
        expert = tl.load(experts_ptr + tokens * K + k, mask=inside, other=E_PAD)
        taken = (columns[None, :] == expert[:, None]).to(tl.int32)
        earlier = tl.cumsum(taken, axis=0) - taken
        place = tl.sum(taken * (earlier + following[None, :]), axis=1)
        tl.store(places_ptr + tokens * K + k, place, mask=inside)
        following += tl.sum(taken, axis=0)


@triton.jit
def gather_kernel(x_ptr, places_ptr, rows_ptr, n_tokens, D: tl.constexpr, K: tl.constexpr, BLOCK_T: tl.constexpr, BLOCK_D: tl.constexpr):
    """Copies every token to the rows of its assignments: x [T, D] → rows [T · K, D]; x is read once."""
    tokens = tl.program_id(0) * BLOCK_T + tl.arange(0, BLOCK_T)
    inside = tokens < n_tokens
    features = tl.program_id(1) * BLOCK_D + tl.arange(0, BLOCK_D)
    mask = inside[:, None] & (features < D)[None, :]
    x = tl.load(x_ptr + tokens[:, None].to(tl.int64) * D + features[None, :], mask=mask, other=0.0)
    for k in tl.static_range(K):
        place = tl.load(places_ptr + tokens * K + k, mask=inside, other=0).to(tl.int64)
        tl.store(rows_ptr + place[:, None] * D + features[None, :], x, mask=mask)


@triton.jit
def combine_kernel(
    rows_ptr,
    places_ptr,
    weights_ptr,
    y_ptr,
    n_tokens,
    D: tl.constexpr,
    K: tl.constexpr,
    WEIGHTED: tl.constexpr,
    BLOCK_T: tl.constexpr,
    BLOCK_D: tl.constexpr,
):
    """The weighted sum of each token's rows, added up in float32: rows [T · K, D], weights [T, K] → y [T, D]."""
    tokens = tl.program_id(0) * BLOCK_T + tl.arange(0, BLOCK_T)
    inside = tokens < n_tokens
    features = tl.program_id(1) * BLOCK_D + tl.arange(0, BLOCK_D)
    mask = inside[:, None] & (features < D)[None, :]
    total = tl.zeros((BLOCK_T, BLOCK_D), dtype=tl.float32)
    for k in tl.static_range(K):
        place = tl.load(places_ptr + tokens * K + k, mask=inside, other=0).to(tl.int64)
        row = tl.load(rows_ptr + place[:, None] * D + features[None, :], mask=mask, other=0.0).to(tl.float32)
        if WEIGHTED:
            row *= tl.load(weights_ptr + tokens * K + k, mask=inside, other=0.0)[:, None]
        total += row
    tl.store(y_ptr + tokens[:, None].to(tl.int64) * D + features[None, :], total.to(y_ptr.dtype.element_ty), mask=mask)


@triton.jit
def uncombine_kernel(
    dy_ptr,
    rows_ptr,
    places_ptr,
    weights_ptr,
    drows_ptr,
    dweights_ptr,
    n_tokens,
    D: tl.constexpr,
    K: tl.constexpr,
    BLOCK_T: tl.constexpr,
    BLOCK_D: tl.constexpr,
):
    """Gradient of ``combine_kernel``: each row's w · dy, [T · K, D], and each weight's dot product of its row with dy, [T, K]."""
    tokens = tl.program_id(0) * BLOCK_T + tl.arange(0, BLOCK_T)
    inside = tokens < n_tokens
    for k in tl.static_range(K):
        place = tl.load(places_ptr + tokens * K + k, mask=inside, other=0).to(tl.int64)
        weight = tl.load(weights_ptr + tokens * K + k, mask=inside, other=0.0)
        dot = tl.zeros((BLOCK_T,), dtype=tl.float32)
        for first in range(0, D, BLOCK_D):
            features = first + tl.arange(0, BLOCK_D)
            mask = inside[:, None] & (features < D)[None, :]
            at = place[:, None] * D + features[None, :]
            dy = tl.load(dy_ptr + tokens[:, None].to(tl.int64) * D + features[None, :], mask=mask, other=0.0).to(tl.float32)
            row = tl.load(rows_ptr + at, mask=mask, other=0.0).to(tl.float32)
            dot += tl.sum(dy * row, axis=1)
            tl.store(drows_ptr + at, (weight[:, None] * dy).to(drows_ptr.dtype.element_ty), mask=mask)
        tl.store(dweights_ptr + tokens * K + k, dot, mask=inside)
