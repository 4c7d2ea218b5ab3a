"""The activation experiment: counts, the published NumPy benchmark, and the comparison on the chosen device.

Runs in the worker process only. Order: what needs no measuring (operation counts, gating), the published benchmark (once per run, at
its own N), then, for each cell of the sweep, every function in every implementation that this machine has: checked against float64
before it is timed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lab.memory import torch_peak_memory
from lab.records import Phase, Progress, Protocol, Record, Role, Scalar
from lab.rotation import Rotation, cache_bytes, rotated_buffers
from lab.statistics import LOOKS
from lab.timing import Arm, DeviceTimeSampler, LatencySampler, Sampler, Sampling, compare, synchronizer
from lab.workload import Context
from workloads.activations import fused
from workloads.activations.findings import FRAMEWORK
from workloads.activations.functions import FUNCTIONS, minimum, suppression
from workloads.activations.operation_count import ASSIGNED, literal_count
from workloads.activations.parameters import COPY, GELUS, PUBLISHED_N, ActivationParameters
from workloads.activations.published import EXPRESSIONS, PRODUCT_POWERS
from workloads.activations.reference import EAGER, disagreement, gradient64, reference64

CHECK_ELEMENTS = 1 << 16  # of the fresh random input on which an implementation is compared with float64
Call = Callable[[Any], Any]


@dataclass(frozen=True)
class Candidate:
    """One function in one implementation: what is called on a tensor, or why it cannot be."""

    name: str
    implementation: str
    function: Callable[[Tensor], Tensor] | None
    reason: str = ""


def role_of(name: str) -> Role:
    """The role of a function's arms; ``copy``, the limit, stands with the baselines."""
    return "technique" if FUNCTIONS[name].role == "technique" else "baseline"


def run(params: ActivationParameters, context: Context) -> Iterator[Phase | Progress | Record]:
    """Everything one cell of the sweep yields; the first cell also yields what belongs to the run as a whole."""
    torch.set_num_threads(context.threads)
    first = context.cell == 0
    published = first and "numpy" in params.implementations
    if first:
        for record in counts(params):
            yield replace(record, whole_run=True)
    done = 0.0
    if published:
        done = 0.3
        for event in published_benchmark(params):
            yield _scaled(event, 0.0, done)
    for event in comparison(params, context):
        yield _scaled(event, done, 1.0)


def _scaled(event: Phase | Progress | Record, low: float, high: float) -> Phase | Progress | Record:
    return replace(event, fraction=low + (high - low) * event.fraction) if isinstance(event, Progress) else event


def counts(params: ActivationParameters) -> Iterator[Record]:
    """Operations, bytes and gating of the chosen functions: exact, independent of the machine."""

    def exact(name: str, protocol: Protocol, implementation: str, metric: str, value: float, unit: str) -> Record:
        dimensions: dict[str, Scalar] = {"elements": 1, "pass": "forward", "cache": ""}
        return Record(protocol, name, role_of(name), implementation, "", "", metric, float(value), unit, dimensions=dimensions)

    # The claims' functions are counted even when they are not among those that are timed: counting costs nothing.
    names = dict.fromkeys((*params.functions, *GELUS, "phi6", "zeta_ln2"))
    for name in names:
        if name == COPY:
            continue
        if name in ASSIGNED:
            yield exact(name, "published", "stated", "operations_per_element", ASSIGNED[name], "1")
        counted = literal_count(name)
        yield exact(name, "sound", "literal", "operations_per_element", counted.total, "1")
        yield exact(name, "sound", "literal", "transcendentals_per_element", counted.transcendental, "1")
        yield exact(name, "sound", "literal", "suppression", suppression(name), "1")
        yield exact(name, "sound", "literal", "minimum", minimum(name)[1], "1")


def published_benchmark(params: ActivationParameters) -> Iterator[Phase | Progress | Record]:
    """The published NumPy benchmark on one million fp32 standard normals, the same array at every call, as published.

    Beside the printed expressions (``numpy``): powers written as products (``numpy_product``) and the framework's CPU kernels on the
    same memory (GELU, ``framework``). Two departures: the arms are interleaved in mirrored passes instead of one after the other, and the
    segments last ``segment_s`` instead of 200 calls. With mode forward + backward the derivatives are timed apart, as published.
    """
    x = np.random.default_rng(params.seed).standard_normal(PUBLISHED_N, dtype=np.float32)
    tensor = torch.from_numpy(x)
    names = [name for name in dict.fromkeys((*GELUS, *params.functions)) if name in (*GELUS, *EXPRESSIONS) and name != COPY]
    passes = ("forward",) if params.mode == "forward" else ("forward", "derivative")
    for index, direction in enumerate(passes):
        yield Phase("published benchmark", f"NumPy {np.__version__}, {direction}")
        arms = []
        for name in names:
            ways: dict[str, Call] = {  # NumPy has no erf, so gelu_erf exists as the framework's kernel only
                way: getattr(expressions[name], direction)
                for way, expressions in (("numpy", EXPRESSIONS), ("numpy_product", PRODUCT_POWERS))
                if name in expressions
            }
            arms += [Arm(name, way, role_of(name), "cpu", "float32", _same_input(function, x)) for way, function in ways.items()]
            if direction == "forward" and name in GELUS:
                arms.append(Arm(name, FRAMEWORK, role_of(name), "cpu", "float32", _same_input(EAGER[name], tensor)))
        dimensions: dict[str, Scalar] = {"elements": PUBLISHED_N, "pass": direction, "cache": "warm"}
        sampler = LatencySampler(synchronizer("cpu"))
        sampling = _sampling(params)
        for outcome in compare(arms, ("gelu_tanh", "numpy"), sampler, sampling):
            for record in outcome.records("published", dimensions):
                yield replace(record, whole_run=True)
            done = (getattr(outcome, "index", -1) + 1) / max(sampling.looks)
            yield Progress((index + done) / len(passes), f"published benchmark, {direction}")


def _same_input(function: Call, value: Any) -> Callable[[int], object]:
    return lambda i: function(value)


def comparison(params: ActivationParameters, context: Context) -> Iterator[Phase | Progress | Record]:
    """Every chosen function in every implementation of this machine, at one N and data type, in mirrored passes."""
    device, dtype = context.device, getattr(torch, params.dtype)
    backward = params.mode == "forward_backward"

    def normal(n: int) -> Tensor:
        return torch.randn(n, dtype=torch.float32, device=device, generator=generator).to(dtype)

    if device.startswith("cuda"):
        yield Phase("initialise the GPU", budgeted=False)
        torch.cuda.synchronize(device)
    generator = torch.Generator(device).manual_seed(params.seed)
    yield Phase("inputs", f"{params.n:,} {params.dtype} elements")

    def make(_: int) -> tuple[Tensor, Tensor]:
        return normal(params.n).requires_grad_(backward), normal(params.n) if backward else torch.empty(0)

    tensor_bytes = params.n * dtype.itemsize
    rotation = rotated_buffers(make, tensor_bytes * (2 if backward else 1), cache_bytes(device))
    dimensions: dict[str, Scalar] = {"elements": params.n, "pass": params.mode, "cache": "warm" if rotation.reason else "cold"}

    arms: list[Arm] = []
    for candidate in candidates(params, device):
        unavailable = Arm(candidate.name, candidate.implementation, role_of(candidate.name), device, params.dtype, lambda i: None)
        if candidate.function is None:
            yield from _missing(unavailable, candidate.reason, dimensions)
            continue
        if candidate.implementation != "eager":
            yield Phase("compile", f"{candidate.implementation} {FUNCTIONS[candidate.name].title}", budgeted=False)
        problem = check(candidate, rotation, normal(min(params.n, CHECK_ELEMENTS)), backward)
        if problem:
            yield from _missing(unavailable, problem, dimensions)
            continue
        arms.append(replace(unavailable, call=rotation.call(_step(candidate, backward)), period=rotation.period, reason=rotation.reason))
    baselines = [arm.key for arm in arms if arm.name in GELUS]
    if not baselines:
        return
    yield Phase("memory", "peak of each arm alone")
    for arm in arms:
        yield from torch_peak_memory(arm).records("sound", dimensions)
        rotation.drop_outputs()

    samplers: list[Sampler] = [LatencySampler(synchronizer(device)), DeviceTimeSampler(device)]
    sampling = _sampling(params)
    for index, sampler in enumerate(samplers):
        yield Phase("measure", f"{sampler.metric}, N = {params.n:,}, {params.dtype}")
        for outcome in compare(arms, baselines[0], sampler, sampling):
            yield from outcome.records("sound", dimensions)
            done = (getattr(outcome, "index", -1) + 1) / max(sampling.looks)
            yield Progress((index + done) / len(samplers), f"{sampler.metric} at N = {params.n:,}")
        if isinstance(sampler, DeviceTimeSampler):
            sampler.close()
    rotation.drop_outputs()


def candidates(params: ActivationParameters, device: str) -> Iterator[Candidate]:
    """The functions of a cell in the implementations chosen; ``copy`` exists once. NumPy is the published benchmark's alone."""
    fused_reason = fused.available(device)
    torch._dynamo.reset()  # every cell compiles for its own shape; past a limit torch would silently fall back to eager
    for implementation in params.implementations:
        if implementation == "numpy":
            continue
        for name in params.functions:
            if name == COPY:
                continue
            if implementation == "eager":
                yield Candidate(name, implementation, EAGER[name])
            elif implementation == "compiled":
                yield Candidate(name, implementation, torch.compile(EAGER[name], fullgraph=True, dynamic=False))
            elif fused_reason:
                yield Candidate(name, implementation, None, fused_reason)
            else:
                yield Candidate(name, implementation, fused.activation(name))
    if COPY in params.functions:
        yield Candidate(COPY, "eager", EAGER[COPY])


def check(candidate: Candidate, rotation: Rotation, sample: Tensor, backward: bool) -> str:
    """Run a candidate once at full size (which compiles it) and compare it with float64 on ``sample``; what is wrong, or "".

    The tolerance comes from the error that the eager computation makes at the same precision (``reference.error_bound``).
    """
    function = candidate.function
    assert function is not None
    try:
        _step(candidate, backward)(rotation.buffers[0])
        if candidate.implementation == "eager":
            return ""
        inputs = sample.detach().clone().requires_grad_(backward)
        result = function(inputs)
        problem = disagreement(result.detach(), reference64(candidate.name, sample), EAGER[candidate.name](sample))
        if backward and not problem:
            cotangent = torch.randn_like(sample)
            eager_inputs = sample.detach().clone().requires_grad_()
            (eager_gradient,) = torch.autograd.grad(EAGER[candidate.name](eager_inputs), eager_inputs, cotangent)
            (gradient,) = torch.autograd.grad(result, inputs, cotangent)
            problem = disagreement(gradient, gradient64(candidate.name, sample, cotangent), eager_gradient)
        return problem and f"wrong result: {problem}"
    except torch.OutOfMemoryError:
        raise
    except Exception as error:  # no compiler, a refused capability, …: the other arms go on, and the reader sees why this one did not
        lines = [line for line in str(error).strip().splitlines() if line.strip()]
        return f"{type(error).__name__}: {lines[0][:200] if lines else 'no further text'}"


def _step(candidate: Candidate, backward: bool) -> Call:
    """What one timed call does with an (x, dy) pair: y = f(x), and with ``backward`` also dx by autograd.

    ``copy`` moves what any elementwise function must move at least: x to y and, backward, x and dy to dx.
    """
    function = candidate.function
    assert function is not None

    def forward(buffer: tuple[Tensor, Tensor]) -> Tensor:
        return function(buffer[0])

    def forward_backward(buffer: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        x, cotangent = buffer
        y = function(x)
        (gradient,) = torch.autograd.grad(y, x, cotangent)
        return y.detach(), gradient

    def copy_both_ways(buffer: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        x, cotangent = buffer[0].detach(), buffer[1]
        return x.clone(), torch.add(x, cotangent)

    if not backward:
        return forward
    return copy_both_ways if candidate.name == COPY else forward_backward


def _missing(arm: Arm, reason: str, dimensions: dict[str, Scalar]) -> Iterator[Record]:
    for metric in ("latency_s", "device_time_s"):
        yield arm.record("sound", metric, None, "s", reason=reason, dimensions=dimensions)


def _sampling(params: ActivationParameters) -> Sampling:
    return Sampling(segment_s=params.segment_s, precision=params.precision, looks=LOOKS[: params.looks])
