"""The R-filter: hand-computed ratios, invariances, and how often noise passes it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from lab.parameters import ParameterError
from workloads.training_diagnostics import rfilter

LOSSES = hnp.arrays(np.float64, 48, elements=st.floats(-1, 1, allow_subnormal=False).map(lambda x: round(x, 6)))


def test_a_spike_has_a_flat_spectrum():
    # One 1 among zeros: |DFT| = 1 in every bin, the mean changes bin 0 alone, so max = median and the ratio is 1.
    assert rfilter.ratios(np.eye(12)[5], 12) == pytest.approx([1.0])


def test_a_slope_by_hand():
    # x = 0 … 5: |A_k| = 6/(2 sin(πk/6)): 6, 3.4641, 3; ratio 6/3.4641 = √3. For w = 12 the amplitudes are 6/sin(πk/12): the largest is
    # 6/0.258819, the median lies between k = 3 and 4: (6/0.707107 + 6/0.866025)/2; ratio 3.8637/1.28446 = 3.0080: a peak.
    assert rfilter.amplitudes(np.arange(6.0), 6)[0] == pytest.approx([6.0, 3 / math.sin(math.pi / 3), 3.0])
    assert rfilter.ratios(np.arange(6.0), 6) == pytest.approx([math.sqrt(3)])
    assert rfilter.ratios(np.arange(12.0), 12) == pytest.approx([3.00804], abs=1e-5)
    assert rfilter.ratios(np.arange(24.0), 24, detrend=True) == pytest.approx([1.0])  # without its slope nothing is left


@pytest.mark.parametrize("window", rfilter.WINDOWS)
@pytest.mark.parametrize("place", [1, 2])
def test_a_sine_peaks_at_its_bin(window, place):
    sine = 5 + np.sin(2 * np.pi * place * np.arange(3 * window) / window)
    found = rfilter.amplitudes(sine, window)
    assert (found.argmax(-1) == place - 1).all()
    assert found.max(-1) == pytest.approx(np.full(len(found), window / 2))  # amplitude 1 gives w/2
    assert (rfilter.ratios(sine, window) > 1e6).all()


def test_frames_hop_by_half_a_window():
    # 20 losses, w = 8: frames begin at 0, 4, 8, 12; one at 16 would not fit.
    assert rfilter.starts(20, 8).tolist() == [0, 4, 8, 12]
    assert rfilter.ratios(np.random.default_rng(0).random(20), 8).shape == (4,)


@given(LOSSES, st.floats(0.01, 100), st.floats(-100, 100), st.booleans())
def test_ratios_do_not_change_with_scale_and_shift(losses, scale, shift, detrend):
    # Where a median amplitude comes near the rounding of the shifted values, the ratio is rounding too: such frames are left out.
    frames = rfilter.amplitudes(losses, 12, detrend=detrend)
    clear = np.median(frames, axis=-1) * scale > 1e-6 * (abs(shift) + scale)
    before = rfilter.ratios(losses, 12, detrend=detrend)
    after = rfilter.ratios(scale * losses + shift, 12, detrend=detrend)
    np.testing.assert_allclose(after[clear], before[clear], rtol=1e-4)


@given(LOSSES, st.sampled_from(rfilter.WINDOWS))
def test_a_ratio_is_at_least_one_and_finite(losses, window):
    found = rfilter.ratios(losses, window)
    assert np.isfinite(found).all()
    assert (found >= 1).all()


@pytest.mark.parametrize("window", rfilter.WINDOWS)
def test_white_noise_passes_in_seven_to_ten_percent_of_frames(window):
    peaks, frames = rfilter.noise_rate(window, 3.0, 20_000, np.random.default_rng(1))
    # Four standard errors of 20,000 frames are 0.8 points.
    assert 0.062 < peaks / frames < 0.108


def test_p_values_count_nulls_at_least_as_large():
    # Nulls 1, 2, 3, 4: of 2.5 two are as large, (1 + 2)/5; of 4 one, 2/5; of 5 none, 1/5; of 0 all, 5/5.
    null = np.array([1.0, 2.0, 3.0, 4.0])
    assert rfilter.p_values(np.array([2.5, 4.0, 5.0, 0.0]), null).tolist() == [0.6, 0.4, 0.2, 1.0]


def test_holm_decides_which_window_may_alarm():
    rng = np.random.default_rng(2)
    curve = rng.standard_normal(200)
    curve[96:120] += 8 * np.sin(2 * np.pi * np.arange(24) / 4)  # a burst of period 4 = bin 6 of 24
    copies = rfilter.shuffled(curve, 199, rng)
    results = {r.window: r for r in rfilter.judge(curve, {w: rfilter.maxima(copies, w) for w in (6, 24)})}
    assert results[24].p == pytest.approx(1 / 200)
    assert results[24].alarms.sum() >= 1
    assert 96 in results[24].starts[results[24].alarms]
    assert results[24].level == pytest.approx(0.025)  # the smallest of two p-values is judged at 0.05/2
    if results[6].p > results[6].level:
        assert not results[6].alarms.any()


def test_noise_alarms_in_about_five_percent_of_runs():
    rng = np.random.default_rng(3)
    nulls = {w: rfilter.maxima(rfilter.white_noise(120, 199, rng), w) for w in (6, 12)}
    runs = [any(r.alarms.any() for r in rfilter.judge(curve, nulls)) for curve in rfilter.white_noise(120, 400, rng)]
    # 5 % of 400 with a standard deviation of 1.1 points, and that of a threshold estimated from 199 nulls: below 11 %.
    assert np.mean(runs) < 0.11


@pytest.mark.parametrize(
    ("losses", "problem"),
    [([1.0, math.nan, 2.0], "place 2"), ([1.0, math.inf], "place 2"), ([2.0] * 50, "constant"), ([], "at least one"), ([[1.0]], "list")],
)
def test_unusable_curves_are_refused_in_words(losses, problem):
    with pytest.raises(ParameterError, match=problem):
        rfilter.checked_curve(losses)


@pytest.mark.parametrize(("window", "problem"), [(60, "longer than the curve"), (7, "even"), (2, "even number")])
def test_unusable_windows_are_refused(window, problem):
    with pytest.raises(ParameterError, match=problem):
        rfilter.checked_window(window, 50)


@settings(max_examples=20)
@given(st.floats(-1e6, 1e6), st.sampled_from(rfilter.WINDOWS))
def test_a_frame_that_does_not_move_has_no_peak(value, window):
    assert rfilter.ratios(np.full(window, value), window).tolist() == [1.0]
