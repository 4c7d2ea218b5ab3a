"""What is trained and how, but for the seeds and the learning rates: what tuning and reporting have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from lab.parameters import ParameterError
from lab.training.batches import Batches
from lab.training.fit import EXPLODED, Evaluate, Point, fit
from lab.training.initialisation import initialise
from lab.training.losses import Loss
from lab.training.optimisers import Adam, MakeOptimiser

ForSeeds = Callable[[Sequence[int]], Evaluate]  # seeds of the models, in order → how these models are evaluated


@dataclass(frozen=True)
class Recipe:
    """``build(n_models)``: the model, its parameters not drawn yet; ``batches(seeds)``: training data of models with those seeds.

    ``optimiser(model, rates)``: an optimiser with a learning rate per model [M] (``functools.partial(AdamW, schedule=…)``). ``device`` and
    ``dtype`` of the parameters; the data must be there too. Others as in :func:`lab.training.fit.fit`.
    """

    build: Callable[[int], nn.Module]
    batches: Callable[[Sequence[int]], Batches]
    steps: int
    optimiser: MakeOptimiser = Adam
    loss: Loss | None = None
    device: str = "cpu"
    dtype: torch.dtype = torch.float32
    graph: bool | None = None
    exploded: float = EXPLODED

    def train(
        self, seeds: Sequence[int], rates: Sequence[float], evaluate: ForSeeds | None = None, every: int | None = None
    ) -> tuple[nn.Module, Iterator[Point]]:
        """Model i starts from ``seeds[i]`` and learns at ``rates[i]``: the models, trained as the points are read, and those points."""
        if len(seeds) != len(rates):
            raise ParameterError("rates", list(rates), f"{len(seeds)} learning rates, one per seed")
        model = initialise(self.build(len(seeds)), seeds).to(self.device, self.dtype)
        optimiser = self.optimiser(model, torch.tensor(rates, dtype=torch.float64))
        points = fit(
            model,
            optimiser,
            self.batches(seeds),
            self.steps,
            loss=self.loss,
            evaluate=None if evaluate is None else evaluate(seeds),
            every=every,
            graph=self.graph,
            exploded=self.exploded,
        )
        return model, points
