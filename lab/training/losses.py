"""Losses and metrics of M models, one value each: a model's loss never contains another model's values."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

Loss = Callable[[nn.Module, Tensor, Tensor], Tensor]  # model, inputs [M, batch, …], targets [M, batch, …] → loss [M], differentiable


def item_cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy in nats of each prediction: logits [M, …, n_classes], class ids [M, …] → [M, …]."""
    return functional.cross_entropy(logits.flatten(0, -2), targets.flatten(), reduction="none").view(targets.shape)


def cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Mean cross-entropy in nats over everything a model predicts: logits [M, …, n_classes], class ids [M, …] → [M]."""
    return item_cross_entropy(logits, targets).flatten(1).mean(1)


def squared_error(outputs: Tensor, targets: Tensor) -> Tensor:
    """Mean squared error: both [M, …] → [M]."""
    return (outputs - targets).square().flatten(1).mean(1)


def binary_cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Mean binary cross-entropy in nats: logits and targets from 0 to 1, both [M, …] → [M]."""
    return functional.binary_cross_entropy_with_logits(logits, targets, reduction="none").flatten(1).mean(1)


def item_correct(logits: Tensor, targets: Tensor) -> Tensor:
    """Whether the most likely class is the target: logits [M, …, n_classes], class ids [M, …] → 0.0 or 1.0 [M, …]."""
    return (logits.argmax(-1) == targets).to(torch.float32)


def accuracy(logits: Tensor, targets: Tensor) -> Tensor:
    """Share of right predictions: logits [M, …, n_classes], class ids [M, …] → [M]."""
    return item_correct(logits, targets).flatten(1).mean(1)


def of_output(function: Callable[[Tensor, Tensor], Tensor]) -> Loss:
    """The loss of a model's output: ``function(model(inputs), targets)``."""
    return lambda model, inputs, targets: function(model(inputs), targets)
