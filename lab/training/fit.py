"""Training M models together, with live points of their curves.

Between two points nothing waits for the device, and on a GPU a step is one replay of a CUDA graph (small models are bound by launches,
not by arithmetic). At each point losses come to the host, and models that diverged are found.

**Diverged**: a loss that is not finite or more than ``exploded`` times the model's first, or parameters that are not finite. From the point
at which this is found, the model's parameters are NaN, and so is everything computed from them: nothing of it can pass for a result. The
other models share no arithmetic with it and go on as if it were not there.

**Repeatable**: equal seeds give equal results, bit for bit on a CPU with as many threads; on a GPU up to rounding, because the backward
pass of fused attention adds in no fixed order. In another batch of models a model is the same up to rounding.
"""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lab.cuda_graphs import capturing
from lab.parameters import ParameterError
from lab.training.batches import Batches
from lab.training.initialisation import n_models
from lab.training.layers import at_least_one
from lab.training.losses import Loss, cross_entropy, of_output
from lab.training.optimisers import Optimiser

EXPLODED = 50.0
Evaluate = Callable[[nn.Module], Mapping[str, Tensor]]  # model → metrics [M] by name


@dataclass(frozen=True)
class Point:
    """The models after ``step`` steps.

    ``train_loss`` [M]: mean over the steps since the last point (NaN at step 0). ``metrics``: what was evaluated, [M] each; NaN for
    diverged models. ``seconds``: spent on steps so far, without evaluation and graph capture. ``diverged_at`` [M]: the step (1, 2, …) whose
    loss gave a model away, −1 for the others. ``step_losses`` [steps since the last point, M].
    """

    step: int
    train_loss: np.ndarray
    metrics: Mapping[str, np.ndarray]
    seconds: float
    diverged_at: np.ndarray
    step_losses: np.ndarray = field(repr=False)

    @property
    def diverged(self) -> np.ndarray:
        """Which models have diverged, bool [M]."""
        return self.diverged_at >= 0


def fit(
    model: nn.Module,
    optimiser: Optimiser,
    batches: Batches,
    steps: int,
    *,
    loss: Loss | None = None,
    evaluate: Evaluate | None = None,
    every: int | None = None,
    graph: bool | None = None,
    exploded: float = EXPLODED,
) -> Iterator[Point]:
    """Train for ``steps`` steps: a point before the first, one after each ``every`` steps (default: at the end only) and one at the end.

    ``loss(model, inputs, targets)`` → [M] (default: cross-entropy of the output). ``graph``: replay steps from a CUDA graph (default: on
    CUDA; where the capture fails, a warning says so and steps run one by one). Whoever stops reading leaves the model as it is then.
    Raises ParameterError where model and batches hold different numbers of models.
    """
    at_least_one("steps", steps)
    every = at_least_one("every", every or steps)
    models, device = n_models(model), optimiser.values.device
    if batches.n_models != models:
        raise ParameterError("batches", batches.n_models, f"{models} models, as many as are trained")
    optimiser.plan(steps)
    runner = _Steps(model, optimiser, batches, loss or of_output(cross_entropy), device.type == "cuda" if graph is None else graph)
    watch = _Divergence(models, exploded)
    no_losses = np.empty((0, models))
    yield Point(0, np.full(models, np.nan), _evaluated(model, evaluate, watch), 0.0, watch.at.copy(), no_losses)

    model.train()
    seconds, done, pending = 0.0, 0, []
    indices = batches.indices()
    start_s = time.perf_counter()
    while done < steps:
        pending.append(runner(next(indices)))
        done += 1
        if done % every and done < steps:
            continue
        losses = torch.stack(pending).double().cpu().numpy()  # waits for the device
        seconds += time.perf_counter() - start_s - runner.capture_s
        watch.look(losses, done, optimiser.values)
        metrics = _evaluated(model, evaluate, watch)
        yield Point(done, losses.mean(0), metrics, seconds, watch.at.copy(), losses)
        model.train()
        pending, runner.capture_s = [], 0.0
        start_s = time.perf_counter()


def last(points: Iterator[Point]) -> Point:
    """The last point of a training, for whoever needs no curve."""
    point = None
    for point in points:  # noqa: B007
        pass
    assert point is not None  # fit always yields
    return point


def _evaluated(model: nn.Module, evaluate: Evaluate | None, watch: _Divergence) -> dict[str, np.ndarray]:
    if evaluate is None:
        return {}
    model.eval()
    with torch.no_grad():
        found = evaluate(model)
        values = torch.stack([value.double() for value in found.values()]).cpu().numpy()
    values[:, watch.at >= 0] = np.nan
    return dict(zip(found, values, strict=True))


class _Divergence:
    """Notices models that diverged and makes their parameters NaN."""

    def __init__(self, models: int, exploded: float) -> None:
        self.at = np.full(models, -1)
        self._exploded = exploded
        self._first: np.ndarray | None = None

    def look(self, losses: np.ndarray, done: int, values: Tensor) -> None:
        """``losses`` [k, M] of the last k of ``done`` steps; ``values`` [M, P]: the parameters."""
        if self._first is None:
            self._first = losses[0].copy()
        bad = ~np.isfinite(losses) | (losses > self._exploded * self._first)
        bad[-1] |= ~values.isfinite().all(1).cpu().numpy()
        new = bad.any(0) & (self.at < 0)
        self.at[new] = done - len(losses) + 1 + bad.argmax(0)[new]
        if new.any():
            values[torch.from_numpy(new).to(values.device)] = math.nan


class _Steps:
    """Runs one step after the other, from CUDA graphs where wanted (one per shape of batch); ``capture_s``: time spent on captures."""

    def __init__(self, model: nn.Module, optimiser: Optimiser, batches: Batches, loss: Loss, graph: bool) -> None:
        self._model, self._optimiser, self._batches, self._loss, self._graph = model, optimiser, batches, loss, graph
        self._graphs: dict[torch.Size, tuple[Any, Tensor, Tensor]] = {}
        self._pool: Any = None
        self.capture_s = 0.0

    def __call__(self, indices: Tensor) -> Tensor:
        """One step on the examples ``indices`` [M, batch]; the losses [M] before it."""
        if self._graph and indices.shape not in self._graphs:
            start_s = time.perf_counter()
            try:
                self._graphs[indices.shape] = self._captured(indices)
            except Exception as error:  # the steps can still run one by one
                warnings.warn(f"no CUDA graph of a training step, it is run eagerly: {type(error).__name__}: {error}", stacklevel=3)
                self._graph = False
            self.capture_s += time.perf_counter() - start_s
        if not self._graph:
            return self._eager(indices)
        graph, placed, losses = self._graphs[indices.shape]
        placed.copy_(indices)
        graph.replay()
        return losses.clone()

    def _eager(self, indices: Tensor) -> Tensor:
        losses = self._loss(self._model, *self._batches.gather(indices))
        self._optimiser.step(losses)
        return losses.detach()

    def _captured(self, indices: Tensor) -> tuple[Any, Tensor, Tensor]:
        placed = indices.clone()
        changing = [*self._optimiser.tensors().values(), *self._model.buffers()]
        before = [tensor.clone() for tensor in changing]
        if self._pool is None:
            self._pool = torch.cuda.graph_pool_handle()
        graph, stream = torch.cuda.CUDAGraph(), torch.cuda.Stream(indices.device)
        stream.wait_stream(torch.cuda.current_stream(indices.device))
        try:
            with torch.cuda.stream(stream):
                for _ in range(3):  # lazy set-up (workspaces, autograd's buffers) must not fall into the capture
                    self._eager(placed)
                with capturing(graph, self._pool, stream):
                    losses = self._eager(placed)
        finally:
            torch.cuda.current_stream(indices.device).wait_stream(stream)
            for tensor, value in zip(changing, before, strict=True):  # the warm-up never happened
                tensor.copy_(value)
        return graph, placed, losses
