"""The published accuracy: images as tokens, both models from one seed, Adam at 0.001, a fixed number of epochs. Worker side.

As published but for two things that the source leaves open: the training images are split, so that the curve shows validation accuracy and
the test images are used once; pixels are in [0, 1] and not standardised. One seed has no spread: its difference is no evidence.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator

import torch
from torch import Tensor, nn

from lab.measuring import within
from lab.records import Event, Phase, Progress, Record, Role
from lab.training.seeding import generator
from lab.workload import Context
from workloads.fft_mixing.classifier import BATCH_SIZE, D_MODEL, LEARNING_RATE, PublishedClassifier, training_step
from workloads.fft_mixing.names import (
    ACCURACY_GAIN,
    ATTENTION,
    EAGER,
    FFT_MIX,
    LABELS,
    MODULE,
    PUBLISHED_TRAINING,
    TEST_ACCURACY,
    TRAIN_LOSS,
    VALIDATION_ACCURACY,
    dimensions_of,
)
from workloads.fft_mixing.parameters import FftMixingParameters
from workloads.fft_mixing.small_work import small_work
from workloads.fft_mixing.tasks import Examples, Part, examples
from workloads.fft_mixing.training_step import MIXERS

PUBLISHED = ((FFT_MIX, EAGER), (ATTENTION, MODULE))
EVALUATED_AT_ONCE = 1000


def run(params: FftMixingParameters, context: Context) -> Generator[Event, None, None]:
    """Train both published models on images and test them; nothing where no epoch is asked for."""
    if not params.published_epochs:
        return
    data = (yield from examples("images", params, context)).to(context.device)
    yield Phase("published training", f"{data.label}, {params.published_epochs} epochs")
    accuracies: dict[str, float] = {}
    with small_work(BATCH_SIZE * data.seq_len, context):
        for place, (name, implementation) in enumerate(PUBLISHED):
            events = _train(name, implementation, data, params, context.device)
            accuracies[name] = yield from within(events, place / len(PUBLISHED), (place + 1) / len(PUBLISHED))
    gain = accuracies[FFT_MIX] - accuracies[ATTENTION]
    yield _record(FFT_MIX, EAGER, ACCURACY_GAIN, gain, "points", data, params, context.device)


def _train(name: str, implementation: str, data: Examples, params: FftMixingParameters, device: str) -> Generator[Event, None, float]:
    """Train one model, a point of its curve after each epoch; returns its test accuracy in per cent."""
    torch.manual_seed(params.seed)
    model = PublishedClassifier(MIXERS[name, implementation], data.seq_len, data.features, data.n_classes).to(device)
    optimiser = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE)
    inputs, targets = data.train.inputs[0], data.train.targets[0]
    order = generator(params.seed, "order of the data")
    for epoch in range(1, params.published_epochs + 1):
        model.train()
        losses = [training_step(model, optimiser, x, y) for x, y in _batches(inputs, targets, order)]
        loss = float(torch.stack(losses).mean())
        accuracy = _accuracy(model, data.validation)
        yield _record(name, implementation, TRAIN_LOSS, loss, "nats", data, params, device, epoch)
        yield _record(name, implementation, VALIDATION_ACCURACY, accuracy, "%", data, params, device, epoch)
        yield Progress(epoch / params.published_epochs, f"{LABELS[name]}, epoch {epoch} of {params.published_epochs}")
    tested = _accuracy(model, data.test)
    yield _record(name, implementation, TEST_ACCURACY, tested, "%", data, params, device)
    return tested


def _batches(inputs: Tensor, targets: Tensor, order: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
    """One epoch in an order of its own; the last batch may be smaller."""
    for chosen in torch.randperm(len(inputs), generator=order).to(inputs.device).split(BATCH_SIZE):
        yield inputs[chosen], targets[chosen]


def _accuracy(model: nn.Module, part: Part) -> float:
    """Per cent of examples whose class the model names."""
    model.eval()
    with torch.no_grad():
        right = [
            (model(x).argmax(-1) == y).sum()
            for x, y in zip(part.inputs[0].split(EVALUATED_AT_ONCE), part.targets[0].split(EVALUATED_AT_ONCE), strict=True)
        ]
    return 100 * float(torch.stack(right).sum()) / len(part.targets[0])


def _record(
    name: str,
    implementation: str,
    metric: str,
    value: float,
    unit: str,
    data: Examples,
    params: FftMixingParameters,
    device: str,
    epoch: int | str = "",
) -> Record:
    role: Role = "technique" if name == FFT_MIX else "baseline"
    dimensions = dimensions_of(
        PUBLISHED_TRAINING,
        direction="training",
        seq_len=data.seq_len,
        batch_size=BATCH_SIZE,
        d_model=D_MODEL,
        task=data.task,
        data=data.label,
        seeds=1,
        step=epoch,
    )
    seed = None if metric == ACCURACY_GAIN else params.seed
    return Record(
        "published", name, role, implementation, device, "float32", metric, value, unit, None, seed, dimensions=dimensions, whole_run=True
    )
