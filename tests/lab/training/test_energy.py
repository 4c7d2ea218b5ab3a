"""A training step as an arm: the same work each time, parameters that stay, and words beside joules of several models."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from lab.training.batches import Samples
from lab.training.energy import STEADY_BATCHES, evaluation_arm, step_arm
from lab.training.evaluation import Evaluation
from lab.training.fit import fit, last
from lab.training.initialisation import initialise
from lab.training.models import Mlp
from lab.training.optimisers import AdamW


def test_a_step_is_repeated_without_moving_the_model(classes: tuple[Tensor, Tensor]) -> None:
    model = initialise(Mlp(2, (6, 8, 4), torch.relu), [1, 2]).double()
    optimiser, batches = AdamW(model, 0.01), Samples(*classes, 32, [1, 2])
    last(fit(model, optimiser, batches, 5))
    trained = optimiser.values.clone()
    seen: list[tuple[int, ...]] = []

    def loss(model: Mlp, inputs: Tensor, targets: Tensor) -> Tensor:
        seen.append(tuple(inputs.shape))
        return model(inputs).square().flatten(1).mean(1)

    arm = step_arm("mlp", "eager", "technique", model, optimiser, batches, loss=loss)
    for i in range(2 * arm.period + 1):
        arm.call(i)
    assert torch.equal(optimiser.values, trained)
    assert seen == [(2, 32, 6)] * (2 * STEADY_BATCHES + 1)  # full batches only: 80 examples leave one of 16 in each epoch
    assert (arm.device, arm.dtype, arm.period) == ("cpu", "float64", STEADY_BATCHES)
    assert arm.reason == "2 models trained together: not 2 times the joules or seconds of one trained alone"


def test_one_model_alone_needs_no_words(classes: tuple[Tensor, Tensor]) -> None:
    model = initialise(Mlp(1, (6, 8, 4), torch.relu), [1]).double()
    arm = step_arm("mlp", "eager", "technique", model, AdamW(model, 0.01), Samples(*classes, 80, [1]))
    arm.call(0)
    assert arm.reason == ""


def test_an_evaluation_is_an_arm(classes: tuple[Tensor, Tensor]) -> None:
    model = initialise(Mlp(1, (6, 8, 4), torch.relu, dropout=0.5), [1]).double()
    calls: list[bool] = []

    def evaluate(model: Mlp) -> dict[str, Tensor]:
        calls.append(model.training or torch.is_grad_enabled())
        return Evaluation(*classes)(model)

    evaluation_arm("mlp", "eager", "technique", model, evaluate).call(0)
    assert calls == [False]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_step_can_be_captured() -> None:
    from lab.cuda_graphs import CudaGraphs

    model = initialise(Mlp(3, (6, 8, 4), torch.relu, dropout=0.1), [1, 2, 3]).cuda()
    x = torch.randn(64, 6, device="cuda")
    arm = step_arm("mlp", "graph", "technique", model, AdamW(model, 0.01), Samples(x, (x[:, 0] > 0).long(), 32, [1, 2, 3]))
    before = [parameter.detach().clone() for parameter in model.parameters()]  # an autograd graph would tie them to the default stream
    CudaGraphs("cuda").capture(arm, arm.period).replay()
    torch.cuda.synchronize()
    assert all(torch.equal(parameter, value) for parameter, value in zip(model.parameters(), before, strict=True))
