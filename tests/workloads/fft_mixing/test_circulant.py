"""FFT-Mix in the time domain: taps, circulant matrices, the causal form."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from workloads.fft_mixing import circulant, fused, reference


@pytest.fixture(autouse=True)
def _same_numbers_every_time():
    torch.manual_seed(0)


def filters_of(windows, d_model):
    return torch.randn(reference.filter_rows(windows), d_model, dtype=torch.float64)


def test_taps_by_hand():
    # w = 4: h[k] = (f0 + 2 f1 cos(πk/2) + f2 cos(πk)) / 4. With f = (4, 2, 8): h[0] = (4 + 4 + 8) / 4 = 4, h[1] = (4 + 0 − 8) / 4 = −1,
    # h[2] = (4 − 4 + 8) / 4 = 2.
    filters = torch.tensor([[4.0], [2.0], [8.0]], dtype=torch.float64)
    torch.testing.assert_close(circulant.taps(filters, (4,)).flatten(), torch.tensor([4.0, -1.0, 2.0], dtype=torch.float64))


@given(window=st.integers(2, 40))
@settings(max_examples=20)
def test_taps_are_the_inverse_transform_of_the_filter(window):
    filters = filters_of((window,), 3)
    kernel = torch.fft.irfft(filters.to(torch.complex128), n=window, dim=0)
    torch.testing.assert_close(circulant.taps(filters, (window,)), kernel[: window // 2 + 1], rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(kernel[1:], kernel[1:].flip(0), rtol=1e-10, atol=1e-12)  # even: h[k] = h[w − k]


def test_matrix_by_hand():
    # w = 4 with taps 4, −1, 2: h = 4, −1, 2, −1; entry [i, j] is h[(i − j) mod 4]. Causal: nothing above the diagonal.
    taps = torch.tensor([[4.0], [-1.0], [2.0]])
    assert circulant.window_matrix(taps, 4)[..., 0].tolist() == [[4, -1, 2, -1], [-1, 4, -1, 2], [2, -1, 4, -1], [-1, 2, -1, 4]]
    assert circulant.window_matrix(taps, 4, causal=True)[..., 0].tolist() == [[4, 0, 0, 0], [-1, 4, 0, 0], [2, -1, 4, 0], [-1, 2, -1, 4]]


@given(window=st.integers(2, 12), seq_len=st.integers(1, 30), causal=st.booleans())
@settings(max_examples=25)
def test_equal_to_the_dense_matrix(window, seq_len, causal):
    x, filters = torch.randn(2, seq_len, 3, dtype=torch.float64), filters_of((window,), 3)
    dense = circulant.dense_matrix(circulant.taps(filters, (window,)), window, seq_len, causal)
    expected = torch.einsum("ijc,bjc->bic", dense, x)
    torch.testing.assert_close(circulant.mixed(x, filters, (window,), causal), expected, rtol=1e-10, atol=1e-10)
    if not causal:
        torch.testing.assert_close(reference.mixed(x, filters, (window,)), expected, rtol=1e-10, atol=1e-10)
        torch.testing.assert_close(dense, dense.transpose(0, 1))  # of an even kernel


@given(window=st.integers(2, 12), seq_len=st.integers(2, 30), place=st.integers(0, 29))
@settings(max_examples=25)
def test_causal_form_is_blind_to_the_future_and_sees_the_past_of_its_window(window, seq_len, place):
    place %= seq_len
    x, filters = torch.randn(1, seq_len, 2, dtype=torch.float64), filters_of((window,), 2)
    moved = x.clone()
    moved[0, place] += 1.0
    changed = (fused.mixed(moved, filters, (window,), True) - fused.mixed(x, filters, (window,), True))[0].abs().amax(-1) > 1e-9
    at = torch.arange(seq_len)
    assert torch.equal(changed, (at >= place) & (at // window == place // window))


def test_causal_gradients_are_those_of_the_definition():
    windows = (3, 5)
    x = torch.randn(2, 11, 2, dtype=torch.float64, requires_grad=True)
    filters = filters_of(windows, 2).requires_grad_()
    assert torch.autograd.gradcheck(lambda x, filters: circulant.mixed(x, filters, windows, True), (x, filters))


def test_models_side_by_side():
    windows = (3, 8)
    filters = torch.stack([filters_of(windows, 4) for _ in range(3)])
    x = torch.randn(3, 2, 13, 4, dtype=torch.float64)
    together = circulant.mixed(x, filters, windows, True)
    for i in range(3):
        torch.testing.assert_close(together[i], circulant.mixed(x[i], filters[i], windows, True))


def test_tables_made_without_autograd_serve_autograd_later():
    # The constant matrices are kept: made within inference_mode they must not be tensors that autograd refuses.
    windows = (7, 11)
    with torch.inference_mode():
        fused.mixed(torch.randn(1, 12, 2), torch.randn(reference.filter_rows(windows), 2), windows, True)
    filters = torch.randn(reference.filter_rows(windows), 2, requires_grad=True)
    fused.mixed(torch.randn(1, 12, 2), filters, windows, True).sum().backward()
    assert filters.grad is not None


@pytest.mark.parametrize("causal", [False, True])
def test_other_leading_dimensions(causal):
    x, filters = torch.randn(2, 3, 13, 4), filters_of((6,), 4).float()
    flat = fused.mixed(x.flatten(0, 1), filters, (6,), causal)
    torch.testing.assert_close(fused.mixed(x, filters, (6,), causal), flat.unflatten(0, (2, 3)))
