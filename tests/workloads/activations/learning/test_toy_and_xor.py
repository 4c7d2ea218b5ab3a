"""The published tasks: what they are, and what a perfect model is left with."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workloads.activations.learning import toy, xor


def test_irreducible_part_by_hand():
    # Indices 0 and 16: i = 3i = 5i (mod 32), so shares 3/4 and 1/4. Indices 8 and 24: i = 5i, so 1/2, 1/4, 1/4. The other 28: ln 4.
    twice = 0.75 * math.log(4 / 3) + 0.25 * math.log(4)
    once = 0.5 * math.log(2) + 0.5 * math.log(4)
    assert toy.irreducible_nats() == pytest.approx((28 * math.log(4) + 2 * twice + 2 * once) / 32)
    assert toy.irreducible_nats() == pytest.approx(1.31, abs=0.005)  # as the published task's description says


def test_a_model_that_knows_the_index_is_left_with_the_irreducible_part():
    inputs, targets = toy.batches(np.random.default_rng(0), 40_000, batch_size=1)
    index = inputs.argmax(1)
    counts = np.zeros((32, 32))
    np.add.at(counts, (index, targets), 1)
    shares = counts / counts.sum(1, keepdims=True)
    loss = -np.log(shares[index, targets]).mean()
    assert loss == pytest.approx(toy.irreducible_nats(), abs=0.01)  # 40,000 examples: standard error below 0.003


@given(st.integers(0, 2**31))
def test_a_batch_has_one_permutation_and_shows_it_only_where_asked(seed):
    hidden, targets = toy.batches(np.random.default_rng(seed), 3)
    shown, same_targets = toy.batches(np.random.default_rng(seed), 3, shown=True)
    assert hidden.shape == (3 * 64, 32)
    assert np.array_equal(shown[:, :32], hidden)
    assert np.array_equal(targets, same_targets)
    picked = shown[:, 32:].argmax(1)
    for batch in range(3):
        own = slice(64 * batch, 64 * (batch + 1))
        assert len(set(picked[own])) == 1
        assert np.array_equal(toy.permuted(hidden[own].argmax(1))[picked[own][0]], targets[own])


@given(st.integers(0, 2**31))
def test_two_quadratic_units_set_by_hand_make_no_mistake_on_xor(seed):
    x, labels = xor.points(np.random.default_rng(seed))
    clear = np.abs(x.prod(1)) > 1e-6  # a product that rounding could turn
    for name in ("phi6", "zeta_ln2"):
        assert np.array_equal(xor.by_hand(name, x)[clear], labels[clear])


def test_no_weights_by_hand_for_what_is_no_parabola():
    with pytest.raises(KeyError):
        xor.by_hand("gelu_erf", np.zeros((1, 2), dtype=np.float32))
