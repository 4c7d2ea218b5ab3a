"""Samples: outside the cluster, each at most once, uniform, and shared by the queries of a row."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2

from lab.parameters import ParameterError
from workloads.spectral_sparse_attention import sampling
from workloads.spectral_sparse_attention.clustering import clusters_of


def some_clusters(n, k, seed):
    """Unequal clusters, some of them empty or of one token."""
    generator = torch.Generator().manual_seed(seed)
    return clusters_of((torch.rand(2, n, generator=generator) ** 2 * k).long(), k)


@given(population=st.integers(1, 200), key=st.integers(0, 2**32 - 1))
def test_permuted_is_a_permutation(population, key):
    result = sampling.permuted(torch.arange(population), torch.tensor(population), torch.tensor(key))
    assert sorted(result.tolist()) == list(range(population))


@settings(max_examples=40)
@given(
    n=st.integers(1, 60),
    k=st.integers(1, 8),
    s=st.integers(0, 60),
    causal=st.booleans(),
    row=st.sampled_from([0, 1, 4, 16]),
    seed=st.integers(0, 99),
)
def test_samples_are_distinct_outsiders_and_as_many_as_there_can_be(n, k, s, causal, row, seed):
    s = min(s, n)
    clusters = some_clusters(n, k, seed)
    if row:
        samples = sampling.shared(clusters, s, queries_per_row=row, seed=seed, causal=causal)
    else:
        samples = sampling.per_query(clusters, s, seed=seed, causal=causal)
    rows = samples.rows(clusters)
    for head in range(2):
        order = clusters.order[head].tolist()
        for query in range(n):
            label = clusters.labels[head, query]
            last = n - 1
            if causal and row:  # the population of a shared row ends at its last query
                together = [t for t in order if clusters.labels[head, t] == label]
                i = together.index(query) // row
                last = together[min((i + 1) * row, len(together)) - 1]
            elif causal:
                last = query
            population = [t for t in range(last + 1) if clusters.labels[head, t] != label]
            drawn = [t for t in samples.keys[head, rows[head, query]].tolist() if t >= 0]
            assert len(set(drawn)) == len(drawn) == min(s, len(population))
            assert set(drawn) <= set(population)
            assert int(samples.population[head, rows[head, query]]) == len(population)
            expected = math.log(len(population) / len(drawn)) if drawn else 0.0
            assert float(samples.log_weight[head, rows[head, query]]) == pytest.approx(expected)


def test_rows_hold_consecutive_queries_of_one_cluster():
    clusters = clusters_of(torch.tensor([0] * 5 + [1] + [2] * 4), 4)
    samples = sampling.shared(clusters, 2, queries_per_row=2)
    # ⌈5/2⌉ = 3 rows, then 1, then 2; cluster 3 is empty; ⌊10/2⌋ + 4 = 9 rows in all, of which 3 stay unused.
    assert samples.rows(clusters).tolist() == [0, 0, 1, 1, 2, 3, 4, 4, 5, 5]
    assert samples.keys.shape == (9, 2)
    assert samples.population.tolist() == [5, 5, 5, 9, 6, 6, 0, 0, 0]
    assert (samples.keys[6:] == -1).all()


def test_every_outsider_is_equally_likely():
    clusters = clusters_of(torch.arange(120) % 3, 3)
    counts = torch.zeros(120, dtype=torch.float64)
    n_seeds, s = 600, 10
    for seed in range(n_seeds):
        counts += torch.bincount(sampling.shared(clusters, s, queries_per_row=64, seed=seed).keys[0], minlength=120)
    outside = clusters.labels != 0
    assert (counts[~outside] == 0).all()
    # Each of 80 outsiders is in with probability p = 10/80, so its count has variance n p (1 − p); the sum of the squares, with one
    # constraint, is near a χ² of 79 degrees of freedom times 80/79 (the counts of one draw are negatively correlated).
    p = s / 80
    statistic = float(((counts[outside] - n_seeds * p) ** 2 / (n_seeds * p * (1 - p))).sum()) * 79 / 80
    assert statistic < chi2.ppf(0.9999, 79)


def test_samples_of_different_queries_and_seeds_differ():
    clusters = clusters_of(torch.arange(400) % 4, 4)
    samples = sampling.per_query(clusters, 10)
    assert len({tuple(keys) for keys in samples.keys.tolist()}) == 400
    assert not torch.equal(samples.keys, sampling.per_query(clusters, 10, seed=1).keys)
    assert torch.equal(samples.keys, sampling.per_query(clusters, 10, seed=0).keys)


@pytest.mark.parametrize("s", [-1, 11])
def test_more_samples_than_tokens_are_refused(s):
    clusters = some_clusters(10, 2, 0)
    for draw in (sampling.per_query, sampling.shared):
        with pytest.raises(ParameterError, match=r"^s: "):
            draw(clusters, s)
