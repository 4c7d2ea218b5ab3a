"""Energy of several arms side by side, from a counter of joules that moves in ticks.

    device (lab.load: calls in batches, lab.energy_meter: joules) --> monitor (CounterWatch: ticks) --> comparison (compare_energy)

Definitions:

- **Tick**: a change of the counter, seen by polling. It happened between the start of the last reading that showed the old value and the
  end of the first that showed the new one; its time is the middle, its uncertainty half of that.
- **Window**: one arm runs without a pause. What it does in the first ``lead_in_s`` is discarded; then joules, seconds and calls are counted
  from a tick to the first tick at least ``window_s`` later. Both ends see the same steady load, so a sensor's delay cancels.
- **Observation**: one mirrored pass over all arms (A B B A; Williams order as in ``lab.timing``). An arm's value is the joules of its two
  windows over their calls, so anything that changes linearly in time changes all arms alike. The number of observations is fixed
  beforehand: nothing is looked at to decide when to stop.
- **Gross** (``energy_j``, per call): all that the counter counted. **Net** (``energy_net_j``): gross less the idle power times the seconds;
  idle power is the mean of a window before and a window after all others, in this process with its context live and nothing to do.

What is known and what is not:

- Calls between two ticks: each batch says when it ended, and in between calls are taken to end evenly. The bound on the error,
  ``energy_calls_error``, is the uncertainty of both ticks over the window plus, for each end, one call (a whole batch where the device had
  to wait within it). With polls of 1 ms and calls far below 1 ms it stays under 0.5 % of 2 s; where it does not, the reason says so.
- The counter against the same board's power, integrated by the trapezoid rule over the same windows: counter / integral − 1 is
  ``energy_counter_vs_power``, and above 5 % the reason says so. Both come from one sensor: agreement does not show that it is right.
- Not measured: the host, its memory and the losses of the power supply.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from lab.energy_meter import CounterFault, CounterLog, Meter, NoMeter
from lab.load import Batch, Load
from lab.records import Fact, Progress, Protocol, Record, Scalar
from lab.timing import MAX_CALLS, NO_DIMENSIONS, Arm, ArmKey, Excluded, balanced_orders, described, garbage_collection_off
from lab.workload import Metric

ENERGY, NET, POWER = "energy_j", "energy_net_j", "power_w"
SECONDS, CALLS, CALLS_ERROR, DISAGREEMENT = "energy_window_s", "energy_calls", "energy_calls_error", "energy_counter_vs_power"
IDLE_POWER, IDLE_DRIFT = "idle_power_w", "idle_drift"
METHOD = "energy_method"  # the manifest's entry

ENERGY_METRICS: Mapping[str, Metric] = {  # what a workload that measures energy declares
    ENERGY: Metric("Energy per call", "J", looks=1),
    NET: Metric("Energy per call above idle", "J", looks=1),
    POWER: Metric("Mean power", "W", "neither", compare="none", looks=1),
    SECONDS: Metric("Seconds in which energy was counted", "s", "neither", compare="none", looks=1),
    CALLS: Metric("Calls in those seconds", "1", "neither", compare="none", looks=1),
    CALLS_ERROR: Metric("Bound on the relative error of those calls", "1", "neither", compare="none", looks=1),
    DISAGREEMENT: Metric("Energy counter / integrated power − 1", "1", "neither", compare="none", looks=1),
    IDLE_POWER: Metric("Idle power with a context", "W", "neither", compare="none", looks=1),
    IDLE_DRIFT: Metric("Change of idle power over the run", "1", "neither", compare="none", looks=1),
}

MAX_DISAGREEMENT = 0.05
POWER_AFTER_TICK_S = 0.06  # boards move their counter about every 100 ms
MAX_CALLS_ERROR = 0.005
MAX_IDLE_DRIFT = 0.05
DISAGREES = "energy counter and integrated power are more than 5 % apart"
CALLS_UNCERTAIN = "calls within the windows are not known to 0.5 %"
IDLE_DRIFTED = "idle power changed by more than 5 % over the run"
NO_POWER = "no power reading beside the counter"


class PollingClock:
    """The host's monotonic clock, on which a poller also sleeps."""

    def __call__(self) -> float:
        return time.perf_counter()

    def sleep(self, seconds: float) -> None:
        """Let ``seconds`` pass."""
        time.sleep(seconds)


@dataclass(frozen=True)
class EnergySettings:
    """How long and how often to measure; all times in seconds.

    ``lead_in_s`` and ``idle_lead_in_s`` are discarded after each switch (a busy GPU takes longer to come to rest than to change its load).
    ``poll_s``: pause between readings of the counter; ``power_every_s``: between readings of power. ``batch_s``: work given to the device
    at once; ``ahead_s``: work it is given ahead (two batches where these are longer). ``calibration_ticks``: intervals between ticks that
    calibrate the tick. ``stalled_s``: a counter that stands still for longer is at fault.
    """

    window_s: float = 2.0
    observations: int = 5
    lead_in_s: float = 0.5
    idle_lead_in_s: float = 2.0
    poll_s: float = 0.001
    power_every_s: float = 0.01
    batch_s: float = 0.002
    ahead_s: float = 0.05
    calibration_ticks: int = 10
    stalled_s: float = 2.0

    def __post_init__(self) -> None:
        positive = (self.window_s, self.poll_s, self.power_every_s, self.batch_s, self.ahead_s, self.stalled_s)
        if min(positive) <= 0 or min(self.lead_in_s, self.idle_lead_in_s) < 0 or min(self.observations, self.calibration_ticks) < 1:
            raise ValueError(f"times must be above 0, lead-ins at least 0, observations and ticks at least 1: {self}")


STANDARD = EnergySettings()
THOROUGH = EnergySettings(window_s=5.0, observations=6)
EFFORTS = {"standard": STANDARD, "thorough": THOROUGH}  # by the value of a workload's parameter `energy`


def duration_s(n_arms: int, settings: EnergySettings = STANDARD, tick_s: float = 0.1) -> float:
    """About how long a comparison of ``n_arms`` takes, in seconds, without preparation: waiting for ticks costs 1 tick a window."""
    windows = 2 * n_arms * settings.observations
    arms_s = windows * (settings.lead_in_s + settings.window_s + tick_s)
    idle_s = 2 * (settings.idle_lead_in_s + settings.window_s + tick_s)
    return (settings.calibration_ticks + 1) * tick_s + arms_s + idle_s


# --- ticks --------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Tick:
    """The counter moved at ``time_s`` ± ``uncertainty_s`` and then stood at ``energy_j``."""

    time_s: float
    uncertainty_s: float
    energy_j: float


@dataclass(frozen=True)
class TickInterval:
    """How often the counter moves: the median interval between ticks, the extremes, and how well one interval is known (all seconds)."""

    tick_s: float
    shortest_s: float
    longest_s: float
    uncertainty_s: float


class CounterWatch:
    """Polls a meter: notices ticks, and keeps readings of power in ``power`` as (seconds, watts)."""

    def __init__(self, meter: Meter, clock: PollingClock, settings: EnergySettings) -> None:
        self._meter, self._clock, self._settings = meter, clock, settings
        self._read_from_s = self._moved_s = clock()
        self._energy_j = meter.energy_j()
        self._next_power_s = self._read_from_s
        self.power: list[tuple[float, float]] = []

    def poll(self) -> Tick | None:
        """Read the counter, and power when it is due; a tick if the counter has moved since the last reading.

        Raises CounterFault for a counter that went backwards or stands still.
        """
        before_s = self._clock()
        energy_j = self._meter.energy_j()
        after_s = self._clock()
        if energy_j < self._energy_j:
            raise CounterFault(
                f"the energy counter went backwards, from {self._energy_j:.3f} J to {energy_j:.3f} J (wrapped, or the driver was reloaded)"
            )
        tick = None
        if energy_j > self._energy_j:
            tick = Tick((self._read_from_s + after_s) / 2, (after_s - self._read_from_s) / 2, energy_j)
            self._energy_j, self._moved_s = energy_j, after_s
        elif after_s - self._moved_s > self._settings.stalled_s:
            raise CounterFault(f"the energy counter did not move for {self._settings.stalled_s:g} s")
        self._read_from_s = before_s
        # A reading of power takes milliseconds in which a tick would go unseen: it is done while the next tick is still far off.
        if after_s >= self._next_power_s and after_s - self._moved_s <= POWER_AFTER_TICK_S:
            self._next_power_s = after_s + self._settings.power_every_s
            watts = self._meter.power_w()
            if watts is not None:
                self.power.append(((after_s + self._clock()) / 2, watts))
        return tick


def calibrate_tick(meter: Meter, clock: PollingClock, settings: EnergySettings = STANDARD) -> TickInterval:
    """How often the counter moves, from ``settings.calibration_ticks`` intervals. Raises CounterFault where it does not move."""
    watch = CounterWatch(meter, clock, settings)
    ticks: list[Tick] = []
    while len(ticks) <= settings.calibration_ticks:
        tick = watch.poll()
        if tick is not None:
            ticks.append(tick)
        clock.sleep(settings.poll_s)
    intervals = [later.time_s - earlier.time_s for earlier, later in pairwise(ticks)]
    uncertainty_s = max(earlier.uncertainty_s + later.uncertainty_s for earlier, later in pairwise(ticks))
    return TickInterval(median(intervals), min(intervals), max(intervals), uncertainty_s)


def record_counter(meter: Meter, clock: PollingClock, seconds: float, poll_s: float = STANDARD.poll_s) -> CounterLog:
    """Every reading of a meter for ``seconds``, to be read again by :class:`lab.energy_meter.ReplayedMeter`. Raises CounterFault."""
    start_s = clock()
    samples: list[tuple[float, float, float | None]] = []
    while not samples or samples[-1][0] < seconds:
        samples.append((clock() - start_s, meter.energy_j(), meter.power_w()))
        clock.sleep(poll_s)
    return CounterLog.of(samples)


@dataclass(frozen=True)
class Span:
    """From one tick to another, with the power read meanwhile as (seconds, watts)."""

    start: Tick
    end: Tick
    power: tuple[tuple[float, float], ...]

    @property
    def seconds(self) -> float:
        return self.end.time_s - self.start.time_s

    @property
    def energy_j(self) -> float:
        return self.end.energy_j - self.start.energy_j

    @property
    def integrated_j(self) -> float | None:
        """Power integrated over the span; None where fewer than 2 readings fall into it."""
        return integrate_power(self.power, self.start.time_s, self.end.time_s)


def between_ticks(
    meter: Meter, clock: PollingClock, settings: EnergySettings, lead_in_s: float, advance: Callable[[], bool] = lambda: False
) -> Span:
    """Let ``lead_in_s`` pass, then watch from the next tick to the first one at least ``settings.window_s`` later.

    ``advance`` is called between readings to keep a device busy, and says whether it did anything: if not, the poll pauses. Raises
    CounterFault.
    """
    watch = CounterWatch(meter, clock, settings)
    lead_in_ends_s = clock() + lead_in_s
    start: Tick | None = None
    while True:
        worked = advance()
        tick = watch.poll()
        if tick is not None and tick.time_s - tick.uncertainty_s >= lead_in_ends_s:
            if start is None:
                start = tick
            elif tick.time_s - start.time_s >= settings.window_s:
                return Span(start, tick, tuple(watch.power))
        if not worked:
            clock.sleep(settings.poll_s)


def integrate_power(readings: Sequence[tuple[float, float]], start_s: float, end_s: float) -> float | None:
    """Joules between two moments by the trapezoid rule over (seconds, watts) in rising time.

    Between readings power is linear, beyond the first and last it is constant. None where fewer than 2 readings lie within.
    """
    inside = [(t, watts) for t, watts in readings if start_s < t < end_s]
    if len(inside) < 2:
        return None
    points = [(start_s, _power_at(readings, start_s)), *inside, (end_s, _power_at(readings, end_s))]
    return sum((t1 - t0) * (p0 + p1) / 2 for (t0, p0), (t1, p1) in pairwise(points))


def _power_at(readings: Sequence[tuple[float, float]], time_s: float) -> float:
    place = bisect_left(readings, time_s, key=lambda reading: reading[0])
    if place in (0, len(readings)):
        return readings[min(place, len(readings) - 1)][1]
    (t0, p0), (t1, p1) = readings[place - 1], readings[place]
    return p0 + (p1 - p0) * (time_s - t0) / (t1 - t0)


# --- windows of an arm --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Window:
    """One arm from tick to tick. ``calls_error``: bound on the relative error of ``calls``. ``integrated_j`` None: no power was read."""

    energy_j: float
    seconds: float
    calls: float
    calls_error: float
    integrated_j: float | None


@dataclass
class _Running:
    """An arm while it is being measured: seconds a call takes about, and which rotated input comes next."""

    arm: Arm
    call_s: float
    next_input: int = 0


class _Stream:
    """One arm's calls without a pause, and which of them had ended when."""

    def __init__(self, state: _Running, load: Load, clock: PollingClock, settings: EnergySettings) -> None:
        self._state, self._load, self._clock, self._settings = state, load, clock, settings
        self._batch_calls = max(1, round(settings.batch_s / state.call_s))
        load.synchronize()
        self._pending: deque[Batch] = deque()
        self._pending_calls = 0
        self._ends_s = [clock()]
        self._ended_calls = [0]

    def advance(self) -> bool:
        """Note what has ended; give the device batches until it has enough ahead (True where it had too little).

        All at once: reading the counter can take longer than a batch, and a device that waits would be counted as one that works.
        """
        self._note_ends()
        worked = False
        while len(self._pending) < 2 or self._pending_calls * self._state.call_s < self._settings.ahead_s:
            batch = self._load.submit(self._state.arm, self._state.next_input, self._batch_calls)
            self._state.next_input += batch.calls
            self._pending.append(batch)
            self._pending_calls += batch.calls
            worked = True
        return worked

    def drain(self) -> None:
        """Wait until everything has ended."""
        while self._pending:
            self._note_ends()
            if self._pending:
                self._clock.sleep(self._settings.poll_s)

    def calls_at(self, time_s: float) -> float:
        """Calls ended by a moment between the first submission and the last end, linear between the ends of batches."""
        (t0, n0), (t1, n1) = self._around(time_s)
        return n0 + (n1 - n0) * (time_s - t0) / (t1 - t0)

    def calls_off(self, time_s: float, call_s: float) -> int:
        """How many calls :meth:`calls_at` can be off: one, or those of the batch where it took half as long again as they should take."""
        (t0, n0), (t1, n1) = self._around(time_s)
        return n1 - n0 if t1 - t0 > 1.5 * (n1 - n0) * call_s else 1

    def _around(self, time_s: float) -> tuple[tuple[float, int], tuple[float, int]]:
        place = min(max(bisect_left(self._ends_s, time_s), 1), len(self._ends_s) - 1)
        return (self._ends_s[place - 1], self._ended_calls[place - 1]), (self._ends_s[place], self._ended_calls[place])

    def _note_ends(self) -> None:
        while self._pending and (ended_s := self._pending[0].ended_s()) is not None:
            batch = self._pending.popleft()
            self._pending_calls -= batch.calls
            self._ends_s.append(ended_s)
            self._ended_calls.append(self._ended_calls[-1] + batch.calls)


def _window(state: _Running, meter: Meter, load: Load, clock: PollingClock, settings: EnergySettings) -> Window:
    with garbage_collection_off():  # a pause of the host could leave the device without work
        stream = _Stream(state, load, clock, settings)
        span = between_ticks(meter, clock, settings, settings.lead_in_s, stream.advance)
        stream.drain()
    calls = stream.calls_at(span.end.time_s) - stream.calls_at(span.start.time_s)
    call_s = span.seconds / calls
    calls_off = stream.calls_off(span.start.time_s, call_s) + stream.calls_off(span.end.time_s, call_s)
    error = (span.start.uncertainty_s + span.end.uncertainty_s) / span.seconds + calls_off / calls
    return Window(span.energy_j, span.seconds, calls, error, span.integrated_j)


def _prepared(arm: Arm, load: Load, clock: PollingClock, settings: EnergySettings) -> _Running:
    """Make an arm ready and find out how long a call takes about. Raises what the arm raises."""
    load.prepare(arm, settings.batch_s)
    state = _Running(arm, 0.0)
    calls = 1
    while calls <= MAX_CALLS:
        load.synchronize()
        start_s = clock()
        batch = load.submit(arm, state.next_input, calls)
        state.next_input += batch.calls
        while (ended_s := batch.ended_s()) is None:
            clock.sleep(settings.poll_s)
        state.call_s = (ended_s - start_s) / batch.calls
        if ended_s - start_s >= settings.batch_s:
            return state
        calls = 2 * batch.calls
    raise RuntimeError(f"{arm.name}: {calls} calls would not fill {settings.batch_s:g} s: the clock stands still")


# --- comparison ---------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class EnergyObservation:
    """One complete mirrored pass: the two windows of each arm."""

    index: int
    arms: tuple[Arm, ...]
    windows: Mapping[ArmKey, tuple[Window, ...]]

    def energy_j(self, key: ArmKey, idle_power_w: float = 0.0) -> float:
        """Joules per call of an arm, less those of an idle device."""
        found = self.windows[key]
        return sum(w.energy_j - idle_power_w * w.seconds for w in found) / sum(w.calls for w in found)

    def power_w(self, key: ArmKey) -> float:
        """Mean power of an arm in watts."""
        return sum(w.energy_j for w in self.windows[key]) / sum(w.seconds for w in self.windows[key])

    def disagreement(self, key: ArmKey) -> float | None:
        """counter / integrated power − 1 over the windows of an arm; None where no power was read."""
        integrated = [w.integrated_j for w in self.windows[key] if w.integrated_j is not None]
        if len(integrated) < len(self.windows[key]) or sum(integrated) <= 0:
            return None
        return sum(w.energy_j for w in self.windows[key]) / sum(integrated) - 1

    def calls_error(self, key: ArmKey) -> float:
        """Bound on the relative error of an arm's calls."""
        found = self.windows[key]
        return sum(w.calls_error * w.calls for w in found) / sum(w.calls for w in found)

    def reason(self, key: ArmKey) -> str:
        """What is wrong with an arm's joules, in words."""
        disagreement = self.disagreement(key)
        apart = disagreement is not None and abs(disagreement) > MAX_DISAGREEMENT
        uncertain = self.calls_error(key) > MAX_CALLS_ERROR
        return "; ".join(filter(None, (DISAGREES if apart else "", CALLS_UNCERTAIN if uncertain else "")))

    def records(self, protocol: Protocol, dimensions: Mapping[str, Scalar] = NO_DIMENSIONS) -> list[Record]:
        """Gross energy per call and what stands behind it, ``repeat`` = the observation's index."""
        rows: list[Record] = []
        for arm in self.arms:
            found, disagreement = self.windows[arm.key], self.disagreement(arm.key)
            cells: list[tuple[str, float | None, str, str]] = [
                (ENERGY, self.energy_j(arm.key), "J", self.reason(arm.key)),
                (POWER, self.power_w(arm.key), "W", self.reason(arm.key)),
                (SECONDS, sum(w.seconds for w in found), "s", ""),
                (CALLS, sum(w.calls for w in found), "1", ""),
                (CALLS_ERROR, self.calls_error(arm.key), "1", ""),
                (DISAGREEMENT, disagreement, "1", NO_POWER if disagreement is None else ""),
            ]
            rows += [
                arm.record(protocol, metric, value, unit, repeat=self.index, reason=reason, dimensions=dimensions)
                for metric, value, unit, reason in cells
            ]
        return rows


@dataclass(frozen=True)
class AboveIdle:
    """The end of a comparison: idle power before and after in watts, and all observations, so that net energy is known."""

    idle_start_w: float
    idle_end_w: float
    observations: tuple[EnergyObservation, ...]

    @property
    def idle_w(self) -> float:
        """The idle power that is subtracted: the mean of both."""
        return (self.idle_start_w + self.idle_end_w) / 2

    @property
    def drift(self) -> float:
        """idle power after / before − 1."""
        return self.idle_end_w / self.idle_start_w - 1

    def records(self, protocol: Protocol, dimensions: Mapping[str, Scalar] = NO_DIMENSIONS) -> list[Record]:
        """Net energy per call of every observation, and the idle power as an arm of its own named ``idle``."""
        drifted = IDLE_DRIFTED if abs(self.drift) > MAX_IDLE_DRIFT else ""
        device = self.observations[0].arms[0].device
        idle = Arm("idle", "", "baseline", device, "", lambda i: None)
        rows = [
            idle.record(protocol, IDLE_POWER, watts, "W", repeat=repeat, dimensions=dimensions)
            for repeat, watts in enumerate((self.idle_start_w, self.idle_end_w))
        ]
        rows.append(idle.record(protocol, IDLE_DRIFT, self.drift, "1", dimensions=dimensions))
        for observation in self.observations:
            for arm in observation.arms:
                reason = "; ".join(filter(None, (observation.reason(arm.key), drifted)))
                value = observation.energy_j(arm.key, self.idle_w)
                rows.append(arm.record(protocol, NET, value, "J", repeat=observation.index, reason=reason, dimensions=dimensions))
        return rows


Outcome = Fact | Progress | Excluded | EnergyObservation | AboveIdle


def compare_energy(
    arms: Sequence[Arm],
    meter: Meter | NoMeter,
    load: Load,
    settings: EnergySettings = STANDARD,
    clock: PollingClock | None = None,
) -> Iterator[Outcome]:
    """Measure the energy of ``arms`` side by side: what is excluded, then one observation after the other, then net energy.

    Between them come ``Progress`` after each window and one ``Fact`` with the method for the manifest. Arms that fail in preparation are
    excluded with the reason; where there is no meter, or it fails, all are (what was observed until then stays). ``clock`` must be the one
    that ``load`` tells the ends of batches on. Raises ValueError where two arms share name and implementation.
    """
    if len({arm.key for arm in arms}) < len(arms):
        raise ValueError(f"the arms {[arm.key for arm in arms]} must be distinct")
    if isinstance(meter, NoMeter):
        yield from (Excluded(ENERGY, arm, meter.reason, "J") for arm in arms)
        return
    clock = clock or PollingClock()
    running: list[_Running] = []
    for arm in arms:
        try:
            running.append(_prepared(arm, load, clock, settings))
        except Exception as error:  # whatever an arm raises, the others can still be measured
            yield Excluded(ENERGY, arm, described(error), "J")
    if not running:
        return
    try:
        yield from _observations(running, meter, load, settings, clock)
    except CounterFault as fault:
        yield Fact(METHOD, f"not measured: {fault}")
        yield from (Excluded(ENERGY, state.arm, str(fault), "J") for state in running)


def _observations(
    running: Sequence[_Running], meter: Meter, load: Load, settings: EnergySettings, clock: PollingClock
) -> Iterator[Outcome]:
    yield Fact(METHOD, method(meter, calibrate_tick(meter, clock, settings), settings))
    idle_start_w = _idle_power_w(meter, load, clock, settings)
    arms = tuple(state.arm for state in running)
    orders = balanced_orders(len(running))
    total, done = 2 * len(running) * settings.observations + 2, 1  # windows, the two idle ones included
    observations = []
    for index in range(settings.observations):
        order = orders[index % len(orders)]
        windows: dict[ArmKey, tuple[Window, ...]] = {arm.key: () for arm in arms}
        for place in (*order, *reversed(order)):
            state = running[place]
            yield Progress(done / total, f"{ENERGY}, {state.arm.name} {state.arm.implementation}")
            windows[state.arm.key] += (_window(state, meter, load, clock, settings),)
            done += 1
        observations.append(EnergyObservation(index, arms, windows))
        yield observations[-1]
    yield Progress(done / total, "idle power")
    yield AboveIdle(idle_start_w, _idle_power_w(meter, load, clock, settings), tuple(observations))


def _idle_power_w(meter: Meter, load: Load, clock: PollingClock, settings: EnergySettings = STANDARD) -> float:
    """Mean power of the device with nothing to do, over one window. Raises CounterFault."""
    load.synchronize()
    span = between_ticks(meter, clock, settings, settings.idle_lead_in_s)
    return span.energy_j / span.seconds


def method(meter: Meter, tick: TickInterval, settings: EnergySettings) -> str:
    """How energy was measured, for the manifest."""
    return (
        f"{meter.counter}, tick {1e3 * tick.tick_s:.0f} ms ({1e3 * tick.shortest_s:.0f} to {1e3 * tick.longest_s:.0f} ms, each ± "
        f"{1e3 * tick.uncertainty_s:.1f} ms), windows of at least {settings.window_s:g} s on ticks, {settings.lead_in_s:g} s discarded "
        f"after each switch, {settings.observations} mirrored pairs; net of idle with a live context; checked against {meter.power}"
    )


def energy_events(
    arms: Sequence[Arm],
    meter: Meter | NoMeter,
    load: Load,
    settings: EnergySettings,
    protocol: Protocol,
    dimensions: Mapping[str, Scalar] = NO_DIMENSIONS,
) -> Iterator[Fact | Progress | Record]:
    """:func:`compare_energy` on the host's clock, as an experiment yields it."""
    for outcome in compare_energy(arms, meter, load, settings):
        if isinstance(outcome, Fact | Progress):
            yield outcome
        else:
            yield from outcome.records(protocol, dimensions)
