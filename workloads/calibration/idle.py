"""The energy counter's tick, and idle power without and with a CUDA context. Runs in the worker only."""

from __future__ import annotations

from dataclasses import replace

import torch

from lab import calibration as names
from lab.energy import STANDARD, EnergySettings, PollingClock, between_ticks, calibrate_tick
from lab.energy_meter import CounterFault, Meter, NoMeter, open_meter
from lab.records import Phase, Progress, Record
from workloads.calibration.limits import Events, dimensions
from workloads.calibration.parameters import CalibrationParameters

CONTEXT_THERE = "a CUDA context existed before idle power could be read without one"


def idle_power(params: CalibrationParameters, device: str, energy_obstacle: str) -> Events:
    """Tick and idle power of the energy counter, or why there is none; must run before anything opens a CUDA context.

    Idle power is joules over seconds between two ticks at least ``idle_s`` apart, after a lead-in. With a context: the same process, which
    then holds one and does nothing.
    """
    yield Phase("idle power")
    meter = open_meter(device, energy_obstacle)
    if isinstance(meter, NoMeter):
        yield _record(device, names.TICK, None, "s", reason=meter.reason)
        for condition in (names.WITHOUT_CONTEXT, names.WITH_CONTEXT):
            yield _record(device, names.IDLE_POWER, None, "W", condition, meter.reason)
        return
    settings = replace(STANDARD, window_s=params.idle_s, idle_lead_in_s=min(1.0, params.idle_s))
    clock = PollingClock()
    try:
        yield _record(device, names.TICK, calibrate_tick(meter, clock, settings).tick_s, "s")
    except CounterFault as fault:
        yield _record(device, names.TICK, None, "s", reason=str(fault))
    yield Progress(0.3, "idle without a context")
    if torch._C._cuda_hasPrimaryContext(torch.device(device).index or 0):  # type: ignore[attr-defined]  # CUDA builds have it
        yield _record(device, names.IDLE_POWER, None, "W", names.WITHOUT_CONTEXT, CONTEXT_THERE)
    else:
        yield _idle(meter, clock, settings, device, names.WITHOUT_CONTEXT)
    yield Phase("initialise the GPU", budgeted=False)
    torch.cuda.synchronize(device)
    yield Phase("idle power", "with a context")
    yield Progress(0.6, "idle with a context")
    yield _idle(meter, clock, settings, device, names.WITH_CONTEXT)


def _idle(meter: Meter, clock: PollingClock, settings: EnergySettings, device: str, condition: str) -> Record:
    try:
        span = between_ticks(meter, clock, settings, settings.idle_lead_in_s)
    except CounterFault as fault:
        return _record(device, names.IDLE_POWER, None, "W", condition, str(fault))
    return _record(device, names.IDLE_POWER, span.energy_j / span.seconds, "W", condition)


def _record(device: str, metric: str, value: float | None, unit: str, condition: str = "", reason: str = "") -> Record:
    arm = "energy_counter" if metric == names.TICK else "idle"
    where = dimensions(condition=condition)
    return Record("sound", arm, "baseline", "nvml", device, "", metric, value, unit, reason=reason, dimensions=where)
