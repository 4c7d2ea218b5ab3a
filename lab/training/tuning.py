"""Learning rates chosen on validation data, with other seeds than those that are reported.

All rates of a grid and all tuning seeds are trained as one batched model. The best rate has the lowest mean validation loss over the tuning
seeds at the end of training; a rate at which any seed diverged is not chosen. Where the best rate lies at an edge of the grid, the
grid is extended beyond it; where it still does after that, the result says so (a flaw that no verdict may hide). Test data is not an
argument of anything here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from lab.parameters import ParameterError
from lab.training.fit import Point
from lab.training.layers import at_least_one
from lab.training.recipe import ForSeeds, Recipe

Edge = Literal["", "lowest", "highest"]
ALL_DIVERGED = "every learning rate diverged"


@dataclass(frozen=True)
class Grid:
    """``n_rates`` learning rates from ``low`` to ``high``, each the same factor above the one before.

    At an edge ``extend_by`` more rates are tried beyond it, at most ``max_extensions`` times.
    """

    low: float
    high: float
    n_rates: int
    extend_by: int = 2
    max_extensions: int = 2

    def __post_init__(self) -> None:
        if at_least_one("n_rates", self.n_rates) < 3:
            raise ParameterError("n_rates", self.n_rates, "a whole number of at least 3 (an optimum between two edges)")
        if not 0 < self.low < self.high < float("inf"):
            raise ParameterError("high", self.high, f"a finite number above low, {self.low:g}, which must be above 0")
        at_least_one("extend_by", self.extend_by)
        if self.max_extensions < 0:
            raise ParameterError("max_extensions", self.max_extensions, "a whole number of at least 0")

    @property
    def factor(self) -> float:
        """From one rate to the next."""
        return (self.high / self.low) ** (1 / (self.n_rates - 1))

    def rate(self, place: int) -> float:
        """The rate at a place of the grid: 0 is ``low``, ``n_rates`` − 1 is ``high``, places beyond extend it."""
        return float(self.low * self.factor**place)


@dataclass(frozen=True)
class TuningPoint:
    """Models being tuned: model i starts from ``seeds[i]`` and learns at ``rates[i]``; ``extension`` 0 is the grid itself."""

    extension: int
    rates: tuple[float, ...]
    seeds: tuple[int, ...]
    point: Point


@dataclass(frozen=True)
class Tuned:
    """The best learning rate, and what was tried: ``rates`` [R] rising, validation ``losses`` [R, tuning seeds] (inf: diverged).

    ``rate`` is None where every rate diverged. ``edge`` says on which edge of the extended grid the best rate lies.
    """

    rate: float | None
    rates: tuple[float, ...]
    losses: np.ndarray
    seeds: tuple[int, ...]
    edge: Edge

    @property
    def mean_losses(self) -> np.ndarray:
        """Mean validation loss over the tuning seeds, [R]; inf where one diverged."""
        return np.asarray(self.losses.mean(1))

    @property
    def flaw(self) -> str:
        """What a verdict must say about the choice ("grid edge: …"), or ""."""
        if self.rate is None:
            return ALL_DIVERGED
        return f"grid edge: the best learning rate, {self.rate:.3g}, is the {self.edge} of {len(self.rates)} tried" if self.edge else ""


def tune(
    recipe: Recipe,
    validation: ForSeeds,
    grid: Grid,
    *,
    tuning_seeds: Sequence[int],
    reported_seeds: Sequence[int],
    metric: str = "loss",
    every: int | None = None,
) -> Iterator[TuningPoint | Tuned]:
    """Choose the learning rate of a recipe: points of its trainings, and at last the result.

    ``validation(seeds)`` evaluates models with those seeds; ``metric`` of it decides, lower is better. Raises ParameterError where a tuning
    seed is also reported, or seeds repeat.
    """
    checked_seeds(tuning_seeds, reported_seeds)
    found: dict[int, np.ndarray] = {}
    wanted = list(range(grid.n_rates))
    for extension in range(grid.max_extensions + 1):
        seeds = tuple(seed for _ in wanted for seed in tuning_seeds)
        rates = tuple(grid.rate(place) for place in wanted for _ in tuning_seeds)
        point: Point | None = None
        for point in recipe.train(seeds, rates, validation, every)[1]:
            yield TuningPoint(extension, rates, seeds, point)
        assert point is not None  # a training has at least two points
        losses = np.nan_to_num(point.metrics[metric], nan=np.inf).reshape(len(wanted), len(tuning_seeds))
        found |= dict(zip(wanted, losses, strict=True))
        result, best = _chosen(grid, found, tuple(tuning_seeds))
        if not result.edge:
            break
        low, high = min(found), max(found)
        wanted = list(range(low - grid.extend_by, low) if best == low else range(high + 1, high + 1 + grid.extend_by))
    yield result


def checked_seeds(tuning_seeds: Sequence[int], reported_seeds: Sequence[int]) -> None:
    """Raises ParameterError unless there are tuning and reported seeds, no seed comes twice and none is both."""
    for name, seeds in (("tuning_seeds", tuning_seeds), ("seeds", reported_seeds)):
        if not seeds or len(set(seeds)) < len(seeds):
            raise ParameterError(name, list(seeds), "at least one seed, each once")
    both = sorted(set(tuning_seeds) & set(reported_seeds))
    if both:
        raise ParameterError("tuning_seeds", both, "seeds that are not reported: what was chosen on a seed says too much about it")


def _chosen(grid: Grid, found: dict[int, np.ndarray], seeds: tuple[int, ...]) -> tuple[Tuned, int]:
    """The result so far and the place of the best rate (the lowest one where all diverged, as lower rates are then worth trying)."""
    places = sorted(found)
    losses = np.stack([found[place] for place in places])
    best = int(np.argmin(losses.mean(1)))  # the lower rate of two that are equally good
    edge: Edge = "lowest" if best == 0 else "highest" if best == len(places) - 1 else ""
    rate = grid.rate(places[best]) if np.isfinite(losses[best]).all() else None
    return Tuned(rate, tuple(grid.rate(place) for place in places), losses, seeds, edge), places[best]
