"""The models that are trained, and the entropy of what they predict. Worker side."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from lab.parameters import ParameterError
from lab.training.layers import Batched
from lab.training.models import ConvNet, Mlp

HIDDEN = 128
CHANNELS = (8, 16)


class MlpDifference(Batched):
    """The published model: x [M, batch, features] → f(x) − g(x), logits [M, batch, n_classes] of two MLPs with one hidden layer each.

    As a function it is one MLP of twice the width whose second half enters the output with the opposite sign.
    """

    def __init__(self, n_models: int, features: int, n_classes: int, *, dropout: float) -> None:
        super().__init__(n_models)
        widths = (features, HIDDEN, n_classes)
        self.first = Mlp(n_models, widths, functional.relu, dropout=dropout)
        self.second = Mlp(n_models, widths, functional.relu, dropout=dropout)

    def forward(self, x: Tensor) -> Tensor:
        return self.first(x) - self.second(x)


def build(name: str, n_models: int, shape: tuple[int, ...], n_classes: int, dropout: float) -> nn.Module:
    """``n_models`` models called ``name`` for inputs of ``shape``; their parameters are not drawn yet."""
    if name == "cnn":
        if len(shape) != 3:
            raise ParameterError("model", name, "difference, mlp for data that are no images", "needs images")
        return ConvNet(n_models, (shape[1], shape[2]), (shape[0], *CHANNELS), n_classes, dropout=dropout)
    (features,) = shape
    if name == "mlp":
        return Mlp(n_models, (features, HIDDEN, n_classes), functional.relu, dropout=dropout)
    return MlpDifference(n_models, features, n_classes, dropout=dropout)


def item_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Shannon entropy in nats of each predicted distribution, H = −Σ p ln p: logits [M, …, n_classes] → [M, …]; no target matters."""
    logs = functional.log_softmax(logits, -1)
    return -(logs.exp() * logs).sum(-1)
