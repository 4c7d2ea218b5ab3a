"""The kernels on a GPU against float64, on fresh random inputs, in the types and sizes that are timed."""

from __future__ import annotations

import time

import pytest

torch = pytest.importorskip("torch")

from workloads.moe_routing import fused, layer  # noqa: E402
from workloads.moe_routing.checks import wrong_choice, wrong_gradients, wrong_output  # noqa: E402
from workloads.moe_routing.layer import Mixture  # noqa: E402

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")]


@pytest.mark.parametrize(
    ("n_tokens", "d_model", "d_ff", "n_experts", "top_k"),
    [(16_384, 1024, 4096, 8, 2), (16_384, 1024, 1365, 24, 2), (1, 256, 64, 8, 2), (1000, 96, 64, 3, 3), (777, 128, 64, 64, 8)],
)
def test_layer_against_float64(n_tokens, d_model, d_ff, n_experts, top_k):
    generator = torch.Generator("cuda").manual_seed(time.time_ns() % 2**31)
    mixture = layer.draw(n_experts, d_model, d_ff, top_k, generator, torch.bfloat16).padded()
    x = torch.randn(n_tokens, d_model, device="cuda", generator=generator).bfloat16()
    chosen, _ = fused.route(x, mixture.router, top_k)
    assert wrong_choice(chosen, x, mixture) == ""
    with torch.no_grad():
        assert wrong_output(fused.mixture_layer(x, mixture), chosen, x, mixture) == ""
        assert wrong_output(layer.grouped(x, mixture), layer.route(x, mixture), x, mixture) == ""


def test_gradients_against_float64():
    generator = torch.Generator("cuda").manual_seed(time.time_ns() % 2**31)
    mixture = layer.draw(8, 256, 128, 2, generator, torch.bfloat16)
    x = torch.randn(300, 256, device="cuda", generator=generator).bfloat16()
    dy = torch.randn_like(x)
    leaves = [tensor.clone().requires_grad_() for tensor in (x, *mixture[:3])]
    got = torch.autograd.grad(fused.mixture_layer(leaves[0], Mixture(leaves[1], leaves[2], leaves[3], 2)), leaves, dy)
    assert wrong_gradients(got, fused.route(x, mixture.router, 2)[0], x, mixture, dy) == ""


def test_a_layer_can_be_captured():
    generator = torch.Generator("cuda").manual_seed(0)
    mixture = layer.draw(8, 256, 128, 2, generator, torch.bfloat16)
    x = torch.randn(512, 256, device="cuda", generator=generator).bfloat16()
    with torch.no_grad():
        fused.mixture_layer(x, mixture)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            y = fused.mixture_layer(x, mixture)
        x.copy_(torch.randn(512, 256, device="cuda", generator=generator))  # other loads in the replay than in the capture
        graph.replay()
        torch.cuda.synchronize()
        assert wrong_output(y, fused.route(x, mixture.router, 2)[0], x, mixture) == ""
