"""Parameters counted: active for a token, in total, and the share that stays inactive. Light: the web server imports this.

An expert is two matrices, d_model × d_ff and d_ff × d_model, without biases, and the router one, d_model × E: with these the source's
figures come out to the digit (66,048 and 23,296 for d_model 64). All of the router and k of E experts work for a token.
"""

from __future__ import annotations

from dataclasses import dataclass

from workloads.moe_routing.parameters import expert_width
from workloads.moe_routing.routings import RANKED_EXPERTS

PUBLISHED_D_MODEL = 64
PUBLISHED_LAYER = (8, 2, 3)  # standard experts, k, small experts per standard one


@dataclass(frozen=True)
class Layer:
    """A feed-forward layer: ``n_experts`` of width ``d_ff``, ``top_k`` of them for each token. One expert is a dense FFN: no router."""

    d_model: int
    d_ff: int
    n_experts: int = 1
    top_k: int = 1

    @property
    def router(self) -> int:
        """Parameters of the router."""
        return self.d_model * self.n_experts if self.n_experts > 1 else 0

    @property
    def expert(self) -> int:
        """Parameters of one expert."""
        return 2 * self.d_model * self.d_ff

    @property
    def active(self) -> int:
        """Parameters that work for one token."""
        return self.top_k * self.expert + self.router

    @property
    def total(self) -> int:
        """All parameters of the layer."""
        return self.n_experts * self.expert + self.router

    @property
    def block_active(self) -> int:
        """Parameters that work for one token in the whole transformer block: four attention matrices d_model × d_model beside the layer."""
        return self.active + 4 * self.d_model**2

    @property
    def inactive_share(self) -> float:
        """Share (%) of the parameters that do not work for a token."""
        return 100.0 * (1 - self.active / self.total)

    def flop(self, tokens: int) -> int:
        """Operations of the products for ``tokens`` tokens: 2 for each active parameter."""
        return 2 * tokens * self.active


def egyptian(d_model: int, d_ff: int) -> Layer:
    """A mixture with weights 1/2, 1/3, 1/6, as published: three experts, all of which run for every token."""
    return Layer(d_model, d_ff, RANKED_EXPERTS, RANKED_EXPERTS)


def standard(d_model: int, n_experts: int, top_k: int) -> Layer:
    """The standard mixture: experts of expansion 4."""
    return Layer(d_model, expert_width(d_model), n_experts, top_k)


def small(d_model: int, n_experts: int, top_k: int, split: int) -> Layer:
    """The mixture of small experts: each standard one cut in ``split``, the width rounded down as published."""
    return Layer(d_model, expert_width(d_model, split), n_experts * split, top_k)


def dense_with(active: int, d_model: int) -> Layer:
    """The dense FFN with at most ``active`` parameters: width floor(active / (2 · d_model))."""
    return Layer(d_model, max(1, active // (2 * d_model)))
