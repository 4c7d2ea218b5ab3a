"""The activation experiment: counts, the published NumPy benchmark, and the comparison on the chosen device.

Runs in the worker process only. Order: what needs no measuring (operation counts, gating), the published benchmark (once per run, at
its own N), then, for each cell of the sweep, every function in every implementation that this machine has: checked against float64
before it is timed, with a cold cache and, where asked for, a warm one. Inside an FFN: ``workloads.activations.ffn``.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lab.correctness import disagreement, failure_of
from lab.measuring import energy, missing, peak_memory, sampling_of, timed, within
from lab.records import Event, Phase, Progress, Protocol, Record, Scalar
from lab.rotation import Rotation, cache_bytes, rotated_buffers
from lab.statistics import LOOKS
from lab.timing import Arm, ArmKey, LatencySampler, compare, synchronizer
from lab.workload import Context
from workloads.activations import ffn
from workloads.activations.costs import cell_s
from workloads.activations.findings import COLD, FRAMEWORK, PARTIAL, WARM
from workloads.activations.functions import FUNCTIONS, minimum, suppression
from workloads.activations.implementations import Candidate, candidates, energy_arms, role_of
from workloads.activations.learning import costs as learning_costs
from workloads.activations.learning import experiment as learning
from workloads.activations.learning.names import timing_dimensions
from workloads.activations.operation_count import ASSIGNED, fewest_count, literal_count
from workloads.activations.parameters import COPY, GELUS, PUBLISHED_N, ActivationParameters, energy_cell, measured_cells
from workloads.activations.published import EXPRESSIONS, PRODUCT_POWERS
from workloads.activations.reference import EAGER, gradient64, reference64

CHECK_ELEMENTS = 1 << 16  # of the fresh random input on which an implementation is compared with float64
Call = Callable[[Any], Any]


def run(params: ActivationParameters, context: Context) -> Iterator[Event]:
    """Everything one cell of the sweep yields; the first cell also yields what belongs to the run as a whole."""
    torch.set_num_threads(context.threads)
    timed_here = context.cell in measured_cells(context.plan)
    learns = context.cell == 0 and "learning" in params.studies  # nothing that is swept changes what is learned
    if not timed_here and not learns:
        yield Progress(1.0, "differs from an earlier cell only in what is not used: measured there")
        return
    share = timed_share(params, context) if learns else 1.0
    if timed_here:
        yield from within(timing(params, context), 0.0, share)
    if learns:
        yield from within(learning.run(params, context), share, 1.0)


def timed_share(params: ActivationParameters, context: Context) -> float:
    """How much of the first cell's time goes into timing the functions, of 1."""
    if context.cell not in measured_cells(context.plan):
        return 0.0
    timed_s = cell_s(context.plan, context.cell, context.device_kind)
    return timed_s / (timed_s + learning_costs.duration_s(params, context.device_kind))


def timing(params: ActivationParameters, context: Context) -> Generator[Event, None, None]:
    """The functions of one cell: counts, the published benchmark, times and joules on the chosen device."""
    first = context.cell == 0
    if first:
        for record in counts(params):
            yield replace(record, whole_run=True)
    if context.device_kind == "cuda":
        yield Phase("initialise the GPU", budgeted=False)
        torch.cuda.synchronize(context.device)
    if "compiled" in params.implementations:
        yield Phase("load the compiler", budgeted=False)
        torch._dynamo.reset()  # every cell compiles for its own shape; past a limit torch would silently fall back to eager
    with_energy = params.energy != "none" and context.cell == energy_cell(context.plan)
    if params.mode == "ffn":
        yield from ffn.run(params, context, with_energy)
        return
    done = 0.0
    if first and "numpy" in params.implementations:
        done = 0.3
        yield from within(published_benchmark(params), 0.0, done)
    yield from within(comparison(params, context, with_energy), done, 1.0)


def counts(params: ActivationParameters) -> Iterator[Record]:
    """Operations, bytes and gating of the chosen functions: exact, independent of the machine."""

    def exact(name: str, protocol: Protocol, implementation: str, metric: str, value: float, unit: str) -> Record:
        dimensions = timing_dimensions(1, "forward", "")
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
        yield exact(name, "sound", "fewest", "operations_per_element", fewest_count(name).total, "1")
        yield exact(name, "sound", "literal", "transcendentals_per_element", counted.transcendental, "1")
        yield exact(name, "sound", "literal", "suppression", suppression(name), "1")
        yield exact(name, "sound", "literal", "minimum", minimum(name)[1], "1")


def published_benchmark(params: ActivationParameters) -> Generator[Event, None, None]:
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
        dimensions = timing_dimensions(PUBLISHED_N, direction, "warm")
        sampler = LatencySampler(synchronizer("cpu"))
        sampling = sampling_of(params)
        for outcome in compare(arms, ("gelu_tanh", "numpy"), sampler, sampling):
            for record in outcome.records("published", dimensions):
                yield replace(record, whole_run=True)
            done = (getattr(outcome, "index", -1) + 1) / max(sampling.looks)
            yield Progress((index + done) / len(passes), f"published benchmark, {direction}")


def _same_input(function: Call, value: Any) -> Callable[[int], object]:
    return lambda i: function(value)


def comparison(params: ActivationParameters, context: Context, with_energy: bool) -> Generator[Event, None, None]:
    """Every chosen function in every implementation of this machine, at one N and data type, in mirrored passes."""
    device, dtype = context.device, getattr(torch, params.dtype)
    backward = params.mode == "forward_backward"

    def normal(n: int) -> Tensor:
        return torch.randn(n, dtype=torch.float32, device=device, generator=generator).to(dtype)

    generator = torch.Generator(device).manual_seed(params.seed)
    yield Phase("inputs", f"{params.n:,} {params.dtype} elements")

    def make(_: int) -> tuple[Tensor, Tensor]:
        return normal(params.n).requires_grad_(backward), normal(params.n) if backward else torch.empty(0)

    tensor_bytes = params.n * dtype.itemsize
    rotations = {}
    if "cold" in params.cache:
        rotation = rotated_buffers(make, tensor_bytes * (2 if backward else 1), cache_bytes(device))
        rotations[PARTIAL if rotation.reason else COLD] = rotation
    if "warm" in params.cache:
        rotations[WARM] = Rotation(next(iter(rotations.values())).buffers[:1] if rotations else (make(0),))

    def dimensions(cache: str) -> dict[str, Scalar]:
        return timing_dimensions(params.n, params.mode, cache)

    steps: dict[ArmKey, Call] = {}
    for candidate in all_candidates(params, device):
        arm = Arm(candidate.name, candidate.implementation, role_of(candidate.name), device, params.dtype, lambda i: None)
        problem = candidate.reason
        if candidate.function is not None:
            if candidate.implementation != "eager":
                yield Phase("compile", f"{candidate.implementation} {FUNCTIONS[candidate.name].title}", budgeted=False)
            buffer = next(iter(rotations.values())).buffers[0]
            problem = check(candidate, buffer, normal(min(params.n, CHECK_ELEMENTS)), backward)
        if problem:
            for cache in rotations:
                yield from missing(arm, ("latency_s", "device_time_s"), problem, dimensions(cache))
        else:
            steps[arm.key] = _step(candidate, backward)
    baseline = next((key for key in steps if key[0] in GELUS), None)
    if baseline is None:
        return

    seconds: dict[ArmKey, float] = {}
    compared: list[Arm] = []
    parts = len(rotations) + with_energy
    for index, (cache, rotation) in enumerate(rotations.items()):
        arms = [
            Arm(name, way, role_of(name), device, params.dtype, rotation.call(step), rotation.period, rotation.reason)
            for (name, way), step in steps.items()
        ]
        if index == 0:  # peak memory is the same whatever the cache holds
            yield from peak_memory(arms, [rotation], dimensions(cache))
        sampling = sampling_of(params)
        if cache == WARM:  # no verdict rests on it: the first look is enough
            sampling = replace(sampling, looks=LOOKS[:1])
        events = timed(arms, baseline, device, sampling, dimensions(cache), f"{cache} cache, N = {params.n:,}, {params.dtype}")
        measured_s = yield from within(events, index / parts, (index + 1) / parts)
        if index == 0:
            seconds, compared = measured_s, arms
        rotation.drop_outputs()
    if with_energy:
        cache, rotation = next(iter(rotations.items()))
        yield from within(energy(energy_arms(compared, seconds), params.energy, context, dimensions(cache)), 1 - 1 / parts, 1.0)
        rotation.drop_outputs()


def all_candidates(params: ActivationParameters, device: str) -> Iterator[Candidate]:
    """The functions of a cell in the implementations chosen; ``copy`` exists once."""
    yield from candidates(params, device, lambda function: function)
    if COPY in params.functions:
        yield Candidate(COPY, "eager", EAGER[COPY])


def check(candidate: Candidate, buffer: tuple[Tensor, Tensor], sample: Tensor, backward: bool) -> str:
    """Run a candidate once at full size (which compiles it) and compare it with float64 on ``sample``; what is wrong, or "".

    The tolerance comes from the error that the eager computation makes at the same precision (``reference.error_bound``).
    """
    function = candidate.function
    assert function is not None

    def problem() -> str:
        _step(candidate, backward)(buffer)
        if candidate.implementation == "eager":
            return ""
        inputs = sample.detach().clone().requires_grad_(backward)
        result = function(inputs)
        wrong = disagreement(result.detach(), reference64(candidate.name, sample), EAGER[candidate.name](sample))
        if backward and not wrong:
            cotangent = torch.randn_like(sample)
            eager_inputs = sample.detach().clone().requires_grad_()
            (eager_gradient,) = torch.autograd.grad(EAGER[candidate.name](eager_inputs), eager_inputs, cotangent)
            (gradient,) = torch.autograd.grad(result, inputs, cotangent)
            wrong = disagreement(gradient, gradient64(candidate.name, sample, cotangent), eager_gradient)
        return wrong and f"wrong result: {wrong}"

    return failure_of(problem)


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
