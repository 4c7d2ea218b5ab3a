"""Layers in one place of a model: parameters by count, equal implementations, attention and its backends, peers, batches of models."""

from __future__ import annotations

import math
from functools import partial

import pytest
import torch

from lab.timing import Observation
from lab.training import models
from lab.training.initialisation import initialise
from workloads.fft_mixing import attention, mixers, peers
from workloads.fft_mixing.attention import BACKENDS, FusedAttention, PublishedAttention, chosen_by_framework, fastest_backend
from workloads.fft_mixing.layers import FftMix, parameter_count
from workloads.fft_mixing.peers import DepthwiseConvolution, FNetMix


@pytest.fixture(autouse=True)
def _same_numbers_every_time():
    torch.manual_seed(0)


@pytest.mark.parametrize(
    ("layer", "count"),
    [
        # filters 28 · (4 + 7 + 13), projection 84 · 28 + 28
        (lambda: FftMix(28), 28 * 24 + 84 * 28 + 28),
        # qkv 28 · 84 + 84, output 28 · 28 + 28
        (lambda: PublishedAttention(28, 4), 28 * 84 + 84 + 28 * 28 + 28),
        (lambda: FusedAttention(28, 4), 28 * 84 + 84 + 28 * 28 + 28),
        (FNetMix, 0),
        # 24 taps for each of 28 channels, projection 28 · 28 + 28
        (lambda: DepthwiseConvolution(28, 24), 28 * 24 + 28 * 28 + 28),
    ],
)
def test_parameters_are_counted(layer, count):
    assert parameter_count(layer()) == count


@pytest.mark.parametrize("causal", [False, True])
def test_fft_mix_implementations_share_parameters_and_agree(causal):
    published = FftMix(12, (3, 8), causal=causal, implementation="reference")
    fast = FftMix(12, (3, 8), causal=causal)
    fast.load_state_dict(published.state_dict())
    x = torch.randn(2, 21, 12)
    torch.testing.assert_close(fast(x), published(x))
    for a, b in zip(*(torch.autograd.grad(layer(x).square().sum(), list(layer.parameters())) for layer in (fast, published)), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


def test_fft_mix_filters_start_as_published():
    filters = FftMix(2000).filters
    assert abs(filters.std().item() / 0.02 - 1) < 0.02  # 48,000 draws: the deviation's own is 0.3 %
    assert abs(filters.mean().item()) < 5e-4


def test_fft_mix_refuses():
    with pytest.raises(ValueError, match="at least one window"):
        FftMix(8, ())
    with pytest.raises(ValueError, match="reference, fast"):
        FftMix(8, implementation="compiled")  # type: ignore[arg-type]


@pytest.mark.parametrize("causal", [False, True])
def test_fused_attention_computes_what_the_module_does(causal):
    published, fused = PublishedAttention(24, 3, causal=causal), FusedAttention(24, 3, causal=causal)
    fused.load_published(published)
    x = torch.randn(2, 17, 24)
    torch.testing.assert_close(fused(x), published(x))
    with torch.no_grad():
        for name in fastest_backend(fused, x).seconds:
            torch.testing.assert_close(fused.attend(x, name), published(x))


def test_one_disturbed_observation_does_not_choose_the_backend(monkeypatch):
    # math takes 1 s but once 9 s, flash 2 s each time: the means say flash (2 against 3), the machine's other work being in them.
    seconds = [{("math", ""): 1.0, ("flash", ""): 2.0}] * 3 + [{("math", ""): 9.0, ("flash", ""): 2.0}]
    observed = [Observation(i, "latency_s", (), one) for i, one in enumerate(seconds)]
    monkeypatch.setattr(attention, "compare", lambda *_: iter(observed))
    assert fastest_backend(FusedAttention(8, 2), torch.randn(1, 4, 8)).name == "math"


def test_fastest_backend_is_measured_and_set():
    layer, x = FusedAttention(24, 3), torch.randn(2, 17, 24, requires_grad=True)
    choice = fastest_backend(layer, x, backward=True)
    assert set(choice.seconds) | set(choice.reasons) == set(BACKENDS)
    assert "cudnn" in choice.reasons  # not on a CPU
    assert choice.seconds[choice.name] == min(choice.seconds.values())
    assert (layer.backend or chosen_by_framework(layer, x)) == choice.name
    assert all(parameter.grad is None for parameter in layer.parameters())


def test_attention_refuses():
    for build in (PublishedAttention, FusedAttention):
        with pytest.raises(ValueError, match="n_heads = 5 must divide d_model = 24"):
            build(24, 5)
    with pytest.raises(ValueError, match="cudnn, flash"):
        FusedAttention(24, 3, backend="fastest")


@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 5, 8), (2, 6, 7), (1, 3, 2), (3, 4, 4)], ids=str)
def test_fnet_is_the_real_part_of_a_two_dimensional_transform(shape):
    x = torch.randn(shape, dtype=torch.float64)
    torch.testing.assert_close(FNetMix()(x), torch.fft.fft2(x).real)
    assert FNetMix()(x.bfloat16()).dtype == torch.bfloat16


def test_convolution_by_hand():
    # One channel, three taps (1, 10, 100), tokens 1, 2, 3; the projection is the identity. Centred: y[t] = x[t−1] + 10 x[t] + 100 x[t+1];
    # causal: y[t] = x[t−2] + 10 x[t−1] + 100 x[t].
    for causal, expected in ((False, [210.0, 321.0, 32.0]), (True, [100.0, 210.0, 321.0])):
        layer = DepthwiseConvolution(1, 3, causal=causal)
        with torch.no_grad():
            layer.weight.copy_(torch.tensor([[[1.0, 10.0, 100.0]]]))
            layer.projection.weight.fill_(1.0)
            layer.projection.bias.zero_()
        assert layer(torch.tensor([[[1.0], [2.0], [3.0]]])).flatten().tolist() == expected
    with pytest.raises(ValueError, match="at least 2"):
        DepthwiseConvolution(4, 1)


def single_layers(mixer):
    """The single layer with each model's parameters of a batched mixer."""
    for i in range(mixer.n_models):
        if isinstance(mixer, mixers.FftMixer):
            layer = FftMix(mixer.d_model, mixer.windows, causal=mixer.causal, implementation="reference")
            own = {"filters": mixer.filters[i]}
        else:
            layer = DepthwiseConvolution(mixer.weight.shape[1], mixer.reach, causal=mixer.before == mixer.reach - 1)
            own = {"weight": mixer.weight[i]}
        own |= {"projection.weight": mixer.projection.weight[i].T, "projection.bias": mixer.projection.bias[i, 0]}
        layer.load_state_dict(own)
        yield layer


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize(
    "build", [partial(mixers.FftMixer, windows=(3, 8)), partial(mixers.ConvolutionMixer, reach=5)], ids=["fft", "conv"]
)
def test_batched_mixers_are_the_single_layers(build, causal):
    mixer = initialise(build(3, 12, causal=causal), [1, 2, 3])
    x = torch.randn(3, 2, 21, 12)
    together = mixer(x)
    for i, layer in enumerate(single_layers(mixer)):
        torch.testing.assert_close(together[i], layer(x[i]))


def test_batched_fnet():
    x = torch.randn(3, 2, 5, 8)
    torch.testing.assert_close(mixers.FNetMixer(3)(x)[1], FNetMix()(x[1]))


def test_batched_parameters_are_drawn_as_published():
    mixer = initialise(mixers.FftMixer(2, 500), [1, 2])
    assert abs(mixer.filters[0].std().item() / 0.02 - 1) < 0.05
    assert not torch.equal(mixer.filters[0], mixer.filters[1])
    assert mixers.ConvolutionMixer(1, 4, 9).draw(torch.Generator())["weight"].abs().max() <= 1 / math.sqrt(9)


@pytest.mark.parametrize(
    "mixer", [partial(mixers.FftMixer, d_model=8, windows=(3,)), mixers.FNetMixer, partial(mixers.ConvolutionMixer, d_model=8, reach=3)]
)
def test_mixers_stand_in_a_model_that_trains(mixer):
    model = initialise(models.SequenceClassifier(2, 5, 9, 8, 1, 2, 16, 3, mixer=mixer), [1, 2])
    model(torch.randn(2, 4, 9, 5)).square().sum().backward()
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in model.parameters())


def test_before():
    # An even reach leans to the past: 4 taps see 2 tokens before and 1 after.
    assert [peers.before(reach, False) for reach in (3, 4)] == [1, 2]
    assert peers.before(4, True) == 3
