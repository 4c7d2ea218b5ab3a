"""Dense attention, the baseline: as published with a stored table of weights, and the framework's fused backends."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import scaled_dot_product_attention

from workloads.spectral_sparse_attention.reference import softmax_scale

# Fused backends by the names that records use. On a CPU only "flash" exists.
BACKENDS: Mapping[str, SDPBackend] = MappingProxyType(
    {"cudnn": SDPBackend.CUDNN_ATTENTION, "flash": SDPBackend.FLASH_ATTENTION, "efficient": SDPBackend.EFFICIENT_ATTENTION}
)
TABLES = 2  # of N × N that naive attention holds at a time: logits and weights


def naive(query: Tensor, key: Tensor, value: Tensor, *, causal: bool = False, scale: float | None = None) -> Tensor:
    """softmax(QKᵀ · scale) V with the whole table stored, as the source times it: [*, N, head_dim] → [*, N, head_dim]."""
    logits = query @ key.mT * softmax_scale(query.shape[-1], scale)
    if causal:
        later = torch.ones(logits.shape[-2:], dtype=torch.bool, device=logits.device).triu_(1)
        logits = logits.masked_fill(later, -torch.inf)
    return logits.softmax(-1) @ value


def naive_bytes(n_problems: int, n_tokens: int, itemsize: int) -> int:
    """Bytes of the tables that :func:`naive` holds at its peak, for ``n_problems`` heads in all."""
    return TABLES * n_problems * n_tokens**2 * itemsize


def with_backend(name: str) -> Callable[..., Tensor]:
    """Fused attention by one backend of :data:`BACKENDS`: (query, key, value, *, causal, scale), [*, N, head_dim] → [*, N, head_dim].

    The call raises RuntimeError where the backend does not take the tensors or the device.
    """
    backend = BACKENDS[name]

    def attention(query: Tensor, key: Tensor, value: Tensor, *, causal: bool = False, scale: float | None = None) -> Tensor:
        q, k, v = (x if x.dim() == 4 else x.reshape(1, -1, *x.shape[-2:]) for x in (query, key, value))
        with sdpa_kernel(backend):
            return scaled_dot_product_attention(q, k, v, is_causal=causal, scale=scale).reshape(query.shape)

    return attention


def usable_backends(query: Tensor) -> dict[str, str]:
    """For each backend why it does not take tensors like ``query`` [*, N, head_dim], or "" where it does (tried on a few tokens)."""
    few = query[..., : min(64, query.shape[-2]), :].detach()
    found = {}
    for name in BACKENDS:
        try:
            with_backend(name)(few, few, few)
            found[name] = ""
        except RuntimeError as error:
            found[name] = str(error).strip().splitlines()[0]
    return found
