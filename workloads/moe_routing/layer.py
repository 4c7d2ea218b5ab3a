"""One mixture layer, readable: a router, E feed-forward experts, the k best of them for each token. Worker side: imports torch.

    y_t = Σ_{e in top-k of r·x_t} softmax_e(r·x_t) · gelu(x_t U_e) D_e,   the softmax over the k chosen scores

x [T, d_model], router r [E, d_model], U [E, d_model, d_ff], D [E, d_ff, d_model]; no biases, as in the source's parameter counts. Two ways
to compute it: :func:`loop_over_experts`, as published, and :func:`grouped`, which sorts tokens by expert and multiplies all experts in one
grouped product. The same with own kernels for everything around the products: ``workloads.moe_routing.fused``.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from lab.parameters import ParameterError
from workloads.moe_routing.parameters import MULTIPLE, round_up


class Mixture(NamedTuple):
    """Weights of a layer: ``router`` [E, d_model], ``up`` [E, d_model, d_ff], ``down`` [E, d_ff, d_model]; ``top_k`` experts a token."""

    router: Tensor
    up: Tensor
    down: Tensor
    top_k: int

    def to(self, dtype: torch.dtype) -> Mixture:
        """The same in another data type."""
        return Mixture(self.router.to(dtype), self.up.to(dtype), self.down.to(dtype), self.top_k)

    def padded(self) -> Mixture:
        """The same function with d_ff rounded up until rows are multiples of 16 bytes, which grouped products ask for.

        The new features have weights 0, and gelu(0) = 0: they add nothing.
        """
        d_ff = self.up.shape[2]
        missing = round_up(d_ff, MULTIPLE[str(self.up.dtype).removeprefix("torch.")]) - d_ff
        if not missing:
            return self
        up = functional.pad(self.up.detach(), (0, missing))
        down = functional.pad(self.down.detach(), (0, 0, 0, missing))
        return Mixture(self.router, up, down, self.top_k)


class Chosen(NamedTuple):
    """Where tokens go: ``experts`` [T, k] (integers) and ``weights`` [T, k] (float32, each row sums to 1)."""

    experts: Tensor
    weights: Tensor


def draw(n_experts: int, d_model: int, d_ff: int, top_k: int, generator: torch.Generator, dtype: torch.dtype) -> Mixture:
    """Random weights: router and up from N(0, 1/d_model), down from N(0, 1/d_ff), on the generator's device.

    Raises ParameterError for k above the number of experts.
    """
    if not 1 <= top_k <= n_experts:
        raise ParameterError("top_k", top_k, f"a whole number from 1 to the {n_experts} experts")

    def normal(*shape: int, fan_in: int) -> Tensor:
        return torch.randn(*shape, generator=generator, device=generator.device).mul_(fan_in**-0.5).to(dtype)

    return Mixture(
        normal(n_experts, d_model, fan_in=d_model),
        normal(n_experts, d_model, d_ff, fan_in=d_model),
        normal(n_experts, d_ff, d_model, fan_in=d_ff),
        top_k,
    )


def route(x: Tensor, mixture: Mixture) -> Chosen:
    """The k best experts of each token and the softmax of their scores: x [T, d_model]."""
    scores = functional.linear(x, mixture.router)
    best = scores.topk(mixture.top_k, dim=-1)
    return Chosen(best.indices, best.values.float().softmax(-1))


def loop_over_experts(x: Tensor, mixture: Mixture, chosen: Chosen | None = None) -> Tensor:
    """The layer as published: expert after expert, each on the tokens that chose it. Waits for the device once per expert."""
    experts, weights = chosen if chosen is not None else route(x, mixture)
    y = torch.zeros_like(x)
    for expert in range(len(mixture.router)):
        tokens, places = (experts == expert).nonzero(as_tuple=True)
        if not len(tokens):
            continue
        hidden = functional.gelu(x[tokens] @ mixture.up[expert])
        y = y.index_add(0, tokens, (hidden @ mixture.down[expert]) * weights[tokens, places, None].to(x.dtype))
    return y


def grouped(x: Tensor, mixture: Mixture) -> Tensor:
    """The layer with tokens sorted by expert and two grouped products. Needs nothing from the host; d_ff must be padded."""
    experts, weights = route(x, mixture)
    n_experts, top_k = len(mixture.router), mixture.top_k
    by_expert, order = experts.flatten().sort(stable=True)
    ends = torch.searchsorted(by_expert, torch.arange(n_experts, device=x.device), right=True).int()
    hidden = functional.gelu(functional.grouped_mm(x[order // top_k], mixture.up, offs=ends))
    rows = functional.grouped_mm(hidden, mixture.down, offs=ends)
    place = torch.empty_like(order).scatter_(0, order, torch.arange(len(order), device=x.device))
    return (rows[place].view(*weights.shape, -1) * weights[..., None].to(x.dtype)).sum(1)


def dense(x: Tensor, up: Tensor, down: Tensor) -> Tensor:
    """A dense FFN: x [T, d_model], up [d_ff, d_model], down [d_model, d_ff] (as ``torch.nn.Linear`` stores them) → [T, d_model]."""
    return functional.linear(functional.gelu(functional.linear(x, up)), down)
