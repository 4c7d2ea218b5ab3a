"""Whether an implementation of a mixture layer computes the layer: against float64, with tolerances from the same precision's own error.

Worker side. Implementations that round scores differently may choose different experts where two scores are closer than that rounding: so
the choice is checked first (what was chosen must be the best but for rounding), and then the output for that choice.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from lab.correctness import disagreement, error_bound
from workloads.moe_routing.layer import Chosen, Mixture, loop_over_experts

CHECK_TOKENS = 256  # of the layer's own output that are compared with float64


def wrong_choice(chosen: Chosen, x: Tensor, mixture: Mixture) -> str:
    """What is wrong with the experts and weights chosen for x [T, d_model], in words; "" where nothing is."""
    scores = x.double() @ mixture.router.double().T
    rounded = functional.linear(x, mixture.router)
    slack = error_bound(scores, rounded)
    experts = chosen.experts.long()
    if int(experts.min()) < 0 or int(experts.max()) >= len(mixture.router):
        return f"an expert that does not exist: {int(experts.min())} to {int(experts.max())}"
    taken = torch.zeros_like(scores, dtype=torch.bool).scatter_(1, experts, torch.ones_like(experts, dtype=torch.bool))
    if not bool((taken.sum(1) == mixture.top_k).all()):
        return "a token names an expert twice"
    worst_taken = (scores + slack).masked_fill(~taken, torch.inf).amin(1)
    best_left = (scores - slack).masked_fill(taken, -torch.inf).amax(1)
    wrong = int((worst_taken < best_left).sum())
    if wrong:
        return f"{wrong} of {len(x)} tokens are not sent to the best experts"
    exact = scores.gather(1, experts).softmax(1)
    eager = rounded.gather(1, experts).float().softmax(1)
    return disagreement(chosen.weights, exact, eager)


def wrong_output(y: Tensor, chosen: Chosen, x: Tensor, mixture: Mixture) -> str:
    """What is wrong with the output y [T, d_model] for the choice ``chosen``, on tokens spread over the batch; "" where nothing is."""
    tokens = torch.linspace(0, len(x) - 1, min(CHECK_TOKENS, len(x)), device=x.device).long()
    few = Chosen(chosen.experts[tokens], chosen.weights[tokens])
    exact = torch.zeros(len(tokens), x.shape[1], dtype=torch.float64, device=x.device)
    for expert in range(len(mixture.router)):  # one expert's weights at a time: all of them in float64 may not fit
        rows, places = (few.experts == expert).nonzero(as_tuple=True)
        hidden = functional.gelu(x[tokens[rows]].double() @ mixture.up[expert].double())
        exact.index_add_(0, rows, (hidden @ mixture.down[expert].double()) * few.weights[rows, places, None].double())
    eager = loop_over_experts(x[tokens], mixture, few)
    return disagreement(y[tokens], exact, eager)


def wrong_gradients(layer_gradients: tuple[Tensor, ...], chosen: Chosen, x: Tensor, mixture: Mixture, dy: Tensor) -> str:
    """What is wrong with the gradients by (x, router, up, down) given ``dy``, for the same choice; "" where nothing is."""
    names = ("x", "router", "up", "down")
    exact = _gradients(x.double(), mixture.to(torch.float64), chosen.experts.long(), dy.double())
    eager = _gradients(x, mixture, chosen.experts.long(), dy)
    for name, got, truth, same in zip(names, layer_gradients, exact, eager, strict=True):
        wrong = disagreement(got, truth, same)
        if wrong:
            return f"gradient of {name}: {wrong}"
    return ""


def _gradients(x: Tensor, mixture: Mixture, experts: Tensor, dy: Tensor) -> tuple[Tensor, ...]:
    """Gradients of the loop over experts, the choice held fixed."""
    leaves = [tensor.detach().clone().requires_grad_() for tensor in (x, mixture.router, mixture.up, mixture.down)]
    own = Mixture(leaves[1], leaves[2], leaves[3], mixture.top_k)
    scores = functional.linear(leaves[0], own.router).gather(1, experts)
    weights = scores.softmax(1) if scores.dtype == torch.float64 else scores.float().softmax(1)
    return torch.autograd.grad(loop_over_experts(leaves[0], own, Chosen(experts, weights)), leaves, dy)
