"""Arithmetic operations and bytes of an activation function, counted rather than assigned.

A count comes from running the literal expression of :mod:`workloads.activations.published` on a number that notes what is done to it.
Work on constants alone (``c * c / 4``) is not counted. A clamp is two comparisons, and is counted as often as the expression
writes it. The sources assigned their figures by hand (:data:`ASSIGNED`); tanh, exp and erf are kept apart because there is no agreed
number of operations for them, and it is exactly their assigned cost that decides the claimed saving.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from workloads.activations.functions import ZETA_C
from workloads.activations.published import EXPRESSIONS

Pass = Literal["forward", "backward"]

ARITHMETIC = ("add", "subtract", "multiply", "divide", "negative", "power", "compare")
TRANSCENDENTAL = ("tanh", "exp", "erf")
_UFUNC_NAMES = {"true_divide": "divide", "square": "power", "maximum": "compare", "minimum": "compare"}

# FLOPs per element as the sources assign them by hand: the activation table of source T ("GELU 14 ops, Phi6Simple 4 ops, ZetaLn2 3 ops");
# SiLU and ReLU from the authors' public benchmark code.
ASSIGNED: Mapping[str, int] = {"gelu_tanh": 14, "silu": 5, "relu": 1, "phi6": 4, "zeta_ln2": 3}


@dataclass(frozen=True, slots=True)
class OperationCount:
    """Operations per element by name; names that do not occur are absent."""

    operations: Mapping[str, int]

    @property
    def arithmetic(self) -> int:
        """Additions, subtractions, multiplications, divisions, negations, powers and comparisons."""
        return sum(self.operations.get(name, 0) for name in ARITHMETIC)

    @property
    def transcendental(self) -> int:
        """Evaluations of tanh, exp and erf."""
        return sum(self.operations.get(name, 0) for name in TRANSCENDENTAL)

    @property
    def total(self) -> int:
        """Arithmetic operations plus transcendental evaluations, each counted as one."""
        return self.arithmetic + self.transcendental


class CountingNumber(np.lib.mixins.NDArrayOperatorsMixin):
    """A number without a value: every operator, NumPy ufunc and clip applied to it adds one to its tally.

    Results share the tally, so a whole expression is counted, each operation as often as it is written. Raises TypeError for an
    operation that has no name in the count.
    """

    def __init__(self, tally: Counter[str] | None = None) -> None:
        self.tally: Counter[str] = Counter() if tally is None else tally

    def note(self, name: str, times: int = 1) -> CountingNumber:
        if name not in (*ARITHMETIC, *TRANSCENDENTAL):
            raise TypeError(f"cannot count the operation {name}")
        self.tally[name] += times
        return CountingNumber(self.tally)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> CountingNumber:
        if method != "__call__" or options:
            raise TypeError(f"cannot count {ufunc.__name__}.{method} with options {sorted(options)}")
        return self.note(_UFUNC_NAMES.get(ufunc.__name__, ufunc.__name__))

    def clip(self, low: float, high: float) -> CountingNumber:
        return self.note("compare", 2)

    def copy(self) -> CountingNumber:
        return CountingNumber(self.tally)

    def erf(self) -> CountingNumber:
        return self.note("erf")


def count(expression: Callable[[Any], Any]) -> OperationCount:
    """Operations per element that ``expression``, a function of one number, writes down. Raises TypeError for what cannot be counted."""
    number = CountingNumber()
    expression(number)
    return OperationCount(dict(number.tally))


def literal_count(name: str) -> OperationCount:
    """Operations per element of the literal forward expression of the function ``name``. Raises KeyError for an unknown name."""
    if name == "gelu_erf":  # NumPy has no erf, so the published benchmark has no such row
        return count(lambda x: 0.5 * x * (1 + (x / math.sqrt(2)).erf()))
    return count(EXPRESSIONS[name].forward)


# The same functions written with as few operations as we know, for a comparison of best against best.
_FEWEST: Mapping[str, Callable[[Any], Any]] = {
    "phi6": lambda x: _square_minus_itself_plus_one(x.clip(-2, 2)),
    "zeta_ln2": lambda x: (x - ZETA_C) * x + ZETA_C * ZETA_C / 4.0,
}


def _square_minus_itself_plus_one(x: Any) -> Any:
    return x * x - x + 1


def fewest_count(name: str) -> OperationCount:
    """Operations per element of the leanest expression we know of the function ``name``; the literal one where we know no leaner."""
    return count(_FEWEST[name]) if name in _FEWEST else literal_count(name)


def tensors_moved(direction: Pass) -> int:
    """Tensors of N elements that must go through memory: forward reads x and writes y; backward reads x and dy and writes dx."""
    return {"forward": 2, "backward": 3}[direction]


def bytes_moved(n: int, itemsize: int, direction: Pass) -> int:
    """Fewest bytes an elementwise pass over ``n`` elements of ``itemsize`` bytes moves through memory."""
    return tensors_moved(direction) * n * itemsize
