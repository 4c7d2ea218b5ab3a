"""Records of the early-stopping experiment: curves as they grow, and what became of each rule. Worker side."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lab.records import Protocol, Record, Role, Scalar
from lab.statistics import Interval
from lab.training.fit import Point
from lab.training.intervals import mean_over_seeds_and_items, paired_difference
from workloads.entropy_stopping.names import (
    ACCURACY,
    BATCHED,
    CHANGE,
    CONSTANT,
    CURVE,
    DIVERGED,
    ENTROPY,
    EPOCH_SHARE,
    FULL_BUDGET,
    LEVEL,
    LOSS,
    RULE,
    STOP_EPOCH,
    TECHNIQUES,
    TEST,
    TEST_ITEMS,
    TRAIN,
    VALIDATION,
    dimensions_of,
    high,
    low,
)
from workloads.entropy_stopping.rules import Rule, Stop
from workloads.entropy_stopping.training import Trained


@dataclass(frozen=True)
class Outcome:
    """One rule with one setting, or a schedule of one length, and what came of it.

    ``stops``: by seed, None where the model diverged. ``correct`` [S, N]: test items of the parameters that were kept, NaN for diverged
    models. ``watched_accuracy`` [S] in %: on the data that the rule looked at. ``watches``: it needs an evaluation after every epoch.
    """

    arm: str
    setting: Scalar
    stops: tuple[Stop | None, ...]
    correct: np.ndarray
    watched_accuracy: np.ndarray
    watches: bool

    @property
    def epochs(self) -> np.ndarray:
        """Epochs that were paid for, [S]; NaN for diverged models."""
        return np.array([math.nan if stop is None else stop.epoch for stop in self.stops])


@dataclass(frozen=True)
class Recorder:
    """Makes the records of one protocol's trainings."""

    protocol: Protocol
    device: str
    model: str
    data: str
    seeds: tuple[int, ...]
    told: set[tuple[str, Scalar, int]] = field(default_factory=set)  # stops, by rule, setting and seed

    def record(
        self,
        part: str,
        arm: str,
        metric: str,
        value: float | None,
        unit: str,
        *,
        seed: int | None = None,
        reason: str = "",
        **at: Any,
    ) -> Record:
        """One record; ``at`` holds its dimensions. A value that is not finite is missing, because its model diverged."""
        if value is not None:
            value = float(value)
            value, reason = (value, reason) if math.isfinite(value) else (None, reason or DIVERGED)
        role: Role = "technique" if arm in TECHNIQUES else "baseline"
        dimensions = dimensions_of(part, model=self.model, data=self.data, **at)
        return Record(
            self.protocol, arm, role, BATCHED, self.device, "float32", metric, value, unit, None, seed, reason, dimensions=dimensions
        )

    def epoch(self, trained: Trained, point: Point) -> Iterator[Record]:
        """The curves at the epoch just trained: of the training data, and of the data that the rules look at."""
        split = TEST if self.protocol == "published" else VALIDATION
        for model, seed in enumerate(self.seeds):
            values = (
                (LOSS, TRAIN, float(point.train_loss[model]), "nats"),
                (LOSS, split, trained.loss[-1][model], "nats"),
                (ACCURACY, split, trained.accuracy[-1][model], "%"),
                (ENTROPY, split, trained.entropy[-1][model], "nats"),
            )
            for metric, of, value, unit in values:
                yield self.record(CURVE, CONSTANT, metric, float(value), unit, seed=seed, split=of, epoch=trained.epochs)

    def tested(self, correct: np.ndarray) -> Iterator[Record]:
        """How many test items there are, and the test accuracy after each epoch: ``correct`` [E, S, N].

        In the published protocol it has been told already: it is the curve that the rules looked at.
        """
        yield self.record(CURVE, CONSTANT, TEST_ITEMS, correct.shape[2], "1")
        if self.protocol == "published":
            return
        for place, accuracies in enumerate(100 * correct.mean(2)):
            for seed, accuracy in zip(self.seeds, accuracies, strict=True):
                yield self.record(CURVE, CONSTANT, ACCURACY, accuracy, "%", seed=seed, split=TEST, epoch=place + 1)

    def live_stops(self, rules: Sequence[Rule], trained: Trained) -> Iterator[Record]:
        """Every rule that watches and has just stopped a seed's training, had it been in charge."""
        for model, seed in enumerate(self.seeds):
            curves = trained.curves(model)
            for rule in rules:
                stop = rule.stop(curves) if rule.watches else None
                if stop is not None and stop.fired:
                    yield from self._stopped(rule.name, rule.setting, seed, stop.epoch)

    def _stopped(self, arm: str, setting: Scalar, seed: int, epochs: float) -> Iterator[Record]:
        if (arm, setting, seed) not in self.told:
            self.told.add((arm, setting, seed))
            yield self.record(RULE, arm, STOP_EPOCH, epochs, "epochs", seed=seed, setting=setting)

    def outcome(self, outcome: Outcome, full: np.ndarray) -> Iterator[Record]:
        """Where a rule stopped, how accurate the models are then, and how much less than after the full budget (``full`` [S, N])."""
        for seed, epochs in zip(self.seeds, outcome.epochs, strict=True):
            yield from self._stopped(outcome.arm, outcome.setting, seed, epochs)
        yield from self._interval(outcome, LEVEL, mean_over_seeds_and_items(100 * outcome.correct), "%")
        yield from self.change(outcome, full, FULL_BUDGET)

    def change(self, outcome: Outcome, other: np.ndarray, against: str, against_setting: Scalar = "") -> Iterator[Record]:
        """Points of test accuracy above the models ``other`` [S, N]."""
        found = paired_difference(100 * outcome.correct, 100 * other)
        yield from self._interval(outcome, CHANGE, found, "points", against=against, against_setting=against_setting)

    def share(self, outcome: Outcome, other: np.ndarray, against: str, against_setting: Scalar = "") -> Iterator[Record]:
        """Each seed's epochs over those of ``other`` [S]."""
        at: dict[str, Any] = {"setting": outcome.setting, "against": against, "against_setting": against_setting}
        for seed, value in zip(self.seeds, outcome.epochs / other, strict=True):
            yield self.record(RULE, outcome.arm, EPOCH_SHARE, float(value), "1", seed=seed, **at)

    def _interval(self, outcome: Outcome, metric: str, found: Interval, unit: str, **at: Any) -> Iterator[Record]:
        """A value and the ends of its interval."""
        for name, value in ((metric, found.mean), (low(metric), found.low), (high(metric), found.high)):
            yield self.record(RULE, outcome.arm, name, value, unit, reason=found.reason, setting=outcome.setting, **at)
