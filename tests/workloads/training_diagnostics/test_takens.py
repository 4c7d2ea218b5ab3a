"""Embeddings, the published score, ranks with intervals, surrogates, and persistent homology of shapes that are known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.parameters import ParameterError
from workloads.training_diagnostics import takens
from workloads.training_diagnostics.homology import persistence
from workloads.training_diagnostics.nulls import NULLS, SHUFFLED, phase_randomised, surrogate


def test_an_embedding_by_hand():
    # 0 … 7 in 3 dimensions with delay 2: 8 − 4 = 4 points (i, i + 2, i + 4).
    assert takens.embed(np.arange(8.0), 3, 2).tolist() == [[0, 2, 4], [1, 3, 5], [2, 4, 6], [3, 5, 7]]


@given(st.integers(2, 12), st.integers(1, 20), st.integers(3, 60))
def test_an_embedding_has_its_shape(dimension, delay, points):
    losses = np.arange(points + (dimension - 1) * delay, dtype=float)
    cloud = takens.embed(losses, dimension, delay)
    assert cloud.shape == (points, dimension)
    assert (cloud[:, -1] - cloud[:, 0] == (dimension - 1) * delay).all()


def test_a_delay_that_leaves_no_points_is_refused():
    with pytest.raises(ParameterError, match="fewer than three points"):
        takens.embed(np.arange(20.0), 6, 4)


def test_the_published_score_by_hand():
    # Points 0, 1, 3 and 103 on a line: distances 1, 2, 3, 100, 102, 103; gaps 1, 1, 97, 2, 1; mean 20.4, standard deviation 38.3. 97 is
    # exactly two deviations above at five gaps (2.0 = √(n − 1)), not more, so none counts. With ten unit gaps more it does.
    assert takens.gap_score(np.array([[0.0], [1.0], [3.0], [103.0]])) == 0.0
    # 0, 1, 2, 3, 4 and 100: distances 1 (4 times), 2 (3), 3 (2), 4, 96 … 100: sorted gaps: 3 + 2 + 1 zeros, 3 ones between them, 92, then
    # 4 ones: 14 gaps, mean 99/14 = 7.07, deviation 23.6: only 92 lies above 54.2.
    assert takens.gap_score(np.array([[0.0], [1.0], [2.0], [3.0], [4.0], [100.0]])) == pytest.approx(1 / 14)


def test_distances_far_from_zero_keep_their_digits():
    points = np.array([[1e8, 1e8], [1e8 + 3, 1e8 + 4]])
    assert takens.distances(points).tolist() == [5.0]


def test_ranks_and_their_interval():
    rng = np.random.default_rng(0)
    clear = np.array([3.0, 1.0, 2.0]) + 0.01 * rng.standard_normal((8, 3))
    for place, rank in ((0, 1), (1, 3), (2, 2)):
        found = takens.rank_interval(clear, place)
        assert (found.mean, found.low, found.high, found.n) == (rank, rank, rank, 8)
    same = rng.standard_normal((8, 3))  # no column differs: any rank is possible
    assert (takens.rank_interval(same, 0).low, takens.rank_interval(same, 0).high) == (1, 3)
    assert takens.rank_interval(np.ones((6, 4)), 1).mean == 2.5  # four equal columns share the ranks 1 to 4
    assert takens.rank_interval(clear[:4], 0).low is None  # too few seeds


def test_which_column_is_first():
    # Two rows: the first has column 0, the second a tie of columns 1 and 2.
    assert takens.firsts(np.array([[3.0, 1.0, 2.0], [0.0, 5.0, 5.0]])).tolist() == [0.5, 0.25, 0.25]


@pytest.mark.parametrize("length", [50, 51])
def test_surrogates_keep_what_they_should(length):
    rng = np.random.default_rng(1)
    losses = np.cumsum(rng.standard_normal(length)) + 7
    turned = phase_randomised(losses, rng)
    np.testing.assert_allclose(np.abs(np.fft.rfft(turned)), np.abs(np.fft.rfft(losses)), rtol=1e-9, atol=1e-9)
    assert not np.allclose(turned, losses)
    assert sorted(surrogate(SHUFFLED, losses, rng)) == sorted(losses)
    assert {len(surrogate(kind, losses, rng)) for kind in NULLS} == {length}
    with pytest.raises(ValueError, match="unknown"):
        surrogate("none", losses, rng)


def test_a_circle_is_one_loop():
    angle = np.linspace(0, 2 * np.pi, 60, endpoint=False)
    circle = np.stack([np.cos(angle), np.sin(angle)], 1)
    found = persistence(circle)
    # The median distance is about √2. The loop is born at the spacing 2 sin(π/60) = 0.105 and dies at about √3: its lifetime in units of √2
    # is about 1.15, and there is no other. 59 components die at 0.105.
    assert found.h1_max == pytest.approx(1.15, abs=0.02)
    assert found.h1_total == pytest.approx(found.h1_max)
    assert found.h0_total == pytest.approx(59 * 2 * np.sin(np.pi / 60) / np.median(takens.distances(circle)), rel=1e-5)
    bigger = persistence(1000 * circle + 5)
    assert bigger.h1_max == pytest.approx(found.h1_max, rel=1e-4)  # scale and place do not matter


def test_a_segment_has_no_loop_and_a_point_no_scale():
    assert persistence(np.linspace(0, 1, 30)[:, None] * np.ones((1, 3))).h1_max == pytest.approx(0, abs=1e-6)
    with pytest.raises(ValueError, match="coincide"):
        persistence(np.ones((10, 3)))


def test_a_sine_embeds_to_a_loop_and_noise_does_not():
    t = np.arange(200)
    rng = np.random.default_rng(2)
    sine = persistence(takens.embed(np.sin(2 * np.pi * t / 40), 4, 10)[::2])
    noise = persistence(takens.embed(rng.standard_normal(200), 4, 10)[::2])
    assert sine.h1_max > 3 * noise.h1_max
