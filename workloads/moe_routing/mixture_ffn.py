"""Feed-forward blocks of M character models trained together: a mixture of experts, a dense FFN. Worker side: imports torch.

Two ways to compute the mixture: **all** runs every expert for every token and hides what was not chosen (fixed shapes, so a step can be a
CUDA graph; E/k times the operations, which a GPU has to spare at these sizes), **sorted** runs each expert on the tokens that chose it
(shapes that depend on the loads, which the host has to know: on a CPU).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from lab.parameters import ParameterError
from lab.training.layers import Batched, at_least_one, drawn_weight

Dispatch = Literal["all", "sorted"]


class MixtureFfn(Batched):
    """Σ over the k best experts of softmax weight · gelu(x U) D: x [M, batch, seq_len, d_model] → the same shape. No biases.

    Weights are drawn as ``torch.nn.Linear`` draws them. ``dispatch``: how it is computed; default: "all" on CUDA, else "sorted". Raises
    ParameterError for k above the number of experts.
    """

    def __init__(self, n_models: int, d_model: int, d_ff: int, n_experts: int, top_k: int, dispatch: Dispatch | None = None) -> None:
        super().__init__(n_models)
        self.d_model, self.d_ff = at_least_one("d_model", d_model), at_least_one("d_ff", d_ff)
        self.n_experts, self.top_k = at_least_one("n_experts", n_experts), at_least_one("top_k", top_k)
        if top_k > n_experts:
            raise ParameterError("top_k", top_k, f"a whole number from 1 to the {n_experts} experts")
        self.dispatch = dispatch
        self.router = self.parameter(d_model, n_experts)
        self.up = self.parameter(n_experts, d_model, d_ff)
        self.down = self.parameter(n_experts, d_ff, d_model)

    def draw(self, generator: torch.Generator) -> Mapping[str, Tensor]:
        return {
            "router": drawn_weight((self.d_model, self.n_experts), self.d_model, "uniform", generator),
            "up": drawn_weight((self.n_experts, self.d_model, self.d_ff), self.d_model, "uniform", generator),
            "down": drawn_weight((self.n_experts, self.d_ff, self.d_model), self.d_ff, "uniform", generator),
        }

    def forward(self, x: Tensor) -> Tensor:
        rows = x.flatten(1, -2)
        best = torch.bmm(rows, self.router).topk(self.top_k, dim=-1)
        weights = best.values.softmax(-1)
        everywhere = self.dispatch == "all" or (self.dispatch is None and x.is_cuda)
        mixed = self._all(rows, best.indices, weights) if everywhere else self._sorted(rows, best.indices, weights)
        return mixed.view(x.shape)

    def _all(self, rows: Tensor, experts: Tensor, weights: Tensor) -> Tensor:
        models, n_tokens, _ = rows.shape
        gates = rows.new_zeros(models, n_tokens, self.n_experts).scatter(2, experts, weights)
        wide = self.up.transpose(1, 2).reshape(models, self.d_model, self.n_experts * self.d_ff)
        hidden = functional.gelu(torch.bmm(rows, wide)).view(models, n_tokens, self.n_experts, self.d_ff)
        return torch.bmm((hidden * gates[..., None]).flatten(2), self.down.flatten(1, 2))

    def _sorted(self, rows: Tensor, experts: Tensor, weights: Tensor) -> Tensor:
        """Each expert's tokens side by side, as many places for each as the busiest expert needs."""
        models, n_tokens, _ = rows.shape
        groups = models * self.n_experts
        group = (experts + self.n_experts * torch.arange(models, device=rows.device)[:, None, None]).flatten()
        counts = torch.bincount(group, minlength=groups)
        order = group.argsort(stable=True)
        first = counts.cumsum(0) - counts
        place = torch.arange(len(order), device=rows.device) - first.repeat_interleave(counts)
        room = int(counts.max())
        slots = torch.empty_like(order).scatter_(0, order, group[order] * room + place)
        token = torch.arange(models * n_tokens, device=rows.device).repeat_interleave(self.top_k)
        taken = rows.new_zeros(groups * room, self.d_model).index_copy(0, slots, rows.flatten(0, 1)[token])
        hidden = functional.gelu(torch.bmm(taken.view(groups, room, -1), self.up.flatten(0, 1)))
        out = torch.bmm(hidden, self.down.flatten(0, 1)).view(groups * room, -1)[slots]
        return (out.view(models, n_tokens, self.top_k, -1) * weights[..., None]).sum(2)


class DenseFfn(Batched):
    """gelu(x U) D without biases: x [M, batch, seq_len, d_model] → the same shape."""

    def __init__(self, n_models: int, d_model: int, d_ff: int) -> None:
        super().__init__(n_models)
        self.d_model, self.d_ff = at_least_one("d_model", d_model), at_least_one("d_ff", d_ff)
        self.up = self.parameter(d_model, d_ff)
        self.down = self.parameter(d_ff, d_model)

    def draw(self, generator: torch.Generator) -> Mapping[str, Tensor]:
        return {
            "up": drawn_weight((self.d_model, self.d_ff), self.d_model, "uniform", generator),
            "down": drawn_weight((self.d_ff, self.d_model), self.d_ff, "uniform", generator),
        }

    def forward(self, x: Tensor) -> Tensor:
        return torch.bmm(functional.gelu(torch.bmm(x.flatten(1, -2), self.up)), self.down).view(x.shape)
