"""A GPU that is arithmetic: what it is given to do takes known time and draws known power, and its counter moves in ticks."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass

from lab.energy_meter import Meter
from lab.load import Load
from lab.timing import Arm
from tests.lab.fake_clock import FakeClock


class FakePollingClock(FakeClock):
    """Seconds that pass only through sleeping (and :meth:`advance`)."""

    def sleep(self, seconds: float) -> None:
        self.advance(seconds)


class TickingMeter(Meter):
    """A counter that shows ``energy_at(t)`` of the last multiple of ``tick_s``, and power without delay."""

    counter, power = "fake counter", "fake power"

    def __init__(
        self,
        clock: FakeClock,
        energy_at: Callable[[float], float],
        power_at: Callable[[float], float | None] = lambda t: None,
        tick_s: float = 0.125,
    ) -> None:
        self.clock, self.energy_at, self.power_at, self.tick_s = clock, energy_at, power_at, tick_s

    def energy_j(self) -> float:
        ticks = math.floor(self.clock() / self.tick_s * (1 + 1e-12))  # a moment that is a tick up to rounding is one
        return self.energy_at(ticks * self.tick_s)

    def power_w(self) -> float | None:
        return self.power_at(self.clock())


@dataclass(frozen=True)
class FakeWork:
    """What a call of an arm takes and draws."""

    call_s: float
    power_w: float


@dataclass
class _FakeBatch:
    calls: int
    end_s: float
    clock: FakeClock

    def ended_s(self) -> float | None:
        return self.end_s if self.clock() >= self.end_s else None


class FakeBoard(Load):
    """Works off batches one after the other, each at its arm's power; ``idle_w`` in between.

    ``rise``: relative rise of all power per second, from the clock's zero. ``pauses`` maps moments to seconds: a batch that would run then
    starts after the pause.
    """

    def __init__(self, idle_w: float = 80.0, rise: float = 0.0, pauses: dict[float, float] | None = None) -> None:
        self.clock = FakePollingClock()
        self.idle_w, self.rise, self.pauses = idle_w, rise, dict(pauses or {})
        self.work: dict[str, FakeWork] = {}
        self.failing: dict[str, Exception] = {}
        self._starts_s: list[float] = []
        self._batches: list[tuple[float, float, float]] = []  # end, power above idle, joules above idle before it
        self._end_s = 0.0

    def arm(self, name: str, call_s: float, power_w: float) -> Arm:
        """An arm on this board."""
        self.work[name] = FakeWork(call_s, power_w)
        return Arm(name, "fake", "baseline" if name.startswith("base") else "technique", "cuda:0", "float32", lambda i: None)

    def meter(self, tick_s: float = 0.125, power_factor: float = 1.0) -> TickingMeter:
        """The board's meter, whose power is told ``power_factor`` times as high as it is."""
        return TickingMeter(self.clock, self.energy_at, lambda t: power_factor * self.power_at(t), tick_s)

    def prepare(self, arm: Arm, batch_s: float) -> None:
        if arm.name in self.failing:
            raise self.failing[arm.name]

    def synchronize(self) -> None:
        self.clock.now_s = max(self.clock.now_s, self._end_s)

    def submit(self, arm: Arm, first: int, calls: int) -> _FakeBatch:
        work = self.work[arm.name]
        start_s = max(self.clock(), self._end_s)
        for moment_s in [m for m in self.pauses if start_s <= m < start_s + calls * work.call_s]:
            start_s += self.pauses.pop(moment_s)
        before_j = self._above_idle_j(self._end_s)
        self._starts_s.append(start_s)
        self._end_s = start_s + calls * work.call_s
        self._batches.append((self._end_s, work.power_w - self.idle_w, before_j))
        return _FakeBatch(calls, self._end_s, self.clock)

    def energy_at(self, time_s: float) -> float:
        """∫ power dt from 0."""
        return self.idle_w * self._factor(0.0, time_s) + self._above_idle_j(time_s)

    def power_at(self, time_s: float) -> float:
        """Power at a moment."""
        place = bisect_right(self._starts_s, time_s) - 1
        busy = place >= 0 and time_s < self._batches[place][0]
        return (self.idle_w + (self._batches[place][1] if busy else 0.0)) * (1 + self.rise * time_s)

    def _factor(self, start_s: float, end_s: float) -> float:
        """∫ (1 + rise · t) dt."""
        return (end_s - start_s) * (1 + self.rise * (start_s + end_s) / 2)

    def _above_idle_j(self, time_s: float) -> float:
        place = bisect_right(self._starts_s, time_s) - 1
        if place < 0:
            return 0.0
        end_s, power_w, before_j = self._batches[place]
        return before_j + power_w * self._factor(self._starts_s[place], min(time_s, end_s))
