"""What every comparison of the activation experiment does with its arms: time them side by side, and take their peak memory."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from lab.memory import torch_peak_memory
from lab.records import Phase, Progress, Record, Scalar
from lab.rotation import Rotation
from lab.statistics import LOOKS
from lab.timing import Arm, ArmKey, DeviceTimeSampler, Observation, Sampler, Sampling, compare
from workloads.activations.parameters import ActivationParameters

Event = Phase | Progress | Record
Dimensions = Mapping[str, Scalar]
T = TypeVar("T")


def sampling_of(params: ActivationParameters) -> Sampling:
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


def missing(arm: Arm, metrics: Sequence[str], reason: str, dimensions: Dimensions) -> Iterator[Record]:
    """One record without a value for each of ``metrics`` (times)."""
    for metric in metrics:
        yield arm.record("sound", metric, None, "s", reason=reason, dimensions=dimensions)


def timed(
    arms: Sequence[Arm], baseline: ArmKey, samplers: Sequence[Sampler], sampling: Sampling, dimensions: Dimensions, what: str
) -> Generator[Event, None, dict[ArmKey, float]]:
    """Time ``arms`` side by side with one sampler after the other; returns the mean seconds per call by the first one."""
    seen: dict[ArmKey, list[float]] = {}
    for index, sampler in enumerate(samplers):
        yield Phase("measure", f"{sampler.metric}, {what}")
        for outcome in compare(arms, baseline, sampler, sampling):
            yield from outcome.records("sound", dimensions)
            done = 0.0
            if isinstance(outcome, Observation):
                done = (outcome.index + 1) / max(sampling.looks)
                if index == 0:
                    for key, seconds in outcome.seconds.items():
                        seen.setdefault(key, []).append(seconds)
            yield Progress((index + done) / len(samplers), f"{sampler.metric}, {what}")
        if isinstance(sampler, DeviceTimeSampler):
            sampler.close()
    return {key: sum(values) / len(values) for key, values in seen.items()}


def peak_memory(arms: Sequence[Arm], rotations: Sequence[Rotation], dimensions: Dimensions) -> Iterator[Event]:
    """Peak memory of each arm alone; ``rotations`` hold their outputs."""
    yield Phase("memory", "peak of each arm alone")
    for arm in arms:
        yield from torch_peak_memory(arm).records("sound", dimensions)
        for rotation in rotations:
            rotation.drop_outputs()
