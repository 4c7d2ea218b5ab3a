"""Weights from scores: sums, ranks, capacity, entropy, balancing."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.parameters import ParameterError
from workloads.moe_routing.routing import assign, balancing_loss, capacity, entropy_share, moved_bias, ranks, rules
from workloads.moe_routing.routings import ROUTINGS

NAMES = list(ROUTINGS)


@st.composite
def routed(draw):
    n_experts = draw(st.integers(3, 9))
    top_k = draw(st.integers(1, n_experts))
    n_tokens = draw(st.integers(1, 12))
    seed = draw(st.integers(0, 10_000))
    scores = 3 * torch.randn(len(NAMES), n_tokens, n_experts, generator=torch.Generator().manual_seed(seed))
    return scores, rules(NAMES, n_experts, top_k, 0.5), draw(st.floats(0.1, 5.0)), draw(st.floats(0.1, 3.0))


@settings(max_examples=60, deadline=None)
@given(routed())
def test_weights_sum_to_one_and_nothing_is_lost(case):
    scores, rule, temperature, factor = case
    models, n_tokens, n_experts = scores.shape
    free = assign(scores, rule, torch.zeros(models, n_experts), temperature)
    assert torch.allclose(free.weights.sum(-1), torch.ones(models, n_tokens), atol=1e-6)
    assert (free.weights >= 0).all()
    assert not free.dropped.any()
    assert (free.used.sum(-1) == rule.kept[:, None]).all()

    limit = capacity(n_tokens, n_experts, rule.kept, factor)
    limited = assign(scores, rule, torch.zeros(models, n_experts), temperature, limit)
    routed_tokens = limited.used.sum((1, 2)) + limited.dropped.sum((1, 2))
    assert (routed_tokens == rule.kept * n_tokens).all()  # routed + dropped = assignments
    assert (limited.used.sum(1) <= limit[:, None]).all()
    assert (limited.weights[limited.dropped] == 0).all()

    for entropy in (entropy_share(free.weights), entropy_share(free.weights.mean(1))):
        assert (entropy >= 0).all()
        assert (entropy <= 1).all()


def test_ranks_by_hand():
    # 5 is the best (rank 0), then 2 and 2, of which the first expert comes first, then −1.
    assert ranks(torch.tensor([[[2.0, 5.0, 2.0, -1.0]]])).tolist() == [[[1, 0, 2, 3]]]


def test_weights_by_hand():
    scores = torch.tensor([[[0.0, 2.0, 1.0]]]).expand(4, 1, 3)
    rule = rules(["egyptian", "reversed", "softmax", "top_k"], 3, 2)
    weights = assign(scores, rule, torch.zeros(4, 3)).weights[:, 0]
    third, half, sixth = 1 / 3, 1 / 2, 1 / 6
    assert weights[0].tolist() == pytest.approx([sixth, half, third])  # best is the second expert, worst the first
    assert weights[1].tolist() == pytest.approx([half, sixth, third])
    total = 1 + math.exp(2) + math.exp(1)
    assert weights[2].tolist() == pytest.approx([1 / total, math.exp(2) / total, math.exp(1) / total])
    # softmax over the two best scores, 2 and 1: e/(e + 1) and 1/(e + 1)
    assert weights[3].tolist() == pytest.approx([0.0, math.e / (math.e + 1), 1 / (math.e + 1)])


def test_ranks_do_not_saturate():
    # The probabilities of both losers are 0 in float32; the better of them still ranks before the other, with and without biased models.
    scores = torch.tensor([[[0.0, -300.0, -200.0]]])
    rule = rules(["egyptian"], 3, 2)
    for bias in (None, torch.zeros(1, 3)):
        assert assign(scores, rule, bias).weights[0, 0].tolist() == pytest.approx([1 / 2, 1 / 6, 1 / 3])


def test_entropy_by_hand():
    # ½ ln 2 + ⅓ ln 3 + ⅙ ln 6 = 0.34657 + 0.36620 + 0.29863 = 1.01140; over ln 3 = 1.09861 that is 0.92062
    assert entropy_share(torch.tensor([1 / 2, 1 / 3, 1 / 6])).item() == pytest.approx(0.92062, abs=1e-5)
    assert entropy_share(torch.tensor([1.0, 0.0, 0.0])).item() == 0.0
    assert entropy_share(torch.tensor([0.25] * 4)).item() == pytest.approx(1.0)


def test_capacity_by_hand():
    # ceil(1.25 · 2 · 10 / 4) = ceil(6.25) = 7; never more than the 10 tokens there are
    assert capacity(10, 4, torch.tensor([2, 4]), 1.25).tolist() == [7, 10]
    with pytest.raises(ParameterError, match="capacity_factor"):
        capacity(10, 4, torch.tensor([2]), 0.0)


def test_what_comes_late_is_dropped():
    # Three tokens all want expert 0 most; it takes two of them.
    scores = torch.tensor([[[5.0, 0.0], [4.0, 0.0], [9.0, 0.0]]])
    assigned = assign(scores, rules(["top_k"], 2, 1), torch.zeros(1, 2), limit=torch.tensor([2]))
    assert assigned.dropped[0].tolist() == [[False, False], [False, False], [True, False]]
    assert assigned.weights[0].tolist() == [[1.0, 0.0], [1.0, 0.0], [0.0, 0.0]]


def test_balancing_loss_by_hand():
    # Two experts, k = 1, equal scores: P = (½, ½). All four tokens go to expert 0 (ties): f = (1, 0): loss = α · 2 · (1 · ½) = α.
    rule = rules(["top_k_loss", "top_k"], 2, 1, 0.3)
    scores = torch.zeros(2, 4, 2)
    chosen = assign(scores, rule, torch.zeros(2, 2)).used
    assert balancing_loss(scores, chosen, rule).tolist() == pytest.approx([0.3, 0.0])


def test_bias_moves_towards_the_idle_expert():
    rule = rules(["top_k_bias", "top_k"], 2, 1)
    scores = torch.zeros(2, 4, 2)
    chosen = assign(scores, rule, torch.zeros(2, 2)).used
    bias = moved_bias(torch.zeros(2, 2), chosen, rule, 0.1)
    assert bias[0].tolist() == pytest.approx([-0.1, 0.1])
    assert bias[1].tolist() == [0.0, 0.0]
    assert assign(scores, rule, bias).used[0, 0].tolist() == [False, True]  # the bias decides the selection …
    assert assign(scores, rule, bias).weights[0, 0].tolist() == [0.0, 1.0]  # … and is no part of the weights


@pytest.mark.parametrize(
    ("names", "n_experts", "top_k", "field"),
    [(["softmax"], 1, 1, "n_experts"), (["top_k"], 3, 4, "top_k"), (["top_k"], 3, 0, "top_k"), (["egyptian"], 2, 1, "n_experts")],
)
def test_bad_rules_name_the_field(names, n_experts, top_k, field):
    with pytest.raises(ParameterError, match=field):
        rules(names, n_experts, top_k)
