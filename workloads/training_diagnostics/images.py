"""Losses of each batch of a few epochs on images: what the published filter was run on. Worker side.

Network 784 → 128 → 10 (digits: 64 → 128 → 10) with ReLU, Adam at 0.001, three epochs. The source does not state the network; this is the
one that its other MNIST study names. Digits has so few images that batches are smaller (8 in place of 128).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch

from lab.data.dataset import Dataset
from lab.training.batches import Samples
from lab.training.fit import Point, fit
from lab.training.initialisation import initialise
from lab.training.models import Mlp
from lab.training.optimisers import Adam

HIDDEN = 128
LEARNING_RATE = 1e-3


def train(data: Dataset, *, batch_size: int, epochs: int, seeds: Sequence[int], device: str) -> Iterator[Point]:
    """Train one model per seed; a point each epoch, whose ``step_losses`` are the losses of its batches."""
    inputs = torch.from_numpy(data.train.inputs).flatten(1).to(device)
    targets = torch.from_numpy(data.train.targets).long().to(device)
    model = initialise(Mlp(len(seeds), [inputs.shape[1], HIDDEN, data.n_classes], torch.relu), seeds).to(device)
    batches = Samples(inputs, targets, batch_size, seeds, drop_last=True)
    steps = batches.steps_per_epoch
    return fit(model, Adam(model, LEARNING_RATE), batches, steps * epochs, every=steps)
