"""Intervals, looks, batch means, drift, Holm: against hand arithmetic, scipy and simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from lab import statistics
from lab.statistics import (
    LOOKS,
    TOO_FEW,
    Interval,
    batch_size,
    binomial_interval,
    difference_interval,
    holm_levels,
    holm_widen,
    lag1_autocorrelation,
    mean_interval,
    power_law_exponent,
    precise_enough,
    ratio_interval,
    student_t_quantile,
    student_t_tail,
)


class TestStudentT:
    @given(df=st.integers(1, 1000), p=st.floats(1e-6, 1 - 1e-6))
    def test_quantile_agrees_with_scipy(self, df: int, p: float) -> None:
        expected = stats.t.ppf(p, df)
        assert student_t_quantile(p, df) == pytest.approx(expected, rel=1e-8, abs=1e-8)

    @given(df=st.floats(0.5, 2000), t=st.floats(0, 50))
    def test_tail_agrees_with_scipy(self, df: float, t: float) -> None:
        assert student_t_tail(t, df) == pytest.approx(2 * stats.t.sf(t, df), rel=1e-9, abs=1e-14)

    def test_closed_forms(self) -> None:
        # df = 1 is Cauchy: tan(π(p − 1/2)); p = 3/4 gives tan(π/4) = 1. df = 2: t = (2p − 1)·√(2/(4p(1 − p))); p = 0.9: 0.8·√(2/0.36).
        assert student_t_quantile(0.75, 1) == pytest.approx(1.0, rel=1e-12)
        assert student_t_quantile(0.9, 2) == pytest.approx(0.8 * math.sqrt(2 / 0.36), rel=1e-12)
        assert student_t_quantile(0.5, 7) == 0.0

    @given(df=st.integers(1, 200), p=st.floats(1e-6, 0.5, exclude_max=True))
    def test_symmetric(self, df: int, p: float) -> None:
        assert student_t_quantile(p, df) == pytest.approx(-student_t_quantile(1 - p, df), rel=1e-9, abs=1e-12)

    @pytest.mark.parametrize(("p", "df"), [(0.0, 5), (1.0, 5), (-0.1, 5), (math.nan, 5), (0.9, 0)])
    def test_refuses_what_has_no_quantile(self, p: float, df: float) -> None:
        with pytest.raises(ValueError, match="must lie between"):
            student_t_quantile(p, df)


class TestMeanInterval:
    def test_by_hand(self) -> None:
        # 1, 2, 3, 4, 5: mean 3, variance (4 + 1 + 0 + 1 + 4)/4 = 2.5, standard error √(2.5/5) = √0.5; one look: t(0.975, 4) = 2.7764451.
        found = mean_interval([3, 1, 5, 2, 4], looks=1, ordered=False)
        half = 2.7764451052 * math.sqrt(0.5)
        assert (found.mean, found.n, found.reason) == (3.0, 5, "")
        assert found.low == pytest.approx(3 - half, rel=1e-9)
        assert found.high == pytest.approx(3 + half, rel=1e-9)

    def test_three_looks_share_the_level(self) -> None:
        values = [3.0, 1.0, 5.0, 2.0, 4.0]
        one, three = mean_interval(values, looks=1, ordered=False), mean_interval(values, looks=3, ordered=False)
        widened = (three.high - 3) / (one.high - 3)
        assert widened == pytest.approx(stats.t.ppf(1 - 0.05 / 6, 4) / stats.t.ppf(0.975, 4), rel=1e-9)

    def test_below_five_observations_there_is_a_mean_and_no_interval(self) -> None:
        assert mean_interval([1.0, 2.0, 3.0, 4.0]) == Interval(2.5, None, None, 4, TOO_FEW)
        assert mean_interval([]) == Interval(None, None, None, 0, "no observations")

    def test_not_finite_is_said_and_not_dropped(self) -> None:
        assert mean_interval([1.0, math.nan, 2.0, 3.0, 4.0, 5.0]) == Interval(None, None, None, 6, "1 of 6 values is not finite")
        assert mean_interval([math.inf, -math.inf]).reason == "2 of 2 values are not finite"

    def test_constant_values_have_an_interval_of_no_width(self) -> None:
        assert mean_interval([0.1] * 10) == Interval(pytest.approx(0.1), pytest.approx(0.1), pytest.approx(0.1), 10)

    @given(st.lists(st.floats(-1e6, 1e6), min_size=5, max_size=60))
    def test_holds_its_mean(self, values: list[float]) -> None:
        found = mean_interval(values)
        assert found.low <= found.mean <= found.high
        assert found.mean == pytest.approx(np.mean(values), abs=1e-6)


class TestRatioAndDifference:
    def test_ratio_by_hand(self) -> None:
        # Baseline is 2, 4, 2, 4, 2, 4 times the technique: mean log = 1.5·ln 2, so the ratio is 2^1.5. Logs are ln2·(1, 2, 1, 2, 1, 2):
        # deviations ± ln2/2, variance 6·(ln2/2)²/5, standard error ln2/2·√(1/5). They alternate (r < 0), so no batches.
        technique, baseline = [1.0, 2.0, 3.0, 1.0, 2.0, 3.0], [2.0, 8.0, 6.0, 4.0, 4.0, 12.0]
        found = ratio_interval(technique, baseline, looks=1)
        half = 2.5705818366 * math.log(2) / 2 * math.sqrt(1 / 5)
        assert found.mean == pytest.approx(2**1.5, rel=1e-12)
        assert found.low == pytest.approx(2**1.5 * math.exp(-half), rel=1e-9)
        assert found.high == pytest.approx(2**1.5 * math.exp(half), rel=1e-9)
        assert found.log_half_width == pytest.approx(half, rel=1e-9)
        assert found.reason == ""

    def test_difference_is_technique_minus_baseline(self) -> None:
        found = difference_interval([3.0, 4.0, 5.0, 6.0, 7.0], [1.0, 2.0, 3.0, 4.0, 5.0])
        assert (found.mean, found.low, found.high) == (2.0, 2.0, 2.0)

    @pytest.mark.parametrize("bad", [0.0, -1.0])
    def test_ratio_needs_positive_values(self, bad: float) -> None:
        found = ratio_interval([1.0, bad, 1.0, 1.0, 1.0], [1.0] * 5)
        assert found == Interval(None, None, None, 5, "1 of 5 pairs hold a value that is not positive: no ratio")

    def test_ratio_says_what_is_not_finite(self) -> None:
        assert ratio_interval([1.0] * 5, [1.0, 1.0, 1.0, 1.0, math.nan]).reason == "1 of 10 values is not finite"

    def test_unpaired_lengths_are_an_error(self) -> None:
        with pytest.raises(ValueError, match="3 values cannot be paired with 2"):
            ratio_interval([1.0] * 3, [1.0] * 2)

    @given(st.lists(st.tuples(st.floats(1e-6, 1e6), st.floats(1e-6, 1e6)), min_size=5, max_size=40), st.floats(0.01, 100))
    def test_swapping_the_arms_inverts_and_units_cancel(self, pairs: list[tuple[float, float]], unit: float) -> None:
        a, b = [p[0] for p in pairs], [p[1] for p in pairs]
        forward, back = ratio_interval(a, b, ordered=False), ratio_interval(b, a, ordered=False)
        assert forward.mean == pytest.approx(1 / back.mean, rel=1e-9)
        assert forward.low == pytest.approx(1 / back.high, rel=1e-6)
        scaled = ratio_interval([unit * v for v in a], [unit * v for v in b], ordered=False)
        assert scaled.mean == pytest.approx(forward.mean, rel=1e-9)

    def test_no_interval_is_infinitely_wide(self) -> None:
        assert Interval(1.0, None, None, 3).log_half_width == math.inf
        assert Interval(1.0, -1.0, 3.0, 9).log_half_width == math.inf


class TestAutocorrelation:
    def test_lag1_by_hand(self) -> None:
        # 1, 2, 3, 4: deviations −1.5, −0.5, 0.5, 1.5; Σd² = 5; Σ d_i d_{i+1} = 0.75 − 0.25 + 0.75 = 1.25; r = 0.25; bias: (1 + 0.75)/4.
        assert lag1_autocorrelation([1.0, 2.0, 3.0, 4.0]) == pytest.approx(0.25 + 1.75 / 4)
        assert lag1_autocorrelation([0.1, 0.1, 0.1]) == 0.0

    def test_bias_is_taken_out(self) -> None:
        rng = np.random.default_rng(5)
        found = [lag1_autocorrelation(series) for series in _ar1(rng, 3000, 20, 0.3).tolist()]
        assert np.mean(found) == pytest.approx(0.3, abs=0.03)  # without the correction: about 0.2

    def test_alternating_values_need_no_batches(self) -> None:
        assert batch_size([1.0, -1.0] * 10)[0] == 1

    def test_pairs_of_equal_values_make_batches_of_two(self) -> None:
        # Each value comes twice and the doubled values alternate: single observations correlate, means of two do not.
        values = [v for i in range(10) for v in [(-1.0) ** i] * 2]
        size, left = batch_size(values)
        assert size == 2
        assert left < 0
        # Means of two are ± 1, ten of them: variance 10/9, standard error 1/3, t(1 − 0.05/6, 9).
        assert mean_interval(values).high == pytest.approx(stats.t.ppf(1 - 0.05 / 6, 9) / 3, rel=1e-9)

    def test_at_least_five_batches_are_kept_and_the_rest_is_said(self) -> None:
        values = [float(i) for i in range(10)]  # a trend stays correlated in batches of any size
        found = mean_interval(values)
        assert found.reason.startswith("autocorrelation: ")
        assert "means of 2 observations" in found.reason
        assert "times as wide" in found.reason

    def test_what_is_left_widens_the_interval_by_the_factor_of_a_first_order_process(self) -> None:
        # 0, 1, …, 9 in pairs: means 0.5, 2.5, 4.5, 6.5, 8.5, standard deviation √10, so a standard error of √2. Their lag-1 autocorrelation
        # is Σ d_i d_(i+1) / Σ d² = (8 + 0 + 0 + 8)/40 = 0.4, corrected (1 + 3 · 0.4)/5 = 0.44 more: 0.84. Single values: 57.75/82.5 = 0.7,
        # corrected by 3.1/10: 1.01. The lower one, 0.84, is left: √(1.84/0.16) = 3.391. t(1 − 0.05/6, 4) = 3.961.
        found = mean_interval([float(i) for i in range(10)])
        assert found.high - found.mean == pytest.approx(math.sqrt(2) * 3.961 * 3.391, rel=1e-3)
        assert "3.4 times" in found.reason

    def test_too_few_to_tell_are_taken_as_independent(self) -> None:
        # 0, 1, 2, 3, 4: standard error √2.5/√5 = 0.7071, t(1 − 0.05/6, 4) = 3.961.
        found = mean_interval([0.0, 1.0, 2.0, 3.0, 4.0])
        assert found.high - found.mean == pytest.approx(0.7071 * 3.961, rel=1e-3)
        assert found.reason == ""

    def test_observations_left_over_are_not_dropped(self) -> None:
        values = [float(i) for i in range(13)]  # six batches of two hold 12: the first takes the thirteenth
        assert statistics._batch_means(values, 2) == [1.0, 3.5, 5.5, 7.5, 9.5, 11.5]

    def test_unordered_values_are_not_asked(self) -> None:
        assert mean_interval([float(i) for i in range(10)], ordered=False).reason == ""


class TestDrift:
    def test_trend_is_named_with_its_size(self) -> None:
        # Log ratio rises by 0.01 per observation, 0.09 over ten: e^0.09 − 1 = 9.4 %. The alternating noise is far smaller.
        baseline = [math.exp(0.01 * i + 1e-5 * (-1) ** i) for i in range(10)]
        found = ratio_interval([1.0] * 10, baseline)
        assert found.reason == "drift: the ratio changed by +9.4 % over 10 observations"
        assert found.low < found.mean < found.high

    def test_falling_and_with_the_margin_it_is_given(self) -> None:
        baseline = [math.exp(-0.01 * i + 1e-5 * (-1) ** i) for i in range(10)]
        assert ratio_interval([1.0] * 10, baseline).reason.startswith("drift: the ratio changed by -8.6 %")
        assert not ratio_interval([1.0] * 10, baseline, drift_margin=0.1).reason.startswith("drift")

    def test_significant_but_small_is_no_drift(self) -> None:
        baseline = [math.exp(0.0005 * i + 0.00001 * (-1) ** i) for i in range(10)]
        assert not ratio_interval([1.0] * 10, baseline).reason.startswith("drift")

    def test_large_but_not_significant_is_no_drift(self) -> None:
        rng = np.random.default_rng(11)
        flags = [ratio_interval([1.0] * 20, np.exp(rng.normal(0, 0.1, 20)).tolist()).reason.startswith("drift") for _ in range(500)]
        assert sum(flags) / 500 < 0.03  # 1 % expected; 0.03 is more than four standard errors above

    def test_correlated_noise_is_rarely_called_drift(self) -> None:
        rng = np.random.default_rng(12)
        series = np.exp(0.1 * _ar1(rng, 500, 40, 0.6)).tolist()
        flags = [ratio_interval([1.0] * 40, s).reason.startswith("drift") for s in series]
        assert sum(flags) / 500 < 0.1  # a trend test that takes observations for independent flags about 17 %

    def test_order_is_needed(self) -> None:
        baseline = [math.exp(0.01 * i) for i in range(10)]
        assert ratio_interval([1.0] * 10, baseline, ordered=False).reason == ""


class TestHolm:
    def test_levels_by_hand(self) -> None:
        # Sorted: 0.001 ≤ 0.05/4, 0.01 ≤ 0.05/3, 0.03 > 0.05/2: stop; the last keeps 0.05/2 too.
        assert holm_levels([0.03, 0.001, 0.2, 0.01]) == pytest.approx([0.05 / 2, 0.05 / 4, 0.05 / 2, 0.05 / 3])

    def test_all_rejected_ends_at_the_full_level(self) -> None:
        assert holm_levels([0.001, 0.002]) == pytest.approx([0.025, 0.05])
        assert holm_levels([]) == []

    def test_one_cell_stays_as_it_is(self) -> None:
        cell = Interval(1.2, 1.1, 1.3, 10)
        (found,) = holm_widen([cell], 1.0)
        assert (found.low, found.high) == (pytest.approx(1.1), pytest.approx(1.3))

    def test_widening_by_hand(self) -> None:
        # Both cells n = 10, one look, half-width 0.1. Cell 0 is 10 half-widths from the null (p tiny: level 0.05/2), cell 1 is 3
        # half-widths away: t = 3·2.262 = 6.8, p = 8e-5 < 0.05: level 0.05, unchanged.
        found = holm_widen([Interval(2.0, 1.9, 2.1, 10), Interval(1.3, 1.2, 1.4, 10)], 1.0, looks=1)
        half = 0.1 * stats.t.ppf(1 - 0.025 / 2, 9) / stats.t.ppf(0.975, 9)
        assert found[0].high == pytest.approx(2.0 + half, rel=1e-8)
        assert found[0].low == pytest.approx(2.0 - half, rel=1e-8)
        assert found[1].high == pytest.approx(1.4, rel=1e-8)

    def test_log_scale_widens_symmetrically_in_the_logarithm(self) -> None:
        cells = [Interval(2.0, 1.0, 4.0, 10), Interval(2.0, 1.0, 4.0, 10)]
        for found in holm_widen(cells, 1.0, scale="log"):
            assert found.low * found.high == pytest.approx(4.0)
            assert found.high > 4.0

    def test_cells_without_an_interval_do_not_count(self) -> None:
        exact, missing = Interval(3.0, None, None, 1), Interval(None, None, None, 0, "no counter")
        cell = Interval(1.2, 1.1, 1.3, 10)
        found = holm_widen([exact, cell, missing], 1.0)
        assert (found[0], found[2]) == (exact, missing)
        assert found[1].high == pytest.approx(1.3)

    def test_widening_undoes_the_look_level_it_is_told(self) -> None:
        rng = np.random.default_rng(3)
        values = rng.normal(5, 1, 10).tolist()
        narrow = mean_interval(values, looks=1, ordered=False)
        far = Interval(5.0, 4.999, 5.001, 10)  # certain: takes the level 0.05/2, so the other keeps 0.05
        assert holm_widen([far, narrow], 0.0, looks=1)[1].high == pytest.approx(narrow.high)

    @given(st.lists(st.tuples(st.floats(-5, 5), st.floats(0.01, 5), st.integers(5, 40)), min_size=1, max_size=12))
    def test_never_narrower_and_reason_kept(self, cells: list[tuple[float, float, int]]) -> None:
        before = [Interval(m, m - h, m + h, n, "drift: x") for m, h, n in cells]
        for old, new in zip(before, holm_widen(before, 0.0), strict=True):
            assert new.low <= old.low + 1e-9
            assert new.high >= old.high - 1e-9
            assert (new.mean, new.n, new.reason) == (old.mean, old.n, old.reason)


class TestPowerLaw:
    def test_exact_power_law(self) -> None:
        x = [1.0, 2.0, 4.0, 8.0, 16.0]
        found = power_law_exponent(x, [3 * v**1.5 for v in x])
        assert (found.mean, found.low, found.high) == (pytest.approx(1.5), pytest.approx(1.5), pytest.approx(1.5))

    def test_agrees_with_scipy(self) -> None:
        rng = np.random.default_rng(2)
        x = np.geomspace(1, 1000, 9)
        y = x**2 * np.exp(rng.normal(0, 0.2, 9))
        expected = stats.linregress(np.log(x), np.log(y))
        half = stats.t.ppf(0.975, 7) * expected.stderr
        found = power_law_exponent(x.tolist(), y.tolist())
        assert found.mean == pytest.approx(expected.slope)
        assert found.low == pytest.approx(expected.slope - half)
        assert found.high == pytest.approx(expected.slope + half)

    def test_reasons(self) -> None:
        assert power_law_exponent([1.0, 2.0, 4.0], [1.0, 2.0, 4.0]) == Interval(pytest.approx(1.0), None, None, 3, TOO_FEW)
        assert power_law_exponent([1.0, 2.0], [0.0, 1.0]).reason == "a value is not positive: no power law"
        assert power_law_exponent([2.0] * 5, [1.0] * 5).reason == "fewer than 2 different x: no power law"


class TestPreciseEnough:
    def test_width_decides(self) -> None:
        # Alternating ± w: s = w·√(10/9), standard error w/3, half-width t(1 − 0.05/6, 9)·w/3 = 2.933·w/3 ≈ 0.978 w.
        def series(w: float) -> list[float]:
            return [math.exp(w * (-1) ** i) for i in range(10)]

        assert stats.t.ppf(1 - 0.05 / 6, 9) / 3 == pytest.approx(0.978, abs=0.001)
        assert precise_enough([series(0.0101)], [1.0] * 10, 0.01)
        assert not precise_enough([series(0.0104)], [1.0] * 10, 0.01)
        assert not precise_enough([series(0.001), series(0.0104)], [1.0] * 10, 0.01)

    def test_correlation_goes_on_to_the_next_look(self) -> None:
        slow = [math.exp(1e-5 * math.sin(i / 2)) for i in range(20)]
        assert ratio_interval(slow, [1.0] * 20).log_half_width < 0.01
        assert not precise_enough([slow], [1.0] * 20, 0.01)

    def test_one_arm_alone_has_nothing_to_wait_for(self) -> None:
        assert precise_enough([], [1.0] * 10, 0.01)


def _ar1(rng: np.random.Generator, count: int, n: int, rho: float, skewed: bool = False) -> np.ndarray:
    """``count`` stationary AR(1) series of unit variance and mean 0, [count, n]; innovations normal or a difference of two skewed logs."""
    burn_in = 30
    shape = (count, n + burn_in)
    if skewed:
        # log(1 + E) of exponential disturbances E, as other work on the machine adds time now and then; centred by a large sample's mean.
        large = rng.exponential(size=400_000)
        offset = np.log1p(0.3 * large).mean() - np.log1p(0.1 * large).mean()
        scale = math.sqrt(np.log1p(0.3 * large).var() + np.log1p(0.1 * large).var())
        noise = (np.log1p(0.3 * rng.exponential(size=shape)) - np.log1p(0.1 * rng.exponential(size=shape)) - offset) / scale
    else:
        noise = rng.standard_normal(shape)
    series = np.empty(shape)
    series[:, 0] = noise[:, 0]
    for step in range(1, shape[1]):
        series[:, step] = rho * series[:, step - 1] + math.sqrt(1 - rho**2) * noise[:, step]
    return series[:, burn_in:]


@pytest.mark.parametrize(
    ("rho", "skewed", "least"),
    [(0.0, False, 0.95), (0.0, True, 0.95), (0.3, False, 0.95), (0.3, True, 0.94), (0.6, False, 0.91), (0.6, True, 0.91)],
)
@pytest.mark.parametrize("precision", [0.5, 1.0])
def test_coverage_with_optional_stopping(rho: float, skewed: bool, least: float, precision: float) -> None:
    """The 95 % interval of the look at which sampling stops holds the true ratio (1) as often as the module's docstring says.

    Precision is in standard deviations of one observation: 0.5 stops mostly at 20 or 40, 1.0 mostly at 10. 600 series: standard error 0.9
    points at 95 %; the fixed seed makes the outcome repeatable.
    """
    rng = np.random.default_rng(20)
    scale = 0.01
    covered = 0
    series = np.exp(scale * _ar1(rng, 600, LOOKS[-1], rho, skewed)).tolist()
    for values in series:
        for look in LOOKS:
            technique, baseline = [1.0] * look, values[:look]
            if look == LOOKS[-1] or precise_enough([technique], baseline, precision * scale):
                found = ratio_interval(technique, baseline)
                covered += found.low <= 1 <= found.high
                break
    assert covered / len(series) >= least


class TestBinomialInterval:
    @given(trials=st.integers(1, 1000), data=st.data())
    def test_agrees_with_scipy(self, trials: int, data: st.DataObject) -> None:
        hits = data.draw(st.integers(0, trials))
        expected = stats.binomtest(hits, trials).proportion_ci(method="exact")
        assert binomial_interval(hits, trials) == pytest.approx((expected.low, expected.high), abs=1e-9)

    def test_all_of_100(self) -> None:
        """All 100 hit: the lower end is the p with p^100 = 0.025, which is 0.025^0.01 = 0.9638."""
        assert binomial_interval(100, 100) == pytest.approx((0.025**0.01, 1.0))

    @pytest.mark.parametrize(("hits", "trials"), [(-1, 5), (6, 5), (0, 0)])
    def test_refuses_what_is_no_share(self, hits: int, trials: int) -> None:
        with pytest.raises(ValueError, match="hits"):
            binomial_interval(hits, trials)
