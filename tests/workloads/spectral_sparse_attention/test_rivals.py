"""Rivals, dense baselines and synthetic tokens."""

from __future__ import annotations

import pytest
import torch
from torch.testing import assert_close

from workloads.spectral_sparse_attention import data, dense, rivals, sampling
from workloads.spectral_sparse_attention.clustering import clusters_of


def test_random_clusters_have_equal_sizes():
    like = clusters_of(torch.zeros(3, 50, dtype=torch.int64), 7)
    sizes = rivals.random_clusters(like).sizes
    assert sizes.sum(-1).tolist() == [50] * 3
    assert set(sizes.flatten().tolist()) == {7, 8}  # 50 = 7 · 7 + 1
    assert not torch.equal(rivals.random_clusters(like).labels[0], rivals.random_clusters(like).labels[1])


def test_edges_of_a_query_by_hand():
    clusters = clusters_of(torch.tensor([[0, 0, 0, 1]]), 2)
    # Three queries with 3 + 1 keys (the only outsider), one with 1 + 2: (12 + 3)/4.
    assert rivals.edges_per_query(clusters, sampling.per_query(clusters, 2)) == 15 / 4
    # Causal: 1, 2, 3 within the first cluster and nothing outside before it; token 3 sees itself and two of the three before.
    assert rivals.edges_per_query(clusters, sampling.per_query(clusters, 2, causal=True), causal=True) == (1 + 2 + 3 + 1 + 2) / 4


@pytest.mark.parametrize("causal", [False, True])
def test_a_window_of_everything_is_dense(causal):
    q, k, v = (torch.randn(2, 33, 8, dtype=torch.float64) for _ in range(3))
    assert_close(rivals.sliding_window(q, k, v, 33, causal=causal), dense.naive(q, k, v, causal=causal))


def test_what_a_window_sees(monkeypatch):
    monkeypatch.setattr(rivals, "QUERIES_AT_ONCE", 2)
    q, v = torch.zeros(5, 1), torch.eye(5)
    # Equal logits: each row shows the keys seen. Three keys for each query, leaning inwards at the ends; causal: cut off.
    third, half = 1 / 3, 0.5
    inwards = torch.tensor([[1.0, 1, 1, 0, 0], [1, 1, 1, 0, 0], [0, 1, 1, 1, 0], [0, 0, 1, 1, 1], [0, 0, 1, 1, 1]]) * third
    assert_close(rivals.sliding_window(q, q, v, 3), inwards)
    back = torch.tensor(
        [[1.0, 0, 0, 0, 0], [half, half, 0, 0, 0], [third, third, third, 0, 0], [0, third, third, third, 0], [0, 0, third, third, third]]
    )
    assert_close(rivals.sliding_window(q, q, v, 3.4, causal=True), back)


def test_mean_of_values():
    v = torch.tensor([[[2.0], [4.0], [9.0]]])
    assert rivals.mean_of_values(v).flatten().tolist() == [5.0, 5.0, 5.0]
    assert rivals.mean_of_values(v, causal=True).flatten().tolist() == [2.0, 3.0, 5.0]


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("shape", [(2, 16, 8), (2, 3, 16, 8), (16, 8)])
def test_fused_backends_agree_with_naive(causal, shape):
    q, k, v = (torch.randn(shape) for _ in range(3))
    usable = [name for name, reason in dense.usable_backends(q).items() if not reason]
    assert usable == ["flash"]  # on a CPU
    assert_close(dense.with_backend("flash")(q, k, v, causal=causal), dense.naive(q, k, v, causal=causal))


def test_naive_bytes():
    assert dense.naive_bytes(16, 4096, 2) == 2 * 16 * 4096 * 4096 * 2


def test_planted_sizes():
    assert data.planted_sizes(10, 5, 1.0) == [2, 2, 2, 2, 2]
    sizes = data.planted_sizes(100_000, 100, 4.0)
    assert sum(sizes) == 100_000
    assert sizes == sorted(sizes)
    # Shares ∝ (i/100)³; their mean is Σ i³ / 100⁴ = (5050)² / 10⁸ = 0.2550, so the largest is 3.92 times the mean.
    assert max(sizes) / 1000 == pytest.approx(1 / 0.255025, rel=0.01)


def test_planted_tokens_lie_around_their_centres():
    tokens = data.planted(2, 4000, 8, 4, spread=0.1, seed=1)
    assert tokens.query.shape == tokens.key.shape == tokens.value.shape == (2, 4000, 8)
    for head in range(2):
        members = [tokens.query[head][tokens.labels[head] == label] for label in range(4)]
        assert [len(x) for x in members] == [1000] * 4
        for x in members:
            assert float((x - x.mean(0)).std()) == pytest.approx(0.1, rel=0.05)
    assert not torch.equal(tokens.labels[0], tokens.labels[0].sort().values)  # shuffled
    assert not torch.equal(tokens.labels[0], tokens.labels[1])
    # Keys share the centres and have noise of their own: differences have twice the variance.
    assert float((tokens.query - tokens.key).std()) == pytest.approx(0.1 * 2**0.5, rel=0.05)
    assert abs(float((tokens.query * tokens.value).mean())) < 0.05


def test_tied_and_clustered_variants():
    tokens = data.planted(1, 300, 8, 3, spread=0.1, tied=True, clustered_values=True)
    assert torch.equal(tokens.query, tokens.key)
    for label in range(3):
        assert float(tokens.value[0][tokens.labels[0] == label].std(0).mean()) == pytest.approx(0.1, rel=0.3)
    plain = data.unclustered(2, 3000, 8, seed=5)
    assert float(plain.query.std()) == pytest.approx(1.0, rel=0.03)
    assert not torch.equal(plain.query, plain.key)
    assert torch.equal(data.unclustered(2, 10, 8, tied=True).query, data.unclustered(2, 10, 8, tied=True).key)
