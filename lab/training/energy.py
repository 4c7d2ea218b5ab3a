"""Joules of a training: a step is measured where it can be repeated, a training costs its number of steps.

Energy is counted over mirrored windows of seconds (``lab.energy``), and needs work that can be repeated for as long as a window lasts. A
training cannot: it ends, and its loss falls meanwhile. So the *step* is measured, in steady state: batch gathered on the device, forward,
loss, backward, the whole update of the optimiser, with every learning rate 0. All operations are those of a real step on real data, at the
parameters the model had when the arm was made, and every step does the same work; then

    joules of a training = joules of a step × steps (+ what is done between steps, such as evaluation, measured as an arm of its own).

What that leaves out, and what it does not say:

- Start-up, graph capture and the host's joules. Data is on the device already; orders of the data are drawn by the host.
- With M models trained together, a step is a step of all M. **The joules of a batched training are not M times one training's joules, and
  divided by M they are not one training's**: alone, a small model leaves most of the GPU idle and pays for it. What one training costs is
  measured with M = 1. Ratios between arms of equal M on one GPU are what a claim is judged by.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice

import torch
from torch import nn

from lab.records import Role
from lab.timing import Arm
from lab.training.batches import Batches
from lab.training.fit import Evaluate
from lab.training.initialisation import n_models
from lab.training.losses import Loss, cross_entropy, of_output
from lab.training.optimisers import Optimiser

STEADY_BATCHES = 16  # different batches that the repeated step goes through


def step_arm(
    name: str,
    implementation: str,
    role: Role,
    model: nn.Module,
    optimiser: Optimiser,
    batches: Batches,
    *,
    loss: Loss | None = None,
) -> Arm:
    """One training step of a batched model as an arm for ``compare_energy`` or ``compare``; call i takes the i-th of 16 full batches.

    The model keeps its parameters; the optimiser's means change, and it is the arm's from now on. A step needs nothing from the host, so it
    can be captured in a CUDA graph.
    """
    objective = loss or of_output(cross_entropy)
    endless = batches.indices()
    first = next(endless).clone()
    indices = [first, *(batch.clone() for batch in islice((b for b in endless if b.shape == first.shape), STEADY_BATCHES - 1))]
    optimiser.hold()

    def step(i: int) -> None:
        model.train()
        optimiser.step(objective(model, *batches.gather(indices[i % len(indices)])))

    return _arm(name, implementation, role, model, step, len(indices))


def evaluation_arm(name: str, implementation: str, role: Role, model: nn.Module, evaluate: Evaluate) -> Arm:
    """One evaluation of a batched model as an arm: what a training, or a rule that stops it, does between its steps."""

    def run(i: int) -> None:
        model.eval()
        with torch.no_grad():
            evaluate(model)

    return _arm(name, implementation, role, model, run, 1)


def _arm(name: str, implementation: str, role: Role, model: nn.Module, call: Callable[[int], None], period: int) -> Arm:
    parameter, models = next(model.parameters()), n_models(model)
    together = f"{models} models trained together: not {models} times the joules or seconds of one trained alone"
    dtype = str(parameter.dtype).removeprefix("torch.")
    return Arm(name, implementation, role, str(parameter.device), dtype, call, period, together if models > 1 else "")
