"""The tokens of one data set of the experiment, from its parameters: planted, unclustered, sharper or flatter, with the values wanted."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Protocol as Interface

import torch

from workloads.spectral_sparse_attention.data import Tokens, planted, unclustered
from workloads.spectral_sparse_attention.parameters import SsaParameters


class Source(Interface):
    """Where data sets come from: a synthetic recipe, or a trained model's queries and keys."""

    def tokens(self, n: int, seed: int, device: str, *, n_heads: int = 1, dtype: torch.dtype = torch.float32) -> Tokens:
        """Queries, keys, values [n_heads, n, head_dim] and planted labels [n_heads, n]; each head its own data set."""
        ...


@dataclass(frozen=True)
class Recipe:
    """What decides a synthetic data set besides its length and seed; see the parameters of the same names."""

    data: str
    n_planted: int
    spread: float
    sharpness: float
    values: str
    head_dim: int

    @classmethod
    def of(cls, params: SsaParameters, n: int) -> Recipe:
        """The recipe that ``params`` ask for at ``n`` tokens."""
        return cls(params.data, params.planted_clusters(n), params.spread, params.sharpness, params.values, params.head_dim)

    def tokens(self, n: int, seed: int, device: str, *, n_heads: int = 1, dtype: torch.dtype = torch.float32) -> Tokens:
        """Queries, keys and values [n_heads, n, head_dim] and planted labels [n_heads, n]; each head its own data set."""
        if self.data == "unclustered":
            made = unclustered(n_heads, n, self.head_dim, seed=seed, device=device)
        else:
            made = planted(
                n_heads,
                n,
                self.head_dim,
                self.n_planted,
                spread=self.spread,
                tied=self.data == "planted",
                clustered_values=self.values == "cluster",
                seed=seed,
                device=device,
            )
        factor = math.sqrt(self.sharpness)  # half of it in the queries, half in the keys, so that q = k stays so
        query, key = (made.query * factor).to(dtype), (made.key * factor).to(dtype)
        value = made.query if self.values == "tokens" else made.value
        return replace(made, query=query, key=query if self.data == "planted" else key, value=value.to(dtype))


def first_head(tokens: Tokens) -> Tokens:
    """The first head alone, without the leading dimension."""
    return Tokens(tokens.query[0], tokens.key[0], tokens.value[0], tokens.labels[0])
