"""Rules that say after which epoch a training stops, as functions of its curves. Light: plain Python.

A rule sees nothing that lies ahead: what it says of curves cut after its stop is the same, so that evaluating it on stored curves gives the
very epoch at which a training under that rule would have ended. Entry e − 1 of a curve belongs to epoch e = 1, 2, …, after which the model
was evaluated.

A training whose watched value stops being finite has diverged: no rule has a result for it, unless it had stopped before.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol as Interface

from lab.parameters import ParameterError
from workloads.entropy_stopping.names import FIXED, PATIENCE_ACCURACY, PATIENCE_LOSS, PLATEAU, SMOOTHED

SMOOTHING = 0.9  # weight of the past in the published exponential average


@dataclass(frozen=True)
class Curves:
    """One training, epoch by epoch: mean output entropy and loss in nats, accuracy in %; NaN from where it diverged."""

    entropy: Sequence[float]
    loss: Sequence[float]
    accuracy: Sequence[float]

    @property
    def epochs(self) -> int:
        """How many epochs were trained."""
        return len(self.entropy)

    def first(self, epochs: int) -> Curves:
        """The same training ended after ``epochs`` epochs."""
        return Curves(self.entropy[:epochs], self.loss[:epochs], self.accuracy[:epochs])


@dataclass(frozen=True)
class Stop:
    """Where a rule ends a training: ``epoch`` epochs are paid for, the parameters after epoch ``kept`` are the result.

    ``fired`` is False where the epochs ran out before the rule said anything.
    """

    epoch: int
    kept: int
    fired: bool = True


class Rule(Interface):
    """When to stop. ``name`` is its arm, ``setting`` what it is set to, ``watches``: it needs an evaluation after every epoch."""

    @property
    def name(self) -> str: ...

    @property
    def setting(self) -> float | int: ...

    @property
    def watches(self) -> bool: ...

    def stop(self, curves: Curves) -> Stop | None:
        """Where it stops a training with these curves, the last epoch where it does not; None where the training diverged first."""
        ...


def _positive(threshold: float) -> None:
    if not threshold > 0 or not math.isfinite(threshold):
        raise ParameterError("threshold", threshold, "a number above 0: nothing moves by less than 0 nats")


def _whole(name: str, value: int) -> None:
    if value < 1:
        raise ParameterError(name, value, "a whole number of at least 1")


@dataclass(frozen=True)
class Plateau:
    """The published rule: stop at the first epoch e with |H(i) − H(i − 1)| < ``threshold`` for i = e, e − 1, …, e − ``window`` + 1.

    H(e) is the mean entropy of the predicted distributions after epoch e, in nats. The first change is that of epoch 2, so the earliest
    stop is epoch ``window`` + 1. The parameters at the stop are kept.
    """

    threshold: float
    window: int
    watches = True
    name = PLATEAU

    def __post_init__(self) -> None:
        _positive(self.threshold)
        _whole("window", self.window)

    @property
    def setting(self) -> float:
        return self.threshold

    def stop(self, curves: Curves) -> Stop | None:
        still = 0
        for place, value in enumerate(curves.entropy):
            if not math.isfinite(value):
                return None
            still = still + 1 if place and abs(value - curves.entropy[place - 1]) < self.threshold else 0
            if still == self.window:
                return Stop(place + 1, place + 1)
        return Stop(curves.epochs, curves.epochs, fired=False)


@dataclass(frozen=True)
class SmoothedPlateau:
    """The rule of the report's code: stop at the first epoch e ≥ 2 with |m(e) − m(e − 1)| < ``threshold``.

    m is the exponential average m(e) = 0.9 m(e − 1) + 0.1 H(e); the source does not say where it starts, here m(1) = H(1). Since
    m(e) − m(e − 1) = 0.1 (H(e) − m(e − 1)), an entropy that moved by less than ten thresholds already stops at epoch 2.
    """

    threshold: float
    watches = True
    name = SMOOTHED

    def __post_init__(self) -> None:
        _positive(self.threshold)

    @property
    def setting(self) -> float:
        return self.threshold

    def stop(self, curves: Curves) -> Stop | None:
        average = math.nan
        for place, value in enumerate(curves.entropy):
            if not math.isfinite(value):
                return None
            before = average
            average = value if place == 0 else SMOOTHING * before + (1 - SMOOTHING) * value
            if place and abs(average - before) < self.threshold:
                return Stop(place + 1, place + 1)
        return Stop(curves.epochs, curves.epochs, fired=False)


@dataclass(frozen=True)
class _Patience:
    """Stop when the best value so far is ``patience`` epochs old; the parameters of that best epoch (the first of equals) are kept."""

    patience: int
    watches = True

    def __post_init__(self) -> None:
        _whole("patience", self.patience)

    @property
    def setting(self) -> int:
        return self.patience

    def _stop(self, costs: Sequence[float]) -> Stop | None:
        best = 0
        for place, value in enumerate(costs):
            if not math.isfinite(value):
                return None
            if value < costs[best]:
                best = place
            if place - best == self.patience:
                return Stop(place + 1, best + 1)
        return Stop(len(costs), best + 1, fired=False)


@dataclass(frozen=True)
class PatienceOnLoss(_Patience):
    """Usual practice (Prechelt, 1998): stop when the watched loss has not fallen below its minimum for ``patience`` epochs."""

    name = PATIENCE_LOSS

    def stop(self, curves: Curves) -> Stop | None:
        return self._stop(curves.loss)


@dataclass(frozen=True)
class PatienceOnAccuracy(_Patience):
    """Usual practice: stop when the watched accuracy has not risen above its maximum for ``patience`` epochs."""

    name = PATIENCE_ACCURACY

    def stop(self, curves: Curves) -> Stop | None:
        return self._stop([-value for value in curves.accuracy])


@dataclass(frozen=True)
class FixedBudget:
    """Stop after ``epochs`` epochs whatever happens; nothing is evaluated on the way."""

    epochs: int
    watches = False
    name = FIXED

    def __post_init__(self) -> None:
        _whole("epochs", self.epochs)

    @property
    def setting(self) -> int:
        return self.epochs

    def stop(self, curves: Curves) -> Stop | None:
        end = min(self.epochs, curves.epochs)
        if not all(math.isfinite(value) for value in (*curves.loss[:end], *curves.entropy[:end])):
            return None
        return Stop(end, end, fired=end == self.epochs)
