"""Values, derivatives and the gating measure of the activation functions."""

from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workloads.activations import functions
from workloads.activations.functions import BASELINES, FUNCTIONS, TECHNIQUES

FINITE = st.floats(min_value=-30, max_value=30)


def test_roles():
    assert set(BASELINES) == {"gelu_erf", "gelu_tanh", "silu", "relu"}
    assert set(TECHNIQUES) == {"phi6", "zeta_ln2", "phi3", "phi4", "phi8", "phi12"}
    assert set(FUNCTIONS) == {*BASELINES, *TECHNIQUES, "copy"}
    assert FUNCTIONS["copy"].role == "limit"


@pytest.mark.parametrize(
    ("name", "x", "value", "derivative"),
    [
        ("phi6", 0.5, 0.75, 0.0),  # the minimum: ¼ − ½ + 1
        ("phi6", 2.0, 3.0, 3.0),  # 4 − 2 + 1; at the border the gradient still passes: 2·2 − 1
        ("phi6", 2.5, 3.0, 0.0),  # clamped
        ("phi6", -9.0, 7.0, 0.0),  # clamped at −2: 4 + 2 + 1
        ("zeta_ln2", 5 / 12, 0.0, 0.0),  # (x − 5/12)²
        ("zeta_ln2", 0.0, 25 / 144, -5 / 6),
        ("phi3", -1.0, 1.0, -1.0),
        ("phi4", -2.0, 5.0, -4.0),
        ("phi8", 1.0, 2.0, 4.0),
        ("phi12", 2.0, 13.0, 28.0),  # 16 − 4 + 1 and 4·8 − 2·2
        ("relu", -1.0, 0.0, 0.0),
        ("relu", 3.0, 3.0, 1.0),
        ("silu", 0.0, 0.0, 0.5),
        ("gelu_erf", 0.0, 0.0, 0.5),
        ("gelu_tanh", 0.0, 0.0, 0.5),
        ("copy", -4.0, -4.0, 1.0),
    ],
)
def test_hand_derived_values(name, x, value, derivative):
    point = np.array([x])
    assert FUNCTIONS[name].value(point)[0] == pytest.approx(value, abs=1e-15)
    assert FUNCTIONS[name].derivative(point)[0] == pytest.approx(derivative, abs=1e-15)


@given(FINITE)
def test_erf_agrees_with_the_c_library(x):
    assert functions.erf(np.array([x]))[0] == pytest.approx(math.erf(x), abs=2e-15)
    # Φ keeps its digits in the tail, where 1 + erf would have none left: Φ(x) = ½ erfc(−x/√2).
    assert functions.normal_cdf(np.array([x]))[0] == pytest.approx(0.5 * math.erfc(-x / math.sqrt(2)), rel=1e-12)


@given(st.sampled_from(sorted(FUNCTIONS)), FINITE)
def test_derivative_is_the_slope_of_the_value(name, x):
    h = 1e-4
    if (name == "relu" and abs(x) <= h) or abs(abs(x) - 2) <= h:
        return  # kinks: the central difference straddles two slopes
    low, high = FUNCTIONS[name].value(np.array([x - h, x + h]))
    # The central difference errs by h²/6 · |f‴| (largest for Φ8: 24·2 → 8e-8) plus rounding 1e-16 · |f| / h (f up to 1e3 → 1e-9).
    assert FUNCTIONS[name].derivative(np.array([x]))[0] == pytest.approx((high - low) / (2 * h), abs=1e-6)


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_nan_stays_nan(name):
    assert np.isnan(FUNCTIONS[name].value(np.array([np.nan])))[0]


def test_suppression_of_gelu():
    # E[xΦ(x); x<0] = [−φΦ] + ∫φ² over x<0 = −φ(0)/2 + 1/(4√π), and with + for x>0 (φ(0) = 1/√(2π)).
    # Ratio of magnitudes: (1/√2 − ½)/(1/√2 + ½) = (√2 − 1)/(√2 + 1) = 3 − 2√2, so g = 2√2 − 2.
    assert functions.suppression("gelu_erf") == pytest.approx(2 * math.sqrt(2) - 2, abs=1e-6)


def test_suppression_of_zeta_is_negative():
    # (x − a)² with a = 5/12: E over x<0 is ½ + a²/2 + 2a/√(2π), over x>0 ½ + a²/2 − 2a/√(2π). The negative half is 3.6 times larger.
    a = 5 / 12
    half, cross = 0.5 + a * a / 2, 2 * a / math.sqrt(2 * math.pi)
    assert functions.suppression("zeta_ln2") == pytest.approx(1 - (half + cross) / (half - cross), abs=1e-5)
    assert functions.suppression("zeta_ln2") < -2.6


@pytest.mark.parametrize(("name", "expected"), [("relu", 1.0), ("phi4", 0.0), ("phi8", 0.0), ("phi12", 0.0), ("copy", 0.0)])
def test_suppression_at_its_landmarks(name, expected):
    assert functions.suppression(name) == pytest.approx(expected, abs=1e-12)  # a closed gate; even functions have none


def test_mean_magnitude_of_the_copy():
    # ∫₀^∞ x φ(x) dx = φ(0) = 1/√(2π)
    assert functions.mean_magnitude("copy", "positive") == pytest.approx(1 / math.sqrt(2 * math.pi), abs=1e-7)


def test_minimum_and_floor():
    assert functions.minimum("phi6") == pytest.approx((0.5, 0.75))
    assert functions.minimum("zeta_ln2") == pytest.approx((5 / 12, 0.0), abs=1e-4)
    # Φ6 falls towards 0.5, so over x < 0 it is lowest next to 0, near 1; ZetaLn2's floor there is c²/4 = 25/144, not 0.
    assert functions.negative_floor("phi6") == pytest.approx(1.0, abs=1e-3)
    assert functions.negative_floor("zeta_ln2") == pytest.approx(25 / 144, abs=1e-3)
    assert functions.negative_floor("relu") == 0.0
    assert functions.negative_floor("phi12") == pytest.approx(0.75, abs=1e-7)  # x² = ½: ¼ − ½ + 1


def test_pages_can_import_it_without_heavy_libraries():
    program = (
        "import sys, workloads.activations.functions, workloads.activations.operation_count\n"
        "print(sorted({'torch', 'scipy', 'triton', 'sklearn'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"
