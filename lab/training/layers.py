"""Layers of M models side by side: parameters [M, …], inputs and outputs [M, batch, …, features].

A layer of one's own derives from :class:`Batched`: it gives every parameter and buffer a leading model dimension, never mixes models in
``forward``, and draws one model's parameters in ``draw``. Then ``initialise``, ``take``, the optimisers and ``fit`` work with it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from lab.parameters import ParameterError

Scheme = Literal["uniform", "he_normal"]  # how weights are drawn: uniform as torch.nn.Linear does, or N(0, 2 / fan_in) with zero bias


class Batched(nn.Module):
    """Base of layers that hold parameters or random state of M models."""

    def __init__(self, n_models: int) -> None:
        super().__init__()
        self.n_models = at_least_one("n_models", n_models)

    def draw(self, generator: torch.Generator) -> Mapping[str, Tensor]:
        """One model's own parameters and buffers by name, without the model dimension, float32 on the CPU. Default: none."""
        return {}

    def parameter(self, *shape: int) -> nn.Parameter:
        """A parameter [n_models, *shape], NaN until ``initialise``: a model that was not initialised cannot pass for one that was."""
        return nn.Parameter(torch.full((self.n_models, *shape), torch.nan))


def at_least_one(name: str, value: int) -> int:
    """``value``, where it is a whole number of at least 1. Raises ParameterError naming the field."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ParameterError(name, value, "a whole number of at least 1")
    return value


def drawn_weight(shape: tuple[int, ...], fan_in: int, scheme: Scheme, generator: torch.Generator) -> Tensor:
    """A weight for inputs of ``fan_in`` features: U(±1/√fan_in) (torch's default: Kaiming uniform with a = √5) or N(0, 2/fan_in) (He)."""
    if scheme == "he_normal":
        return torch.randn(shape, generator=generator) * math.sqrt(2 / fan_in)
    return drawn_bias(shape, fan_in, scheme, generator)


def drawn_bias(shape: tuple[int, ...], fan_in: int, scheme: Scheme, generator: torch.Generator) -> Tensor:
    """A bias: U(±1/√fan_in) as ``torch.nn.Linear`` draws it, or zeros with ``he_normal``."""
    if scheme == "he_normal":
        return torch.zeros(shape)
    return (2 * torch.rand(shape, generator=generator) - 1) / math.sqrt(fan_in)


class Linear(Batched):
    """y = x W + b for each model: x [M, batch, …, in_features] → [M, batch, …, out_features]; one batched matrix product."""

    def __init__(self, n_models: int, in_features: int, out_features: int, *, bias: bool = True, scheme: Scheme = "uniform") -> None:
        super().__init__(n_models)
        self.in_features = at_least_one("in_features", in_features)
        self.out_features = at_least_one("out_features", out_features)
        self.scheme: Scheme = scheme
        self.weight = self.parameter(in_features, out_features)
        self.bias = self.parameter(1, out_features) if bias else None

    def draw(self, generator: torch.Generator) -> Mapping[str, Tensor]:
        drawn = {"weight": drawn_weight((self.in_features, self.out_features), self.in_features, self.scheme, generator)}
        if self.bias is not None:
            drawn["bias"] = drawn_bias((1, self.out_features), self.in_features, self.scheme, generator)
        return drawn

    def forward(self, x: Tensor) -> Tensor:
        rows = x if x.dim() == 3 else x.reshape(x.shape[0], -1, self.in_features)
        y = torch.bmm(rows, self.weight) if self.bias is None else torch.baddbmm(self.bias, rows, self.weight)
        return y if x.dim() == 3 else y.view(*x.shape[:-1], self.out_features)


class Conv2d(Batched):
    """2-D convolution of each model: x [M, batch, in_channels, h, w] → [M, batch, out_channels, h', w']; one convolution of M groups."""

    def __init__(
        self, n_models: int, in_channels: int, out_channels: int, kernel: int, *, padding: int = 0, scheme: Scheme = "uniform"
    ) -> None:
        super().__init__(n_models)
        self.in_channels = at_least_one("in_channels", in_channels)
        self.out_channels = at_least_one("out_channels", out_channels)
        self.kernel = at_least_one("kernel", kernel)
        self.padding, self.scheme = padding, scheme
        self.weight = self.parameter(out_channels, in_channels, kernel, kernel)
        self.bias = self.parameter(out_channels)

    def draw(self, generator: torch.Generator) -> Mapping[str, Tensor]:
        fan_in = self.in_channels * self.kernel**2
        shape = (self.out_channels, self.in_channels, self.kernel, self.kernel)
        return {
            "weight": drawn_weight(shape, fan_in, self.scheme, generator),
            "bias": drawn_bias((self.out_channels,), fan_in, self.scheme, generator),
        }

    def forward(self, x: Tensor) -> Tensor:
        models, batch = x.shape[:2]
        grouped = x.transpose(0, 1).reshape(batch, models * self.in_channels, *x.shape[3:])
        weight = self.weight.reshape(models * self.out_channels, *self.weight.shape[2:])
        y = functional.conv2d(grouped, weight, self.bias.reshape(-1), padding=self.padding, groups=models)
        return y.view(batch, models, self.out_channels, *y.shape[2:]).transpose(0, 1)


class Embedding(Batched):
    """Rows of a table per model: ids [M, batch, …] (integers below n_rows) → [M, batch, …, features]; drawn from N(0, std²)."""

    def __init__(self, n_models: int, n_rows: int, features: int, *, std: float = 1.0) -> None:
        super().__init__(n_models)
        self.n_rows, self.features, self.std = at_least_one("n_rows", n_rows), at_least_one("features", features), std
        self.weight = self.parameter(n_rows, features)

    def draw(self, generator: torch.Generator) -> Mapping[str, Tensor]:
        return {"weight": self.std * torch.randn(self.n_rows, self.features, generator=generator)}

    def forward(self, ids: Tensor) -> Tensor:
        models = ids.shape[0]
        first_rows = torch.arange(models, device=ids.device).mul_(self.n_rows).view(models, *(1 for _ in ids.shape[1:]))
        return functional.embedding(ids + first_rows, self.weight.reshape(models * self.n_rows, self.features))


class Positions(Batched):
    """Adds a learned vector for each place of the sequence: x [M, batch, seq_len ≤ context, features]; drawn from N(0, std²)."""

    def __init__(self, n_models: int, context: int, features: int, *, std: float = 0.02) -> None:
        super().__init__(n_models)
        self.context, self.features, self.std = at_least_one("context", context), at_least_one("features", features), std
        self.weight = self.parameter(context, features)

    def draw(self, generator: torch.Generator) -> Mapping[str, Tensor]:
        return {"weight": self.std * torch.randn(self.context, self.features, generator=generator)}

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[-2] > self.context:
            raise ParameterError("seq_len", x.shape[-2], f"a whole number from 1 to the context, {self.context}")
        return x + self.weight[:, None, : x.shape[-2]]


class LayerNorm(Batched):
    """Normalises the last dimension to mean 0 and variance 1, then scales and shifts: x [M, batch, …, features]."""

    def __init__(self, n_models: int, features: int, *, eps: float = 1e-5) -> None:
        super().__init__(n_models)
        self.features, self.eps = at_least_one("features", features), eps
        self.weight, self.bias = self.parameter(features), self.parameter(features)

    def draw(self, generator: torch.Generator) -> Mapping[str, Tensor]:
        return {"weight": torch.ones(self.features), "bias": torch.zeros(self.features)}

    def forward(self, x: Tensor) -> Tensor:
        per_model = (x.shape[0], *(1 for _ in x.shape[1:-1]), self.features)
        normed = functional.layer_norm(x, (self.features,), eps=self.eps)
        return torch.addcmul(self.bias.view(per_model), normed, self.weight.view(per_model))


class Dropout(Batched):
    """Sets each value to 0 with probability ``p`` in training and scales the others by 1/(1 − p): x [M, batch, …].

    The mask is a function of the layer's key (drawn from the model's seed), of the number of training passes so far and of the value's
    place (a 32-bit integer hash with the constants of the "lowbias32" mixer by C. Wellons), not of a generator's state: so it is the same
    however many models are trained together, on every device, and within a CUDA graph.
    """

    def __init__(self, n_models: int, p: float) -> None:
        super().__init__(n_models)
        if not 0 <= p < 1:
            raise ParameterError("dropout", p, "a number of at least 0 and below 1")
        self.p = p
        self._places: dict[tuple[int, torch.device], Tensor] = {}  # constant, and the same for all models
        self.keys: Tensor
        self.passes: Tensor
        self.register_buffer("keys", torch.zeros(n_models, dtype=torch.int32))
        self.register_buffer("passes", torch.zeros(n_models, dtype=torch.int32))

    def draw(self, generator: torch.Generator) -> Mapping[str, Tensor]:
        return {"keys": torch.randint(-(2**31), 2**31, (), generator=generator), "passes": torch.zeros(())}

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.p == 0:
            return x
        self.passes += 1
        kept = hashed(self.keys ^ hashed(self.passes))[:, None] ^ self._hashed_places(x[0].numel(), x.device)
        mask = (hashed(kept) >= round(self.p * 2**32) - 2**31).to(x.dtype).mul_(1 / (1 - self.p))
        return x * mask.view(x.shape)

    def _hashed_places(self, count: int, device: torch.device) -> Tensor:
        if (count, device) not in self._places:
            self._places[count, device] = hashed(torch.arange(count, dtype=torch.int32, device=device))
        return self._places[count, device]


def hashed(x: Tensor) -> Tensor:
    """A bijection of 32-bit integers that looks random: int32 [any shape] → int32 (xor-shifts and products modulo 2³²)."""
    x = x + 0x3C6EF372  # 0 must not stay 0
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B - 2**32)):
        high = torch.bitwise_right_shift(x, shift).bitwise_and_((1 << 32 - shift) - 1)  # a logical shift: the sign does not spread
        x = x.bitwise_xor_(high).mul_(factor)
    return x.bitwise_xor_(torch.bitwise_right_shift(x, 16).bitwise_and_(0xFFFF))


class SelfAttention(Batched):
    """Multi-head self-attention with fused scaled dot-product attention: x [M, batch, seq_len, d_model] → the same shape.

    ``causal``: a place sees itself and what is before it. One product makes queries, keys and values; models are folded into the batch.
    """

    def __init__(self, n_models: int, d_model: int, n_heads: int, *, causal: bool = True, bias: bool = True) -> None:
        super().__init__(n_models)
        at_least_one("n_heads", n_heads)
        if at_least_one("d_model", d_model) % n_heads:
            raise ParameterError("n_heads", n_heads, f"a divisor of d_model = {d_model}")
        self.n_heads, self.causal = n_heads, causal
        self.qkv = Linear(n_models, d_model, 3 * d_model, bias=bias)
        self.out = Linear(n_models, d_model, d_model, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        models, batch, seq_len, d_model = x.shape
        heads = self.qkv(x).view(models * batch, seq_len, 3, self.n_heads, d_model // self.n_heads)
        q, k, v = heads.permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(q, k, v, is_causal=self.causal)
        return self.out(mixed.transpose(1, 2).reshape(models, batch, seq_len, d_model))
