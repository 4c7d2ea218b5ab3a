"""The calibration: physical limits first, then how the lab fares where the truth is known. Runs in the worker only."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import torch

from lab.records import Phase, Progress, Record
from lab.statistics import LOOKS
from lab.timing import DeviceTimeSampler, LatencySampler, Sampler, Sampling, synchronizer
from lab.workload import Context
from workloads.calibration import idle, limits, trials
from workloads.calibration.costs import stages
from workloads.calibration.parameters import INJECTED_PERCENT, CalibrationParameters


def run(params: CalibrationParameters, context: Context) -> Iterator[Phase | Progress | Record]:
    """Everything a calibration yields, stage by stage; a stage's share of the progress is its share of the estimated time."""
    torch.set_num_threads(context.threads)
    device = context.device
    sampling = Sampling(segment_s=params.segment_s, precision=params.precision, looks=LOOKS[: params.looks])
    once = replace(sampling, looks=LOOKS[:1])  # what needs no interval of 0.2 %
    samplers: list[Sampler] = [LatencySampler(synchronizer(device))]
    if params.device_timer:
        samplers.append(DeviceTimeSampler(device))
    stage: dict[str, Callable[[], limits.Events]] = {
        "idle power": lambda: idle.idle_power(params, device, context.energy_obstacle),  # first: it must see the GPU without a context
        "copy bandwidth": lambda: limits.copy_bandwidth(params, device, once),
        "matrix rate": lambda: limits.matrix_rate(params, device),
        "launch overhead": lambda: limits.launch_overhead(params, device, once),
        "an arm against itself": lambda: trials.against_itself(params, device, samplers, sampling),
        "known effects": lambda: trials.known_effects(params, device, INJECTED_PERCENT, sampling),
        "independent timer": lambda: trials.independent_timer(params, device, replace(once, segment_s=max(once.segment_s, 0.02))),
    }
    seconds = stages(params, context.device_kind)
    done = 0.0
    for name, events in stage.items():
        part = seconds[name] / sum(seconds.values())
        for event in events():
            yield replace(event, fraction=done + part * event.fraction) if isinstance(event, Progress) else event
        done += part
