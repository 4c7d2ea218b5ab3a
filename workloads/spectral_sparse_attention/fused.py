"""Attention at given clusters and samples as Triton kernels: forward and backward, with true, unequal clusters.

    attended = attention(query, key, value, clusters, samples)      # what reference.attention computes, with samples shared by rows

Tensors are [*, N, head_dim] in float32, bfloat16 or float16 with any strides of the leading dimensions and tokens; nothing is sorted or
copied. No call waits for the device, so calls can be captured in a CUDA graph. Extra memory: the output, one float32 per query, and the
schedule, N/queries_per_row + k integers; backward two float32 sums of the keys' size.
"""

from __future__ import annotations

import math
import os
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from typing import Any, NamedTuple

import torch
from torch import Tensor

from lab.parameters import ParameterError
from workloads.spectral_sparse_attention.clustering import Clusters
from workloads.spectral_sparse_attention.reference import Attended, softmax_scale
from workloads.spectral_sparse_attention.sampling import QUERIES_PER_ROW, Samples, check_sample_count, row_count

try:
    from workloads.spectral_sparse_attention import kernels

    TRITON_MISSING = ""
except ImportError as error:
    TRITON_MISSING = f"Triton cannot be imported ({error})"

DTYPES = (torch.float32, torch.bfloat16, torch.float16)
INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
MINIMUM_CAPABILITY = (8, 0)  # bfloat16 products
MAX_HEAD_DIM = 128
SCHEDULE_BLOCK = 1024
SAMPLE_BLOCK = 128


def power_of_two(x: int) -> int:
    """The least power of two that is at least ``x`` ≥ 1."""
    return 1 << (x - 1).bit_length()


class Tiles(NamedTuple):
    """How an attention kernel is launched: keys per tile, warps per program and loads in flight. Queries per tile are the samples' rows."""

    block_n: int = 64
    num_warps: int = 4
    num_stages: int = 3


def forward_tiles(row_bytes: int) -> Tiles:
    """The launch of the forward kernel for tokens of ``row_bytes`` (head_dim · itemsize); what an SM's shared memory holds limits it."""
    return Tiles(128, 4, 2) if row_bytes <= 128 else Tiles(64, 8, 2) if row_bytes <= 256 else Tiles(32, 8, 2)


def backward_tiles(row_bytes: int) -> Tiles:
    """The launch of the backward kernels, as :func:`forward_tiles`."""
    return Tiles(32, 4, 2) if row_bytes <= 128 else Tiles(32, 8, 2) if row_bytes <= 256 else Tiles(16, 8, 1)


def available(device: str | torch.device) -> str:
    """Why these kernels cannot run on ``device``; empty where they can."""
    device = torch.device(device)
    if TRITON_MISSING:
        return TRITON_MISSING
    if device.type == "cpu":
        return "" if INTERPRETED else "Triton kernels run on a GPU"
    return _reason_of_cuda(device)


@cache
def _reason_of_cuda(device: torch.device) -> str:
    # Asked on every call, and the answer stays as it is for as long as the process lives.
    if device.type != "cuda" or not torch.cuda.is_available():
        return f"no CUDA device for {device}"
    capability = torch.cuda.get_device_capability(device)
    if capability < MINIMUM_CAPABILITY:
        return f"compute capability {capability[0]}.{capability[1]} is below {MINIMUM_CAPABILITY[0]}.{MINIMUM_CAPABILITY[1]}"
    return ""


def launching_on(x: Tensor) -> AbstractContextManager[object]:
    """Makes the device of ``x`` the current one: Triton launches there and nowhere else."""
    return torch.cuda.device(x.device) if x.is_cuda else nullcontext()


class Schedule(NamedTuple):
    """Which row holds which queries: ``row_starts`` [P, k + 1] and ``row_cluster`` [P, R] (−1: unused), int32; beside it the clusters'
    ``order`` [P, N] and ``offsets`` [P, k + 1], int32. P problems: all leading dimensions in one."""

    order: Tensor
    offsets: Tensor
    row_starts: Tensor
    row_cluster: Tensor
    queries_per_row: int


def schedule_of_sizes(order: Tensor, sizes: Tensor, queries_per_row: int) -> Schedule:
    """The schedule of P problems from ``order`` [P, N] and clusters' ``sizes`` [P, k], both int32 and contiguous, without waiting."""
    problems, n_clusters = sizes.shape
    n_rows = row_count(order.shape[-1], n_clusters, queries_per_row)
    offsets = sizes.new_empty((problems, n_clusters + 1))
    row_starts = torch.empty_like(offsets)
    row_cluster = sizes.new_empty((problems, n_rows))
    kernels.schedule_kernel[(problems,)](
        sizes, offsets, row_starts, row_cluster, n_clusters, n_rows, ROW=queries_per_row, BLOCK=SCHEDULE_BLOCK
    )
    return Schedule(order, offsets, row_starts, row_cluster, queries_per_row)


def schedule(clusters: Clusters, queries_per_row: int) -> Schedule:
    """The schedule of ``clusters`` on a device, for rows of ``queries_per_row`` queries."""
    order = clusters.order.reshape(-1, clusters.order.shape[-1]).to(torch.int32).contiguous()
    sizes = clusters.sizes.reshape(-1, clusters.n_clusters).to(torch.int32).contiguous()
    return schedule_of_sizes(order, sizes, queries_per_row)


def draw(plan: Schedule, n_samples: int, seed: int, causal: bool) -> tuple[Tensor, Tensor]:
    """``keys`` [P, R, s] and ``population`` [P, R], int32, as ``sampling.shared`` draws them for the same clusters and seed."""
    problems, n = plan.order.shape
    n_rows = plan.row_cluster.shape[-1]
    keys = plan.order.new_empty((problems, n_rows, n_samples))
    population = plan.order.new_empty((problems, n_rows))
    kernels.sample_kernel[(n_rows, problems)](
        plan.order,
        plan.offsets,
        plan.row_starts,
        plan.row_cluster,
        keys,
        population,
        n,
        plan.offsets.shape[-1] - 1,
        n_rows,
        n_samples,
        seed & 0x7FFFFFFF,
        CAUSAL=causal,
        ROW=plan.queries_per_row,
        BLOCK=SAMPLE_BLOCK,
    )
    return keys, population


def shared_samples(
    clusters: Clusters, n_samples: int, *, queries_per_row: int = QUERIES_PER_ROW, seed: int = 0, causal: bool = False
) -> Samples:
    """``sampling.shared``, drawn by a kernel: the same integers for the same clusters and seed (0 ≤ seed < 2³¹)."""
    check_sample_count(n_samples, clusters.order.shape[-1])
    with launching_on(clusters.order):
        keys, population = draw(schedule(clusters, queries_per_row), n_samples, seed, causal)
    leading = clusters.labels.shape[:-1]
    return Samples(keys.view(*leading, *keys.shape[1:]), population.view(*leading, -1), queries_per_row)


class Options(NamedTuple):
    """What the attention kernels are told beside tensors."""

    weighted: bool
    causal: bool
    scale: float
    forward_tiles: Tiles | None
    backward_tiles: Tiles | None


def problems_of(x: Tensor) -> Tensor:
    """[P, N, head_dim] with neighbouring features side by side in memory; a view where strides allow."""
    x = x.reshape(-1, *x.shape[-2:])
    return x if x.stride(-1) == 1 else x.contiguous()


def _strides(*tensors: Tensor) -> tuple[int, ...]:
    return tuple(stride for x in tensors for stride in x.stride()[:2])


def _block_d(head_dim: int) -> int:
    return max(16, power_of_two(head_dim))


def forward(
    query: Tensor, key: Tensor, value: Tensor, plan: Schedule, keys: Tensor, population: Tensor, options: Options
) -> tuple[Tensor, Tensor]:
    """(output [P, N, head_dim] contiguous, log-sum-exp [P, N] float32) without autograd; tensors [P, N, head_dim] with stride 1 last."""
    problems, n, head_dim = query.shape
    output = query.new_empty((problems, n, head_dim))
    log_sum_exp = query.new_empty((problems, n), dtype=torch.float32)
    tiles = options.forward_tiles or forward_tiles(head_dim * query.element_size())
    kernels.attention_kernel[(plan.row_cluster.shape[-1], problems)](
        query,
        key,
        value,
        output,
        log_sum_exp,
        plan.order,
        plan.offsets,
        plan.row_starts,
        plan.row_cluster,
        keys,
        population,
        *_strides(query, key, value),
        n,
        plan.offsets.shape[-1] - 1,
        plan.row_cluster.shape[-1],
        keys.shape[-1],
        options.scale,
        WEIGHTED=options.weighted,
        CAUSAL=options.causal,
        HEAD_DIM=head_dim,
        BLOCK_D=_block_d(head_dim),
        BLOCK_M=plan.queries_per_row,
        BLOCK_N=tiles.block_n,
        num_warps=tiles.num_warps,
        num_stages=tiles.num_stages,
    )
    return output, log_sum_exp


def backward(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    output: Tensor,
    output_gradient: Tensor,
    log_sum_exp: Tensor,
    plan: Schedule,
    keys: Tensor,
    population: Tensor,
    options: Options,
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients to query, key and value, each [P, N, head_dim] contiguous.

    What sampled keys receive is added up atomically in float32, so its last digits may differ from run to run.
    """
    problems, n, head_dim = query.shape
    query_gradient, key_gradient, value_gradient = (query.new_empty((problems, n, head_dim)) for _ in range(3))
    delta = torch.empty_like(log_sum_exp)
    tiles = options.backward_tiles or backward_tiles(head_dim * query.element_size())
    key_sums, value_sums = (query.new_zeros((problems, n, head_dim), dtype=torch.float32) for _ in range(2))
    grid = (plan.row_cluster.shape[-1], problems)
    sizes = (n, plan.offsets.shape[-1] - 1, plan.row_cluster.shape[-1])
    shape: dict[str, Any] = {
        "CAUSAL": options.causal,
        "HEAD_DIM": head_dim,
        "BLOCK_D": _block_d(head_dim),
        "BLOCK_M": plan.queries_per_row,
        "BLOCK_N": tiles.block_n,
        "num_warps": tiles.num_warps,
        "num_stages": tiles.num_stages,
    }
    kernels.query_gradient_kernel[grid](
        query,
        key,
        value,
        output,
        output_gradient,
        log_sum_exp,
        delta,
        query_gradient,
        key_sums,
        value_sums,
        plan.order,
        plan.offsets,
        plan.row_starts,
        plan.row_cluster,
        keys,
        population,
        *_strides(query, key, value),
        *sizes,
        keys.shape[-1],
        options.scale,
        WEIGHTED=options.weighted,
        **shape,
    )
    kernels.key_gradient_kernel[grid](
        query,
        key,
        value,
        output_gradient,
        log_sum_exp,
        delta,
        key_gradient,
        value_gradient,
        key_sums,
        value_sums,
        plan.order,
        plan.offsets,
        plan.row_starts,
        plan.row_cluster,
        *_strides(query, key, value),
        *sizes,
        options.scale,
        **shape,
    )
    return query_gradient, key_gradient, value_gradient


class _Attention(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, query: Tensor, key: Tensor, value: Tensor, plan: Schedule, keys: Tensor, population: Tensor, options: Options
    ) -> tuple[Tensor, Tensor]:
        output, log_sum_exp = forward(query, key, value, plan, keys, population, options)
        tables = (plan.order, plan.offsets, plan.row_starts, plan.row_cluster)
        ctx.save_for_backward(query, key, value, output, log_sum_exp, keys, population, *tables)
        ctx.queries_per_row, ctx.options = plan.queries_per_row, options
        ctx.mark_non_differentiable(log_sum_exp)
        return output, log_sum_exp

    @staticmethod
    def backward(ctx: Any, output_gradient: Tensor, _: Tensor | None) -> tuple[Tensor | None, ...]:
        # With create_graph=True the kernels' results would count as constants, and a second derivative would be silently wrong.
        if torch.is_grad_enabled():
            raise RuntimeError("fused attention has no second derivative; use the reference with create_graph=True")
        query, key, value, output, log_sum_exp, keys, population, order, offsets, row_starts, row_cluster = ctx.saved_tensors
        gradients = backward(
            query,
            key,
            value,
            output,
            output_gradient.contiguous(),
            log_sum_exp,
            Schedule(order, offsets, row_starts, row_cluster, ctx.queries_per_row),
            keys,
            population,
            ctx.options,
        )
        return (*gradients, None, None, None, None)


def check_tensors(query: Tensor, key: Tensor, value: Tensor) -> None:
    """Raises TypeError for a dtype, ParameterError naming ``head_dim`` for a width, ValueError for shapes that the kernels do not take."""
    if query.dtype not in DTYPES or not query.dtype == key.dtype == value.dtype:
        allowed = ", ".join(map(str, DTYPES))
        raise TypeError(f"query, key and value must share one dtype of {allowed}; they have {query.dtype}, {key.dtype}, {value.dtype}")
    if not query.shape == key.shape == value.shape:
        raise ValueError(f"query, key and value must have one shape; they have {query.shape}, {key.shape}, {value.shape}")
    if query.shape[-1] > MAX_HEAD_DIM:
        raise ParameterError("head_dim", query.shape[-1], f"at most {MAX_HEAD_DIM}", "is too wide for the fused kernels")


def attention_on(query: Tensor, key: Tensor, value: Tensor, plan: Schedule, keys: Tensor, population: Tensor, options: Options) -> Attended:
    """Differentiable attention [*, N, head_dim] at a schedule and what :func:`draw` gave, of tensors that :func:`check_tensors` passes."""
    inputs = problems_of(query), problems_of(key), problems_of(value)
    differentiated = torch.is_grad_enabled() and (query.requires_grad or key.requires_grad or value.requires_grad)
    run = _Attention.apply if differentiated else forward
    output, log_sum_exp = run(*inputs, plan, keys, population, options)
    return Attended(output.view(query.shape), log_sum_exp.view(query.shape[:-1]))


def attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    clusters: Clusters,
    samples: Samples,
    *,
    weighted: bool = False,
    causal: bool = False,
    scale: float | None = None,
    forward: Tiles | None = None,
    backward: Tiles | None = None,
) -> Attended:
    """``reference.attention`` for samples shared by rows of 16, 32, 64 or 128 queries; once differentiable in query, key and value.

    ``query``, ``key``, ``value`` [*, N, head_dim ≤ 128] of one dtype among float32, bfloat16, float16; products accumulate in
    float32 and weights are rounded to the dtype before they meet the values. ``forward``, ``backward``: launches other than the
    usual ones. Raises TypeError, ValueError and ParameterError as :func:`check_tensors`, and ParameterError naming ``queries_per_row``. Ask
    :func:`available` whether the device can run it.
    """
    if samples.queries_per_row not in (16, 32, 64, 128):
        raise ParameterError("queries_per_row", samples.queries_per_row, "16, 32, 64 or 128", "is not a tile of the fused kernels")
    check_tensors(query, key, value)
    problems = math.prod(query.shape[:-2])
    keys = samples.keys.reshape(problems, *samples.keys.shape[-2:]).to(torch.int32).contiguous()
    population = samples.population.reshape(problems, -1).to(torch.int32).contiguous()
    options = Options(weighted, causal, softmax_scale(query.shape[-1], scale), forward, backward)
    with launching_on(query):
        return attention_on(query, key, value, schedule(clusters, samples.queries_per_row), keys, population, options)
