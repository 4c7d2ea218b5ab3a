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
from typing import Any, NamedTuple

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
MINIMUM_CAPABILITY = (8, 0)  # bfloat16 and NaN-propagating minimum and maximum


class LaunchConfig(NamedTuple):
    """How a kernel is launched: elements per program and warps per program."""

    block: int
    num_warps: int


THREADS_PER_WARP = 32
BYTES_PER_THREAD = 32  # of each input: two 16-byte loads in flight


def launch_config(itemsize: int) -> LaunchConfig:
    """The launch of a pass over elements of ``itemsize`` bytes.

    Chosen with ``python -m workloads.activations.bench --tune`` on an H200 (2²⁶ elements), deliberately not by autotuning at run time: a
    run must start at once and be the same every time. More bytes per thread, and cache hints on loads and stores, were slower there.
    """
    warps = 4
    return LaunchConfig(block=THREADS_PER_WARP * warps * BYTES_PER_THREAD // itemsize, num_warps=warps)


def candidates(itemsize: int) -> list[LaunchConfig]:
    """What the bench's ``--tune`` tries: 16 to 64 bytes of each input per thread, 1 to 16 warps per program."""
    return [LaunchConfig(THREADS_PER_WARP * warps * width // itemsize, warps) for width in (16, 32, 64) for warps in (1, 2, 4, 8, 16)]


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
    block, num_warps = config or launch_config(x.element_size())
    activation_forward_kernel[(triton.cdiv(n, block),)](x, y, n, FUNCTION=name, BLOCK=block, num_warps=num_warps)
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
    block, num_warps = config or launch_config(x.element_size())
    activation_backward_kernel[(triton.cdiv(n, block),)](
        x, dy, dx, n, DY_IS_SCALAR=dy_is_scalar, FUNCTION=name, BLOCK=block, num_warps=num_warps
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
