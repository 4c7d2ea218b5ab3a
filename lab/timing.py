"""Time of several arms side by side, in mirrored observations.

Definitions:

- **Arm**: one implementation of one technique or baseline, as a call on the i-th rotated input.
- **Segment**: at least ``segment_s`` of back-to-back calls of one arm; its value is seconds per call. A segment that comes out too short is
  extended by further calls until it is long enough.
- **Observation**: one pass over all arms and back (A B B A); an arm's value is the mean of its two segments, so that anything that changes
  linearly in time changes all arms alike. The order of the pass follows a Williams design: over k passes of k arms each arm takes each
  place once and follows each other arm equally often.
- **Look**: after 10, 20 and 40 observations; sampling stops where ``lab.statistics.precise_enough`` says so (against a named baseline).
- ``latency_s``: host clock around the calls of a segment, the device synchronised before and after: what a user of eager calls feels.
- ``device_time_s``: CUDA events around replays of a CUDA graph of at least 50 calls: what the hardware does without launch gaps.

Every measurement is one generator, :func:`compare`, which yields an observation when it is complete, so a reader sees it at once and
whoever stops reading is left with complete observations only. It takes time from the sampler alone: with a sampler on a fake clock every
value can be derived by hand. Garbage collection is off within segments.
"""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, NamedTuple
from typing import Protocol as Interface

from lab.cuda_graphs import CudaGraphs
from lab.records import Protocol, Record, Role, Scalar
from lab.statistics import LOOKS, precise_enough

ArmKey = tuple[str, str]  # arm, implementation

HEADROOM = 1.1  # calls are planned for 10 % more than a segment's least length, so that few segments need an extension
MAX_GROWTH = 16  # from one calibration step to the next
MAX_CALLS = 10**9  # of one segment; more means that the clock stands still
GRAPH_CALLS = 50  # least number of calls in a captured graph
NO_DEVICE_TIMER = "no device timer on a CPU"
NO_DIMENSIONS: Mapping[str, Scalar] = MappingProxyType({})


class Clock(Interface):
    """A monotonic clock: calling it gives seconds."""

    def __call__(self) -> float: ...


@dataclass(frozen=True)
class Arm:
    """One thing to measure: ``call(i)`` runs the i-th rotated input (``lab.rotation``), and inputs come back after ``period`` calls.

    ``reason`` is written beside each of its values ("partial cache: …").
    """

    name: str
    implementation: str
    role: Role
    device: str
    dtype: str
    call: Callable[[int], object] = field(compare=False)
    period: int = 1
    reason: str = ""

    @property
    def key(self) -> ArmKey:
        return (self.name, self.implementation)

    def record(
        self,
        protocol: Protocol,
        metric: str,
        value: float | None,
        unit: str,
        *,
        repeat: int | None = None,
        reason: str = "",
        dimensions: Mapping[str, Scalar] = NO_DIMENSIONS,
    ) -> Record:
        """A record of this arm; its own reason is added to ``reason``."""
        reasons = "; ".join(filter(None, (reason, self.reason)))
        return Record(
            protocol=protocol,
            arm=self.name,
            role=self.role,
            implementation=self.implementation,
            device=self.device,
            dtype=self.dtype,
            metric=metric,
            value=value,
            unit=unit,
            repeat=repeat,
            reason=reasons,
            dimensions=dimensions,
        )


@dataclass(frozen=True)
class Sampling:
    """How long and how often to measure. ``precision``: half-width of every log ratio at which sampling stops (0.01 = 1 %)."""

    segment_s: float = 0.1
    precision: float = 0.01
    looks: tuple[int, ...] = LOOKS
    warmup_s: float = 0.5
    warmup_calls: int = 3

    def __post_init__(self) -> None:
        if not (self.segment_s > 0 and self.precision > 0 and self.looks and min(self.looks) >= 1):
            raise ValueError(f"segment_s and precision must be above 0 and looks at least 1: {self}")


THOROUGH = Sampling()
QUICK = Sampling(segment_s=0.02)


@dataclass(frozen=True)
class Observation:
    """One complete mirrored pass: seconds per call of each arm that can be measured."""

    index: int
    metric: str
    arms: tuple[Arm, ...]
    seconds: Mapping[ArmKey, float]

    def records(self, protocol: Protocol, dimensions: Mapping[str, Scalar] = NO_DIMENSIONS) -> list[Record]:
        """One record per arm, ``repeat`` = the observation's index."""
        return [
            arm.record(protocol, self.metric, self.seconds[arm.key], "s", repeat=self.index, dimensions=dimensions) for arm in self.arms
        ]


@dataclass(frozen=True)
class Excluded:
    """An arm that cannot be measured, and why; the other arms go on without it."""

    metric: str
    arm: Arm
    reason: str
    unit: str = "s"

    def records(self, protocol: Protocol, dimensions: Mapping[str, Scalar] = NO_DIMENSIONS) -> list[Record]:
        """One record without a value."""
        return [self.arm.record(protocol, self.metric, None, self.unit, reason=self.reason, dimensions=dimensions)]


class Timed(NamedTuple):
    """Back-to-back calls and how long they took together."""

    seconds: float
    calls: int


class Sampler(Interface):
    """Times calls of an arm in one metric."""

    metric: str

    def prepare(self, arm: Arm) -> str:
        """Make an arm ready to be timed; why that is not possible, or ""."""
        ...

    def time(self, arm: Arm, first: int, calls: int) -> Timed:
        """Run at least ``calls`` calls back to back, from the ``first``-th rotated input on."""
        ...


class LatencySampler:
    """``latency_s``: host clock around the calls and the device's synchronisation.

    ``synchronize`` waits until the device is idle (:func:`synchronizer`).
    """

    metric = "latency_s"

    def __init__(self, synchronize: Callable[[], object], clock: Clock = time.perf_counter) -> None:
        self._synchronize, self._clock = synchronize, clock

    def prepare(self, arm: Arm) -> str:
        return ""

    def time(self, arm: Arm, first: int, calls: int) -> Timed:
        call, clock = arm.call, self._clock
        self._synchronize()
        start = clock()
        for i in range(first, first + calls):
            call(i)
        self._synchronize()
        return Timed(clock() - start, calls)


def synchronizer(device: str) -> Callable[[], object]:
    """What waits for ``device`` to be idle: nothing on a CPU, ``torch.cuda.synchronize`` on CUDA."""
    if not device.startswith("cuda"):
        return lambda: None
    import torch

    return lambda: torch.cuda.synchronize(device)


class DeviceTimeSampler:
    """``device_time_s``: CUDA events around replays of a graph of at least 50 calls, captured once per arm.

    The graph holds whole turns of the arm's rotation, so replays keep the cache as cold as single calls do. The graphs share one memory
    pool (none reads what another wrote); ``close`` frees them. Calls that cannot be captured, for example because they wait for the device,
    exclude the arm.
    """

    metric = "device_time_s"

    def __init__(self, device: str) -> None:
        self._device = device
        self._graphs: dict[ArmKey, tuple[Any, int]] = {}
        self._captures = CudaGraphs(device)

    def prepare(self, arm: Arm) -> str:
        if not self._device.startswith("cuda"):
            return NO_DEVICE_TIMER
        calls = graph_calls(arm.period)
        graph = self._captures.capture(arm, calls)
        self._graphs[arm.key] = (graph, calls)
        return ""

    def time(self, arm: Arm, first: int, calls: int) -> Timed:
        import torch

        graph, calls_each = self._graphs[arm.key]
        replays = math.ceil(calls / calls_each)
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        torch.cuda.synchronize(self._device)
        start.record()
        for _ in range(replays):
            graph.replay()
        end.record()
        end.synchronize()
        return Timed(start.elapsed_time(end) / 1e3, replays * calls_each)

    def close(self) -> None:
        """Free the captured graphs and their memory."""
        self._graphs.clear()
        self._captures.close()


def graph_calls(period: int) -> int:
    """Calls in a captured graph: the least multiple of the rotation's period that is at least 50."""
    return math.ceil(GRAPH_CALLS / period) * period


def balanced_orders(k: int) -> list[tuple[int, ...]]:
    """k orders of k arms (a Williams design): each arm takes each place once.

    Passed through forwards and backwards, each arm also follows each other equally often. Row r is 0, 1, k − 1, 2, k − 2, … plus r mod k.
    """
    zigzag = [(i + 1) // 2 if i % 2 else (k - i // 2) % k for i in range(k)]
    return [tuple((place + shift) % k for place in zigzag) for shift in range(k)]


@dataclass
class _Running:
    """An arm while it is being measured: how many calls fill a segment, and which rotated input comes next."""

    arm: Arm
    calls: int
    next_input: int = 0


def compare(arms: Sequence[Arm], baseline: ArmKey, sampler: Sampler, sampling: Sampling = THOROUGH) -> Iterator[Excluded | Observation]:
    """Measure ``arms`` side by side: first what is excluded, then one observation after the other.

    Arms that fail in preparation or warm-up are excluded with the reason. ``baseline`` (name, implementation) is what
    ``sampling.precision`` refers to; where it is excluded, the first arm of the role baseline stands in, else the first arm. Ends at one of
    ``sampling.looks``. Raises ValueError where two arms share name and implementation, or ``baseline`` is none of them.
    """
    keys = [arm.key for arm in arms]
    if len(set(keys)) < len(keys) or baseline not in keys:
        raise ValueError(f"the arms {keys} must be distinct and hold the baseline {baseline}")
    running: list[_Running] = []
    spent = 0.0
    for arm in arms:
        try:
            reason = sampler.prepare(arm)
            if not reason:
                state, calibration_s = _calibrate(arm, sampler, sampling)
                running.append(state)
                spent += calibration_s
        except Exception as error:  # whatever an arm raises, the others can still be measured
            reason = described(error)
        if reason:
            yield Excluded(sampler.metric, arm, reason)
    if not running:
        return
    while spent < sampling.warmup_s:
        for state in running:
            spent += _segment(state, sampler, sampling.segment_s).seconds

    measured = tuple(state.arm for state in running)
    reference = _reference(measured, baseline)
    history: dict[ArmKey, list[float]] = {arm.key: [] for arm in measured}
    orders = balanced_orders(len(running))
    for index in range(max(sampling.looks)):
        order = orders[index % len(orders)]
        passes: dict[ArmKey, list[Timed]] = {arm.key: [] for arm in measured}
        for place in (*order, *reversed(order)):
            passes[running[place].arm.key].append(_segment(running[place], sampler, sampling.segment_s))
        for state in running:
            state.calls = _calls_for(max(passes[state.arm.key], key=lambda timed: timed.calls), sampling.segment_s)
        seconds = {key: sum(timed.seconds / timed.calls for timed in pair) / len(pair) for key, pair in passes.items()}
        for key, value in seconds.items():
            history[key].append(value)
        yield Observation(index, sampler.metric, measured, seconds)
        others = [series for key, series in history.items() if key != reference]
        if index + 1 in sampling.looks and precise_enough(others, history[reference], sampling.precision):
            return


def _calibrate(arm: Arm, sampler: Sampler, sampling: Sampling) -> tuple[_Running, float]:
    """Warm one arm up and find how many calls fill a segment; also the seconds spent."""
    state = _Running(arm, sampling.warmup_calls)
    timed = _run(state, sampler, state.calls)  # the first calls set things up: they say nothing about later ones
    spent = timed.seconds
    calls = 1
    while True:
        timed = _run(state, sampler, calls)
        spent += timed.seconds
        if timed.seconds >= sampling.segment_s / 4:
            state.calls = _calls_for(timed, sampling.segment_s)
            return state, spent
        calls = _more(timed, sampling.segment_s)


def _segment(state: _Running, sampler: Sampler, segment_s: float) -> Timed:
    """One segment of at least ``segment_s``."""
    seconds, calls = _run(state, sampler, state.calls)
    while seconds < segment_s:
        rest = _more(Timed(seconds, calls), segment_s - seconds)
        more = _run(state, sampler, rest)
        seconds, calls = seconds + more.seconds, calls + more.calls
    return Timed(seconds, calls)


def _run(state: _Running, sampler: Sampler, calls: int) -> Timed:
    if calls > MAX_CALLS:
        raise RuntimeError(f"{state.arm.name}: {calls} calls would not fill a segment: the clock stands still")
    with garbage_collection_off():
        timed = sampler.time(state.arm, state.next_input, calls)
    state.next_input += timed.calls
    return timed


def _calls_for(timed: Timed, segment_s: float) -> int:
    """How many calls fill a segment with some headroom, from what was timed."""
    return max(1, math.ceil(HEADROOM * segment_s * timed.calls / timed.seconds))


def _more(timed: Timed, wanted_s: float) -> int:
    """How many calls should take ``wanted_s``, growing by a bounded factor because short timings tell little."""
    most = MAX_GROWTH * timed.calls
    return most if timed.seconds <= 0 else max(1, min(most, math.ceil(wanted_s * timed.calls / timed.seconds)))


def _reference(arms: Sequence[Arm], baseline: ArmKey) -> ArmKey:
    ranked = sorted(arms, key=lambda arm: (arm.key != baseline, arm.role != "baseline"))
    return ranked[0].key


def described(error: Exception) -> str:
    """An exception as a reason: its kind and the first line of its text."""
    lines = str(error).strip().splitlines()
    text = f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
    return text if len(text) <= 200 else text[:199] + "…"


@contextmanager
def garbage_collection_off() -> Iterator[None]:
    """No garbage collection within the block: a pause would be measured as the arm's."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
