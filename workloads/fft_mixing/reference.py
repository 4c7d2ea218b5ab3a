"""FFT-Mix as published: a learned real filter in the frequency domain of each window, at several window sizes.

For each window size w the sequence is padded with zeros to a multiple of w and cut into windows; in each of them, along time and for each
channel alone,

    y = irfft(filter · rfft(x)),    filter [w // 2 + 1, d_model] real,

and what was padding is cut off again. The results of all sizes stand side by side, S · d_model channels, and one linear layer brings
them back to d_model. Source: the "FFT-Mix" section of the ten-technique report.

The filters of all sizes are one tensor ``filters`` [R, d_model], R = Σ (w // 2 + 1), in the order of ``windows`` (:func:`split_filters`).
Everything here runs in the framework's own operations and is what faster versions are compared with, in float64 (:func:`mixed64`).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

PUBLISHED_WINDOWS = (6, 12, 24)
FILTER_STD = 0.02  # the published filters start as normal numbers of this standard deviation


def checked_windows(windows: Sequence[int]) -> tuple[int, ...]:
    """``windows`` as a tuple. Raises ValueError where there is none, one is below 2 (it would see no other token) or one comes twice."""
    found = tuple(int(w) for w in windows)
    if not found:
        raise ValueError("FFT-Mix needs at least one window")
    if min(found) < 2:
        raise ValueError(f"a window holds at least 2 tokens, not {min(found)}")
    if len(set(found)) < len(found):
        raise ValueError(f"each window size may come once: {found}")
    return found


def filter_rows(windows: Sequence[int]) -> int:
    """R = Σ (w // 2 + 1): the rows of all filters, one for each frequency of each window size."""
    return sum(w // 2 + 1 for w in windows)


def split_filters(filters: Tensor, windows: Sequence[int]) -> tuple[Tensor, ...]:
    """``filters`` [..., R, d_model] as one view [..., w // 2 + 1, d_model] for each window size."""
    return filters.split([w // 2 + 1 for w in windows], dim=-2)


def cut(x: Tensor, window: int) -> Tensor:
    """``x`` [..., seq_len, d] in windows [..., n_windows, window, d], the last one filled up with zeros."""
    missing = -x.shape[-2] % window
    if missing:
        x = torch.nn.functional.pad(x, (0, 0, 0, missing))
    return x.unflatten(-2, (-1, window))


def joined(windows_of_x: Tensor, seq_len: int) -> Tensor:
    """The windows [..., n_windows, window, d] as one sequence [..., seq_len, d] again, without what was filled up."""
    return windows_of_x.flatten(-3, -2)[..., :seq_len, :]


def mixed(x: Tensor, filters: Tensor, windows: Sequence[int]) -> Tensor:
    """``x`` [..., seq_len, d_model] → the mixed tokens of all window sizes side by side [..., seq_len, S · d_model], in x's dtype.

    ``filters`` [R, d_model], or with leading dimensions that broadcast against those of ``x`` before ``seq_len``. The framework has no
    FFT of bfloat16 on any device and none of float16 for most lengths: 16-bit inputs are mixed in float32 and rounded once at the end.
    """
    exact = x if x.dtype in (torch.float32, torch.float64) else x.float()
    parts = []
    for w, rows in zip(windows, split_filters(filters.to(exact.dtype), windows), strict=True):
        spectrum = torch.fft.rfft(cut(exact, w), dim=-2)
        parts.append(joined(torch.fft.irfft(spectrum * rows.unsqueeze(-3), n=w, dim=-2), x.shape[-2]))
    return torch.cat(parts, dim=-1).to(x.dtype)


def mixed64(x: Tensor, filters: Tensor, windows: Sequence[int]) -> Tensor:
    """:func:`mixed` in float64: what every implementation is compared with."""
    return mixed(x.detach().double(), filters.detach().double(), windows)


def gradients64(x: Tensor, filters: Tensor, windows: Sequence[int], dy: Tensor) -> tuple[Tensor, Tensor]:
    """∂⟨dy, mixed(x, filters)⟩ by x and by the filters, in float64 by autograd; ``dy`` [..., seq_len, S · d_model]."""
    x, filters = x.detach().double().requires_grad_(), filters.detach().double().requires_grad_()
    dx, dfilters = torch.autograd.grad(mixed(x, filters, windows), (x, filters), dy.detach().double())
    return dx, dfilters
