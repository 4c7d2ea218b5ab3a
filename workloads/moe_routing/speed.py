"""Time, memory and joules of one mixture layer against dense FFNs, routing and permutation included. Worker side: imports torch.

Standard experts (E of expansion 4) and small ones (each cut in ``split``) by the loop over experts as published, by grouped products and,
on a GPU, with own routing kernels; small experts of the published width, which may be odd, and of the next multiple of 64. Dense FFNs: of
the active operations of either mixture, and of all parameters. Everything is checked against float64 before it is timed.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from lab.correctness import disagreement, failure_of
from lab.measuring import energy, missing, peak_memory, sampling_of, smallest_call_s, timed, within
from lab.records import Event, Phase, Record, Role
from lab.rotation import Rotation, cache_bytes, rotated_buffers
from lab.timing import Arm, ArmKey
from lab.workload import Context
from workloads.moe_routing import checks, counts, fused, layer
from workloads.moe_routing.layer import Mixture
from workloads.moe_routing.names import (
    DENSE_ACTIVE,
    DENSE_ACTIVE_SMALL,
    DENSE_TOTAL,
    EAGER,
    FLOP,
    FUSED,
    GROUPED,
    LAYER,
    PRODUCTS,
    SMALL,
    SMALL_ALIGNED,
    STANDARD,
    WIDTH,
    dimensions_of,
)
from workloads.moe_routing.parameters import MULTIPLE, MoeRoutingParameters, expert_width, round_up

TIMERS = ("latency_s", "device_time_s")
ALIGNED = 64  # features that matrix units like
FEW_TOKENS = 64  # with which a call is as short as it gets
HIDDEN = 2.0  # times the shortest call: from there on launching is hidden behind the device's work
WAITS = "the loop asks the device at each expert how many tokens chose it: a call that waits cannot be captured in a graph"
GRADIENT_TOKENS = 192  # on which gradients are compared with float64
Buffers = tuple[Tensor, ...]


@dataclass(frozen=True)
class Candidate:
    """A layer that is to be timed: its forward pass over (x, *weights); or the reason why it is not."""

    name: str
    implementation: str
    function: Callable[..., Tensor]
    weights: tuple[Tensor, ...]
    shape: counts.Layer
    reason: str = ""

    @property
    def key(self) -> ArmKey:
        return (self.name, self.implementation)


def comparison(params: MoeRoutingParameters, context: Context) -> Generator[Event, None, None]:
    """Everything the run yields about the speed of layers."""
    device, dtype = context.device, getattr(torch, params.dtype)
    dimensions = dimensions_of(LAYER, experts=params.layer_experts)
    yield Phase("inputs", f"{params.tokens:,} tokens × {params.d_model:,}, {params.dtype}")
    generator = torch.Generator(device).manual_seed(params.seed)
    rotation = _inputs(params, params.tokens, generator)
    x = rotation.buffers[0][0].detach()
    yield Phase("check", "layers, comparison with float64", budgeted=False)
    ready: list[Candidate] = []
    arms: list[Arm] = []
    for candidate in candidates(params, device, dtype, generator):
        problem = candidate.reason or _problem(candidate, x, params)
        arm = _arm(candidate, rotation, params, device)
        yield from _sizes(arm, candidate.shape, params.tokens)
        if problem:
            yield from missing(arm, TIMERS, problem, dimensions)
        else:
            ready.append(candidate)
            arms.append(arm)
    baseline = next((arm.key for arm in arms if arm.name == DENSE_ACTIVE), None)
    if baseline is None:
        return
    yield from peak_memory(arms, [rotation], dimensions)
    few = _inputs(params, FEW_TOKENS, generator)
    thresholds = {candidate.key: HIDDEN * smallest_call_s(_arm(candidate, few, params, device)) for candidate in ready}
    done = 0.4 if params.energy != "none" else 1.0
    what = f"{params.tokens:,} tokens × {params.d_model:,}"
    waiting = {arm.key: WAITS for arm in arms if arm.implementation == EAGER}
    timing = timed(arms, baseline, device, sampling_of(params), dimensions, what, hidden_launches=thresholds, not_captured=waiting)
    seconds = yield from within(timing, 0.0, done)
    rotation.drop_outputs()
    if params.energy != "none":
        yield from within(energy(energy_arms(arms, seconds), params.energy, context, dimensions), done, 1.0)
        rotation.drop_outputs()


def _inputs(params: MoeRoutingParameters, tokens: int, generator: torch.Generator) -> Rotation:
    """Standard normal tokens (and, with backward, cotangents) that rotate through four caches."""
    dtype, backward = getattr(torch, params.dtype), params.mode == "forward_backward"

    def normal() -> Tensor:
        return torch.randn(tokens, params.d_model, device=generator.device, generator=generator).to(dtype)

    def make(_: int) -> Buffers:
        return (normal().requires_grad_(), normal()) if backward else (normal(),)

    bytes_each = tokens * params.d_model * dtype.itemsize * (2 if backward else 1)
    return rotated_buffers(make, bytes_each, cache_bytes(str(generator.device)))


def candidates(params: MoeRoutingParameters, device: str, dtype: torch.dtype, generator: torch.Generator) -> Iterator[Candidate]:
    """Every layer, its weights drawn; the implementations of one layer share them."""
    d_model, top_k = params.d_model, params.top_k
    exact = expert_width(d_model, params.split)
    sizes = {
        STANDARD: counts.standard(d_model, params.layer_experts, top_k),
        SMALL: counts.small(d_model, params.layer_experts, top_k, params.split),
        SMALL_ALIGNED: counts.Layer(d_model, round_up(exact, ALIGNED), params.small_experts, top_k),
    }
    no_kernels = fused.available(device)
    for name, shape in sizes.items():
        if name == SMALL_ALIGNED and shape.d_ff == exact:
            continue
        mixture = layer.draw(shape.n_experts, d_model, shape.d_ff, top_k, generator, dtype)
        padded = mixture.padded()
        ways: dict[str, tuple[Callable[[Tensor, Mixture], Tensor], Mixture]] = {
            EAGER: (layer.loop_over_experts, mixture),
            GROUPED: (layer.grouped, padded),
            FUSED: (fused.mixture_layer, padded),
        }
        for way, (forward, used) in ways.items():
            if name == SMALL_ALIGNED and way == EAGER:
                continue  # it shows what the fast products gain from the width
            reason = no_kernels if way == FUSED else ""
            yield Candidate(name, way, partial(_of_mixture, forward, top_k), used[:3], shape, reason)
    multiple = MULTIPLE[params.dtype]  # a dense FFN gets the width that its products are fast with
    dense = {
        DENSE_ACTIVE: top_k * round_up(expert_width(d_model), multiple),
        DENSE_ACTIVE_SMALL: top_k * round_up(exact, multiple),
        DENSE_TOTAL: params.layer_experts * expert_width(d_model),
    }
    for name, d_ff in dense.items():
        weights = tuple(
            torch.randn(rows, columns, device=device, generator=generator).mul_(columns**-0.5).to(dtype)
            for rows, columns in ((d_ff, d_model), (d_model, d_ff))
        )
        yield Candidate(name, PRODUCTS, layer.dense, weights, counts.Layer(d_model, d_ff))


def _of_mixture(forward: Callable[[Tensor, Mixture], Tensor], top_k: int, x: Tensor, router: Tensor, up: Tensor, down: Tensor) -> Tensor:
    return forward(x, Mixture(router, up, down, top_k))


def _sizes(arm: Arm, shape: counts.Layer, tokens: int) -> Iterator[Record]:
    """Width of an expert, number of experts and operations of a call: exact."""
    dimensions = dimensions_of(LAYER, experts=shape.n_experts, d_ff=shape.d_ff)
    yield arm.record("sound", WIDTH, shape.d_ff, "1", dimensions=dimensions)
    yield arm.record("sound", FLOP, shape.flop(tokens), "1", dimensions=dimensions)


def _arm(candidate: Candidate, rotation: Rotation, params: MoeRoutingParameters, device: str) -> Arm:
    role: Role = "technique" if candidate.shape.n_experts > 1 else "baseline"
    call = (_training_call if params.mode == "forward_backward" else _inference_call)(candidate)
    return Arm(*candidate.key, role, device, params.dtype, rotation.call(call), rotation.period, rotation.reason)


def _inference_call(candidate: Candidate) -> Callable[[Buffers], Tensor]:
    function, weights = candidate.function, candidate.weights

    def call(buffers: Buffers) -> Tensor:
        with torch.no_grad():
            return function(buffers[0], *weights)

    return call


def _training_call(candidate: Candidate) -> Callable[[Buffers], tuple[Tensor, ...]]:
    """The layer forward, and its gradients by the input and all weights."""
    function = candidate.function
    weights = [weight.detach().requires_grad_() for weight in candidate.weights]

    def call(buffers: Buffers) -> tuple[Tensor, ...]:
        x, cotangent = buffers
        y = function(x, *weights)
        return y.detach(), *torch.autograd.grad(y, [x, *weights], cotangent)

    return call


def _problem(candidate: Candidate, x: Tensor, params: MoeRoutingParameters) -> str:
    """What is wrong with a candidate's result, or the error that it ends with; "" where all is well."""
    function = candidate.function

    def problem() -> str:
        with torch.no_grad():
            y = function(x, *candidate.weights)
            if candidate.shape.n_experts == 1:
                few = x[: checks.CHECK_TOKENS]
                exact = layer.dense(few.double(), *(weight.double() for weight in candidate.weights))
                wrong = disagreement(y[: checks.CHECK_TOKENS], exact, layer.dense(few, *candidate.weights))
                return wrong and f"wrong result: {wrong}"
            router, up, down = candidate.weights
            mixture = Mixture(router, up, down, params.top_k)
            own = candidate.implementation == FUSED
            chosen = fused.route(x, router, params.top_k)[0] if own else layer.route(x, mixture)
            wrong = checks.wrong_choice(chosen, x, mixture) or checks.wrong_output(y, chosen, x, mixture)
        if not wrong and params.mode == "forward_backward" and candidate.implementation != EAGER:
            wrong = _wrong_gradients(candidate, x[:GRADIENT_TOKENS], params)
        return wrong and f"wrong result: {wrong}"

    return failure_of(problem)


def _wrong_gradients(candidate: Candidate, x: Tensor, params: MoeRoutingParameters) -> str:
    router, up, down = candidate.weights
    mixture = Mixture(router, up, down, params.top_k)
    leaves = [tensor.detach().clone().requires_grad_() for tensor in (x, *candidate.weights)]
    dy = torch.randn_like(x)
    got = torch.autograd.grad(candidate.function(*leaves), leaves, dy)
    chosen = fused.route(x, router, params.top_k)[0] if candidate.implementation == FUSED else layer.route(x, mixture)
    return checks.wrong_gradients(got, chosen, x, mixture, dy)


def energy_arms(arms: Sequence[Arm], seconds: dict[ArmKey, float]) -> list[Arm]:
    """The arms whose joules are worth their time: each mixture in its fastest implementation, and the dense FFNs of their operations."""
    timed_arms = [arm for arm in arms if arm.key in seconds]
    chosen = []
    for name in (STANDARD, SMALL, DENSE_ACTIVE, DENSE_ACTIVE_SMALL):
        own = sorted((arm for arm in timed_arms if arm.name == name), key=lambda arm: seconds[arm.key])
        chosen += own[:1]
    return chosen
