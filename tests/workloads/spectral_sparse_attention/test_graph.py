"""Graphs of dense attention and of SSA: same weights on the edges that are kept."""

from __future__ import annotations

import math

import pytest
import torch

from workloads.spectral_sparse_attention import graph, sampling
from workloads.spectral_sparse_attention.clustering import clusters_of


def tokens(n: int = 12, d: int = 4, seed: int = 0) -> torch.Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed))


def test_dense_logits_are_scaled_scores():
    q, k = torch.tensor([[2.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]]), torch.tensor([[1.0, 0, 0, 0], [3.0, 0, 0, 0]])
    expected = [[1.0, 3.0], [0.0, 0.0]]  # q·k/√4
    assert torch.allclose(graph.dense_logits(q, k), torch.tensor(expected, dtype=torch.float64))
    assert graph.dense_logits(q, k, causal=True)[0, 1] == -math.inf


def test_scores_that_would_overflow_are_no_problem():
    walk = graph.transition(graph.dense_logits(tokens() * 60, tokens() * 60))
    assert bool(walk.isfinite().all())
    matrix = graph.normalised(graph.symmetrised(graph.dense_logits(tokens() * 60, tokens() * 60)))
    assert float(torch.linalg.eigvalsh(matrix).max()) == pytest.approx(1.0)


def test_one_cluster_without_samples_is_the_dense_graph():
    x = tokens()
    clusters = clusters_of(torch.zeros(12, dtype=torch.int64), 1)
    sparse = graph.sparse_logits(x, x, clusters, sampling.per_query(clusters, 0))
    assert torch.allclose(graph.transition(sparse), graph.transition(graph.dense_logits(x, x)))
    assert graph.density(sparse) == 1.0


def test_reweighted_samples_count_for_all_keys_outside():
    # Four clusters of three tokens; 2 of the 9 keys outside are sampled: each counts 4.5 times.
    x = tokens()
    clusters = clusters_of(torch.arange(12) // 3, 4)
    samples = sampling.per_query(clusters, 2, seed=1)
    plain = graph.sparse_logits(x, x, clusters, samples)
    heavy = graph.sparse_logits(x, x, clusters, samples, weighted=True)
    kept = plain.isfinite()
    assert sorted({round(float(r), 9) for r in (heavy - plain)[kept].exp()}) == [1.0, 4.5]
    assert int(kept.sum()) == 12 * (3 + 2)
    assert torch.allclose(graph.transition(heavy).sum(1), torch.ones(12, dtype=torch.float64))


def test_symmetrising_keeps_an_edge_of_either_direction():
    weights = torch.tensor([[1.0, 4.0], [0.0, 1.0]], dtype=torch.float64)
    assert torch.allclose(graph.symmetrised(weights.log()).exp(), torch.tensor([[1.0, 2.0], [2.0, 1.0]], dtype=torch.float64))


def test_a_token_without_edges_has_no_laplacian():
    with pytest.raises(ValueError, match="no edge"):
        graph.normalised(torch.tensor([[1.0, 0.0], [0.0, 0.0]], dtype=torch.float64).log())
