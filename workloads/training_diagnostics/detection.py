"""Whether alarms find a transition that is known: hits, delays, false alarms, and the interval of their difference. NumPy only.

Ground truth. The *transition* of a run is the first evaluated step at which held-out accuracy reaches a threshold. A run on random labels
has none: there is nothing to generalise. Alarms are counted from the step at which the training set has been learned (accuracy at least
99 %), in runs of both kinds, so that the fall of the loss at the very beginning is neither a hit nor a false alarm.

An alarm is raised when its frame ends. *Hit*: an alarm raised from T − tolerance to T + tolerance of a run with its transition at step T.
*Chance hit*: an alarm raised at these steps of the control, the run on random labels from the same seed. Youden's J = share of hits − share
of chance hits (Youden 1950); alarms that know nothing of the transition have J = 0, however many there are. Its interval is that of a
difference of independent proportions by Newcombe's method 10 (1998): Wilson intervals of both, squared and added. *False alarms* are those
anywhere in a control.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lab.statistics import LEVEL, Interval

LEARNED = 0.99  # training accuracy from which on alarms count
Z = 1.959963984540054  # the 97.5 % quantile of the normal distribution
assert LEVEL == 0.95


@dataclass(frozen=True)
class Alarms:
    """Alarms of one rule on one run: frames [k], each from step ``first`` to step ``last`` (1, 2, …), the step that raised it."""

    first: np.ndarray
    last: np.ndarray

    @classmethod
    def of(cls, frames: Sequence[tuple[int, np.ndarray]], offset: int, per_point: int = 1) -> Alarms:
        """From the windows with the starts of their alarming frames, in the order they are raised.

        ``offset``: steps before the curve that was judged; ``per_point``: steps whose losses were averaged to a point of it.
        """
        first = np.concatenate([begins for _, begins in frames]) * per_point + offset + 1
        last = np.concatenate([begins + window for window, begins in frames]) * per_point + offset
        order = np.argsort(last, kind="stable")
        return cls(first[order], last[order])

    def raised(self, low: int, high: int) -> np.ndarray:
        """The steps from ``low`` to ``high`` (both included) at which alarms were raised."""
        return self.last[(self.last >= low) & (self.last <= high)]

    def covered(self, low: int, high: int) -> float:
        """Share (0 to 1) of the steps from ``low`` to ``high`` that lie in a frame with an alarm."""
        steps = np.zeros(high - low + 1, dtype=bool)
        for first, last in zip(self.first, self.last, strict=True):
            steps[max(0, first - low) : max(0, last - low + 1)] = True
        return float(steps.mean())

    def episodes(self) -> int:
        """How many separate stretches the alarms make, overlapping frames taken together."""
        count, reach = 0, -1
        for first, last in sorted(zip(self.first.tolist(), self.last.tolist(), strict=True)):
            count += first > reach
            reach = max(reach, last)
        return count


def first_step(steps: Sequence[int], accuracy: Sequence[float] | np.ndarray, threshold: float) -> int | None:
    """The first evaluated step with at least this accuracy (0 to 1); None where it is never reached."""
    return next((step for step, value in zip(steps, accuracy, strict=True) if value >= threshold), None)


def wilson(hits: int, trials: int) -> tuple[float, float]:
    """Wilson's score interval (95 %) of a share. Raises ValueError unless 0 ≤ hits ≤ trials and trials ≥ 1."""
    if not 0 <= hits <= trials or trials < 1:
        raise ValueError(f"hits must lie between 0 and trials, and trials be at least 1, not {hits} of {trials}")
    share, z2 = hits / trials, Z * Z
    centre = (hits + z2 / 2) / (trials + z2)
    half = Z / (trials + z2) * math.sqrt(trials * share * (1 - share) + z2 / 4)
    return max(0.0, centre - half), min(1.0, centre + half)


def youden(hits: int, chance_hits: int, runs: int) -> Interval:
    """J = (hits − chance_hits)/runs with its 95 % interval, of ``runs`` with a transition and as many controls. No value without runs."""
    if not runs:
        return Interval(None, None, None, 0, "no run made a transition")
    share, control = hits / runs, chance_hits / runs
    low, high = wilson(hits, runs)
    control_low, control_high = wilson(chance_hits, runs)
    j = share - control
    below = math.hypot(share - low, control_high - control)
    above = math.hypot(high - share, control - control_low)
    return Interval(j, max(-1.0, j - below), min(1.0, j + above), runs)
