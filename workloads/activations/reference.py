"""The readable PyTorch side: literal published expressions, the framework's own kernels, and float64 truth.

Each published expression runs as one kernel per operation and saves a tensor for most of them; that is what it is here for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.nn import functional

from workloads.activations.functions import ZETA_C


def _gelu_erf(x: Tensor) -> Tensor:
    return functional.gelu(x)


def _gelu_tanh(x: Tensor) -> Tensor:
    return functional.gelu(x, approximate="tanh")


def _phi6(x: Tensor) -> Tensor:
    return x.clamp(-2, 2).pow(2) - x.clamp(-2, 2) + 1


def _zeta_ln2(x: Tensor) -> Tensor:
    c = ZETA_C
    return x * x - c * x + c * c / 4.0


def _phi3(x: Tensor) -> Tensor:
    return x.clamp(-2, 2).pow(2) + x.clamp(-2, 2) + 1


def _phi4(x: Tensor) -> Tensor:
    return x.clamp(-2, 2).pow(2) + 1


def _phi8(x: Tensor) -> Tensor:
    return x.clamp(-2, 2).pow(4) + 1


def _phi12(x: Tensor) -> Tensor:
    return x.clamp(-2, 2).pow(4) - x.clamp(-2, 2).pow(2) + 1


# Float [any shape] → float [same shape, dtype and layout], differentiable. Baselines are the framework's kernels (one each), techniques the
# literal published expressions (five elementwise kernels for Phi6Simple), "copy" a copy into a new tensor.
EAGER: Mapping[str, Callable[[Tensor], Tensor]] = {
    "gelu_erf": _gelu_erf,
    "gelu_tanh": _gelu_tanh,
    "silu": functional.silu,
    "relu": functional.relu,
    "phi6": _phi6,
    "zeta_ln2": _zeta_ln2,
    "phi3": _phi3,
    "phi4": _phi4,
    "phi8": _phi8,
    "phi12": _phi12,
    "copy": torch.clone,
}


def reference64(name: str, x: Tensor) -> Tensor:
    """The function ``name`` of ``x`` [any shape, floating] in float64: what every implementation is compared with."""
    return EAGER[name](x.detach().double())


def gradient64(name: str, x: Tensor, grad_output: Tensor) -> Tensor:
    """∂⟨grad_output, f(x)⟩/∂x in float64 by autograd through the literal expression; all [the shape of ``x``]."""
    inputs = x.detach().double().requires_grad_()
    (gradient,) = torch.autograd.grad(EAGER[name](inputs), inputs, grad_output.detach().double())
    return gradient
