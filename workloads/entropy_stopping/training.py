"""Trainings whose curves the rules read, and the parameters after each of their epochs. Worker side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from torch import Tensor, nn

from lab.training.batches import Samples
from lab.training.evaluation import Evaluation
from lab.training.fit import Point, fit
from lab.training.initialisation import initialise
from lab.training.losses import item_correct, item_cross_entropy
from lab.training.optimisers import Adam, MakeOptimiser
from lab.training.recipe import Recipe
from lab.training.schedules import Schedule, constant, cosine
from workloads.entropy_stopping.examples import Examples, Part
from workloads.entropy_stopping.models import build, item_entropy
from workloads.entropy_stopping.names import ACCURACY, ENTROPY, LOSS
from workloads.entropy_stopping.parameters import EntropyStoppingParameters
from workloads.entropy_stopping.rules import Curves

METRICS = {LOSS: item_cross_entropy, ACCURACY: item_correct, ENTROPY: item_entropy}
EVALUATED_AT_ONCE = 2048  # examples of each model


def evaluation(part: Part) -> Evaluation:
    """Loss, accuracy and output entropy on ``part``: what a rule that watches needs after every epoch."""
    return Evaluation(part.inputs, part.targets, METRICS, batch_size=EVALUATED_AT_ONCE)


@dataclass
class Trained:
    """S models, as their training goes on.

    ``values`` [S, P]: all parameters, of which the model's are views. ``diverged_at`` [S]: the epoch from which a model's parameters are
    NaN, 0 for the others. ``epochs`` trained so far, and an entry for each of them: mean ``entropy``, ``loss`` and ``accuracy`` (in %) on
    the watched items, [S] each; whether each of these was right, bool [S, N]; the parameters, where they are kept.
    """

    model: nn.Module
    seeds: tuple[int, ...]
    values: Tensor
    diverged_at: np.ndarray
    epochs: int = 0
    entropy: list[np.ndarray] = field(default_factory=list)
    loss: list[np.ndarray] = field(default_factory=list)
    accuracy: list[np.ndarray] = field(default_factory=list)
    correct: list[np.ndarray] = field(default_factory=list)
    snapshots: list[Tensor] = field(default_factory=list)

    def curves(self, model: int) -> Curves:
        """The curves of one seed's model."""
        return Curves(*([float(values[model]) for values in found] for found in (self.entropy, self.loss, self.accuracy)))

    def tested(self, part: Part) -> np.ndarray:
        """Whether each item of ``part`` is right after each epoch: [E, S, N], NaN for models that had diverged. Parameters change."""
        found = []
        judge = Evaluation(part.inputs, part.targets, {ACCURACY: item_correct}, batch_size=EVALUATED_AT_ONCE)
        for snapshot in self.snapshots:
            self.values.copy_(snapshot)
            found.append(judge.items(self.model)[ACCURACY].cpu().numpy())
        return without_diverged(np.stack(found), self.diverged_at)


def without_diverged(correct: np.ndarray, diverged_at: np.ndarray) -> np.ndarray:
    """``correct`` [E, S, N] as float64, NaN from the epoch at which a model diverged."""
    values = correct.astype(np.float64)
    for model, epoch in enumerate(diverged_at):
        if epoch:
            values[epoch - 1 :, model] = np.nan
    return values


class Trainer:
    """Trains models of one kind on one part of the data."""

    def __init__(self, params: EntropyStoppingParameters, examples: Examples, train: Part, device: str) -> None:
        self.params, self.examples, self.train, self.device = params, examples, train, device

    @property
    def steps_per_epoch(self) -> int:
        """Steps of an epoch; the last one, of what is left, counts whole."""
        return -(-len(self.train) // self.batch_size)

    @property
    def batch_size(self) -> int:
        """Examples of one step; never more than there are."""
        return min(self.params.batch_size, len(self.train))

    def build(self, n_models: int) -> nn.Module:
        """Models whose parameters are not drawn yet."""
        return build(self.params.model, n_models, self.examples.shape, self.examples.n_classes, self.params.dropout)

    def batches(self, seeds: Sequence[int]) -> Samples:
        """Shuffled epochs of each seed's own order."""
        return Samples(self.train.inputs, self.train.targets, self.batch_size, seeds)

    def recipe(self, epochs: int, schedule: Schedule) -> Recipe:
        """What is tuned: the same training as :meth:`run`."""
        optimiser: MakeOptimiser = partial(Adam, schedule=schedule)
        return Recipe(self.build, self.batches, epochs * self.steps_per_epoch, optimiser=optimiser, device=self.device)

    def schedule(self, epochs: int) -> Schedule:
        """Half a cosine over ``epochs`` epochs."""
        return cosine(epochs * self.steps_per_epoch)

    def run(
        self, seeds: Sequence[int], epochs: int, watched: Part | None, rate: float, schedule: Schedule = constant, *, keep: bool = False
    ) -> tuple[Trained, Iterator[Point]]:
        """Models that are trained for ``epochs`` epochs as the points are read, one after each epoch, and those points.

        ``watched`` None evaluates nothing on the way. ``keep``: also the parameters after each epoch.
        """
        model = initialise(self.build(len(seeds)), seeds).to(self.device)
        optimiser = Adam(model, rate, schedule=schedule)
        trained = Trained(model, tuple(seeds), optimiser.values, np.zeros(len(seeds), dtype=int))
        return trained, self._points(trained, optimiser, epochs, None if watched is None else evaluation(watched), keep)

    def _points(self, trained: Trained, optimiser: Adam, epochs: int, judge: Evaluation | None, keep: bool) -> Iterator[Point]:
        latest: dict[str, Tensor] = {}

        def evaluate(model: nn.Module) -> dict[str, Tensor]:
            assert judge is not None
            latest.update(judge.items(model))
            return {name: values.mean(1) for name, values in latest.items()}

        k, batches = self.steps_per_epoch, self.batches(trained.seeds)
        for point in fit(trained.model, optimiser, batches, epochs * k, evaluate=evaluate if judge else None, every=k):
            if not point.step:
                continue
            trained.epochs = point.step // k
            trained.diverged_at = np.where(point.diverged, -(-point.diverged_at // k), 0)
            if judge is not None:
                trained.entropy.append(point.metrics[ENTROPY])
                trained.loss.append(point.metrics[LOSS])
                trained.accuracy.append(100 * point.metrics[ACCURACY])
                trained.correct.append(latest[ACCURACY].bool().cpu().numpy())
            if keep:
                trained.snapshots.append(optimiser.values.clone())
            yield point

    def alone(self) -> nn.Module:
        """One model of the first seed, before training, for what a step costs."""
        return initialise(self.build(1), [self.params.seed]).to(self.device)
