"""Metrics of M models on held-out data, without touching their parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

from lab.parameters import ParameterError
from lab.training.initialisation import n_models
from lab.training.layers import at_least_one
from lab.training.losses import item_correct, item_cross_entropy

ItemMetric = Callable[[Tensor, Tensor], Tensor]  # outputs [M, batch, …], targets [M, batch, …] → values [M, batch] or [M, batch, …]
CLASSIFICATION: Mapping[str, ItemMetric] = {"loss": item_cross_entropy, "accuracy": item_correct}


class Evaluation:
    """Metrics of every model on the same examples: ``evaluation(model)`` gives their means [M], ``items(model)`` each example's [M, n].

    ``inputs`` [n, …] and ``targets`` [n, …]; with ``owners`` they are [D, n, …], and model i is evaluated on data set ``owners[i]``. At
    most ``batch_size`` examples are run at once. A metric that gives several values per example (one per token) is averaged within it.
    """

    def __init__(
        self,
        inputs: Tensor,
        targets: Tensor,
        metrics: Mapping[str, ItemMetric] = CLASSIFICATION,
        *,
        batch_size: int = 1024,
        owners: Sequence[int] | None = None,
    ) -> None:
        self.metrics, self.batch_size = dict(metrics), at_least_one("batch_size", batch_size)
        self._owners = owners
        self._inputs, self._targets = (inputs[None], targets[None]) if owners is None else (inputs, targets)
        if self._inputs.shape[:2] != self._targets.shape[:2] or self._inputs.shape[1] < 1:
            raise ValueError(f"inputs {list(inputs.shape)} and targets {list(targets.shape)} must hold the same examples, at least one")

    def items(self, model: nn.Module) -> dict[str, Tensor]:
        """Every metric of every example: [M, n] by name."""
        models = n_models(model)
        if self._owners is not None and len(self._owners) != models:
            raise ParameterError("owners", list(self._owners), f"{models} numbers of data sets, one per model")
        parts: dict[str, list[Tensor]] = {name: [] for name in self.metrics}
        training = model.training
        model.eval()
        with torch.no_grad():
            for start in range(0, self._inputs.shape[1], self.batch_size):
                end = start + self.batch_size
                outputs = model(self._of_models(self._inputs[:, start:end], models))
                targets = self._of_models(self._targets[:, start:end], models)
                for name, metric in self.metrics.items():
                    values = metric(outputs, targets)
                    parts[name].append(values.flatten(2).mean(2) if values.dim() > 2 else values)
        model.train(training)
        return {name: torch.cat(values, 1) for name, values in parts.items()}

    def __call__(self, model: nn.Module) -> dict[str, Tensor]:
        return {name: values.mean(1) for name, values in self.items(model).items()}

    def _of_models(self, data: Tensor, models: int) -> Tensor:
        return data.expand(models, *data.shape[1:]) if self._owners is None else data[list(self._owners)]
