"""A fair comparison of ways to train: each arm tuned for itself, then trained from the same reported seeds and tested once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from torch import nn

from lab.training.evaluation import Evaluation
from lab.training.fit import Point
from lab.training.recipe import ForSeeds, Recipe
from lab.training.tuning import Grid, Tuned, TuningPoint, checked_seeds, tune


@dataclass(frozen=True)
class ArmTuning:
    """An arm while it is tuned, or what its tuning found."""

    arm: str
    outcome: TuningPoint | Tuned


@dataclass(frozen=True)
class ArmTraining:
    """An arm while it is trained at its best rate from the reported seeds; its metrics are validation metrics."""

    arm: str
    point: Point


@dataclass(frozen=True)
class ArmResult:
    """An arm at the end: the last point of its training and every test item's metrics, [seeds, items] by name (NaN: diverged).

    ``point`` None and no items: every learning rate diverged, so nothing was trained (``tuned.flaw`` says so).
    """

    arm: str
    tuned: Tuned
    seeds: tuple[int, ...]
    point: Point | None
    items: Mapping[str, np.ndarray]


def compare_arms(
    arms: Mapping[str, Recipe],
    grid: Grid | Mapping[str, Grid],
    *,
    validation: ForSeeds,
    test: Callable[[Sequence[int]], Evaluation],
    tuning_seeds: Sequence[int],
    seeds: Sequence[int],
    every: int | None = None,
) -> Iterator[ArmTuning | ArmTraining | ArmResult]:
    """Tune and train every arm, then test all of them: one ``ArmResult`` per arm at the very end.

    Arms share data, seeds and, unless ``grid`` gives each its own, the grid, so that results are paired by seed and by test item
    (``lab.training.intervals``). ``test`` is asked for once, after the last training: nothing that was chosen can depend on it.
    """
    checked_seeds(tuning_seeds, seeds)
    trained: list[tuple[str, Tuned, nn.Module | None, Point | None]] = []
    for name, recipe in arms.items():
        tuned, own_grid = None, grid if isinstance(grid, Grid) else grid[name]
        for outcome in tune(recipe, validation, own_grid, tuning_seeds=tuning_seeds, reported_seeds=seeds, every=every):
            yield ArmTuning(name, outcome)
            if isinstance(outcome, Tuned):
                tuned = outcome
        assert tuned is not None  # tune ends with it
        if tuned.rate is None:
            trained.append((name, tuned, None, None))
            continue
        model, points = recipe.train(seeds, [tuned.rate] * len(seeds), validation, every)
        point = None
        for point in points:
            yield ArmTraining(name, point)
        trained.append((name, tuned, model, point))
    evaluation = test(seeds)
    for name, tuned, tested, point in trained:
        items: dict[str, np.ndarray] = {}
        if tested is not None and point is not None:
            items = {metric: values.double().cpu().numpy() for metric, values in evaluation.items(tested).items()}
            for values in items.values():
                values[point.diverged] = np.nan
        yield ArmResult(name, tuned, tuple(seeds), point, items)
