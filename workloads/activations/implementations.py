"""The functions of a cell in the implementations that are chosen and that this machine has. Worker side: imports torch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lab.records import Role
from lab.timing import Arm, ArmKey
from workloads.activations import fused
from workloads.activations.findings import LIMITS, SINGLE_KERNEL
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


def energy_arms(arms: Sequence[Arm], seconds: Mapping[ArmKey, float]) -> list[Arm]:
    """The arms whose joules are worth their time: of each function the eager one and the fastest single kernel, and the limit.

    ``seconds``: mean time per call of each arm that was timed.
    """
    chosen = []
    for name in dict.fromkeys(arm.name for arm in arms):
        ways = {arm.implementation: arm for arm in arms if arm.name == name and arm.key in seconds}
        kernels = [arm for way, arm in ways.items() if way in SINGLE_KERNEL and name not in LIMITS]
        chosen += [arm for way, arm in ways.items() if way == "eager"]
        chosen += [min(kernels, key=lambda arm: seconds[arm.key])] if kernels else []
    return chosen
