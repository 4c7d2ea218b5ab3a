"""The mixers for M models side by side: factories for ``mixer=`` of ``lab.training.models``, so that all seeds train as one batch.

    models.SequenceClassifier(..., mixer=partial(FftMixer, d_model=28))

Inputs and outputs [M, batch, seq_len, d_model], parameters [M, …]. They compute what ``layers.FftMix``, ``peers.FNetMix`` and
``peers.DepthwiseConvolution`` compute with each model's parameters (tested), in the framework's operations, differentiated by autograd.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from lab.training.layers import Batched, Linear
from workloads.fft_mixing import circulant, fourier_basis, peers
from workloads.fft_mixing.reference import FILTER_STD, PUBLISHED_WINDOWS, checked_windows, filter_rows


class FftMixer(Batched):
    """FFT-Mix of M models; ``windows``, ``causal`` and the parameters as in ``layers.FftMix``."""

    def __init__(self, n_models: int, d_model: int, windows: Sequence[int] = PUBLISHED_WINDOWS, *, causal: bool = False) -> None:
        super().__init__(n_models)
        self.windows, self.causal, self.d_model = checked_windows(windows), causal, d_model
        self.filters = self.parameter(filter_rows(self.windows), d_model)
        self.projection = Linear(n_models, len(self.windows) * d_model, d_model)

    def draw(self, generator: torch.Generator) -> Mapping[str, Tensor]:
        return {"filters": FILTER_STD * torch.randn(self.filters.shape[1:], generator=generator)}

    def forward(self, x: Tensor) -> Tensor:
        if self.causal:
            return self.projection(circulant.mixed(x, self.filters, self.windows, causal=True))
        return self.projection(fourier_basis.mixed(x, self.filters.unsqueeze(1), self.windows))


class FNetMixer(Batched):
    """FNet of M models: no parameters. Not causal."""

    def __init__(self, n_models: int) -> None:
        super().__init__(n_models)
        self.mix = peers.FNetMix()

    def forward(self, x: Tensor) -> Tensor:
        return self.mix(x)


class ConvolutionMixer(Batched):
    """Depthwise convolution and linear layer of M models; ``reach`` and ``causal`` as in ``peers.DepthwiseConvolution``."""

    def __init__(self, n_models: int, d_model: int, reach: int, *, causal: bool = False) -> None:
        super().__init__(n_models)
        if reach < 2:
            raise ValueError(f"a convolution's reach is at least 2 tokens, not {reach}")
        self.reach, self.before = reach, peers.before(reach, causal)
        self.weight = self.parameter(d_model, 1, reach)
        self.projection = Linear(n_models, d_model, d_model)

    def draw(self, generator: torch.Generator) -> Mapping[str, Tensor]:
        uniform = 2 * torch.rand(self.weight.shape[1:], generator=generator) - 1
        return {"weight": uniform / math.sqrt(self.reach)}

    def forward(self, x: Tensor) -> Tensor:
        models, batch, seq_len, d_model = x.shape
        side_by_side = x.permute(1, 2, 0, 3).reshape(batch, seq_len, models * d_model)
        y = peers.convolved(side_by_side, self.weight.flatten(0, 1), self.before)
        return self.projection(y.view(batch, seq_len, models, d_model).permute(2, 0, 1, 3))
