"""Inside an FFN: the feed-forward block around an activation, which is where its time is spent in a model.

    y = activation(x W₁ᵀ) W₂ᵀ,   x [tokens, d_model], W₁ [d_ff, d_model], W₂ [d_model, d_ff]

Two comparisons: the block with each activation in each implementation, and the block without one (what no activation can beat), at one
width; then the block with one GELU at several widths: the standard 4×, the exact width of the expansion, and this rounded up to
multiples that matrix units like. x is standard normal, W₁ ~ N(0, 1/d_model) and W₂ ~ N(0, 1/d_ff), so the activation sees standard
normal numbers. Products in float32 run in float32 (no TF32): the framework's default. Worker side: imports torch.
"""

from __future__ import annotations

from collections.abc import Callable, Generator

import torch
from torch import Tensor
from torch.nn import functional

from lab.correctness import disagreement, failure_of
from lab.measuring import energy, missing, peak_memory, sampling_of, timed, within
from lab.records import Event, Phase, Scalar
from lab.rotation import Rotation, cache_bytes, rotated_buffers
from lab.timing import Arm, ArmKey
from lab.workload import Context
from workloads.activations.costs import device_timed, ffn_flop
from workloads.activations.findings import COLD, FFN, FFN_WIDTHS, LABELS, NO_ACTIVATION, PARTIAL, STANDARD_WIDTH
from workloads.activations.functions import FUNCTIONS
from workloads.activations.implementations import Candidate, Function, candidates, energy_arms, role_of
from workloads.activations.learning.names import timing_dimensions
from workloads.activations.parameters import GELUS, ActivationParameters
from workloads.activations.reference import EAGER

CHECK_TOKENS = 8  # of the block's own output that are compared with float64
Buffers = tuple[Tensor, Tensor, Tensor]  # x, W₁, W₂
LONG_CALL = "a call is long enough that launching it takes less than 1 %: the time per call is the device's"


def feed_forward(activation: Function) -> Function:
    """The block around ``activation``: (x [tokens, d_model], W₁ [d_ff, d_model], W₂ [d_model, d_ff]) → [tokens, d_model]."""

    def block(x: Tensor, w1: Tensor, w2: Tensor) -> Tensor:
        return functional.linear(activation(functional.linear(x, w1)), w2)

    return block


def no_activation(x: Tensor, w1: Tensor, w2: Tensor) -> Tensor:
    """The block's two products alone."""
    return functional.linear(functional.linear(x, w1), w2)


def run(params: ActivationParameters, context: Context, with_energy: bool) -> Generator[Event, None, None]:
    """Everything one cell yields in mode "ffn"."""
    compared = len(params.widths) > 1
    yield from within(_activations(params, context, with_energy), 0.0, 0.6 if compared else 1.0)
    if compared:
        yield from within(_widths(params, context, with_energy), 0.6, 1.0)


def _inputs(params: ActivationParameters, d_ff: int, device: str) -> Rotation:
    dtype = getattr(torch, params.dtype)
    generator = torch.Generator(device).manual_seed(params.seed)

    def normal(rows: int, columns: int, scale: float) -> Tensor:
        return torch.randn(rows, columns, dtype=torch.float32, device=device, generator=generator).mul_(scale).to(dtype)

    def make(_: int) -> Buffers:
        return (
            normal(params.tokens, params.d_model, 1.0),
            normal(d_ff, params.d_model, params.d_model**-0.5),
            normal(params.d_model, d_ff, d_ff**-0.5),
        )

    one_bytes = dtype.itemsize * (params.tokens * params.d_model + 2 * params.d_model * d_ff)
    return rotated_buffers(make, one_bytes, cache_bytes(device))


def _dimensions(params: ActivationParameters, part: str, rotations: list[Rotation]) -> dict[str, Scalar]:
    return timing_dimensions(params.elements, part, PARTIAL if any(r.reason for r in rotations) else COLD)


def _arm(
    name: str, implementation: str, params: ActivationParameters, device: str, rotation: Rotation, call: Callable[[Buffers], object]
) -> Arm:
    role = role_of(name) if name in FUNCTIONS else "baseline" if name in (NO_ACTIVATION, STANDARD_WIDTH) else "technique"
    return Arm(name, implementation, role, device, params.dtype, rotation.call(call), rotation.period, rotation.reason)


def _activations(params: ActivationParameters, context: Context, with_energy: bool) -> Generator[Event, None, None]:
    device = context.device
    yield Phase("inputs", f"{params.tokens:,} tokens × {params.d_model:,} → {params.d_ff:,}, {params.dtype}")
    rotation = _inputs(params, params.d_ff, device)
    dimensions = _dimensions(params, FFN, [rotation])
    arms: list[Arm] = []
    # A compiler may change the products as well (it pads odd widths): its blocks are compared with its own products.
    limits = [Candidate(NO_ACTIVATION, "eager", no_activation)]
    if "compiled" in params.implementations:
        limits.append(Candidate(NO_ACTIVATION, "compiled", torch.compile(no_activation, fullgraph=True, dynamic=False)))
    for candidate in (*candidates(params, device, feed_forward), *limits):
        function = candidate.function
        problem = candidate.reason
        if function is not None:
            if candidate.implementation != "eager":
                yield Phase("compile", f"{candidate.implementation} block with {LABELS[candidate.name]}", budgeted=False)
            problem = failure_of(lambda c=candidate: check(c, rotation.buffers[0]))  # type: ignore[misc]
        arm = _arm(candidate.name, candidate.implementation, params, device, rotation, lambda buffers, f=function: f(*buffers))  # type: ignore[misc]
        if problem:
            yield from missing(arm, ("latency_s", "device_time_s"), problem, dimensions)
        else:
            arms.append(arm)
    baseline = next((arm.key for arm in arms if arm.name in GELUS), None)
    if baseline is None:
        return
    done = 0.5 if with_energy else 1.0
    seconds = yield from within(_compared(arms, baseline, [rotation], params, context, dimensions), 0.0, done)
    if with_energy:
        yield from within(energy(energy_arms(arms, seconds), params.energy, context, dimensions), done, 1.0)
        rotation.drop_outputs()


def _widths(params: ActivationParameters, context: Context, with_energy: bool) -> Generator[Event, None, None]:
    device = context.device
    gelu = next(name for name in params.functions if name in GELUS)
    block = feed_forward(EAGER[gelu])
    yield Phase("inputs", "widths " + ", ".join(f"{width:,}" for width in params.widths.values()))
    rotations = {name: _inputs(params, width, device) for name, width in params.widths.items()}
    dimensions = _dimensions(params, FFN_WIDTHS, list(rotations.values()))
    arms = [_arm(name, "eager", params, device, rotation, lambda buffers: block(*buffers)) for name, rotation in rotations.items()]
    for arm in arms:
        width = params.widths[arm.name]
        yield arm.record("sound", "ffn_width", width, "1", dimensions=dimensions)
        yield arm.record("sound", "flop_per_call", ffn_flop(params.tokens, params.d_model, width), "1", dimensions=dimensions)
    done = 0.5 if with_energy else 1.0
    yield from within(_compared(arms, arms[0].key, list(rotations.values()), params, context, dimensions), 0.0, done)
    if with_energy:
        yield from within(energy(arms, params.energy, context, dimensions), done, 1.0)
        for rotation in rotations.values():
            rotation.drop_outputs()


def _compared(
    arms: list[Arm],
    baseline: ArmKey,
    rotations: list[Rotation],
    params: ActivationParameters,
    context: Context,
    dimensions: dict[str, Scalar],
) -> Generator[Event, None, dict[ArmKey, float]]:
    """Peak memory and times of ``arms``; returns the mean seconds per call of each."""
    yield from peak_memory(arms, rotations, dimensions)
    long_call = "" if device_timed(params, context.device_kind) else LONG_CALL
    what = f"{dimensions['pass']}, {params.dtype}"
    seconds = yield from timed(arms, baseline, context.device, sampling_of(params), dimensions, what, long_call)
    for rotation in rotations:
        rotation.drop_outputs()
    return seconds


def check(candidate: Candidate, buffers: Buffers) -> str:
    """Run a block at full size (which compiles it) and compare its first tokens with float64; what is wrong, or "".

    The tolerance comes from the error of the eager block at the same precision (``reference.error_bound``).
    """
    assert candidate.function is not None
    result = candidate.function(*buffers)
    if candidate.implementation == "eager":
        return ""
    reference = no_activation if candidate.name == NO_ACTIVATION else feed_forward(EAGER[candidate.name])
    x, w1, w2 = buffers
    exact = reference(x[:CHECK_TOKENS].double(), w1.double(), w2.double())
    eager = reference(x, w1, w2)
    wrong = disagreement(result[:CHECK_TOKENS], exact, eager[:CHECK_TOKENS])
    return wrong and f"wrong result: {wrong}"
