"""The Triton kernels on the CPU, under Triton's interpreter: ``TRITON_INTERPRET=1 pytest -m interpreter``, a process of its own."""

from __future__ import annotations

import os

import pytest

pytestmark = [
    pytest.mark.interpreter,
    pytest.mark.skipif(os.environ.get("TRITON_INTERPRET") != "1", reason="needs TRITON_INTERPRET=1 before Triton is imported"),
]

torch = pytest.importorskip("torch")
pytest.importorskip("triton")

from lab.correctness import disagreement  # noqa: E402
from workloads.fft_mixing import circulant, fused, reference  # noqa: E402


@pytest.fixture(autouse=True)
def _same_numbers_every_time():
    torch.manual_seed(0)


def gradients(function, x, filters, dy, *settings):
    x, filters = x.detach().requires_grad_(), filters.detach().requires_grad_()
    y = function(x, filters, *settings)
    return y.detach(), *torch.autograd.grad(y, (x, filters), dy)


@pytest.mark.parametrize("causal", [False, True], ids=["bidirectional", "causal"])
@pytest.mark.parametrize(
    ("windows", "shape", "dtype"),
    [
        ((2, 6), (2, 17, 5), torch.float32),  # even halves and odd ones, an end that no window divides, an odd width
        ((4, 5), (1, 1, 1), torch.float16),
        ((3, 8), (2, 9, 6), torch.float16),
        ((33,), (1, 40, 3), torch.float32),  # too long to be written out: gathered
    ],
    ids=str,
)
def test_against_float64(windows, shape, dtype, causal):
    x, filters = torch.randn(shape).to(dtype), torch.randn(reference.filter_rows(windows), shape[-1])
    dy = torch.randn(*shape[:-1], len(windows) * shape[-1]).to(dtype)
    got = gradients(fused.mixed, x, filters, dy, windows, causal)
    plain = gradients(circulant.mixed, x, filters, dy, windows, causal)
    exact = (circulant.mixed64(x, filters, windows, causal), *circulant.gradients64(x, filters, windows, dy, causal))
    for part, g, p, e in zip(("output", "gradient of x", "gradient of filters"), got, plain, exact, strict=True):
        assert g.dtype == p.dtype
        # At so small a size the plain error can be nothing by chance: at least four roundings of float32 are allowed.
        allowed = p + 4 * torch.finfo(p.dtype).eps * p.abs().amax()
        assert disagreement(g, e, allowed) == "", part


@pytest.mark.parametrize("causal", [False, True], ids=["bidirectional", "causal"])
def test_every_kernel_and_launch_computes_the_same(causal):
    windows = (5, 6)
    x, taps = torch.randn(2, 7, 3), circulant.taps(torch.randn(reference.filter_rows(windows), 3), windows)
    dy = torch.randn(2, 7, 6)
    y, dtaps = fused.forward(x, taps, windows, causal), fused.backward_taps(x, dy, windows, causal)
    for launch in (fused.WindowsLaunch(4, 2, 1), fused.WindowsLaunch(48, 16, 1, halved=False), fused.GatherLaunch(4, 4, 1)):
        torch.testing.assert_close(fused.forward(x, taps, windows, causal, launch), y)
        torch.testing.assert_close(fused.backward_taps(x, dy, windows, causal, launch), dtaps, rtol=1e-5, atol=1e-5)


def test_partial_sums_over_stretches_and_sequences(monkeypatch):
    # 2 parts at most: sequences are shared out among programs, and with stretches of 4 tokens a sequence among several.
    windows = (2, 3)
    x, dy = torch.randn(4, 6, 2), torch.randn(4, 6, 4)
    whole = fused.backward_taps(x, dy, windows, False)
    for parts, least in ((2, 1), (1000, 4)):
        monkeypatch.setattr(fused, "PARTS", parts)
        monkeypatch.setattr(fused, "LEAST_STRETCH", least)
        torch.testing.assert_close(fused.backward_taps(x, dy, windows, False), whole, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "make",
    [lambda: torch.randn(2, 3, 9).transpose(1, 2), lambda: torch.randn(2, 18, 3)[:, ::2], lambda: torch.randn(1, 9, 3).expand(2, 9, 3)],
    ids=["transposed", "every other token", "expanded"],
)
def test_layouts(make):
    x, filters = make(), torch.randn(reference.filter_rows((4,)), 3)
    torch.testing.assert_close(fused.mixed(x, filters, (4,)), reference.mixed(x, filters, (4,)))


def test_nothing_beyond_the_end_is_written():
    # The output lies within a larger tensor of sevens: a store past its end would change one.
    seq_len, d_model, windows = 7, 3, (4,)
    store = torch.full((500,), 7.0)
    y = store[100 : 100 + seq_len * d_model].view(1, seq_len, d_model)
    x, taps = torch.randn(1, seq_len, d_model), torch.randn(3, d_model)
    fused.kernels.mix_windows_kernel[(1, 1)](
        x, taps, y, 0, d_model, 1, 48, seq_len, d_model, WINDOWS=windows, CAUSAL=False, HALVED=True, BLOCK_D=16
    )
    assert torch.equal(y, fused.forward(x, taps, windows, False))
    fused.kernels.mix_gather_kernel[(1, 1)](
        x, taps, y, 0, d_model, 1, seq_len, d_model, WINDOWS=windows, CAUSAL=False, TRANSPOSED=False, BLOCK_T=16, BLOCK_D=16
    )
    torch.testing.assert_close(y, fused.forward(x, taps, windows, False))
    assert (store[:100] == 7).all()
    assert (store[100 + seq_len * d_model :] == 7).all()


@pytest.mark.parametrize("shape", [(0, 5, 3), (2, 0, 3)])
def test_nothing_to_mix(shape):
    x, filters = torch.randn(shape).requires_grad_(), torch.randn(reference.filter_rows((4,)), 3, requires_grad=True)
    y = fused.mixed(x, filters, (4,))
    y.sum().backward()
    assert y.shape == shape
    assert not filters.grad.any()


def test_second_derivative_is_refused():
    x = torch.randn(1, 4, 2, requires_grad=True)
    with pytest.raises(RuntimeError, match="no second derivative"):
        torch.autograd.grad(fused.mixed(x, torch.randn(2, 2), (2,)).sum(), x, create_graph=True)


def test_available_under_the_interpreter():
    assert fused.available("cpu") == ""
