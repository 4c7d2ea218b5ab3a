"""The batched models of the study: each trains as it would alone, and what reaches the router."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lab.training.batches import Samples
from lab.training.fit import fit, last
from lab.training.initialisation import initialise, take
from lab.training.optimisers import Adam
from workloads.moe_routing.mixture_ffn import MixtureFfn
from workloads.moe_routing.model import RoutedModel, training_loss
from workloads.moe_routing.names import DROPPED, EXPERT_LOAD, LOAD_ENTROPY, ROUTER_GRADIENT, TOKEN_ENTROPY
from workloads.moe_routing.routing_study import Setting, Trainer
from workloads.moe_routing.routings import ROUTINGS
from workloads.moe_routing.tasks import sound_spiral

NAMES = list(ROUTINGS)
SETTING = Setting(n_experts=4, top_k=2, balance_weight=0.1, balance_rate=0.05)


def built(names):
    return RoutedModel(names, 8, n_experts=4, top_k=2, balance_weight=0.1, balance_rate=0.05, features=12, hidden=6)


def test_batched_training_equals_training_one_by_one():
    generator = torch.Generator().manual_seed(0)
    inputs, targets = torch.randn(64, 12, generator=generator), torch.randint(8, (64,), generator=generator)
    seeds = list(range(len(NAMES)))

    def trained(names, seeds):
        model = initialise(built(names), seeds).double()
        samples = Samples(inputs.double(), targets, 16, seeds)
        point = last(fit(model, Adam(model, 0.01), samples, 12, loss=training_loss))
        return model, point.train_loss

    together, losses = trained(NAMES, seeds)
    for place, name in enumerate(NAMES):
        alone, loss = trained([name], [seeds[place]])
        np.testing.assert_allclose(loss, losses[place : place + 1], rtol=1e-9)
        own = dict(take(together, place).named_parameters())
        for key, value in alone.named_parameters():
            torch.testing.assert_close(value, own[key], rtol=1e-7, atol=1e-9)
        torch.testing.assert_close(alone.selection_bias, together.selection_bias[place : place + 1].to(alone.selection_bias))


@pytest.fixture(scope="module")
def looked_at():
    trainer = Trainer(sound_spiral(0), SETTING, "cpu")
    return trainer.diagnostics(trainer.model(NAMES, [1] * len(NAMES)))


def test_no_gradient_reaches_a_router_whose_weights_are_constants(looked_at):
    gradient = dict(zip(NAMES, looked_at[ROUTER_GRADIENT], strict=True))
    assert all((gradient[name] == 0) == bool(ROUTINGS[name].weights) for name in NAMES)


def test_loads_and_entropies(looked_at):
    np.testing.assert_allclose(looked_at[EXPERT_LOAD].sum(1), 1.0, atol=1e-6)
    token = dict(zip(NAMES, looked_at[TOKEN_ENTROPY], strict=True))
    # of four experts: 1.01140 / ln 4 = 1.38629 is 0.72958 for 1/2, 1/3, 1/6, and ln 3 / ln 4 = 0.79248 for three equal weights
    assert token["egyptian"] == pytest.approx(0.72958, abs=1e-4)
    assert token["equal"] == pytest.approx(0.79248, abs=1e-4)
    for metric in (TOKEN_ENTROPY, LOAD_ENTROPY):
        assert (looked_at[metric] >= 0).all()
        assert (looked_at[metric] <= 1).all()
    assert (looked_at[DROPPED] >= 0).all()


def test_both_ways_of_a_mixture_agree_and_every_expert_learns():
    block = initialise(MixtureFfn(3, 8, 5, 4, 2), [1, 2, 3]).double()
    x = torch.randn(3, 4, 40, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(3), requires_grad=True)
    found = []
    for dispatch in ("all", "sorted"):
        block.dispatch = dispatch
        y = block(x)
        found.append([y.detach(), *torch.autograd.grad(y.square().sum(), [x, *block.parameters()])])
    for everywhere, by_expert in zip(*found, strict=True):
        torch.testing.assert_close(everywhere, by_expert, rtol=1e-9, atol=1e-12)
    for gradient in found[0][3:]:  # up and down, [models, experts, …]
        assert (gradient.flatten(2).norm(dim=2) > 0).all()


def test_a_mixture_without_tokens_for_an_expert():
    block = initialise(MixtureFfn(1, 8, 5, 4, 1), [1])
    x = torch.ones(1, 1, 3, 8, requires_grad=True)  # three equal tokens choose the same expert
    outputs = []
    for dispatch in ("all", "sorted"):
        block.dispatch = dispatch
        outputs.append(block(x))
        (gradient,) = torch.autograd.grad(outputs[-1].sum(), [block.up])
        assert sorted((gradient.flatten(2).norm(dim=2)[0] > 0).tolist()) == [False, False, False, True]
    torch.testing.assert_close(*outputs)
