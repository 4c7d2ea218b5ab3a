"""What every comparison does with its arms: time them side by side, take their peak memory and their joules. Worker side."""

from __future__ import annotations

import math
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Protocol as Typing
from typing import TypeVar

from lab import records
from lab.energy import EFFORTS, PollingClock, energy_events
from lab.energy_meter import open_meter
from lab.load import CudaLoad
from lab.memory import torch_peak_memory
from lab.records import Event, Phase, Progress, Record, Scalar
from lab.rotation import Rotation
from lab.statistics import LOOKS
from lab.timing import (
    NO_DEVICE_TIMER,
    Arm,
    ArmKey,
    DeviceTimeSampler,
    LatencySampler,
    Observation,
    Sampler,
    Sampling,
    compare,
    synchronizer,
)
from lab.workload import Context

Dimensions = Mapping[str, Scalar]
NO_THRESHOLDS: Mapping[ArmKey, float] = MappingProxyType({})
ALL_CAPTURED: Mapping[ArmKey, str] = MappingProxyType({})
SMALLEST_CALL_TURNS = 10  # of ten calls back to back
LAUNCHES_HIDDEN = "launching is hidden behind the device's work: the time per call is the device's"
T = TypeVar("T")


class SamplingParameters(Typing):
    """Parameters that say how to sample (``lab.shared_parameters``)."""

    @property
    def segment_s(self) -> float: ...

    @property
    def precision(self) -> float: ...

    @property
    def looks(self) -> int: ...


def sampling_of(params: SamplingParameters) -> Sampling:
    """How long and how often to measure, from the parameters."""
    return Sampling(segment_s=params.segment_s, precision=params.precision, looks=LOOKS[: params.looks])


def within(events: Generator[Event, None, T], low: float, high: float) -> Generator[Event, None, T]:
    """``events`` with their progress moved into the share from ``low`` to ``high``; returns what ``events`` returns."""
    try:
        while True:
            event = next(events)
            yield replace(event, fraction=low + (high - low) * event.fraction) if isinstance(event, Progress) else event
    except StopIteration as end:
        return end.value
    finally:
        events.close()


def missing(
    arm: Arm, metrics: Sequence[str], reason: str, dimensions: Dimensions, protocol: records.Protocol = "sound"
) -> Iterator[Record]:
    """One record without a value for each of ``metrics`` (times)."""
    for metric in metrics:
        yield arm.record(protocol, metric, None, "s", reason=reason, dimensions=dimensions)


def timed(
    arms: Sequence[Arm],
    baseline: ArmKey,
    device: str,
    sampling: Sampling,
    dimensions: Dimensions,
    what: str,
    no_device_time: str = "",
    protocol: records.Protocol = "sound",
    hidden_launches: Mapping[ArmKey, float] = NO_THRESHOLDS,
    not_captured: Mapping[ArmKey, str] = ALL_CAPTURED,
) -> Generator[Event, None, dict[ArmKey, float]]:
    """Time ``arms`` side by side, per call and in replayed graphs; returns the mean seconds per call of each arm that was timed.

    ``no_device_time`` says why graphs are not replayed; on a CPU there is no such timer. ``hidden_launches``: for an arm, the seconds per
    call from which on launching is hidden behind the device's work, so that a replay would repeat the latency: it is left out.
    ``not_captured``: why a call cannot be captured in a graph, for the arms where that is known beforehand.
    """
    no_device_time = no_device_time if device.startswith("cuda") else NO_DEVICE_TIMER
    samplers: list[Sampler] = [LatencySampler(synchronizer(device))]
    device_timer = DeviceTimeSampler(device)
    if not no_device_time:
        samplers.append(device_timer)
    seen: dict[ArmKey, list[float]] = {}
    for index, sampler in enumerate(samplers):
        if sampler is device_timer:
            left_out = {arm.key: not_captured[arm.key] for arm in arms if arm.key in not_captured}
            for arm in arms:
                if arm.key in seen and _mean(seen[arm.key]) >= hidden_launches.get(arm.key, math.inf):
                    left_out.setdefault(arm.key, LAUNCHES_HIDDEN)
            for arm in arms:
                if arm.key in left_out:
                    yield from missing(arm, (device_timer.metric,), left_out[arm.key], dimensions, protocol)
            arms = [arm for arm in arms if arm.key not in left_out]
            if not arms:
                break
            baseline = baseline if baseline in [arm.key for arm in arms] else arms[0].key
        yield Phase("measure", f"{sampler.metric}, {what}")
        for outcome in compare(arms, baseline, sampler, sampling):
            yield from outcome.records(protocol, dimensions)
            if isinstance(outcome, Observation):
                done = (index + (outcome.index + 1) / max(sampling.looks)) / len(samplers)
                yield Progress(done, f"{sampler.metric}, {what}")
                for key, seconds in outcome.seconds.items() if sampler is not device_timer else ():
                    seen.setdefault(key, []).append(seconds)
    device_timer.close()
    if no_device_time:
        for arm in arms:
            yield from missing(arm, (device_timer.metric,), no_device_time, dimensions, protocol)
    yield Progress(1.0, what)
    return {key: _mean(values) for key, values in seen.items()}


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def smallest_call_s(arm: Arm) -> float:
    """Seconds of a call where hardly anything is computed: the shortest of several turns of ten calls back to back.

    The shortest, because other work on the host only ever adds time, and would move the border of the launch-bound region.
    """
    synchronize = synchronizer(arm.device)
    taken = []
    for _ in range(3):
        arm.call(0)
    for _ in range(SMALLEST_CALL_TURNS):
        synchronize()
        start_s = time.perf_counter()
        for i in range(10):
            arm.call(i)
        synchronize()
        taken.append((time.perf_counter() - start_s) / 10)
    return min(taken)


def peak_memory(
    arms: Sequence[Arm], rotations: Sequence[Rotation], dimensions: Dimensions, protocol: records.Protocol = "sound"
) -> Iterator[Event]:
    """Peak memory of each arm alone; ``rotations`` hold their outputs."""
    yield Phase("memory", "peak of each arm alone")
    for arm in arms:
        yield from torch_peak_memory(arm).records(protocol, dimensions)
        for rotation in rotations:
            rotation.drop_outputs()


def energy(
    arms: Sequence[Arm], effort: str, context: Context, dimensions: Dimensions, protocol: records.Protocol = "sound"
) -> Generator[Event, None, None]:
    """Joules per call of ``arms`` side by side, in replayed graphs, with the settings ``lab.energy.EFFORTS[effort]``.

    On a CPU, or where it is refused, the reason for each arm.
    """
    yield Phase("energy", f"{len(arms)} arms, {effort}")
    clock = PollingClock()
    load = CudaLoad(context.device, clock)
    meter = open_meter(context.device, context.energy_obstacle)
    try:
        yield from energy_events(arms, meter, load, EFFORTS[effort], protocol, dimensions)
    finally:
        load.close()
    yield Progress(1.0, "energy")
