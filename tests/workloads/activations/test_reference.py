"""The PyTorch reference against the NumPy definitions, and the error bound that judges fast versions."""

from __future__ import annotations

import pytest
import torch

from workloads.activations.functions import FUNCTIONS
from workloads.activations.reference import EAGER, disagreement, error_bound, gradient64, reference64


@pytest.fixture
def x():
    return torch.cat([torch.randn(4000) * 3, torch.tensor([0.0, -0.0, 2.0, -2.0, 2.5, -2.5, 20.0, -20.0])])


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_float64_reference_is_the_function(name, x):
    exact = x.double()
    torch.testing.assert_close(reference64(name, x), torch.from_numpy(FUNCTIONS[name].value(exact.numpy())), rtol=1e-12, atol=1e-13)
    dy = torch.randn_like(x)
    slope = torch.from_numpy(FUNCTIONS[name].derivative(exact.numpy()))
    torch.testing.assert_close(gradient64(name, x, dy), dy.double() * slope, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_eager_keeps_dtype_and_is_within_its_own_bound(name, dtype, x):
    narrow = x.to(dtype)
    y = EAGER[name](narrow)
    assert y.dtype == dtype
    assert y.data_ptr() != narrow.data_ptr()
    assert disagreement(y, reference64(name, narrow), y) == ""


def test_error_bound_by_hand():
    exact = torch.tensor([1.0, 4.0], dtype=torch.float64)
    eager = torch.tensor([1.0, 4.0 + 2**-20], dtype=torch.float32)
    # The worst relative error of eager is 2⁻²⁰/4 = 2⁻²². Allowed: twice that, times the value, plus one rounding (ε = 2⁻²³) of the value.
    smallest = torch.finfo(torch.float32).smallest_normal * 2.0**-23
    expected = torch.tensor([2 * 2**-22 + 2**-23 + smallest, 4 * (2 * 2**-22 + 2**-23) + smallest], dtype=torch.float64)
    torch.testing.assert_close(error_bound(exact, eager), expected, rtol=0, atol=0)


def test_disagreement_names_the_first_wrong_element():
    exact = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)
    eager = exact.float()
    assert disagreement(eager.clone(), exact, eager) == ""
    assert "2 of 3 elements differ, first at (1,)" in disagreement(torch.tensor([1.0, 2.01, 0.0]), exact, eager)


@pytest.mark.parametrize("got", [0.0, float("inf")])
def test_disagreement_sees_a_missing_nan(got):
    exact = torch.tensor([float("nan")], dtype=torch.float64)
    assert disagreement(torch.tensor([got]), exact, exact.float())
    assert disagreement(exact.float(), exact, exact.float()) == ""


def test_overflow_must_match():
    # 300² is beyond float16's 65504, so the truth rounds to infinity there.
    exact = torch.tensor([9e4], dtype=torch.float64)
    assert disagreement(exact.half(), exact, exact.half()) == ""
    assert disagreement(torch.tensor([65504.0], dtype=torch.float16), exact, exact.half())
