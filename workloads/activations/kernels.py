"""Triton kernels of the activation functions: one elementwise kernel per direction, arithmetic in float32.

    fused.py (shapes, layouts, autograd) ─→ activation_forward_kernel  ─→ value(x)
                                         └→ activation_backward_kernel ─→ gradient(x, dy)

The kernels use ``tl`` operations only (no libdevice), so that Triton's interpreter can run them on a CPU; tensors stand left of
constants because the interpreter cannot multiply a ``constexpr`` by a tensor. NaN and infinities come
out as in the literal expressions: clamps propagate NaN, and the clamped functions' gradient is dy · slope inside the clamp, borders
included, and 0 outside and at NaN, as autograd of ``clamp`` has it.
"""

from __future__ import annotations

import math

import triton
import triton.language as tl

from workloads.activations import functions

CLAMP = tl.constexpr(functions.CLAMP)
ZETA_C = tl.constexpr(functions.ZETA_C)
ZETA_CONSTANT = tl.constexpr(functions.ZETA_C * functions.ZETA_C / 4.0)
TANH_SCALE = tl.constexpr(functions.TANH_SCALE)
TANH_CUBIC = tl.constexpr(functions.TANH_CUBIC)
INV_SQRT_2 = tl.constexpr(math.sqrt(0.5))
INV_SQRT_2PI = tl.constexpr(1.0 / math.sqrt(2.0 * math.pi))
HALF_LOG2_E = tl.constexpr(0.5 / math.log(2.0))


@triton.jit
def normal_cdf(x, decay, NARROW: tl.constexpr):
    """Φ(x) of float32 x, with ``decay`` = exp(−x²/2) at hand.

    For 16-bit results (``NARROW``) erf would cost more than the memory traffic leaves time for, so the tail 1 − Φ(|x|) is
    decay · (c₁ t + … + c₆ t⁶) with t = 1 / (1 + 0.32 |x|), fitted to exp(x²/2) (1 − Φ(x)) on [0, 40] for least relative error: 1.2e-5, a
    fortieth of half a unit in float16's last place.
    """
    if NARROW:
        t = 1.0 / (1.0 + 0.32 * tl.abs(x))
        p = -0.06677982919 * t + 0.1395988924
        p = p * t + 0.04960234534
        p = p * t + 0.1230559377
        p = p * t + 0.1268273842
        p = p * t + 0.127689746
        tail = p * t * decay
        cdf = tl.where(x < 0, tail, 1.0 - tail)
    else:
        cdf = 0.5 + 0.5 * tl.erf(x * INV_SQRT_2)
    return cdf


@triton.jit
def sigmoid_and_slope(z):
    """(sigmoid(z), its derivative sigmoid(z) · sigmoid(−z)) of float32 z.

    With e = exp(−|z|) the derivative is e / (1 + e)²; sigmoid · (1 − sigmoid) would lose all its digits for large z.
    """
    e = tl.exp(-tl.abs(z))
    r = 1.0 / (1.0 + e)
    return tl.where(z < 0, e * r, r), e * r * r


@triton.jit
def twice_tanh_argument(x):
    """2u with u = √(2/π) (x + 0.044715 x³), so that ½ (1 + tanh u) = sigmoid(2u); for float32 x."""
    return x * (x * x * TANH_CUBIC + 1.0) * TANH_SCALE * 2.0


@triton.jit
def value(x, FUNCTION: tl.constexpr, NARROW: tl.constexpr):
    """f(x) for float32 x [BLOCK]."""
    tl.static_assert(
        FUNCTION == "gelu_erf"
        or FUNCTION == "gelu_tanh"
        or FUNCTION == "silu"
        or FUNCTION == "relu"
        or FUNCTION == "zeta_ln2"
        or FUNCTION == "phi3"
        or FUNCTION == "phi4"
        or FUNCTION == "phi6"
        or FUNCTION == "phi8"
        or FUNCTION == "phi12"
        or FUNCTION == "copy"
    )
    c = tl.clamp(x, -CLAMP, CLAMP, propagate_nan=tl.PropagateNan.ALL)
    y = x
    if FUNCTION == "gelu_erf":
        y = x * normal_cdf(x, tl.exp2(x * x * -HALF_LOG2_E), NARROW)
    elif FUNCTION == "gelu_tanh":
        y = x * tl.sigmoid(twice_tanh_argument(x))
    elif FUNCTION == "silu":
        y = x * tl.sigmoid(x)
    elif FUNCTION == "relu":
        y = tl.maximum(x, 0.0, propagate_nan=tl.PropagateNan.ALL)
    elif FUNCTION == "zeta_ln2":
        # As printed, not as (x − c/2)²: at +∞ the printed form is NaN, and a faster version must compute the same function.
        y = x * x - x * ZETA_C + ZETA_CONSTANT
    elif FUNCTION == "phi3":
        y = c * c + c + 1.0
    elif FUNCTION == "phi4":
        y = c * c + 1.0
    elif FUNCTION == "phi6":
        y = c * c - c + 1.0
    elif FUNCTION == "phi8":
        y = (c * c) * (c * c) + 1.0
    elif FUNCTION == "phi12":
        y = (c * c) * (c * c) - c * c + 1.0
    return y


@triton.jit
def gradient(x, dy, FUNCTION: tl.constexpr, NARROW: tl.constexpr):
    """dy · f′(x) for float32 x and dy [BLOCK]."""
    dx = dy
    if FUNCTION == "gelu_erf":
        decay = tl.exp2(x * x * -HALF_LOG2_E)
        dx = dy * (normal_cdf(x, decay, NARROW) + x * decay * INV_SQRT_2PI)
    elif FUNCTION == "gelu_tanh":
        gate, gate_slope = sigmoid_and_slope(twice_tanh_argument(x))
        argument_slope = (x * x * TANH_CUBIC * 3.0 + 1.0) * TANH_SCALE * 2.0
        dx = dy * (gate + x * gate_slope * argument_slope)
    elif FUNCTION == "silu":
        gate, gate_slope = sigmoid_and_slope(x)
        dx = dy * (gate + x * gate_slope)
    elif FUNCTION == "relu":
        dx = tl.where(x <= 0.0, 0.0, dy)
    elif FUNCTION == "zeta_ln2":
        dx = dy * (2.0 * x - ZETA_C)
    elif FUNCTION == "phi3":
        dx = tl.where(tl.abs(x) <= CLAMP, dy * (2.0 * x + 1.0), 0.0)
    elif FUNCTION == "phi4":
        dx = tl.where(tl.abs(x) <= CLAMP, dy * (2.0 * x), 0.0)
    elif FUNCTION == "phi6":
        dx = tl.where(tl.abs(x) <= CLAMP, dy * (2.0 * x - 1.0), 0.0)
    elif FUNCTION == "phi8":
        dx = tl.where(tl.abs(x) <= CLAMP, dy * (4.0 * x * x * x), 0.0)
    elif FUNCTION == "phi12":
        dx = tl.where(tl.abs(x) <= CLAMP, dy * (4.0 * x * x * x - 2.0 * x), 0.0)
    return dx


@triton.jit(do_not_specialize=["n"])  # whole blocks do not depend on n's divisibility: one compilation serves every n
def activation_forward_kernel(x_ptr, y_ptr, n, FUNCTION: tl.constexpr, BLOCK: tl.constexpr):
    """y = f(x) over n elements that lie one after the other; program p does elements p · BLOCK to (p + 1) · BLOCK − 1.

    Whole blocks take an unmasked path: their loads stay 16 bytes wide even where n is odd.
    """
    NARROW: tl.constexpr = x_ptr.dtype.element_ty.primitive_bitwidth < 32
    start = tl.program_id(0).to(tl.int64) * BLOCK  # 64 bits: tensors may hold more than 2³¹ elements
    within = tl.arange(0, BLOCK)
    x_ptr += start
    y_ptr += start
    if start + BLOCK <= n:
        x = tl.load(x_ptr + within)
        y = value(x.to(tl.float32), FUNCTION, NARROW)
        tl.store(y_ptr + within, y.to(y_ptr.dtype.element_ty))
    else:
        mask = within < n - start
        x = tl.load(x_ptr + within, mask=mask, other=0.0)
        y = value(x.to(tl.float32), FUNCTION, NARROW)
        tl.store(y_ptr + within, y.to(y_ptr.dtype.element_ty), mask=mask)


@triton.jit(do_not_specialize=["n"])  # whole blocks do not depend on n's divisibility: one compilation serves every n
def activation_backward_kernel(x_ptr, dy_ptr, dx_ptr, n, DY_IS_SCALAR: tl.constexpr, FUNCTION: tl.constexpr, BLOCK: tl.constexpr):
    """dx = dy · f′(x), laid out as in :func:`activation_forward_kernel`.

    ``DY_IS_SCALAR``: dy is one number for all elements (the gradient of a sum), read once per program instead of n times from memory.
    """
    NARROW: tl.constexpr = x_ptr.dtype.element_ty.primitive_bitwidth < 32
    start = tl.program_id(0).to(tl.int64) * BLOCK
    within = tl.arange(0, BLOCK)
    x_ptr += start
    dx_ptr += start
    if start + BLOCK <= n:
        x = tl.load(x_ptr + within)
        dy = tl.load(dy_ptr) if DY_IS_SCALAR else tl.load(dy_ptr + start + within)
        dx = gradient(x.to(tl.float32), dy.to(tl.float32), FUNCTION, NARROW)
        tl.store(dx_ptr + within, dx.to(dx_ptr.dtype.element_ty))
    else:
        mask = within < n - start
        x = tl.load(x_ptr + within, mask=mask, other=0.0)
        dy = tl.load(dy_ptr) if DY_IS_SCALAR else tl.load(dy_ptr + start + within, mask=mask, other=0.0)
        dx = gradient(x.to(tl.float32), dy.to(tl.float32), FUNCTION, NARROW)
        tl.store(dx_ptr + within, dx.to(dx_ptr.dtype.element_ty), mask=mask)
