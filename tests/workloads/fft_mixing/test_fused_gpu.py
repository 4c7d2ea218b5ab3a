"""The Triton kernels on a GPU: every dtype, window sets, layouts, long sequences, tensors beyond 2³¹ elements."""

from __future__ import annotations

from functools import partial

import pytest
import torch

from lab.correctness import disagreement
from workloads.fft_mixing import circulant, fused, reference
from workloads.fft_mixing.attention import BACKENDS, FusedAttention, PublishedAttention, fastest_backend
from workloads.fft_mixing.layers import FftMix

UNAVAILABLE = fused.available("cuda") or ("runs under the interpreter" if fused.INTERPRETED else "")
pytestmark = [pytest.mark.gpu, pytest.mark.skipif(bool(UNAVAILABLE), reason=UNAVAILABLE or "available")]

DTYPES = [torch.float32, torch.bfloat16, torch.float16]
WINDOW_SETS = [(2,), (24, 6), (5, 7, 12), (9, 32), (3, 64, 256)]  # to compile one whose longest window is 32 takes seconds


def filters_of(windows, d_model):
    return torch.randn(reference.filter_rows(windows), d_model, device="cuda")


def gradients(function, x, filters, dy, *settings):
    x, filters = x.detach().requires_grad_(), filters.detach().requires_grad_()
    y = function(x, filters, *settings)
    return y.detach(), *torch.autograd.grad(y, (x, filters), dy)


def check(x, filters, windows, causal):
    """Output and gradients of the kernels against float64, judged by the error of the published form at the same precision."""
    dy = torch.randn(*x.shape[:-1], len(windows) * x.shape[-1], device="cuda").to(x.dtype)
    got = gradients(fused.mixed, x, filters, dy, windows, causal)
    framework = partial(circulant.mixed, causal=True) if causal else reference.mixed
    plain = gradients(framework, x, filters, dy, windows)
    exact = (circulant.mixed64(x, filters, windows, causal), *circulant.gradients64(x, filters, windows, dy, causal))
    for part, g, p, e in zip(("output", "gradient of x", "gradient of filters"), got, plain, exact, strict=True):
        assert g.dtype == p.dtype
        assert g.shape == p.shape
        # Where there are few numbers the framework's error can be small by chance: some roundings of float32 are allowed beyond it.
        wrong = disagreement(g, e, p + 8 * torch.finfo(torch.float32).eps * p.abs().amax())
        assert wrong == "", f"{part}: {wrong}"


@pytest.mark.parametrize("causal", [False, True], ids=["bidirectional", "causal"])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("windows", [(6, 12, 24), (16, 100)], ids=str)
def test_every_dtype_against_float64(windows, dtype, causal):
    check(torch.randn(2, 515, 96, device="cuda").to(dtype), filters_of(windows, 96), windows, causal)


@pytest.mark.parametrize("causal", [False, True], ids=["bidirectional", "causal"])
@pytest.mark.parametrize("windows", WINDOW_SETS, ids=str)
def test_window_sets_against_float64(windows, causal):
    check(torch.randn(2, 515, 96, device="cuda").to(torch.bfloat16), filters_of(windows, 96), windows, causal)


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 5, 3), (3, 24, 37), (1, 100, 513), (400, 28, 28), (1, 4099, 768)], ids=str)
@pytest.mark.parametrize("windows", [(6, 12, 24), (5, 40)], ids=str)
def test_shapes(windows, shape):
    check(torch.randn(shape, device="cuda").to(torch.bfloat16), filters_of(windows, shape[-1]), windows, False)


LAYOUTS = {
    "transposed": lambda: torch.randn(3, 64, 100, device="cuda").transpose(1, 2),
    "every other token": lambda: torch.randn(3, 200, 64, device="cuda")[:, ::2],
    "part of the channels": lambda: torch.randn(3, 100, 200, device="cuda")[..., 3:67],
    "one sequence expanded": lambda: torch.randn(1, 100, 64, device="cuda").expand(3, 100, 64),
    "more dimensions": lambda: torch.randn(2, 3, 50, 64, device="cuda"),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("windows", [(6, 12, 24), (5, 40)], ids=str)
def test_layouts(windows, layout):
    check(LAYOUTS[layout](), filters_of(windows, 64), windows, False)


def test_the_same_inputs_give_the_same_bits():
    windows = (6, 12, 24)
    x, filters = torch.randn(4, 1000, 96, device="cuda"), filters_of(windows, 96)
    dy = torch.randn(4, 1000, 288, device="cuda")
    first, second = (gradients(fused.mixed, x, filters, dy, windows) for _ in range(2))
    for a, b in zip(first, second, strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize(
    "launch",
    [
        fused.WindowsLaunch(7, 64, 1),
        fused.WindowsLaunch(24, 128, 4, halved=False),
        fused.WindowsLaunch(1000, 512, 8),
        fused.GatherLaunch(16, 128, 4),
        fused.GatherLaunch(64, 32, 8),
    ],
    ids=str,
)
def test_every_launch_computes_the_same(launch):
    windows = (5, 6, 24)
    x, taps = torch.randn(3, 333, 200, device="cuda"), circulant.taps(filters_of(windows, 200), windows)
    dy = torch.randn(3, 333, 600, device="cuda")
    torch.testing.assert_close(fused.forward(x, taps, windows, False, launch), fused.forward(x, taps, windows, False), rtol=1e-5, atol=1e-4)
    if isinstance(launch, fused.GatherLaunch):
        torch.testing.assert_close(
            fused.backward_x(dy, taps, windows, False, launch), fused.backward_x(dy, taps, windows, False), rtol=1e-5, atol=1e-4
        )
    torch.testing.assert_close(
        fused.backward_taps(x, dy, windows, False, launch), fused.backward_taps(x, dy, windows, False), rtol=1e-5, atol=1e-3
    )


def device_kernels(call):
    """Names of what ran on the GPU."""
    from torch.profiler import ProfilerActivity, profile

    call()
    torch.cuda.synchronize()
    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as record:
        call()
        torch.cuda.synchronize()
    return [event.name for event in record.events() if event.device_type == torch.autograd.DeviceType.CUDA]


def test_forward_passes_over_the_activations_once():
    layer = FftMix(256, device="cuda", dtype=torch.bfloat16)
    x = torch.randn(2, 480, 256, device="cuda").to(torch.bfloat16)
    with torch.no_grad():
        kernels = device_kernels(lambda: layer.mix(x))
    assert sum(name == "mix_windows_kernel" for name in kernels) == 1
    assert len(kernels) <= 4  # the others turn the filters into taps


def test_is_captured_by_a_cuda_graph():
    windows = (6, 12, 24)
    x, filters = torch.randn(2, 100, 64, device="cuda"), filters_of(windows, 64)
    fused.mixed(x, filters, windows)
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        y = fused.mixed(x, filters, windows)
    x.normal_()
    graph.replay()
    assert torch.equal(y, fused.mixed(x, filters, windows))


@pytest.mark.parametrize("windows", [(6, 12, 24), (40,)], ids=str)
def test_more_than_2_31_elements(windows):
    # One sequence of so many tokens that output and gradient pass 2³¹ elements; checked at both ends and where the index would wrap.
    d_model, sizes = 64, len(windows)
    seq_len = 2**31 // (sizes * d_model) + 1203
    if torch.cuda.mem_get_info()[0] < 2 * seq_len * d_model * (2 * sizes + 2) + (8 << 30):
        pytest.skip("needs about 30 GiB of free GPU memory")
    x = torch.randn(1, seq_len, d_model, dtype=torch.bfloat16, device="cuda")
    filters = filters_of(windows, d_model)
    taps = circulant.taps(filters, windows)
    y = fused.forward(x, taps, windows, False)
    dx = fused.backward_x(y, taps, windows, False)
    step = 240  # a multiple of every window
    wraps = 2**31 // (sizes * d_model) // step * step
    for start in (0, wraps - step, wraps, seq_len // step * step - step):
        part = slice(start, min(start + 2 * step, seq_len))
        exact = circulant.mixed64(x[:, part], filters, windows)
        assert disagreement(y[:, part], exact, circulant.mixed(x[:, part], filters, windows)) == ""
        exact_dx, _ = circulant.gradients64(x[:, part], filters, windows, y[:, part])
        plain_dx = gradients(circulant.mixed, x[:, part], filters, y[:, part], windows)[1]
        assert disagreement(dx[:, part], exact_dx, plain_dx) == ""
    # Everything: a gradient by taps at the end of the tensor counts like one at its start.
    alone = torch.zeros_like(y)
    alone[:, -600:] = y[:, -600:]
    got = fused.backward_taps(x, alone, windows, False)
    tail = -(seq_len % step + 3 * step)
    _, exact = circulant.gradients64(x[:, tail:], filters, windows, alone[:, tail:])
    matrix = circulant.taps(torch.eye(filters.shape[0], device="cuda"), windows).double()
    torch.testing.assert_close(matrix.T @ got.double(), exact, rtol=1e-4, atol=1e-2)


@pytest.mark.parametrize("causal", [False, True], ids=["bidirectional", "causal"])
def test_attention_backends_agree_with_the_module(causal):
    where = {"device": "cuda", "dtype": torch.bfloat16}
    module, layer = PublishedAttention(256, 4, causal=causal, **where), FusedAttention(256, 4, causal=causal, **where)
    layer.load_published(module)
    x = torch.randn(2, 300, 256, device="cuda").to(torch.bfloat16)
    choice = fastest_backend(layer, x)
    assert set(choice.seconds) | set(choice.reasons) == set(BACKENDS)
    assert choice.name in ("cudnn", "flash", "efficient")  # no unfused kernel is fastest on a GPU
    assert choice.seconds[choice.name] == min(choice.seconds.values())
    with torch.no_grad():
        plain = module(x)
        exact = module.double()(x.double())
        for name in choice.seconds:
            assert disagreement(layer.attend(x, name), exact, plain) == ""
