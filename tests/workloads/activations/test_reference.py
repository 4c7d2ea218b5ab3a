"""The PyTorch reference against the NumPy definitions."""

from __future__ import annotations

import pytest
import torch

from lab.correctness import disagreement
from workloads.activations.functions import FUNCTIONS
from workloads.activations.reference import EAGER, gradient64, reference64


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
