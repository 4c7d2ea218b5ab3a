"""Time, memory and joules of SSA and of dense attention side by side, clustering included, and what SSA's time is spent on."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

import torch

from lab.correctness import disagreement, failure_of
from lab.measuring import energy, missing, peak_memory, sampling_of, timed, within
from lab.records import Event, Phase, Record, Role, Scalar
from lab.rotation import Rotation, cache_bytes, rotated_buffers
from lab.shared_parameters import ITEM_BYTES
from lab.timing import Arm, ArmKey, DeviceTimeSampler, Sampling, compare
from lab.workload import Context
from workloads.spectral_sparse_attention import costs, dense, reference
from workloads.spectral_sparse_attention.arms import Candidate, Inputs, Ssa, candidates, steps
from workloads.spectral_sparse_attention.parameters import SsaParameters, energy_cells, longest
from workloads.spectral_sparse_attention.series import DENSE, EAGER, FAST, SPEED, SPLIT, SSA, dimensions
from workloads.spectral_sparse_attention.tokens import Recipe, Source

T = TypeVar("T")
TIMES = ("latency_s", "device_time_s")
CHECKED_N = 512  # tokens on which a fast implementation is compared with float64 before it is timed
SPLIT_SAMPLING = Sampling(segment_s=0.005, looks=(5,), warmup_s=0.05)
MAX_BUFFERS = 64
SLOW_CALL_S = 2e-3  # a graph holds 50 calls: of one this long, launches are no part worth telling apart


@dataclass(frozen=True)
class Race:
    """One comparison of SSA with dense attention: recipe and size of its inputs, and where its records belong."""

    recipe: Source
    n: int
    k: int
    s: int
    where: Mapping[str, Scalar]
    only_published: bool = False

    @classmethod
    def of(cls, params: SsaParameters, source: Source | None = None) -> Race:
        """The comparison of one cell of the sweep, on synthetic data or on ``source``."""
        n, k, s = params.n, params.clusters(params.n), params.sampled(params.n)
        return cls(source or Recipe.of(params, n), n, k, s, dimensions(SPEED, params.data, n, k, s, setting=params.departures))


def role_of(name: str) -> Role:
    return "baseline" if name == DENSE else "technique"


def inputs_of(race: Race, params: SsaParameters, device: str) -> Rotation:
    """Distinct random inputs that together exceed the cache, each its own data set."""
    dtype = getattr(torch, params.dtype)

    def make(i: int) -> Inputs:
        tokens = race.recipe.tokens(race.n, params.seed + 7919 * i, device, n_heads=params.n_heads, dtype=dtype)
        return tokens.query, tokens.key.clone() if tokens.key is tokens.query else tokens.key, tokens.value

    each = 3 * params.n_heads * race.n * params.head_dim * ITEM_BYTES[params.dtype]
    return rotated_buffers(make, each, cache_bytes(device), max_buffers=MAX_BUFFERS)


def rotated(rotation: Rotation, candidate: Candidate) -> Callable[[int], None]:
    """A candidate on the i-th rotated inputs."""
    function = candidate.function
    assert function is not None
    return rotation.call(lambda inputs: function(*inputs))


def _called(call: Callable[[], object], i: int) -> None:
    call()


def race(params: SsaParameters, context: Context, race: Race) -> Generator[Event, None, dict[ArmKey, float]]:
    """Time every arm side by side; returns the mean seconds per call of each that was timed."""
    device = context.device
    cell = params.model_copy(update={"n": race.n, "k": race.k, "s": race.s})
    obstacles = {
        (DENSE, EAGER): costs.naive_obstacle(cell, context.device_kind),
        (SSA, EAGER): costs.eager_obstacle(cell, context.device_kind),
        (SSA, FAST): costs.fast_obstacle(cell, context.device_kind),
    }
    yield Phase("inputs", f"N = {race.n:,}, {params.n_heads} heads of {params.head_dim}, {params.dtype}")
    rotation = inputs_of(race, params, device)
    arms: list[Arm] = []
    for candidate in candidates(params, race.k, race.s, rotation.buffers[0], only_published=race.only_published):
        key = (candidate.name, candidate.implementation)
        role = role_of(candidate.name)
        arm = Arm(*key, role, device, params.dtype, lambda i: None)
        problem = candidate.reason or obstacles.get(key, "")
        if not problem and candidate.name == DENSE and candidate.implementation != EAGER:
            problem = costs.dense_obstacle(cell, context.device_kind)
        if not problem and candidate.function is not None:
            if candidate.implementation == FAST and context.device_kind == "cuda":
                yield Phase("compile", "kernels of SSA", budgeted=False)
            problem = failure_of(partial(check, candidate, params, race, device))
        if problem:
            yield from missing(arm, TIMES, problem, race.where)
        else:
            arms.append(replace(arm, call=rotated(rotation, candidate), period=rotation.period, reason=rotation.reason))
    if not arms:
        return {}
    baseline = next((arm.key for arm in arms if arm.name == DENSE), arms[0].key)
    what = f"N = {race.n:,}, k = {race.k}, s = {race.s}"
    unused = "device time is measured apart, of what a graph can hold"
    latencies = _latencies(timed(arms, baseline, device, sampling_of(params), race.where, what, unused))
    measured_s = yield from within(latencies, 0.0, 0.7)
    if context.device_kind == "cuda" and not race.only_published:
        yield from within(_device_times(arms, measured_s, sampling_of(params), device, race.where), 0.7, 1.0)
    if not race.only_published:
        yield from peak_memory(arms, [rotation], race.where)
    rotation.drop_outputs()
    return measured_s


def speed(params: SsaParameters, context: Context, source: Source | None = None) -> Generator[Event, None, None]:
    """One cell of the sweep: times, memory, the split of SSA's time, and joules where they are asked for here."""
    contest = Race.of(params, source)
    with_energy = params.energy != "none" and context.cell in energy_cells(context.plan)
    seconds = yield from within(race(params, context, contest), 0.0, 0.5 if with_energy else 0.8)
    if params.n == longest(context.plan):
        yield from within(split(params, context, contest, seconds), 0.5 if with_energy else 0.8, 0.6 if with_energy else 1.0)
    if with_energy:
        yield from within(joules(params, context, contest, seconds), 0.6, 1.0)


def check(candidate: Candidate, params: SsaParameters, race: Race, device: str) -> str:
    """What is wrong with an implementation's result on a short sequence, against float64; "" where all is well.

    A fast SSA is compared with the reference at the clusters and samples that it found itself.
    """
    if candidate.implementation == EAGER:
        return ""
    dtype = getattr(torch, params.dtype)
    n = min(race.n, CHECKED_N)
    tokens = race.recipe.tokens(n, params.seed + 1, device, n_heads=1, dtype=dtype)
    inputs = (tokens.query, tokens.key, tokens.value)
    query, key, value = (x.double() for x in inputs)
    if candidate.name == DENSE:
        assert candidate.function is not None
        exact = dense.naive(query, key, value, causal=params.causal)
        return disagreement(candidate.function(*inputs), exact, dense.naive(*inputs, causal=params.causal))
    ssa = Ssa(params, min(race.k, n), min(race.s, n), device)
    clusters = ssa.fast_clusters(tokens.query)
    samples = ssa.fast_samples(clusters)
    attend = partial(reference.attention, clusters=clusters, samples=samples, weighted=params.reweighted, causal=params.causal)
    exact, same_precision = attend(query, key, value).output, attend(*inputs).output
    return disagreement(ssa.fast_attention(inputs, clusters, samples), exact, same_precision)


def split(params: SsaParameters, context: Context, contest: Race, seconds: Mapping[ArmKey, float]) -> Generator[Event, None, None]:
    """The steps of each SSA that was timed, each alone: projection, clustering, gathering, attention."""
    where = {**contest.where, "part": SPLIT}
    timed_ways = [way for name, way in seconds if name == SSA]
    recipe_tokens = contest.recipe.tokens(
        contest.n, params.seed, context.device, n_heads=params.n_heads, dtype=getattr(torch, params.dtype)
    )
    inputs = (recipe_tokens.query, recipe_tokens.key, recipe_tokens.value)
    for place, way in enumerate(timed_ways):
        ssa = Ssa(params, contest.k, contest.s, context.device)
        arms = [Arm(name, way, "technique", context.device, params.dtype, partial(_called, call)) for name, call in steps(ssa, way, inputs)]
        measured = timed(arms, arms[-1].key, context.device, SPLIT_SAMPLING, where, f"steps of {way} SSA", "steps are timed as called")
        yield from within(_latencies(measured), place / len(timed_ways), (place + 1) / len(timed_ways))


def _latencies(events: Generator[Event, None, T]) -> Generator[Event, None, T]:
    """Without the records that only say that there is no device time here."""
    try:
        while True:
            event = next(events)
            if not (isinstance(event, Record) and event.value is None and event.metric == TIMES[1]):
                yield event
    except StopIteration as end:
        return end.value
    finally:
        events.close()


def _device_times(
    arms: list[Arm], seconds: Mapping[ArmKey, float], sampling: Sampling, device: str, where: Mapping[str, Scalar]
) -> Generator[Event, None, None]:
    """Replayed graphs of the arms that never wait for the host and are short enough that launches matter."""
    short = [arm for arm in arms if arm.key != (SSA, EAGER) and seconds.get(arm.key, SLOW_CALL_S) < SLOW_CALL_S]
    for arm in arms:
        if arm not in short:
            why = "waits for the host" if arm.key == (SSA, EAGER) else "a call this long hides its launches: see the time per call"
            yield arm.record("sound", TIMES[1], None, "s", reason=why, dimensions=where)
    baseline = next((arm.key for arm in short if arm.name == DENSE), None)
    if baseline is None:
        return
    sampler = DeviceTimeSampler(device)
    yield Phase("measure", f"{TIMES[1]}, N = {where['seq_len']:,}")
    for outcome in compare(short, baseline, sampler, sampling):
        yield from outcome.records("sound", where)
    sampler.close()


def joules(params: SsaParameters, context: Context, contest: Race, seconds: Mapping[ArmKey, float]) -> Generator[Event, None, None]:
    """Joules of one call of the fastest SSA and of the fastest dense attention, of those that were timed."""
    rotation = inputs_of(contest, params, context.device)
    chosen = [min((key for key in seconds if key[0] == name), key=lambda key: seconds[key], default=None) for name in (SSA, DENSE)]
    arms = []
    for candidate in candidates(params, contest.k, contest.s, rotation.buffers[0]):
        key = (candidate.name, candidate.implementation)
        if key in chosen and candidate.function is not None:
            call = rotated(rotation, candidate)
            arms.append(Arm(*key, role_of(key[0]), context.device, params.dtype, call, rotation.period, rotation.reason))
    if len(arms) == 2:
        yield from energy(arms, params.energy, context, contest.where)
    rotation.drop_outputs()
