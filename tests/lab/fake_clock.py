"""A clock that moves only when told to, and arms that move it: measured times become arithmetic."""

from __future__ import annotations

from collections.abc import Callable

from lab.records import Role
from lab.timing import Arm


class FakeClock:
    """Seconds that pass only through :meth:`advance`."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s

    def advance(self, seconds: float) -> None:
        self.now_s += seconds


class FakeArm:
    """An arm whose call i takes ``cost_s(now, i)`` seconds of the clock; ``inputs`` lists the i it was called with."""

    def __init__(
        self, clock: FakeClock, name: str, cost_s: Callable[[float, int], float] | float, role: Role = "technique", reason: str = ""
    ) -> None:
        self.inputs: list[int] = []
        self.arm = Arm(name, "fake", role, "cpu", "float32", self._call, reason=reason)
        self._clock, self._cost_s = clock, cost_s

    def _call(self, i: int) -> None:
        self.inputs.append(i)
        self._clock.advance(self._cost_s if isinstance(self._cost_s, float) else self._cost_s(self._clock.now_s, i))
