"""Multi-head self-attention, the baseline: as published, and with the framework's fused kernels.

Both hold the same parameters: one input projection d_model → 3 · d_model and one output projection d_model → d_model, with biases. As
published, the framework's module also returns the attention weights, which no caller uses; that alone turns its fused path off, and it
writes N × N weights per head to memory. :class:`FusedAttention` calls ``scaled_dot_product_attention`` with one of its backends;
:func:`fastest_backend` finds by measurement which one a machine does best with.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import scaled_dot_product_attention

from lab.timing import Arm, Excluded, LatencySampler, Sampling, compare, described, synchronizer

# Fused backends first; "math" materialises the weights in several kernels and is there so that there is always one.
BACKENDS: Mapping[str, SDPBackend] = {
    "cudnn": SDPBackend.CUDNN_ATTENTION,
    "flash": SDPBackend.FLASH_ATTENTION,
    "efficient": SDPBackend.EFFICIENT_ATTENTION,
    "math": SDPBackend.MATH,
}
MATH_MAX_BYTES = 4 << 30  # of weights, above which "math" is not tried
CHOOSING = Sampling(segment_s=0.01, looks=(4,), warmup_s=0.1)  # backends that matter differ by far more than this resolves


def checked_head_dim(d_model: int, n_heads: int) -> int:
    """d_model / n_heads. Raises ValueError where n_heads does not divide d_model."""
    if n_heads < 1 or d_model % n_heads:
        raise ValueError(f"n_heads = {n_heads} must divide d_model = {d_model}")
    return d_model // n_heads


class PublishedAttention(nn.Module):
    """The framework's multi-head attention module, called so that it returns the attention weights as well: the published baseline."""

    def __init__(
        self,
        d_model: int,
        n_heads: int,
        *,
        causal: bool = False,
        device: str | torch.device | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        checked_head_dim(d_model, n_heads)
        self.attention = nn.MultiheadAttention(d_model, n_heads, batch_first=True, device=device, dtype=dtype)
        self.causal = causal

    def forward(self, x: Tensor) -> Tensor:
        mask = None
        if self.causal:
            mask = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool, device=x.device).triu(1)
        mixed, _ = self.attention(x, x, x, attn_mask=mask)
        return mixed


class FusedAttention(nn.Module):
    """Projection to queries, keys and values in one product, fused attention, output projection.

    ``backend``: one of ``BACKENDS``, or "" for the framework's own choice, which saves the host the microseconds that telling it costs in
    each call. Raises ValueError for another backend and where ``n_heads`` does not divide ``d_model``.
    """

    def __init__(
        self,
        d_model: int,
        n_heads: int,
        *,
        causal: bool = False,
        backend: str = "",
        device: str | torch.device | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        if backend and backend not in BACKENDS:
            raise ValueError(f"backend is one of {', '.join(BACKENDS)}; not {backend!r}")
        self.n_heads, self.head_dim, self.causal, self.backend = n_heads, checked_head_dim(d_model, n_heads), causal, backend
        self.projection_in = nn.Linear(d_model, 3 * d_model, device=device, dtype=dtype)
        self.projection_out = nn.Linear(d_model, d_model, device=device, dtype=dtype)

    def attend(self, x: Tensor, backend: str) -> Tensor:
        """The layer on ``x`` [batch, seq_len, d_model] with one of ``BACKENDS``, or "" for the framework's own choice."""
        batch, seq_len, d_model = x.shape
        q, k, v = self.heads(x)
        if backend:
            with sdpa_kernel(BACKENDS[backend]):
                out = scaled_dot_product_attention(q, k, v, is_causal=self.causal)
        else:
            out = scaled_dot_product_attention(q, k, v, is_causal=self.causal)
        return self.projection_out(out.transpose(1, 2).reshape(batch, seq_len, d_model))

    def heads(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values of ``x``, each [batch, n_heads, seq_len, head_dim]."""
        packed = self.projection_in(x).unflatten(-1, (3, self.n_heads, self.head_dim))
        q, k, v = packed.permute(2, 0, 3, 1, 4).unbind(0)
        return q, k, v

    def forward(self, x: Tensor) -> Tensor:
        return self.attend(x, self.backend)

    @torch.no_grad()
    def load_published(self, published: PublishedAttention) -> None:
        """Take the parameters of the published module, so that both compute the same function."""
        module = published.attention
        assert module.in_proj_weight is not None
        self.projection_in.weight.copy_(module.in_proj_weight)
        self.projection_in.bias.copy_(module.in_proj_bias)
        self.projection_out.weight.copy_(module.out_proj.weight)
        self.projection_out.bias.copy_(module.out_proj.bias)


def chosen_by_framework(layer: FusedAttention, x: Tensor) -> str:
    """The backend that ``scaled_dot_product_attention`` takes in ``layer`` on ``x`` if not told; "" where it is none of ``BACKENDS``."""
    choice = SDPBackend(torch._fused_sdp_choice(*layer.heads(x), is_causal=layer.causal))
    return next((name for name, backend in BACKENDS.items() if backend == choice), "")


@dataclass(frozen=True)
class BackendChoice:
    """The fastest attention backend for one shape: its name, least seconds of the layer by backend, and why the others were not timed."""

    name: str
    seconds: Mapping[str, float]
    reasons: Mapping[str, str]


def fastest_backend(layer: FusedAttention, x: Tensor, *, backward: bool = False, sampling: Sampling = CHOOSING) -> BackendChoice:
    """Time ``layer`` on ``x`` [batch, seq_len, d_model] with every backend that runs there, set it to the fastest and say which that is.

    ``backward``: forward and backward together, for which ``x`` must require a gradient. Backends that the device, the dtype or the
    shape does not allow are left out with the reason. Raises RuntimeError where none runs.
    """
    call: Callable[..., object] = gradients if backward else inference
    arms, reasons = [], {}
    for name in BACKENDS:
        reason = _obstacle(layer, x, name, call)
        if reason:
            reasons[name] = reason
        else:
            arms.append(Arm(name, "", "baseline", str(x.device), str(x.dtype), _at_any_place(call, layer, x, name)))
    if not arms:
        raise RuntimeError("no attention backend runs here: " + "; ".join(f"{name}: {reason}" for name, reason in reasons.items()))
    seen: dict[str, list[float]] = {}
    for outcome in compare(arms, arms[0].key, LatencySampler(synchronizer(str(x.device))), sampling):
        if isinstance(outcome, Excluded):
            reasons[outcome.arm.name] = outcome.reason
        else:
            for (name, _), value in outcome.seconds.items():
                seen.setdefault(name, []).append(value)
    seconds = {name: min(values) for name, values in seen.items()}  # other work on the machine only ever adds time
    fastest = min(seconds, key=lambda name: seconds[name])
    layer.backend = "" if chosen_by_framework(layer, x) == fastest else fastest
    return BackendChoice(fastest, seconds, reasons)


def inference(layer: FusedAttention, x: Tensor, backend: str) -> Tensor:
    """The layer on ``x`` without autograd."""
    with torch.no_grad():
        return layer.attend(x, backend)


def gradients(layer: FusedAttention, x: Tensor, backend: str) -> tuple[Tensor, ...]:
    """The layer on ``x`` forward, and its gradients by ``x`` and by every parameter."""
    y = layer.attend(x, backend)
    return torch.autograd.grad(y, [x, *layer.parameters()], y.detach())


def _at_any_place(call: Callable[..., object], *arguments: object) -> Callable[[int], object]:
    """``call`` on the same arguments at whatever place of a rotation."""
    return lambda _: call(*arguments)


def _obstacle(layer: FusedAttention, x: Tensor, backend: str, call: Callable[..., object]) -> str:
    """Why ``layer`` cannot run on ``x`` with ``backend``; "" where it can."""
    weights_bytes = x.shape[0] * layer.n_heads * x.shape[1] ** 2 * x.element_size()
    if backend == "math" and weights_bytes > MATH_MAX_BYTES:
        return f"the attention weights alone would take {weights_bytes / 2**30:.0f} GiB"
    with warnings.catch_warnings(record=True) as said:  # the framework gives its reasons as warnings
        warnings.simplefilter("always")
        try:
            call(layer, x, backend)
        except RuntimeError as error:  # out of memory included
            reasons = [str(w.message).split(" (Triggered")[0] for w in said]
            return "; ".join(dict.fromkeys([described(error), *reasons]))[:300]
    return ""
