"""Other mixers without attention, at the same width: what FFT-Mix has to be better than.

- **FNet** (Lee-Thorp et al., 2021): the real part of a two-dimensional Fourier transform over time and channels. No parameters, no
  projection; every token sees every other. Not causal.
- **Depthwise convolution** of the same reach: one kernel of ``reach`` taps per channel over time, then a linear layer d_model → d_model. A
  token sees ``reach`` tokens, like FFT-Mix with ``reach`` as its largest window, but the neighbourhood moves along with the token.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional


class FNetMix(nn.Module):
    """y = Re(F_time F_channels x): x [..., seq_len, d_model] → the same shape and dtype; no parameters.

    Half of the channels' spectrum is computed; the other half is its mirror image, because x is real:
    X[−n, −m] is the conjugate of X[n, m]. 16-bit inputs are transformed in float32 and rounded once, as the framework has no such FFT.
    """

    def forward(self, x: Tensor) -> Tensor:
        d_model = x.shape[-1]
        exact = x if x.dtype in (torch.float32, torch.float64) else x.float()
        half = torch.fft.rfft2(exact).real
        mirrored = half[..., 1 : (d_model + 1) // 2].flip(-1, -2).roll(1, -2)
        return torch.cat((half, mirrored), dim=-1).to(x.dtype)


class DepthwiseConvolution(nn.Module):
    """Depthwise convolution over time, then a linear layer: x [batch, seq_len, d_model] → the same shape.

    y[t] = Σ_k weight[:, k] x[t + k − before], with before = reach − 1 where ``causal``, else reach // 2; zeros outside the sequence.
    Raises ValueError for a ``reach`` below 2.
    """

    def __init__(
        self,
        d_model: int,
        reach: int,
        *,
        causal: bool = False,
        device: str | torch.device | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        if reach < 2:
            raise ValueError(f"a convolution's reach is at least 2 tokens, not {reach}")
        self.reach, self.before = reach, before(reach, causal)
        self.weight = nn.Parameter(torch.empty(d_model, 1, reach, device=device, dtype=dtype))
        self.projection = nn.Linear(d_model, d_model, device=device, dtype=dtype)
        nn.init.uniform_(self.weight, -1 / math.sqrt(reach), 1 / math.sqrt(reach))

    def forward(self, x: Tensor) -> Tensor:
        return self.projection(convolved(x, self.weight, self.before))


def before(reach: int, causal: bool) -> int:
    """How many of ``reach`` tokens stand before the one in question."""
    return reach - 1 if causal else reach // 2


def convolved(x: Tensor, weight: Tensor, tokens_before: int) -> Tensor:
    """``x`` [batch, seq_len, d] convolved over time with ``weight`` [d, 1, reach] for each channel → [batch, seq_len, d]."""
    channels, _, reach = weight.shape
    padded = functional.pad(x.transpose(1, 2), (tokens_before, reach - 1 - tokens_before))
    return functional.conv1d(padded, weight, groups=channels).transpose(1, 2)
