"""Token-mixing layers that stand in one place of a model: x [batch, seq_len, d_model] → [batch, seq_len, d_model], projections included.

    FftMix (reference, fast) ─┐
    PublishedAttention        │
    FusedAttention            ├─→ one signature; parameters counted by `parameter_count`
    FNetMix                   │
    DepthwiseConvolution     ─┘

No layer holds a norm, a residual or a feed-forward block: those are the same around each of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from workloads.fft_mixing import circulant, fused, reference
from workloads.fft_mixing.reference import FILTER_STD, PUBLISHED_WINDOWS, checked_windows, filter_rows

Implementation = Literal["reference", "fast"]


class FftMix(nn.Module):
    """FFT-Mix: a learned filter per channel and window size, then a linear layer from all sizes' outputs to d_model.

    ``windows``: sizes of at least 2, each once. ``causal``: no token sees a later one (``circulant``). ``implementation``: "reference" is
    the published form by ``torch.fft`` (the windows' matrices where causal: there is no published causal form), "fast" one pass over the
    activations (``fused``). Both compute the same function of the same parameters: ``filters`` [Σ (w // 2 + 1), d_model], normal with
    standard deviation 0.02 as published, and ``projection``, the framework's linear layer S · d_model → d_model with bias.
    Raises ValueError for windows that cannot be.
    """

    def __init__(
        self,
        d_model: int,
        windows: Sequence[int] = PUBLISHED_WINDOWS,
        *,
        causal: bool = False,
        implementation: Implementation = "fast",
        device: str | torch.device | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        if implementation not in ("reference", "fast"):
            raise ValueError(f"implementation is one of reference, fast; not {implementation!r}")
        self.windows, self.causal, self.implementation = checked_windows(windows), causal, implementation
        self.filters = nn.Parameter(torch.empty(filter_rows(self.windows), d_model, device=device, dtype=dtype))
        self.projection = nn.Linear(len(self.windows) * d_model, d_model, device=device, dtype=dtype)
        nn.init.normal_(self.filters, std=FILTER_STD)

    def mix(self, x: Tensor) -> Tensor:
        """The mixed tokens [batch, seq_len, S · d_model] before the projection."""
        if self.implementation == "fast":
            return fused.mixed(x, self.filters, self.windows, self.causal)
        if self.causal:
            return circulant.mixed(x, self.filters, self.windows, causal=True)
        return reference.mixed(x, self.filters, self.windows)

    def forward(self, x: Tensor) -> Tensor:
        return self.projection(self.mix(x))

    def extra_repr(self) -> str:
        return f"windows={self.windows}, causal={self.causal}, implementation={self.implementation!r}"


def parameter_count(module: nn.Module) -> int:
    """Numbers that training changes."""
    return sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)
