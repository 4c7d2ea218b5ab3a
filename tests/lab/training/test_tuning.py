"""Learning rates on parabolas, where one step at rate r leaves w = 1 − r: the best rate is 1."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
from torch import Tensor

from lab.parameters import ParameterError
from lab.training.batches import Samples
from lab.training.optimisers import Sgd
from lab.training.recipe import Recipe
from lab.training.tuning import Grid, Tuned, TuningPoint, tune
from tests.lab.training.conftest import Parabola, half_square


def no_data(seeds: object) -> Samples:
    return Samples(torch.zeros(4, 1, dtype=torch.float64), torch.zeros(4), 2, list(seeds))


RECIPE = Recipe(Parabola, no_data, steps=1, optimiser=Sgd, loss=half_square, dtype=torch.float64)


def validation(seeds: object) -> object:
    return lambda model: {"loss": model.w[:, 0].abs()}


def tuned(grid: Grid, recipe: Recipe = RECIPE, tuning_seeds: tuple[int, ...] = (10, 11)) -> tuple[list[TuningPoint], Tuned]:
    outcomes = list(tune(recipe, validation, grid, tuning_seeds=tuning_seeds, reported_seeds=[0, 1]))
    return [outcome for outcome in outcomes if isinstance(outcome, TuningPoint)], outcomes[-1]


def test_the_best_rate_inside_a_grid() -> None:
    # |1 − r| at 0.5, 1, 2: 0.5, 0, 1.
    points, result = tuned(Grid(0.5, 2, 3))
    assert result.rate == pytest.approx(1)
    assert result.rates == pytest.approx((0.5, 1, 2))
    np.testing.assert_allclose(result.losses, [[0.5, 0.5], [0, 0], [1, 1]])
    assert (result.edge, result.flaw) == ("", "")
    assert points[0].rates == pytest.approx((0.5, 0.5, 1, 1, 2, 2))  # every rate with every tuning seed, in one batch
    assert points[0].seeds == (10, 11) * 3


def test_a_grid_is_extended_at_its_edge() -> None:
    # 0.1, 0.2, 0.4 (best at the edge), then 0.8 and 1.6: |1 − r| = 0.2 and 0.6.
    points, result = tuned(Grid(0.1, 0.4, 3))
    assert result.rate == pytest.approx(0.8)
    assert result.rates == pytest.approx((0.1, 0.2, 0.4, 0.8, 1.6))
    assert result.edge == ""
    assert {point.extension for point in points} == {0, 1}


def test_a_grid_is_extended_downwards() -> None:
    # 1.3, 1.95, 2.925: the lowest is best; then 0.867 and 0.578: |1 − r| = 0.133 and 0.422.
    _, result = tuned(Grid(1.3, 2.925, 3))
    assert result.rates == pytest.approx((1.3 / 1.5**2, 1.3 / 1.5, 1.3, 1.95, 2.925))
    assert result.rate == pytest.approx(1.3 / 1.5)
    assert result.edge == ""


@pytest.mark.parametrize(("extensions", "rates"), [(0, 3), (1, 5), (2, 7)])
def test_an_edge_that_stays_is_flagged(extensions: int, rates: int) -> None:
    _, result = tuned(Grid(0.001, 0.004, 3, max_extensions=extensions))
    assert result.edge == "highest"
    assert len(result.rates) == rates
    assert result.flaw == f"grid edge: the best learning rate, {result.rate:.3g}, is the highest of {rates} tried"


def test_a_rate_at_which_a_seed_diverges_is_not_chosen() -> None:
    # 20 steps: 0.8 converges, 1.9 slowly, 3.8 multiplies w by −2.8 a step.
    recipe = Recipe(Parabola, no_data, steps=20, optimiser=Sgd, loss=half_square, dtype=torch.float64)
    _, result = tuned(Grid(0.95, 3.8, 3, max_extensions=0), recipe)
    assert np.isinf(result.mean_losses).tolist() == [False, False, True]
    assert result.rate == pytest.approx(0.95)


def test_nothing_is_chosen_where_all_diverge() -> None:
    recipe = Recipe(Parabola, no_data, steps=50, optimiser=Sgd, loss=half_square, dtype=torch.float64)
    _, result = tuned(Grid(100, 400, 3, max_extensions=1), recipe)
    assert result.rate is None
    assert result.rates[0] == pytest.approx(25)  # lower rates were tried
    assert result.flaw == "every learning rate diverged"


@pytest.mark.parametrize("seeds", [(1, 10), (), (10, 10)])
def test_tuning_seeds_are_never_reported(seeds: tuple[int, ...]) -> None:
    with pytest.raises(ParameterError) as refused:
        tuned(Grid(0.5, 2, 3), tuning_seeds=seeds)
    assert refused.value.name == "tuning_seeds"


@pytest.mark.parametrize("wrong", [{"n_rates": 2}, {"low": 3.0}, {"low": 0.0}, {"extend_by": 0}, {"max_extensions": -1}])
def test_a_grid_that_is_none_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ParameterError):
        Grid(**{"low": 0.5, "high": 2.0, "n_rates": 3, **wrong})


def test_one_rate_per_seed() -> None:
    with pytest.raises(ParameterError, match="rates"):
        RECIPE.train([1, 2], [0.1])


def test_optimisers_take_options() -> None:
    recipe = Recipe(Parabola, no_data, steps=2, optimiser=partial(Sgd, momentum=0.5), loss=half_square, dtype=torch.float64)
    model, points = recipe.train([0], [0.5])
    list(points)
    # b = 1, w = 1/2; b = 1/2 + 1/2 = 1, w = 0.
    assert isinstance(model.w, Tensor)
    assert model.w.item() == pytest.approx(0)
