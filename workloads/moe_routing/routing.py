"""Weights of experts from scores, for M models that may each route in another way. Worker side: imports torch.

One formula serves all routings, so that models with different routings train as one batch: experts are ranked, those of rank below k are
kept, and the kept ones get either a constant by rank or the softmax of their scores.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from lab.parameters import ParameterError
from workloads.moe_routing.routings import RANKED_EXPERTS, ROUTINGS


class Rules(NamedTuple):
    """How each of M models routes.

    ``kept`` [M]: experts per token; ``by_rank`` [M, E]: constant weights, zeros where a softmax decides; ``constant`` [M]: which of both;
    ``biased`` [M]: whether the selection has a balancing bias; ``balance_weight`` [M]: of the load-balancing loss.
    """

    kept: Tensor
    by_rank: Tensor
    constant: Tensor
    biased: Tensor
    balance_weight: Tensor

    def to(self, device: torch.device | str) -> Rules:
        """The same on another device."""
        return Rules(*(tensor.to(device) for tensor in self))


class Assignment(NamedTuple):
    """Where tokens go: ``weights`` [M, B, E] (0 for experts that are not used) and ``used`` [M, B, E] bool; ``dropped`` [M, B, E] bool."""

    weights: Tensor
    used: Tensor
    dropped: Tensor


def rules(routings: Sequence[str], n_experts: int, top_k: int, balance_weight: float = 0.0) -> Rules:
    """The rules of one model per name. Raises ParameterError for one expert, too few or too many of them."""
    if n_experts < 2:
        raise ParameterError("n_experts", n_experts, "at least 2: with one expert there is nothing to route")
    if top_k < 1 or top_k > n_experts:
        raise ParameterError("top_k", top_k, f"a whole number from 1 to the {n_experts} experts")
    by_rank = torch.zeros(len(routings), n_experts)
    for row, name in enumerate(routings):
        weights = ROUTINGS[name].weights
        if len(weights) > n_experts:
            raise ParameterError("n_experts", n_experts, f"at least {RANKED_EXPERTS} for {name} weights")
        by_rank[row, : len(weights)] = torch.tensor([float(weight) for weight in weights])
    return Rules(
        kept=torch.tensor([ROUTINGS[name].kept(n_experts, top_k) for name in routings]),
        by_rank=by_rank,
        constant=torch.tensor([bool(ROUTINGS[name].weights) for name in routings]),
        biased=torch.tensor([ROUTINGS[name].balance == "bias" for name in routings]),
        balance_weight=torch.tensor([balance_weight * (ROUTINGS[name].balance == "loss") for name in routings]),
    )


def ranks(scores: Tensor) -> Tensor:
    """Rank of each expert, 0 for the best: [M, B, E] → int64 [M, B, E]; of equal scores the first expert is better."""
    order = scores.sort(dim=-1, descending=True, stable=True).indices
    places = torch.arange(scores.shape[-1], device=scores.device).expand_as(order)
    return torch.empty_like(order).scatter_(-1, order, places)


def capacity(n_tokens: int, n_experts: int, kept: Tensor, factor: float) -> Tensor:
    """Tokens an expert can take: ceil(factor · k · n_tokens / E) of each model, [M]; at most n_tokens.

    Raises ParameterError for a factor that is not above 0.
    """
    if not factor > 0:
        raise ParameterError("capacity_factor", factor, "a number above 0: with no capacity every token is dropped")
    return torch.ceil(factor * n_tokens / n_experts * kept.double()).long().clamp(max=n_tokens)


def assign(scores: Tensor, rule: Rules, bias: Tensor | None = None, temperature: float = 1.0, limit: Tensor | None = None) -> Assignment:
    """Weights of experts for each token: scores [M, B, E]; bias [M, E] of the models that have one, None where none has.

    Experts are ranked by their score, with a bias by p + bias, p the softmax of scores / temperature; the weights of softmax routings come
    from the scores alone. ``limit`` [M]: tokens that an expert takes, in the batch's order; what comes later is dropped and gets weight 0
    (the others keep theirs).
    """
    logits = scores / temperature
    key = logits.detach()
    if bias is not None:
        key = torch.where(rule.biased[:, None, None], key.softmax(-1) + bias[:, None], key)
    place = ranks(key)
    chosen = place < rule.kept[:, None, None]
    constant = rule.by_rank[:, None].expand(*place.shape).gather(-1, place)
    learned = logits.masked_fill(~chosen, -math.inf).softmax(-1)
    weights = torch.where(rule.constant[:, None, None], constant, learned)
    if limit is None:
        return Assignment(weights, chosen, torch.zeros_like(chosen))
    fits = chosen.cumsum(1) <= limit[:, None, None]
    used = chosen & fits
    return Assignment(weights * used, used, chosen & ~fits)


def balancing_loss(scores: Tensor, chosen: Tensor, rule: Rules, temperature: float = 1.0) -> Tensor:
    """α · E · Σ_e f_e P_e of each model, [M]: f_e the share of assignments that go to expert e, P_e its mean probability.

    1 · α where both are even (Fedus, Zoph and Shazeer, 2021, equation 4, with f divided by k for k experts a token). ``chosen`` [M, B, E].
    """
    shares = chosen.to(scores.dtype).mean(1) / rule.kept[:, None]
    probabilities = (scores / temperature).softmax(-1).mean(1)
    return rule.balance_weight * scores.shape[-1] * (shares * probabilities).sum(-1)


def moved_bias(bias: Tensor, chosen: Tensor, rule: Rules, rate: float) -> Tensor:
    """The balancing bias [M, E] after a batch: up by ``rate`` for experts with less than the mean load, down for those with more.

    (Wang et al., 2024, algorithm 1.) Models without a balancing bias keep theirs.
    """
    load = chosen.to(bias.dtype).mean(1)
    step = rate * torch.sign(load.mean(-1, keepdim=True) - load)
    return bias + torch.where(rule.biased[:, None], step, torch.zeros_like(step))


def entropy_share(shares: Tensor) -> Tensor:
    """Entropy of shares [..., E] that sum to 1, as a share of its maximum ln E: 0 (one expert) to 1 (all alike)."""
    entropy = -torch.special.xlogy(shares, shares).sum(-1)
    return (entropy / math.log(shares.shape[-1])).clamp(0.0, 1.0)
