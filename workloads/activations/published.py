"""The published NumPy benchmark's expressions: value and derivative of each function, written as the sources describe or print them.

The benchmark runs on 1,000,000 float32 standard normals. Every constant here is a Python float, which NumPy 2 treats as weak: a
float32 array stays float32. ``np.sqrt(2 / np.pi)`` in its place would be a float64 *scalar*, which promotes the whole GELU to float64
under NumPy 2 (and did not under NumPy 1): one more way for a published ratio to depend on the installed version.

NumPy evaluates ``x**3`` by its general power function (only −1, 0, ½, 1 and 2 have fast paths), which is most of the published
GELU's time: :data:`PRODUCT_POWERS` holds the same functions with powers written as products.

Sources: Source T prints Phi6Simple with two clamps and ZetaLn2 with its constant written out; GELU's tanh form, SiLU and ReLU
are textbook formulas. For Φ3, Φ4, Φ8, Φ12 see :mod:`workloads.activations.functions`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from workloads.activations.functions import TANH_CUBIC, TANH_SCALE, ZETA_C


@dataclass(frozen=True, slots=True)
class Expression:
    """Value and derivative of one function as NumPy expressions: float [n] → float [n] of the same dtype.

    The value expressions use nothing but arithmetic, ``clip`` and NumPy ufuncs, so that
    :mod:`workloads.activations.operation_count` can run them on a number that counts.
    """

    forward: Callable[[Any], Any]
    derivative: Callable[[Any], Any]


def _gelu(x: Any) -> Any:
    return 0.5 * x * (1 + np.tanh(TANH_SCALE * (x + TANH_CUBIC * x**3)))


def _gelu_derivative(x: Any) -> Any:
    t = np.tanh(TANH_SCALE * (x + TANH_CUBIC * x**3))
    return 0.5 * (1 + t) + 0.5 * x * (1 - t**2) * TANH_SCALE * (1 + 3 * TANH_CUBIC * x**2)


def _gelu_product(x: Any) -> Any:
    return 0.5 * x * (1 + np.tanh(TANH_SCALE * (x + TANH_CUBIC * (x * x * x))))


def _gelu_product_derivative(x: Any) -> Any:
    t = np.tanh(TANH_SCALE * (x + TANH_CUBIC * (x * x * x)))
    return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * TANH_SCALE * (1 + 3 * TANH_CUBIC * (x * x))


def _silu(x: Any) -> Any:
    return x / (1 + np.exp(-x))


def _silu_derivative(x: Any) -> Any:
    s = 1 / (1 + np.exp(-x))
    return s * (1 + x * (1 - s))


def _relu(x: Any) -> Any:
    return np.maximum(x, 0)


def _relu_derivative(x: Any) -> Any:
    return (x > 0).astype(x.dtype)


def _phi6(x: Any) -> Any:
    return x.clip(-2, 2) ** 2 - x.clip(-2, 2) + 1


def _zeta_ln2(x: Any) -> Any:
    c = ZETA_C
    return x * x - c * x + c * c / 4.0


def _zeta_ln2_derivative(x: Any) -> Any:
    return 2 * x - ZETA_C


def _phi3(x: Any) -> Any:
    return x.clip(-2, 2) ** 2 + x.clip(-2, 2) + 1


def _phi4(x: Any) -> Any:
    return x.clip(-2, 2) ** 2 + 1


def _phi8(x: Any) -> Any:
    return x.clip(-2, 2) ** 4 + 1


def _phi8_product(x: Any) -> Any:
    square = x.clip(-2, 2) ** 2
    return square * square + 1


def _phi12(x: Any) -> Any:
    return x.clip(-2, 2) ** 4 - x.clip(-2, 2) ** 2 + 1


def _phi12_product(x: Any) -> Any:
    square = x.clip(-2, 2) ** 2
    return square * square - square + 1


def _inside(slope: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """The slope where −2 ≤ x ≤ 2, zero where the clamp cuts it off."""
    return lambda x: np.where(np.abs(x) <= 2, slope(x), 0)


def _copy(x: Any) -> Any:
    return x.copy()


EXPRESSIONS: Mapping[str, Expression] = {
    "gelu_tanh": Expression(_gelu, _gelu_derivative),
    "silu": Expression(_silu, _silu_derivative),
    "relu": Expression(_relu, _relu_derivative),
    "phi6": Expression(_phi6, _inside(lambda x: 2 * x - 1)),
    "zeta_ln2": Expression(_zeta_ln2, _zeta_ln2_derivative),
    "phi3": Expression(_phi3, _inside(lambda x: 2 * x + 1)),
    "phi4": Expression(_phi4, _inside(lambda x: 2 * x)),
    "phi8": Expression(_phi8, _inside(lambda x: 4 * x**3)),
    "phi12": Expression(_phi12, _inside(lambda x: 4 * x**3 - 2 * x)),
    "copy": Expression(_copy, np.ones_like),
}

# The same functions with every power above 2 written as a product; those without one are not repeated.
PRODUCT_POWERS: Mapping[str, Expression] = {
    "gelu_tanh": Expression(_gelu_product, _gelu_product_derivative),
    "phi8": Expression(_phi8_product, _inside(lambda x: 4 * (x * x * x))),
    "phi12": Expression(_phi12_product, _inside(lambda x: 4 * (x * x * x) - 2 * x)),
}
