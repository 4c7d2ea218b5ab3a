"""Projection, k-means and clusters: definitions on tokens whose answer is known, and inputs that clustering must survive."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

from lab.parameters import ParameterError
from workloads.spectral_sparse_attention import clustering, data, fast, fast_clustering


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def groups(labels):
    """Labels as a partition: which tokens are together, whatever the clusters' numbers."""
    return {tuple((labels == label).nonzero().flatten().tolist()) for label in labels.unique()}


def test_clusters_of_sorts_stably():
    clusters = clustering.clusters_of(torch.tensor([[2, 0, 2, 0, 3]]), 5)
    assert clusters.order.tolist() == [[1, 3, 0, 2, 4]]
    assert clusters.offsets.tolist() == [[0, 2, 2, 4, 5, 5]]  # sizes 2, 0, 2, 1, 0
    assert clusters.sizes.tolist() == [[2, 0, 2, 1, 0]]
    assert clusters.places.tolist() == [[2, 0, 3, 1, 4]]
    assert clusters.n_clusters == 5


@pytest.mark.parametrize("label", [-1, 3])
def test_a_label_outside_is_refused(label):
    with pytest.raises(ValueError, match="between 0 and 2"):
        clustering.clusters_of(torch.tensor([0, label]), 3)


def test_projection_keeps_lengths_on_average():
    phi = clustering.projection(8, 64, generator())
    assert_close(phi.abs(), torch.full((8, 64), 8**-0.5))  # entries ±1/√m
    x = torch.randn(2000, 64, generator=generator(1))
    # E ‖Φx‖² / ‖x‖² = 1; for one Φ the mean over many x is trace(ΦᵀΦ)/64 = 1 exactly, up to the sampling of x.
    assert abs(float((x @ phi.T).square().sum() / x.square().sum()) - 1) < 0.05


def test_well_separated_clusters_are_found():
    tokens = data.planted(3, 400, 16, 6, spread=0.01, seed=2)
    for clusters in (clustering.cluster(tokens.query, 6, m=16), fast.cluster(tokens.query, 6, m=16)):
        for head in range(3):
            assert groups(clusters.labels[head]) == groups(tokens.labels[head])


def test_lloyd_steps_by_hand():
    # Points 0, 1, 10, 11 with centres 0 and 1: labels 0 1 1 1; means 0 and 22/3; then labels 0 0 1 1 and means 0.5 and 10.5.
    x = torch.tensor([[[0.0], [1.0], [10.0], [11.0]]])
    centres = torch.tensor([[[0.0], [1.0]]])
    labels = clustering.nearest_centre(x, centres)
    assert labels.tolist() == [[0, 1, 1, 1]]
    centres = clustering.mean_of_members(x, labels, centres)
    assert_close(centres, torch.tensor([[[0.0], [22 / 3]]]))
    labels = clustering.nearest_centre(x, centres)
    assert labels.tolist() == [[0, 0, 1, 1]]
    assert_close(clustering.mean_of_members(x, labels, centres), torch.tensor([[[0.5], [10.5]]]))


def test_an_empty_cluster_keeps_its_centre():
    x, labels = torch.tensor([[[1.0], [3.0]]]), torch.tensor([[0, 0]])
    assert clustering.mean_of_members(x, labels, torch.tensor([[[9.0], [7.0]]])).tolist() == [[[2.0], [7.0]]]


def test_seeds_are_drawn_by_squared_distance():
    # Tokens 0 (10 times), 1 and 3. From a first seed 0: D² = 0 for the ten, 1 and 9 for the others: token 3 follows with probability 0.9.
    # First seeds other than 0 are left out. Of n draws the share is within 4 √(0.09 / n) of 0.9 with near certainty.
    x = torch.tensor([[[0.0]] * 10 + [[1.0], [3.0]]]).view(1, 12, 1).expand(4000, -1, -1)
    seeds = clustering.kmeans_plus_plus(x, 2, generator())[..., 0]
    second = seeds[seeds[:, 0] == 0, 1]
    assert len(second) > 3000
    assert not (second == 0).any()  # a token at distance 0 is never drawn again
    assert abs(float((second == 3).double().mean()) - 0.9) < 4 * (0.09 / len(second)) ** 0.5


@settings(max_examples=20)
@given(n=st.integers(1, 30), k=st.integers(1, 30), duplicates=st.booleans())
def test_any_sizes_give_labels_in_range(n, k, duplicates):
    x = torch.randn(2, n, 4, generator=generator(n)).round() if duplicates else torch.randn(2, n, 4, generator=generator(n))
    if k > n:
        with pytest.raises(ParameterError, match="k: "):
            clustering.cluster(x, k, m=4)
        return
    for clusters in (clustering.cluster(x, k, m=4), fast.cluster(x, k, m=4)):
        assert clusters.sizes.sum(-1).tolist() == [n, n]
        assert clusters.sizes.shape == (2, k)


def test_identical_tokens_share_a_cluster():
    clusters = clustering.cluster(torch.ones(1, 20, 8), 5)
    assert sorted(clusters.sizes[0].tolist()) == [0, 0, 0, 0, 20]


def test_where_the_tokens_lie_does_not_matter():
    # Centring comes before distances: a large offset common to all tokens must not eat the digits that tell them apart.
    x = torch.randn(1, 200, 8, generator=generator())
    near, far = (clustering.kmeans(x + offset, 7, generator(1)) for offset in (0.0, 4096.0))
    assert float((near == far).double().mean()) > 0.98


def test_the_fast_clustering_attends_as_well_as_the_reference():
    tokens = data.planted(2, 2048, 32, 40, spread=0.4, seed=3)
    scores = []
    for clusters in (clustering.cluster(tokens.query, 45), fast.cluster(tokens.query, 45)):
        # The share of a query's planted cluster that it finds in its own.
        together = (clusters.labels[:, :, None] == clusters.labels[:, None]) & (tokens.labels[:, :, None] == tokens.labels[:, None])
        scores.append(float(together.sum() / (tokens.labels[:, :, None] == tokens.labels[:, None]).sum()))
    assert scores[1] > scores[0] - 0.05


def test_subsets_cover_the_sequence():
    assert fast_clustering.subset(1000, 4096) == (1000, 1)  # all tokens where there are fewer than wanted
    assert fast_clustering.subset(131072, 4096) == (4096, 32)
    n_subset, stride = fast_clustering.subset(1000, 300)
    assert (n_subset, stride) == (333, 3)
    x = torch.arange(1000.0).view(1, 1000, 1)
    chosen = fast_clustering.some(x, 300, generator()).flatten()
    assert ((chosen / 3).floor() == torch.arange(333)).all()  # one token of each stretch of three


@pytest.mark.parametrize("n", [1, 1000, 2**17, 2**20])
def test_whole_number_sums_cannot_overflow(n):
    assert 32.0 * fast_clustering.fixed_point(n) * n < 2**31
