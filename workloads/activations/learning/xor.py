"""The published XOR task: points from a standard normal, labelled by the sign of the product of their coordinates.

The product of two coordinates is a quadratic form, x₁x₂ = ((x₁ + x₂)² − (x₁ − x₂)²)/4, so two hidden units with a quadratic
activation represent the label exactly: :func:`by_hand`. The product of three coordinates is no quadratic form: the control.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from workloads.activations.functions import CLAMP, FUNCTIONS, ZETA_C

POINTS = 200
HIDDEN = 16
RATE, STEPS = 0.01, 500  # full-batch gradient descent


def points(rng: np.random.Generator, n: int = POINTS, factors: int = 2) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """``n`` points [n, factors] from N(0, I) and whether the product of their coordinates is positive [n] (0 or 1)."""
    x = rng.standard_normal((n, factors)).astype(np.float32)
    return x, (x.prod(axis=1) > 0).astype(np.int64)


def by_hand(name: str, x: NDArray[np.float32]) -> NDArray[np.int64]:
    """The labels [n] that a network 2 → 2 → 1 with weights set by hand gives to ``x`` [n, 2], for a quadratic activation.

    Hidden units f(s·(x₁ ± x₂) + v), v the place of the parabola's minimum, output weights +1 and −1, no output bias: the constant of the
    parabola cancels and the output is 4s²·x₁x₂. Phi6Simple is a parabola only where its input is within ±2: s keeps all of ``x`` there.
    Raises KeyError for a function that is not quadratic.
    """
    minimum = {"phi6": 0.5, "zeta_ln2": ZETA_C / 2}[name]
    sums = np.stack([x[:, 0] + x[:, 1], x[:, 0] - x[:, 1]]).astype(np.float64)
    scale = (CLAMP - minimum) / max(1.0, float(np.abs(sums).max())) if name == "phi6" else 1.0
    plus, minus = FUNCTIONS[name].value(scale * sums + minimum)
    return (plus - minus > 0).astype(np.int64)
