"""The comparison with float64 before a layer is timed: right layers pass, wrong ones are found."""

import pytest
import torch

from workloads.fft_mixing.attention import FusedAttention, PublishedAttention
from workloads.fft_mixing.checks import wrong_attention, wrong_gradients, wrong_mixing
from workloads.fft_mixing.layers import FftMix


def mixers(windows=(3, 5)):
    torch.manual_seed(0)
    reference = FftMix(6, windows, implementation="reference")
    fast = FftMix(6, windows, implementation="fast")
    fast.load_state_dict(reference.state_dict())
    return reference, fast


@pytest.mark.parametrize("seq_len", [7, 128, 301])  # shorter than the check, as long, cut where windows of 3 and 5 begin together
def test_a_right_mixer_passes(seq_len):
    reference, fast = mixers()
    x = torch.randn(2, seq_len, 6)
    assert wrong_mixing(fast, reference, x) == ""
    assert wrong_gradients(fast, reference, x) == ""


def test_a_wrong_filter_is_found_in_output_and_gradient():
    reference, fast = mixers()
    x = torch.randn(2, 40, 6)
    with torch.no_grad():
        fast.filters[0, 0] += 0.1
    assert "elements differ" in wrong_mixing(fast, reference, x)
    assert "gradient by" in wrong_gradients(fast, reference, x)


def test_an_error_in_the_last_token_alone_is_found():
    reference, fast = mixers()

    class Wrong(torch.nn.Module):
        windows = fast.windows

        def forward(self, x):
            y = fast(x).clone()
            y[-1, -1] += 0.5
            return y

    assert wrong_mixing(Wrong(), reference, torch.randn(3, 50, 6))  # type: ignore[arg-type]


def test_attention_passes_and_a_wrong_scale_is_found():
    torch.manual_seed(0)
    module = PublishedAttention(8, 2)
    fused = FusedAttention(8, 2)
    fused.load_published(module)
    x = torch.randn(2, 150, 8)
    with torch.no_grad():
        assert wrong_attention(module(x), fused, x) == ""
        assert wrong_attention(fused(x), fused, x) == ""
        assert "elements differ" in wrong_attention(fused(1.01 * x), fused, x)
