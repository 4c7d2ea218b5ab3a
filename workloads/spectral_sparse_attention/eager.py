"""Algorithm 2 with the framework's own operations: its cost without kernels of one's own, and the fast way on a CPU.

The same function as ``reference.attention``, in time and memory of the edges that there are. Queries of one cluster, at most a row at a
time, meet the cluster's keys and their samples as one small matrix product. Products of about one size run together as a batch, padded to
a common size; padding is masked. With samples per query (algorithm 2 to the letter) every query gathers s keys and values of its own,
which is what makes that variant slow.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator

import torch
from torch import Tensor

from workloads.spectral_sparse_attention.clustering import Clusters
from workloads.spectral_sparse_attention.reference import Attended, softmax_scale
from workloads.spectral_sparse_attention.sampling import QUERIES_PER_ROW, Samples, row_starts

GATHERED_AT_ONCE = 2**24  # numbers of keys and of logits that one batch may hold


def padded_size(size: int) -> int:
    """The next of 16, 24, 32, 48, 64, 96, … that holds ``size``: at most half is padding, and few different sizes occur."""
    power = 1 << max(4, (size - 1).bit_length())
    return power * 3 // 4 if size <= power * 3 // 4 and power > 16 else power


def batches(clusters: Clusters, samples: Samples, head_dim: int) -> Iterator[tuple[int, int, Tensor]]:
    """(queries, keys, rows) of each batch; rows [B, 5]: problem, the cluster's first place and its end, the row's first place, the row."""
    step = samples.queries_per_row or QUERIES_PER_ROW
    offsets = clusters.offsets.reshape(-1, clusters.n_clusters + 1).tolist()
    starts = row_starts(clusters, step).reshape(-1, clusters.n_clusters + 1).tolist()
    groups: dict[tuple[int, int], list[tuple[int, ...]]] = defaultdict(list)
    for problem, (places, first_rows) in enumerate(zip(offsets, starts, strict=True)):
        for cluster, row in enumerate(first_rows[:-1]):
            first, end = places[cluster], places[cluster + 1]
            keys = padded_size(end - first)
            for i, begin in enumerate(range(first, end, step)):
                groups[min(step, keys), keys].append((problem, first, end, begin, row + i))
    sampled = samples.keys.shape[-1]
    for (n_queries, n_keys), rows in sorted(groups.items()):
        each = (n_keys + sampled) * (head_dim + n_queries) + (0 if samples.queries_per_row else n_queries * sampled * head_dim)
        for part in torch.tensor(rows, device=clusters.order.device).split(max(1, GATHERED_AT_ONCE // each)):
            yield n_queries, n_keys, part


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
    """``reference.attention`` for the same arguments; differentiable. Reads the clusters' sizes, so a GPU is waited for."""
    leading, n = query.shape[:-2], query.shape[-2]
    problems = math.prod(leading)
    factor = softmax_scale(query.shape[-1], scale)
    order = clusters.order.reshape(problems, n).long()
    sampled_keys = samples.keys.reshape(problems, *samples.keys.shape[-2:]).long()
    log_weight = samples.log_weight.to(query.dtype).reshape(problems, -1)
    q, k, v = (x.reshape(problems * n, -1) for x in (query, key, value))
    outputs: list[Tensor] = []
    normalisers: list[Tensor] = []
    tokens: list[Tensor] = []
    for n_queries, n_keys, rows in batches(clusters, samples, query.shape[-1]):
        problem, first, end, begin, row = rows.T[..., None]
        query_place = begin + torch.arange(n_queries, device=rows.device)
        query_there = query_place < end
        position = order[problem, torch.minimum(query_place, end - 1)]  # padding repeats the last query, which sees a key
        place = first + torch.arange(n_keys, device=rows.device)
        own = order[problem, place.clamp(max=n - 1)].masked_fill(place >= end, -1)  # [B, keys]; −1 where there is none, as in samples
        block = q[problem * n + position] * factor
        if samples.queries_per_row:
            drawn = sampled_keys[problem[:, 0], row[:, 0]]
            bias = log_weight[problem, row].expand(drawn.shape) if weighted else torch.zeros_like(drawn, dtype=query.dtype)
            bias = torch.cat([torch.zeros_like(own, dtype=query.dtype), bias], 1)
            own = torch.cat([own, drawn], 1)
            logits = block @ k[problem * n + own.clamp(min=0)].mT + masked(own[:, None], position, causal, query.dtype) + bias[:, None]
            weights = logits.softmax(-1)
            result = weights @ v[problem * n + own.clamp(min=0)]
        else:
            drawn = sampled_keys[problem, position]  # [B, queries, s]
            table = problem[..., None] * n + drawn.clamp(min=0)
            inside = block @ k[problem * n + own.clamp(min=0)].mT + masked(own[:, None], position, causal, query.dtype)
            outside = (k[table] @ block[..., None]).squeeze(-1) + masked(drawn, position, causal, query.dtype)
            if weighted:
                outside = outside + log_weight[problem, position][..., None]
            logits = torch.cat([inside, outside], -1)
            weights, sampled_weights = logits.softmax(-1).split([own.shape[1], drawn.shape[-1]], -1)
            result = weights @ v[problem * n + own.clamp(min=0)] + (sampled_weights[..., None, :] @ v[table]).squeeze(-2)
        outputs.append(result[query_there])
        normalisers.append(logits.logsumexp(-1)[query_there])
        tokens.append((problem * n + position)[query_there])
    back = torch.cat(tokens).argsort()
    return Attended(torch.cat(outputs)[back].view(*leading, n, -1), torch.cat(normalisers)[back].view(*leading, n))


def masked(keys: Tensor, position: Tensor, causal: bool, dtype: torch.dtype) -> Tensor:
    """0 where a query at ``position`` [B, queries] may see the key [B, 1 or queries, keys], −∞ where it is −1 or, when causal, later."""
    hidden = keys < 0
    if causal:
        hidden = hidden | (keys > position[..., None])
    return torch.zeros(hidden.shape, dtype=dtype, device=keys.device).masked_fill_(hidden, -torch.inf)
