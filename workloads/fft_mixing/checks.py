"""Whether the layers that are timed compute what they should, at the very size at which they are timed. Worker side.

Each layer is compared with float64 on some tokens of the batch's last sequence, its end included, where an error of indices would show.
The tolerance comes from the error that the framework's plain operations make at the same precision (``lab.correctness``).
"""

from __future__ import annotations

import copy
import math

import torch
from torch import Tensor
from torch.nn import functional

from lab.correctness import disagreement
from workloads.fft_mixing.attention import FusedAttention
from workloads.fft_mixing.layers import FftMix

CHECKED_TOKENS = 128  # at least this many of the last sequence (all of a shorter one)
GRADIENT_TOKENS = 100  # of a short sequence of its own, on which gradients of all parameters are compared


def wrong_mixing(layer: FftMix, reference: FftMix, x: Tensor) -> str:
    """What is wrong with the output of ``layer`` on ``x`` [batch, seq_len, d_model], or "".

    ``reference`` computes the published form with the same parameters. Windows do not overlap, so the end of a sequence, cut where a window
    of every size begins, is mixed as it is within the whole.
    """
    stride = math.lcm(*layer.windows)
    start = max(0, (x.shape[1] - CHECKED_TOKENS) // stride * stride)
    end = x[-1:, start:]
    with torch.no_grad():
        got = layer(x)[-1:, start:]
        exact = copy.deepcopy(reference).double()(end.double())
        return disagreement(got, exact, reference(end))


def wrong_gradients(layer: FftMix, reference: FftMix, sample: Tensor) -> str:
    """What is wrong with the gradients of ``layer`` by its input and all parameters on ``sample`` [batch, seq_len, d_model], or ""."""
    exact_layer = copy.deepcopy(reference).double()
    cotangent = torch.randn_like(sample)
    names = ["x", *dict(layer.named_parameters())]
    got, eager, exact = (_gradients(one, sample, cotangent) for one in (layer, reference, exact_layer))
    for name, g, e, plain in zip(names, got, exact, eager, strict=True):
        wrong = disagreement(g, e, plain)
        if wrong:
            return f"gradient by {name}: {wrong}"
    return ""


def _gradients(layer: FftMix, x: Tensor, cotangent: Tensor) -> tuple[Tensor, ...]:
    x = x.detach().to(layer.filters.dtype).requires_grad_()
    parameters = [x, *dict(layer.named_parameters()).values()]
    return torch.autograd.grad(layer(x), parameters, cotangent.to(layer.filters.dtype))


def wrong_attention(got: Tensor, layer: FusedAttention, x: Tensor) -> str:
    """What is wrong with ``got``, the attention of ``x`` with the parameters of ``layer``, or "".

    The last :data:`CHECKED_TOKENS` queries of the last sequence are computed against all keys.
    """
    exact = attention_rows(copy.deepcopy(layer).double(), x[-1].double())
    plain = attention_rows(layer, x[-1])
    return disagreement(got[-1, -CHECKED_TOKENS:], exact, plain)


def attention_rows(layer: FusedAttention, x: Tensor) -> Tensor:
    """Self-attention of ``x`` [seq_len, d_model] by its definition, softmax(q kᵀ / √head_dim) v, for its last queries: [≤ 128, d_model]."""
    with torch.no_grad():
        q, k, v = (heads[0] for heads in layer.heads(x[None]))
        scores = q[:, -CHECKED_TOKENS:] @ k.transpose(1, 2) / math.sqrt(layer.head_dim)
        mixed = functional.softmax(scores, dim=-1) @ v
        return layer.projection_out(mixed.transpose(0, 1).flatten(1))
