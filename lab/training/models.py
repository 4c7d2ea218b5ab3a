"""Models built from batched layers: an MLP, a character-level transformer, a classifier of sequences, a small convolutional network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from lab.parameters import ParameterError
from lab.training.layers import (
    Batched,
    Conv2d,
    Dropout,
    Embedding,
    LayerNorm,
    Linear,
    Positions,
    Scheme,
    SelfAttention,
    at_least_one,
)

Activation = Callable[[Tensor], Tensor]
Factory = Callable[[int], nn.Module]  # number of models → a layer [M, batch, seq_len, d_model] → the same shape
Readout = Literal["mean", "last"]


class Mlp(Batched):
    """Fully connected network: x [M, batch, widths[0]] → [M, batch, widths[-1]], ``activation`` after every layer but the last.

    Depth is the number of hidden layers, ``len(widths) − 2``, at least 1. ``dropout`` follows each activation.
    """

    def __init__(
        self, n_models: int, widths: Sequence[int], activation: Activation, *, dropout: float = 0.0, scheme: Scheme = "uniform"
    ) -> None:
        super().__init__(n_models)
        if len(widths) < 3:
            raise ParameterError("depth", len(widths) - 2, "a whole number of at least 1 (hidden layers)")
        self.activation = activation
        self.layers = nn.ModuleList(Linear(n_models, fan_in, fan_out, scheme=scheme) for fan_in, fan_out in pairwise(widths))
        self.dropouts = nn.ModuleList(Dropout(n_models, dropout) for _ in widths[1:-1])

    def forward(self, x: Tensor) -> Tensor:
        for layer, dropout in zip(self.layers, self.dropouts, strict=False):
            x = dropout(self.activation(layer(x)))
        return self.layers[-1](x)


class FeedForward(Batched):
    """Two linear layers with ``activation`` between them: x [M, batch, …, d_model] → the same shape, ``d_ff`` wide inside."""

    def __init__(self, n_models: int, d_model: int, d_ff: int, activation: Activation) -> None:
        super().__init__(n_models)
        self.up, self.down, self.activation = Linear(n_models, d_model, d_ff), Linear(n_models, d_ff, d_model), activation

    def forward(self, x: Tensor) -> Tensor:
        return self.down(self.activation(self.up(x)))


class Block(Batched):
    """Pre-norm residual block: x + mixer(norm(x)), then x + ffn(norm(x)); x [M, batch, seq_len, d_model]."""

    def __init__(self, n_models: int, d_model: int, mixer: nn.Module, ffn: nn.Module, *, dropout: float = 0.0) -> None:
        super().__init__(n_models)
        self.mixer_norm, self.mixer, self.mixer_dropout = LayerNorm(n_models, d_model), mixer, Dropout(n_models, dropout)
        self.ffn_norm, self.ffn, self.ffn_dropout = LayerNorm(n_models, d_model), ffn, Dropout(n_models, dropout)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.mixer_dropout(self.mixer(self.mixer_norm(x)))
        return x + self.ffn_dropout(self.ffn(self.ffn_norm(x)))


def blocks(
    n_models: int,
    d_model: int,
    n_layers: int,
    n_heads: int,
    d_ff: int,
    activation: Activation,
    *,
    causal: bool,
    mixer: Factory | None = None,
    ffn: Factory | None = None,
    dropout: float = 0.0,
) -> nn.Sequential:
    """``n_layers`` pre-norm blocks; ``mixer`` and ``ffn`` build each block's own (default: self-attention and :class:`FeedForward`)."""
    mixer = mixer or (lambda models: SelfAttention(models, d_model, n_heads, causal=causal))
    ffn = ffn or (lambda models: FeedForward(models, d_model, d_ff, activation))
    at_least_one("n_layers", n_layers)
    return nn.Sequential(*(Block(n_models, d_model, mixer(n_models), ffn(n_models), dropout=dropout) for _ in range(n_layers)))


class CharacterModel(Batched):
    """Transformer that predicts the next token: ids [M, batch, seq_len ≤ context] → logits [M, batch, seq_len, vocabulary].

    Token and learned position embeddings, pre-norm blocks, a last norm, a linear head (``tied``: the transposed token embedding). A
    ``mixer`` of one's own must be causal.
    """

    def __init__(
        self,
        n_models: int,
        vocabulary: int,
        context: int,
        d_model: int,
        n_layers: int,
        n_heads: int,
        d_ff: int,
        activation: Activation = functional.gelu,
        *,
        mixer: Factory | None = None,
        ffn: Factory | None = None,
        tied: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(n_models)
        self.tokens = Embedding(n_models, vocabulary, d_model, std=0.02)
        self.positions = Positions(n_models, context, d_model)
        self.blocks = blocks(n_models, d_model, n_layers, n_heads, d_ff, activation, causal=True, mixer=mixer, ffn=ffn, dropout=dropout)
        self.norm = LayerNorm(n_models, d_model)
        self.head = None if tied else Linear(n_models, d_model, vocabulary)

    def forward(self, ids: Tensor) -> Tensor:
        x = self.norm(self.blocks(self.positions(self.tokens(ids))))
        if self.head is not None:
            return self.head(x)
        logits = torch.bmm(x.flatten(1, 2), self.tokens.weight.transpose(1, 2))
        return logits.view(*x.shape[:-1], -1)


class SequenceClassifier(Batched):
    """Transformer that names the class of a sequence: [M, batch, seq_len ≤ context, features] → logits [M, batch, n_classes].

    With ``tokens`` inputs are ids [M, batch, seq_len] below ``features``. Inputs are projected (ids: embedded) to ``d_model``, learned
    positions are added; pre-norm blocks (not causal), a last norm, read-out, linear head. ``readout``: mean over the sequence, or its last
    place, where a query stands.
    """

    def __init__(
        self,
        n_models: int,
        features: int,
        context: int,
        d_model: int,
        n_layers: int,
        n_heads: int,
        d_ff: int,
        n_classes: int,
        activation: Activation = functional.gelu,
        *,
        readout: Readout = "mean",
        tokens: bool = False,
        mixer: Factory | None = None,
        ffn: Factory | None = None,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(n_models)
        if readout not in ("mean", "last"):
            raise ParameterError("readout", readout, "one of mean, last")
        self.readout = readout
        self.inputs = Embedding(n_models, features, d_model, std=0.02) if tokens else Linear(n_models, features, d_model)
        self.positions = Positions(n_models, context, d_model)
        self.blocks = blocks(n_models, d_model, n_layers, n_heads, d_ff, activation, causal=False, mixer=mixer, ffn=ffn, dropout=dropout)
        self.norm = LayerNorm(n_models, d_model)
        self.head = Linear(n_models, d_model, n_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self.blocks(self.positions(self.inputs(x))))
        return self.head(x.mean(-2) if self.readout == "mean" else x[..., -1, :])


class ConvNet(Batched):
    """Small image classifier: [M, batch, channels[0], h, w] → logits [M, batch, n_classes].

    For each further entry of ``channels`` a 3×3 convolution (padded), ``activation`` and 2×2 max pooling; then dropout and a linear layer.
    """

    def __init__(
        self,
        n_models: int,
        image: tuple[int, int],
        channels: Sequence[int],
        n_classes: int,
        activation: Activation = functional.relu,
        *,
        dropout: float = 0.0,
        scheme: Scheme = "uniform",
    ) -> None:
        super().__init__(n_models)
        halvings = len(channels) - 1
        if halvings < 1:
            raise ParameterError("depth", halvings, "a whole number of at least 1 (convolutions)")
        height, width = (side >> halvings for side in image)
        if min(height, width) < 1:
            raise ParameterError("depth", halvings, f"convolutions that leave a pixel of {image[0]} × {image[1]} after halving")
        self.activation = activation
        self.convolutions = nn.ModuleList(
            Conv2d(n_models, fan_in, fan_out, 3, padding=1, scheme=scheme) for fan_in, fan_out in pairwise(channels)
        )
        self.dropout = Dropout(n_models, dropout)
        self.head = Linear(n_models, channels[-1] * height * width, n_classes)

    def forward(self, x: Tensor) -> Tensor:
        for convolution in self.convolutions:
            x = self.activation(convolution(x))
            x = functional.max_pool2d(x.flatten(0, 1), 2).unflatten(0, x.shape[:2])
        return self.head(self.dropout(x.flatten(2)))
