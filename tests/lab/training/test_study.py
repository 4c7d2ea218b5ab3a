"""A comparison of arms: tuned apart, trained alike, tested once at the end and never before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from lab.training.batches import Samples
from lab.training.evaluation import Evaluation
from lab.training.intervals import paired_difference
from lab.training.models import Mlp
from lab.training.optimisers import Sgd
from lab.training.recipe import Recipe
from lab.training.study import ArmResult, ArmTraining, ArmTuning, compare_arms
from lab.training.tuning import Grid

SEEDS = range(5)


def run(classes: tuple[Tensor, Tensor], test_targets: Tensor) -> tuple[list[str], dict[str, ArmResult]]:
    x, y = classes
    recipe = Recipe(
        lambda models: Mlp(models, (6, 8, 4), torch.relu),
        lambda seeds: Samples(x[:40], y[:40], 8, seeds),
        steps=10,
        optimiser=Sgd,
        dtype=torch.float64,
    )
    arms = {"relu": recipe, "tanh": replace(recipe, build=lambda models: Mlp(models, (6, 8, 4), torch.tanh))}
    order: list[str] = []

    def test(seeds: Sequence[int]) -> Evaluation:
        order.append("test asked for")
        assert tuple(seeds) == tuple(SEEDS)
        return Evaluation(x[60:], test_targets)

    results = {}
    for outcome in compare_arms(
        arms,
        {"relu": Grid(0.1, 0.4, 3), "tanh": Grid(0.1, 1.6, 5)},
        validation=lambda seeds: Evaluation(x[40:60], y[40:60]),
        test=test,
        tuning_seeds=[100, 101],
        seeds=SEEDS,
        every=5,
    ):
        order.append(f"{type(outcome).__name__} {outcome.arm}")
        if isinstance(outcome, ArmResult):
            results[outcome.arm] = outcome
    return order, results


def test_arms_are_tuned_trained_and_then_tested_once(classes: tuple[Tensor, Tensor]) -> None:
    order, results = run(classes, classes[1][60:])
    stages = [stage for i, stage in enumerate(order) if i == 0 or order[i - 1] != stage]
    assert stages == [
        *(f"{kind.__name__} {arm}" for arm in ("relu", "tanh") for kind in (ArmTuning, ArmTraining)),
        "test asked for",
        "ArmResult relu",
        "ArmResult tanh",
    ]
    assert results["relu"].items["accuracy"].shape == (5, 20)
    assert results["relu"].seeds == tuple(SEEDS)
    assert results["relu"].point.step == 10
    assert len(results["tanh"].tuned.rates) >= 5  # its own grid
    assert paired_difference(results["relu"].items["loss"], results["tanh"].items["loss"]).n == 5


def test_what_is_chosen_does_not_depend_on_test_data(classes: tuple[Tensor, Tensor]) -> None:
    _, results = run(classes, classes[1][60:])
    _, others = run(classes, 3 - classes[1][60:])
    for arm, result in results.items():
        assert result.tuned.rate == others[arm].tuned.rate
        assert np.array_equal(result.tuned.losses, others[arm].tuned.losses)
        assert np.array_equal(result.point.train_loss, others[arm].point.train_loss)
        assert not np.array_equal(result.items["accuracy"], others[arm].items["accuracy"])


def test_an_arm_that_cannot_be_trained_says_so(classes: tuple[Tensor, Tensor]) -> None:
    x, y = classes
    recipe = Recipe(
        lambda models: Mlp(models, (6, 8, 4), torch.relu),
        lambda seeds: Samples(x, y, 80, seeds),
        steps=5,
        optimiser=Sgd,
        dtype=torch.float64,
    )
    outcomes = list(
        compare_arms(
            {"wild": recipe},
            Grid(1e150, 1e152, 3, max_extensions=0),
            validation=lambda seeds: Evaluation(x, y),
            test=lambda seeds: Evaluation(x, y),
            tuning_seeds=[9],
            seeds=SEEDS,
        )
    )
    result = outcomes[-1]
    assert isinstance(result, ArmResult)
    assert result.tuned.flaw == "every learning rate diverged"
    assert result.point is None
    assert not result.items
