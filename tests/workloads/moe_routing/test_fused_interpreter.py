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

from workloads.moe_routing import fused, layer  # noqa: E402
from workloads.moe_routing.checks import wrong_choice, wrong_gradients, wrong_output  # noqa: E402
from workloads.moe_routing.layer import Mixture  # noqa: E402


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16], ids=str)
@pytest.mark.parametrize(("n_tokens", "n_experts", "top_k"), [(70, 8, 2), (33, 3, 3), (17, 20, 1)])
def test_routing_and_rows_against_float64(dtype, n_tokens, n_experts, top_k):
    generator = torch.Generator().manual_seed(n_tokens)
    mixture = layer.draw(n_experts, 24, 8, top_k, generator, dtype)
    x = torch.randn(n_tokens, 24, generator=generator).to(dtype)
    chosen, counts = fused.route(x, mixture.router, top_k)
    assert wrong_choice(chosen, x, mixture) == ""
    loads = torch.bincount(chosen.experts.flatten(), minlength=n_experts)
    assert counts.sum(1).tolist() == loads.tolist()

    places, ends = fused.sort_by_expert(chosen.experts, counts)
    assert ends.tolist() == loads.cumsum(0).tolist()
    assert places.flatten().sort().values.tolist() == list(range(n_tokens * top_k))  # a permutation: nothing lost, nothing twice
    first = ends - loads
    assert ((places >= first[chosen.experts.long()]) & (places < ends[chosen.experts.long()])).all()

    rows = fused.gather(x, places)
    assert (rows[places.long()] == x[:, None]).all()
    exact = (x.double()[:, None] * chosen.weights.double()[..., None]).sum(1)
    torch.testing.assert_close(fused.combine(rows, places, chosen.weights).double(), exact, rtol=torch.finfo(dtype).eps, atol=1e-5)


def test_the_layer_and_its_gradients():
    generator = torch.Generator().manual_seed(0)
    mixture = layer.draw(4, 16, 8, 2, generator, torch.float32)
    x, dy = torch.randn(40, 16, generator=generator), torch.randn(40, 16, generator=generator)
    leaves = [tensor.clone().requires_grad_() for tensor in (x, *mixture[:3])]
    y = fused.mixture_layer(leaves[0], Mixture(leaves[1], leaves[2], leaves[3], 2))
    chosen = fused.route(x, mixture.router, 2)[0]
    assert wrong_output(y.detach(), chosen, x, mixture) == ""
    assert wrong_gradients(torch.autograd.grad(y, leaves, dy), chosen, x, mixture, dy) == ""


def test_all_tokens_to_the_same_experts():
    mixture = Mixture(
        torch.tensor([[0.0], [1.0], [2.0], [0.5]]).expand(4, 16).contiguous(), torch.zeros(4, 16, 4), torch.zeros(4, 4, 16), 2
    )
    chosen, counts = fused.route(torch.ones(37, 16), mixture.router, 2)
    assert (chosen.experts == torch.tensor([2, 1])).all()
    assert fused.sort_by_expert(chosen.experts, counts).ends.tolist() == [0, 37, 74, 74]
