"""Factors on the learning rate, step by step: a schedule maps a step (0, 1, …) to one factor, or to a factor per model [M]."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

Schedule = Callable[[int], float | Tensor]


def constant(step: int) -> float:
    """The learning rate as it is."""
    return 1.0


def cosine(steps: int | Sequence[int], *, warmup: int = 0, floor: float = 0.0) -> Schedule:
    """Linear warm-up to 1 over ``warmup`` steps, then half a cosine down to ``floor`` at ``steps``, where it stays.

    factor(s) = (s + 1)/warmup for s < warmup, else floor + (1 − floor)(1 + cos π·min(1, (s − warmup)/(steps − warmup)))/2. ``steps`` may
    differ per model: a model whose steps are over has the factor ``floor``, with 0 it no longer moves.
    """
    lengths = [steps] if isinstance(steps, int) else list(steps)

    def factor(step: int, length: int) -> float:
        if step < warmup:
            return (step + 1) / warmup
        share = min(1.0, (step - warmup) / max(1, length - warmup))
        return floor + (1 - floor) * (1 + math.cos(math.pi * share)) / 2

    if isinstance(steps, int):
        return lambda step: factor(step, steps)
    return lambda step: torch.tensor([factor(step, length) for length in lengths], dtype=torch.float64)
