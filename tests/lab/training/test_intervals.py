"""Intervals over seeds and items: a table worked out by hand, known limits, and coverage by simulation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from lab.statistics import student_t_quantile
from lab.training.intervals import in_blocks, mean_over_seeds_and_items, paired_difference, paired_relative_difference


def test_by_hand() -> None:
    # Seeds add 0, 0, 0, 0, 5 and items −2, 2, without rest: mean 1, seed means −1 … −1, 4 around it.
    # V_seed = (4·1 + 16)/4/5 = 1, V_item = (4 + 4)/1/2 = 4, V_rest = 0: V = 5, ν = 25/(1/4 + 16/1) = 20/13.
    table = np.array([0, 0, 0, 0, 5.0])[:, None] + np.array([-2, 2.0])
    found = mean_over_seeds_and_items(table)
    half = student_t_quantile(0.975, 20 / 13) * 5**0.5
    assert found.mean == pytest.approx(1)
    assert (found.low, found.high) == pytest.approx((1 - half, 1 + half))
    assert found.n == 5


def test_without_spread_of_items_it_is_the_t_interval_of_the_seeds() -> None:
    # 1 … 5: mean 3, standard deviation √2.5, standard error √0.5.
    found = mean_over_seeds_and_items(np.arange(1.0, 6)[:, None].repeat(7, 1))
    half = student_t_quantile(0.975, 4) * 0.5**0.5
    assert (found.low, found.high) == pytest.approx((3 - half, 3 + half))


@pytest.mark.parametrize(("by_seed", "by_item", "rest"), [(0.1, 0, 1), (0.05, 1, 1), (0, 1, 0.3), (0, 0, 1)])
def test_coverage(by_seed: float, by_item: float, rest: float) -> None:
    # 300 data sets: a true coverage of 95 % gives at least 91 % but for 1 in 1,000 (binomial).
    random = np.random.default_rng(0)
    hits = 0
    for _ in range(300):
        table = by_seed * random.normal(size=(5, 1)) + by_item * random.normal(size=(1, 100)) + rest * random.normal(size=(5, 100))
        found = mean_over_seeds_and_items(table)
        hits += found.low <= 0 <= found.high
    assert hits >= 0.91 * 300


def test_a_relative_difference_has_the_right_centre_and_coverage() -> None:
    # Means 0.9 and 1.0 with a shared item effect: −10 %.
    random = np.random.default_rng(1)
    hits = 0
    for _ in range(150):
        shared = 1 + 0.5 * random.normal(size=(1, 100))
        technique, baseline = (
            level * shared + 0.05 * random.normal(size=(5, 1)) + 0.2 * random.normal(size=(5, 100)) for level in (0.9, 1)
        )
        found = paired_relative_difference(technique, baseline)
        hits += found.low <= -0.1 <= found.high
    assert hits >= 0.89 * 150  # 95 % would fail here in 1 of 1,000 cases


def test_the_interval_of_a_ratio_by_hand() -> None:
    # Baseline's seeds 0.8, 0.9, 1, 1.1, 1.2 (standard error √(0.025/5) = 0.0707), technique 2 at every seed and item, so R = 2.
    # Ends: |2 − R| = t R · 0.0707 with t = 2.776, that is R = 2/(1 ± 0.1963).
    baseline = np.array([0.8, 0.9, 1, 1.1, 1.2])[:, None].repeat(3, 1)
    found = paired_relative_difference(np.full((5, 3), 2.0), baseline)
    reach = student_t_quantile(0.975, 4) * 0.005**0.5
    assert found.mean == pytest.approx(1)
    assert (found.low, found.high) == pytest.approx((2 / (1 + reach) - 1, 2 / (1 - reach) - 1))


def test_no_interval_of_a_ratio_to_what_may_be_nothing() -> None:
    # Baseline's seeds 0, 0, 0, 0, 5: mean 1, standard error 1, which t = 2.776 times exceeds the mean.
    baseline = np.array([0, 0, 0, 0, 5.0])[:, None].repeat(3, 1)
    found = paired_relative_difference(np.ones((5, 3)), baseline)
    assert (found.mean, found.low, found.high, found.n) == (0, None, None, 5)
    assert "not distinguishable from 0" in found.reason


def test_the_same_population_is_seldom_called_lower_or_higher() -> None:
    # Seeds spread by a factor e: the delta method calls 11.5 % of pairs "lower". 200 pairs at 2.5 % give 14 or more in 1 of 1,000 cases.
    random = np.random.default_rng(2)
    lower = higher = 0
    for _ in range(200):
        technique, baseline = (np.exp(random.normal(size=(5, 1)) + 0.3 * random.normal(size=(5, 60))) for _ in range(2))
        found = paired_relative_difference(technique, baseline)
        lower, higher = lower + ((found.high or 0) < 0), higher + ((found.low or 0) > 0)
    assert max(lower, higher) < 14


def test_equal_sides_differ_by_exactly_nothing() -> None:
    values = np.random.default_rng(3).random((5, 20))
    found = paired_relative_difference(values, values)
    assert (found.mean, found.low, found.high) == (0, 0, 0)


def test_blocks_by_hand() -> None:
    # Seven items in three blocks of two, the seventh left out: (1 + 2)/2, (3 + 4)/2, (5 + 6)/2.
    values = np.arange(1.0, 8)[None].repeat(2, 0)
    assert in_blocks(values, 3).tolist() == [[1.5, 3.5, 5.5]] * 2
    assert in_blocks(values, 7) is values


def test_coverage_for_items_that_resemble_their_neighbours() -> None:
    # Each item's effect is 0.8 of the last one's and something new: the standard error of 400 items is that of 400 · 0.2/1.8 = 44.
    random = np.random.default_rng(4)
    hits = naive = 0
    for _ in range(150):
        effects = np.zeros(400)
        for place in range(1, 400):
            effects[place] = 0.8 * effects[place - 1] + random.normal()
        table = effects + 0.1 * random.normal(size=(5, 400))
        found, as_if_independent = mean_over_seeds_and_items(in_blocks(table)), mean_over_seeds_and_items(table)
        hits += found.low <= 0 <= found.high
        naive += as_if_independent.low <= 0 <= as_if_independent.high
    assert hits >= 0.86 * 150  # blocks of 20 items still resemble each other a little: about 92 %
    assert naive < 0.6 * 150


tables = arrays(np.float64, (5, 6), elements=st.floats(-100, 100, width=32))


@given(tables, tables)
def test_sides_can_be_exchanged(technique: np.ndarray, baseline: np.ndarray) -> None:
    one, other = paired_difference(technique, baseline), paired_difference(baseline, technique)
    assert one.mean == pytest.approx(-other.mean, abs=1e-9)
    assert one.low == pytest.approx(-other.high, abs=1e-9)


@given(tables, st.permutations(range(5)), st.permutations(range(6)))
def test_order_of_seeds_and_items_does_not_matter(table: np.ndarray, seeds: list[int], items: list[int]) -> None:
    one, other = mean_over_seeds_and_items(table), mean_over_seeds_and_items(table[seeds][:, items])
    assert (one.low, one.high) == pytest.approx((other.low, other.high), abs=1e-6, rel=1e-6)


def test_equal_values_are_known_exactly() -> None:
    assert paired_difference(np.ones((5, 3)), np.zeros((5, 3))).low == 1


def test_too_few_seeds_give_no_interval() -> None:
    found = mean_over_seeds_and_items(np.ones((4, 100)))
    assert (found.mean, found.low, found.high, found.n) == (1, None, None, 4)
    assert found.reason == "fewer than 5 observations"


def test_a_diverged_model_gives_no_value() -> None:
    technique = np.ones((5, 3))
    technique[2] = np.nan
    for found in (paired_difference(technique, np.ones((5, 3))), paired_relative_difference(technique, np.ones((5, 3)))):
        assert found.mean is None
        assert found.reason == "1 of 5 seeds has values that are not finite"


def test_no_relative_difference_from_nothing() -> None:
    assert paired_relative_difference(np.ones((5, 3)), np.zeros((5, 3))).mean is None


@pytest.mark.parametrize(("technique", "baseline"), [((5, 3), (5, 4)), ((5,), (5,)), ((0, 3), (0, 3))])
def test_what_cannot_be_paired_is_refused(technique: tuple[int, ...], baseline: tuple[int, ...]) -> None:
    with pytest.raises(ValueError):
        paired_difference(np.ones(technique), np.ones(baseline))
