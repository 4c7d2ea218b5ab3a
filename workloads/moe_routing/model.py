"""The model of the routing study: a router, dense experts mixed by its weights, a linear classifier. M models in one batch. Worker side.

    y = classifier(relu(Σ_e w_e(x) · expert_e(x))),   expert_e(x) = W₂ₑ relu(W₁ₑ x + b₁ₑ) + b₂ₑ

As published: 64 features, 3 experts 64 → 32 → 32. Every expert runs for every token; a weight of 0 only hides what it computed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from lab.training.layers import Batched, Linear, at_least_one, drawn_bias, drawn_weight
from lab.training.losses import cross_entropy
from workloads.moe_routing.routing import Assignment, Rules, assign, balancing_loss, capacity, moved_bias, rules
from workloads.moe_routing.routings import ROUTINGS

FEATURES = 64  # of every data set of the study, as published
HIDDEN = 32  # of an expert, inside and out, as published


class Experts(Batched):
    """E feed-forward networks side by side, mixed by weights: x [M, B, features], weights [M, B, E] → Σ_e w_e · expert_e(x) [M, B, out].

    The hidden values of all experts are scaled by their expert's weight, so that one product with the stacked second layers mixes them.
    """

    def __init__(self, n_models: int, n_experts: int, features: int, hidden: int, out: int) -> None:
        super().__init__(n_models)
        self.n_experts, self.features = at_least_one("n_experts", n_experts), features
        self.hidden, self.out = hidden, out
        self.up = self.parameter(features, n_experts * hidden)
        self.up_bias = self.parameter(1, n_experts * hidden)
        self.down = self.parameter(n_experts * hidden, out)
        self.down_bias = self.parameter(n_experts, out)

    def draw(self, generator: torch.Generator) -> Mapping[str, Tensor]:
        return {
            "up": drawn_weight((self.features, self.n_experts * self.hidden), self.features, "uniform", generator),
            "up_bias": drawn_bias((1, self.n_experts * self.hidden), self.features, "uniform", generator),
            "down": drawn_weight((self.n_experts * self.hidden, self.out), self.hidden, "uniform", generator),
            "down_bias": drawn_bias((self.n_experts, self.out), self.hidden, "uniform", generator),
        }

    def forward(self, x: Tensor, weights: Tensor) -> Tensor:
        hidden = functional.relu(torch.baddbmm(self.up_bias, x, self.up), inplace=True)
        scaled = (hidden.view(*weights.shape, self.hidden) * weights[..., None]).flatten(2)
        return torch.baddbmm(torch.bmm(weights, self.down_bias), scaled, self.down)


class RoutedModel(Batched):
    """x [M, B, features] → logits [M, B, n_classes]; model i routes by ``routings[i]`` (names of ``routings.ROUTINGS``)."""

    def __init__(
        self,
        routings: Sequence[str],
        n_classes: int,
        *,
        n_experts: int,
        top_k: int,
        temperature: float = 1.0,
        balance_weight: float = 0.0,
        balance_rate: float = 0.0,
        capacity_factor: float = 1.25,
        drop_tokens: bool = False,
        features: int = FEATURES,
        hidden: int = HIDDEN,
    ) -> None:
        super().__init__(len(routings))
        models = len(routings)
        self.temperature, self.balance_rate = temperature, balance_rate
        self.capacity_factor, self.drop_tokens = capacity_factor, drop_tokens
        self.router = Linear(models, features, n_experts)
        self.experts = Experts(models, n_experts, features, hidden, hidden)
        self.classifier = Linear(models, hidden, n_classes)
        for name, tensor in rules(routings, n_experts, top_k, balance_weight)._asdict().items():
            self.register_buffer(name, tensor)
        # Asked of the host once, so that a batch without balancing does not pay for it.
        self.balanced_by = {ROUTINGS[name].balance for name in routings}
        self.selection_bias: Tensor
        self.register_buffer("selection_bias", torch.zeros(models, n_experts))

    @property
    def rules(self) -> Rules:
        """How each model routes; buffers, so that ``take`` and a change of device carry them along."""
        return Rules(*(getattr(self, name) for name in Rules._fields))

    def assignment(self, scores: Tensor) -> Assignment:
        """Where tokens go, given the router's scores [M, B, E]."""
        limit = None
        if self.drop_tokens:
            limit = self.limit(scores.shape[1])
        bias = self.selection_bias if "bias" in self.balanced_by else None
        return assign(scores, self.rules, bias, self.temperature, limit)

    def limit(self, n_tokens: int) -> Tensor:
        """Tokens that an expert takes of a batch of ``n_tokens``, [M]."""
        return capacity(n_tokens, self.experts.n_experts, self.rules.kept, self.capacity_factor)

    def logits(self, x: Tensor, weights: Tensor) -> Tensor:
        """The classifier's output, given the experts' weights [M, B, E]."""
        return self.classifier(functional.relu(self.experts(x, weights)))

    def forward(self, x: Tensor) -> Tensor:
        return self.logits(x, self.assignment(self.router(x)).weights)


def training_loss(model: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy of a :class:`RoutedModel` plus the balancing loss where a routing has one, [M]. Moves the balancing bias."""
    assert isinstance(model, RoutedModel)
    scores = model.router(inputs)
    assigned = model.assignment(scores)
    chosen = assigned.used | assigned.dropped
    loss = cross_entropy(model.logits(inputs, assigned.weights), targets)
    if "loss" in model.balanced_by:
        loss = loss + balancing_loss(scores, chosen, model.rules, model.temperature)
    if "bias" in model.balanced_by:
        with torch.no_grad():
            model.selection_bias.copy_(moved_bias(model.selection_bias, chosen, model.rules, model.balance_rate))
    return loss
