"""Each layer against PyTorch's own with one model's parameters, and dropout against what a mask must be."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from lab.parameters import ParameterError
from lab.training.initialisation import initialise
from lab.training.layers import Conv2d, Dropout, Embedding, LayerNorm, Linear, Positions, SelfAttention, hashed

SEEDS = (3, 4, 5)


def random(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(7, 4), (2, 5, 4)])
def test_linear_is_each_models_own(bias: bool, shape: tuple[int, ...]) -> None:
    layer, x = initialise(Linear(3, 4, 6, bias=bias), SEEDS).double(), random(3, *shape)
    y = layer(x)
    for i in range(3):
        expected = nn.functional.linear(x[i], layer.weight[i].T, None if layer.bias is None else layer.bias[i, 0])
        torch.testing.assert_close(y[i], expected)


def test_convolution_is_each_models_own() -> None:
    layer, x = initialise(Conv2d(3, 2, 4, 3, padding=1), SEEDS).double(), random(3, 5, 2, 6, 7)
    y = layer(x)
    for i in range(3):
        torch.testing.assert_close(y[i], nn.functional.conv2d(x[i], layer.weight[i], layer.bias[i], padding=1))


def test_embedding_and_positions_are_each_models_own() -> None:
    table, places = initialise(Embedding(3, 9, 4), SEEDS).double(), initialise(Positions(3, 8, 4), SEEDS).double()
    ids = torch.randint(9, (3, 2, 5), generator=torch.Generator().manual_seed(2))
    x = table(ids)
    for i in range(3):
        torch.testing.assert_close(x[i], table.weight[i][ids[i]])
        torch.testing.assert_close(places(x)[i], x[i] + places.weight[i, :5])
    with pytest.raises(ParameterError, match="seq_len"):
        places(random(3, 1, 9, 4))


def test_layer_norm_is_each_models_own() -> None:
    layer, x = LayerNorm(3, 4).double(), random(3, 2, 5, 4)
    with torch.no_grad():
        layer.weight.copy_(random(3, 4))
        layer.bias.copy_(random(3, 4) + 1)
    for i in range(3):
        torch.testing.assert_close(layer(x)[i], nn.functional.layer_norm(x[i], (4,), layer.weight[i], layer.bias[i]))


@pytest.mark.parametrize("causal", [True, False])
def test_attention_is_the_frameworks_multi_head_attention(causal: bool) -> None:
    layer, x = initialise(SelfAttention(3, 8, 2, causal=causal), SEEDS).double(), random(3, 2, 5, 8)
    y = layer(x)
    mask = torch.triu(torch.ones(5, 5, dtype=torch.bool), 1) if causal else None
    for i in range(3):
        peer = nn.MultiheadAttention(8, 2, batch_first=True, dtype=torch.float64)
        with torch.no_grad():
            peer.in_proj_weight.copy_(layer.qkv.weight[i].T)
            peer.in_proj_bias.copy_(layer.qkv.bias[i, 0])
            peer.out_proj.weight.copy_(layer.out.weight[i].T)
            peer.out_proj.bias.copy_(layer.out.bias[i, 0])
        torch.testing.assert_close(y[i], peer(x[i], x[i], x[i], attn_mask=mask)[0])


def test_a_head_must_divide_the_width() -> None:
    with pytest.raises(ParameterError, match=r"n_heads.*divisor of d_model = 8"):
        SelfAttention(1, 8, 3)


@pytest.mark.parametrize(("scheme", "variance"), [("uniform", 1 / (3 * 400)), ("he_normal", 2 / 400)])
def test_weights_have_the_variance_of_their_scheme(scheme: str, variance: float) -> None:
    # U(±a) has variance a²/3 with a² = 1/fan_in; 80,000 values know it to about 1 %.
    layer = initialise(Linear(1, 400, 200, scheme=scheme), [0])
    assert layer.weight.var().item() == pytest.approx(variance, rel=0.03)
    assert layer.weight.abs().max() <= 1 / math.sqrt(400) or scheme == "he_normal"
    assert (layer.bias == 0).all() == (scheme == "he_normal")


def test_dropout_keeps_the_right_share_and_mean() -> None:
    layer, x = initialise(Dropout(4, 0.3), [1, 2, 3, 4]), torch.ones(4, 100, 200)
    y = layer(x)
    assert y.unique().tolist() == pytest.approx([0, 1 / 0.7])
    dropped = (y == 0).double().mean((1, 2))
    assert (dropped - 0.3).abs().max() < 5 * math.sqrt(0.3 * 0.7 / 20_000)  # 5 standard deviations of a binomial share


def test_dropout_masks_look_independent() -> None:
    # Models, layers, passes, rows and columns: the correlation of two masks of n = 20,000 values has standard deviation 1/√n = 0.007.
    layers = nn.ModuleList([Dropout(2, 0.5), Dropout(2, 0.5)])
    initialise(layers, [1, 2])
    x = torch.ones(2, 100, 200)
    first, second, other_layer = layers[0](x), layers[0](x), layers[1](x)
    pairs = [
        (first[0], first[1]),
        (first, second),
        (first, other_layer),
        (first[:, :, 1:], first[:, :, :-1]),
        (first[:, 1:], first[:, :-1]),
    ]
    for a, b in pairs:
        assert torch.corrcoef(torch.stack([a.flatten(), b.flatten()]))[0, 1].abs() < 5 / math.sqrt(a.numel())


def test_dropout_does_nothing_in_evaluation() -> None:
    layer, x = initialise(Dropout(2, 0.5), [1, 2]).eval(), torch.ones(2, 5, 5)
    assert torch.equal(layer(x), x)
    assert (layer.passes == 0).all()


@given(st.lists(st.integers(-(2**31), 2**31 - 1), unique=True, min_size=2, max_size=50))
def test_the_hash_never_maps_two_numbers_to_one(numbers: list[int]) -> None:
    assert len(hashed(torch.tensor(numbers, dtype=torch.int32)).unique()) == len(numbers)


@pytest.mark.parametrize("p", [-0.1, 1.0, float("nan")])
def test_a_dropout_that_is_no_share_is_refused(p: float) -> None:
    with pytest.raises(ParameterError, match="dropout"):
        Dropout(1, p)
