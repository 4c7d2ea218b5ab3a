"""The published NumPy expressions: right, and float32 throughout."""

from __future__ import annotations

import numpy as np
import pytest

from workloads.activations.functions import FUNCTIONS
from workloads.activations.published import EXPRESSIONS, PRODUCT_POWERS

ALL = [(name, expression) for table in (EXPRESSIONS, PRODUCT_POWERS) for name, expression in table.items()]
IDS = [*EXPRESSIONS, *(f"{name}-product" for name in PRODUCT_POWERS)]


@pytest.fixture
def x():
    values = np.random.default_rng().standard_normal(10_000, dtype=np.float32) * np.float32(2)
    return np.concatenate([values, np.array([0.0, -0.0, 2.0, -2.0, 2.5, -2.5, 30.0, -30.0], dtype=np.float32)])


@pytest.mark.parametrize(("name", "expression"), ALL, ids=IDS)
def test_float32_in_float32_out(name, expression, x):
    assert expression.forward(x).dtype == np.float32
    assert expression.derivative(x).dtype == np.float32


@pytest.mark.parametrize(("name", "expression"), ALL, ids=IDS)
def test_agrees_with_the_function(name, expression, x):
    function = FUNCTIONS[name]
    exact = x.astype(np.float64)
    # At most ten roundings of float32 (6e-8 each) on intermediates up to 32 (4x³ at 2): 2e-5.
    for got, wanted in ((expression.forward(x), function.value(exact)), (expression.derivative(x), function.derivative(exact))):
        np.testing.assert_allclose(got, wanted, rtol=2e-6, atol=2e-5)


def test_two_ways_of_writing_a_power_are_one_function(x):
    for name, expression in PRODUCT_POWERS.items():
        np.testing.assert_allclose(expression.forward(x), EXPRESSIONS[name].forward(x), rtol=1e-5, atol=1e-6)


def test_a_float64_scalar_constant_would_promote(x):
    # What the module avoids: the same constant as a NumPy scalar makes the whole array float64 under NumPy 2.
    assert (np.sqrt(2 / np.pi) * x).dtype == np.float64
