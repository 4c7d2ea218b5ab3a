"""Algorithm 2 itself: the reference against dense attention and by hand, and the eager version against the reference."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

from workloads.spectral_sparse_attention import dense, eager, fast, reference, sampling
from workloads.spectral_sparse_attention.clustering import Clusters, clusters_of

WAYS = pytest.mark.parametrize("way", [reference, eager], ids=["reference", "eager"])
CAUSAL = pytest.mark.parametrize("causal", [False, True])


def tokens(n, head_dim=8, heads=2, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(heads, n, head_dim, generator=generator, dtype=torch.float64).to(dtype) for _ in range(3)]


def some_clusters(n, k, seed=0, heads=2):
    generator = torch.Generator().manual_seed(seed)
    return clusters_of((torch.rand(heads, n, generator=generator) ** 2 * k).long(), k)


@WAYS
def test_by_hand(way):
    # Every logit is 0 but query 0's with key 3, which is ln 6. Clusters {0, 1} and {2, 3}; query 0 samples key 3, query 1 key 2, query 2
    # key 0, and query 3 nothing, as if it had nothing to draw from.
    query = torch.tensor([[1.0], [0.0], [0.0], [0.0]], dtype=torch.float64)
    key = torch.tensor([[0.0], [0.0], [0.0], [math.log(6)]], dtype=torch.float64)
    value = torch.tensor([[1.0], [2.0], [4.0], [8.0]], dtype=torch.float64)
    clusters = clusters_of(torch.tensor([0, 0, 1, 1]), 2)
    samples = sampling.Samples(torch.tensor([[3], [2], [0], [-1]]), torch.tensor([2, 2, 2, 0]), 0)
    plain = way.attention(query, key, value, clusters, samples, scale=1.0)
    # Query 0: weights 1, 1, 6 on 1, 2, 8 = 51/8. Query 1: (1 + 2 + 4)/3. Query 2: (4 + 8 + 1)/3. Query 3: (4 + 8)/2.
    assert_close(plain.output[:, 0], torch.tensor([51 / 8, 7 / 3, 13 / 3, 6.0], dtype=torch.float64))
    assert_close(plain.log_sum_exp, torch.tensor([8.0, 3.0, 3.0, 2.0], dtype=torch.float64).log())
    # Re-weighted: one key drawn of a population of two counts twice: 1, 1, 12 on 1, 2, 8 = 99/14; (1 + 2 + 8)/4; (4 + 8 + 2)/4; as before.
    weighted = way.attention(query, key, value, clusters, samples, scale=1.0, weighted=True)
    assert_close(weighted.output[:, 0], torch.tensor([99 / 14, 11 / 4, 14 / 4, 6.0], dtype=torch.float64))


@WAYS
@CAUSAL
def test_one_cluster_without_samples_is_dense(way, causal):
    q, k, v = tokens(37)
    clusters = clusters_of(torch.zeros(2, 37, dtype=torch.int64), 1)
    samples = sampling.shared(clusters, 0, causal=causal)
    assert_close(way.attention(q, k, v, clusters, samples, causal=causal).output, dense.naive(q, k, v, causal=causal))


@WAYS
@CAUSAL
@pytest.mark.parametrize("row", [0, 4])
@pytest.mark.parametrize("weighted", [False, True])
def test_samples_of_all_keys_are_dense(way, causal, row, weighted):
    q, k, v = tokens(41)
    clusters = some_clusters(41, 6)
    samples = sampling.shared(clusters, 41, queries_per_row=row, causal=causal) if row else sampling.per_query(clusters, 41, causal=causal)
    assert_close(way.attention(q, k, v, clusters, samples, causal=causal, weighted=weighted).output, dense.naive(q, k, v, causal=causal))


@settings(max_examples=20)
@given(
    n=st.integers(1, 40),
    k=st.integers(1, 6),
    s=st.integers(0, 40),
    seed=st.integers(0, 50),
    row=st.sampled_from([0, 1, 8]),
    causal=st.booleans(),
)
def test_eager_is_the_reference_and_rows_sum_to_one(n, k, s, seed, row, causal):
    q, key, v = tokens(n, seed=seed)
    clusters = some_clusters(n, k, seed)
    s = min(s, n)
    draw = sampling.shared if row else sampling.per_query
    samples = draw(clusters, s, seed=seed, causal=causal, **({"queries_per_row": row} if row else {}))
    for weighted in (False, True):
        inputs = [x.clone().requires_grad_() for x in (q, key, v)]
        wanted = reference.attention(*inputs, clusters, samples, weighted=weighted, causal=causal)
        found = eager.attention(*inputs, clusters, samples, weighted=weighted, causal=causal)
        assert_close(found.output, wanted.output)
        assert_close(found.log_sum_exp, wanted.log_sum_exp)
        for a, b in zip(
            torch.autograd.grad(found.output.sin().sum(), inputs), torch.autograd.grad(wanted.output.sin().sum(), inputs), strict=True
        ):
            assert_close(a, b)
        # Attention to values that are all 1 is what each row of weights sums to.
        assert_close(eager.attention(q, key, torch.ones_like(v), clusters, samples, causal=causal).output, torch.ones_like(v))


@WAYS
def test_permuting_tokens_permutes_the_output(way):
    n = 50
    q, k, v = tokens(n, heads=1)
    clusters = some_clusters(n, 5, heads=1)
    samples = sampling.per_query(clusters, 7)
    before = way.attention(q, k, v, clusters, samples).output
    order = torch.randperm(n, generator=torch.Generator().manual_seed(1))
    new_place = order.argsort()  # token t of before stands at new_place[t]
    moved = clusters_of(clusters.labels[:, order], 5)
    keys = samples.keys[:, order]
    moved_samples = sampling.Samples(torch.where(keys >= 0, new_place[keys.clamp(min=0)], -1), samples.population[:, order], 0)
    after = way.attention(q[:, order], k[:, order], v[:, order], moved, moved_samples).output
    assert_close(after, before[:, order])


@WAYS
def test_causal_outputs_do_not_depend_on_the_future(way):
    n, cut = 60, 30
    q, k, v = tokens(n)
    clusters = some_clusters(n, 5)
    for samples in (sampling.per_query(clusters, 9, causal=True), sampling.shared(clusters, 9, queries_per_row=8, causal=True)):
        before = way.attention(q, k, v, clusters, samples, causal=True).output
        k2, v2 = k.clone(), v.clone()
        k2[:, cut:], v2[:, cut:] = 5.0, -7.0
        after = way.attention(q, k2, v2, clusters, samples, causal=True).output
        assert_close(after[:, :cut], before[:, :cut])
        assert not torch.allclose(after[:, cut:], before[:, cut:])


@WAYS
def test_logits_beyond_the_range_of_exp(way):
    # Logits of ± a million: exp overflows, the softmax does not. With orthogonal keys each query sees itself alone.
    x = torch.eye(6, dtype=torch.float64) * 1e3
    clusters = clusters_of(torch.tensor([0, 0, 0, 1, 1, 1]), 2)
    attended = way.attention(x, x, torch.arange(6.0, dtype=torch.float64)[:, None], clusters, sampling.per_query(clusters, 2), scale=1.0)
    assert_close(attended.output[:, 0], torch.arange(6.0, dtype=torch.float64))
    assert_close(attended.log_sum_exp, torch.full((6,), 1e6, dtype=torch.float64))


@WAYS
def test_identical_tokens_give_the_mean_of_what_is_seen(way):
    q = torch.ones(1, 12, 4, dtype=torch.float64)
    v = torch.arange(12.0, dtype=torch.float64).view(1, 12, 1)
    clusters = clusters_of(torch.tensor([[0] * 4 + [1] * 8]), 3)  # cluster 2 is empty
    output = way.attention(q, q, v, clusters, sampling.shared(clusters, 0)).output
    assert_close(output[0, :, 0], torch.tensor([1.5] * 4 + [7.5] * 8, dtype=torch.float64))


def test_logits_hold_the_edges_alone():
    q, k, _ = tokens(20)
    clusters = some_clusters(20, 4)
    samples = sampling.per_query(clusters, 3)
    table = reference.logits(q, k, clusters, samples)
    edges = (
        (clusters.labels[..., None] == clusters.labels[:, None])
        .long()
        .scatter_add(-1, samples.keys.clamp(min=0), (samples.keys >= 0).long())
    )
    assert torch.equal(table.isfinite(), edges > 0)
    assert edges.max() == 1  # no edge twice: samples are outside the cluster, each once
    assert_close(table[edges > 0], (q @ k.mT / 8**0.5)[edges > 0])
    assert_close(reference.logits(q, k, clusters, samples, first=5, last=9), table[:, 5:9])


def test_the_reference_in_parts_is_the_whole(monkeypatch):
    q, k, v = tokens(23)
    clusters = some_clusters(23, 3)
    samples = sampling.shared(clusters, 4, queries_per_row=4)
    whole = reference.attention(q, k, v, clusters, samples)
    monkeypatch.setattr(reference, "ENTRIES_AT_ONCE", 23 * 2 * 5)
    monkeypatch.setattr(eager, "GATHERED_AT_ONCE", 1)
    for attended in (reference.attention(q, k, v, clusters, samples), eager.attention(q, k, v, clusters, samples)):
        assert_close(attended.output, whole.output)
        assert_close(attended.log_sum_exp, whole.log_sum_exp)


def test_leading_dimensions_are_independent_problems():
    q, k, v = (x.view(2, 1, 30, 8) for x in tokens(30))
    flat = some_clusters(30, 4)
    clusters = Clusters(flat.labels.view(2, 1, 30), flat.order.view(2, 1, 30), flat.offsets.view(2, 1, -1))
    samples = sampling.shared(clusters, 5, queries_per_row=8)
    found = eager.attention(q, k, v, clusters, samples)
    wanted = reference.attention(q[:, 0], k[:, 0], v[:, 0], flat, sampling.shared(flat, 5, queries_per_row=8))
    assert_close(found.output[:, 0], wanted.output)
    assert_close(reference.attention(q, k, v, clusters, samples).log_sum_exp[:, 0], wanted.log_sum_exp)


@CAUSAL
def test_the_fast_call_is_its_parts(causal):
    q, k, v = tokens(200, dtype=torch.float32)
    found = fast.attention(q, k, v, 9, 11, seed=4, causal=causal, weighted=True)
    clusters = fast.cluster(q, 9, seed=4)
    samples = sampling.shared(clusters, 11, seed=4, causal=causal)
    wanted = reference.attention(q.double(), k.double(), v.double(), clusters, samples, causal=causal, weighted=True)
    assert_close(found.output.double(), wanted.output, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("size", "padded"), [(1, 16), (16, 16), (17, 24), (24, 24), (25, 32), (33, 48), (49, 64), (97, 128), (129, 192)])
def test_padded_sizes(size, padded):
    assert eager.padded_size(size) == padded
