"""Small problems that every test here trains on, and as many threads as a test needs: one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest
import torch
from torch import Tensor

from lab.training.layers import Batched


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


class Parabola(Batched):
    """One parameter w per model, drawn as 1, with the loss w²/2: everything about its training can be worked out by hand."""

    def __init__(self, n_models: int) -> None:
        super().__init__(n_models)
        self.w = self.parameter(1)

    def draw(self, generator: torch.Generator) -> Mapping[str, Tensor]:
        return {"w": torch.ones(1)}


def half_square(model: Parabola, inputs: Tensor, targets: Tensor) -> Tensor:
    return model.w.square().sum(1) / 2


@pytest.fixture
def classes() -> tuple[Tensor, Tensor]:
    """80 points of 6 features in 4 classes (the signs of the first two features)."""
    x = torch.randn(80, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return x, (x[:, 0] > 0).long() + 2 * (x[:, 1] > 0).long()
