"""The functions of a cell in the implementations that are chosen and that this machine has. Worker side: imports torch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from lab.records import Role
from workloads.activations import fused
from workloads.activations.functions import FUNCTIONS
from workloads.activations.parameters import COPY, ActivationParameters
from workloads.activations.reference import EAGER

Function = Callable[..., Tensor]


@dataclass(frozen=True)
class Candidate:
    """One function in one implementation: what is called on tensors, or why it cannot be."""

    name: str
    implementation: str
    function: Function | None
    reason: str = ""


def role_of(name: str) -> Role:
    """The role of a function's arms; ``copy``, the limit, stands with the baselines."""
    return "technique" if FUNCTIONS[name].role == "technique" else "baseline"


def candidates(params: ActivationParameters, device: str, around: Callable[[Function], Function]) -> Iterator[Candidate]:
    """The chosen functions but copy, in the implementations chosen. NumPy is the published benchmark's alone.

    ``around`` puts a function [any shape → same shape] in its place, for example into a feed-forward block; what is compiled is the whole.
    """
    fused_reason = fused.available(device)
    for implementation in params.implementations:
        if implementation == "numpy":
            continue
        for name in params.functions:
            if name == COPY:
                continue
            if implementation == "eager":
                yield Candidate(name, implementation, around(EAGER[name]))
            elif implementation == "compiled":
                yield Candidate(name, implementation, torch.compile(around(EAGER[name]), fullgraph=True, dynamic=False))
            elif fused_reason:
                yield Candidate(name, implementation, None, fused_reason)
            else:
                yield Candidate(name, implementation, around(fused.activation(name)))


def failure_of(problem: Callable[[], str]) -> str:
    """What ``problem`` says is wrong, or the error that it ends with; "" where all is well. Out of memory is passed on.

    No compiler, a refused capability, …: the other arms go on, and the reader sees why this one did not.
    """
    try:
        return problem()
    except torch.OutOfMemoryError:
        raise
    except Exception as error:
        lines = [line for line in str(error).strip().splitlines() if line.strip()]
        return f"{type(error).__name__}: {lines[0][:200] if lines else 'no further text'}"
