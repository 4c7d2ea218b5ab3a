"""Optimisers of M models with a learning rate each; for every model alone they do what ``torch.optim`` does.

All parameters lie side by side in one tensor [M, P] (the model's parameters become views of it), so that an update is a few operations
over one tensor, whatever the number of layers. What changes from step to step (schedule, bias correction) is a table on the device, read at
a counter on the device: a step needs nothing from the host and can be captured in a CUDA graph.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

from lab.parameters import ParameterError
from lab.training.initialisation import n_models
from lab.training.schedules import Schedule, constant


class Optimiser:
    """Base: the flat parameters, their gradients, and each step's rates.

    ``learning_rate``: one for all models or one for each [M], above 0. ``schedule``: factor on it per step (``lab.training.schedules``).
    Construct it after the model is on its device, and one for each model: it moves the parameters into one tensor.
    """

    def __init__(self, model: nn.Module, learning_rate: float | Sequence[float] | Tensor, *, schedule: Schedule = constant) -> None:
        self.parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
        models, device = n_models(model), self.parameters[0].device
        rates = torch.as_tensor(learning_rate, dtype=torch.float64, device="cpu").expand(models)
        if not bool(((rates > 0) & rates.isfinite()).all()):
            raise ParameterError("learning_rate", rates.tolist(), "finite numbers above 0")
        self.learning_rate = rates
        self.schedule = schedule
        self.values = torch.cat([parameter.detach().flatten(1) for parameter in self.parameters], 1)
        self.gradients = torch.zeros_like(self.values)
        self.state: dict[str, Tensor] = {"step": torch.zeros(1, dtype=torch.int64, device=device)}
        start = 0
        for parameter in self.parameters:
            size = parameter[0].numel()
            parameter.data = self.values[:, start : start + size].view(parameter.shape)
            start += size
        self._table = torch.zeros(0, 0)

    def plan(self, steps: int) -> None:
        """Prepare the rates of the next ``steps`` steps; each step takes the next of them, further ones repeat the last."""
        done = int(self.state["step"])
        rows = [self.coefficients(step, self.learning_rate * self.schedule(step)) for step in range(done + steps)]
        self._table = torch.stack(rows).to(self.values)

    def hold(self) -> None:
        """From now on every step has learning rate 0: all of its work is done, and the parameters stay as they are."""
        row = self.coefficients(int(self.state["step"]), torch.zeros_like(self.learning_rate))
        self._table = row[None].to(self.values)

    def step(self, losses: Tensor) -> None:
        """Move each model along the gradient of its own loss: losses [M], differentiable. Needs ``plan``."""
        gradients = torch.autograd.grad(losses.sum(), self.parameters)
        torch.cat([gradient.flatten(1) for gradient in gradients], 1, out=self.gradients)
        with torch.no_grad():
            row = self.state["step"].clamp(max=len(self._table) - 1)
            self.update(self._table.index_select(0, row)[0])
            self.state["step"] += 1

    def coefficients(self, step: int, rates: Tensor) -> Tensor:
        """What ``update`` needs at ``step`` (0, 1, …) for learning rates ``rates`` [M], as one tensor [k, M], float64."""
        raise NotImplementedError

    def update(self, coefficients: Tensor) -> None:
        """Change ``values`` in place from ``gradients``; ``coefficients`` [k, M] are this step's."""
        raise NotImplementedError

    def zeros(self) -> Tensor:
        """A state tensor like the parameters [M, P]."""
        return torch.zeros_like(self.values)

    def tensors(self) -> Mapping[str, Tensor]:
        """Everything a step changes, by name: parameters and state."""
        return {"values": self.values, **self.state}


class Sgd(Optimiser):
    """Stochastic gradient descent with momentum μ and weight decay λ: b ← μ b + (g + λ p), p ← p − rate · b (b = g + λ p where μ = 0)."""

    def __init__(
        self,
        model: nn.Module,
        learning_rate: float | Sequence[float] | Tensor,
        *,
        momentum: float = 0.0,
        weight_decay: float = 0.0,
        schedule: Schedule = constant,
    ) -> None:
        super().__init__(model, learning_rate, schedule=schedule)
        self.momentum, self.weight_decay = momentum, weight_decay
        if momentum:
            self.state["momentum"] = self.zeros()

    def coefficients(self, step: int, rates: Tensor) -> Tensor:
        return -rates[None]

    def update(self, coefficients: Tensor) -> None:
        direction = self.gradients
        if self.weight_decay:
            direction.add_(self.values, alpha=self.weight_decay)
        if self.momentum:
            direction = self.state["momentum"].mul_(self.momentum).add_(direction)
        self.values.addcmul_(direction, coefficients[0][:, None])


class Adam(Optimiser):
    """Adam (Kingma and Ba, 2015): p ← p − rate · m̂/(√v̂ + ε), with the bias-corrected means m̂ of g and v̂ of g².

    ``weight_decay`` λ adds λ p to the gradient, as ``torch.optim.Adam`` does; :class:`AdamW` decays the parameters themselves.
    """

    decoupled = False

    def __init__(
        self,
        model: nn.Module,
        learning_rate: float | Sequence[float] | Tensor,
        *,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        schedule: Schedule = constant,
    ) -> None:
        super().__init__(model, learning_rate, schedule=schedule)
        self.betas, self.eps, self.weight_decay = betas, eps, weight_decay
        self.state |= {"mean": self.zeros(), "square": self.zeros()}
        self._scratch = self.zeros()

    def coefficients(self, step: int, rates: Tensor) -> Tensor:
        # m̂/(√v̂ + ε) = (m/c₁)/(√v/√c₂ + ε) = (√c₂/c₁) · m/(√v + ε√c₂): one factor on the step and one ε per step.
        first, second = (1 - beta ** (step + 1) for beta in self.betas)
        decay = 1 - rates * self.weight_decay
        return torch.stack([-rates * second**0.5 / first, torch.full_like(rates, self.eps * second**0.5), decay])

    def update(self, coefficients: Tensor) -> None:
        rate, eps, decay = coefficients[:, :, None]
        if self.weight_decay and self.decoupled:
            self.values.mul_(decay)
        elif self.weight_decay:
            self.gradients.add_(self.values, alpha=self.weight_decay)
        mean, square = self.state["mean"], self.state["square"]
        mean.lerp_(self.gradients, 1 - self.betas[0])
        square.mul_(self.betas[1]).addcmul_(self.gradients, self.gradients, value=1 - self.betas[1])
        torch.sqrt(square, out=self._scratch).add_(eps)
        torch.div(mean, self._scratch, out=self._scratch)
        self.values.addcmul_(self._scratch, rate)


class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov and Hutter, 2019): p ← (1 − rate · λ) p before each step."""

    decoupled = True

    def __init__(
        self,
        model: nn.Module,
        learning_rate: float | Sequence[float] | Tensor,
        *,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.01,
        schedule: Schedule = constant,
    ) -> None:
        super().__init__(model, learning_rate, betas=betas, eps=eps, weight_decay=weight_decay, schedule=schedule)


MakeOptimiser = Callable[[nn.Module, Tensor], Optimiser]  # model, learning rates [M] → its optimiser
