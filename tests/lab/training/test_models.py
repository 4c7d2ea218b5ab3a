"""Models: every one of a batch computes what it computes alone; their shapes, read-outs, causality and refusals."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from lab.parameters import ParameterError
from lab.training.initialisation import initialise, n_parameters, take
from lab.training.layers import Linear
from lab.training.models import CharacterModel, ConvNet, Mlp, SequenceClassifier

IDS = torch.randint(9, (3, 2, 6), generator=torch.Generator().manual_seed(0))
VECTORS = torch.randn(3, 2, 6, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
PIXELS = torch.randn(3, 2, 1, 8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)

MODELS: dict[str, tuple[Callable[[int], nn.Module], Tensor, tuple[int, ...]]] = {
    "mlp": (lambda n: Mlp(n, (5, 7, 4), torch.tanh), VECTORS[:, :, 0], (3, 2, 4)),
    "deep mlp": (lambda n: Mlp(n, (5, *[6] * 8, 4), torch.relu, scheme="he_normal"), VECTORS[:, :, 0], (3, 2, 4)),
    "character": (lambda n: CharacterModel(n, 9, 6, 8, 2, 2, 16), IDS, (3, 2, 6, 9)),
    "tied character": (lambda n: CharacterModel(n, 9, 6, 8, 2, 2, 16, tied=True), IDS, (3, 2, 6, 9)),
    "classifier": (lambda n: SequenceClassifier(n, 5, 6, 8, 2, 2, 16, 4), VECTORS, (3, 2, 4)),
    "token classifier": (lambda n: SequenceClassifier(n, 9, 6, 8, 1, 2, 16, 4, tokens=True, readout="last"), IDS, (3, 2, 4)),
    "convolutions": (lambda n: ConvNet(n, (8, 8), (1, 3, 4), 4), PIXELS, (3, 2, 4)),
}


@pytest.mark.parametrize("name", MODELS)
def test_a_model_of_a_batch_is_itself(name: str) -> None:
    build, x, shape = MODELS[name]
    model = initialise(build(3), [1, 2, 3]).double()
    y = model(x)
    assert y.shape == shape
    y.square().sum().backward()
    for i in range(3):
        alone = initialise(build(1), [i + 1]).double()
        output = alone(x[i : i + 1])
        torch.testing.assert_close(output[0], y[i], rtol=1e-11, atol=1e-12)
        output.square().sum().backward()
        for (_, own), (_, batched) in zip(alone.named_parameters(), model.named_parameters(), strict=True):
            torch.testing.assert_close(own.grad[0], batched.grad[i], rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("tied", [True, False])
def test_a_character_model_does_not_see_what_follows(tied: bool) -> None:
    model = initialise(CharacterModel(1, 9, 6, 8, 2, 2, 16, tied=tied), [0]).double()
    changed = IDS[:1].clone()
    changed[..., 4:] = (changed[..., 4:] + 1) % 9
    before, after = model(IDS[:1]), model(changed)
    torch.testing.assert_close(before[..., :4, :], after[..., :4, :])
    assert not torch.allclose(before[..., 4:, :], after[..., 4:, :])


def test_parameters_of_a_character_model() -> None:
    # d = 8: tokens 9·8, positions 6·8; a block: two norms 2·16, qkv 8·24 + 24, out 8·8 + 8, up 8·16 + 16, down 16·8 + 8; norm 16; head.
    block = 32 + 216 + 72 + 144 + 136
    assert n_parameters(CharacterModel(2, 9, 6, 8, 2, 2, 16)) == 72 + 48 + 2 * block + 16 + (8 * 9 + 9)
    assert n_parameters(CharacterModel(2, 9, 6, 8, 2, 2, 16, tied=True)) == 72 + 48 + 2 * block + 16


def test_mixer_and_ffn_can_be_ones_own() -> None:
    class Nothing(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.zeros_like(x)

    built: list[int] = []

    def mixer(models: int) -> nn.Module:
        built.append(models)
        return Linear(models, 8, 8)

    model = initialise(CharacterModel(3, 9, 6, 8, 2, 2, 16, mixer=mixer, ffn=lambda models: Nothing()), [1, 2, 3])
    assert built == [3, 3]
    assert isinstance(model.blocks[1].mixer, Linear)
    assert take(model, 1)(IDS[:1]).shape == (1, 2, 6, 9)


def test_read_outs() -> None:
    # Without blocks' mixing a place's vector depends on its own input: the last read-out must ignore the others, the mean must not.
    class Nothing(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.zeros_like(x)

    other = VECTORS[:1].clone()
    other[:, :, 0] += 1
    for readout, same in (("last", True), ("mean", False)):
        model = SequenceClassifier(1, 5, 6, 8, 1, 2, 16, 4, readout=readout, mixer=lambda models: Nothing())
        initialise(model, [0]).double()
        assert torch.allclose(model(VECTORS[:1]), model(other)) == same


@pytest.mark.parametrize(
    ("field", "build"),
    [
        ("depth", lambda: Mlp(1, (4, 2), torch.relu)),
        ("depth", lambda: ConvNet(1, (8, 8), (1,), 2)),
        ("depth", lambda: ConvNet(1, (4, 8), (1, 2, 2, 2), 2)),
        ("n_layers", lambda: CharacterModel(1, 9, 6, 8, 0, 2, 16)),
        ("n_models", lambda: Mlp(0, (4, 3, 2), torch.relu)),
        ("readout", lambda: SequenceClassifier(1, 5, 6, 8, 1, 2, 16, 4, readout="first")),
    ],
)
def test_what_makes_no_model_is_refused_by_name(field: str, build: Callable[[], nn.Module]) -> None:
    with pytest.raises(ParameterError) as refused:
        build()
    assert refused.value.name == field
