"""FFT-Mix in one pass over the activations: own kernels on a GPU, forward and backward.

    y = mixed(x, filters, windows)     # [batch, seq_len, d_model] → [batch, seq_len, S · d_model]

On a GPU a window's product is written out in one kernel for all sizes (``kernels``), which reads the activations once and writes the S
outputs side by side, ready for the projection; backward is one kernel for the gradient of x and one for that of the filters. No atomics:
the same inputs give the same bits. Arithmetic is float32 whatever the tensor's type, the result is rounded once. Elsewhere, and in
float64, the framework multiplies small matrices (``fourier_basis``, causal ``circulant``): the same function.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

import torch
from torch import Tensor

from workloads.fft_mixing import circulant, fourier_basis
from workloads.fft_mixing.reference import checked_windows, filter_rows

try:
    import triton

    from workloads.fft_mixing import kernels

    TRITON_MISSING = ""
except ImportError as error:
    TRITON_MISSING = f"Triton cannot be imported ({error})"

DTYPES = (torch.float32, torch.bfloat16, torch.float16)
INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
MINIMUM_CAPABILITY = (8, 0)  # bfloat16
LONGEST_WRITTEN_OUT = 32  # window whose product is written out: its registers and the time to compile it grow with the window
PARTS = 256  # about how many partial sums the filters' gradient is made of
LEAST_STRETCH = 192  # tokens of one such sum


class WindowsLaunch(NamedTuple):
    """How the kernels that hold whole windows are launched; ``stretch`` tokens and ``block_d`` channels per program."""

    stretch: int
    block_d: int
    num_warps: int
    halved: bool = True


class GatherLaunch(NamedTuple):
    """How the kernels that gather are launched: a tile of tokens and channels per program."""

    block_t: int
    block_d: int
    num_warps: int


@cache
def available(device: str | torch.device) -> str:
    """Why the kernels cannot run on ``device``; empty where they can."""
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


def windows_launch(d_model: int, itemsize: int) -> WindowsLaunch:
    """Two channels per thread in 16-bit types and one in 32-bit: a warp's row is 128 bytes, and a window fits into the registers."""
    per_thread = 4 // itemsize
    block_d = min(64 * per_thread, max(32 * per_thread, triton.next_power_of_2(d_model)))
    return WindowsLaunch(stretch=24, block_d=block_d, num_warps=block_d // (32 * per_thread))


def gather_launch(d_model: int) -> GatherLaunch:
    """Tiles of 32 tokens by up to 64 channels: more would not fit into the registers where channels cannot be loaded together."""
    return GatherLaunch(block_t=32, block_d=min(64, max(16, triton.next_power_of_2(d_model))), num_warps=4)


def written_out(windows: Sequence[int]) -> bool:
    """Whether the product of every size is written out in the kernels."""
    return max(windows) <= LONGEST_WRITTEN_OUT


def forward(x: Tensor, taps: Tensor, windows: tuple[int, ...], causal: bool, launch: WindowsLaunch | GatherLaunch | None = None) -> Tensor:
    """The mixed tokens [batch, seq_len, S · d_model] of ``x`` [batch, seq_len, d_model], by ``taps`` [R, d_model] float32.

    ``launch`` chooses the kernel as well; default: windows written out where all are short enough, else gathered.
    """
    x = x if x.stride(-1) == 1 else x.contiguous()
    batch, seq_len, d_model = x.shape
    y = torch.empty(batch, seq_len, len(windows) * d_model, dtype=x.dtype, device=x.device)
    if y.numel() == 0:
        return y
    if launch is None:
        launch = windows_launch(d_model, x.element_size()) if written_out(windows) else gather_launch(d_model)
    if isinstance(launch, GatherLaunch):
        return _gather(x, taps, y, windows, causal, False, launch)
    stretches = triton.cdiv(seq_len, launch.stretch)
    kernels.mix_windows_kernel[(batch * stretches, triton.cdiv(d_model, launch.block_d))](
        x,
        taps.contiguous(),
        y,
        x.stride(0),
        x.stride(1),
        stretches,
        launch.stretch,
        seq_len,
        d_model,
        WINDOWS=windows,
        CAUSAL=causal,
        HALVED=launch.halved,
        BLOCK_D=launch.block_d,
        num_warps=launch.num_warps,
    )
    return y


def backward_x(dy: Tensor, taps: Tensor, windows: tuple[int, ...], causal: bool, launch: GatherLaunch | None = None) -> Tensor:
    """The gradient of x [batch, seq_len, d_model] from ``dy`` [batch, seq_len, S · d_model], by the transposed matrices of all sizes."""
    dy = dy if dy.stride(-1) == 1 else dy.contiguous()
    d_model = dy.shape[2] // len(windows)
    dx = torch.empty(*dy.shape[:2], d_model, dtype=dy.dtype, device=dy.device)
    return _gather(dy, taps, dx, windows, causal, True, launch or gather_launch(d_model)) if dx.numel() else dx


def backward_taps(
    x: Tensor, dy: Tensor, windows: tuple[int, ...], causal: bool, launch: WindowsLaunch | GatherLaunch | None = None
) -> Tensor:
    """The gradient of the taps [R, d_model] float32: partial sums by stretches of tokens, then their sum in a fixed order."""
    x, dy = x if x.stride(-1) == 1 else x.contiguous(), dy.contiguous()
    batch, seq_len, d_model = x.shape
    rows = filter_rows(windows)
    if x.numel() == 0:
        return torch.zeros(rows, d_model, device=x.device)
    if launch is None:
        launch = windows_launch(d_model, x.element_size()) if written_out(windows) else gather_launch(d_model)
    stretch = max(LEAST_STRETCH, triton.cdiv(batch * seq_len, PARTS))
    batch_each, stretches = triton.cdiv(stretch, seq_len), triton.cdiv(seq_len, stretch)
    programs = triton.cdiv(batch, batch_each) * stretches
    parts = torch.empty(programs, rows, d_model, device=x.device)
    grid = (programs, triton.cdiv(d_model, launch.block_d))
    shape = (x.stride(0), x.stride(1), batch, batch_each, stretches, stretch, seq_len, d_model, rows)
    if isinstance(launch, GatherLaunch):
        kernels.gradient_gather_kernel[grid](
            x,
            dy,
            parts,
            *shape,
            WINDOWS=windows,
            CAUSAL=causal,
            BLOCK_T=launch.block_t,
            BLOCK_D=launch.block_d,
            num_warps=launch.num_warps,
        )
    else:
        kernels.gradient_windows_kernel[grid](
            x,
            dy,
            parts,
            *shape,
            WINDOWS=windows,
            CAUSAL=causal,
            HALVED=launch.halved,
            BLOCK_D=launch.block_d,
            num_warps=launch.num_warps,
        )
    return parts.sum(0)


def _gather(
    source: Tensor, taps: Tensor, target: Tensor, windows: tuple[int, ...], causal: bool, transposed: bool, launch: GatherLaunch
) -> Tensor:
    batch, seq_len, channels = target.shape
    d_model = channels if transposed else channels // len(windows)
    tiles = triton.cdiv(seq_len, launch.block_t)
    kernels.mix_gather_kernel[(batch * tiles, triton.cdiv(d_model, launch.block_d))](
        source,
        taps.contiguous(),
        target,
        source.stride(0),
        source.stride(1),
        tiles,
        seq_len,
        d_model,
        WINDOWS=windows,
        CAUSAL=causal,
        TRANSPOSED=transposed,
        BLOCK_T=launch.block_t,
        BLOCK_D=launch.block_d,
        num_warps=launch.num_warps,
    )
    return target


class _Mix(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, taps: Tensor, windows: tuple[int, ...], causal: bool) -> Tensor:
        ctx.save_for_backward(x, taps)
        ctx.windows, ctx.causal = windows, causal
        return forward(x, taps, windows, causal)

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        # With create_graph=True the kernels' results would count as constants, and a second derivative would be silently wrong.
        if torch.is_grad_enabled():
            raise RuntimeError("the fused FFT-Mix has no second derivative; use the reference with create_graph=True")
        x, taps = ctx.saved_tensors
        dy = dy.contiguous()  # once for both: the gradient of a sum is one number expanded
        dx = backward_x(dy, taps, ctx.windows, ctx.causal) if ctx.needs_input_grad[0] else None
        dtaps = backward_taps(x, dy, ctx.windows, ctx.causal) if ctx.needs_input_grad[1] else None
        return dx, dtaps, None, None


def mixed(x: Tensor, filters: Tensor, windows: Sequence[int], causal: bool = False) -> Tensor:
    """FFT-Mix of ``x`` [..., seq_len, d_model] by ``filters`` [R, d_model] → [..., seq_len, S · d_model], in x's dtype.

    Once differentiable. Raises ValueError for windows that cannot be.
    """
    windows = checked_windows(windows)
    if available(x.device) or x.dtype not in DTYPES:
        return circulant.mixed(x, filters, windows, causal=True) if causal else fourier_basis.mixed(x, filters, windows)
    taps = circulant.taps(filters, windows)
    flat = x.reshape(math.prod(x.shape[:-2]), *x.shape[-2:])
    if x.device.type == "cuda" and x.device.index != torch.cuda.current_device():
        with torch.cuda.device(x.device):  # Triton launches on the current device; the autograd engine sets it for backward itself
            y = _Mix.apply(flat, taps, windows, causal)
    else:
        y = _Mix.apply(flat, taps, windows, causal)
    return y.view(*x.shape[:-1], y.shape[-1])
