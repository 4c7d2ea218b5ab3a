"""Metrics of models on held-out examples, whole and in parts."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from lab.parameters import ParameterError
from lab.training.evaluation import Evaluation
from lab.training.initialisation import initialise
from lab.training.losses import accuracy, binary_cross_entropy, cross_entropy, item_cross_entropy, squared_error
from lab.training.models import CharacterModel, Mlp


def test_losses_by_hand() -> None:
    # Logits 0, ln 3 give probabilities 1/4, 3/4: −ln(3/4) and −ln(1/4), mean (2 ln 4 − ln 3)/2.
    logits = torch.tensor([0.0, math.log(3)]).expand(1, 2, 2)
    targets = torch.tensor([[1, 0]])
    assert cross_entropy(logits, targets).tolist() == pytest.approx([math.log(4) - math.log(3) / 2])
    assert item_cross_entropy(logits, targets)[0].tolist() == pytest.approx([math.log(4 / 3), math.log(4)])
    assert accuracy(logits, targets).tolist() == [0.5]
    assert squared_error(torch.tensor([[1.0, 2.0]]), torch.tensor([[0.0, 4.0]])).tolist() == [2.5]
    # σ(ln 3) = 3/4.
    assert binary_cross_entropy(torch.tensor([[math.log(3)]]), torch.tensor([[0.0]])).tolist() == pytest.approx([math.log(4)])


def test_means_and_items_do_not_depend_on_the_batch_size(classes: tuple[Tensor, Tensor]) -> None:
    model = initialise(Mlp(3, (6, 5, 4), torch.relu, dropout=0.5), [1, 2, 3]).double()
    whole, parts = Evaluation(*classes), Evaluation(*classes, batch_size=7)
    for name, values in whole.items(model).items():
        assert values.shape == (3, 80)
        torch.testing.assert_close(parts.items(model)[name], values)
        torch.testing.assert_close(whole(model)[name], values.mean(1))
    assert model.training  # left as it was


def test_tokens_of_a_window_are_averaged() -> None:
    model = initialise(CharacterModel(2, 9, 6, 8, 1, 2, 16), [1, 2])
    ids = torch.randint(9, (5, 7), generator=torch.Generator().manual_seed(0))
    items = Evaluation(ids[:, :-1], ids[:, 1:]).items(model)["loss"]
    assert items.shape == (2, 5)
    logits = model(ids[None, :, :-1].expand(2, -1, -1))
    torch.testing.assert_close(items, item_cross_entropy(logits, ids[None, :, 1:].expand(2, -1, -1)).mean(2))


def test_each_model_on_its_own_data() -> None:
    model = initialise(Mlp(2, (3, 4, 2), torch.relu), [1, 2])
    x, y = torch.randn(2, 6, 3, generator=torch.Generator().manual_seed(0)), torch.zeros(2, 6, dtype=torch.int64)
    found = Evaluation(x, y, owners=[1, 0]).items(model)["loss"]
    for i, owner in enumerate((1, 0)):
        torch.testing.assert_close(found[i], Evaluation(x[owner], y[owner]).items(model)["loss"][i])
    with pytest.raises(ParameterError, match="owners"):
        Evaluation(x, y, owners=[0])(model)
