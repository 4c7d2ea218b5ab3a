"""Spectral Sparse Attention end to end, as fast as we can make it: clustering, samples and attention, on a GPU or a CPU.

On a GPU every part is a kernel of ours and nothing waits for the device, so a whole call can be captured in a CUDA graph. On a CPU the
same steps run with the framework's operations. Samples are shared by rows of queries. The seed fixes projection, subsets and samples.
"""

from __future__ import annotations

import torch
from torch import Tensor

from workloads.spectral_sparse_attention import eager, fast_clustering, fused
from workloads.spectral_sparse_attention.clustering import PROJECTED_DIM, Clusters, check_cluster_count, projection
from workloads.spectral_sparse_attention.fast_clustering import LAUNCH, Effort, Launch, usual_effort
from workloads.spectral_sparse_attention.reference import Attended, softmax_scale
from workloads.spectral_sparse_attention.sampling import QUERIES_PER_ROW, check_sample_count, shared


def cluster(
    query: Tensor, n_clusters: int, *, phi: Tensor | None = None, m: int = PROJECTED_DIM, seed: int = 0, effort: Effort | None = None
) -> Clusters:
    """Clusters of the queries [*, N, head_dim] by the fast clustering of their device; ``phi`` [m, head_dim] is drawn where None.

    Raises ParameterError naming ``k`` unless 1 ≤ k ≤ N.
    """
    if phi is None:
        phi = projection(m, query.shape[-1], torch.Generator("cpu").manual_seed(seed)).to(query.device)
    way = fast_clustering.cluster_eagerly if fused.available(query.device) else fast_clustering.cluster
    return way(query, n_clusters, phi=phi, seed=seed, effort=effort)


def attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    n_clusters: int,
    n_samples: int,
    *,
    phi: Tensor | None = None,
    m: int = PROJECTED_DIM,
    seed: int = 0,
    queries_per_row: int = QUERIES_PER_ROW,
    weighted: bool = False,
    causal: bool = False,
    scale: float | None = None,
    effort: Effort | None = None,
    launch: Launch = LAUNCH,
) -> Attended:
    """Clusters the queries, draws samples and attends: [*, N, head_dim] → the same, differentiable at the clusters and samples it found.

    ``phi`` [m, head_dim]: the projection; pass it to capture the call in a CUDA graph, which cannot copy a drawn one from the host.
    Raises ParameterError naming ``k`` or ``s`` unless 1 ≤ k ≤ N and 0 ≤ s ≤ N; TypeError, ValueError and ParameterError as
    ``fused.check_tensors``.
    """
    n = query.shape[-2]
    check_cluster_count(n_clusters, n)
    check_sample_count(n_samples, n)
    if phi is None:
        phi = projection(m, query.shape[-1], torch.Generator("cpu").manual_seed(seed)).to(query.device)
    if fused.available(query.device):
        clusters = fast_clustering.cluster_eagerly(query, n_clusters, phi=phi, seed=seed, effort=effort)
        samples = shared(clusters, n_samples, queries_per_row=queries_per_row, seed=seed, causal=causal)
        return eager.attention(query, key, value, clusters, samples, weighted=weighted, causal=causal, scale=scale)
    fused.check_tensors(query, key, value)
    options = fused.Options(weighted, causal, softmax_scale(query.shape[-1], scale), None, None)
    with fused.launching_on(query):
        x = fused.problems_of(query.detach())
        padded = fast_clustering.padded_projection(phi)
        _, plan = fast_clustering.clustered(x, n_clusters, padded, seed, queries_per_row, effort or usual_effort(n), launch)
        keys, population = fused.draw(plan, n_samples, seed, causal)
        return fused.attention_on(query, key, value, plan, keys, population, options)
