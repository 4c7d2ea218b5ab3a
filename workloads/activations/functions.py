"""The activation functions under test: names, formulas, and exact values for charts and gating (NumPy float64, no torch).

Phi6Simple clamps its argument to ±2. For the cyclotomic polynomials Φ3, Φ4, Φ8 and Φ12 the sources state no expression; here they are
clamped to ±2 in the same way, which keeps them bounded. ZetaLn2 is not clamped: it grows like x² and leaves the range of
float16 beyond |x| ≈ 256.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

CLAMP = 2.0  # the clamped functions see min(max(x, -CLAMP), CLAMP)
ZETA_C = 5.0 / 6.0  # c of ZetaLn2, x² − c·x + c²/4
TANH_SCALE = math.sqrt(2.0 / math.pi)  # GELU's tanh form: tanh(TANH_SCALE · (x + TANH_CUBIC · x³))
TANH_CUBIC = 0.044715

Role = Literal["technique", "baseline", "limit"]
Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Function:
    """One scalar function, applied elementwise.

    ``role`` is "limit" for ``copy``, which moves the same bytes and computes nothing. ``expression`` is the literal source expression in
    PyTorch, with x the input and c = 5/6. ``value`` and ``derivative`` map float64 [n] to float64 [n]; at a clamp border the derivative is
    the one autograd uses (the gradient passes at exactly ±2, not beyond). ``storage`` says what its backward must keep.
    """

    name: str
    title: str
    formula: str
    latex: str
    role: Role
    expression: str
    storage: str
    value: Callable[[Values], Values]
    derivative: Callable[[Values], Values]


_SERIES_TERMS = 48
_FRACTION_LEVELS = 80
_TAIL_START = 2.0  # series below, continued fraction from here on


def erf(x: Values) -> Values:
    """Error function, 2/√π ∫₀ˣ exp(−t²) dt, of float64 [n] (any shape).

    Below |x| = 2 by the all-positive series erf(x) = 2/√π · exp(−x²) · Σₖ 2ᵏ x²ᵏ⁺¹ / (2k+1)!!, which does not cancel; beyond it as
    1 − erfc with :func:`erfc_tail`. Absolute error below 2e-15. NaN stays NaN.
    """
    x = np.asarray(x, dtype=np.float64)
    size = np.abs(x)
    inner = np.minimum(size, _TAIL_START)
    term = inner.copy()
    total = inner.copy()
    for k in range(1, _SERIES_TERMS):
        term = term * (2.0 * inner * inner / (2 * k + 1))
        total = total + term
    near = 2.0 / math.sqrt(math.pi) * np.exp(-inner * inner) * total
    return np.copysign(np.where(size > _TAIL_START, 1.0 - erfc_tail(size), near), x)


def erfc_tail(x: Values) -> Values:
    """Complementary error function 1 − erf(x) for x ≥ 2 (smaller x are treated as 2), keeping its relative accuracy.

    The continued fraction exp(−x²)/√π · 1/(x + ½/(x + 1/(x + (3/2)/(x + …)))), evaluated bottom-up: relative error below 1e-13.
    """
    x = np.maximum(x, _TAIL_START)
    fraction = x.copy()
    for level in range(_FRACTION_LEVELS, 0, -1):
        fraction = x + (level / 2.0) / fraction
    return np.exp(-x * x) / (math.sqrt(math.pi) * fraction)


def normal_cdf(x: Values) -> Values:
    """Φ(x) = ½ (1 + erf(x/√2)) of float64 [n]; relative error below 1e-12, in the lower tail too."""
    scaled = np.asarray(x, dtype=np.float64) / math.sqrt(2.0)
    return np.where(scaled < -_TAIL_START, 0.5 * erfc_tail(-scaled), 0.5 * (1.0 + erf(scaled)))


def normal_pdf(x: Values) -> Values:
    """φ(x) = exp(−x²/2)/√(2π) of float64 [n]."""
    return np.exp(-0.5 * x * x) / math.sqrt(2.0 * math.pi)


def sigmoid(x: Values) -> Values:
    """1/(1 + exp(−x)) of float64 [n], without overflow for either sign."""
    decay = np.exp(-np.abs(x))
    return np.where(x >= 0, 1.0 / (1.0 + decay), decay / (1.0 + decay))


def _tanh_argument(x: Values) -> Values:
    return TANH_SCALE * (x + TANH_CUBIC * x * x * x)


def _gelu_tanh(x: Values) -> Values:
    return x * sigmoid(2.0 * _tanh_argument(x))  # ½ (1 + tanh u) = sigmoid(2u), without the cancellation at u → −∞


def _gelu_tanh_derivative(x: Values) -> Values:
    gate = sigmoid(2.0 * _tanh_argument(x))
    slope = TANH_SCALE * (1.0 + 3.0 * TANH_CUBIC * x * x)
    return gate + 2.0 * x * gate * (1.0 - gate) * slope


def _silu_derivative(x: Values) -> Values:
    gate = sigmoid(x)
    return gate * (1.0 + x * (1.0 - gate))


def _clamped(polynomial: Callable[[Values], Values]) -> Callable[[Values], Values]:
    return lambda x: polynomial(np.clip(x, -CLAMP, CLAMP))


def _passed(slope: Callable[[Values], Values]) -> Callable[[Values], Values]:
    return lambda x: np.where(np.abs(x) <= CLAMP, slope(np.clip(x, -CLAMP, CLAMP)), 0.0)


def _polynomial(
    name: str, title: str, formula: str, expression: str, value: Callable[[Values], Values], slope: Callable[[Values], Values]
) -> Function:
    return Function(
        name=name,
        title=title,
        formula=f"{formula}, x clamped to ±2",
        latex=formula.replace("²", "^2").replace("⁴", "^4").replace("−", "-") + r",\quad x \leftarrow \min(\max(x, -2), 2)",
        role="technique",
        expression=expression,
        storage="its input (the slope needs x)",
        value=_clamped(value),
        derivative=_passed(slope),
    )


_ALL = (
    Function(
        name="gelu_erf",
        title="GELU (erf)",
        formula="x · Φ(x) = ½ x (1 + erf(x/√2))",
        latex=r"\tfrac{1}{2}\,x\,\bigl(1 + \operatorname{erf}(x/\sqrt{2})\bigr)",
        role="baseline",
        expression="0.5 * x * (1 + torch.erf(x / math.sqrt(2)))",
        storage="its input",
        value=lambda x: x * normal_cdf(x),
        derivative=lambda x: normal_cdf(x) + x * normal_pdf(x),
    ),
    Function(
        name="gelu_tanh",
        title="GELU (tanh)",
        formula="½ x (1 + tanh(√(2/π) (x + 0.044715 x³)))",
        latex=r"\tfrac{1}{2}\,x\,\Bigl(1 + \tanh\bigl(\sqrt{2/\pi}\,(x + 0.044715\,x^3)\bigr)\Bigr)",
        role="baseline",
        expression="0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))",
        storage="its input",
        value=_gelu_tanh,
        derivative=_gelu_tanh_derivative,
    ),
    Function(
        name="silu",
        title="SiLU",
        formula="x · sigmoid(x)",
        latex=r"\frac{x}{1 + e^{-x}}",
        role="baseline",
        expression="x / (1 + torch.exp(-x))",
        storage="its input",
        value=lambda x: x * sigmoid(x),
        derivative=_silu_derivative,
    ),
    Function(
        name="relu",
        title="ReLU",
        formula="max(x, 0)",
        latex=r"\max(x, 0)",
        role="baseline",
        expression="torch.relu(x)",
        storage="its input, or its output, or one bit an element; computable in place",
        value=lambda x: np.maximum(x, 0.0),
        derivative=lambda x: np.where(x <= 0, 0.0, 1.0),
    ),
    _polynomial(
        "phi6", "Phi6Simple", "x² − x + 1", "x.clamp(-2, 2).pow(2) - x.clamp(-2, 2) + 1", lambda x: x * x - x + 1.0, lambda x: 2.0 * x - 1.0
    ),
    Function(
        name="zeta_ln2",
        title="ZetaLn2",
        formula="x² − c x + c²/4 with c = 5/6, that is (x − 5/12)²",
        latex=r"x^2 - c\,x + \tfrac{c^2}{4},\quad c = \tfrac{5}{6}",
        role="technique",
        expression="x * x - c * x + c * c / 4.0",
        storage="its input (the slope needs x)",
        value=lambda x: np.square(x - 0.5 * ZETA_C),
        derivative=lambda x: 2.0 * x - ZETA_C,
    ),
    _polynomial(
        "phi3", "Φ3", "x² + x + 1", "x.clamp(-2, 2).pow(2) + x.clamp(-2, 2) + 1", lambda x: x * x + x + 1.0, lambda x: 2.0 * x + 1.0
    ),
    _polynomial("phi4", "Φ4", "x² + 1", "x.clamp(-2, 2).pow(2) + 1", lambda x: x * x + 1.0, lambda x: 2.0 * x),
    _polynomial("phi8", "Φ8", "x⁴ + 1", "x.clamp(-2, 2).pow(4) + 1", lambda x: x**4 + 1.0, lambda x: 4.0 * x * x * x),
    _polynomial(
        "phi12",
        "Φ12",
        "x⁴ − x² + 1",
        "x.clamp(-2, 2).pow(4) - x.clamp(-2, 2).pow(2) + 1",
        lambda x: x**4 - x * x + 1.0,
        lambda x: 4.0 * x * x * x - 2.0 * x,
    ),
    Function(
        name="copy",
        title="Copy",
        formula="x",
        latex="x",
        role="limit",
        expression="x.clone()",
        storage="nothing",
        value=lambda x: np.array(x, dtype=np.float64),
        derivative=lambda x: np.ones_like(x, dtype=np.float64),
    ),
)

FUNCTIONS: Mapping[str, Function] = {function.name: function for function in _ALL}
TECHNIQUES = tuple(function.name for function in _ALL if function.role == "technique")
BASELINES = tuple(function.name for function in _ALL if function.role == "baseline")

_GRID_STEP = 1e-3
_GRID_END = 12.0  # a standard normal exceeds it with probability 4e-33
_RANGE = 6.0  # where minima and floors are looked for
_RANGE_STEP = 1e-4


def mean_magnitude(name: str, side: Literal["negative", "positive"]) -> float:
    """E[|f(x)|; x < 0] or E[|f(x)|; x > 0] for x ~ N(0, 1): the integral of |f(x)| φ(x) over one half line.

    Trapezoid rule, step 1e-3 on [0, 12]; the error is (step²/12) times the jump of the integrand's slope over the interval, below 1e-6
    for every function here.
    """
    x = np.arange(0.0, _GRID_END + _GRID_STEP / 2, _GRID_STEP)
    signed = -x if side == "negative" else x
    integrand = np.abs(FUNCTIONS[name].value(signed)) * normal_pdf(x)
    return float(_GRID_STEP * (integrand.sum() - 0.5 * (integrand[0] + integrand[-1])))


def suppression(name: str) -> float:
    """How much of its output a function holds back over negative inputs: g = 1 − E[|f(x)|; x < 0] / E[|f(x)|; x > 0], x ~ N(0, 1).

    1 means closed (ReLU), 0 no gate at all (an even function), below 0 means that negative inputs come out larger. Accurate to 1e-5.
    """
    return 1.0 - mean_magnitude(name, "negative") / mean_magnitude(name, "positive")


def minimum(name: str) -> tuple[float, float]:
    """(x, f(x)) at the smallest value of f on [−6, 6], from a grid of step 1e-4 (the first x where several tie)."""
    x = _range_grid()
    values = FUNCTIONS[name].value(x)
    lowest = int(np.argmin(values))
    return float(x[lowest]), float(values[lowest])


def negative_floor(name: str) -> float:
    """The smallest |f(x)| over x in [−6, 0): how near zero the output ever comes for a negative input. Same grid as :func:`minimum`."""
    x = _range_grid()
    return float(np.abs(FUNCTIONS[name].value(x[x < 0])).min())


def _range_grid() -> Values:
    steps = round(_RANGE / _RANGE_STEP)
    return np.arange(-steps, steps + 1, dtype=np.float64) * _RANGE_STEP
