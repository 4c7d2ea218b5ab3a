"""Synthetic tokens: planted clusters, and none at all.

A planted token is its cluster's centre plus noise: x = centre + spread · ε, with centres and ε standard normal in head_dim dimensions.
Within a cluster the expected logit q·k/√head_dim is √head_dim; between clusters it is 0 with standard deviation 1 + spread². The source
says neither spread nor the number of planted clusters, nor how values and queries relate to keys: all are arguments here.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Tokens:
    """``query``, ``key``, ``value`` [n_heads, N, head_dim]; ``labels`` [n_heads, N]: the planted cluster of each token (0 where none)."""

    query: Tensor
    key: Tensor
    value: Tensor
    labels: Tensor


def planted_sizes(n_tokens: int, n_planted: int, largest: float) -> list[int]:
    """Sizes of planted clusters that add up to N, the largest about ``largest`` times the mean.

    Cluster i of K holds a share ∝ ((i + 1)/K)^(largest − 1), whose maximum over its mean tends to ``largest``; at 1 all are equal, up to
    one token.
    """
    shares = torch.arange(1, n_planted + 1, dtype=torch.float64).div(n_planted).pow(largest - 1)
    ends = (shares.cumsum(0) / shares.sum() * n_tokens).round().long()
    return ends.diff(prepend=torch.zeros(1, dtype=torch.int64)).tolist()


def planted(
    n_heads: int,
    n_tokens: int,
    head_dim: int,
    n_planted: int,
    *,
    spread: float = 0.5,
    largest: float = 1.0,
    tied: bool = False,
    clustered_values: bool = False,
    seed: int = 0,
    device: str | torch.device = "cpu",
    dtype: torch.dtype = torch.float32,
) -> Tokens:
    """Tokens in ``n_planted`` clusters, each head with centres and an order of tokens of its own.

    ``tied``: keys are the queries (else the noise of keys is their own). ``clustered_values``: values have centres too, of the same spread;
    else they are standard normal. ``largest``: as in :func:`planted_sizes`.
    """
    generator = torch.Generator(device).manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, device=device)

    sizes = torch.tensor(planted_sizes(n_tokens, n_planted, largest), device=device)
    sorted_labels = torch.repeat_interleave(torch.arange(n_planted, device=device), sizes, output_size=n_tokens)
    shuffle = torch.rand((n_heads, n_tokens), generator=generator, device=device).argsort(-1)
    labels = sorted_labels[shuffle]

    def around_centres() -> Tensor:
        return centres.gather(1, labels[..., None].expand(-1, -1, head_dim)) + spread * normal(n_heads, n_tokens, head_dim)

    centres = normal(n_heads, n_planted, head_dim)
    query = around_centres().to(dtype)
    key = query if tied else around_centres().to(dtype)
    if clustered_values:
        centres = normal(n_heads, n_planted, head_dim)
        value = around_centres().to(dtype)
    else:
        value = normal(n_heads, n_tokens, head_dim).to(dtype)
    return Tokens(query, key, value, labels)


def unclustered(
    n_heads: int,
    n_tokens: int,
    head_dim: int,
    *,
    tied: bool = False,
    seed: int = 0,
    device: str | torch.device = "cpu",
    dtype: torch.dtype = torch.float32,
) -> Tokens:
    """Standard normal tokens without any cluster; ``tied``: keys are the queries."""
    generator = torch.Generator(device).manual_seed(seed)
    query, key, value = (torch.randn((n_heads, n_tokens, head_dim), generator=generator, device=device).to(dtype) for _ in range(3))
    labels = torch.zeros((n_heads, n_tokens), dtype=torch.int64, device=device)
    return Tokens(query, query if tied else key, value, labels)
