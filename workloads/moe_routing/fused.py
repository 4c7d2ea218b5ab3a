"""A mixture layer with own kernels for everything around its two grouped products: routing, sort, gather, combine.

    y = mixture_layer(x, mixture)     # x [T, d_model] → [T, d_model], once differentiable

Eight launches, none of which waits for the host: scores with the choice of experts, two for the places of a counting sort, gather, product,
activation, product, combine. The gradients of gather and combine are kernels too, the others the framework's. Scores are added up in
float32 and not rounded before the choice, as the framework's own linear layer rounds them: where two experts are that close, the two may
choose differently.
"""

from __future__ import annotations

import os
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from workloads.moe_routing.layer import Chosen, Mixture

try:
    import triton

    from workloads.moe_routing import kernels

    TRITON_MISSING = ""
except ImportError as error:
    TRITON_MISSING = f"Triton cannot be imported ({error})"

DTYPES = (torch.float32, torch.bfloat16, torch.float16)
INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
MINIMUM_CAPABILITY = (8, 0)  # bfloat16 and its grouped product
LEAST_MATRIX = 16  # experts that the matrix unit wants at least
SCAN_CHUNK = 256  # blocks that the scan reads at once


class RouteLaunch(NamedTuple):
    """How routing is launched: tokens per program, features per turn of its loop."""

    block_t: int
    block_d: int
    num_warps: int
    num_stages: int = 3


class CopyLaunch(NamedTuple):
    """How gather and combine are launched: a tile of tokens and features per program."""

    block_t: int
    block_d: int
    num_warps: int


ROUTE = RouteLaunch(32, 128, 4)
COPY = CopyLaunch(4, 1024, 4)


class Sorted(NamedTuple):
    """Assignments sorted by expert: ``places`` [T, k], the row of each; ``ends`` [E] int32, where each expert's rows end."""

    places: Tensor
    ends: Tensor


def available(device: str | torch.device) -> str:
    """Why the kernels cannot run on ``device``; empty where they can."""
    device = torch.device(device)
    if TRITON_MISSING:
        return TRITON_MISSING
    if device.type != "cuda":
        return "" if INTERPRETED else "own kernels need a GPU"
    if torch.cuda.get_device_capability(device) < MINIMUM_CAPABILITY:
        return "own kernels need a GPU of compute capability 8.0 or more"
    return ""


def route(x: Tensor, router: Tensor, top_k: int, launch: RouteLaunch = ROUTE) -> tuple[Chosen, Tensor]:
    """The k best experts and their weights, without autograd, and the tokens of each expert in each block, int32 [E, n_blocks]."""
    n_tokens, d_model = x.shape
    n_experts = len(router)
    n_blocks = triton.cdiv(n_tokens, launch.block_t)
    experts = torch.empty(n_tokens, top_k, dtype=torch.int32, device=x.device)
    weights = torch.empty(n_tokens, top_k, dtype=torch.float32, device=x.device)
    counts = torch.empty(n_experts, n_blocks, dtype=torch.int32, device=x.device)
    kernels.route_kernel[(n_blocks,)](
        x,
        router,
        experts,
        weights,
        counts,
        n_tokens,
        n_blocks,
        D=d_model,
        E=n_experts,
        E_PAD=_padded(n_experts),
        K=top_k,
        K_PAD=triton.next_power_of_2(top_k),
        BLOCK_T=launch.block_t,
        BLOCK_D=min(launch.block_d, max(LEAST_MATRIX, triton.next_power_of_2(d_model))),
        num_warps=launch.num_warps,
        num_stages=launch.num_stages,
    )
    return Chosen(experts, weights), counts


def sort_by_expert(experts: Tensor, counts: Tensor, launch: RouteLaunch = ROUTE) -> Sorted:
    """Places of all assignments, from the experts [T, k] and the counts of :func:`route` (launched alike)."""
    n_tokens, top_k = experts.shape
    n_experts, n_blocks = counts.shape
    first = torch.empty_like(counts)
    ends = torch.empty(n_experts, dtype=torch.int32, device=experts.device)
    places = torch.empty_like(experts)
    kernels.offsets_kernel[(n_experts,)](counts, first, ends, n_blocks, E=n_experts, E_PAD=_padded(n_experts), CHUNK=SCAN_CHUNK)
    kernels.place_kernel[(n_blocks,)](
        experts, first, places, n_tokens, n_blocks, E=n_experts, E_PAD=_padded(n_experts), K=top_k, BLOCK_T=launch.block_t
    )
    return Sorted(places, ends)


def gather(x: Tensor, places: Tensor, launch: CopyLaunch = COPY) -> Tensor:
    """Every token copied to the rows of its assignments: x [T, d] → [T · k, d]; without autograd."""
    n_tokens, features = x.shape
    top_k = places.shape[1]
    rows = x.new_empty(n_tokens * top_k, features)
    grid, block_d = _tiles(n_tokens, features, launch)
    kernels.gather_kernel[grid](
        x, places, rows, n_tokens, D=features, K=top_k, BLOCK_T=launch.block_t, BLOCK_D=block_d, num_warps=launch.num_warps
    )
    return rows


def combine(rows: Tensor, places: Tensor, weights: Tensor | None = None, launch: CopyLaunch = COPY) -> Tensor:
    """The weighted (without ``weights`` [T, k]: plain) sum of each token's rows: rows [T · k, d] → [T, d]; without autograd."""
    n_tokens, top_k = places.shape
    features = rows.shape[1]
    y = rows.new_empty(n_tokens, features)
    grid, block_d = _tiles(n_tokens, features, launch)
    kernels.combine_kernel[grid](
        rows,
        places,
        places if weights is None else weights,
        y,
        n_tokens,
        D=features,
        K=top_k,
        WEIGHTED=weights is not None,
        BLOCK_T=launch.block_t,
        BLOCK_D=block_d,
        num_warps=launch.num_warps,
    )
    return y


def mixture_layer(x: Tensor, mixture: Mixture) -> Tensor:
    """The layer: x [T, d_model] → [T, d_model]. Its d_ff must be padded (``Mixture.padded``); raises TypeError for another data type."""
    if x.dtype not in DTYPES:
        raise TypeError(f"x has dtype {x.dtype}; allowed are {', '.join(map(str, DTYPES))}")
    x = x.contiguous()
    experts, weights, counts = _Route.apply(x, mixture.router, mixture.top_k)
    places, ends = sort_by_expert(experts, counts)
    rows = _Gather.apply(x, places)
    hidden = functional.gelu(functional.grouped_mm(rows, mixture.up, offs=ends))
    return _Combine.apply(functional.grouped_mm(hidden, mixture.down, offs=ends), places, weights)


class _Route(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, router: Tensor, top_k: int) -> tuple[Tensor, Tensor, Tensor]:
        (experts, weights), counts = route(x, router, top_k)
        ctx.mark_non_differentiable(experts, counts)
        ctx.save_for_backward(x, router, experts, weights)
        return experts, weights, counts

    @staticmethod
    def backward(ctx: Any, _: Tensor, dweights: Tensor, __: Tensor) -> tuple[Tensor, Tensor, None]:
        x, router, experts, weights = ctx.saved_tensors
        dscores = weights * (dweights - (weights * dweights).sum(1, keepdim=True))  # of the softmax
        dense = x.new_zeros(len(x), len(router)).scatter_(1, experts.long(), dscores.to(x.dtype))
        return dense @ router, dense.T @ x, None


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, places: Tensor) -> Tensor:
        ctx.save_for_backward(places)
        return gather(x, places)

    @staticmethod
    def backward(ctx: Any, drows: Tensor) -> tuple[Tensor, None]:
        return combine(drows.contiguous(), *ctx.saved_tensors), None


class _Combine(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rows: Tensor, places: Tensor, weights: Tensor) -> Tensor:
        ctx.save_for_backward(rows, places, weights)
        return combine(rows, places, weights)

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor, None, Tensor]:
        rows, places, weights = ctx.saved_tensors
        dy = dy.contiguous()
        drows, dweights = torch.empty_like(rows), torch.empty_like(weights)
        n_tokens, features = dy.shape
        kernels.uncombine_kernel[(triton.cdiv(n_tokens, COPY.block_t),)](
            dy,
            rows,
            places,
            weights,
            drows,
            dweights,
            n_tokens,
            D=features,
            K=places.shape[1],
            BLOCK_T=COPY.block_t,
            BLOCK_D=min(COPY.block_d, triton.next_power_of_2(features)),
            num_warps=COPY.num_warps,
        )
        return drows, None, dweights


def _padded(n_experts: int) -> int:
    return max(LEAST_MATRIX, triton.next_power_of_2(n_experts))


def _tiles(n_tokens: int, features: int, launch: CopyLaunch) -> tuple[tuple[int, int], int]:
    block_d = min(launch.block_d, triton.next_power_of_2(features))
    return (triton.cdiv(n_tokens, launch.block_t), triton.cdiv(features, block_d)), block_d
