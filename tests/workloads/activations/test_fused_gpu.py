"""The Triton kernels on a GPU: every dtype, compile composition, what a profile shows, tensors beyond 2³¹ elements."""

from __future__ import annotations

import pytest
import torch

from lab.correctness import disagreement
from workloads.activations import fused
from workloads.activations.functions import FUNCTIONS
from workloads.activations.reference import EAGER, gradient64, reference64

UNAVAILABLE = fused.available("cuda") or ("runs under the interpreter" if fused.INTERPRETED else "")
pytestmark = [pytest.mark.gpu, pytest.mark.skipif(bool(UNAVAILABLE), reason=UNAVAILABLE or "available")]

DTYPES = [torch.float32, torch.bfloat16, torch.float16]
SPECIAL = (0.0, -0.0, 2.0, -2.0, 2.015625, -2.015625, 1e-7, -1e-7, 300.0, -300.0, 6e4, -6e4, float("inf"), -float("inf"), float("nan"))


def gradients(call, x, dy):
    inputs = x.detach().clone(memory_format=torch.preserve_format).requires_grad_()
    y = call(inputs)
    (dx,) = torch.autograd.grad(y, inputs, dy)
    return y.detach(), dx


def check(name, x, dy):
    y, dx = gradients(fused.activation(name), x, dy)
    y_eager, dx_eager = gradients(EAGER[name], x, dy)
    assert disagreement(y, reference64(name, x), y_eager) == ""
    assert disagreement(dx, gradient64(name, x, dy), dx_eager) == ""
    return y, dx


@pytest.mark.parametrize("n", [1, 1000, 4096, (1 << 20) + 3, 1 << 22])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_against_float64(name, dtype, n):
    x = torch.cat([torch.randn(n, device="cuda") * 3, torch.tensor(SPECIAL, device="cuda")]).to(dtype)
    check(name, x, torch.randn(x.shape, device="cuda").to(dtype))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("offset", [1, 2, 3])
def test_views_at_odd_offsets(dtype, offset):
    base = torch.randn(100_000 + offset, device="cuda").to(dtype)
    check("phi6", base[offset:], torch.randn(100_000, device="cuda").to(dtype))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_layouts(dtype):
    transposed = torch.randn(300, 500, device="cuda").to(dtype).t()
    y, dx = check("phi6", transposed, torch.randn(500, 300, device="cuda").to(dtype))
    assert y.stride() == dx.stride() == transposed.stride()
    gaps = torch.randn(300, 500, device="cuda").to(dtype)[:, ::2]
    check("phi6", gaps, torch.randn(300, 250, device="cuda").to(dtype))


@pytest.mark.parametrize("name", ["phi6", "zeta_ln2", "gelu_erf", "copy"])
def test_composes_with_compile(name):
    def block(x):
        return fused.activation(name)(x * 2.0).sin()

    x, dy = torch.randn(33, 1001, device="cuda"), torch.randn(33, 1001, device="cuda")
    compiled = torch.compile(block, fullgraph=True)
    for got, wanted in zip(gradients(compiled, x, dy), gradients(block, x, dy), strict=True):
        torch.testing.assert_close(got, wanted, rtol=1e-5, atol=1e-5)


def device_kernels(call):
    """Names of what ran on the GPU, copies and fills included."""
    from torch.profiler import ProfilerActivity, profile

    call()
    torch.cuda.synchronize()
    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as record:
        call()
        torch.cuda.synchronize()
    return [event.name for event in record.events() if event.device_type == torch.autograd.DeviceType.CUDA]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("name", ["phi6", "zeta_ln2", "gelu_tanh"])
def test_profile_shows_one_own_kernel_per_direction(name, dtype):
    activation = fused.activation(name)
    x = torch.randn(64, 1024, device="cuda").to(dtype).requires_grad_()
    dy = torch.randn_like(x)
    assert device_kernels(lambda: activation(x)) == ["activation_forward_kernel"]
    both = device_kernels(lambda: torch.autograd.grad(activation(x), x, dy))
    assert both == ["activation_forward_kernel", "activation_backward_kernel"]


def test_compiled_profile_adds_no_copies():
    compiled = torch.compile(fused.activation("phi6"), fullgraph=True)
    x = torch.randn(64, 1024, device="cuda", requires_grad=True)
    dy = torch.randn_like(x)
    kernels = device_kernels(lambda: torch.autograd.grad(compiled(x), x, dy))
    assert [name.split("_kernel")[0] for name in kernels] == ["activation_forward", "activation_backward"]


def test_is_captured_by_a_cuda_graph():
    activation = fused.activation("phi6")
    x = torch.randn(10_000, device="cuda")
    activation(x)
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        y = activation(x)
    x.normal_()
    graph.replay()
    assert torch.equal(y, activation(x))


def test_forward_holds_only_input_and_output():
    x = torch.randn(1 << 22, device="cuda", requires_grad=True)
    torch.cuda.synchronize()
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    y = fused.activation("phi6")(x)
    assert torch.cuda.max_memory_allocated() - before == y.numel() * y.element_size()


def test_more_than_2_31_elements():
    n = 2**31 + 4099
    if torch.cuda.mem_get_info()[0] < 5 * n * 2:
        pytest.skip("needs 20 GiB of free GPU memory")
    x = torch.empty(n, dtype=torch.float16, device="cuda").normal_()
    y = fused.forward("phi6", x)
    for part in (slice(0, 4096), slice(2**31 - 2048, 2**31 + 2048), slice(n - 4096, n)):
        assert disagreement(y[part], reference64("phi6", x[part]), EAGER["phi6"](x[part])) == ""
    dx = fused.backward("phi6", x, y)
    for part in (slice(0, 4096), slice(2**31 - 2048, 2**31 + 2048), slice(n - 4096, n)):
        _, dx_eager = gradients(EAGER["phi6"], x[part], y[part])
        assert disagreement(dx[part], gradient64("phi6", x[part], y[part]), dx_eager) == ""
