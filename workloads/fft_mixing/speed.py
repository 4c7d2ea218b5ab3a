"""Speed of one layer of each kind at one N: FFT-Mix, attention, peers, and what FFT-Mix cannot do without. Worker side.

One cell of the sweep: B sequences of N random tokens, the same for every arm. Order: layers are built with parameters of one seed, the
fastest attention backend is chosen by measurement, everything fast is checked against float64, then peak memory, time, joules.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from lab.correctness import failure_of
from lab.environment import host_memory
from lab.measuring import energy, missing, peak_memory, sampling_of, smallest_call_s, timed, within
from lab.records import Event, Phase, Role, Scalar
from lab.rotation import Rotation, cache_bytes, rotated_buffers
from lab.timing import Arm, ArmKey, Sampling
from lab.workload import Context
from workloads.fft_mixing.attention import FusedAttention, PublishedAttention, fastest_backend
from workloads.fft_mixing.checks import GRADIENT_TOKENS, wrong_attention, wrong_gradients, wrong_mixing
from workloads.fft_mixing.costs import why_not_materialised, why_not_timed
from workloads.fft_mixing.layers import FftMix
from workloads.fft_mixing.names import (
    ATTENTION,
    CONVOLUTION,
    COPY,
    EAGER,
    FFT_MIX,
    FNET,
    FUSED,
    LAYER,
    MODULE,
    PROJECTION,
    SDPA,
    SMALLEST_CALL,
    dimensions_of,
)
from workloads.fft_mixing.parameters import FftMixingParameters
from workloads.fft_mixing.peers import DepthwiseConvolution, FNetMix
from workloads.fft_mixing.scaling import LAUNCH_FACTOR

SHORT_SEQUENCE = 64  # tokens of the one sequence on which a call is as short as it gets
LIMIT_SAMPLING = Sampling(segment_s=0.01, looks=(5,), warmup_s=0.1)  # a line to compare with, not an arm of the comparison
TIMERS = ("latency_s", "device_time_s")

Buffers = tuple[Tensor, ...]


@dataclass
class Candidate:
    """A layer that is to be timed, or why it is not."""

    name: str
    implementation: str
    layer: nn.Module | None
    reason: str = ""

    @property
    def key(self) -> ArmKey:
        return (self.name, self.implementation)

    @property
    def role(self) -> Role:
        return "technique" if self.name == FFT_MIX else "baseline"


def comparison(params: FftMixingParameters, context: Context, with_energy: bool) -> Generator[Event, None, None]:
    """Everything one cell yields about the speed of layers."""
    device, dtype = context.device, getattr(torch, params.dtype)
    backward = params.mode == "forward_backward"
    dimensions = dimensions_of(LAYER, direction=params.mode, seq_len=params.seq_len, batch_size=params.batch_size, d_model=params.d_model)
    what = f"N = {params.seq_len:,}"
    yield Phase("inputs", f"{params.batch_size} × {params.seq_len:,} tokens × {params.d_model} features, {params.dtype}")
    rotation = inputs(params, device, dtype, params.d_model)
    x = rotation.buffers[0][0]
    torch.manual_seed(params.seed)
    yield Phase("build", "layers, the fastest attention backend, comparison with float64", budgeted=False)
    runnable: dict[ArmKey, nn.Module] = {}
    roles: dict[ArmKey, Role] = {}
    for candidate in candidates(params, context, x):
        roles[candidate.key] = candidate.role
        if candidate.reason or candidate.layer is None:
            arm = Arm(candidate.name, candidate.implementation, candidate.role, device, params.dtype, lambda i: None)
            yield from missing(arm, TIMERS, candidate.reason, dimensions)
        else:
            runnable[candidate.key] = candidate.layer
    step = training_call if backward else inference_call

    def arms_on(one: Rotation) -> list[Arm]:
        return [
            Arm(*key, roles[key], device, params.dtype, one.call(step(layer)), one.period, one.reason) for key, layer in runnable.items()
        ]

    arms = arms_on(rotation)
    if not arms:
        return
    baseline = next((arm.key for arm in arms if arm.name == ATTENTION and arm.implementation != MODULE), arms[0].key)
    yield from peak_memory(arms, [rotation], dimensions)
    short = inputs(params, device, dtype, params.d_model, batch_size=1, seq_len=SHORT_SEQUENCE)
    thresholds: dict[ArmKey, float] = {}
    for arm in arms_on(short):
        smallest_s = smallest_call_s(arm)
        thresholds[arm.key] = LAUNCH_FACTOR * smallest_s
        yield arm.record("sound", SMALLEST_CALL, smallest_s, "s", dimensions=dimensions)
    done = 0.4 if with_energy else 0.9
    seconds = yield from within(timed(arms, baseline, device, sampling_of(params), dimensions, what, hidden_launches=thresholds), 0.0, done)
    rotation.drop_outputs()
    yield from within(limits(params, device, dtype, dimensions), done, done + 0.1)
    if with_energy:
        yield from within(energy(energy_arms(arms, seconds), params.energy, context, dimensions), done + 0.1, 1.0)
        rotation.drop_outputs()


def inputs(
    params: FftMixingParameters, device: str, dtype: torch.dtype, features: int, *, batch_size: int = 0, seq_len: int = 0
) -> Rotation:
    """Standard normal tokens (and, with backward, cotangents) that rotate through four caches; the shape is the cell's unless given."""
    shape = (batch_size or params.batch_size, seq_len or params.seq_len)
    generator = torch.Generator(device).manual_seed(params.seed)
    backward = params.mode == "forward_backward"

    def normal(width: int) -> Tensor:
        return torch.randn(*shape, width, dtype=torch.float32, device=device, generator=generator).to(dtype)

    def make(_: int) -> Buffers:
        x = normal(features)
        return (x.requires_grad_(), normal(params.d_model)) if backward else (x,)

    bytes_each = shape[0] * shape[1] * dtype.itemsize * (features + (params.d_model if backward else 0))
    return rotated_buffers(make, bytes_each, cache_bytes(device))


def inference_call(layer: Callable[[Tensor], Tensor]) -> Callable[[Buffers], Tensor]:
    """One timed call: the layer forward, without autograd."""

    def call(buffers: Buffers) -> Tensor:
        with torch.no_grad():
            return layer(buffers[0])

    return call


def training_call(layer: Callable[[Tensor], Tensor]) -> Callable[[Buffers], tuple[Tensor, ...]]:
    """One timed call: the layer forward and its gradients by the input and every parameter."""
    parameters = list(layer.parameters()) if isinstance(layer, nn.Module) else []

    def call(buffers: Buffers) -> tuple[Tensor, ...]:
        x, cotangent = buffers
        y = layer(x)
        return y.detach(), *torch.autograd.grad(y, [x, *parameters], cotangent)

    return call


def candidates(params: FftMixingParameters, context: Context, x: Tensor) -> Iterator[Candidate]:
    """Every layer of the cell, built and checked; the parameters of one kind are the same in all its implementations."""
    device_kind, d_model = context.device_kind, params.d_model
    where: dict[str, Any] = {"device": context.device, "dtype": getattr(torch, params.dtype)}
    windows = params.window_lengths
    published = FftMix(d_model, windows, implementation="reference", **where)
    yield _ready(Candidate(FFT_MIX, EAGER, published))
    fast = FftMix(d_model, windows, implementation="fast", **where)
    fast.load_state_dict(published.state_dict())
    yield _ready(Candidate(FFT_MIX, FUSED, fast), partial(_wrong_fft_mix, fast, published, x, params))

    module = PublishedAttention(d_model, params.n_heads, **where)
    fused = FusedAttention(d_model, params.n_heads, **where)
    fused.load_published(module)
    too_large = why_not_materialised(params, device_kind, free_bytes(context.device))
    yield _ready(Candidate(ATTENTION, MODULE, module, too_large), partial(_wrong_attention, module, fused, x))
    too_long = why_not_timed(params, device_kind)
    if too_long:
        yield Candidate(ATTENTION, SDPA, None, too_long)
    else:
        yield _best_attention(fused, x, params)

    if params.peers:
        yield _ready(Candidate(FNET, EAGER, FNetMix()))
        yield _ready(Candidate(CONVOLUTION, EAGER, DepthwiseConvolution(d_model, windows[-1], **where)))


def _best_attention(fused: FusedAttention, x: Tensor, params: FftMixingParameters) -> Candidate:
    """Attention with the backend that is fastest here, named in its implementation."""
    found: list[str] = []

    def choose() -> str:
        found.append(
            fastest_backend(
                fused, x.detach().clone().requires_grad_(params.mode == "forward_backward"), backward=params.mode == "forward_backward"
            ).name
        )
        return ""

    reason = failure_of(choose)
    for parameter in fused.parameters():
        parameter.grad = None
    if reason:
        return Candidate(ATTENTION, SDPA, None, reason)
    return _ready(Candidate(ATTENTION, f"{SDPA}_{found[0]}", fused), partial(_wrong_attention, fused, fused, x))


def _ready(candidate: Candidate, wrong: Callable[[], str] = lambda: "") -> Candidate:
    """The candidate with the reason why it is not timed, if there is one: what was known before, an error, a wrong result."""
    if candidate.reason:
        return candidate
    try:
        return replace(candidate, reason=failure_of(wrong))
    except torch.OutOfMemoryError as error:
        return replace(candidate, reason=f"does not fit: {str(error).splitlines()[0]}")


def _wrong_fft_mix(fast: FftMix, published: FftMix, x: Tensor, params: FftMixingParameters) -> str:
    wrong = wrong_mixing(fast, published, x)
    if not wrong and params.mode == "forward_backward":
        wrong = wrong_gradients(fast, published, x[:2, :GRADIENT_TOKENS].detach())
    return wrong and f"wrong result: {wrong}"


def _wrong_attention(layer: nn.Module, fused: FusedAttention, x: Tensor) -> str:
    with torch.no_grad():
        wrong = wrong_attention(layer(x), fused, x)
    return wrong and f"wrong result: {wrong}"


def free_bytes(device: str) -> int:
    """Memory of the device, or of the host, that is free."""
    return torch.cuda.mem_get_info(device)[0] if device.startswith("cuda") else host_memory().available_bytes


def limits(params: FftMixingParameters, device: str, dtype: torch.dtype, dimensions: dict[str, Scalar]) -> Generator[Event, None, None]:
    """What FFT-Mix cannot do without: its projection m·d → d as one product, and one pass over the activations (x read, y written)."""
    backward = params.mode == "forward_backward"
    wide = inputs(params, device, dtype, len(params.windows) * params.d_model)
    narrow = inputs(params, device, dtype, params.d_model)
    projection = nn.Linear(len(params.windows) * params.d_model, params.d_model, device=device, dtype=dtype)

    def one_pass(buffers: Buffers) -> tuple[Tensor, ...]:
        return tuple(tensor.detach().clone() for tensor in buffers)

    step = (
        training_call(projection)
        if backward
        else inference_call(partial(functional.linear, weight=projection.weight, bias=projection.bias))
    )
    arms = [
        Arm(PROJECTION, EAGER, "baseline", device, params.dtype, wide.call(step), wide.period, wide.reason),
        Arm(COPY, EAGER, "baseline", device, params.dtype, narrow.call(one_pass), narrow.period, narrow.reason),
    ]
    sampling = replace(LIMIT_SAMPLING, segment_s=min(LIMIT_SAMPLING.segment_s, params.segment_s))
    yield from timed(arms, arms[0].key, device, sampling, dimensions, "projection and one pass", "only the time per call is taken")


def energy_arms(arms: Sequence[Arm], seconds: dict[ArmKey, float]) -> list[Arm]:
    """The arms whose joules are worth their time: FFT-Mix and attention, as published and fastest."""
    timed_arms = [arm for arm in arms if arm.key in seconds]
    chosen: dict[ArmKey, Arm] = {}
    for name, published in ((FFT_MIX, EAGER), (ATTENTION, MODULE)):
        own = [arm for arm in timed_arms if arm.name == name]
        for arm in (*(arm for arm in own if arm.implementation == published), *sorted(own, key=lambda arm: seconds[arm.key])[:1]):
            chosen[arm.key] = arm
    return list(chosen.values())
