"""Comparisons whose truth is known, and the lab's timer against an independent one. Runs in the worker only."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional

from lab import calibration as names
from lab.records import Phase, Progress
from lab.rotation import Rotation, cache_bytes, rotated_buffers
from lab.statistics import ratio_interval
from lab.timing import Arm, DeviceTimeSampler, Excluded, LatencySampler, Observation, Sampler, Sampling, Timed, compare, synchronizer
from workloads.calibration.costs import ITEM_BYTES, STREAM_ELEMENTS, TIMED_ELEMENTS, TIMED_MATRIX
from workloads.calibration.limits import Events, dimensions
from workloads.calibration.parameters import BLOCK_CALLS, CalibrationParameters

Kernel = Callable[[int], object]


def streaming(device: str, elements: int, seed: int) -> tuple[Rotation, Kernel]:
    """The framework's GELU over rotating fp32 inputs of ``elements`` numbers: reads once, writes once."""
    generator = torch.Generator(device).manual_seed(seed)

    def make(_: int) -> Tensor:
        return torch.randn(elements, device=device, generator=generator)

    rotation = rotated_buffers(make, elements * ITEM_BYTES, cache_bytes(device))
    return rotation, rotation.call(functional.gelu)


def block(kernel: Kernel, calls: int) -> Kernel:
    """``calls`` calls of ``kernel`` as one; the rotation goes on through the blocks."""

    def run(i: int) -> None:
        for j in range(i * calls, (i + 1) * calls):
            kernel(j)

    return run


def against_itself(params: CalibrationParameters, device: str, samplers: list[Sampler], sampling: Sampling) -> Events:
    """Two arms that are the same, compared again and again, by each sampler."""
    rotation, kernel = streaming(device, STREAM_ELEMENTS["cuda" if device != "cpu" else "cpu"], params.seed)
    plain = Arm("gelu", "eager", "baseline", device, "float32", kernel, rotation.period, rotation.reason)
    same = replace(plain, name="gelu_again", role="technique")
    for place, sampler in enumerate(samplers):
        yield Phase("an arm against itself", f"{params.comparisons} comparisons, {sampler.metric}")
        for event in _trials(params.comparisons, (same, plain), 0, sampler, sampling):
            yield replace(event, fraction=(place + event.fraction) / len(samplers)) if isinstance(event, Progress) else event
        if isinstance(sampler, DeviceTimeSampler):
            sampler.close()
    rotation.drop_outputs()


def known_effects(params: CalibrationParameters, device: str, percents: tuple[int, ...], sampling: Sampling) -> Events:
    """A block of 100 calls against blocks of 100 + percent calls of the same kernel."""
    rotation, kernel = streaming(device, STREAM_ELEMENTS["cuda" if device != "cpu" else "cpu"], params.seed)
    sampler = LatencySampler(synchronizer(device))
    plain = Arm("gelu_block", "eager", "baseline", device, "float32", block(kernel, BLOCK_CALLS), reason=rotation.reason)
    for place, percent in enumerate(percents):
        yield Phase("known effects", f"{percent} % more work, {params.injected_comparisons} comparisons")
        slower = replace(plain, name=f"gelu_block_{percent}_percent_more", role="technique", call=block(kernel, BLOCK_CALLS + percent))
        for event in _trials(params.injected_comparisons, (slower, plain), percent, sampler, sampling):
            yield replace(event, fraction=(place + event.fraction) / len(percents)) if isinstance(event, Progress) else event
    rotation.drop_outputs()


def _trials(count: int, arms: tuple[Arm, Arm], percent: int, sampler: Sampler, sampling: Sampling) -> Events:
    """``count`` comparisons of (technique, baseline), each record by record, then how often the lab was right."""
    technique, baseline = arms
    margin, truth = names.margin(technique.device), names.true_ratio(percent)
    wanted = names.right_verdict(percent, margin)
    where = dimensions(timer=sampler.metric, injected_percent=percent)
    counts = dict.fromkeys((names.WITHIN_MARGIN, names.DIFFERENCE_SEEN, names.TRUTH_MISSED, names.RIGHT), 0)
    warm = replace(sampling, warmup_s=0.0, warmup_calls=1)  # after the first comparison nothing needs to be warmed up
    for repeat in range(count):
        outcomes = list(compare(arms, baseline.key, sampler, sampling if repeat == 0 else warm))
        excluded = [outcome.reason for outcome in outcomes if isinstance(outcome, Excluded)]
        if excluded:
            yield technique.record("sound", names.RATIO, None, "x", reason=excluded[0], dimensions=where)
            return
        seen = [outcome.seconds for outcome in outcomes if isinstance(outcome, Observation)]
        interval = ratio_interval([s[technique.key] for s in seen], [s[baseline.key] for s in seen], drift_margin=margin)
        assert interval.mean is not None
        assert interval.low is not None
        assert interval.high is not None
        for metric, value, unit in (
            (names.RATIO, interval.mean, "x"),
            (names.RATIO_LOW, interval.low, "x"),
            (names.RATIO_HIGH, interval.high, "x"),
            (names.RATIO_ERROR, interval.mean / truth - 1, "1"),
        ):
            yield technique.record("sound", metric, value, unit, repeat=repeat, reason=interval.reason, dimensions=where)
        counts[names.WITHIN_MARGIN] += abs(interval.mean / truth - 1) <= margin
        counts[names.DIFFERENCE_SEEN] += not interval.low <= 1 <= interval.high
        counts[names.TRUTH_MISSED] += not interval.low <= truth <= interval.high
        counts[names.RIGHT] += names.verdict(interval, margin) == wanted
        yield Progress((repeat + 1) / count, f"comparison {repeat + 1} of {count}")
    for metric, hits in ((names.COMPARISONS, count), *counts.items()):
        yield technique.record("sound", metric, hits, "1", dimensions=where)


# --- an independent timer -----------------------------------------------------------------------------------------------------


class TimerSampler:
    """``latency_s`` by the lab's own sampler for the arms of the implementation "lab", by an independent timer for the others."""

    metric = LatencySampler.metric

    def __init__(self, device: str, segment_s: float) -> None:
        self._lab = LatencySampler(synchronizer(device))
        self._segment_s = segment_s

    def prepare(self, arm: Arm) -> str:
        return self._lab.prepare(arm)

    def time(self, arm: Arm, first: int, calls: int) -> Timed:
        if arm.implementation == "lab":
            return self._lab.time(arm, first, calls)
        inputs = iter(range(first, 1 << 62))

        def call() -> object:
            return arm.call(next(inputs))

        if arm.implementation == "do_bench":
            from triton.testing import do_bench

            return Timed(calls * 1e-3 * do_bench(call, warmup=1, rep=max(1, round(1e3 * self._segment_s)), return_mode="mean"), calls)
        from torch.utils.benchmark import Timer

        timer = Timer("call()", globals={"call": call}, num_threads=torch.get_num_threads())
        return Timed(calls * timer.timeit(calls).mean, calls)


def independent_timer(params: CalibrationParameters, device: str, sampling: Sampling) -> Events:
    """A streaming kernel and a matrix product, each over 200 µs, timed by the lab and by an independent timer in mirrored passes."""
    kind = "cuda" if device != "cpu" else "cpu"
    other = "do_bench" if kind == "cuda" else "torch_benchmark"
    sampler = TimerSampler(device, sampling.segment_s)
    for place, (name, kernel, size) in enumerate(_timed_kernels(params, device, kind)):
        yield Phase("independent timer", f"{name.replace('_', ' ')}, {other}")
        where = dimensions(size=size, timer=names.LATENCY)
        ours = Arm(name, "lab", "technique", device, "float32", kernel)
        theirs = replace(ours, implementation=other, role="baseline")
        for outcome in compare([ours, theirs], theirs.key, sampler, sampling):
            yield from outcome.records("sound", where)
            yield Progress((place + (getattr(outcome, "index", -1) + 1) / max(sampling.looks)) / 2, name)


def _timed_kernels(params: CalibrationParameters, device: str, kind: str) -> Iterator[tuple[str, Kernel, str]]:
    elements, n = TIMED_ELEMENTS[kind], TIMED_MATRIX[kind]
    rotation, kernel = streaming(device, elements, params.seed)
    yield "gelu", kernel, f"{elements:,} elements"
    rotation.drop_outputs()
    generator = torch.Generator(device).manual_seed(params.seed)

    def make(_: int) -> tuple[Tensor, Tensor]:
        a, b = (torch.randn(n, n, device=device, generator=generator) for _ in range(2))
        return a, b

    rotation = rotated_buffers(make, 2 * n * n * ITEM_BYTES, cache_bytes(device))
    yield "matrix_product", rotation.call(lambda pair: pair[0] @ pair[1]), " × ".join([str(n)] * 3)
    rotation.drop_outputs()
