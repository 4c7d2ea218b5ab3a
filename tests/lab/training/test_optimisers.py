"""Every optimiser against torch.optim for each model alone, with rates and schedules of their own."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from lab.parameters import ParameterError
from lab.training.initialisation import initialise, take
from lab.training.losses import cross_entropy
from lab.training.models import Mlp
from lab.training.optimisers import Adam, AdamW, MakeOptimiser, Sgd
from lab.training.schedules import constant, cosine
from tests.lab.training.conftest import Parabola

RATES = (0.01, 0.003, 0.1)
STEPS = 12

PAIRS: dict[str, tuple[Any, Any]] = {
    "sgd": (Sgd, torch.optim.SGD),
    "sgd momentum decay": (
        partial(Sgd, momentum=0.9, weight_decay=0.1),
        partial(torch.optim.SGD, momentum=0.9, weight_decay=0.1),
    ),
    "adam": (Adam, torch.optim.Adam),
    "adam decay": (partial(Adam, weight_decay=0.1, betas=(0.8, 0.9)), partial(torch.optim.Adam, weight_decay=0.1, betas=(0.8, 0.9))),
    "adamw": (AdamW, torch.optim.AdamW),
    "adamw decay": (partial(AdamW, weight_decay=0.3, eps=1e-4), partial(torch.optim.AdamW, weight_decay=0.3, eps=1e-4)),
}


@pytest.mark.parametrize("scheduled", [False, True])
@pytest.mark.parametrize("name", PAIRS)
def test_each_model_moves_as_torch_would_move_it(name: str, scheduled: bool, classes: tuple[Tensor, Tensor]) -> None:
    own, peer = PAIRS[name]
    x, y = classes
    schedule = cosine(STEPS, warmup=3) if scheduled else constant
    model = initialise(Mlp(3, (6, 5, 4), torch.tanh), [1, 2, 3]).double()
    starts = [take(model, i) for i in range(3)]
    optimiser = own(model, torch.tensor(RATES), schedule=schedule)
    optimiser.plan(STEPS)
    for _ in range(STEPS):
        optimiser.step(cross_entropy(model(x.expand(3, -1, -1)), y.expand(3, -1)))
    for i, alone in enumerate(starts):
        reference = peer(alone.parameters(), lr=float(torch.tensor(RATES)[i]))
        scheduler = torch.optim.lr_scheduler.LambdaLR(reference, schedule)
        for _ in range(STEPS):
            reference.zero_grad()
            cross_entropy(alone(x[None]), y[None]).sum().backward()
            reference.step()
            scheduler.step()
        for own_value, expected in zip(take(model, i).parameters(), alone.parameters(), strict=True):
            torch.testing.assert_close(own_value, expected, rtol=1e-10, atol=1e-12)


def stepped(make: MakeOptimiser, steps: int, planned: int) -> list[float]:
    model = initialise(Parabola(2), [0, 1]).double()
    optimiser = make(model, torch.tensor([0.1, 0.5], dtype=torch.float64))
    optimiser.plan(planned)
    for _ in range(steps):
        optimiser.step(model.w.square().sum(1) / 2)
    return model.w[:, 0].tolist()


def test_a_schedule_per_model_stops_each_at_its_own_length() -> None:
    # Half-cosine over 1 step: factor (1 + cos 0)/2 = 1 at step 0, then 0. Over 2 steps: 1, then (1 + cos(π/2))/2 = 1/2, then 0.
    # w ← (1 − rate · factor) w: model 0 does 0.9 once; model 1 does 0.5, then 0.75.
    make = partial(Sgd, schedule=cosine([1, 2]))
    assert stepped(make, steps=4, planned=4) == pytest.approx([0.9, 0.5 * 0.75])


def test_a_plan_can_be_continued() -> None:
    model = initialise(Parabola(1), [0]).double()
    optimiser = Sgd(model, 0.5, schedule=lambda step: 1.0 if step < 2 else 0.5)
    for steps in (1, 2):
        optimiser.plan(steps)
        for _ in range(steps):
            optimiser.step(model.w.square().sum(1) / 2)
    assert model.w.item() == pytest.approx(0.5 * 0.5 * 0.75)  # steps 0 and 1 at rate 0.5, step 2 at 0.25


@pytest.mark.parametrize("make", [Sgd, partial(Sgd, momentum=0.9, weight_decay=0.1), Adam, AdamW])
def test_held_parameters_stay(make: MakeOptimiser) -> None:
    model = initialise(Parabola(2), [0, 1])
    optimiser = make(model, torch.tensor([0.1, 0.5]))
    optimiser.hold()
    for _ in range(3):
        optimiser.step(model.w.square().sum(1) / 2)
    assert model.w.tolist() == [[1.0], [1.0]]


@pytest.mark.parametrize("rate", [0.0, -1.0, float("nan"), float("inf"), [0.1, 0.0]])
def test_a_rate_that_is_none_is_refused(rate: object) -> None:
    with pytest.raises(ParameterError, match="learning_rate"):
        Sgd(initialise(Parabola(2), [0, 1]), rate)
