"""What a training costs until a rule stops it, from what one step and one evaluation cost. Light: plain Python.

A training of e epochs under a rule costs e · (steps per epoch · cost of a step + cost of an evaluation, where the rule needs one after
every epoch); a schedule or budget that was fixed beforehand needs none. What one step and one evaluation of a single model cost is
measured (``part`` "cost" of the records).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from lab.energy import ENERGY as ENERGY_METRIC
from lab.records import Estimate
from workloads.entropy_stopping.names import COST, EVALUATION, STEP, STEPS_PER_EPOCH

LATENCY, DEVICE_TIME = "latency_s", "device_time_s"


@dataclass(frozen=True)
class UnitCosts:
    """Cost of one training step and of one evaluation, both in ``unit``, each with the half-width of its 95 % interval.

    ``metric`` is what was measured; ``unit`` "epochs" counts epochs, and an evaluation costs nothing.
    """

    metric: str
    unit: str
    steps_per_epoch: int
    step: float
    evaluation: float
    step_error: float = 0.0
    evaluation_error: float = 0.0

    @property
    def title(self) -> str:
        """What the cost is, for an axis."""
        return {
            ENERGY_METRIC: "Energy of one training",
            DEVICE_TIME: "Time of one training on the device",
            LATENCY: "Time of one training",
        }.get(self.metric, "Epochs trained")

    def moved(self, *, step: float = 0.0, evaluation: float = 0.0) -> UnitCosts:
        """The same costs, shifted by so much."""
        return replace(self, step=self.step + step, evaluation=self.evaluation + evaluation)

    def epoch(self, *, watched: bool) -> float:
        """Of one epoch, with its evaluation where the rule watches."""
        return self.steps_per_epoch * self.step + (self.evaluation if watched else 0.0)

    def of(self, epochs: float, *, watched: bool) -> float:
        """Of a training of ``epochs`` epochs."""
        return epochs * self.epoch(watched=watched)

    @property
    def unit_error(self) -> float:
        """Relative half-width of the interval of a step's cost, which all trainings share."""
        return self.step_error / self.step

    def saved_percent(self, epoch_share: float, *, watched: bool, other_watched: bool = False) -> float:
        """100 · (1 − cost / cost of another training), this one having ``epoch_share`` of the other's epochs."""
        return 100 * (1 - epoch_share * self.epoch(watched=watched) / self.epoch(watched=other_watched))


def in_epochs() -> UnitCosts:
    """The published count: energy is the number of epochs, and looking at the test set is free."""
    return UnitCosts("epochs", "", 1, 1.0, 0.0)


def measured(estimates: Sequence[Estimate], model: str) -> list[UnitCosts]:
    """What was measured of ``model``, the best first: joules, time on the device, time per call."""
    rows = [e for e in estimates if e.dimensions["part"] == COST and e.dimensions["model"] == model and e.mean is not None]
    steps_per_epoch = next((int(e.mean or 0) for e in rows if e.metric == STEPS_PER_EPOCH), 0)
    means = {(e.metric, e.arm): e for e in rows if e.statistic == "mean"}
    found = []
    for metric, unit in ((ENERGY_METRIC, "J"), (DEVICE_TIME, "s"), (LATENCY, "s")):
        step, evaluation = means.get((metric, STEP)), means.get((metric, EVALUATION))
        if steps_per_epoch and step is not None and evaluation is not None:
            values = (step.mean or 0.0, evaluation.mean or 0.0, _half_width(step), _half_width(evaluation))
            found.append(UnitCosts(metric, unit, steps_per_epoch, *values))
    return found


def _half_width(e: Estimate) -> float:
    return (e.ci_high - e.ci_low) / 2 if e.ci_low is not None and e.ci_high is not None else 0.0
