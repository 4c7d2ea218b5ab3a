"""Model i of a batch starts as it would alone; single models can be taken out."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from lab.parameters import ParameterError
from lab.training.initialisation import initialise, n_models, n_parameters, take
from lab.training.layers import Batched, Linear
from lab.training.models import CharacterModel, Mlp


def mlp(models: int) -> Mlp:
    return Mlp(models, (5, 7, 3), torch.relu, dropout=0.2)


@given(st.lists(st.integers(0, 2**40), min_size=1, max_size=4))
def test_a_model_starts_as_it_would_alone(seeds: list[int]) -> None:
    together = initialise(mlp(len(seeds)), seeds)
    for i, seed in enumerate(seeds):
        alone = initialise(mlp(1), [seed]).state_dict()
        assert all(torch.equal(value, alone[name]) for name, value in take(together, i).state_dict().items())


def test_seeds_differ_and_repeat() -> None:
    weights = initialise(mlp(3), [1, 2, 1]).layers[0].weight
    assert torch.equal(weights[0], weights[2])
    assert not torch.equal(weights[0], weights[1])


def test_layers_that_two_architectures_share_start_alike() -> None:
    # Another mixer must not change how the rest starts: arms are paired by seed.
    def model(mixer: object) -> CharacterModel:
        return initialise(CharacterModel(1, 11, 8, 6, 2, 2, 12, mixer=mixer), [5])

    usual, other = model(None).state_dict(), model(lambda models: Linear(models, 6, 6)).state_dict()
    shared = [name for name in usual if ".mixer." not in name]
    assert len(shared) > 20
    assert all(torch.equal(usual[name], other[name]) for name in shared)


def test_float64_starts_from_the_same_numbers() -> None:
    single, double = initialise(mlp(1), [1]), initialise(mlp(1).double(), [1])
    assert torch.equal(single.layers[0].weight.double(), double.layers[0].weight)


def test_a_taken_model_is_a_copy() -> None:
    model = initialise(mlp(3), [1, 2, 3])
    taken = take(model, 2, 0)
    assert n_models(taken) == 2
    x = torch.randn(1, 4, 5)
    expected = model.eval()(x.expand(3, -1, -1))[[2, 0]]
    torch.testing.assert_close(taken.eval()(x.expand(2, -1, -1)), expected)
    with torch.no_grad():
        taken.layers[0].weight.zero_()
    assert (model.layers[0].weight != 0).any()


def test_parameters_of_one_model_are_counted() -> None:
    assert n_parameters(mlp(4)) == (5 * 7 + 7) + (7 * 3 + 3)


def test_one_seed_per_model() -> None:
    with pytest.raises(ParameterError, match=r"seeds.*3 seeds"):
        initialise(mlp(3), [1, 2])


def test_a_parameter_that_no_layer_draws_is_refused() -> None:
    class Forgetful(Batched):
        def __init__(self) -> None:
            super().__init__(2)
            self.scale = self.parameter(4)

    with pytest.raises(ValueError, match=r"\['scale'\]"):
        initialise(Forgetful(), [1, 2])


def test_layers_must_agree_on_the_number_of_models() -> None:
    with pytest.raises(ValueError, match=r"\[2, 3\]"):
        n_models(nn.Sequential(Linear(2, 4, 4), Linear(3, 4, 4)))
