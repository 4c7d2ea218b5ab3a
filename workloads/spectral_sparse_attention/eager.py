"""Algorithm 2 with the framework's own operations, cluster by cluster: its cost without kernels of one's own, and the fast way on a CPU.

The same function as ``reference.attention``, in time and memory of the edges that there are. Blocks of at most 128 queries of one
cluster meet the cluster's keys and their samples; with samples per query (algorithm 2 to the letter) each query's sampled keys and
values are gathered, s rows each. Every block is a handful of small operations: a CPU does well with them, a GPU waits for the host.
"""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor

from workloads.spectral_sparse_attention.clustering import Clusters
from workloads.spectral_sparse_attention.reference import Attended, softmax_scale
from workloads.spectral_sparse_attention.sampling import QUERIES_PER_ROW, Samples


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
    places = clusters.places.reshape(problems, n)
    offsets = clusters.offsets.reshape(problems, -1).tolist()
    keys = samples.keys.reshape(problems, *samples.keys.shape[-2:]).long()
    log_weight = samples.log_weight.to(query.dtype).reshape(problems, -1) if weighted else None
    q, k, v = (x.reshape(problems, n, -1) for x in (query, key, value))
    step = samples.queries_per_row or QUERIES_PER_ROW
    outputs: list[Tensor] = []
    normalisers: list[Tensor] = []
    for problem in range(problems):
        parts: list[Tensor] = []
        logs: list[Tensor] = []
        for first, end in pairwise(offsets[problem]):
            members = order[problem, first:end]
            member_keys, member_values = k[problem, members], v[problem, members]
            for start in range(0, end - first, step):
                positions = members[start : start + step]
                rows = slice(len(parts), len(parts) + 1) if samples.queries_per_row else positions
                sampled = keys[problem, rows]  # [1, s] where the block shares them, else [queries, s]
                hidden = sampled < 0
                sampled = sampled.clamp(min=0)
                block = q[problem, positions] * factor
                inside = block @ member_keys.mT
                outside = per_row(block, k[problem, sampled].mT)
                if log_weight is not None:
                    outside = outside + log_weight[problem, rows][:, None]
                if causal:
                    inside = inside.masked_fill(members > positions[:, None], -torch.inf)
                    hidden = hidden | (sampled > positions[:, None])
                logits = torch.cat([inside, outside.masked_fill(hidden, -torch.inf)], -1)
                weights, sampled_weights = logits.softmax(-1).split([len(members), sampled.shape[-1]], -1)
                parts.append(weights @ member_values + per_row(sampled_weights, v[problem, sampled]))
                logs.append(logits.logsumexp(-1))
        outputs.append(torch.cat(parts)[places[problem]])
        normalisers.append(torch.cat(logs)[places[problem]])
    return Attended(torch.stack(outputs).view(*leading, n, -1), torch.stack(normalisers).view(*leading, n))


def per_row(x: Tensor, tables: Tensor) -> Tensor:
    """x [B, a] times each row's own table [B, a, b], or one table [1, a, b] for all → [B, b]."""
    return x @ tables[0] if len(tables) == 1 else (x[:, None] @ tables).squeeze(1)
