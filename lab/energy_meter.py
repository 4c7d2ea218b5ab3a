"""Reading a GPU's energy: the board's own counter, or why there is none that may be read.

A meter gives two readings of one sensor: the joules counted since the driver was loaded, which a comparison rests on, and the power of
the moment, which checks the counter. :class:`NvmlMeter` asks the driver; :class:`ReplayedMeter` reads a :class:`CounterLog` again on
another clock.

Refused, each with its reason in words (:func:`obstacle`): a CPU; no NVML; MIG, because the counter is the whole board's; compute processes
of others on the GPU, because their joules cannot be told from ours; a counter that cannot be read (before Volta, or no permission).
What cannot be noticed: processes that the driver hides from this one, as in some containers, and those that start later.
"""

from __future__ import annotations

import contextlib
import csv
import io
import os
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple
from typing import Protocol as Interface

import psutil

from lab import environment
from lab.timing import Clock

NO_COUNTER_ON_CPU = "no energy counter is read on a CPU"
NOT_ASKED_FOR = "this run was not asked to measure energy"
INSTANT_POWER = "NVML instant power"
POWER_USAGE = "NVML power usage (the driver gives no instant power; on many GPUs this is the mean of the last second)"
MILLI = 1e-3  # NVML counts millijoules and milliwatts


class CounterFault(Exception):
    """The energy counter did what a counter of energy cannot do; the text says what."""


class Meter(Interface):
    """Reads one device's energy. ``counter`` and ``power`` name what is read, for the method text."""

    counter: str
    power: str

    def energy_j(self) -> float:
        """Joules counted since some fixed moment. Raises CounterFault where the counter cannot be read."""
        ...

    def power_w(self) -> float | None:
        """Power of the moment in watts; None where it is not told."""
        ...


@dataclass(frozen=True)
class NoMeter:
    """What stands in place of a meter where energy cannot be measured, and why."""

    reason: str


class NvmlMeter:
    """The total energy counter of one GPU and its power, by NVML.

    ``uuid``: the GPU, as NVML names it. The board's whole energy is counted, memory and regulators included. Raises CounterFault where
    the GPU or its counter cannot be read.
    """

    counter = "NVML total energy counter"

    def __init__(self, uuid: str) -> None:
        import pynvml

        self._nvml: Any = pynvml
        try:
            pynvml.nvmlInit()  # counted by NVML; never shut down, because starting it anew takes long
            self._handle = pynvml.nvmlDeviceGetHandleByUUID(uuid)
        except pynvml.NVMLError as error:
            raise CounterFault(f"NVML cannot be used: {error}") from None
        self.energy_j()
        self.power = INSTANT_POWER if self._instant_power_w() is not None else POWER_USAGE

    def energy_j(self) -> float:
        try:
            return float(self._nvml.nvmlDeviceGetTotalEnergyConsumption(self._handle) * MILLI)
        except self._nvml.NVMLError as error:  # not supported before Volta, no permission, GPU lost
            raise CounterFault(f"the energy counter cannot be read: {error}") from None

    def power_w(self) -> float | None:
        if self.power == INSTANT_POWER:
            return self._instant_power_w()
        try:
            return float(self._nvml.nvmlDeviceGetPowerUsage(self._handle) * MILLI)
        except self._nvml.NVMLError:
            return None

    def _instant_power_w(self) -> float | None:
        try:
            (field,) = self._nvml.nvmlDeviceGetFieldValues(self._handle, [self._nvml.NVML_FI_DEV_POWER_INSTANT])
        except (self._nvml.NVMLError, AttributeError):  # an older driver, or an older binding that does not know the field
            return None
        return float(field.value.uiVal * MILLI) if field.nvmlReturn == self._nvml.NVML_SUCCESS else None


def open_meter(device: str, obstacle: str) -> NvmlMeter | NoMeter:
    """The meter of ``device``, where ``obstacle`` (:func:`obstacle`, asked before the run had a context) says nothing against it."""
    if obstacle:
        return NoMeter(obstacle)
    gpu, reason = _gpu(device)
    if gpu is None:
        return NoMeter(reason)
    try:
        return NvmlMeter(gpu.uuid)
    except CounterFault as fault:
        return NoMeter(str(fault))


def obstacle(device: str) -> str:
    """Why the energy of a run on ``device`` is not measured, in words; "" where it can be.

    Must be asked before this process has a CUDA context: afterwards it cannot tell its own from those of others.
    """
    gpu, reason = _gpu(device)
    if gpu is None:
        return reason
    if gpu.mig is None:
        return f"NVML does not tell whether the GPU is split by MIG ({gpu.missing['mig']})"
    if gpu.mig:
        return "MIG is enabled: the counter is the whole board's, not one instance's"
    try:
        others = compute_processes_before(gpu.uuid)
        NvmlMeter(gpu.uuid)
    except CounterFault as fault:
        return str(fault)
    if others:
        listed = ", ".join(map(str, others[:5])) + (", …" if len(others) > 5 else "")
        count = "another compute process was" if len(others) == 1 else f"{len(others)} other compute processes were"
        return f"{count} on the GPU before this run (process {listed}): the counter cannot tell their joules from ours"
    return ""


def compute_processes_before(uuid: str) -> list[int]:
    """Process ids with a compute context on the GPU, this process and its descendants excluded.

    To be asked before this process opens its own context. Process ids are those that the driver sees, which in a container may differ
    from ours. Raises CounterFault where NVML does not list them.
    """
    import pynvml

    try:
        pynvml.nvmlInit()
        handle = pynvml.nvmlDeviceGetHandleByUUID(uuid)
        found = {process.pid for process in pynvml.nvmlDeviceGetComputeRunningProcesses(handle)}
    except pynvml.NVMLError as error:
        raise CounterFault(f"NVML does not tell whether other processes use the GPU: {error}") from None
    with contextlib.suppress(pynvml.NVMLError, AttributeError):  # no MPS here: then nobody shares the GPU through it
        found |= {process.pid for process in pynvml.nvmlDeviceGetMPSComputeRunningProcesses(handle)}
    return sorted(found - {os.getpid()} - {child.pid for child in psutil.Process().children(recursive=True)})


def _gpu(device: str) -> tuple[environment.Gpu | None, str]:
    """The GPU behind a device name, or None with the reason."""
    kind, _, index = device.partition(":")
    if kind != "cuda":
        return None, NO_COUNTER_ON_CPU
    facts = environment.device_facts()
    if facts.no_gpu:
        return None, facts.no_gpu
    place = int(index or 0)
    if place >= len(facts.gpus):
        return None, f"NVML lists {len(facts.gpus)} GPUs for this process, {device} is none of them"
    return facts.gpus[place], ""


# --- logs ---------------------------------------------------------------------------------------------------------------------


class Sample(NamedTuple):
    """Readings at one moment: seconds on the log's clock, joules counted, watts (None: not told)."""

    time_s: float
    energy_j: float
    power_w: float | None


@dataclass(frozen=True)
class CounterLog:
    """Readings of a meter in rising time."""

    samples: tuple[Sample, ...]

    def __post_init__(self) -> None:
        times = [sample.time_s for sample in self.samples]
        if not times or any(later <= earlier for earlier, later in pairwise(times)):
            raise ValueError("a counter log needs samples in strictly rising time")

    @classmethod
    def of(cls, samples: Sequence[tuple[float, float, float | None]]) -> CounterLog:
        """A log of (time_s, energy_j, power_w)."""
        return cls(tuple(Sample(*sample) for sample in samples))

    def to_csv(self) -> str:
        """CSV with the header time_s,energy_j,power_w; a power that was not told is empty."""
        text = io.StringIO()
        rows = csv.writer(text, lineterminator="\n")
        rows.writerow(Sample._fields)
        rows.writerows((repr(s.time_s), repr(s.energy_j), "" if s.power_w is None else repr(s.power_w)) for s in self.samples)
        return text.getvalue()

    @classmethod
    def from_csv(cls, text: str) -> CounterLog:
        """Inverse of :meth:`to_csv`. Raises ValueError for another header or a cell that is no number."""
        header, *rows = list(csv.reader(io.StringIO(text)))
        if tuple(header) != Sample._fields:
            raise ValueError(f"a counter log has the columns {', '.join(Sample._fields)}, not {', '.join(header)}")
        return cls.of([(float(time), float(energy), float(power) if power else None) for time, energy, power in rows])


class ReplayedMeter:
    """Reads a log again: at any moment the last sample that is not later.

    ``start_s``: what ``clock`` says at the log's first sample. Before and after the log nothing is known: CounterFault.
    """

    counter = "replayed counter log"
    power = "replayed power"

    def __init__(self, log: CounterLog, clock: Clock, start_s: float = 0.0) -> None:
        self._samples, self._clock = log.samples, clock
        self._times = [sample.time_s - log.samples[0].time_s + start_s for sample in log.samples]

    def energy_j(self) -> float:
        return self._now().energy_j

    def power_w(self) -> float | None:
        return self._now().power_w

    def _now(self) -> Sample:
        now_s = self._clock()
        if not self._times[0] <= now_s <= self._times[-1]:
            raise CounterFault("the counter log does not reach this moment")
        return self._samples[bisect_right(self._times, now_s) - 1]
