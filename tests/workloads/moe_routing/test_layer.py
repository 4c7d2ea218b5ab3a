"""Mixture layers: grouped products against the loop over experts and float64; what the checks must notice."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.parameters import ParameterError
from workloads.moe_routing import layer
from workloads.moe_routing.checks import wrong_choice, wrong_gradients, wrong_output
from workloads.moe_routing.layer import Chosen, Mixture


def drawn(n_tokens, d_model, d_ff, n_experts, top_k, seed=0):
    generator = torch.Generator().manual_seed(seed)
    mixture = layer.draw(n_experts, d_model, d_ff, top_k, generator, torch.float32)
    return torch.randn(n_tokens, d_model, generator=generator), mixture


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_grouped_products_equal_the_loop_over_experts(data):
    n_experts = data.draw(st.integers(1, 9))
    top_k = data.draw(st.integers(1, n_experts))
    x, mixture = drawn(
        data.draw(st.integers(1, 30)), 4 * data.draw(st.integers(1, 4)), data.draw(st.integers(1, 11)), n_experts, top_k,
        data.draw(st.integers(0, 1000)),
    )  # fmt: skip
    padded = mixture.padded()
    assert padded.up.shape[2] % 4 == 0
    chosen = layer.route(x, mixture)
    assert wrong_choice(chosen, x, mixture) == ""
    for y in (layer.loop_over_experts(x, mixture), layer.grouped(x, padded), layer.loop_over_experts(x, padded)):
        assert wrong_output(y, chosen, x, mixture) == ""


def test_gradients_of_the_grouped_layer():
    x, mixture = drawn(50, 8, 6, 5, 2)
    padded = mixture.padded()
    leaves = [tensor.clone().requires_grad_() for tensor in (x, *padded[:3])]
    dy = torch.randn(50, 8, generator=torch.Generator().manual_seed(1))
    got = torch.autograd.grad(layer.grouped(leaves[0], Mixture(leaves[1], leaves[2], leaves[3], 2)), leaves, dy)
    chosen = layer.route(x, padded)
    assert wrong_gradients(got, chosen, x, padded, dy) == ""
    assert (got[2].flatten(1).norm(dim=1) > 0).all()  # every expert's gradient flows
    spoilt = (got[0], got[1], got[2] * 1.01, got[3])
    assert wrong_gradients(spoilt, chosen, x, padded, dy).startswith("gradient of up")


def test_the_checks_notice_what_is_wrong():
    x, mixture = drawn(20, 8, 8, 5, 2)
    chosen = layer.route(x, mixture)
    y = layer.grouped(x, mixture)
    worst = (x @ mixture.router.T).argmin(1)
    elsewhere = Chosen(torch.stack([worst, chosen.experts[:, 0]], 1), chosen.weights)
    assert "not sent to the best" in wrong_choice(elsewhere, x, mixture)
    assert "twice" in wrong_choice(Chosen(chosen.experts[:, :1].expand(-1, 2), chosen.weights), x, mixture)
    assert "does not exist" in wrong_choice(Chosen(chosen.experts + 5, chosen.weights), x, mixture)
    assert wrong_choice(Chosen(chosen.experts, chosen.weights.flip(1)), x, mixture)
    assert wrong_output(y * 1.001, chosen, x, mixture)
    assert wrong_output(y.flip(0), chosen, x, mixture)


def test_more_experts_a_token_than_there_are():
    with pytest.raises(ParameterError, match="top_k"):
        drawn(4, 8, 8, 2, 3)
