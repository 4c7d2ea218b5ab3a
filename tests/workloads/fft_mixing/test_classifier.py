"""The published models: their parameters counted, and what they compute."""

import pytest
import torch

from workloads.fft_mixing.attention import PublishedAttention
from workloads.fft_mixing.classifier import PublishedClassifier, training_step
from workloads.fft_mixing.layers import FftMix, parameter_count
from workloads.fft_mixing.training_step import MIXERS, N_CLASSES, SEQ_LEN


@pytest.mark.parametrize(
    ("arm", "expected"),
    [
        # Around the mixers, d = 28: positions 28 · 28 = 784, head 28 · 10 + 10 = 290; per block norms 4 · 28 = 112 and the feed-forward
        # net 28 · 56 + 56 + 56 · 28 + 28 = 3,220. Attention: 4 · 28² + 4 · 28 = 3,248. 784 + 290 + 2 · (112 + 3,220 + 3,248) = 14,234.
        ("attention", 14_234),
        # FFT-Mix: filters (4 + 7 + 13) · 28 = 672 and projection 84 · 28 + 28 = 2,380, so 3,052 in place of 3,248, twice: 392 fewer.
        ("fft_mix", 13_842),
    ],
)
def test_parameters_by_hand(arm, expected):
    for (name, implementation), mixer in MIXERS.items():
        if name == arm:
            assert parameter_count(PublishedClassifier(mixer, SEQ_LEN, 28, N_CLASSES)) == expected, implementation


def test_pixels_are_projected_and_rows_are_not():
    x = torch.randn(2, 64, 1)
    model = PublishedClassifier(lambda d: FftMix(d, implementation="reference"), 64, 1, 10)
    assert model(x).shape == (2, 10)
    assert any("inputs" in name for name, _ in model.named_parameters())


def test_a_model_of_windows_moves_nothing_across_their_border_before_pooling():
    torch.manual_seed(0)
    model = PublishedClassifier(lambda d: FftMix(d, implementation="reference"), 48, 28, 10).double()
    x = torch.randn(1, 48, 28, dtype=torch.float64)
    changed = x.clone()
    changed[0, 0] += 1.0
    before, after = (model.blocks(model.inputs(one) + model.positions) for one in (x, changed))
    assert (before[0, :24] != after[0, :24]).any()
    assert torch.equal(before[0, 24:], after[0, 24:])  # the second window of 24, after two blocks


def test_a_step_lowers_the_loss_of_its_batch():
    torch.manual_seed(0)
    model = PublishedClassifier(lambda d: PublishedAttention(d, 4), 28, 28, 10)
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-2)
    x, y = torch.randn(16, 28, 28), torch.randint(10, (16,))
    losses = [float(training_step(model, optimiser, x, y)) for _ in range(20)]
    assert losses[-1] < 0.5 * losses[0]
