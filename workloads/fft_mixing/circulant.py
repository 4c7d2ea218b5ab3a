"""FFT-Mix in the time domain: each filter is a circular convolution, each window a small circulant matrix per channel.

By the convolution theorem irfft(f · rfft(x)) = h ⊛ x with the *kernel*

    h[k] = (1 / w) Σ_m c_m f[m] cos(2π m k / w),   c_m = 1 for m = 0 and for m = w / 2, else 2;

a real filter gives a real and even kernel, h[k] = h[w − k], so its w // 2 + 1 *taps* h[0] … h[w // 2] say all. The window's outputs are
y[i] = Σ_j h[(i − j) mod w] x[j], the product with a symmetric circulant matrix.

**Causal FFT-Mix** is defined here, because no real filter but a constant one is causal: of the circulant matrix the part on and below the
diagonal is kept, y[i] = Σ_{j ≤ i} h[i − j] x[j]. The windows, the filters and their number stay the same; the token at place i of a
window sees the i tokens before it in its window and no other, (w − 1) / 2 of them in the mean. (A sliding convolution over the last w
tokens would reach further; that is the depthwise convolution of ``peers``, not FFT-Mix.)
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import torch
from torch import Tensor

from workloads.fft_mixing.reference import cut, joined


@cache  # never evicted: a captured CUDA graph may hold the address
@torch.inference_mode(False)
def _tap_matrix(windows: tuple[int, ...], device: torch.device, dtype: torch.dtype) -> Tensor:
    blocks = []
    for w in windows:
        m = torch.arange(w // 2 + 1, dtype=torch.float64)
        weights = torch.full_like(m, 2.0)
        weights[0] = 1.0
        if w % 2 == 0:
            weights[-1] = 1.0
        # m · k mod w first: the angle stays below 2π, where the cosine has all its digits.
        angle = (2.0 * torch.pi / w) * ((m[:, None] * m[None, :]) % w)
        blocks.append(torch.cos(angle) * weights / w)
    return torch.block_diag(*blocks).to(device=device, dtype=dtype)


def taps(filters: Tensor, windows: Sequence[int]) -> Tensor:
    """The kernels' taps [..., R, d_model] of the filters [..., R, d_model]: h[0] … h[w // 2] of each window size.

    One product with a constant block-diagonal matrix, in float32 (float64 for float64 filters); differentiable.
    """
    filters = filters if filters.dtype == torch.float64 else filters.float()
    return _tap_matrix(tuple(windows), filters.device, filters.dtype) @ filters


@cache
@torch.inference_mode(False)
def _places(window: int, causal: bool, device: torch.device) -> tuple[Tensor, Tensor]:
    """Which tap stands at [i, j] of the window's matrix, [window, window], and where the matrix is not zero."""
    i = torch.arange(window, device=device)
    lag = i[:, None] - i[None, :]
    wrapped = lag % window
    kept = lag >= 0 if causal else torch.ones_like(lag, dtype=torch.bool)
    return torch.minimum(wrapped, window - wrapped), kept


def window_matrix(window_taps: Tensor, window: int, causal: bool = False) -> Tensor:
    """The matrix [..., window, window, d_model] (outputs, inputs, channels) of taps [..., window // 2 + 1, d_model] of one size."""
    places, kept = _places(window, causal, window_taps.device)
    matrix = window_taps[..., places.flatten(), :].unflatten(-2, (window, window))
    return matrix * kept[:, :, None] if causal else matrix


def dense_matrix(window_taps: Tensor, window: int, seq_len: int, causal: bool = False) -> Tensor:
    """The whole mixing of one size as matrices [seq_len, seq_len, d_model], block-diagonal and cut to the sequence; for small tests."""
    blocks = -(-seq_len // window)
    matrix = window_matrix(window_taps, window, causal)
    eye = torch.eye(blocks, dtype=matrix.dtype, device=matrix.device)
    dense = torch.einsum("pq,ijc->piqjc", eye, matrix).reshape(blocks * window, blocks * window, -1)
    return dense[:seq_len, :seq_len]


def mixed(x: Tensor, filters: Tensor, windows: Sequence[int], causal: bool = False) -> Tensor:
    """FFT-Mix of ``x`` [..., seq_len, d_model] by the windows' matrices → [..., seq_len, S · d_model], in x's dtype; differentiable.

    ``filters`` [R, d_model] or with the leading dimensions of batched models [M, R, d_model], then ``x`` is [M, ..., seq_len, d_model].
    Equal to ``reference.mixed`` where not causal. 16-bit inputs are mixed in float32 and rounded once at the end.
    """
    exact = x if x.dtype in (torch.float32, torch.float64) else x.float()
    parts = []
    for w, rows in zip(windows, taps(filters, windows).split([w // 2 + 1 for w in windows], dim=-2), strict=True):
        matrix = window_matrix(rows.to(exact.dtype), w, causal)
        pieces = cut(exact, w)
        models = "m" if matrix.ndim > 3 else ""  # one set of filters for each model
        parts.append(joined(torch.einsum(f"{models}ijc,{models}...jc->{models}...ic", matrix, pieces), x.shape[-2]))
    return torch.cat(parts, dim=-1).to(x.dtype)


def mixed64(x: Tensor, filters: Tensor, windows: Sequence[int], causal: bool = False) -> Tensor:
    """:func:`mixed` in float64: what causal implementations are compared with."""
    return mixed(x.detach().double(), filters.detach().double(), windows, causal)


def gradients64(x: Tensor, filters: Tensor, windows: Sequence[int], dy: Tensor, causal: bool = False) -> tuple[Tensor, Tensor]:
    """∂⟨dy, mixed(x, filters)⟩ by x and by the filters, in float64 by autograd; ``dy`` [..., seq_len, S · d_model]."""
    x, filters = x.detach().double().requires_grad_(), filters.detach().double().requires_grad_()
    dx, dfilters = torch.autograd.grad(mixed(x, filters, windows, causal), (x, filters), dy.detach().double())
    return dx, dfilters
