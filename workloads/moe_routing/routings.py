"""The routings under test: how much each expert's output counts for a token. Light: the web server imports this.

A router gives each of E experts a score; experts are ranked by it, token by token. A **rank-constant** routing gives the expert of rank r a
fixed weight, so the weights do not depend on the scores' values and no gradient reaches the router. A **softmax** routing keeps the k best
experts and weighs them by the softmax of their scores.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from types import MappingProxyType
from typing import Literal

Balance = Literal["", "loss", "bias"]

RANKED_EXPERTS = 3  # experts that a rank-constant routing uses: the three best of E


@dataclass(frozen=True)
class Routing:
    """One routing. ``weights``: by rank, of a rank-constant routing (they sum to 1); ``sparse``: keeps the k best experts only.

    ``balance``: what keeps the experts' loads alike: an auxiliary loss (Fedus, Zoph and Shazeer, 2021) or a bias on the selection
    that no gradient sees (Wang et al., 2024).
    """

    name: str
    title: str
    weights: tuple[Fraction, ...] = ()
    sparse: bool = False
    balance: Balance = ""

    def kept(self, n_experts: int, top_k: int) -> int:
        """How many experts a token is sent to."""
        return len(self.weights) or (top_k if self.sparse else n_experts)


EQUAL, EGYPTIAN, REVERSED = "equal", "egyptian", "reversed"
SOFTMAX, TOP_K, TOP_K_LOSS, TOP_K_BIAS = "softmax", "top_k", "top_k_loss", "top_k_bias"

_EGYPTIAN_WEIGHTS = (Fraction(1, 2), Fraction(1, 3), Fraction(1, 6))

ROUTINGS: Mapping[str, Routing] = MappingProxyType(
    {
        routing.name: routing
        for routing in (
            Routing(EQUAL, "equal", weights=(Fraction(1, 3),) * RANKED_EXPERTS),
            Routing(EGYPTIAN, "Egyptian 1/2, 1/3, 1/6", weights=_EGYPTIAN_WEIGHTS),
            Routing(REVERSED, "reversed 1/6, 1/3, 1/2", weights=_EGYPTIAN_WEIGHTS[::-1]),
            Routing(SOFTMAX, "softmax"),
            Routing(TOP_K, "top-k softmax", sparse=True),
            Routing(TOP_K_LOSS, "top-k, balancing loss", sparse=True, balance="loss"),
            Routing(TOP_K_BIAS, "top-k, balancing bias", sparse=True, balance="bias"),
        )
    }
)
PUBLISHED_ROUTINGS = (EQUAL, EGYPTIAN, REVERSED, TOP_K, SOFTMAX)
