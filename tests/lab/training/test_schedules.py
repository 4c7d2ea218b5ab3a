"""Factors of schedules worked out by hand."""

from __future__ import annotations

import pytest

from lab.training.schedules import constant, cosine


def test_constant() -> None:
    assert [constant(step) for step in (0, 10)] == [1.0, 1.0]


def test_cosine_with_warm_up() -> None:
    # Warm-up 1/2, 1; then over 4 steps cos 0, π/4, π/2, 3π/4: (1 + cos)/2 = 1, 0.854, 0.5, 0.146; 0 from step 6 on.
    factor = cosine(6, warmup=2)
    assert [factor(step) for step in range(8)] == pytest.approx([0.5, 1, 1, 0.853553, 0.5, 0.146447, 0, 0], abs=1e-6)


def test_cosine_ends_at_its_floor() -> None:
    assert cosine(10, floor=0.1)(25) == pytest.approx(0.1)


def test_cosine_of_several_lengths() -> None:
    assert cosine([2, 4])(2).tolist() == pytest.approx([0.0, 0.5])
