"""Runs with a known transition: modular addition that generalises long after it has been learned by heart. Worker side.

Task: a + b mod p for all p² pairs, both numbers one-hot. A share of the pairs trains, the others are held out. Network: p + p inputs, one
hidden layer with activation x², p outputs; squared error against the one-hot answer; AdamW. Networks of this kind first learn the
training pairs by heart and generalise later, at once (grokking: Power et al. 2022; for this network Gromov 2023, arXiv:2301.02679).

Control: the same network, pairs, seeds and order with the answers shuffled over all pairs. It learns them by heart as well and can never
generalise. Both kinds train side by side as one batch of models.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from lab.training.batches import Samples
from lab.training.fit import Point, fit
from lab.training.initialisation import initialise
from lab.training.losses import item_correct, of_output
from lab.training.models import Mlp
from lab.training.optimisers import AdamW

BETAS = (0.9, 0.98)


@dataclass(frozen=True)
class Pairs:
    """The pairs of each seed: ``inputs`` [S, n, 2p], answers and shuffled answers [S, n]; the first ``n_train`` of the n pairs train."""

    modulus: int
    seeds: tuple[int, ...]
    inputs: np.ndarray
    answers: np.ndarray
    shuffled: np.ndarray
    n_train: int


def pairs(modulus: int, n_train: int, seeds: Sequence[int]) -> Pairs:
    """All pairs, in an order drawn from each seed; inputs float32, answers int64."""
    table = np.stack(np.meshgrid(np.arange(modulus), np.arange(modulus), indexing="ij"), -1).reshape(-1, 2)
    one_hot = np.eye(modulus, dtype=np.float32)
    inputs, answers, shuffled = [], [], []
    for seed in seeds:
        rng = np.random.default_rng([seed, modulus])
        order = table[rng.permutation(len(table))]
        inputs.append(np.concatenate([one_hot[order[:, 0]], one_hot[order[:, 1]]], 1))
        answers.append(order.sum(1) % modulus)
        shuffled.append(rng.permutation(answers[-1]))
    return Pairs(modulus, tuple(seeds), np.stack(inputs), np.stack(answers), np.stack(shuffled), n_train)


@dataclass
class Runs:
    """What the trainings gave: accuracies (0 to 1) of 2S models at ``steps``, losses of every step; addition first, then controls."""

    seeds: tuple[int, ...]
    steps: list[int] = field(default_factory=list)
    train_accuracy: list[np.ndarray] = field(default_factory=list)
    held_out_accuracy: list[np.ndarray] = field(default_factory=list)
    step_losses: list[np.ndarray] = field(default_factory=list)
    diverged_at: np.ndarray = field(default_factory=lambda: np.zeros(0))
    seconds: float = 0.0

    def add(self, point: Point) -> None:
        """Keep a point of the training."""
        self.steps.append(point.step)
        self.train_accuracy.append(point.metrics["train_accuracy"])
        self.held_out_accuracy.append(point.metrics["held_out_accuracy"])
        self.step_losses.append(point.step_losses)
        self.diverged_at, self.seconds = point.diverged_at, point.seconds

    @property
    def losses(self) -> np.ndarray:
        """Loss of each step and model, [steps, 2S]."""
        return np.concatenate(self.step_losses)


def train(
    data: Pairs,
    *,
    batch_size: int,
    width: int,
    learning_rate: float,
    weight_decay: float,
    steps: int,
    every: int,
    device: str,
) -> Iterator[Point]:
    """Train 2S models: addition from each seed, then the controls; a point each ``every`` steps with both accuracies."""
    n_train, modulus = data.n_train, data.modulus
    inputs = torch.from_numpy(np.concatenate([data.inputs, data.inputs])).to(device)
    answers = torch.from_numpy(np.concatenate([data.answers, data.shuffled])).to(device)
    wanted = functional.one_hot(answers, modulus).to(inputs.dtype)
    both = [*data.seeds, *data.seeds]
    model = initialise(Mlp(len(both), [2 * modulus, width, modulus], torch.square), both).to(device)
    optimiser = AdamW(model, learning_rate, weight_decay=weight_decay, betas=BETAS)
    batches = Samples(
        inputs[:, :n_train],
        wanted[:, :n_train],
        batch_size,
        both,
        drop_last=True,
        shuffle=batch_size < n_train,
        owners=range(len(both)),
    )

    def evaluate(module: nn.Module) -> dict[str, Tensor]:
        correct = item_correct(module(inputs), answers)
        return {"train_accuracy": correct[:, :n_train].mean(1), "held_out_accuracy": correct[:, n_train:].mean(1)}

    return fit(model, optimiser, batches, steps, loss=of_output(_squared_error), evaluate=evaluate, every=every)


def _squared_error(outputs: Tensor, wanted: Tensor) -> Tensor:
    """Squared error summed over the p outputs, mean over examples: both [M, batch, p] → [M]."""
    return (outputs - wanted).square().sum(-1).mean(1)
