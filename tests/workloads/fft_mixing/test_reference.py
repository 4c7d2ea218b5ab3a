"""The published form of FFT-Mix, and the other forms of the same function: windows' matrices, Fourier basis, the fast layer on a CPU."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.correctness import disagreement
from workloads.fft_mixing import circulant, fourier_basis, fused, reference

DTYPES = [torch.float32, torch.bfloat16, torch.float16, torch.float64]
FORMS = {"matrices": circulant.mixed, "basis": fourier_basis.mixed, "fast": fused.mixed}
WINDOW_SETS = [(6, 12, 24), (2,), (3,), (5, 7), (24, 6), (4, 9, 10), (16, 50)]

windows_of = st.lists(st.integers(2, 20), min_size=1, max_size=3, unique=True).map(tuple)
shapes = st.tuples(st.integers(1, 3), st.integers(1, 45), st.integers(1, 5))


@pytest.fixture(autouse=True)
def _same_numbers_every_time():
    torch.manual_seed(0)


def filters_of(windows, d_model, dtype=torch.float64):
    return torch.randn(reference.filter_rows(windows), d_model, dtype=dtype)


def test_a_window_of_two_by_hand():
    # Tokens 3, 5 | 7 and a zero. rfft of (a, b) is (a + b, a − b); filter (2, 1) gives (2(a + b), a − b); back: half the sum, half the
    # difference, ((3a + b) / 2, (a + 3b) / 2): (3, 5) → (7, 9), (7, 0) → (10.5, 3.5), of which the second is cut off.
    x = torch.tensor([[[3.0], [5.0], [7.0]]])
    filters = torch.tensor([[2.0], [1.0]])
    assert reference.mixed(x, filters, (2,)).flatten().tolist() == [7.0, 9.0, 10.5]


def test_sizes_stand_side_by_side_in_the_order_of_the_windows():
    x, filters = torch.randn(2, 12, 3), filters_of((4, 6), 3, torch.float32)
    both = reference.mixed(x, filters, (4, 6))
    assert torch.equal(both[..., :3], reference.mixed(x, filters[:3], (4,)))  # 4 // 2 + 1 = 3 rows come first
    assert torch.equal(both[..., 3:], reference.mixed(x, filters[3:], (6,)))


def test_a_filter_of_ones_changes_nothing():
    x = torch.randn(2, 29, 5, dtype=torch.float64)
    ones = torch.ones(reference.filter_rows((6, 12, 24)), 5)
    torch.testing.assert_close(reference.mixed(x, ones, (6, 12, 24)), torch.cat([x, x, x], dim=-1))


@pytest.mark.parametrize(("windows", "rows"), [((6, 12, 24), 4 + 7 + 13), ((2,), 2), ((5,), 3)])
def test_filter_rows(windows, rows):
    # One for each frequency of a real transform: 0 to w // 2.
    assert reference.filter_rows(windows) == rows


@pytest.mark.parametrize(
    ("windows", "words"), [((), "at least one"), ((1,), "at least 2"), ((6, 0), "at least 2"), ((6, 6), "once")], ids=str
)
def test_windows_that_cannot_be(windows, words):
    with pytest.raises(ValueError, match=words):
        reference.checked_windows(windows)
    with pytest.raises(ValueError, match=words):
        fused.mixed(torch.randn(1, 4, 2), torch.randn(4, 2), windows)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("windows", WINDOW_SETS, ids=str)
def test_every_form_against_float64(windows, dtype, form):
    x, filters = torch.randn(2, 29, 7).to(dtype), filters_of(windows, 7)
    exact = reference.mixed64(x, filters, windows)
    got = FORMS[form](x, filters, windows)
    assert got.dtype == dtype
    if dtype == torch.float64:
        torch.testing.assert_close(got, exact, rtol=1e-12, atol=1e-12)
    else:
        # Bounded by twice the error of the published form at the same precision, which in 16 bits is the rounding of its result.
        assert disagreement(got, exact, reference.mixed(x, filters, windows)) == ""


@given(shape=shapes, windows=windows_of)
@settings(max_examples=15)
def test_every_form_and_its_gradients_are_equal(shape, windows):
    x, filters = torch.randn(shape, dtype=torch.float64), filters_of(windows, shape[-1])
    dy = torch.randn(*shape[:-1], len(windows) * shape[-1], dtype=torch.float64)
    expected = (reference.mixed64(x, filters, windows), *reference.gradients64(x, filters, windows, dy))
    for form in (circulant.mixed, fourier_basis.mixed):
        inputs = (x.clone().requires_grad_(), filters.clone().requires_grad_())
        y = form(*inputs, windows)
        for got, wanted in zip((y, *torch.autograd.grad(y, inputs, dy)), expected, strict=True):
            torch.testing.assert_close(got.detach(), wanted, rtol=1e-10, atol=1e-10)


@given(shape=shapes, windows=windows_of)
@settings(max_examples=15)
def test_linearity(shape, windows):
    a, b, filters = torch.randn(shape).double(), torch.randn(shape).double(), filters_of(windows, shape[-1])
    separately = 2 * reference.mixed(a, filters, windows) - 3 * reference.mixed(b, filters, windows)
    torch.testing.assert_close(reference.mixed(2 * a - 3 * b, filters, windows), separately, rtol=1e-10, atol=1e-10)


@given(window=st.integers(2, 30), channels=st.integers(1, 4))
@settings(max_examples=15)
def test_parseval(window, channels):
    # The energy of a window's output is that of its filtered spectrum: Σ y² = (1 / w) Σ_m c_m f[m]² |X[m]|², with c_m = 1 at m = 0 and
    # m = w / 2, else 2.
    x, filters = torch.randn(1, window, channels, dtype=torch.float64), filters_of((window,), channels)
    spectrum = torch.fft.rfft(x[0], dim=0).abs() * filters
    counted = torch.full((window // 2 + 1, 1), 2.0, dtype=torch.float64)
    counted[0] = 1
    if window % 2 == 0:
        counted[-1] = 1
    y = fourier_basis.mixed(x, filters, (window,))
    torch.testing.assert_close(y.square().sum(), (counted * spectrum.square()).sum() / window)


@given(shape=shapes, windows=windows_of, seed=st.integers(0, 1000))
@settings(max_examples=15)
def test_no_token_is_influenced_from_outside_its_window(shape, windows, seed):
    _, seq_len, channels = shape
    filters = filters_of(windows, channels)
    x = torch.randn(1, seq_len, channels, dtype=torch.float64)
    place = seed % seq_len
    moved = x.clone()
    moved[0, place] += 1.0
    for mix in (reference.mixed, fused.mixed):
        changed = (mix(moved, filters, windows) - mix(x, filters, windows))[0].abs() > 1e-9
        for size, window in enumerate(windows):
            same_window = torch.arange(seq_len) // window == place // window
            reached = changed[:, size * channels : (size + 1) * channels].any(-1)
            assert not reached[~same_window].any()
            assert reached[place]


@pytest.mark.parametrize("window", [2, 3, 8, 9])
def test_basis_is_orthonormal(window):
    rows, frequencies = fourier_basis.basis(window, torch.device("cpu"), torch.float64)
    torch.testing.assert_close(rows @ rows.T, torch.eye(window, dtype=torch.float64))
    assert frequencies.tolist() == [(i + 1) // 2 for i in range(window)]
