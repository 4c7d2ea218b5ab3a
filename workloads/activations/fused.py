"""Every activation as one Triton kernel per direction: an autograd function that saves only its input.

    y = activation("phi6")(x)     # float32, bfloat16 or float16; any shape; composes with torch.compile(fullgraph=True)

A tensor whose elements fill one stretch of memory in any order of dimensions (contiguous, transposed, channels-last) is read as it lies
and its result has the same strides; anything else is copied once, as the framework's own kernels would have to gather it.
Arithmetic is float32 whatever the tensor's type; the result is rounded once.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from workloads.activations.functions import FUNCTIONS

try:
    import triton

    from workloads.activations.kernels import activation_backward_kernel, activation_forward_kernel

    TRITON_MISSING = ""
except ImportError as error:
    TRITON_MISSING = f"Triton cannot be imported ({error})"

DTYPES = (torch.float32, torch.bfloat16, torch.float16)
INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
Direction = Literal["forward", "backward"]
MINIMUM_CAPABILITY = (8, 0)  # bfloat16 and NaN-propagating minimum and maximum


class LaunchConfig(NamedTuple):
    """How a kernel is launched: elements per program, warps per program, and the cache hint of its loads and stores."""

    block: int
    num_warps: int
    eviction: Literal["", "evict_first"]


# What `python -m workloads.activations.bench --tune` tries.
CANDIDATES = tuple(
    LaunchConfig(block, num_warps, eviction)
    for eviction in ("", "evict_first")
    for block, num_warps in ((1024, 4), (2048, 4), (4096, 4), (2048, 8), (4096, 8), (8192, 8))
)
SMALL = 1 << 20  # up to here programs are kept small, so that all multiprocessors have work


def launch_config(n: int, itemsize: int, direction: Direction) -> LaunchConfig:
    """The launch of a pass over ``n`` elements of ``itemsize`` bytes.

    Chosen by the bench on an H100, deliberately not by autotuning at run time: a run must start at once and be the same every time.
    Large tensors want 64 bytes of loads in flight per thread: four 16-byte loads forward, two of each input backward.
    """
    if n <= SMALL:
        return LaunchConfig(block=1024, num_warps=4, eviction="")
    per_thread = (64 if direction == "forward" else 32) // itemsize
    return LaunchConfig(block=128 * per_thread, num_warps=4, eviction="")


def available(device: str | torch.device) -> str:
    """Why the fused kernels cannot run on ``device``; empty where they can."""
    device = torch.device(device)
    if TRITON_MISSING:
        return TRITON_MISSING
    if device.type == "cpu":
        return "" if INTERPRETED else "Triton kernels run on a GPU"
    if device.type != "cuda" or not torch.cuda.is_available():
        return f"no CUDA device for {device}"
    capability = torch.cuda.get_device_capability(device)
    if capability < MINIMUM_CAPABILITY:
        return f"compute capability {capability[0]}.{capability[1]} is below {MINIMUM_CAPABILITY[0]}.{MINIMUM_CAPABILITY[1]}"
    return ""


def same_layout(a: Tensor, b: Tensor) -> bool:
    """Whether two tensors of one shape place their elements alike (strides of dimensions of size 1 do not matter)."""
    return all(size == 1 or p == q for size, p, q in zip(a.shape, a.stride(), b.stride(), strict=True))


def forward(name: str, x: Tensor, config: LaunchConfig | None = None) -> Tensor:
    """f(x) without autograd. ``x`` [any shape] and the result have the same dtype, and the same strides where ``x`` is dense."""
    y = torch.empty_like(x)
    if not same_layout(x, y):
        x = x.clone()  # keeps the order of dimensions, without gaps: the layout that empty_like gave y
    n = x.numel()
    if n == 0:
        return y
    block, num_warps, eviction = config or launch_config(n, x.element_size(), "forward")
    activation_forward_kernel[(triton.cdiv(n, block),)](x, y, n, FUNCTION=name, BLOCK=block, EVICTION=eviction, num_warps=num_warps)
    return y


def backward(name: str, x: Tensor, dy: Tensor, config: LaunchConfig | None = None) -> Tensor:
    """dy · f′(x). ``dy`` [the shape of ``x``] may be one number expanded to that shape, which costs no memory traffic."""
    dx = torch.empty_like(x)
    if not same_layout(x, dx):
        x = x.clone()
    n = x.numel()
    if n == 0:
        return dx
    dy_is_scalar = all(size == 1 or stride == 0 for size, stride in zip(dy.shape, dy.stride(), strict=True))
    if not dy_is_scalar and not same_layout(dy, dx):
        dy = torch.empty_like(dx).copy_(dy)
    block, num_warps, eviction = config or launch_config(n, x.element_size(), "backward")
    activation_backward_kernel[(triton.cdiv(n, block),)](
        x, dy, dx, n, DY_IS_SCALAR=dy_is_scalar, FUNCTION=name, BLOCK=block, EVICTION=eviction, num_warps=num_warps
    )
    return dx


class _Activation(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, name: str) -> Tensor:
        ctx.save_for_backward(x)
        ctx.name = name
        return forward(name, x)

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor, None]:
        # With create_graph=True the kernel's result would count as a constant, and a second derivative would be silently wrong.
        if torch.is_grad_enabled() and not torch.compiler.is_compiling():
            raise RuntimeError(f"the fused {ctx.name} has no second derivative; use the eager expression with create_graph=True")
        (x,) = ctx.saved_tensors
        return backward(ctx.name, x, dy), None


def _apply(x: Tensor, name: str) -> Tensor:
    if x.dtype not in DTYPES:
        raise TypeError(f"x has dtype {x.dtype}; allowed are {', '.join(map(str, DTYPES))}")
    if x.device.type == "cuda" and not torch.compiler.is_compiling() and x.device.index != torch.cuda.current_device():
        with torch.cuda.device(x.device):  # Triton launches on the current device; the autograd engine sets it for backward itself
            return _Activation.apply(x, name)
    return _Activation.apply(x, name)


def activation(name: str) -> Callable[[Tensor], Tensor]:
    """The function ``name`` as one kernel per direction: float [any shape] → float [same shape and dtype], once differentiable.

    Raises KeyError for an unknown name; the function raises TypeError for another dtype than float32, bfloat16 and float16. Ask
    :func:`available` whether the device can run it.
    """
    return partial(_apply, name=FUNCTIONS[name].name)
